//! What ties conversations to accounts, on SQLite.
//!
//! Refuses: knowing what a digest stands for, deciding how long a tie counts.

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{StoreError, TieQuery, TieRecord, TieStore};
use gateway_domain::Timestamp;

use super::SqliteStore;
use crate::error::unavailable;
use crate::rows::{TieRow, tie_rows};

impl TieStore for SqliteStore {
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
            let mut tx = self.write().await?;
            for row in tie_rows(ties) {
                sqlx::query(
                    "INSERT INTO ties (kind, digest, account_id, used_at, kept_until, served_at, body_bytes, hits,
                         saved_at, saved_by)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                     ON CONFLICT (kind, digest) DO UPDATE
                     SET account_id = excluded.account_id, used_at = excluded.used_at,
                         kept_until = excluded.kept_until, served_at = excluded.served_at,
                         body_bytes = excluded.body_bytes, hits = excluded.hits,
                         saved_at = excluded.saved_at, saved_by = excluded.saved_by
                     WHERE excluded.used_at >= ties.used_at",
                )
                .bind(row.kind)
                .bind(row.digest)
                .bind(row.account_id)
                .bind(row.used_at)
                .bind(row.kept_until)
                .bind(row.served_at)
                .bind(row.body_bytes)
                .bind(row.hits)
                .bind(at.as_millis())
                .bind(by.as_str())
                .execute(&mut *tx)
                .await
                .map_err(unavailable)?;
            }
            tx.commit().await.map_err(unavailable)
        })
    }

    fn ties(&self, wanted: TieQuery) -> BoxFuture<'_, Result<Vec<TieRecord>, StoreError>> {
        Box::pin(async move {
            let rows: Vec<TieRow> = sqlx::query_as(
                "SELECT kind, digest, account_id, used_at, kept_until, served_at, body_bytes, hits FROM ties
                 WHERE saved_at >= ? AND saved_by <> ? AND kept_until > ?
                 ORDER BY saved_at DESC LIMIT ?",
            )
            .bind(wanted.saved_since.as_millis())
            .bind(wanted.not_by)
            .bind(wanted.now.as_millis())
            .bind(i64::from(wanted.limit))
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
            Ok(rows.into_iter().filter_map(|row| row.record().ok()).collect())
        })
    }

    fn prune_ties(&self, ended: Timestamp, most: u32, limit: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let old = sqlx::query(
                "DELETE FROM ties WHERE rowid IN
                     (SELECT rowid FROM ties WHERE kept_until <= ? ORDER BY kept_until LIMIT ?)",
            )
            .bind(ended.as_millis())
            .bind(i64::from(limit))
            .execute(&self.writer)
            .await
            .map_err(unavailable)?;
            let over = sqlx::query(
                "DELETE FROM ties WHERE rowid IN
                     (SELECT rowid FROM ties ORDER BY saved_at DESC, rowid DESC LIMIT ? OFFSET ?)",
            )
            .bind(i64::from(limit))
            .bind(i64::from(most))
            .execute(&self.writer)
            .await
            .map_err(unavailable)?;
            Ok(old.rows_affected() + over.rows_affected())
        })
    }
}
