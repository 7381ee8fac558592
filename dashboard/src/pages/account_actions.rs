//! What can be done with an account beside its settings: test, pause, pin, refresh, end cooldowns, sign in again, take
//! out, delete.

use std::future::Future;

use gateway_api::{AccountDetail, AccountPatch, AccountStateView, AccountTested};
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::account::is_codex;
use crate::api;
use crate::components::dialog::Confirm;
use crate::components::export_dialog::{Chosen, ExportDialog};
use crate::components::icon::{Icon, icon};
use crate::components::menu::{Menu, menu_item};
use crate::desk::Desk;
use crate::load::Loader;
use crate::logic::answer::Problem;

/// What is under way on the page, and what the last test said.
#[derive(Clone, Copy)]
pub(super) struct Bench {
    pub(super) tested: RwSignal<Option<Result<AccountTested, Problem>>>,
    pub(super) signs_in: RwSignal<bool>,
    is_busy: RwSignal<bool>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { tested: RwSignal::new(None), signs_in: RwSignal::new(false), is_busy: RwSignal::new(false) }
    }

    /// Another account is shown.
    pub(super) fn clear(self) {
        self.tested.set(None);
        self.signs_in.set(false);
    }
}

/// One account and the way to act on it.
#[derive(Clone, Copy)]
struct Hands {
    desk: Desk,
    loader: Loader<AccountDetail>,
    bench: Bench,
}

impl Hands {
    fn id(self) -> Option<String> {
        untrack(|| self.loader.ready()).map(|detail| detail.account.id)
    }

    /// Does something that answers with the account, and shows it.
    fn act<Fetch, Answer>(self, done: &'static str, call: Fetch)
    where
        Fetch: FnOnce(String) -> Answer + 'static,
        Answer: Future<Output = Result<AccountDetail, Problem>> + 'static,
    {
        let Some(id) = self.id() else { return };
        self.bench.is_busy.set(true);
        spawn_local(async move {
            let answer = call(id).await;
            let _gone = self.bench.is_busy.try_set(false);
            match answer {
                Ok(detail) => {
                    self.loader.set(detail);
                    self.desk.live.refresh();
                    self.desk.toasts.good(done);
                }
                Err(problem) => self.desk.failed(&problem),
            }
        });
    }

    fn pause(self, paused: bool) {
        let done = if paused { "Paused. Running requests finish." } else { "Resumed." };
        let patch = AccountPatch { paused: Some(paused), ..AccountPatch::default() };
        self.act(done, move |id| async move { api::patch_account(&id, &patch).await });
    }

    fn pin(self, is_pinned: bool) {
        let done =
            if is_pinned { "Pinned: it serves every request that it can." } else { "No longer pinned." };
        self.act(done, move |id| async move {
            api::pin(is_pinned.then(|| id.clone())).await?;
            api::account(&id).await
        });
    }

    fn refresh(self) {
        self.act("The tokens are new.", |id| async move { api::refresh_account(&id).await });
    }

    fn clear_cooldowns(self) {
        let done = "Cooldowns ended. The next request shows whether the reason is gone.";
        self.act(done, |id| async move { api::clear_cooldowns(&id).await });
    }

    fn test(self) {
        let Some(id) = self.id() else { return };
        self.bench.tested.set(None);
        self.bench.is_busy.set(true);
        spawn_local(async move {
            let answer = api::test_account(&id).await;
            let _gone = self.bench.is_busy.try_set(false);
            match answer {
                Err(Problem::SignedOut) => self.desk.session.ended(),
                answer => {
                    let _gone = self.bench.tested.try_set(Some(answer));
                    // A good test ends cooldowns and may have found dialects.
                    self.loader.reload();
                    self.desk.live.refresh();
                }
            }
        });
    }
}

/// The buttons beside the name.
#[component]
pub(super) fn AccountActions(loader: Loader<AccountDetail>, bench: Bench) -> impl IntoView {
    let hands = Hands { desk: Desk::get(), loader, bench };
    let is_paused =
        Memo::new(move |_| loader.ready().is_some_and(|one| one.account.state == AccountStateView::Paused));
    let is_exporting = RwSignal::new(false);
    let is_deleting = RwSignal::new(false);
    let name = move || loader.ready().map(|detail| detail.account.name).unwrap_or_default();
    let chosen = Signal::derive(move || {
        let detail = loader.ready();
        Chosen {
            ids: detail.iter().map(|detail| detail.account.id.clone()).collect(),
            can_be_auth_json: detail.as_ref().is_some_and(is_codex),
        }
    });
    view! {
        <div class="actions">
            <button
                type="button"
                class="button"
                data-testid="account-test"
                disabled=move || bench.is_busy.get()
                on:click=move |_| hands.test()
            >
                {icon(Icon::Arrows)}
                {move || if bench.is_busy.get() { "Working …" } else { "Test connection" }}
            </button>
            <button
                type="button"
                class="button"
                data-testid="account-pause"
                on:click=move |_| hands.pause(!is_paused.get_untracked())
            >
                {move || icon(if is_paused.get() { Icon::Play } else { Icon::Pause })}
                {move || if is_paused.get() { "Resume" } else { "Pause" }}
            </button>
            <Menu label="More" testid="account-more">
                {more(hands, is_exporting, is_deleting)}
            </Menu>
        </div>
        <ExportDialog
            is_open=is_exporting
            title=Signal::derive(move || format!("Export {}?", name()))
            chosen=chosen
        />
        <Delete loader=loader is_open=is_deleting />
    }
}

fn more(hands: Hands, is_exporting: RwSignal<bool>, is_deleting: RwSignal<bool>) -> AnyView {
    let loader = hands.loader;
    let is_pinned = Memo::new(move |_| loader.ready().is_some_and(|one| one.account.pinned));
    let has_cooldowns =
        Memo::new(move |_| loader.ready().is_some_and(|one| !one.account.cooldowns.is_empty()));
    let has_tokens = Memo::new(move |_| loader.ready().as_ref().is_some_and(is_codex));
    let pin = move || if is_pinned.get() { "Unpin" } else { "Pin: serve everything it can" };
    view! {
        {menu_item("account-pin", pin, move || hands.pin(!is_pinned.get_untracked()))}
        <Show when=move || has_cooldowns.get()>
            {menu_item("account-clear", "Clear cooldowns", move || hands.clear_cooldowns())}
        </Show>
        <Show when=move || has_tokens.get()>
            {menu_item("account-refresh", "Refresh tokens", move || hands.refresh())}
            {menu_item("account-again", "Sign in again", move || hands.bench.signs_in.set(true))}
        </Show>
        {menu_item("account-export", "Export…", move || is_exporting.set(true))}
        <button
            type="button"
            class="menu-item danger-quiet"
            data-testid="account-delete"
            on:click=move |_| is_deleting.set(true)
        >
            {icon(Icon::Trash)}
            "Delete…"
        </button>
    }
    .into_any()
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
                    navigate("/accounts", NavigateOptions::default());
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
