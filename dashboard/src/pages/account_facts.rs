//! The facts of one account. Twelve cells for each kind, so that every row of the grid is full at two, three, four and
//! six columns.

use gateway_api::AccountDetail;
use leptos::prelude::*;

use super::account::is_codex;
use crate::browser;
use crate::components::fact::{fact, wide_fact};
use crate::desk::Desk;
use crate::logic::draft::egress_words;
use crate::logic::key_account::DIALECTS;
use crate::logic::number::{UNKNOWN, compact, count};
use crate::logic::time::{relative, took};

/// The list.
pub(super) fn facts(detail: &AccountDetail, desk: Desk) -> AnyView {
    let account = &detail.account;
    let tokens = format!("{} in, {} out", compact(detail.tokens.input), compact(detail.tokens.output));
    let failures = format!("{} failed", count(account.failures));
    let of_its_kind = if is_codex(detail) { of_sign_in(detail, desk) } else { of_key(detail) };
    view! {
        <dl class="facts panel">
            {fact("Running now", count(account.in_flight.into()))}
            {fact("Requests", view! { {count(account.requests)} <span class="sub">{failures}</span> })}
            {fact("Tokens", tokens)}
            {fact("First event", account.ttft_ms.map_or_else(|| UNKNOWN.to_owned(), took))}
            {fact("Last used", moment(account.last_used_at, desk))}
            {fact("Added", moment(Some(detail.created_at), desk))}
            {fact("Way out", egress_words(&detail.settings.egress))}
            {of_its_kind}
        </dl>
    }
    .into_any()
}

/// Five cells.
fn of_sign_in(detail: &AccountDetail, desk: Desk) -> AnyView {
    let workspace = detail.workspace_id.clone().map_or_else(
        || view! { <span class="unknown">{UNKNOWN}</span> }.into_any(),
        |id| view! { <code class="break">{id}</code> }.into_any(),
    );
    view! {
        {fact("Windows seen", moment(detail.quota_seen_at, desk))}
        {fact("Access token ends", moment(detail.token_expires_at, desk))}
        {fact("Tokens refreshed", moment(detail.refreshed_at, desk))}
        {wide_fact("Workspace", workspace)}
    }
    .into_any()
}

/// Five cells.
fn of_key(detail: &AccountDetail) -> AnyView {
    let settings = &detail.settings;
    let most =
        settings.max_concurrency.map_or_else(|| "the pool's default".to_owned(), |most| most.to_string());
    let dialects: Vec<&str> = DIALECTS
        .iter()
        .filter(|(key, _)| settings.dialects.contains(*key))
        .map(|(_, words)| *words)
        .collect();
    let dialects = if dialects.is_empty() { "those of its kind".to_owned() } else { dialects.join(", ") };
    let address = settings.base_url.clone().map_or_else(
        || "the usual one of its kind".into_any(),
        |url| view! { <code class="break">{url}</code> }.into_any(),
    );
    view! {
        {fact("Requests at once", most)}
        {wide_fact("Dialects", dialects)}
        {wide_fact("Address", address)}
    }
    .into_any()
}

fn moment(at: Option<i64>, desk: Desk) -> AnyView {
    match at {
        Some(at) => {
            let words = move || relative(at, desk.clock.now());
            view! { <span title=browser::local_time(at)>{words}</span> }.into_any()
        }
        None => view! { <span class="unknown">{UNKNOWN}</span> }.into_any(),
    }
}
