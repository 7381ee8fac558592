//! A list of decisions: which request, where it went, how it ended.

use gateway_api::DecisionSummary;
use leptos::prelude::*;

use super::badge::outcome_badge;
use crate::browser;
use crate::logic::answer::path_part;
use crate::logic::number::UNKNOWN;
use crate::logic::time::{ago, took};

/// Newest first, as they come.
#[component]
pub(crate) fn DecisionTable(
    #[prop(into)] decisions: Signal<Vec<DecisionSummary>>,
    #[prop(into)] now: Signal<i64>,
    caption: &'static str,
) -> impl IntoView {
    // Keyed by the request, so that a row keeps its element (and the focus) while newer ones push it down.
    let ids = Memo::new(move |_| {
        decisions.with(|decisions| decisions.iter().map(|one| one.request_id.clone()).collect::<Vec<_>>())
    });
    let one = move |id: String| {
        Memo::new(move |_| decisions.with(|all| all.iter().find(|one| one.request_id == id).cloned()))
    };
    view! {
        <table role="table" class="cards decisions">
            <caption class="visually-hidden">{caption}</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Request"</th>
                    <th role="columnheader" scope="col">"Account"</th>
                    <th role="columnheader" scope="col">"Outcome"</th>
                    <th role="columnheader" scope="col" class="number">"Took"</th>
                    <th role="columnheader" scope="col" class="number">"When"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">
                <For each=move || ids.get() key=Clone::clone let(id)>
                    {
                        let decision = one(id);
                        move || decision.get().map(|decision| row(&decision, now.get()))
                    }
                </For>
            </tbody>
        </table>
    }
}

fn row(decision: &DecisionSummary, now: i64) -> impl IntoView + use<> {
    let account = decision.account_name.clone().unwrap_or_else(|| "no account".to_owned());
    let retried = (decision.attempts > 1).then(|| format!("{} tries", decision.attempts));
    view! {
        <tr role="row" data-testid="decision-row" data-request-id=decision.request_id.clone()>
            <th role="rowheader" scope="row" class="decision-what">
                <a href=format!("/decisions/{}", path_part(&decision.request_id)) class="row-link">
                    {decision.model.clone()}
                </a>
                <span class="sub">{decision.client.clone()}</span>
            </th>
            <td role="cell" class="decision-where">
                <span class="strong">{account}</span>
                <span class="sub clip">
                    {[retried, Some(decision.reason.clone())]
                        .into_iter()
                        .flatten()
                        .filter(|words| !words.is_empty())
                        .collect::<Vec<_>>()
                        .join(" · ")}
                </span>
            </td>
            <td role="cell" class="decision-outcome">{outcome_badge(&decision.outcome)}</td>
            <td role="cell" class="number decision-took">
                {decision.duration_ms.map_or_else(|| UNKNOWN.to_owned(), took)}
            </td>
            <td role="cell" class="number decision-when" title=browser::local_time(decision.at)>
                {ago(decision.at, now)}
            </td>
        </tr>
    }
}
