//! Form fields: a label, an input, and the mistake in it right below.

use leptos::prelude::*;
use web_sys::HtmlInputElement;

use super::icon::{Icon, icon};
use super::mistakes::Mistakes;

/// What a field is: its id (and test id), its name on the wire, its label and what helps to fill it in.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) hint: &'static str,
}

/// A line of text.
pub(crate) fn text_field(field: Field, value: RwSignal<String>, mistakes: Mistakes) -> AnyView {
    line(field, value, mistakes, "off", move || "text")
}

/// A line of text that nobody should read over a shoulder.
pub(crate) fn secret_field(field: Field, value: RwSignal<String>, mistakes: Mistakes) -> AnyView {
    // No field of a form is the operator's password: a browser must not offer to keep it.
    line(field, value, mistakes, "new-password", move || "password")
}

fn line(
    field: Field,
    value: RwSignal<String>,
    mistakes: Mistakes,
    autocomplete: &'static str,
    kind: impl Fn() -> &'static str,
) -> AnyView {
    let Field { id, name, .. } = field;
    let input = view! {
        <input
            id=id
            data-testid=id
            type=kind()
            bind:value=value
            autocomplete=autocomplete
            spellcheck="false"
            aria-describedby=format!("{id}-note")
            aria-invalid=move || mistakes.at(name).map(|_| "true")
        />
    };
    around(field, input.into_any(), mistakes)
}

/// Several lines of text.
pub(crate) fn area_field(
    field: Field,
    value: RwSignal<String>,
    mistakes: Mistakes,
    rows: &'static str,
) -> AnyView {
    let Field { id, name, .. } = field;
    let input = view! {
        <textarea
            id=id
            data-testid=id
            rows=rows
            prop:value=move || value.get()
            on:input=move |event| value.set(event_target_value(&event))
            spellcheck="false"
            autocomplete="off"
            aria-describedby=format!("{id}-note")
            aria-invalid=move || mistakes.at(name).map(|_| "true")
        ></textarea>
    };
    around(field, input.into_any(), mistakes)
}

/// One of a list: values and words.
pub(crate) fn choice_field(
    field: Field,
    value: RwSignal<String>,
    mistakes: Mistakes,
    choices: impl Fn() -> Vec<(String, String)> + Send + 'static,
) -> AnyView {
    let select = select(field.id, value, choices);
    around(field, select, mistakes)
}

/// A list to choose from, without a label.
pub(crate) fn select(
    id: &'static str,
    value: RwSignal<String>,
    choices: impl Fn() -> Vec<(String, String)> + Send + 'static,
) -> AnyView {
    let options = move || {
        let options = choices().into_iter().map(|(key, words)| {
            let own = key.clone();
            view! {
                <option value=key prop:selected=move || value.with(|chosen| *chosen == own)>
                    {words}
                </option>
            }
        });
        options.collect_view()
    };
    view! {
        <select
            id=id
            data-testid=id
            class="select"
            on:change=move |event| value.set(event_target_value(&event))
        >
            {options}
        </select>
    }
    .into_any()
}

/// Yes or no, with what it means beside it.
pub(crate) fn check_field(
    id: &'static str,
    label: &'static str,
    hint: &'static str,
    value: RwSignal<bool>,
) -> AnyView {
    view! {
        <div class="check">
            <input
                id=id
                data-testid=id
                type="checkbox"
                prop:checked=move || value.get()
                on:change=move |event| value.set(event_target_checked(&event))
                aria-describedby=format!("{id}-note")
            />
            <div>
                <label for=id>{label}</label>
                <p class="hint" id=format!("{id}-note")>
                    {hint}
                </p>
            </div>
        </div>
    }
    .into_any()
}

/// Label above, hint and mistake below.
fn around(field: Field, input: AnyView, mistakes: Mistakes) -> AnyView {
    let Field { id, name, label, hint } = field;
    view! {
        <div class="field">
            <label for=id>{label}</label>
            {input}
            <div id=format!("{id}-note")>
                {(!hint.is_empty()).then(|| view! { <p class="hint">{hint}</p> })}
                {form_error(move || mistakes.at(name))}
            </div>
        </div>
    }
    .into_any()
}

/// The message under a form, read out when it appears.
pub(crate) fn form_error(
    message: impl Fn() -> Option<String> + Send + Sync + Copy + 'static,
) -> impl IntoView {
    view! {
        <div class="form-error-place" role="alert">
            {move || message().map(|text| view! { <p class="form-error">{icon(Icon::Warning)} <span>{text}</span></p> })}
        </div>
    }
}

/// A password that can be looked at. Browsers keep passwords for a user name, so there is a hidden one.
#[component]
pub(crate) fn PasswordField(
    input: NodeRef<leptos::html::Input>,
    label: &'static str,
    hint: Option<&'static str>,
    autocomplete: &'static str,
    testid: &'static str,
) -> impl IntoView {
    let is_shown = RwSignal::new(false);
    Effect::new(move || {
        if let Some(input) = input.get() {
            let _focused = input.focus();
        }
    });
    view! {
        <input
            class="visually-hidden"
            type="text"
            name="username"
            autocomplete="username"
            value="operator"
            tabindex="-1"
            aria-hidden="true"
            readonly
        />
        <div class="field">
            <label for=testid>{label}</label>
            <div class="field-with-button">
                <input
                    node_ref=input
                    id=testid
                    data-testid=testid
                    name="password"
                    type=move || if is_shown.get() { "text" } else { "password" }
                    autocomplete=autocomplete
                    aria-describedby=format!("{testid}-hint")
                    maxlength="1024"
                    required
                />
                <button
                    type="button"
                    class="icon-button"
                    aria-label="Show the password"
                    aria-pressed=move || is_shown.get().to_string()
                    on:click=move |_| is_shown.update(|shown| *shown = !*shown)
                >
                    {icon(Icon::Eye)}
                </button>
            </div>
            <p class="hint" id=format!("{testid}-hint")>
                {hint}
            </p>
        </div>
    }
}

/// What stands in an input now.
pub(crate) fn text_of(input: NodeRef<leptos::html::Input>) -> String {
    input.get_untracked().map(|input: HtmlInputElement| input.value()).unwrap_or_default()
}
