//! All accounts: filtered, in an order, in pages, and several at once. Made for three accounts and for ten thousand.

use std::collections::BTreeSet;

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::overview::FirstAccount;
use crate::browser;
use crate::components::account_filters::{AccountFilters, FilterParts};
use crate::components::account_row::Picked;
use crate::components::account_table::{AccountTable, SortSelect, sentence, stored_order};
use crate::components::bulk_bar::BulkBar;
use crate::components::export_dialog::{Chosen, ExportDialog};
use crate::components::pager::Pager;
use crate::components::state::skeleton;
use crate::components::title::Title;
use crate::desk::Desk;
use crate::logic::account_filter::Filter;
use crate::logic::account_order::order;
use crate::logic::answer::path_part;
use crate::logic::paging::Page;
use crate::logic::roster::{Account, Roster};

/// Where the list begins, for leafing.
const TOP: &str = "accounts-list";

/// Fed by the event stream; in a large pool the list is read beside it.
#[component]
pub(crate) fn AccountsPage() -> impl IntoView {
    let desk = Desk::get();
    desk.live.keep_all();
    let roster = desk.live.roster();
    let size = Memo::new(move |_| roster.with(|roster| roster.as_ref().map(Roster::len)));
    let has_some = move || size.get() > Some(0);
    let is_exporting = RwSignal::new(false);
    view! {
        <div class="page-head">
            <div>
                <Title text="Accounts".to_owned() />
                <p class="sub">{move || sentence(desk)}</p>
            </div>
            <div class="actions">
                <Show when=has_some>
                    <button type="button" class="button" data-testid="export-all" on:click=move |_| is_exporting.set(true)>
                        "Export all…"
                    </button>
                </Show>
                <a class="button primary" href="/accounts/new">
                    "Add account"
                </a>
            </div>
        </div>
        {move || match size.get().map(|size| size > 0) {
            None => skeleton(6).into_any(),
            Some(false) => view! { <FirstAccount /> }.into_any(),
            Some(true) => view! { <List roster=roster /> }.into_any(),
        }}
        <ExportDialog
            is_open=is_exporting
            title="Export all accounts?"
            chosen=Signal::stored(Chosen { ids: Vec::new(), can_be_auth_json: false })
        />
    }
}

#[component]
fn List(roster: RwSignal<Option<Roster>>) -> impl IntoView {
    let desk = Desk::get();
    let query = use_query_map();
    let value = |name: &str| query.read_untracked().get(name);
    let parts = FilterParts::read(value);
    let number =
        RwSignal::new(value("page").and_then(|page| page.parse::<usize>().ok()).unwrap_or(1).max(1) - 1);
    let sort = RwSignal::new(stored_order());
    let picked: Picked = RwSignal::new(BTreeSet::new());

    let filter = Memo::new(move |_| parts.filter());
    // Without the clock: what moves with time comes with the next event anyway, and rows must not jump every second.
    let matching = Memo::new(move |_| {
        let filter = filter.get();
        let kept = roster.with(|roster| {
            let accounts = roster.iter().flat_map(Roster::iter);
            accounts.filter(|account| filter.keeps(account)).cloned().collect()
        });
        order(kept, sort.get(), untrack(|| desk.clock.now()))
    });
    let page = Memo::new(move |_| Page::of(number.get(), matching.with(Vec::len)));
    let is_found = move || page.get().total > 0;
    let rows = Memo::new(move |_| matching.with(|rows| page.get().slice(rows).to_vec()));
    begin_at_the_first_page(filter, number);
    forget_what_is_gone(picked, roster);
    keep_in_address(parts, number);
    view! {
        <section class="panel" id=TOP aria-label="Accounts">
            <div class="list-head">
                <AccountFilters parts=parts filter=filter roster=roster />
                <SortSelect sort=sort />
            </div>
            <BulkBar picked=picked matching=matching roster=roster />
            <Show
                when=is_found
                fallback=move || {
                    view! {
                        <div class="empty" data-testid="none-fits">
                            <p class="empty-heading">"No account fits"</p>
                            <p>"None of the accounts in the pool is what the filters ask for."</p>
                            <div class="actions">
                                <button type="button" class="button" on:click=move |_| parts.clear()>
                                    "Show all"
                                </button>
                            </div>
                        </div>
                    }
                }
            >
                <PickPage picked=picked page=page rows=rows />
                <AccountTable rows=rows picked=Some(picked) />
                <Pager page=page number=number top=TOP />
            </Show>
        </section>
    }
}

/// Ticks every row of the page, and says which part of the list it is.
#[component]
fn PickPage(picked: Picked, page: Memo<Page>, rows: Memo<Vec<Account>>) -> impl IntoView {
    let all = Memo::new(move |_| {
        picked.with(|picked| rows.with(|rows| rows.iter().all(|account| picked.contains(&account.id))))
    });
    let change = move |event| {
        let is_on = event_target_checked(&event);
        let ids =
            rows.with_untracked(|rows| rows.iter().map(|account| account.id.clone()).collect::<Vec<_>>());
        picked.update(|picked| {
            for id in ids {
                let _was_there = if is_on { picked.insert(id) } else { picked.remove(&id) };
            }
        });
    };
    view! {
        <div class="list-sum">
            <label class="pick">
                <input
                    type="checkbox"
                    data-testid="pick-page"
                    prop:checked=move || all.get()
                    on:change=change
                />
                <span>"Select this page"</span>
            </label>
            <span class="sub" data-testid="list-sum" role="status">
                {move || page.get().words()}
            </span>
        </div>
    }
}

/// Another question is answered from the beginning.
fn begin_at_the_first_page(filter: Memo<Filter>, number: RwSignal<usize>) {
    Effect::new(move |last: Option<()>| {
        filter.track();
        if last.is_some() {
            number.set(0);
        }
    });
}

/// An account that was deleted elsewhere must not stay among the ticked ones.
fn forget_what_is_gone(picked: Picked, roster: RwSignal<Option<Roster>>) {
    let size = Memo::new(move |_| roster.with(|roster| roster.as_ref().map(Roster::len)));
    Effect::new(move || {
        size.track();
        let known: BTreeSet<String> = roster.with_untracked(|roster| {
            roster.iter().flat_map(Roster::iter).map(|account| account.id.clone()).collect()
        });
        if picked.with_untracked(|picked| !picked.is_subset(&known)) {
            picked.update(|picked| picked.retain(|id| known.contains(id)));
        }
    });
}

/// Going back from an account, or reloading, shows the same part of the list.
fn keep_in_address(parts: FilterParts, number: RwSignal<usize>) {
    Effect::new(move |last: Option<String>| {
        let page = number.get();
        let page = if page == 0 { String::new() } else { (page + 1).to_string() };
        let query = parts
            .pairs()
            .into_iter()
            .chain([("page", page)])
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", path_part(&value)))
            .collect::<Vec<_>>()
            .join("&");
        if last.is_some_and(|last| last != query) {
            browser::put_query(&query);
        }
        query
    });
}
