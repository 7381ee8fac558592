//! The import of accounts on SQLite: one transaction, however many.
//!
//! Refuses: deciding what an import changes (`crate::import`).

use gateway_core::ports::storage::{Imported, StoreError};
use sqlx::SqliteConnection;

use super::{SqliteStore, json_texts, select_accounts};
use crate::error::unavailable;
use crate::import::{Added, Batch, NewTokens, Plan, Present, Updated, plan};
use crate::offload::offload;
use crate::rows::AccountRow;

impl SqliteStore {
    pub(super) async fn import_batch(
        &self,
        batch: Batch,
    ) -> Result<Vec<Result<Imported, StoreError>>, StoreError> {
        let mut tx = self.write().await?;
        let present = present(&mut tx, &batch).await?;
        let keys = self.keys.clone();
        let Plan { added, updated, tokens, results } =
            offload(batch.len(), move || plan(&keys, batch, present)).await?;
        for account in added {
            add(&mut tx, account).await?;
        }
        for account in updated {
            update(&mut tx, account).await?;
        }
        for new in tokens {
            replace_tokens(&mut tx, new).await?;
        }
        tx.commit().await.map_err(unavailable)?;
        Ok(results)
    }
}

async fn present(tx: &mut SqliteConnection, batch: &Batch) -> Result<Present, StoreError> {
    let ids = sqlx::query_scalar("SELECT id FROM accounts WHERE id IN (SELECT value FROM json_each(?))")
        .bind(json_texts(batch.ids().into_iter()))
        .fetch_all(&mut *tx)
        .await
        .map_err(unavailable)?;
    // `!` follows the space, so the range holds the wish itself and whatever is numbered from it.
    let names = sqlx::query_scalar(
        "SELECT accounts.name FROM json_each(?) AS wish
         CROSS JOIN accounts ON accounts.name >= wish.value AND accounts.name < wish.value || '!'",
    )
    .bind(json_texts(batch.names().into_iter()))
    .fetch_all(&mut *tx)
    .await
    .map_err(unavailable)?;
    let seats: Vec<AccountRow> =
        sqlx::query_as(select_accounts!("WHERE seat IN (SELECT value FROM json_each(?))"))
            .bind(json_texts(batch.seats().iter().map(String::as_str)))
            .fetch_all(tx)
            .await
            .map_err(unavailable)?;
    Ok(Present { ids, names, seats })
}

async fn add(tx: &mut SqliteConnection, added: Added) -> Result<(), StoreError> {
    let Added { account, seat, settings } = added;
    sqlx::query(
        "INSERT INTO accounts (id, kind, name, seat, workspace_id, user_id, email, plan, state, created_at,
                               settings, settings_key_id)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'active', ?, ?, ?)",
    )
    .bind(account.id.as_str())
    .bind(account.kind.as_str())
    .bind(account.name)
    .bind(seat)
    .bind(account.identity.workspace_id)
    .bind(account.identity.user_id)
    .bind(account.identity.email)
    .bind(account.plan)
    .bind(account.created_at.as_millis())
    .bind(settings.bytes)
    .bind(settings.key_id)
    .execute(tx)
    .await
    .map_err(unavailable)?;
    Ok(())
}

async fn update(tx: &mut SqliteConnection, updated: Updated) -> Result<(), StoreError> {
    let Updated { account, settings } = updated;
    let (settings, key_id) = settings.map(|sealed| (sealed.bytes, sealed.key_id)).unzip();
    sqlx::query(
        "UPDATE accounts
         SET state = 'active', state_reason = NULL, user_id = ?, email = ?, plan = ?,
             settings = COALESCE(?, settings), settings_key_id = COALESCE(?, settings_key_id)
         WHERE id = ?",
    )
    .bind(account.identity.user_id)
    .bind(account.identity.email)
    .bind(account.plan)
    .bind(settings)
    .bind(key_id)
    .bind(account.id.as_str())
    .execute(tx)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// A sign-in: it counts as the next version, and ends the claim of whoever is rotating the tokens before it.
async fn replace_tokens(tx: &mut SqliteConnection, new: NewTokens) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO credentials (account_id, version, tokens, key_id, expires_at, refreshed_at)
         VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (account_id) DO UPDATE
         SET version = credentials.version + excluded.version, tokens = excluded.tokens,
             key_id = excluded.key_id, expires_at = excluded.expires_at, refreshed_at = excluded.refreshed_at,
             refresh_claimed_until = NULL, refresh_holder = NULL, refresh_holder_until = NULL",
    )
    .bind(new.account)
    .bind(new.sign_ins)
    .bind(new.sealed.bytes)
    .bind(new.sealed.key_id)
    .bind(new.expires_at)
    .bind(new.refreshed_at)
    .execute(tx)
    .await
    .map_err(unavailable)?;
    Ok(())
}
