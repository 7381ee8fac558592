//! What can be done with an account: pause, resume, rename, delete.

use gateway_api::{AccountDetail, AccountPatch, AccountStateView};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use crate::api;
use crate::components::dialog::Confirm;
use crate::components::field::text_of;
use crate::components::icon::{Icon, icon};
use crate::desk::Desk;
use crate::load::Loader;

/// The buttons beside the name.
#[component]
pub(crate) fn AccountActions(loader: Loader<AccountDetail>) -> impl IntoView {
    let is_renaming = RwSignal::new(false);
    let is_deleting = RwSignal::new(false);
    let account = Memo::new(move |_| loader.ready().map(|detail| detail.account));
    let is_paused =
        Memo::new(move |_| account.get().is_some_and(|one| one.state == AccountStateView::Paused));
    let pause = move |_| {
        let paused = !is_paused.get_untracked();
        let done = if paused { "Paused. Running requests finish." } else { "Resumed." };
        change(loader, AccountPatch { name: None, paused: Some(paused) }, done);
    };
    view! {
        <div class="actions">
            <button type="button" class="button" data-testid="account-pause" on:click=pause>
                {move || icon(if is_paused.get() { Icon::Play } else { Icon::Pause })}
                {move || if is_paused.get() { "Resume" } else { "Pause" }}
            </button>
            <button
                type="button"
                class="button"
                data-testid="account-rename"
                aria-expanded=move || is_renaming.get().to_string()
                on:click=move |_| is_renaming.update(|open| *open = !*open)
            >
                "Rename"
            </button>
            <button
                type="button"
                class="button danger-quiet"
                data-testid="account-delete"
                on:click=move |_| is_deleting.set(true)
            >
                {icon(Icon::Trash)}
                "Delete"
            </button>
        </div>
        <Show when=move || is_renaming.get()>
            <Rename loader=loader is_open=is_renaming />
        </Show>
        <Delete loader=loader is_open=is_deleting />
    }
}

/// Sends a change and shows the account as the gateway answers it.
fn change(loader: Loader<AccountDetail>, patch: AccountPatch, done: &'static str) {
    let desk = Desk::get();
    let Some(id) = untrack(|| loader.ready()).map(|detail| detail.account.id) else { return };
    spawn_local(async move {
        match api::patch_account(&id, &patch).await {
            Ok(detail) => {
                loader.set(detail);
                desk.live.refresh();
                desk.toasts.good(done);
            }
            Err(problem) => desk.failed(&problem),
        }
    });
}

#[component]
fn Rename(loader: Loader<AccountDetail>, is_open: RwSignal<bool>) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let name = untrack(|| loader.ready()).map(|detail| detail.account.name).unwrap_or_default();
    Effect::new(move || {
        if let Some(input) = input.get() {
            input.select();
        }
    });
    let save = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let name = text_of(input).trim().to_owned();
        if !name.is_empty() {
            change(loader, AccountPatch { name: Some(name), paused: None }, "Renamed.");
            is_open.set(false);
        }
    };
    view! {
        <form class="rename" on:submit=save>
            <label for="rename-input">"New name"</label>
            <input
                node_ref=input
                id="rename-input"
                data-testid="rename-input"
                type="text"
                value=name
                maxlength="64"
                autocomplete="off"
                required
                on:keydown=move |event| {
                    if event.key() == "Escape" {
                        is_open.set(false);
                    }
                }
            />
            <button type="submit" class="button primary" data-testid="rename-submit">
                "Save"
            </button>
        </form>
    }
}

#[component]
fn Delete(loader: Loader<AccountDetail>, is_open: RwSignal<bool>) -> impl IntoView {
    let desk = Desk::get();
    let navigate = use_navigate();
    let title = Signal::derive(move || {
        let name = loader.ready().map(|detail| detail.account.name).unwrap_or_default();
        format!("Delete {name}?")
    });
    let delete = Callback::new(move |()| {
        let Some(account) = untrack(|| loader.ready()).map(|detail| detail.account) else { return };
        let navigate = navigate.clone();
        spawn_local(async move {
            match api::delete_account(&account.id).await {
                Ok(()) => {
                    desk.live.forget_account(&account.id);
                    desk.toasts.good(format!("Deleted {}.", account.name));
                    navigate("/", NavigateOptions::default());
                }
                Err(problem) => desk.failed(&problem),
            }
        });
    });
    view! {
        <Confirm
            is_open=is_open
            title=title
            text="Its tokens are erased from this gateway. Requests that run on it finish. To bring it back, add it again."
            action="Delete account"
            on_confirm=delete
        />
    }
}
