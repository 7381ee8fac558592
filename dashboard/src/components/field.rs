//! Form fields: a label, an input, and the mistake in it right below.

use leptos::prelude::*;
use web_sys::HtmlInputElement;

use super::icon::{Icon, icon};

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
