//! Accounts on PostgreSQL. Their import is in `import`, the rotation of their tokens in `refresh`.
//!
//! Refuses: schedules, tokens in the clear.

use futures_util::future::BoxFuture;
use gateway_core::ports::storage::{
    AccountStore, Claim, ClaimHolder, Finished, Imported, Learned, NewAccount, StoreError, StoredAccount,
    StoredCredentials,
};
use gateway_domain::{
    Account, AccountId, AccountSettings, AccountState, CredentialVersion, Credentials, QuotaSnapshot,
    Timestamp,
};

use super::{PostgresStore, lock_names, repeats, select_accounts};
use crate::error::{existing, unavailable};
use crate::import::Batch;
use crate::naming::storable;
use crate::offload::offload;
use crate::rows::{
    AccountRow, CredentialRow, SettingsRow, opened_tokens, quota_columns, state_columns, stored_accounts,
};
use crate::seal::seal_account_settings;

impl AccountStore for PostgresStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredAccount>, StoreError>> {
        Box::pin(async move {
            let rows: Vec<AccountRow> = sqlx::query_as(select_accounts!("ORDER BY name"))
                .fetch_all(&self.pool)
                .await
                .map_err(unavailable)?;
            let keys = self.keys.clone();
            offload(rows.len(), move || stored_accounts(rows, &keys)).await
        })
    }

    fn account(&self, id: &AccountId) -> BoxFuture<'_, Result<Account, StoreError>> {
        let id = id.clone();
        Box::pin(async move {
            let row: Option<AccountRow> = sqlx::query_as(select_accounts!("WHERE id = $1"))
                .bind(id.as_str())
                .fetch_optional(&self.pool)
                .await
                .map_err(unavailable)?;
            let row = existing(row, "the account")?;
            let found = stored_accounts(vec![row], &self.keys).into_iter().next();
            existing(found.map(|stored| stored.account), "the account")
        })
    }

    fn import(
        &self,
        account: NewAccount,
        credentials: Credentials,
    ) -> BoxFuture<'_, Result<Imported, StoreError>> {
        Box::pin(async move {
            let results = self.import_batch(Batch::new(vec![(account, credentials)])).await?;
            existing(results.into_iter().next(), "the account")?
        })
    }

    fn import_many(
        &self,
        accounts: Vec<(NewAccount, Credentials)>,
    ) -> BoxFuture<'_, Result<Vec<Result<Imported, StoreError>>, StoreError>> {
        Box::pin(self.import_batch(Batch::new(accounts)))
    }

    fn credentials_of(
        &self,
        ids: Vec<AccountId>,
    ) -> BoxFuture<'_, Result<Vec<(AccountId, Result<StoredCredentials, StoreError>)>, StoreError>> {
        Box::pin(async move {
            let rows: Vec<CredentialRow> = sqlx::query_as(
                "SELECT account_id, version, tokens, key_id, expires_at, refreshed_at, refresh_claimed_until
                 FROM credentials WHERE account_id = ANY ($1)",
            )
            .bind(ids.iter().map(AccountId::as_str).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await
            .map_err(unavailable)?;
            let keys = self.keys.clone();
            offload(rows.len(), move || opened_tokens(rows, &keys)).await
        })
    }

    fn credentials(
        &self,
        id: &AccountId,
    ) -> BoxFuture<'_, Result<(Credentials, CredentialVersion), StoreError>> {
        let id = id.clone();
        Box::pin(async move {
            let row: Option<CredentialRow> = sqlx::query_as(
                "SELECT account_id, version, tokens, key_id, expires_at, refreshed_at, refresh_claimed_until
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
        holder: &ClaimHolder,
        now: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'_, Result<Claim, StoreError>> {
        Box::pin(self.claim(id.clone(), holder.clone(), now, until))
    }

    fn finish_refresh(
        &self,
        id: &AccountId,
        replaces: CredentialVersion,
        credentials: Credentials,
        learned: Option<Learned>,
    ) -> BoxFuture<'_, Result<Finished, StoreError>> {
        Box::pin(self.finish(id.clone(), replaces, credentials, learned))
    }

    fn abandon_refresh(&self, id: &AccountId, holder: &ClaimHolder) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.abandon(id.clone(), holder.clone()))
    }

    fn bury(
        &self,
        id: &AccountId,
        version: CredentialVersion,
        state: AccountState,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.mark_dead(id.clone(), version, state))
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

    fn put_settings(
        &self,
        id: &AccountId,
        settings: AccountSettings,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let row: Option<SettingsRow> = sqlx::query_as(
                "SELECT settings, settings_key_id FROM accounts WHERE id = $1 FOR NO KEY UPDATE",
            )
            .bind(id.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(unavailable)?;
            let old = existing(row, "the account")?.sealed();
            let sealed = seal_account_settings(&self.keys, &id, &settings, old.as_ref())?;
            sqlx::query("UPDATE accounts SET settings = $1, settings_key_id = $2 WHERE id = $3")
                .bind(sealed.bytes)
                .bind(sealed.key_id)
                .bind(id.as_str())
                .execute(&mut *tx)
                .await
                .map_err(unavailable)?;
            tx.commit().await.map_err(unavailable)
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
