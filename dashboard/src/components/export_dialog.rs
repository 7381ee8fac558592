//! Takes accounts out, tokens and all. An open browser is not enough for that: the password is asked for again.

use gateway_api::{ExportFormat, ExportRequest};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::dialog::Dialog;
use super::field::{Field, PasswordField, choice_field, form_error, text_of};
use super::mistakes::Mistakes;
use crate::desk::Desk;
use crate::logic::answer::Problem;
use crate::{api, browser};

const FORMATS: [(&str, &str); 2] =
    [("switchyard", "Everything, for another Switchyard"), ("auth-json", "auth.json for the Codex CLI")];

/// What is taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Which accounts; none of them means all.
    pub(crate) ids: Vec<String>,
    /// Whether it is one ChatGPT account, which can be written as the Codex CLI's own file.
    pub(crate) can_be_auth_json: bool,
}

/// The dialog.
#[component]
pub(crate) fn ExportDialog(
    is_open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    #[prop(into)] chosen: Signal<Chosen>,
) -> impl IntoView {
    view! {
        <Dialog is_open=is_open title=title>
            <ExportForm is_open=is_open chosen=chosen />
        </Dialog>
    }
}

#[component]
fn ExportForm(is_open: RwSignal<bool>, chosen: Signal<Chosen>) -> impl IntoView {
    let desk = Desk::get();
    let password = NodeRef::<html::Input>::new();
    let format = RwSignal::new("switchyard".to_owned());
    let mistake = RwSignal::new(None::<String>);
    let is_busy = RwSignal::new(false);
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let is_auth_json = format.get_untracked() == "auth-json";
        let ids = chosen.get_untracked().ids;
        let request = ExportRequest {
            all: ids.is_empty(),
            ids,
            format: if is_auth_json { ExportFormat::AuthJson } else { ExportFormat::Switchyard },
            password: text_of(password),
        };
        mistake.set(None);
        is_busy.set(true);
        spawn_local(async move {
            let answer = api::export(&request).await;
            let _gone = is_busy.try_set(false);
            match answer {
                Ok(text) => {
                    let name = if is_auth_json { "auth.json" } else { "switchyard-accounts.json" };
                    match browser::save_file(name, &text) {
                        Some(()) => desk.toasts.good(format!("Saved {name}. It holds tokens: keep it safe.")),
                        None => desk.toasts.bad("This browser does not let the page save a file."),
                    }
                    is_open.set(false);
                }
                Err(Problem::SignedOut) => desk.session.ended(),
                Err(problem) => {
                    let _gone = mistake.try_set(Some(problem.message()));
                }
            }
        });
    };
    view! {
        <p>"The file holds tokens and keys: whoever has it can use the accounts."</p>
        <form class="form" on:submit=send>
            {chosen.get_untracked().can_be_auth_json.then(|| format_field(format))}
            <PasswordField
                input=password
                label="Your password"
                hint=None
                autocomplete="current-password"
                testid="export-password"
            />
            {form_error(move || mistake.get())}
            <div class="actions end">
                <button type="button" class="button" on:click=move |_| is_open.set(false)>
                    "Cancel"
                </button>
                <button type="submit" class="button primary" data-testid="export-submit" disabled=move || is_busy.get()>
                    "Export"
                </button>
            </div>
        </form>
    }
}

fn format_field(format: RwSignal<String>) -> AnyView {
    let field = Field { id: "export-format", name: "format", label: "As", hint: "" };
    let choices = || FORMATS.map(|(key, words)| (key.to_owned(), words.to_owned())).to_vec();
    choice_field(field, format, Mistakes::new(&[]), choices)
}
