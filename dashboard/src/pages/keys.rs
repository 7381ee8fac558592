//! The keys handed out to clients: make one (shown once), see them, take them back.

use gateway_api::{ClientKeyCreated, ClientKeyView, KeyScopeView};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::components::copy_button::CopyButton;
use crate::components::dialog::Confirm;
use crate::components::field::{form_error, text_of};
use crate::components::state::{empty, loaded};
use crate::components::title::Title;
use crate::desk::Desk;
use crate::load::Loader;
use crate::logic::answer::Problem;
use crate::logic::form::list_of;
use crate::logic::number::plural;
use crate::logic::time::ago;
use crate::{api, browser};

/// Everything about client keys.
#[component]
pub(crate) fn KeysPage() -> impl IntoView {
    let loader = Loader::new(|| (), |()| async { api::keys().await });
    let created = RwSignal::new(None::<(String, String)>);
    view! {
        <div class="page-head">
            <div>
                <Title text="Client keys".to_owned() />
                <p class="sub">"Clients on this machine need none. Everyone else sends one as their API key."</p>
            </div>
        </div>
        <section class="panel" aria-labelledby="new-key-title">
            <h2 id="new-key-title">"New key"</h2>
            <CreateKey loader=loader created=created />
            {move || created.get().map(|(label, key)| new_key(&label, key))}
        </section>
        <section class="panel" aria-labelledby="keys-title">
            <div class="panel-head">
                <h2 id="keys-title">"Keys in use"</h2>
            </div>
            {loaded(loader, 3, move |keys| {
                if keys.is_empty() {
                    empty("No keys yet", "Make one for each person or machine; its name then stands beside each request.")
                        .into_any()
                } else {
                    view! { <KeyTable keys=keys loader=loader /> }.into_any()
                }
            })}
        </section>
    }
}

#[component]
fn CreateKey(
    loader: Loader<Vec<ClientKeyView>>,
    created: RwSignal<Option<(String, String)>>,
) -> impl IntoView {
    let desk = Desk::get();
    let (label, groups) = (NodeRef::<html::Input>::new(), NodeRef::<html::Input>::new());
    let mistake = RwSignal::new(None::<String>);
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let name = text_of(label).trim().to_owned();
        // The last key was there to be copied; beside a later error it would look like its result.
        created.set(None);
        if name.is_empty() {
            mistake.set(Some("Say who the key is for.".to_owned()));
            return;
        }
        mistake.set(None);
        let scope = KeyScopeView { groups: list_of(&text_of(groups)), ..KeyScopeView::default() };
        spawn_local(async move {
            match api::create_key(name, scope).await {
                Ok(ClientKeyCreated { key, view }) => {
                    let _gone = created.try_set(Some((view.label, key)));
                    for field in [label, groups].into_iter().filter_map(|field| field.get_untracked()) {
                        field.set_value("");
                    }
                    loader.reload();
                }
                Err(Problem::SignedOut) => desk.session.ended(),
                Err(problem) => {
                    let _gone = mistake.try_set(Some(problem.message()));
                }
            }
        });
    };
    view! {
        <form class="form row" on:submit=send>
            <div class="field">
                <label for="key-label">"Who is it for?"</label>
                <input
                    node_ref=label
                    id="key-label"
                    data-testid="key-label"
                    type="text"
                    maxlength="64"
                    autocomplete="off"
                    placeholder="laptop, ci, anna …"
                />
            </div>
            <div class="field">
                <label for="key-groups">"Only these groups (optional)"</label>
                <input
                    node_ref=groups
                    id="key-groups"
                    data-testid="key-groups"
                    type="text"
                    autocomplete="off"
                    placeholder="all accounts"
                />
            </div>
            <button type="submit" class="button primary" data-testid="key-submit">
                "Create key"
            </button>
        </form>
        {form_error(move || mistake.get())}
    }
}

fn new_key(label: &str, key: String) -> impl IntoView + use<> {
    view! {
        <div class="notice" data-tone="good" role="status">
            <p>
                "This is the key for " <strong>{label.to_owned()}</strong> ". Copy it now: it is not shown again."
            </p>
            <div class="command">
                <code data-testid="key-created">{key.clone()}</code>
                <CopyButton text=key what="the key" />
            </div>
        </div>
    }
}

#[component]
fn KeyTable(keys: Vec<ClientKeyView>, loader: Loader<Vec<ClientKeyView>>) -> impl IntoView {
    let desk = Desk::get();
    let is_open = RwSignal::new(false);
    let doomed = RwSignal::new(None::<ClientKeyView>);
    let title = Signal::derive(move || {
        format!("Revoke the key of {}?", doomed.get().map(|key| key.label).unwrap_or_default())
    });
    let revoke = Callback::new(move |()| {
        let Some(key) = doomed.get_untracked() else { return };
        spawn_local(async move {
            match api::revoke_key(&key.id).await {
                Ok(()) => {
                    desk.toasts.good(format!("Revoked the key of {}.", key.label));
                    loader.reload();
                }
                Err(problem) => desk.failed(&problem),
            }
        });
    });
    let ask = Callback::new(move |key: ClientKeyView| {
        doomed.set(Some(key));
        is_open.set(true);
    });
    view! {
        <table role="table" class="cards keys">
            <caption class="visually-hidden">"Client keys in use"</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"For"</th>
                    <th role="columnheader" scope="col">"Key"</th>
                    <th role="columnheader" scope="col">"Made"</th>
                    <th role="columnheader" scope="col">
                        <span class="visually-hidden">"Actions"</span>
                    </th>
                </tr>
            </thead>
            <tbody role="rowgroup">{keys.into_iter().map(|key| key_row(key, desk, ask)).collect_view()}</tbody>
        </table>
        <Confirm
            is_open=is_open
            title=title
            text="Whoever uses it is refused from the next request on. This cannot be undone."
            action="Revoke key"
            on_confirm=revoke
        />
    }
}

/// The part of the pool that a key may use.
fn scope_words(scope: &KeyScopeView) -> String {
    let groups = scope.groups.iter().cloned();
    let accounts = plural(u64::try_from(scope.accounts.len()).unwrap_or(u64::MAX), "account", "accounts");
    let accounts = (!scope.accounts.is_empty()).then_some(accounts);
    format!("only {}", groups.chain(accounts).collect::<Vec<_>>().join(", "))
}

fn key_row(key: ClientKeyView, desk: Desk, ask: Callback<ClientKeyView>) -> impl IntoView {
    let made = key.created_at;
    let label = key.label.clone();
    let reach = (!key.scope.is_everything()).then(|| scope_words(&key.scope));
    view! {
        <tr role="row" data-testid="key-row">
            <th role="rowheader" scope="row">
                {label.clone()} {reach.map(|reach| view! { <span class="sub">{reach}</span> })}
            </th>
            <td role="cell"><code>{key.hint.clone()} "…"</code></td>
            <td role="cell">
                <span title=browser::local_time(made)>{move || ago(made, desk.clock.now())}</span>
            </td>
            <td role="cell" class="number">
                <button
                    type="button"
                    class="button small danger-quiet"
                    data-testid="key-revoke"
                    aria-label=format!("Revoke the key of {label}")
                    on:click=move |_| ask.run(key.clone())
                >
                    "Revoke"
                </button>
            </td>
        </tr>
    }
}
