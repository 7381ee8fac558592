//! Settings on PostgreSQL.
//!
//! Refuses: knowing which settings there are; values in the clear.

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{SettingStore, StoreError};
use gateway_domain::Secret;

use super::PostgresStore;
use crate::error::unavailable;
use crate::rows::SettingRow;
use crate::seal::{Sealed, seal_setting, unseal_setting};

impl SettingStore for PostgresStore {
    fn setting(&self, name: &str) -> BoxFuture<'_, Result<Option<Secret>, StoreError>> {
        let name = name.to_owned();
        Box::pin(async move {
            let row: Option<SettingRow> =
                sqlx::query_as("SELECT value, key_id FROM settings WHERE name = $1")
                    .bind(&name)
                    .fetch_optional(&self.pool)
                    .await
                    .map_err(unavailable)?;
            let Some(row) = row else { return Ok(None) };
            unseal_setting(&self.keys, &name, &Sealed { bytes: row.value, key_id: row.key_id }).map(Some)
        })
    }

    fn put_setting(&self, name: &str, value: Secret) -> BoxFuture<'_, Result<(), StoreError>> {
        let name = name.to_owned();
        Box::pin(async move {
            let sealed = seal_setting(&self.keys, &name, &value)?;
            sqlx::query(
                "INSERT INTO settings (name, value, key_id) VALUES ($1, $2, $3)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value, key_id = excluded.key_id",
            )
            .bind(&name)
            .bind(sealed.bytes)
            .bind(sealed.key_id)
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
            Ok(())
        })
    }

    fn put_setting_once(&self, name: &str, value: Secret) -> BoxFuture<'_, Result<bool, StoreError>> {
        let name = name.to_owned();
        Box::pin(async move {
            let sealed = seal_setting(&self.keys, &name, &value)?;
            let done = sqlx::query(
                "INSERT INTO settings (name, value, key_id) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
            )
            .bind(&name)
            .bind(sealed.bytes)
            .bind(sealed.key_id)
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
            Ok(done.rows_affected() > 0)
        })
    }
}
