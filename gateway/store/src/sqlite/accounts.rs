//! Accounts on SQLite. Their import is in `import`, the rotation of their tokens in `refresh`.
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

use super::{SqliteStore, json_texts, repeats, select_accounts};
use crate::error::{existing, unavailable};
use crate::import::Batch;
use crate::naming::storable;
use crate::offload::offload;
use crate::rows::{
    AccountRow, CredentialRow, SettingsRow, opened_tokens, quota_columns, state_columns, stored_accounts,
};
use crate::seal::seal_account_settings;

impl AccountStore for SqliteStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredAccount>, StoreError>> {
        Box::pin(async move {
            let rows: Vec<AccountRow> = sqlx::query_as(select_accounts!("ORDER BY name"))
                .fetch_all(&self.readers)
                .await
                .map_err(unavailable)?;
            let keys = self.keys.clone();
            offload(rows.len(), move || stored_accounts(rows, &keys)).await
        })
    }

    fn account(&self, id: &AccountId) -> BoxFuture<'_, Result<Account, StoreError>> {
        let id = id.clone();
        Box::pin(async move {
            let row: Option<AccountRow> = sqlx::query_as(select_accounts!("WHERE id = ?"))
                .bind(id.as_str())
                .fetch_optional(&self.readers)
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
                 FROM credentials WHERE account_id IN (SELECT value FROM json_each(?))",
            )
            .bind(json_texts(ids.iter().map(AccountId::as_str)))
            .fetch_all(&self.readers)
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
                 FROM credentials WHERE account_id = ?",
            )
            .bind(id.as_str())
            .fetch_optional(&self.readers)
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
            let done = sqlx::query("UPDATE accounts SET name = ? WHERE id = ?")
                .bind(name)
                .bind(id.as_str())
                .execute(&self.writer)
                .await
                .map_err(|error| match repeats(&error, "accounts.name") {
                    true => StoreError::NameTaken,
                    false => unavailable(error),
                })?;
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
            let mut tx = self.write().await?;
            let row: Option<SettingsRow> =
                sqlx::query_as("SELECT settings, settings_key_id FROM accounts WHERE id = ?")
                    .bind(id.as_str())
                    .fetch_optional(&mut *tx)
                    .await
                    .map_err(unavailable)?;
            let old = existing(row, "the account")?.sealed();
            let sealed = seal_account_settings(&self.keys, &id, &settings, old.as_ref())?;
            sqlx::query("UPDATE accounts SET settings = ?, settings_key_id = ? WHERE id = ?")
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
            let done = sqlx::query("UPDATE accounts SET state = ?, state_reason = ? WHERE id = ?")
                .bind(word)
                .bind(reason)
                .bind(id.as_str())
                .execute(&self.writer)
                .await
                .map_err(unavailable)?;
            existing((done.rows_affected() > 0).then_some(()), "the account")
        })
    }

    fn delete(&self, id: &AccountId) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        Box::pin(async move {
            let done = sqlx::query("DELETE FROM accounts WHERE id = ?")
                .bind(id.as_str())
                .execute(&self.writer)
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
            let mut tx = self.write().await?;
            for row in rows {
                // An observation that is older than what is stored comes from a slower replica.
                sqlx::query(
                    "UPDATE accounts SET quota = ?1, quota_seen_at = ?2, plan = COALESCE(?3, plan)
                     WHERE id = ?4 AND (quota_seen_at IS NULL OR quota_seen_at <= ?2)",
                )
                .bind(row.quota)
                .bind(row.seen_at)
                .bind(row.plan)
                .bind(row.id.as_str())
                .execute(&mut *tx)
                .await
                .map_err(unavailable)?;
            }
            tx.commit().await.map_err(unavailable)
        })
    }
}
