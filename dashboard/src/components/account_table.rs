//! All accounts with their windows and states, in the order the reader chose.

use gateway_api::{AccountView, Overview};
use leptos::prelude::*;

use super::account_row::AccountRow;
use crate::browser;
use crate::desk::Desk;
use crate::logic::accounts::{SortBy, order, pool_sentence};

const SORT_KEY: &str = "switchyard.accounts.sort";

/// The pool.
#[component]
pub(crate) fn AccountTable(overview: Memo<Option<Overview>>) -> impl IntoView {
    let clock = Desk::get().clock;
    let now = Signal::derive(move || clock.now());
    let accounts = Memo::new(move |_| {
        overview
            .with(|overview| overview.as_ref().map(|overview| overview.accounts.clone()).unwrap_or_default())
    });
    let sort = RwSignal::new(browser::stored(SORT_KEY).map_or(SortBy::Name, |key| SortBy::from_key(&key)));
    let ids = Memo::new(move |_| accounts.with(|accounts| order(accounts, sort.get(), now.get())));
    view! {
        <section class="panel" aria-labelledby="accounts-title">
            <div class="panel-head">
                <div>
                    <h2 id="accounts-title">"Accounts"</h2>
                    <p class="sub">{move || accounts.with(|accounts| pool_sentence(accounts))}</p>
                </div>
                <div class="actions">
                    <SortSelect sort=sort />
                    <a class="button" href="/accounts/add">
                        "Add account"
                    </a>
                </div>
            </div>
            <table role="table" class="cards wide accounts">
                <caption class="visually-hidden">"Accounts with their state and quota windows"</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Account"</th>
                        <th role="columnheader" scope="col">"State"</th>
                        <th role="columnheader" scope="col">"Windows"</th>
                        <th role="columnheader" scope="col">"Load"</th>
                        <th role="columnheader" scope="col">"First event"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">
                    <For each=move || ids.get() key=Clone::clone let(id)>
                        <AccountRow account=one_of(accounts, id) now=now />
                    </For>
                </tbody>
            </table>
            <p class="legend">
                <span class="legend-tick" aria-hidden="true"></span>
                "The tick marks how much of the window's time has passed: a bar beyond it runs out early."
            </p>
        </section>
    }
}

fn one_of(accounts: Memo<Vec<AccountView>>, id: String) -> Memo<Option<AccountView>> {
    Memo::new(move |_| accounts.with(|accounts| accounts.iter().find(|account| account.id == id).cloned()))
}

#[component]
fn SortSelect(sort: RwSignal<SortBy>) -> impl IntoView {
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
        <select id="account-sort" class="select" on:change=choose>
            {options}
        </select>
    }
}
