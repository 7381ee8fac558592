//! Client keys on SQLite.
//!
//! Refuses: keys themselves; only their hashes arrive here.

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{ClientKey, ClientKeyStore, StoreError};
use gateway_domain::ClientKeyId;

use super::{SqliteStore, repeats};
use crate::error::{existing, unavailable};
use crate::naming::storable;
use crate::rows::ClientKeyRow;

impl ClientKeyStore for SqliteStore {
    fn list_keys(&self) -> BoxFuture<'_, Result<Vec<ClientKey>, StoreError>> {
        Box::pin(async move {
            let rows: Vec<ClientKeyRow> = sqlx::query_as(
                "SELECT id, label, hint, hash, created_at FROM client_keys ORDER BY created_at, id",
            )
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
            rows.into_iter().map(ClientKeyRow::client_key).collect()
        })
    }

    fn add_key(&self, key: ClientKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let added = sqlx::query(
                "INSERT INTO client_keys (id, label, hint, hash, created_at) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(key.id.as_str())
            .bind(storable(&key.label).into_owned())
            .bind(storable(&key.hint).into_owned())
            .bind(key.hash.to_vec())
            .bind(key.created_at.as_millis())
            .execute(&self.writer)
            .await;
            match added {
                Ok(_) => Ok(()),
                Err(error) if repeats(&error, "client_keys.label") => Err(StoreError::NameTaken),
                Err(error) if repeats(&error, "client_keys.id") || repeats(&error, "client_keys.hash") => {
                    Err(StoreError::Conflict { what: "the client key" })
                }
                Err(error) => Err(unavailable(error)),
            }
        })
    }

    fn delete_key(&self, id: &ClientKeyId) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        Box::pin(async move {
            let done = sqlx::query("DELETE FROM client_keys WHERE id = ?")
                .bind(id.as_str())
                .execute(&self.writer)
                .await
                .map_err(unavailable)?;
            existing((done.rows_affected() > 0).then_some(()), "the client key")
        })
    }
}
