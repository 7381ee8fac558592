//! One account in the table of the overview.

use gateway_api::AccountView;
use leptos::prelude::*;

use super::badge::badge;
use super::window_bar::window_bar;
use crate::logic::accounts::{failure_note, state_note, state_tone, state_word, subtitle};
use crate::logic::answer::path_part;
use crate::logic::number::{UNKNOWN, plural};
use crate::logic::time::{ago, took};

/// Redrawn in place when this account changes or the clock ticks; the elements stay.
#[component]
pub(crate) fn AccountRow(
    account: Memo<Option<AccountView>>,
    #[prop(into)] now: Signal<i64>,
) -> impl IntoView {
    move || account.get().map(|account| row(&account, now.get()))
}

fn row(account: &AccountView, now: i64) -> impl IntoView + use<> {
    let used =
        account.last_used_at.map_or_else(|| "never used".to_owned(), |at| format!("used {}", ago(at, now)));
    view! {
        <tr role="row" class="account-row" data-testid="account-row" data-account-id=account.id.clone()>
            <th role="rowheader" scope="row" class="account-who">
                <a href=format!("/accounts/{}", path_part(&account.id)) class="row-link" data-testid="account-name">
                    {account.name.clone()}
                </a>
                <span class="sub">{subtitle(account)}</span>
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

fn windows_cell(account: &AccountView, now: i64) -> impl IntoView + use<> {
    if account.windows.is_empty() {
        return view! { <span class="sub">"Windows are known after the first answer"</span> }.into_any();
    }
    let bars = account.windows.iter().map(|window| window_bar(window, now)).collect_view();
    view! { <div class="windows">{bars}</div> }.into_any()
}
