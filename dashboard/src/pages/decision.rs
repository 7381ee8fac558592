//! One request: why this account. The sentence first, then the ranking with its numbers, then the tries.

use gateway_api::{DecisionView, RankingView};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use crate::components::badge::{language_badge, outcome_badge};
use crate::components::candidate_table::candidate_table;
use crate::components::fact::{fact, wide_fact};
use crate::components::state::loaded;
use crate::components::title::Title;
use crate::components::tries::tries_list;
use crate::desk::Desk;
use crate::load::Loader;
use crate::logic::decisions::{
    Tried, explanation, fallback_sentence, full_sentence, headline, is_running, outcome_tone,
};
use crate::logic::number::{UNKNOWN, bytes, count};
use crate::logic::time::{ago, took, took_us};
use crate::{api, browser};

/// Fetched once; again each second while the request runs.
#[component]
pub(crate) fn DecisionPage() -> impl IntoView {
    let desk = Desk::get();
    let params = use_params_map();
    let loader = Loader::new(
        move || params.with(|params| params.get("id").unwrap_or_default()),
        |id: String| async move { api::decision(&id).await },
    );
    let runs = Memo::new(move |_| loader.ready().is_some_and(|view| is_running(&view.summary.outcome)));
    Effect::new(move || {
        desk.clock.now();
        if runs.get() {
            loader.reload();
        }
    });
    view! {
        <nav class="crumbs" aria-label="Breadcrumb">
            <a href="/">"Overview"</a>
            <a href="/decisions">"Decisions"</a>
        </nav>
        <div class="page-head">
            <Title text="Why this account".to_owned() />
        </div>
        {loaded(loader, 8, move |view| decision(&view, desk).into_any())}
    }
}

fn decision(view: &DecisionView, desk: Desk) -> impl IntoView + use<> {
    let rankings = view
        .rankings
        .iter()
        .enumerate()
        .map(|(place, ranking)| ranking_panel(view, place, ranking))
        .collect_view();
    let tries = (!view.attempts.is_empty()).then(|| {
        view! {
            <section class="panel" aria-labelledby="tries-title">
                <div class="panel-head">
                    <h2 id="tries-title">"Tries"</h2>
                    <p class="axis-legend sub">
                        <span class="key waiting" aria-hidden="true"></span>
                        "waiting for the first event"
                        <span class="key streaming" aria-hidden="true"></span>
                        "answering"
                    </p>
                </div>
                {tries_list(view)}
            </section>
        }
    });
    view! {
        {answer(view)}
        {facts(view, desk)}
        {rankings}
        {tries}
    }
}

/// The sentence.
fn answer(view: &DecisionView) -> impl IntoView + use<> {
    let why = explanation(view);
    view! {
        <div class="answer" data-testid="decision-sentence" data-tone=outcome_tone(&view.summary.outcome)>
            <p class="answer-first">{headline(view)}</p>
            {(!why.is_empty()).then(|| view! { <p class="answer-why">{why}</p> })}
        </div>
    }
}

fn facts(view: &DecisionView, desk: Desk) -> impl IntoView + use<> {
    let summary = &view.summary;
    let at = summary.at;
    let when = move || ago(at, desk.clock.now());
    let status = summary.status.map_or_else(|| UNKNOWN.to_owned(), |status| status.to_string());
    let edits =
        if view.edits.is_empty() { "passed through untouched".to_owned() } else { view.edits.join(", ") };
    let tokens = view.usage.map_or_else(
        || UNKNOWN.to_owned(),
        |usage| {
            format!(
                "{} in, {} cached, {} out",
                count(usage.input),
                count(usage.input_cached),
                count(usage.output)
            )
        },
    );
    let session = view.session.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    let kind = if view.streaming { "stream" } else { "one answer" };
    view! {
        <dl class="facts panel">
            {fact("Outcome", view! { {outcome_badge(&summary.outcome)} <span class="sub">"status " {status}</span> })}
            {fact("Arrived", view! { <span title=browser::local_time(at)>{when}</span> })}
            {fact("Took", summary.duration_ms.map_or_else(|| UNKNOWN.to_owned(), took))}
            {fact("Model", summary.model.clone())}
            {fact("Client", summary.client.clone())}
            {fact("Tokens", tokens)}
            {fact("Route", view! { <code>{view.route.clone()}</code> <span class="sub">{kind}</span> })}
            {fact("Body", view! { {bytes(view.body_bytes)} <span class="sub">{edits}</span> })}
            {wide_fact("Conversation", view! { <code class="break">{session}</code> })}
            {wide_fact("Request id", view! { <code class="break">{summary.request_id.clone()}</code> })}
        </dl>
    }
}

fn ranking_panel(view: &DecisionView, place: usize, ranking: &RankingView) -> impl IntoView + use<> {
    let tried: Vec<(String, Tried)> = view
        .attempts
        .iter()
        .filter(|attempt| usize::try_from(attempt.ranking) == Ok(place))
        .map(|attempt| (attempt.account_id.clone(), Tried::from_outcome(&attempt.outcome)))
        .collect();
    let title = if view.rankings.len() > 1 { format!("Ranking {}", place + 1) } else { "Ranking".to_owned() };
    let reason = (view.rankings.len() > 1).then(|| full_sentence(&ranking.reason));
    let fallback = fallback_sentence(ranking);
    view! {
        <section class="panel" aria-label=title.clone()>
            <div class="panel-head">
                <div>
                    <h2>{title.clone()}</h2>
                    <p class="sub">{reason}</p>
                </div>
                <p class="ranking-by">
                    "by "
                    <strong>{ranking.policy.name.clone()}</strong>
                    {language_badge(&ranking.policy.language)}
                    <span class="sub">"in " {took_us(ranking.took_us)}</span>
                </p>
            </div>
            {fallback.map(|text| view! { <p class="notice" data-tone="warn">{text}</p> })}
            {candidate_table(ranking, &tried)}
            {replay(ranking)}
        </section>
    }
}

/// What it takes to ask the same policy the same question again.
fn replay(ranking: &RankingView) -> impl IntoView + use<> {
    view! {
        <details class="replay">
            <summary>"Inputs for a replay"</summary>
            <dl class="facts plain">
                {fact("Policy", view! { <code>{ranking.policy.id.clone()}</code> })}
                {fact("Digest", view! { <code>{ranking.policy.digest.clone()}</code> })}
                {fact("Action", ranking.action.clone())}
                {fact("Clock", view! { <code>{ranking.now.to_string()}</code> })}
                {fact("Seed", view! { <code class="break">{ranking.seed.clone()}</code> })}
                {fact("Sequence", view! { <code>{ranking.seq.to_string()}</code> })}
            </dl>
        </details>
    }
}
