//! One account: its state and windows, its tokens, what it served, and what can be done with it.

use gateway_api::{AccountDetail, AccountView};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::account_actions::AccountActions;
use crate::components::account_row::state_cell;
use crate::components::decision_table::DecisionTable;
use crate::components::fact::{fact, wide_fact};
use crate::components::state::{empty, loaded};
use crate::components::title::Title;
use crate::components::window_bar::window_bar;
use crate::desk::Desk;
use crate::load::Loader;
use crate::logic::accounts::subtitle;
use crate::logic::decisions::{sentence_case, words};
use crate::logic::number::{UNKNOWN, compact, count};
use crate::logic::time::{relative, took};
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
    let has_account = Memo::new(move |_| loader.ready().is_some());
    view! {
        <nav class="crumbs" aria-label="Breadcrumb">
            <a href="/">"Overview"</a>
        </nav>
        <div class="page-head">
            <div>
                <Title text=name />
                <p class="sub">{move || loader.ready().map(|one| subtitle(&one.account))}</p>
            </div>
            <Show when=move || has_account.get()>
                <AccountActions loader=loader />
            </Show>
        </div>
        {loaded(loader, 8, move |detail| account(&detail, desk).into_any())}
    }
}

/// Fetches again when the live row differs from the one on the page, at most once in each tick of the clock.
fn follow(desk: Desk, id: Memo<String>, loader: Loader<AccountDetail>) {
    let live = desk.live.overview();
    let row = Memo::new(move |_| {
        desk.clock.now();
        let id = id.get();
        live.with_untracked(|overview| {
            overview.iter().flat_map(|overview| &overview.accounts).find(|one| one.id == id).cloned()
        })
    });
    Effect::new(move |last: Option<Option<AccountView>>| {
        let now = row.get();
        if last.flatten().is_some_and(|last| now.as_ref() != Some(&last)) {
            loader.reload();
        }
        now
    });
}

fn account(detail: &AccountDetail, desk: Desk) -> impl IntoView + use<> {
    let row = detail.account.clone();
    let recent = detail.recent.clone();
    view! {
        <div class="split">
            {move || windows_panel(&row, desk.clock.now())}
            {facts(detail, desk)}
        </div>
        {cooldowns(&detail.account, desk)}
        <section class="panel" aria-labelledby="recent-title">
            <div class="panel-head">
                <h2 id="recent-title">"Requests it served last"</h2>
            </div>
            {if recent.is_empty() {
                empty("No recent requests", "What this account serves appears here, while the gateway remembers it.")
                    .into_any()
            } else {
                let recent = Signal::derive(move || recent.clone());
                let now = Signal::derive(move || desk.clock.now());
                view! { <DecisionTable decisions=recent now=now caption="Requests this account served last" /> }.into_any()
            }}
        </section>
    }
}

fn windows_panel(account: &AccountView, now: i64) -> impl IntoView + use<> {
    let bars = account.windows.iter().map(|window| window_bar(window, now)).collect_view();
    let unknown = account.windows.is_empty().then(|| {
        view! { <p class="sub">"The upstream tells its windows with the first answer."</p> }
    });
    view! {
        <section class="panel" aria-labelledby="windows-title">
            <div class="panel-head">
                <h2 id="windows-title">"Windows"</h2>
                {state_cell(account, now)}
            </div>
            <div class="windows tall">{bars} {unknown}</div>
        </section>
    }
}

fn facts(detail: &AccountDetail, desk: Desk) -> impl IntoView + use<> {
    let moment = move |at: Option<i64>| match at {
        Some(at) => {
            let words = move || relative(at, desk.clock.now());
            view! { <span title=browser::local_time(at)>{words}</span> }.into_any()
        }
        None => view! { <span class="unknown">{UNKNOWN}</span> }.into_any(),
    };
    let account = &detail.account;
    let tokens = format!("{} in, {} out", compact(detail.tokens.input), compact(detail.tokens.output));
    let failures = format!("{} failed", count(account.failures));
    view! {
        <dl class="facts panel">
            {fact("Running now", count(account.in_flight.into()))}
            {fact("Requests", view! { {count(account.requests)} <span class="sub">{failures}</span> })}
            {fact("Tokens", tokens)}
            {fact("First event", account.ttft_ms.map_or_else(|| UNKNOWN.to_owned(), took))}
            {fact("Last used", moment(account.last_used_at))}
            {fact("Windows seen", moment(detail.quota_seen_at))}
            {fact("Access token ends", moment(detail.token_expires_at))}
            {fact("Tokens refreshed", moment(detail.refreshed_at))}
            {fact("Added", moment(Some(detail.created_at)))}
            {wide_fact("Workspace", detail.workspace_id.clone().map_or_else(
                || view! { <span class="unknown">{UNKNOWN}</span> }.into_any(),
                |id| view! { <code class="break">{id}</code> }.into_any(),
            ))}
        </dl>
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
