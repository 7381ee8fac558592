//! Settlements on PostgreSQL.
//!
//! Refuses: prices; the ledger keeps what happened.

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{ClientUsage, Ledger, SettlementRecord, StoreError};
use gateway_domain::Timestamp;
use sqlx::PgPool;

use super::PostgresStore;
use crate::error::unavailable;
use crate::rows::{ClientUsageRow, NewSettlement, SettlementRow, in_order};

impl Ledger for PostgresStore {
    fn append<'a>(&'a self, batch: &'a [SettlementRecord]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if batch.is_empty() {
                return Ok(());
            }
            let rows: Vec<NewSettlement> = in_order(batch).into_iter().map(NewSettlement::from).collect();
            insert(&self.pool, &rows).await
        })
    }

    fn prune(&self, before: Timestamp, limit: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            // What another gateway is just removing is left to it.
            let done = sqlx::query(
                "WITH old AS MATERIALIZED (
                     SELECT request_id FROM settlements WHERE at < $1 ORDER BY at, request_id LIMIT $2
                     FOR UPDATE SKIP LOCKED
                 )
                 DELETE FROM settlements USING old WHERE settlements.request_id = old.request_id",
            )
            .bind(before.as_millis())
            .bind(i64::from(limit))
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
            Ok(done.rows_affected())
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

    fn used_by(&self, client: &str) -> BoxFuture<'_, Result<ClientUsage, StoreError>> {
        let client = client.to_owned();
        Box::pin(async move {
            // Sums of bigint are numeric there.
            let row: ClientUsageRow = sqlx::query_as(
                "SELECT COUNT(*) AS requests, COALESCE(SUM(input_tokens), 0)::bigint AS input_tokens,
                        COALESCE(SUM(input_cached_tokens), 0)::bigint AS input_cached_tokens,
                        COALESCE(SUM(output_tokens), 0)::bigint AS output_tokens,
                        COALESCE(SUM(reasoning_tokens), 0)::bigint AS reasoning_tokens
                 FROM settlements WHERE client = $1",
            )
            .bind(client)
            .fetch_one(&self.pool)
            .await
            .map_err(unavailable)?;
            Ok(row.usage())
        })
    }
}

/// One statement for the whole batch, a column at a time: its text does not depend on the number of rows.
async fn insert(pool: &PgPool, rows: &[NewSettlement]) -> Result<(), StoreError> {
    fn column<'a, T>(rows: &'a [NewSettlement], value: impl Fn(&'a NewSettlement) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    sqlx::query(
        "INSERT INTO settlements (request_id, at, client, model, account_id, outcome, status, input_tokens,
             input_cached_tokens, output_tokens, reasoning_tokens, first_event_ms, duration_ms, attempts)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
             $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[])
         ON CONFLICT (request_id) DO NOTHING",
    )
    .bind(column(rows, |row| &*row.request_id))
    .bind(column(rows, |row| row.at))
    .bind(column(rows, |row| &*row.client))
    .bind(column(rows, |row| &*row.model))
    .bind(column(rows, |row| row.account_id.as_deref()))
    .bind(column(rows, |row| &*row.outcome))
    .bind(column(rows, |row| row.status))
    .bind(column(rows, |row| row.input_tokens))
    .bind(column(rows, |row| row.input_cached_tokens))
    .bind(column(rows, |row| row.output_tokens))
    .bind(column(rows, |row| row.reasoning_tokens))
    .bind(column(rows, |row| row.first_event_ms))
    .bind(column(rows, |row| row.duration_ms))
    .bind(column(rows, |row| row.attempts))
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}
