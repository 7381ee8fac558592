//! Settlements on SQLite.
//!
//! Refuses: prices; the ledger keeps what happened.

use std::sync::LazyLock;

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{ClientUsage, Ledger, SettlementRecord, StoreError};
use gateway_domain::Timestamp;
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

use super::SqliteStore;
use crate::error::unavailable;
use crate::rows::{ClientUsageRow, NewSettlement, SettlementRow, in_order};

impl Ledger for SqliteStore {
    fn append<'a>(&'a self, batch: &'a [SettlementRecord]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if batch.is_empty() {
                return Ok(());
            }
            let mut tx = self.write().await?;
            let in_order = in_order(batch);
            let mut left = in_order.as_slice();
            while let Some(statement) = Append::of(left.len()) {
                let (now, later) = left.split_at(statement.rows);
                let mut query = sqlx::query(statement.sql);
                for record in now {
                    query = bind(query, NewSettlement::from(*record));
                }
                query.execute(&mut *tx).await.map_err(unavailable)?;
                left = later;
            }
            tx.commit().await.map_err(unavailable)
        })
    }

    fn prune(&self, before: Timestamp, limit: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let done = sqlx::query(
                "DELETE FROM settlements WHERE rowid IN
                     (SELECT rowid FROM settlements WHERE at < ? ORDER BY at, request_id LIMIT ?)",
            )
            .bind(before.as_millis())
            .bind(i64::from(limit))
            .execute(&self.writer)
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
                 FROM settlements ORDER BY at DESC, request_id DESC LIMIT ?",
            )
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
            rows.into_iter().map(SettlementRow::record).collect()
        })
    }

    fn used_by(&self, client: &str) -> BoxFuture<'_, Result<ClientUsage, StoreError>> {
        let client = client.to_owned();
        Box::pin(async move {
            let row: ClientUsageRow =
                sqlx::query_as(USED_BY).bind(client).fetch_one(&self.readers).await.map_err(unavailable)?;
            Ok(row.usage())
        })
    }
}

/// A statement that appends a fixed number of rows.
///
/// One a row would cost the process that serves requests more than everything else it does for them, and so does
/// handing them over as JSON. Statements for 1, 2, 4 … rows make up any batch, and are so few that each is prepared
/// once and kept.
struct Append {
    rows: usize,
    sql: &'static str,
}

impl Append {
    /// The largest has 128 rows: larger ones are not faster, and what is prepared stays in memory.
    const STATEMENTS: usize = 8;

    /// The largest one for so many rows; `None` when there is nothing left.
    fn of(rows: usize) -> Option<Self> {
        static SQL: LazyLock<Vec<String>> =
            LazyLock::new(|| (0..Append::STATEMENTS).map(|power| Append::sql(1 << power)).collect());
        let power = usize::try_from(rows.checked_ilog2()?).ok()?.min(Self::STATEMENTS - 1);
        SQL.get(power).map(|sql| Self { rows: 1 << power, sql })
    }

    fn sql(rows: usize) -> String {
        let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        format!(
            "INSERT INTO settlements (request_id, at, client, model, account_id, outcome, status, input_tokens,
                 input_cached_tokens, output_tokens, reasoning_tokens, first_event_ms, duration_ms, attempts)
             VALUES {}
             ON CONFLICT (request_id) DO NOTHING",
            vec![row; rows].join(", ")
        )
    }
}

/// Answered from an index alone.
const USED_BY: &str = "SELECT COUNT(*) AS requests, COALESCE(SUM(input_tokens), 0) AS input_tokens,
        COALESCE(SUM(input_cached_tokens), 0) AS input_cached_tokens,
        COALESCE(SUM(output_tokens), 0) AS output_tokens,
        COALESCE(SUM(reasoning_tokens), 0) AS reasoning_tokens
    FROM settlements WHERE client = ?";

type Statement = Query<'static, Sqlite, SqliteArguments>;

fn bind(query: Statement, row: NewSettlement) -> Statement {
    query
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client asks for this as often as it likes; a scan of ninety days of everybody's settlements would be felt.
    #[tokio::test]
    async fn what_a_client_used_is_read_from_an_index_alone() {
        use sqlx::{Connection as _, Row as _};
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        crate::migrations::run_sqlite(&mut connection).await.unwrap();
        let explained = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {USED_BY}")))
            .bind("a key")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let plan: Vec<String> = explained.iter().map(|row| row.get("detail")).collect();
        assert_eq!(plan, ["SEARCH settlements USING COVERING INDEX settlements_by_client (client=?)"]);
    }

    #[test]
    fn statements_make_up_any_batch() {
        for batch in (0..=300).chain([500, 1000]) {
            let (mut left, mut largest) = (batch, usize::MAX);
            while let Some(statement) = Append::of(left) {
                assert!(statement.rows <= largest, "{batch}");
                assert_eq!(statement.sql.matches('?').count(), 14 * statement.rows);
                (left, largest) = (left - statement.rows, statement.rows);
            }
            assert_eq!(left, 0, "{batch}");
        }
    }
}
