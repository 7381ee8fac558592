//! The tries of a request on one time axis: waiting for the first event, then streaming.

use gateway_api::{AttemptView, DecisionView};
use leptos::prelude::*;

use super::badge::outcome_badge;
use crate::logic::answer::path_part;
use crate::logic::time::took;
use crate::logic::tries::{self, Bar};

/// All tries, in order.
pub(crate) fn tries_list(view: &DecisionView) -> impl IntoView + use<> {
    let rows = view
        .attempts
        .iter()
        .zip(tries::bars(view))
        .enumerate()
        .map(|(place, (attempt, bar))| row(place + 1, attempt, &bar))
        .collect_view();
    view! { <ol class="tries">{rows}</ol> }
}

fn row(place: usize, attempt: &AttemptView, bar: &Bar) -> impl IntoView + use<> {
    let status = attempt.upstream_status.map(|status| format!("status {status}"));
    let first = attempt.first_event_ms.map(|ms| format!("first event after {}", took(ms)));
    let start = (attempt.started_ms >= 0.5).then(|| format!("started at {}", took(attempt.started_ms)));
    let transport = attempt.transport.clone().filter(|transport| transport != "http");
    let facts = [status, transport, start, first].into_iter().flatten().collect::<Vec<_>>().join(" · ");
    view! {
        <li class="try" data-testid="attempt-row">
            <div class="try-head">
                <span class="try-place">{place}</span>
                <a href=format!("/accounts/{}", path_part(&attempt.account_id))>{attempt.account_name.clone()}</a>
                {outcome_badge(&attempt.outcome)}
                <span class="sub">{facts}</span>
            </div>
            {axis(bar)}
        </li>
    }
}

fn axis(bar: &Bar) -> impl IntoView + use<> {
    let percent = |share: f64| format!("{:.2}%", share * 100.0);
    view! {
        <svg class="axis" width="100%" height="8" aria-hidden="true">
            <rect class="bar-track" width="100%" height="8" rx="4" />
            <rect class="axis-waiting" x=percent(bar.start) width=percent(bar.waiting) height="8" rx="2" />
            <rect
                class="axis-streaming"
                x=percent(bar.start + bar.waiting)
                width=percent(bar.streaming)
                height="8"
                rx="2"
            />
        </svg>
    }
}
