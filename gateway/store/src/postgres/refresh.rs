//! The rotation of tokens on PostgreSQL: one holder at a time, and no result lost or overwritten.
//!
//! Refuses: talking to upstreams, deciding when to rotate.

use gateway_core::ports::storage::{Claim, ClaimHolder, Finished, Learned, SeatFit, StoreError};
use gateway_domain::{AccountId, AccountState, CredentialVersion, Credentials, Timestamp};
use sqlx::PgConnection;

use super::{PostgresStore, lock_account};
use crate::error::{existing, unavailable};
use crate::learned::{KnownOwner, OwnerRow};
use crate::naming::storable;
use crate::rows::{CredentialRow, state_columns};
use crate::seal::seal_tokens;

impl PostgresStore {
    pub(super) async fn claim(
        &self,
        id: AccountId,
        holder: ClaimHolder,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, StoreError> {
        let mut tx = self.begin().await?;
        let row: Option<CredentialRow> = sqlx::query_as(
            "SELECT account_id, version, tokens, key_id, expires_at, refreshed_at, refresh_claimed_until
             FROM credentials WHERE account_id = $1 FOR NO KEY UPDATE",
        )
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await
        .map_err(unavailable)?;
        let row = existing(row, "the account")?;
        if let Some(until) = row.claimed(now) {
            return Ok(Claim::Busy { until });
        }
        // Opened before the claim is written: tokens that nobody can read are not worth holding.
        let (credentials, version) = row.open(&self.keys, &id)?;
        sqlx::query(
            "UPDATE credentials
             SET refresh_claimed_until = $1, refresh_holder_until = $1, refresh_holder = $2
             WHERE account_id = $3",
        )
        .bind(until.as_millis())
        .bind(storable(&holder.0))
        .bind(id.as_str())
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)?;
        Ok(Claim::Granted { credentials, version })
    }

    pub(super) async fn finish(
        &self,
        id: AccountId,
        replaces: CredentialVersion,
        credentials: Credentials,
        learned: Option<Learned>,
    ) -> Result<Finished, StoreError> {
        let sealed = seal_tokens(&self.keys, &id, &credentials)?;
        let mut tx = self.begin().await?;
        lock_account(&mut tx, &id).await?;
        let version: Option<i64> = sqlx::query_scalar(
            "UPDATE credentials
             SET version = version + 1, tokens = $1, key_id = $2, expires_at = $3, refreshed_at = $4,
                 refresh_claimed_until = NULL, refresh_holder = NULL, refresh_holder_until = NULL
             WHERE account_id = $5 AND version = $6
             RETURNING version",
        )
        .bind(sealed.bytes)
        .bind(sealed.key_id)
        .bind(credentials.expires_at.map(Timestamp::as_millis))
        .bind(credentials.refreshed_at.as_millis())
        .bind(id.as_str())
        .bind(replaces.0)
        .fetch_optional(&mut *tx)
        .await
        .map_err(unavailable)?;
        let version = version.ok_or(StoreError::Conflict { what: "the account's tokens" })?;
        let seat = match learned {
            Some(learned) => learn(&mut tx, &id, learned).await?,
            None => SeatFit::Fits,
        };
        set_state_after(&mut tx, &id, seat).await?;
        tx.commit().await.map_err(unavailable)?;
        Ok(Finished { version: CredentialVersion(version), seat })
    }

    pub(super) async fn abandon(&self, id: AccountId, holder: ClaimHolder) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        lock_account(&mut tx, &id).await?;
        // Nothing changes when the claim has ended and somebody else's has begun.
        sqlx::query(
            "UPDATE credentials
             SET refresh_claimed_until = NULL, refresh_holder = NULL, refresh_holder_until = NULL
             WHERE account_id = $1 AND refresh_holder = $2 AND refresh_holder_until = refresh_claimed_until",
        )
        .bind(id.as_str())
        .bind(storable(&holder.0))
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)
    }

    pub(super) async fn mark_dead(
        &self,
        id: AccountId,
        version: CredentialVersion,
        state: AccountState,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        lock_account(&mut tx, &id).await?;
        let ended = sqlx::query(
            "UPDATE credentials
             SET refresh_claimed_until = NULL, refresh_holder = NULL, refresh_holder_until = NULL
             WHERE account_id = $1 AND version = $2",
        )
        .bind(id.as_str())
        .bind(version.0)
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
        // Newer tokens are not what failed: neither their claim nor the account's state is touched.
        if ended.rows_affected() == 0 {
            return Err(StoreError::Conflict { what: "the account's tokens" });
        }
        let (word, reason) = state_columns(&state);
        sqlx::query("UPDATE accounts SET state = $1, state_reason = $2 WHERE id = $3")
            .bind(word)
            .bind(reason)
            .bind(id.as_str())
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)
    }
}

/// Fills in what was not known about the account. A row of the account is locked by now.
async fn learn(tx: &mut PgConnection, id: &AccountId, learned: Learned) -> Result<SeatFit, StoreError> {
    let known: OwnerRow =
        sqlx::query_as("SELECT seat, workspace_id, user_id, email, plan FROM accounts WHERE id = $1")
            .bind(id.as_str())
            .fetch_one(&mut *tx)
            .await
            .map_err(unavailable)?;
    let told = match KnownOwner::from(known).fill(learned) {
        Ok(told) => told,
        Err(unfit) => return Ok(unfit),
    };
    let owner: Option<String> = sqlx::query_scalar("SELECT id FROM accounts WHERE seat = $1 AND id <> $2")
        .bind(told.seat.as_deref())
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await
        .map_err(unavailable)?;
    // An account that looked like another one would be taken for it by the next import.
    if owner.is_some() {
        return Ok(SeatFit::Taken);
    }
    sqlx::query(
        "UPDATE accounts SET seat = $1, workspace_id = $2, user_id = $3, email = $4, plan = $5 WHERE id = $6",
    )
    .bind(told.seat)
    .bind(told.workspace_id)
    .bind(told.user_id)
    .bind(told.email)
    .bind(told.plan)
    .bind(id.as_str())
    .execute(tx)
    .await
    .map_err(unavailable)?;
    Ok(SeatFit::Fits)
}

/// Who else tried the tokens before at the same time may have called them dead; new ones prove otherwise, unless they
/// are not the account's.
async fn set_state_after(tx: &mut PgConnection, id: &AccountId, seat: SeatFit) -> Result<(), StoreError> {
    let statement = match seat {
        SeatFit::Fits => {
            "UPDATE accounts SET state = 'active', state_reason = $1 WHERE id = $2 AND state = 'sign_in_needed'"
        }
        SeatFit::SomebodyElse | SeatFit::Taken => {
            "UPDATE accounts SET state = 'sign_in_needed', state_reason = $1 WHERE id = $2"
        }
    };
    sqlx::query(statement).bind(seat.reason()).bind(id.as_str()).execute(tx).await.map_err(unavailable)?;
    Ok(())
}
