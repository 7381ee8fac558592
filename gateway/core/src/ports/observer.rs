//! What the edge wants to know of the core's doings, for metrics. Calls are cheap and never block.

use std::time::Duration;

use gateway_domain::{Failure, TokenUsage};

use crate::decisions::Outcome;
use crate::ports::Transport;
use crate::stage::Route;

/// A request that ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// Where it came in.
    pub route: Route,
    /// How its client speaks.
    pub transport: Transport,
    /// How it ended.
    pub outcome: Outcome,
    /// The failure, if it failed.
    pub failure: Option<&'a Failure>,
    /// From arrival to the end.
    pub duration: Duration,
    /// From arrival to the first event.
    pub first_event: Option<Duration>,
    /// From arrival to the first sending: what the gateway itself took.
    pub overhead: Option<Duration>,
    /// Tokens.
    pub usage: Option<TokenUsage>,
}

/// A ranking that was made.
#[derive(Debug, Clone, Copy)]
pub struct RankingSeen {
    /// The policy's language.
    pub language: &'static str,
    /// The label of its error, when the built-in had to step in.
    pub fallback: Option<&'static str>,
    /// How long it took.
    pub took: Duration,
}

/// Counts.
pub trait Observer: Send + Sync {
    /// The status that a failure is answered with: only the edge knows.
    fn status_of(&self, failure: &Failure) -> u16;
    /// A request ended.
    fn ended(&self, ended: Ended<'_>);
    /// A ranking was made.
    fn ranked(&self, ranking: RankingSeen);
    /// A settlement could not be queued: the writer is too far behind.
    fn settlement_dropped(&self);
    /// A token rotation ended (`refreshed`, `failed` …).
    fn refreshed(&self, outcome: &'static str);
}
