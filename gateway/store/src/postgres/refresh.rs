//! The rotation of tokens on PostgreSQL: one holder at a time, and no result lost or overwritten.
//!
//! Refuses: talking to upstreams, deciding when to rotate.

use gateway_core::ports::storage::{Claim, ClaimHolder, Finished, Learned, SeatFit, StoreError};
use gateway_domain::{AccountId, AccountState, CredentialVersion, Credentials, Timestamp};
use sqlx::PgConnection;

use super::{PostgresStore, lock_account};
use crate::error::{existing, unavailable};
use crate::learned::OwnerRow;
use crate::naming::storable;
use crate::rotation::{
    END_CLAIM_OF_HOLDER, END_CLAIM_OF_VERSION, KNOWN_OWNER, OTHER_WITH_SEAT, REPLACE_TOKENS, WRITE_CLAIM,
    WRITE_OWNER, WRITE_STATE, claim_on, owner_told, seat_fit, state_after,
};
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
        let claim = claim_on(row, &self.keys, &id, now)?;
        if matches!(claim, Claim::Busy { .. }) {
            return Ok(claim);
        }
        sqlx::query(WRITE_CLAIM)
            .bind(until.as_millis())
            .bind(storable(&holder.0))
            .bind(id.as_str())
            .execute(&mut *tx)
            .await
            .map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)?;
        Ok(claim)
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
        let version: Option<i64> = sqlx::query_scalar(REPLACE_TOKENS)
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
        sqlx::query(END_CLAIM_OF_HOLDER)
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
        let ended = sqlx::query(END_CLAIM_OF_VERSION)
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
        sqlx::query(WRITE_STATE)
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
        sqlx::query_as(KNOWN_OWNER).bind(id.as_str()).fetch_one(&mut *tx).await.map_err(unavailable)?;
    let told = match owner_told(known, learned) {
        Ok(told) => told,
        Err(unfit) => return Ok(unfit),
    };
    let other: Option<String> = sqlx::query_scalar(OTHER_WITH_SEAT)
        .bind(told.seat.as_deref())
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await
        .map_err(unavailable)?;
    let fit = seat_fit(other.as_ref());
    if fit != SeatFit::Fits {
        return Ok(fit);
    }
    sqlx::query(WRITE_OWNER)
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

async fn set_state_after(tx: &mut PgConnection, id: &AccountId, seat: SeatFit) -> Result<(), StoreError> {
    let statement = sqlx::query(state_after(seat)).bind(seat.reason()).bind(id.as_str());
    statement.execute(tx).await.map_err(unavailable)?;
    Ok(())
}
