//! Client keys on SQLite.
//!
//! Refuses: keys themselves; only their hashes arrive here.

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{ClientKey, ClientKeyStore, StoreError};
use gateway_domain::{ClientKeyId, KeyScope};

use super::{SqliteStore, repeats};
use crate::error::{existing, unavailable};
use crate::naming::storable;
use crate::rows::{ClientKeyRow, client_keys, scope_column};

impl ClientKeyStore for SqliteStore {
    fn list_keys(&self) -> BoxFuture<'_, Result<Vec<ClientKey>, StoreError>> {
        Box::pin(async move {
            let rows: Vec<ClientKeyRow> = sqlx::query_as(
                "SELECT id, label, hint, hash, created_at, scope FROM client_keys ORDER BY created_at, id",
            )
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
            Ok(client_keys(rows))
        })
    }

    fn add_key(&self, key: ClientKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let added = sqlx::query(
                "INSERT INTO client_keys (id, label, hint, hash, created_at, scope) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(key.id.as_str())
            .bind(storable(&key.label).into_owned())
            .bind(storable(&key.hint).into_owned())
            .bind(key.hash.to_vec())
            .bind(key.created_at.as_millis())
            .bind(scope_column(&key.scope)?)
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

    fn put_scope(&self, id: &ClientKeyId, scope: KeyScope) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        Box::pin(async move {
            let done = sqlx::query("UPDATE client_keys SET scope = ? WHERE id = ?")
                .bind(scope_column(&scope)?)
                .bind(id.as_str())
                .execute(&self.writer)
                .await
                .map_err(unavailable)?;
            existing((done.rows_affected() > 0).then_some(()), "the client key")
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
