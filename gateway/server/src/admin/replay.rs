//! Recorded rankings: the trace as a file, and what another policy would have made of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use gateway_api::{DryRun, DryRunView, ReplayDifferenceView, ReplaySideView, ReplayView};
use gateway_core::decisions::Ranking;
use gateway_core::replay::{Difference, ReplayOptions, ReplayReport, SideReport, replay};
use gateway_core::trace;
use gateway_domain::RequestId;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::error::{Body, Refusal};
use super::policies::checked;
use crate::AppState;

/// A dry run keeps a core busy: one at a time.
static DRY_RUNS: Semaphore = Semaphore::const_new(1);
/// Decides no longer than this; what is left is told as left out.
const REPLAY_TIME: Duration = Duration::from_secs(10);
/// The longest anybody waits for an answer: the check asks a slow script some hundred times.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// The query of the trace.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TraceQuery {
    limit: Option<usize>,
    request_id: Option<String>,
}

/// `GET /decisions/trace?limit=&request_id=`: JSON lines, the oldest first.
pub(crate) async fn export(
    State(state): State<AppState>,
    Query(query): Query<TraceQuery>,
) -> Result<Response, Refusal> {
    let rankings = match query.request_id {
        Some(id) => of_request(&state, &id)?,
        None => newest(&state, query.limit),
    };
    if rankings.is_empty() {
        return Err(Refusal::not_found(
            "no ranking is recorded yet: send a request, or see the setting `decisions.traced`",
        ));
    }
    let text = on_a_thread(move || trace::write(&rankings)).await?;
    let text = text.map_err(|error| Refusal::internal(error.to_string()))?;
    let head = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CONTENT_DISPOSITION, "attachment; filename=\"switchyard-trace.jsonl\""),
    ];
    Ok((head, text).into_response())
}

fn newest(state: &AppState, limit: Option<usize>) -> Vec<Arc<Ranking>> {
    let mut rankings = state.gateway.trace().all();
    let left_out = rankings.len().saturating_sub(limit.unwrap_or(usize::MAX));
    rankings.split_off(left_out)
}

fn of_request(state: &AppState, id: &str) -> Result<Vec<Arc<Ranking>>, Refusal> {
    let found = RequestId::parse(id).ok().and_then(|id| state.gateway.decisions().find(&id));
    let traced = || {
        let all = state.gateway.trace().all();
        all.into_iter().filter(|one| one.input.info.request_id.as_str() == id).collect::<Vec<_>>()
    };
    let rankings = found.map_or_else(traced, |decision| decision.snapshot().rankings);
    if rankings.is_empty() {
        return Err(Refusal::not_found(
            "this decision is not kept: the gateway remembers the last ones until it restarts",
        ));
    }
    Ok(rankings)
}

/// `POST /policies/dry-run`.
pub(crate) async fn dry_run(
    State(state): State<AppState>,
    Body(asked): Body<DryRun>,
) -> Result<Json<DryRunView>, Refusal> {
    super::policies::check_name(&asked.name)?;
    let against = asked.against.as_deref().map(|id| state.gateway.policies().find(id)).transpose();
    let against = against.map_err(|error| Refusal::field("against", error.to_string()))?;
    let permit = DRY_RUNS
        .try_acquire()
        .map_err(|_| Refusal::conflict("another dry run is going on; try again in a moment"))?;
    let rankings = newest(&state, asked.limit.map(|limit| limit as usize));
    let workbench = state.workbench.clone();
    let view = on_a_thread(move || {
        let check = checked(&workbench.check(&asked.name, &asked.source), &asked.source);
        let policy = workbench.compile(&asked.name, &asked.source).ok();
        let view = policy.filter(|_| !rankings.is_empty()).map(|policy| {
            let options = ReplayOptions { until: Some(Instant::now() + REPLAY_TIME) };
            replay_view(&replay(&rankings, &*policy, against.as_deref(), options))
        });
        drop(permit);
        DryRunView { check, replay: view }
    });
    Ok(Json(view.await?))
}

/// Work that takes milliseconds and more is no work for the threads that serve.
pub(super) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::time::timeout(ANSWER_TIME, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Refusal::internal(format!("it did not end well: {error}"))),
        Err(_) => Err(Refusal::internal("it takes too long; give it less to do")),
    }
}

/// A replay as the API and the command line tell it.
#[must_use]
pub fn replay_view(report: &ReplayReport) -> ReplayView {
    let micros = |span: Duration| span.as_secs_f64() * 1e6;
    let differences = |all: &[Difference]| all.iter().map(difference).collect();
    ReplayView {
        policy: report.policy.id(),
        digest: report.policy.digest.clone(),
        against: report.against.as_ref().map_or_else(|| "recorded".to_owned(), |other| other.id()),
        decisions: report.decisions as u64,
        left_out: report.left_out as u64,
        sessions: report.sessions as u64,
        own: report.own as u64,
        reproduced: report.reproduced as u64,
        same_first: report.same_first as u64,
        same_order: report.same_order as u64,
        same_bits: report.same_bits as u64,
        now: side(&report.now),
        then: side(&report.then),
        total_ms: micros(report.time.total) / 1e3,
        median_us: micros(report.time.median),
        p99_us: micros(report.time.p99),
        recorded_median_us: micros(report.time.recorded_median),
        not_reproduced: differences(&report.not_reproduced),
        differences: differences(&report.differences),
    }
}

fn side(report: &SideReport) -> ReplaySideView {
    ReplaySideView {
        fallbacks: report.fallbacks as u64,
        failures: report.failures as u64,
        sent: report.sent as u64,
        moved_sessions: report.moved_sessions as u64,
        moves: report.moves as u64,
        mean_cost: report.mean_cost,
        caches_lost: report.caches_lost,
        accounts: report.accounts.iter().map(|(name, count)| (name.clone(), *count as u64)).collect(),
    }
}

fn difference(found: &Difference) -> ReplayDifferenceView {
    ReplayDifferenceView {
        request_id: found.request.clone(),
        was: found.was.clone(),
        was_reason: found.was_reason.clone(),
        is: found.is.clone(),
        is_reason: found.is_reason.clone(),
    }
}
