//! Rows of the ledger.
//!
//! Refuses: SQL.

use std::sync::{Arc, LazyLock};

use gateway_core::ports::storage::{ClientUsage, SettlementRecord, StoreError};
use gateway_domain::{AccountId, RequestId, Timestamp, TokenUsage};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use crate::error::unreadable;
use crate::naming::{storable, storable_shared};

row! {
    /// One of `settlements`.
    SettlementRow {
        request_id: String,
        at: i64,
        client: String,
        model: String,
        account_id: Option<String>,
        outcome: String,
        status: i64,
        input_tokens: Option<i64>,
        input_cached_tokens: Option<i64>,
        output_tokens: Option<i64>,
        reasoning_tokens: Option<i64>,
        first_event_ms: Option<i64>,
        duration_ms: i64,
        attempts: i64,
    }
}

row! {
    /// The sums of one client.
    ClientUsageRow {
        requests: i64,
        input_tokens: i64,
        input_cached_tokens: i64,
        output_tokens: i64,
        reasoning_tokens: i64,
    }
}

impl ClientUsageRow {
    /// What it says; a count is never below zero.
    pub(crate) fn usage(self) -> ClientUsage {
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        ClientUsage {
            requests: count(self.requests),
            tokens: TokenUsage {
                input: count(self.input_tokens),
                input_cached: count(self.input_cached_tokens),
                output: count(self.output_tokens),
                reasoning: count(self.reasoning_tokens),
            },
        }
    }
}

/// A settlement as it is written. Its texts are those of the record, not copies of them: a busy gateway writes thousands a
/// second.
pub(crate) struct NewSettlement {
    pub(crate) request_id: Arc<str>,
    pub(crate) at: i64,
    pub(crate) client: Arc<str>,
    pub(crate) model: Arc<str>,
    pub(crate) account_id: Option<Arc<str>>,
    pub(crate) outcome: Arc<str>,
    pub(crate) status: i64,
    pub(crate) input_tokens: Option<i64>,
    pub(crate) input_cached_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    pub(crate) reasoning_tokens: Option<i64>,
    pub(crate) first_event_ms: Option<i64>,
    pub(crate) duration_ms: i64,
    pub(crate) attempts: i64,
}

/// A batch as it is written: in the order of request ids (two writers that lock in the same order never wait for
/// one another in a circle), each request once, the first of several kept.
pub(crate) fn in_order(batch: &[SettlementRecord]) -> Vec<&SettlementRecord> {
    let mut batch: Vec<&SettlementRecord> = batch.iter().collect();
    batch.sort_by(|a, b| a.request.cmp(&b.request));
    batch.dedup_by(|later, kept| later.request == kept.request);
    batch
}

impl From<&SettlementRecord> for NewSettlement {
    fn from(record: &SettlementRecord) -> Self {
        static COMPLETED: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("completed"));
        let tokens = |count: fn(TokenUsage) -> u64| {
            record.usage.map(|usage| i64::try_from(count(usage)).unwrap_or(i64::MAX))
        };
        Self {
            request_id: record.request.shared(),
            at: record.at.as_millis(),
            client: storable_shared(record.client.clone()),
            model: storable_shared(record.model.clone()),
            account_id: record.account.as_ref().map(AccountId::shared),
            outcome: match &*record.outcome {
                "completed" => COMPLETED.clone(),
                other => Arc::from(storable(other)),
            },
            status: i64::from(record.status),
            input_tokens: tokens(|usage| usage.input),
            input_cached_tokens: tokens(|usage| usage.input_cached),
            output_tokens: tokens(|usage| usage.output),
            reasoning_tokens: tokens(|usage| usage.reasoning),
            first_event_ms: record.first_event_ms.map(i64::from),
            duration_ms: i64::from(record.duration_ms),
            attempts: i64::from(record.attempts),
        }
    }
}

impl SettlementRow {
    /// The settlement.
    pub(crate) fn record(self) -> Result<SettlementRecord, StoreError> {
        let number = || unreadable("a number of a settlement");
        let tokens = |count: Option<i64>| u64::try_from(count.unwrap_or(0)).map_err(|_| number());
        let usage = match self.input_tokens {
            None => None,
            Some(_) => Some(TokenUsage {
                input: tokens(self.input_tokens)?,
                input_cached: tokens(self.input_cached_tokens)?,
                output: tokens(self.output_tokens)?,
                reasoning: tokens(self.reasoning_tokens)?,
            }),
        };
        let account = self.account_id.as_deref().map(AccountId::parse).transpose();
        Ok(SettlementRecord {
            request: RequestId::parse(&self.request_id)
                .map_err(|_| unreadable("a settlement's request id"))?,
            at: Timestamp::from_millis(self.at),
            client: self.client.into(),
            model: self.model.into(),
            account: account.map_err(|_| unreadable("a settlement's account id"))?,
            outcome: self.outcome.into(),
            status: u16::try_from(self.status).map_err(|_| number())?,
            usage,
            first_event_ms: self.first_event_ms.map(u32::try_from).transpose().map_err(|_| number())?,
            duration_ms: u32::try_from(self.duration_ms).map_err(|_| number())?,
            attempts: u32::try_from(self.attempts).map_err(|_| number())?,
        })
    }
}
