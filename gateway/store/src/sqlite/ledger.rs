//! Settlements on SQLite.
//!
//! Refuses: sums and prices; the ledger keeps what happened.

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{Ledger, SettlementRecord, StoreError};

use super::SqliteStore;
use crate::error::unavailable;
use crate::rows::{SettlementRow, settlement_rows};

impl Ledger for SqliteStore {
    fn append(&self, batch: Vec<SettlementRecord>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if batch.is_empty() {
                return Ok(());
            }
            // One statement with one argument for the whole batch: a statement per row would cost the process that
            // serves requests more than everything else it does for them.
            let rows = settlement_rows(batch);
            let rows =
                serde_json::to_string(&rows.iter().map(columns).collect::<Vec<_>>()).map_err(|error| {
                    StoreError::Unavailable(format!("settlements could not be written as JSON: {error}"))
                })?;
            let mut tx = self.write().await?;
            sqlx::query(APPEND).bind(rows).execute(&mut *tx).await.map_err(unavailable)?;
            tx.commit().await.map_err(unavailable)
        })
    }

    fn newest(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SettlementRecord>, StoreError>> {
        Box::pin(async move {
            let rows: Vec<SettlementRow> = sqlx::query_as(
                "SELECT request_id, at, client, model, account_id, outcome, status, input_tokens,
                        input_cached_tokens, output_tokens, reasoning_tokens, first_event_ms, duration_ms, attempts
                 FROM settlements ORDER BY at DESC, request_id DESC LIMIT ?",
            )
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
            rows.into_iter().map(SettlementRow::record).collect()
        })
    }
}

/// The argument is an array of rows, each an array in the order of the columns. `WHERE true` tells the conflict clause
/// from a join's condition.
const APPEND: &str =
    "INSERT INTO settlements (request_id, at, client, model, account_id, outcome, status, input_tokens,
         input_cached_tokens, output_tokens, reasoning_tokens, first_event_ms, duration_ms, attempts)
     SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
            value->>8, value->>9, value->>10, value->>11, value->>12, value->>13
     FROM json_each(?) WHERE true
     ON CONFLICT (request_id) DO NOTHING";

/// One row as the array that [`APPEND`] reads.
fn columns(row: &SettlementRow) -> impl serde::Serialize {
    (
        &row.request_id,
        row.at,
        &row.client,
        &row.model,
        &row.account_id,
        &row.outcome,
        row.status,
        row.input_tokens,
        row.input_cached_tokens,
        row.output_tokens,
        row.reasoning_tokens,
        row.first_event_ms,
        row.duration_ms,
        row.attempts,
    )
}
