//! Accounts on PostgreSQL. The rotation of their tokens is in `refresh`.
//!
//! Refuses: schedules, tokens in the clear.

use std::collections::HashSet;

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{AccountStore, Claim, Imported, NewAccount, StoreError, StoredAccount};
use gateway_domain::{
    Account, AccountId, AccountIdentity, AccountState, CredentialVersion, Credentials, QuotaSnapshot,
    Timestamp,
};
use sqlx::PgConnection;

use super::{PostgresStore, lock_names, repeats};
use crate::error::{existing, unavailable};
use crate::naming::{free_name, storable, storable_account};
use crate::rows::{AccountRow, CredentialRow, quota_columns, state_columns, stored_accounts};
use crate::seal::{Sealed, seal_tokens};

impl AccountStore for PostgresStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredAccount>, StoreError>> {
        Box::pin(async move {
            let rows: Vec<AccountRow> = sqlx::query_as(
                "SELECT id, kind, name, workspace_id, user_id, email, plan, state, state_reason, created_at,
                        quota, quota_seen_at
                 FROM accounts ORDER BY name",
            )
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
            Ok(stored_accounts(rows))
        })
    }

    fn import(
        &self,
        account: NewAccount,
        credentials: Credentials,
    ) -> BoxFuture<'_, Result<Imported, StoreError>> {
        Box::pin(self.import_account(account, credentials))
    }

    fn credentials(
        &self,
        id: &AccountId,
    ) -> BoxFuture<'_, Result<(Credentials, CredentialVersion), StoreError>> {
        let id = id.clone();
        Box::pin(async move {
            let row: Option<CredentialRow> = sqlx::query_as(
                "SELECT version, tokens, key_id, expires_at, refreshed_at, refresh_claimed_until
                 FROM credentials WHERE account_id = $1",
            )
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(unavailable)?;
            existing(row, "the account")?.open(&self.keys, &id)
        })
    }

    fn claim_refresh(
        &self,
        id: &AccountId,
        now: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'_, Result<Claim, StoreError>> {
        Box::pin(self.claim(id.clone(), now, until))
    }

    fn finish_refresh(
        &self,
        id: &AccountId,
        replaces: CredentialVersion,
        credentials: Credentials,
    ) -> BoxFuture<'_, Result<CredentialVersion, StoreError>> {
        Box::pin(self.finish(id.clone(), replaces, credentials))
    }

    fn abandon_refresh(
        &self,
        id: &AccountId,
        version: CredentialVersion,
        dead: Option<AccountState>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.abandon(id.clone(), version, dead))
    }

    fn rename(&self, id: &AccountId, name: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        let (id, name) = (id.clone(), storable(name).into_owned());
        Box::pin(async move {
            let mut tx = self.begin().await?;
            lock_names(&mut tx).await?;
            let done = sqlx::query("UPDATE accounts SET name = $1 WHERE id = $2")
                .bind(name)
                .bind(id.as_str())
                .execute(&mut *tx)
                .await
                .map_err(|error| match repeats(&error, "accounts_name_taken") {
                    true => StoreError::NameTaken,
                    false => unavailable(error),
                })?;
            tx.commit().await.map_err(unavailable)?;
            existing((done.rows_affected() > 0).then_some(()), "the account")
        })
    }

    fn set_state(&self, id: &AccountId, state: AccountState) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        Box::pin(async move {
            let (word, reason) = state_columns(&state);
            let done = sqlx::query("UPDATE accounts SET state = $1, state_reason = $2 WHERE id = $3")
                .bind(word)
                .bind(reason)
                .bind(id.as_str())
                .execute(&self.pool)
                .await
                .map_err(unavailable)?;
            existing((done.rows_affected() > 0).then_some(()), "the account")
        })
    }

    fn delete(&self, id: &AccountId) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        Box::pin(async move {
            let done = sqlx::query("DELETE FROM accounts WHERE id = $1")
                .bind(id.as_str())
                .execute(&self.pool)
                .await
                .map_err(unavailable)?;
            existing((done.rows_affected() > 0).then_some(()), "the account")
        })
    }

    fn save_quota(
        &self,
        seen: Vec<(AccountId, QuotaSnapshot, Timestamp)>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if seen.is_empty() {
                return Ok(());
            }
            let rows = quota_columns(seen)?;
            // Rows are locked in the order of their ids before any is changed. An observation that is older than
            // what is stored comes from a slower replica.
            sqlx::query(
                "WITH locked AS MATERIALIZED (
                     SELECT id FROM accounts WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE
                 )
                 UPDATE accounts
                 SET quota = seen.quota, quota_seen_at = seen.at, plan = COALESCE(seen.plan, accounts.plan)
                 FROM locked
                 JOIN UNNEST($1::text[], $2::text[], $3::bigint[], $4::text[]) AS seen (id, quota, at, plan)
                   ON seen.id = locked.id
                 WHERE accounts.id = locked.id
                   AND (accounts.quota_seen_at IS NULL OR accounts.quota_seen_at <= seen.at)",
            )
            .bind(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.quota.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.seen_at).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.plan.as_deref()).collect::<Vec<_>>())
            .execute(&self.pool)
            .await
            .map_err(unavailable)?;
            Ok(())
        })
    }
}

impl PostgresStore {
    async fn import_account(
        &self,
        new: NewAccount,
        credentials: Credentials,
    ) -> Result<Imported, StoreError> {
        let new = storable_account(new);
        let mut tx = self.begin().await?;
        lock_names(&mut tx).await?;
        let seat = new.identity.seat();
        let known: Option<AccountRow> = sqlx::query_as(
            "UPDATE accounts
             SET state = 'active', state_reason = NULL,
                 user_id = COALESCE($2, user_id), email = COALESCE($3, email), plan = COALESCE($4, plan)
             WHERE seat = $1
             RETURNING id, kind, name, workspace_id, user_id, email, plan, state, state_reason, created_at,
                       quota, quota_seen_at",
        )
        .bind(seat)
        .bind(new.identity.user_id.clone())
        .bind(new.identity.email.clone())
        .bind(new.plan.clone())
        .fetch_optional(&mut *tx)
        .await
        .map_err(unavailable)?;

        let imported = match known {
            Some(row) => Imported::Updated(row.stored()?.account),
            None => Imported::Added(add(&mut tx, new).await?),
        };
        let (Imported::Added(account) | Imported::Updated(account)) = &imported;
        let sealed = seal_tokens(&self.keys, &account.id, &credentials)?;
        replace_tokens(&mut tx, &account.id, sealed, &credentials).await?;
        tx.commit().await.map_err(unavailable)?;
        Ok(imported)
    }
}

/// Adds an account under the first free name.
async fn add(tx: &mut PgConnection, new: NewAccount) -> Result<Account, StoreError> {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM accounts").fetch_all(&mut *tx).await.map_err(unavailable)?;
    let taken: HashSet<String> = names.into_iter().collect();
    let name = free_name(&new.name, &taken);
    let AccountIdentity { workspace_id, user_id, email } = new.identity.clone();
    sqlx::query(
        "INSERT INTO accounts (id, kind, name, seat, workspace_id, user_id, email, plan, state, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9)",
    )
    .bind(new.id.as_str())
    .bind(new.kind.as_str())
    .bind(&name)
    .bind(new.identity.seat())
    .bind(workspace_id)
    .bind(user_id)
    .bind(email)
    .bind(&new.plan)
    .bind(new.created_at.as_millis())
    .execute(tx)
    .await
    .map_err(|error| match repeats(&error, "accounts_pkey") {
        true => StoreError::Conflict { what: "the account" },
        false => unavailable(error),
    })?;
    Ok(Account {
        id: new.id,
        kind: new.kind,
        name,
        identity: new.identity,
        plan: new.plan,
        state: AccountState::Active,
        created_at: new.created_at,
    })
}

/// A sign-in: it counts as the next version, and ends the claim of whoever is rotating the tokens before it.
async fn replace_tokens(
    tx: &mut PgConnection,
    id: &AccountId,
    sealed: Sealed,
    credentials: &Credentials,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO credentials (account_id, version, tokens, key_id, expires_at, refreshed_at)
         VALUES ($1, 1, $2, $3, $4, $5)
         ON CONFLICT (account_id) DO UPDATE
         SET version = credentials.version + 1, tokens = excluded.tokens, key_id = excluded.key_id,
             expires_at = excluded.expires_at, refreshed_at = excluded.refreshed_at,
             refresh_claimed_until = NULL",
    )
    .bind(id.as_str())
    .bind(sealed.bytes)
    .bind(sealed.key_id)
    .bind(credentials.expires_at.map(Timestamp::as_millis))
    .bind(credentials.refreshed_at.as_millis())
    .execute(tx)
    .await
    .map_err(unavailable)?;
    Ok(())
}
