//! The candidates of one ranking with the numbers the policy saw, best first.

use gateway_api::{CandidateView, RankingView};
use leptos::prelude::*;

use super::badge::health_badge;
use super::window_bar::share_cell;
use crate::logic::answer::path_part;
use crate::logic::decisions::{Tried, score_bars, unranked_note};
use crate::logic::number::{UNKNOWN, percent, score};
use crate::logic::time::{span, took};

/// The table. `tried` names the accounts that were tried because of this ranking, and what came of it.
pub(crate) fn candidate_table(ranking: &RankingView, tried: &[(String, Tried)]) -> impl IntoView + use<> {
    let bars = score_bars(&ranking.candidates);
    let rows = ranking
        .candidates
        .iter()
        .zip(bars)
        .map(|(candidate, bar)| row(candidate, bar, tried_as(tried, candidate)))
        .collect_view();
    view! {
        <table role="table" class="cards wide candidates">
            <caption class="visually-hidden">"Candidates in the order of their rank"</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col" class="number">"Rank"</th>
                    <th role="columnheader" scope="col">"Account"</th>
                    <th role="columnheader" scope="col">"Score"</th>
                    <th role="columnheader" scope="col">"Short window"</th>
                    <th role="columnheader" scope="col">"Long window"</th>
                    <th role="columnheader" scope="col" class="number">"Running"</th>
                    <th role="columnheader" scope="col" class="number">"First event"</th>
                    <th role="columnheader" scope="col" class="number">"Errors"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
    }
}

fn tried_as(tried: &[(String, Tried)], candidate: &CandidateView) -> Option<Tried> {
    tried.iter().find(|(id, _)| *id == candidate.account_id).map(|(_, tried)| *tried)
}

fn row(candidate: &CandidateView, bar: Option<f64>, tried: Option<Tried>) -> impl IntoView + use<> {
    let resets =
        |ms: Option<u64>| ms.map(|ms| format!("resets in {}", span(i64::try_from(ms).unwrap_or(i64::MAX))));
    view! {
        <tr
            role="row"
            data-testid="candidate-row"
            data-account-id=candidate.account_id.clone()
            class:chosen=tried == Some(Tried::Served)
            class:unranked=candidate.rank.is_none()
        >
            <td role="cell" class="number candidate-rank">
                {candidate.rank.map_or_else(|| UNKNOWN.to_owned(), |rank| rank.to_string())}
            </td>
            {who(candidate, tried)}
            <td role="cell" class="candidate-score">{score_cell(candidate, bar)}</td>
            <td role="cell" data-label="Short window">
                {share_cell(candidate.short_window_used, resets(candidate.short_window_resets_in_ms))}
            </td>
            <td role="cell" data-label="Long window">
                {share_cell(candidate.long_window_used, resets(candidate.long_window_resets_in_ms))}
            </td>
            <td role="cell" class="number" data-label="Running">
                {format!("{} / {}", candidate.in_flight, candidate.max_concurrency)}
            </td>
            <td role="cell" class="number" data-label="First event">
                {candidate.ttft_ms.map_or_else(|| UNKNOWN.to_owned(), took)}
            </td>
            <td role="cell" class="number" data-label="Errors">
                {percent(candidate.error_rate)}
            </td>
        </tr>
    }
}

fn who(candidate: &CandidateView, tried: Option<Tried>) -> impl IntoView + use<> {
    view! {
        <th role="rowheader" scope="row" class="candidate-who">
            <a href=format!("/accounts/{}", path_part(&candidate.account_id))>{candidate.account_name.clone()}</a>
            <span class="chips">
                {tried.map(|tried| match tried {
                    Tried::Served => view! { <span class="tag accent">"chosen"</span> },
                    Tried::Failed => view! { <span class="tag">"tried, failed"</span> },
                })}
                {health_badge(&candidate.health)}
                {candidate.session_affine.then(|| view! { <span class="tag">"same conversation"</span> })}
            </span>
        </th>
    }
}

fn score_cell(candidate: &CandidateView, bar: Option<f64>) -> AnyView {
    match (candidate.score, bar) {
        (Some(value), Some(share)) => view! {
            <div class="score-cell">
                <span class="share-figure">{score(value)}</span>
                <svg class="bar" data-level="score" width="100%" height="8" aria-hidden="true">
                    <rect class="bar-track" width="100%" height="8" rx="4" />
                    <rect class="bar-fill" width=format!("{:.2}%", share * 100.0) height="8" rx="4" />
                </svg>
            </div>
        }
        .into_any(),
        _ => {
            let note = unranked_note(candidate).unwrap_or_else(|| "no score given".to_owned());
            view! { <span class="sub">{note}</span> }.into_any()
        }
    }
}
