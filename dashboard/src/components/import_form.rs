//! Adds an account: paste an `auth.json` or choose the file. The text holds tokens, so nothing keeps it.

use gateway_api::{AccountView, ImportAccounts, ImportOutcome};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::field::{form_error, text_of};
use crate::desk::Desk;
use crate::logic::answer::{Problem, check_auth_json};
use crate::{api, browser};

/// The form. `on_done` is told the account.
#[component]
pub(crate) fn ImportForm(on_done: Callback<AccountView>) -> impl IntoView {
    let desk = Desk::get();
    let text = NodeRef::<html::Textarea>::new();
    let name = NodeRef::<html::Input>::new();
    let mistake = RwSignal::new(None::<String>);
    let is_busy = RwSignal::new(false);
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let auth_json = text.get_untracked().map(|text| text.value()).unwrap_or_default();
        if let Err(message) = check_auth_json(&auth_json) {
            mistake.set(Some(message));
            return;
        }
        let name = Some(text_of(name).trim().to_owned()).filter(|name| !name.is_empty());
        mistake.set(None);
        is_busy.set(true);
        spawn_local(async move {
            let answer = api::import(&ImportAccounts { auth_json, name }).await;
            let _gone = is_busy.try_set(false);
            match answer {
                Ok(done) => {
                    let what = match done.outcome {
                        ImportOutcome::Added => "Added",
                        ImportOutcome::Updated => "Updated the tokens of",
                    };
                    desk.toasts.good(format!("{what} {}.", done.account.name));
                    desk.live.refresh();
                    on_done.run(done.account);
                }
                Err(Problem::SignedOut) => desk.session.ended(),
                Err(problem) => {
                    let _gone = mistake.try_set(Some(problem.message()));
                }
            }
        });
    };
    view! {
        <form class="form" on:submit=send>
            <AuthJsonField text=text />
            <div class="field">
                <label for="import-name">"Name (optional)"</label>
                <input
                    node_ref=name
                    id="import-name"
                    data-testid="import-name"
                    type="text"
                    autocomplete="off"
                    maxlength="64"
                    placeholder="otherwise the e-mail address"
                />
            </div>
            {form_error(move || mistake.get())}
            <div class="actions">
                <button type="submit" class="button primary" data-testid="import-submit" disabled=move || is_busy.get()>
                    {move || if is_busy.get() { "Adding…" } else { "Add account" }}
                </button>
            </div>
        </form>
    }
}

#[component]
fn AuthJsonField(text: NodeRef<html::Textarea>) -> impl IntoView {
    let file = NodeRef::<html::Input>::new();
    let read = move |_| {
        spawn_local(async move {
            let (Some(input), Some(area)) = (file.get_untracked(), text.get_untracked()) else { return };
            if let Some(content) = browser::chosen_file(&input).await {
                area.set_value(&content);
            }
        });
    };
    view! {
        <div class="field">
            <div class="field-head">
                <label for="import-text">"auth.json of the Codex CLI"</label>
                <label class="button small file-button">
                    "Choose file…"
                    <input
                        node_ref=file
                        type="file"
                        class="visually-hidden"
                        accept=".json,application/json"
                        aria-label="Choose an auth.json file"
                        on:change=read
                    />
                </label>
            </div>
            <textarea
                node_ref=text
                id="import-text"
                data-testid="import-text"
                class="code"
                rows="7"
                spellcheck="false"
                autocomplete="off"
                autocapitalize="off"
                placeholder="{ \"tokens\": { \"access_token\": … } }"
                aria-describedby="import-hint"
            ></textarea>
            <p class="hint" id="import-hint">
                "You find it at "
                <code>"~/.codex/auth.json"</code>
                " after "
                <code>"codex login"</code>
                ". Its tokens are stored encrypted and never shown again."
            </p>
        </div>
    }
}
