//! What the overview shows; sent whole as the `overview` event of `GET /events`, at most four times a second and
//! only when something changed (a keep-alive comment otherwise).
//!
//! Refuses: growing with the pool. The list of all accounts is `GET /accounts`, in pages.

use serde::{Deserialize, Serialize};

use crate::{AccountView, DecisionSummary, PolicyView};

/// Token counts. `input` includes `input_cached`, `output` includes `reasoning`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenTotals {
    /// Input tokens.
    pub input: u64,
    /// Of these, from the prompt cache.
    pub input_cached: u64,
    /// Output tokens.
    pub output: u64,
    /// Of these, reasoning.
    pub reasoning: u64,
}

/// One second of traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatePoint {
    /// Requests that arrived in it.
    pub requests: u32,
    /// Requests that failed in it.
    pub failures: u32,
}

/// The most accounts in an [`Overview`]: every account of most pools, and an event of some 100 kB in all others.
pub const MAX_OVERVIEW_ACCOUNTS: usize = 200;

/// The pool in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolTotals {
    /// Accounts in all.
    pub accounts: usize,
    /// Accounts that requests go to now.
    pub serving: usize,
}

/// `GET /overview` and the `overview` event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// The gateway's clock.
    pub now: i64,
    /// When it started.
    pub started_at: i64,
    /// Requests a second, over the last ten.
    pub requests_per_second: f64,
    /// Running now.
    pub in_flight: u32,
    /// Since the start.
    pub requests: u64,
    /// Since the start.
    pub failures: u64,
    /// Since the start.
    pub tokens: TokenTotals,
    /// Median time to the first event over the last requests.
    pub ttft_p50_ms: Option<f64>,
    /// The last 60 seconds, the oldest first.
    pub rate: Vec<RatePoint>,
    /// The whole pool.
    pub pool: PoolTotals,
    /// Accounts by name: all of them, or in a larger pool the [`MAX_OVERVIEW_ACCOUNTS`] to look at first. These are the
    /// pinned one, those that cannot serve or lately failed, then those with the most requests running and served.
    pub accounts: Vec<AccountView>,
    /// The policy that decides.
    pub policy: PolicyView,
    /// The last decisions, the newest first, at most 20.
    pub recent: Vec<DecisionSummary>,
}
