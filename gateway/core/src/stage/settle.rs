//! The end of every request, exactly once: usage, health, decision, counters, log. Opened before anything else, closed
//! by completing, failing, or (a caller that hung up) by being dropped.

use std::sync::Arc;
use std::time::Duration;

use gateway_domain::{
    AccountId, AccountKind, Failure, FailureKind, Origin, RequestId, Timestamp, TokenUsage,
};
use gateway_scheduler::{Ending, HardTie, Tie, TieKey};
use tokio::time::Instant;

use super::call::{self, Call};
use super::decode::Decoded;
use super::schedule::{LeaseGuard, Scheduled};
use super::{Received, Route};
use crate::Gateway;
use crate::decisions::{Attempt, Decision, Outcome, Ranking};
use crate::hooks::{UsageOutcome, UsageRecord};
use crate::ports::{Ended, SettlementRecord, Transport};

/// The accounting of one running request.
#[must_use = "dropping it settles the request as abandoned by its caller"]
pub(crate) struct Settlement {
    gateway: Arc<Gateway>,
    decision: Arc<Decision>,
    route: Route,
    transport: Transport,
    at: Timestamp,
    started: Instant,
    overhead: Option<Duration>,
    first_event: Option<Duration>,
    attempt: Option<RunningAttempt>,
    settled: bool,
}

struct RunningAttempt {
    started: Instant,
    lease: Option<LeaseGuard>,
}

impl Settlement {
    /// Opens the accounting of a request that just arrived.
    pub(crate) fn open(gateway: &Arc<Gateway>, received: &Received) -> Self {
        gateway.traffic.lock().arrived(received.at.as_secs());
        let Received { at, route, transport, .. } = *received;
        let decision = Decision::open(received.id.clone(), at, route, transport, received.body.len());
        Self {
            gateway: gateway.clone(),
            decision: Arc::new(decision),
            route,
            transport,
            at,
            started: received.started,
            overhead: None,
            first_event: None,
            attempt: None,
            settled: false,
        }
    }

    /// The request's id.
    pub(crate) fn id(&self) -> &RequestId {
        &self.decision.id
    }

    pub(crate) fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// The record of it.
    pub(crate) const fn decision(&self) -> &Arc<Decision> {
        &self.decision
    }

    /// Notes which model a mapping chose.
    pub(crate) fn aimed(&self, model: &str) {
        self.decision.update(|state| state.mapped_to = Some(Arc::from(model)));
    }

    /// Notes what was asked.
    pub(crate) fn decoded(&self, decoded: &Decoded) {
        self.decision.update(|state| {
            state.client = decoded.caller.shared_label();
            state.model = decoded.model.shared();
            state.session.clone_from(&decoded.session);
            state.streaming = decoded.wants_stream;
            state.edits.extend(call::of(decoded).map(Call::note));
        });
    }

    /// Notes a ranking; the first one makes the decision visible. Returns its place.
    pub(crate) fn ranked(&self, ranking: Arc<Ranking>) -> usize {
        let candidates = ranking.input.candidates.len();
        let index = self.decision.update(|state| {
            state.rankings.push(ranking);
            state.rankings.len() - 1
        });
        if index == 0 {
            self.gateway.decisions.keep(self.decision.clone(), candidates);
            self.gateway.touch();
        }
        index
    }

    /// A try begins; the settlement holds its lease from now on.
    pub(crate) fn attempt_started(&mut self, scheduled: Scheduled) {
        let now = Instant::now();
        let since_arrival = now - self.started;
        self.overhead.get_or_insert(since_arrival);
        let attempt = Attempt {
            account: scheduled.account,
            account_name: scheduled.account_name,
            outcome: Outcome::Running,
            upstream_status: None,
            transport: None,
            started: since_arrival,
            first_event: None,
            ranking: scheduled.ranking,
        };
        self.decision.update(|state| state.attempts.push(attempt));
        self.attempt = Some(RunningAttempt { started: now, lease: Some(scheduled.lease) });
    }

    /// The request was put into the account's words; what was changed is noted.
    pub(crate) fn worded(&self, notes: Vec<std::borrow::Cow<'static, str>>) {
        if !notes.is_empty() {
            self.decision.update(|state| state.edits = notes);
        }
    }

    /// The upstream answered with this status, over this transport.
    pub(crate) fn upstream_answered(&self, status: u16, transport: Transport) {
        self.decision.update(|state| {
            if let Some(attempt) = state.attempts.last_mut() {
                attempt.upstream_status = Some(status);
                attempt.transport = Some(transport);
            }
        });
    }

    /// The first event of the answer arrived.
    pub(crate) fn first_event(&mut self) {
        if self.first_event.is_some() {
            return;
        }
        let now = Instant::now();
        self.first_event = Some(now - self.started);
        let of_attempt = self.attempt.as_ref().map(|attempt| now - attempt.started);
        self.decision.update(|state| {
            if let Some(attempt) = state.attempts.last_mut() {
                attempt.first_event = of_attempt;
            }
        });
    }

    /// The running try failed; its lease goes back and the account bears the consequence.
    pub(crate) fn attempt_failed(&mut self, failure: &Failure) {
        self.end_attempt(Outcome::Failed(failure.kind), Ending::Failed(failure));
    }

    fn end_attempt(&mut self, outcome: Outcome, ending: Ending<'_>) {
        let Some(RunningAttempt { lease, .. }) = self.attempt.take() else { return };
        self.decision.update(|state| {
            if let Some(attempt) = state.attempts.last_mut() {
                attempt.outcome = outcome;
            }
        });
        if let Some(lease) = lease {
            lease.end(ending);
        }
    }

    /// The answer was delivered.
    pub(crate) fn complete(mut self, usage: Option<TokenUsage>, response_id: Option<&str>) {
        if let Some(response_id) = response_id {
            self.learn(response_id);
        }
        let first_event_ms = self.first_event.map(millis);
        self.end_attempt(Outcome::Completed, Ending::Served { first_event_ms, usage });
        self.settle(Outcome::Completed, 200, usage, None);
    }

    /// Only the account that made a stored response, or took a file, can go on from it. The Codex backend stores no
    /// responses.
    fn learn(&self, response_id: &str) {
        let Some(lease) = self.attempt.as_ref().and_then(|attempt| attempt.lease.as_ref()) else { return };
        let (account, client) = self
            .decision
            .update(|state| (state.attempts.last().map(|one| one.account.clone()), state.client.clone()));
        let kind = account.and_then(|id| self.gateway.destination(&id)).map(|to| to.kind);
        let tie = match self.route {
            Route::Call(Call::CreateFile) => HardTie::File,
            Route::Responses | Route::CodexResponses
                if kind.is_some_and(|kind| kind != AccountKind::Codex) =>
            {
                HardTie::Response
            }
            _ => return,
        };
        if let Some(key) = TieKey::new(Tie::Hard(tie), &client, response_id) {
            let now = self.gateway.now();
            self.gateway.pool.lock().learn(lease.account(), &[key], now);
        }
    }

    /// The request failed; the failure comes back for the client.
    pub(crate) fn fail(self, failure: Failure) -> Failure {
        let status = self.gateway.observer.status_of(&failure);
        self.fail_with(failure, status, None)
    }

    /// The request failed inside its stream, after a success status had gone out.
    pub(crate) fn fail_in_stream(self, failure: Failure, usage: Option<TokenUsage>) -> Failure {
        self.fail_with(failure, 200, usage)
    }

    fn fail_with(mut self, failure: Failure, status: u16, usage: Option<TokenUsage>) -> Failure {
        self.attempt_failed(&failure);
        self.settle(Outcome::Failed(failure.kind), status, usage, Some(&failure));
        failure
    }

    fn settle(
        &mut self,
        outcome: Outcome,
        status: u16,
        usage: Option<TokenUsage>,
        failure: Option<&Failure>,
    ) {
        self.settled = true;
        let duration = self.started.elapsed();
        let record = self.decision.update(|state| {
            state.outcome = outcome;
            state.status = Some(status);
            state.usage = usage;
            state.duration = Some(duration);
            SettlementRecord {
                request: self.decision.id.clone(),
                at: self.at,
                client: state.client.clone(),
                model: state.model.clone(),
                account: state.attempts.last().map(|attempt| attempt.account.clone()),
                outcome: outcome.label().into(),
                status,
                usage,
                first_event_ms: self.first_event.map(whole_millis),
                duration_ms: whole_millis(duration),
                attempts: u32::try_from(state.attempts.len()).unwrap_or(u32::MAX),
            }
        });
        // What an extension refused was never ranked, and is worth a look all the same.
        if self.decision.update(|state| state.rankings.is_empty() && !state.extensions.is_empty()) {
            self.gateway.decisions.keep(self.decision.clone(), 0);
        }
        log(&record, failure);
        self.observe(&record, outcome);
        let failed = failure.is_some_and(|failure| failure.kind != FailureKind::ClientGone);
        let second = self.gateway.now().as_secs();
        self.gateway.traffic.lock().ended(second, failed, usage, self.first_event.map(millis));
        self.gateway.observer.ended(Ended {
            route: self.route,
            transport: self.transport,
            outcome,
            failure,
            duration,
            first_event: self.first_event,
            overhead: self.overhead,
            usage,
        });
        if self.gateway.settlements.try_send(record).is_err() {
            self.gateway.observer.settlement_dropped();
        }
        self.gateway.touch();
    }

    /// Tells the observers, if there are any.
    fn observe(&self, record: &SettlementRecord, outcome: Outcome) {
        if !self.gateway.is_observed() {
            return;
        }
        let account = self.decision.update(|state| state.attempts.last().map(|one| one.account_name.clone()));
        let kind = record.account.as_ref().and_then(|id| self.gateway.destination(id)).map(|to| to.kind);
        let ended = self.gateway.now();
        self.gateway.extensions.usage.observe(UsageRecord {
            request_id: record.request.clone(),
            client: record.client.to_string(),
            account: account.map(|name| name.to_string()).unwrap_or_default(),
            provider: kind.map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
            model: record.model.to_string(),
            outcome: match outcome {
                Outcome::Completed => UsageOutcome::Completed,
                Outcome::Failed(FailureKind::ClientGone) => UsageOutcome::Cancelled,
                Outcome::Failed(_) | Outcome::Running => UsageOutcome::Failed,
            },
            failure: if outcome == Outcome::Completed { String::new() } else { record.outcome.to_string() },
            http_status: record.status,
            usage: record.usage.unwrap_or_default(),
            ttft_ms: record.first_event_ms,
            duration_ms: record.duration_ms,
            finished_at: ended,
        });
    }

    /// The handle of the account of the running try.
    pub(crate) fn account_ref(&self) -> Option<gateway_scheduler::AccountRef> {
        self.attempt.as_ref()?.lease.as_ref().map(LeaseGuard::account)
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if !self.settled {
            let gone = Failure::client(FailureKind::ClientGone, "the caller hung up");
            self.end_attempt(Outcome::Failed(FailureKind::ClientGone), Ending::Neutral);
            self.settle(Outcome::Failed(FailureKind::ClientGone), 499, None, Some(&gone));
        }
    }
}

/// One line per request that failed; successes are counted, not logged (`debug` shows them).
fn log(record: &SettlementRecord, failure: Option<&Failure>) {
    let (request, client, model, status, attempts) =
        (&record.request, &*record.client, &*record.model, record.status, record.attempts);
    let account = record.account.as_ref().map(AccountId::as_str);
    let duration_ms = record.duration_ms;
    match failure {
        None => {
            tracing::debug!(%request, client, model, account, status, attempts, duration_ms, "request completed")
        }
        Some(failure) => {
            let (origin, kind) = (failure.origin.label(), failure.kind.label());
            // The upstream's words may quote the prompt, so only our own messages are written down.
            let why = if failure.origin == Origin::Upstream && failure.answer.is_some() {
                ""
            } else {
                &*failure.message
            };
            tracing::warn!(%request, client, model, account, status, attempts, duration_ms, origin, kind, why, "request failed");
        }
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

fn whole_millis(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}
