//! Settlements on PostgreSQL.
//!
//! Refuses: sums and prices; the ledger keeps what happened.

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{Ledger, SettlementRecord, StoreError};
use sqlx::PgConnection;

use super::PostgresStore;
use crate::error::unavailable;
use crate::rows::{SettlementRow, settlement_rows};

impl Ledger for PostgresStore {
    fn append(&self, batch: Vec<SettlementRecord>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if batch.is_empty() {
                return Ok(());
            }
            // One transaction, so one sync of the disk; in the process itself a prepared insert costs little.
            let mut tx = self.begin().await?;
            for row in settlement_rows(batch) {
                insert(&mut tx, row).await?;
            }
            tx.commit().await.map_err(unavailable)
        })
    }

    fn newest(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SettlementRecord>, StoreError>> {
        Box::pin(async move {
            let rows: Vec<SettlementRow> = sqlx::query_as(
                "SELECT request_id, at, client, model, account_id, outcome, status, input_tokens,
                        input_cached_tokens, output_tokens, reasoning_tokens, first_event_ms, duration_ms, attempts
                 FROM settlements ORDER BY at DESC, request_id DESC LIMIT $1",
            )
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
            rows.into_iter().map(SettlementRow::record).collect()
        })
    }
}

async fn insert(tx: &mut PgConnection, row: SettlementRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO settlements (request_id, at, client, model, account_id, outcome, status, input_tokens,
             input_cached_tokens, output_tokens, reasoning_tokens, first_event_ms, duration_ms, attempts)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (request_id) DO NOTHING",
    )
    .bind(row.request_id)
    .bind(row.at)
    .bind(row.client)
    .bind(row.model)
    .bind(row.account_id)
    .bind(row.outcome)
    .bind(row.status)
    .bind(row.input_tokens)
    .bind(row.input_cached_tokens)
    .bind(row.output_tokens)
    .bind(row.reasoning_tokens)
    .bind(row.first_event_ms)
    .bind(row.duration_ms)
    .bind(row.attempts)
    .execute(tx)
    .await
    .map_err(unavailable)?;
    Ok(())
}
