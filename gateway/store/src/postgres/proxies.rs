//! Egress proxies on PostgreSQL.
//!
//! Refuses: addresses in the clear, knowing who uses a proxy.

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{ProxyStore, StoreError};
use gateway_domain::{EgressProxy, ProxyId};

use super::{PostgresStore, repeats};
use crate::error::{existing, unavailable};
use crate::rows::ProxyRow;

impl ProxyStore for PostgresStore {
    fn list_proxies(&self) -> BoxFuture<'_, Result<Vec<EgressProxy>, StoreError>> {
        Box::pin(async move {
            let rows: Vec<ProxyRow> = sqlx::query_as(
                "SELECT id, name, url, key_id, enabled, account_groups FROM proxies ORDER BY name",
            )
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
            rows.into_iter().map(|row| row.proxy(&self.keys)).collect()
        })
    }

    fn put_proxy(&self, proxy: EgressProxy) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let row = ProxyRow::new(&self.keys, &proxy)?;
            let put = sqlx::query(
                "INSERT INTO proxies (id, name, url, key_id, enabled, account_groups) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (id) DO UPDATE
                 SET name = excluded.name, url = excluded.url, key_id = excluded.key_id,
                     enabled = excluded.enabled, account_groups = excluded.account_groups",
            )
            .bind(row.id)
            .bind(row.name)
            .bind(row.url)
            .bind(row.key_id)
            .bind(row.enabled)
            .bind(row.account_groups)
            .execute(&self.pool)
            .await;
            match put {
                Ok(_) => Ok(()),
                Err(error) if repeats(&error, "proxies_name_taken") => Err(StoreError::NameTaken),
                Err(error) => Err(unavailable(error)),
            }
        })
    }

    fn delete_proxy(&self, id: &ProxyId) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        Box::pin(async move {
            let done = sqlx::query("DELETE FROM proxies WHERE id = $1")
                .bind(id.as_str())
                .execute(&self.pool)
                .await
                .map_err(unavailable)?;
            existing((done.rows_affected() > 0).then_some(()), "the proxy")
        })
    }
}
