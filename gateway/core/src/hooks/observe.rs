//! The hook `observe-usage`: what was used, in batches, off the way of the request.

use gateway_domain::{RequestId, Timestamp, TokenUsage};

use super::{ExtensionVersion, HookError};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageOutcome {
    /// Well.
    Completed,
    /// With an error.
    Failed,
    /// The client left.
    Cancelled,
}

/// One settled request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// Which.
    pub request_id: RequestId,
    /// The label of the client key, or `local`.
    pub client: String,
    /// The operator's name for the account; empty when none was reached.
    pub account: String,
    /// The account's kind.
    pub provider: String,
    /// The model asked for.
    pub model: String,
    /// How it ended.
    pub outcome: UsageOutcome,
    /// The word for the failure; empty when it completed.
    pub failure: String,
    /// The status the client got.
    pub http_status: u16,
    /// Its tokens.
    pub usage: TokenUsage,
    /// Time to the first event, when there was one.
    pub ttft_ms: Option<u32>,
    /// Its duration.
    pub duration_ms: u32,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// Watches what is used. Called on a background task with at most 256 records.
pub trait UsageObserver: Send + Sync {
    /// Which extension this is.
    fn version(&self) -> &ExtensionVersion;

    /// Takes a batch.
    ///
    /// # Errors
    /// It failed or ran out of time; the batch is lost to it.
    fn on_usage(&self, records: &[UsageRecord]) -> Result<(), HookError>;
}
