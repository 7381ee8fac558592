//! What ties conversations to accounts, on PostgreSQL.
//!
//! Refuses: knowing what a digest stands for, deciding how long a tie counts.

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{StoreError, TieQuery, TieRecord, TieStore};
use gateway_domain::Timestamp;
use sqlx::PgPool;

use super::PostgresStore;
use crate::error::unavailable;
use crate::rows::{TieRow, tie_rows};

impl TieStore for PostgresStore {
    fn save_ties(
        &self,
        ties: Vec<TieRecord>,
        by: &str,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let by = by.to_owned();
        Box::pin(async move {
            if ties.is_empty() {
                return Ok(());
            }
            save(&self.pool, &tie_rows(ties), &by, at).await
        })
    }

    fn ties(&self, wanted: TieQuery) -> BoxFuture<'_, Result<Vec<TieRecord>, StoreError>> {
        Box::pin(async move {
            let rows: Vec<TieRow> = sqlx::query_as(
                "SELECT kind, digest, account_id, used_at, kept_until, served_at, body_bytes, hits FROM ties
                 WHERE saved_at >= $1 AND saved_by <> $2 AND kept_until > $3
                 ORDER BY saved_at DESC LIMIT $4",
            )
            .bind(wanted.saved_since.as_millis())
            .bind(wanted.not_by)
            .bind(wanted.now.as_millis())
            .bind(i64::from(wanted.limit))
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
            Ok(rows.into_iter().filter_map(|row| row.record().ok()).collect())
        })
    }

    fn prune_ties(&self, ended: Timestamp, most: u32, limit: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            // What another gateway is just writing or removing is left to it.
            let old = sqlx::query(
                "WITH old AS MATERIALIZED (
                     SELECT kind, digest FROM ties WHERE kept_until <= $1 ORDER BY kept_until LIMIT $2
                     FOR UPDATE SKIP LOCKED
                 )
                 DELETE FROM ties USING old WHERE ties.kind = old.kind AND ties.digest = old.digest",
            )
            .bind(ended.as_millis())
            .bind(i64::from(limit))
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
            let over = sqlx::query(
                "WITH over AS MATERIALIZED (
                     SELECT kind, digest FROM ties ORDER BY saved_at DESC, kind, digest LIMIT $1 OFFSET $2
                     FOR UPDATE SKIP LOCKED
                 )
                 DELETE FROM ties USING over WHERE ties.kind = over.kind AND ties.digest = over.digest",
            )
            .bind(i64::from(limit))
            .bind(i64::from(most))
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
            Ok(old.rows_affected() + over.rows_affected())
        })
    }
}

/// One statement for the whole batch, a column at a time: its text does not depend on the number of rows.
async fn save(pool: &PgPool, rows: &[TieRow], by: &str, at: Timestamp) -> Result<(), StoreError> {
    fn column<'a, T>(rows: &'a [TieRow], value: impl Fn(&'a TieRow) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    sqlx::query(
        "INSERT INTO ties (kind, digest, account_id, used_at, kept_until, served_at, body_bytes, hits, saved_at,
             saved_by)
         SELECT told.*, $9::bigint, $10::text
         FROM UNNEST($1::bigint[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
             $8::double precision[]) AS told
         ON CONFLICT (kind, digest) DO UPDATE
         SET account_id = excluded.account_id, used_at = excluded.used_at, kept_until = excluded.kept_until,
             served_at = excluded.served_at, body_bytes = excluded.body_bytes, hits = excluded.hits,
             saved_at = excluded.saved_at, saved_by = excluded.saved_by
         WHERE excluded.used_at >= ties.used_at",
    )
    .bind(column(rows, |row| row.kind))
    .bind(column(rows, |row| row.digest.as_slice()))
    .bind(column(rows, |row| row.account_id.as_str()))
    .bind(column(rows, |row| row.used_at))
    .bind(column(rows, |row| row.kept_until))
    .bind(column(rows, |row| row.served_at))
    .bind(column(rows, |row| row.body_bytes))
    .bind(column(rows, |row| row.hits))
    .bind(at.as_millis())
    .bind(by)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}
