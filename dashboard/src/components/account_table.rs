//! Accounts as rows, in the order they are given; and the pool on the overview.

use gateway_api::PoolTotals;
use leptos::prelude::*;

use super::account_row::{AccountRow, Picked};
use crate::browser;
use crate::desk::Desk;
use crate::logic::account_order::{SortBy, order};
use crate::logic::accounts::pool_sentence;
use crate::logic::number::plural;
use crate::logic::roster::{Account, Roster};

const SORT_KEY: &str = "switchyard.accounts.sort";

/// Rows on the overview; the page of the accounts has the rest.
const SHOWN: usize = 20;

/// The order that was chosen last in this browser.
pub(crate) fn stored_order() -> SortBy {
    browser::stored(SORT_KEY).map_or(SortBy::Name, |key| SortBy::from_key(&key))
}

/// The pool on the overview: everyone, or the first of many.
#[component]
pub(crate) fn PoolPanel() -> impl IntoView {
    let desk = Desk::get();
    let roster = desk.live.roster();
    let sort = RwSignal::new(stored_order());
    let rows = Memo::new(move |_| {
        let accounts = roster.with(|roster| roster.iter().flat_map(Roster::iter).cloned().collect());
        let now = untrack(|| desk.clock.now());
        let mut rows = order(accounts, sort.get(), now);
        rows.truncate(SHOWN);
        rows
    });
    let total = Memo::new(move |_| totals(desk).map_or(0, |pool| pool.accounts));
    let more = move || total.get().saturating_sub(SHOWN) as u64;
    let has_more = move || more() > 0;
    view! {
        <section class="panel" aria-labelledby="accounts-title">
            <div class="panel-head">
                <div>
                    <h2 id="accounts-title">"Accounts"</h2>
                    <p class="sub">{move || sentence(desk)}</p>
                </div>
                <div class="actions">
                    <SortSelect sort=sort />
                    <a class="button" href="/accounts/new">
                        "Add account"
                    </a>
                </div>
            </div>
            <AccountTable rows=rows picked=None />
            <div class="panel-foot">
                <p class="legend">
                    <span class="legend-tick" aria-hidden="true"></span>
                    "The tick marks how much of the window's time has passed: a bar beyond it runs out early."
                </p>
                <Show when=has_more>
                    <a class="button" href="/accounts">
                        {move || plural(more(), "more account", "more accounts")}
                    </a>
                </Show>
            </div>
        </section>
    }
}

fn totals(desk: Desk) -> Option<PoolTotals> {
    desk.live.overview().with(|overview| overview.as_ref().map(|overview| overview.pool))
}

/// The pool in one sentence; tracked.
pub(crate) fn sentence(desk: Desk) -> Option<String> {
    totals(desk).map(|pool| pool_sentence(pool.serving, pool.accounts))
}

/// The table. Rows keep their elements while they move.
#[component]
pub(crate) fn AccountTable(rows: Memo<Vec<Account>>, picked: Option<Picked>) -> impl IntoView {
    let clock = Desk::get().clock;
    let now = Signal::derive(move || clock.now());
    let ids = Memo::new(move |_| {
        rows.with(|rows| rows.iter().map(|account| account.id.clone()).collect::<Vec<_>>())
    });
    let pick_head = picked.map(|_| {
        view! {
            <th role="columnheader" scope="col">
                <span class="visually-hidden">"Selected"</span>
            </th>
        }
    });
    view! {
        <table role="table" class="cards wide accounts" class:pickable=picked.is_some()>
            <caption class="visually-hidden">"Accounts with their state and quota windows"</caption>
            <thead role="rowgroup">
                <tr role="row">
                    {pick_head}
                    <th role="columnheader" scope="col">"Account"</th>
                    <th role="columnheader" scope="col">"State"</th>
                    <th role="columnheader" scope="col">"Windows"</th>
                    <th role="columnheader" scope="col">"Load"</th>
                    <th role="columnheader" scope="col">"First event"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">
                <For each=move || ids.get() key=Clone::clone let(id)>
                    <AccountRow account=one_of(rows, id) now=now picked=picked />
                </For>
            </tbody>
        </table>
    }
}

fn one_of(rows: Memo<Vec<Account>>, id: String) -> Memo<Option<Account>> {
    Memo::new(move |_| rows.with(|rows| rows.iter().find(|account| account.id == id).cloned()))
}

/// The order to choose, kept in this browser.
#[component]
pub(crate) fn SortSelect(sort: RwSignal<SortBy>) -> impl IntoView {
    let choose = move |event| {
        let by = SortBy::from_key(&event_target_value(&event));
        browser::store(SORT_KEY, by.key());
        sort.set(by);
    };
    let options = SortBy::ALL.map(|by| {
        view! {
            <option value=by.key() prop:selected=move || sort.get() == by>
                {by.label()}
            </option>
        }
    });
    view! {
        <label class="visually-hidden" for="account-sort">
            "Order of the accounts"
        </label>
        <select id="account-sort" data-testid="account-sort" class="select" on:change=choose>
            {options}
        </select>
    }
}
