//! One account: its state and windows, its facts, its settings, what it served, and what can be done with it.

use gateway_api::{AccountDetail, AccountStateView, AccountView};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::account_actions::{AccountActions, Bench};
use super::account_facts::facts;
use super::account_settings::SettingsPanel;
use crate::components::account_row::state_cell;
use crate::components::decision_table::DecisionTable;
use crate::components::icon::{Icon, icon};
use crate::components::sign_in_panel::SignInPanel;
use crate::components::state::{empty, loaded};
use crate::components::test_result::test_result;
use crate::components::title::Title;
use crate::components::window_bar::window_bar;
use crate::desk::Desk;
use crate::load::Loader;
use crate::logic::accounts::subtitle;
use crate::logic::decisions::{sentence_case, words};
use crate::logic::roster::Account;
use crate::logic::time::relative;
use crate::{api, browser};

/// Fetched for the id in the path, and again when the live picture of it moves.
#[component]
pub(crate) fn AccountPage() -> impl IntoView {
    let desk = Desk::get();
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").unwrap_or_default()));
    let loader = Loader::new(move || id.get(), |id: String| async move { api::account(&id).await });
    follow(desk, id, loader);
    let name =
        Signal::derive(move || loader.ready().map_or_else(|| "Account".to_owned(), |one| one.account.name));
    // What is open belongs to one account; it must not be drawn anew whenever that account moves.
    let opened = Memo::new(move |_| loader.ready().map(|one| one.account.id));
    let bench = Bench::new();
    Effect::new(move || {
        id.track();
        bench.clear();
    });
    view! {
        <nav class="crumbs" aria-label="Breadcrumb">
            <a href="/accounts">"Accounts"</a>
        </nav>
        <div class="page-head">
            <div>
                <Title text=name />
                <p class="sub">{move || loader.ready().map(|one| subtitle(&one.account))}</p>
            </div>
            {move || opened.get().map(|_| view! { <AccountActions loader=loader bench=bench /> })}
        </div>
        {move || bench.tested.with(|tested| tested.as_ref().map(test_result))}
        {move || opened.get().map(|id| view! { <SignInAgain id=id loader=loader bench=bench /> })}
        {loaded(loader, 8, move |detail| picture(&detail, desk).into_any())}
        {move || opened.get().map(|_| view! { <SettingsPanel loader=loader /> })}
        {move || loader.ready().map(|detail| served(&detail, desk))}
    }
}

/// Fetches again when the live row differs from what is on the page, once for each row and at most once in each tick of
/// the clock.
fn follow(desk: Desk, id: Memo<String>, loader: Loader<AccountDetail>) {
    let roster = desk.live.roster();
    let row = Memo::new(move |_| {
        desk.clock.now();
        let id = id.get();
        roster.with_untracked(|roster| roster.as_ref().and_then(|roster| roster.find(&id).cloned()))
    });
    // Compared with the page and not with the row before: what the page shows may be older than the first row.
    Effect::new(move |last: Option<(Option<Account>, bool)>| {
        let (asked, was_there) = last.unwrap_or_default();
        let now = row.get();
        let is_there = now.is_some();
        let differs = match (&now, loader.ready()) {
            (Some(now), Some(shown)) => **now != shown.account && asked.as_ref() != Some(now),
            // Deleted, here or elsewhere.
            (None, Some(_)) => was_there,
            (_, None) => false,
        };
        if differs {
            loader.reload();
        }
        (if differs { now } else { asked }, is_there)
    });
}

/// Where its owner signs in again: open when that is needed, or wanted.
#[component]
fn SignInAgain(id: String, loader: Loader<AccountDetail>, bench: Bench) -> impl IntoView {
    let is_needed = Memo::new(move |_| {
        loader
            .ready()
            .is_some_and(|one| one.account.state == AccountStateView::SignInNeeded && is_codex(&one))
    });
    let id = StoredValue::new(id);
    let done = Callback::new(move |_: String| {
        bench.signs_in.set(false);
        loader.reload();
    });
    view! {
        <Show when=move || is_needed.get() || bench.signs_in.get()>
            <section class="panel" aria-labelledby="again-title" data-testid="sign-in-again">
                <div class="panel-head">
                    <div>
                        <h2 id="again-title">"Sign in again"</h2>
                        <p class="sub">"As the same person and workspace; it keeps its settings and its history."</p>
                    </div>
                    <Show when=move || !is_needed.get()>
                        <button type="button" class="button" on:click=move |_| bench.signs_in.set(false)>
                            "Close"
                        </button>
                    </Show>
                </div>
                <SignInPanel account=Some(id.get_value()) on_done=done />
            </section>
        </Show>
    }
}

/// Whether it is a ChatGPT sign-in, which has tokens to refresh and a person behind it.
pub(super) fn is_codex(detail: &AccountDetail) -> bool {
    detail.account.kind == "codex"
}

/// What is, as opposed to what is decided about it.
fn picture(detail: &AccountDetail, desk: Desk) -> impl IntoView + use<> {
    let row = detail.account.clone();
    view! {
        <div class="split">
            {move || windows_panel(&row, desk.clock.now())}
            {facts(detail, desk)}
        </div>
        {cooldowns(&detail.account, desk)}
    }
}

fn served(detail: &AccountDetail, desk: Desk) -> AnyView {
    let recent = detail.recent.clone();
    let table = if recent.is_empty() {
        empty("No recent requests", "What this account serves appears here, while the gateway remembers it.")
            .into_any()
    } else {
        let recent = Signal::derive(move || recent.clone());
        let now = Signal::derive(move || desk.clock.now());
        view! { <DecisionTable decisions=recent now=now caption="Requests this account served last" /> }
            .into_any()
    };
    view! {
        <section class="panel" aria-labelledby="recent-title">
            <div class="panel-head">
                <h2 id="recent-title">"Requests it served last"</h2>
            </div>
            {table}
        </section>
    }
    .into_any()
}

fn windows_panel(account: &AccountView, now: i64) -> impl IntoView + use<> {
    let bars = account.windows.iter().map(|window| window_bar(window, now)).collect_view();
    let unknown = account.windows.is_empty().then(|| {
        let words = if account.kind == "codex" {
            "The upstream tells its windows with the first answer."
        } else {
            "An account that is opened by a key has no windows; its provider limits it in other ways."
        };
        view! { <p class="sub">{words}</p> }
    });
    let pinned = account.pinned.then(|| {
        view! {
            <p class="notice-line sub">
                {icon(Icon::Track)} <span>"Pinned: it serves every request that it can."</span>
            </p>
        }
    });
    view! {
        <section class="panel" aria-labelledby="windows-title">
            <div class="panel-head">
                <h2 id="windows-title">"Windows"</h2>
                {state_cell(account, now)}
            </div>
            <div class="windows tall">{bars} {unknown} {pinned}</div>
        </section>
    }
}

fn cooldowns(account: &AccountView, desk: Desk) -> impl IntoView + use<> {
    let rows = account
        .cooldowns
        .iter()
        .map(|one| {
            let until = one.until;
            let scope = one.model.clone().unwrap_or_else(|| "all models".to_owned());
            view! {
                <tr role="row">
                    <th role="rowheader" scope="row">{sentence_case(&words(&one.cause))}</th>
                    <td role="cell" data-label="For">{scope}</td>
                    <td role="cell" data-label="Ends">
                        <span title=browser::local_time(until)>
                            {move || relative(until, desk.clock.now())}
                        </span>
                    </td>
                    <td role="cell" data-label="Source">{one.source.clone()}</td>
                </tr>
            }
        })
        .collect_view();
    (!account.cooldowns.is_empty()).then(|| {
        view! {
            <section class="panel" aria-labelledby="cooldowns-title">
                <div class="panel-head">
                    <h2 id="cooldowns-title">"Cooldowns"</h2>
                </div>
                <table role="table" class="cards cooldowns" data-testid="cooldowns">
                    <caption class="visually-hidden">"Running cooldowns"</caption>
                    <thead role="rowgroup">
                        <tr role="row">
                            <th role="columnheader" scope="col">"Cause"</th>
                            <th role="columnheader" scope="col">"For"</th>
                            <th role="columnheader" scope="col">"Ends"</th>
                            <th role="columnheader" scope="col">"Source"</th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup">{rows}</tbody>
                </table>
            </section>
        }
    })
}
