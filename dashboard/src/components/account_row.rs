//! One account in a table: what it is, how it is, its windows and its load.

use std::collections::BTreeSet;

use gateway_api::AccountView;
use leptos::prelude::*;

use super::badge::badge;
use super::window_bar::window_bar;
use crate::logic::accounts::{failure_note, state_note, state_tone, state_word, subtitle};
use crate::logic::answer::path_part;
use crate::logic::number::{UNKNOWN, plural};
use crate::logic::roster::Account;
use crate::logic::time::{ago, took};

/// Groups and tags shown in a row; the rest is a number.
const CHIPS: usize = 4;

/// The ids of the rows that were ticked.
pub(crate) type Picked = RwSignal<BTreeSet<String>>;

/// Redrawn in place when this account changes or the clock ticks; the elements stay. With `picked`, it can be ticked.
#[component]
pub(crate) fn AccountRow(
    account: Memo<Option<Account>>,
    #[prop(into)] now: Signal<i64>,
    picked: Option<Picked>,
) -> impl IntoView {
    move || account.get().map(|account| row(&account, now.get(), picked))
}

fn row(account: &AccountView, now: i64, picked: Option<Picked>) -> impl IntoView + use<> {
    let used =
        account.last_used_at.map_or_else(|| "never used".to_owned(), |at| format!("used {}", ago(at, now)));
    view! {
        <tr role="row" class="account-row" data-testid="account-row" data-account-id=account.id.clone()>
            {picked.map(|picked| tick(account, picked))}
            <th role="rowheader" scope="row" class="account-who">
                <a href=format!("/accounts/{}", path_part(&account.id)) class="row-link" data-testid="account-name">
                    {account.name.clone()}
                </a>
                <span class="sub">{subtitle(account)}</span>
                {chips(account)}
            </th>
            <td role="cell" class="account-state">{state_cell(account, now)}</td>
            <td role="cell" class="account-windows">{windows_cell(account, now)}</td>
            <td role="cell" class="account-load">
                <span class="figure-line">
                    {plural(account.requests, "request", "requests")}
                    {(account.in_flight > 0)
                        .then(|| view! { <span class="running">{format!("{} running", account.in_flight)}</span> })}
                </span>
                <span class="sub">
                    {[Some(used), failure_note(account)].into_iter().flatten().collect::<Vec<_>>().join(" · ")}
                </span>
            </td>
            <td role="cell" class="account-ttft">
                <span class="cell-label">"First event "</span>
                {account.ttft_ms.map_or_else(|| UNKNOWN.to_owned(), took)}
            </td>
        </tr>
    }
}

fn tick(account: &AccountView, picked: Picked) -> AnyView {
    let (id, own) = (account.id.clone(), account.id.clone());
    let change = move |event| {
        let is_on = event_target_checked(&event);
        picked.update(|picked| {
            let _was_there = if is_on { picked.insert(id.clone()) } else { picked.remove(&id) };
        });
    };
    view! {
        <td role="cell" class="account-pick">
            <label class="pick">
                <span class="visually-hidden">{format!("Select {}", account.name)}</span>
                <input
                    type="checkbox"
                    data-testid="account-pick"
                    prop:checked=move || picked.with(|picked| picked.contains(&own))
                    on:change=change
                />
            </label>
        </td>
    }
    .into_any()
}

/// Pin, groups and tags, as far as there are any.
fn chips(account: &AccountView) -> Option<AnyView> {
    let words: Vec<&String> = account.groups.iter().chain(&account.tags).collect();
    if words.is_empty() && !account.pinned {
        return None;
    }
    let more = words.len().saturating_sub(CHIPS);
    let shown = words.into_iter().take(CHIPS).map(|word| view! { <span class="tag">{word.clone()}</span> });
    let chips = view! {
        <span class="chips">
            {account.pinned.then(|| view! { <span class="tag accent">"pinned"</span> })}
            {shown.collect_view()}
            {(more > 0).then(|| view! { <span class="tag">{format!("+{more}")}</span> })}
        </span>
    };
    Some(chips.into_any())
}

/// The state with what explains it. Also at the top of the account's own page.
pub(crate) fn state_cell(account: &AccountView, now: i64) -> impl IntoView + use<> {
    let note = state_note(account, now);
    view! {
        <div class="state-cell" data-testid="account-state">
            {badge(state_tone(account.state), state_word(account.state).to_owned())}
            {note.map(|note| view! { <span class="sub">{note}</span> })}
        </div>
    }
}

fn windows_cell(account: &AccountView, now: i64) -> AnyView {
    if account.windows.is_empty() {
        // A key has no windows that could ever be told.
        let note =
            if account.kind == "codex" { "Windows are known after the first answer" } else { "No windows" };
        return view! { <span class="sub">{note}</span> }.into_any();
    }
    let bars = account.windows.iter().map(|window| window_bar(window, now)).collect_view();
    view! { <div class="windows">{bars}</div> }.into_any()
}
