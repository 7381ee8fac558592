//! The last decisions: what was asked, what the policy answered, what happened. In memory, bounded, without text.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_domain::{AccountId, FailureKind, KeyScope, RequestId, SessionKey, Timestamp, TokenUsage};
use gateway_scheduler::{ClosedWays, PolicyVersion, RankDecision, RankInput, Roster};
use parking_lot::Mutex;

use crate::hooks::{Hook, Mode};
use crate::ports::Transport;
use crate::ring::{Ring, RingLimits};
use crate::stage::Route;

/// Decisions kept.
pub const MAX_DECISIONS: usize = 2_000;
/// Candidates kept over all decisions: a large pool keeps fewer decisions, not more memory.
pub const MAX_KEPT_CANDIDATES: usize = 50_000;

/// One ranking: the exact question, the answer, and who gave it.
#[derive(Debug)]
pub struct Ranking {
    /// Who was asked.
    pub policy: Arc<PolicyVersion>,
    /// The label of its error, when the built-in had to step in.
    pub fallback: Option<&'static str>,
    /// The question, bit for bit.
    pub input: Arc<RankInput>,
    /// Names for the handles in it.
    pub roster: Arc<Roster>,
    /// Which of them could not be reached, and why.
    pub closed: ClosedWays,
    /// The part of the pool that the client's key may use; `None`: all of it.
    pub scope: Option<Arc<KeyScope>>,
    /// The validated answer.
    pub decision: RankDecision,
    /// How long it took.
    pub took: Duration,
}

/// How one try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not yet.
    Running,
    /// Well.
    Completed,
    /// In this way.
    Failed(FailureKind),
}

impl Outcome {
    /// The word used in the API and the ledger.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed(kind) => kind.label(),
        }
    }
}

/// One try on one account.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The account.
    pub account: AccountId,
    /// Its name then.
    pub account_name: Arc<str>,
    /// How it ended.
    pub outcome: Outcome,
    /// The upstream's status, once it answered.
    pub upstream_status: Option<u16>,
    /// What carried it to the upstream, once that answered.
    pub transport: Option<Transport>,
    /// From the request's arrival to its start.
    pub started: Duration,
    /// From its start to its first event.
    pub first_event: Option<Duration>,
    /// Which ranking chose it.
    pub ranking: usize,
}

/// What an extension did to a request; the strongest of all it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// It let it through, though its rules may have found something.
    Passed,
    /// It changed something.
    Changed,
    /// It answered itself.
    Answered,
    /// It failed.
    Failed,
    /// It refused.
    Refused,
}

impl Act {
    /// The word used in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Changed => "changed",
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// How often one rule found something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleHits {
    /// Which.
    pub rule: String,
    /// How often.
    pub hits: u32,
}

/// One mapping or filter that had to do with a request.
#[derive(Debug, Clone)]
pub struct Acted {
    /// As what.
    pub hook: Hook,
    /// `wasm:redactor`.
    pub id: String,
    /// `redactor@0.1.0`.
    pub label: String,
    /// Its digest.
    pub digest: String,
    /// Whether what it said was carried out.
    pub mode: Mode,
    /// What it did.
    pub act: Act,
    /// Which kind of failure, when it failed.
    pub why: String,
    /// What its rules found.
    pub rules: Vec<RuleHits>,
}

/// Tags kept of one request.
const MAX_TAGS: usize = 32;

/// The record of one request.
#[derive(Debug)]
pub struct Decision {
    /// The request.
    pub id: RequestId,
    /// When it arrived.
    pub at: Timestamp,
    /// Where it came in.
    pub route: Route,
    state: Mutex<DecisionState>,
}

/// What becomes known of a request while it runs.
#[derive(Debug, Clone)]
pub struct DecisionState {
    /// Who called.
    pub client: Arc<str>,
    /// The model asked for.
    pub model: Arc<str>,
    /// The conversation.
    pub session: Option<SessionKey>,
    /// How its client speaks.
    pub transport: Transport,
    /// Whether events were asked for.
    pub streaming: bool,
    /// Size of the body.
    pub body_bytes: usize,
    /// The body rules that changed something.
    pub edits: Vec<std::borrow::Cow<'static, str>>,
    /// The mappings and filters that had to do with it.
    pub extensions: Vec<Acted>,
    /// The model that a mapping chose.
    pub mapped_to: Option<Arc<str>>,
    /// What filters tagged it with.
    pub tags: Vec<(String, String)>,
    /// The rankings in their order.
    pub rankings: Vec<Arc<Ranking>>,
    /// The tries in their order.
    pub attempts: Vec<Attempt>,
    /// How it ended.
    pub outcome: Outcome,
    /// Status sent to the client.
    pub status: Option<u16>,
    /// Tokens.
    pub usage: Option<TokenUsage>,
    /// From arrival to the end.
    pub duration: Option<Duration>,
}

impl DecisionState {
    /// Tags it; a tag of the same name gives way.
    pub fn tag(&mut self, name: &str, value: &str) {
        self.tags.retain(|(known, _)| known != name);
        if self.tags.len() < MAX_TAGS {
            self.tags.push((name.to_owned(), value.to_owned()));
        }
    }
}

impl Decision {
    /// A record for a request that just arrived.
    #[must_use]
    pub fn open(id: RequestId, at: Timestamp, route: Route, transport: Transport, body_bytes: usize) -> Self {
        let unknown: Arc<str> = Arc::from("");
        Self {
            id,
            at,
            route,
            state: Mutex::new(DecisionState {
                client: unknown.clone(),
                model: unknown,
                session: None,
                transport,
                streaming: false,
                body_bytes,
                edits: Vec::new(),
                extensions: Vec::new(),
                mapped_to: None,
                tags: Vec::new(),
                rankings: Vec::new(),
                attempts: Vec::new(),
                outcome: Outcome::Running,
                status: None,
                usage: None,
                duration: None,
            }),
        }
    }

    /// Notes something that became known.
    pub fn update<T>(&self, change: impl FnOnce(&mut DecisionState) -> T) -> T {
        change(&mut self.state.lock())
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> DecisionState {
        self.state.lock().clone()
    }
}

/// The ring of the last decisions.
#[derive(Debug, Default)]
pub struct DecisionLog {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    ring: Ring<Arc<Decision>>,
    by_id: HashMap<RequestId, Arc<Decision>>,
}

/// How much the log keeps.
const LIMITS: RingLimits = RingLimits { entries: MAX_DECISIONS, candidates: MAX_KEPT_CANDIDATES };

impl DecisionLog {
    /// Keeps a decision, forgetting the oldest. `candidates` is how many accounts its question named.
    pub fn keep(&self, decision: Arc<Decision>, candidates: usize) {
        let mut kept = self.kept.lock();
        kept.by_id.insert(decision.id.clone(), decision.clone());
        kept.ring.push(decision, candidates);
        let mut forgotten = None;
        while let Some(oldest) = kept.ring.forget(LIMITS) {
            kept.by_id.remove(&oldest.id);
            forgotten = Some(oldest);
        }
        drop(kept);
        // Taken apart where nobody waits for it.
        drop(forgotten);
    }

    /// The record of a request, while it is kept.
    #[must_use]
    pub fn find(&self, id: &RequestId) -> Option<Arc<Decision>> {
        self.kept.lock().by_id.get(id).cloned()
    }

    /// The newest decisions that `keep` accepts, the newest first, at most `limit`.
    #[must_use]
    pub fn newest(&self, limit: usize, mut keep: impl FnMut(&Decision) -> bool) -> Vec<Arc<Decision>> {
        // The lock is held for the copy of pointers only; filtering reads other locks.
        let all: Vec<Arc<Decision>> = self.kept.lock().ring.iter().rev().cloned().collect();
        all.into_iter().filter(|decision| keep(decision)).take(limit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(id: usize) -> Arc<Decision> {
        let id = RequestId::parse(&format!("req_{id}")).unwrap();
        Arc::new(Decision::open(id, Timestamp::from_secs(0), Route::Responses, Transport::Http, 0))
    }

    #[test]
    fn the_log_is_bounded_by_count_and_by_candidates() {
        let log = DecisionLog::default();
        for id in 0..MAX_DECISIONS + 5 {
            log.keep(decision(id), 3);
        }
        assert_eq!(log.newest(usize::MAX, |_| true).len(), MAX_DECISIONS);
        assert!(log.find(&RequestId::parse("req_0").unwrap()).is_none());
        assert!(log.find(&RequestId::parse("req_7").unwrap()).is_some());

        let log = DecisionLog::default();
        for id in 0..500 {
            log.keep(decision(id), 500);
        }
        assert_eq!(log.newest(usize::MAX, |_| true).len(), MAX_KEPT_CANDIDATES / 500);
        assert_eq!(log.newest(1, |_| true)[0].id.as_str(), "req_499");
    }
}
