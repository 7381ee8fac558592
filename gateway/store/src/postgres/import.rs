//! The import of accounts on PostgreSQL: one transaction of a few statements, however many.
//!
//! Refuses: deciding what an import changes (`crate::import`).

use gateway_core::ports::storage::{Imported, StoreError};
use sqlx::PgConnection;

use super::{PostgresStore, lock_names, select_accounts};
use crate::error::unavailable;
use crate::import::{Added, Batch, NewTokens, Plan, Present, Updated, plan};
use crate::offload::offload;
use crate::rows::AccountRow;
use crate::seal::Sealed;

impl PostgresStore {
    pub(super) async fn import_batch(
        &self,
        batch: Batch,
    ) -> Result<Vec<Result<Imported, StoreError>>, StoreError> {
        let mut tx = self.begin().await?;
        // Whoever adds an account takes this lock, so neither a name nor a seat nor an id comes up meanwhile.
        lock_names(&mut tx).await?;
        let present = present(&mut tx, &batch).await?;
        let keys = self.keys.clone();
        let Plan { added, updated, tokens, results } =
            offload(batch.len(), move || plan(&keys, batch, present)).await?;
        add(&mut tx, &added).await?;
        update(&mut tx, &updated).await?;
        replace_tokens(&mut tx, &tokens).await?;
        tx.commit().await.map_err(unavailable)?;
        Ok(results)
    }
}

async fn present(tx: &mut PgConnection, batch: &Batch) -> Result<Present, StoreError> {
    let ids = sqlx::query_scalar("SELECT id FROM accounts WHERE id = ANY ($1)")
        .bind(batch.ids())
        .fetch_all(&mut *tx)
        .await
        .map_err(unavailable)?;
    // `!` follows the space, so the range holds the wish itself and whatever is numbered from it.
    let names = sqlx::query_scalar(
        "SELECT accounts.name FROM UNNEST($1::text[]) AS wish (name)
         JOIN accounts ON accounts.name >= wish.name AND accounts.name < wish.name || '!'",
    )
    .bind(batch.names())
    .fetch_all(&mut *tx)
    .await
    .map_err(unavailable)?;
    let seats: Vec<AccountRow> =
        sqlx::query_as(select_accounts!("WHERE seat = ANY ($1) ORDER BY id FOR NO KEY UPDATE OF accounts"))
            .bind(batch.seats())
            .fetch_all(tx)
            .await
            .map_err(unavailable)?;
    Ok(Present { ids, names, seats })
}

/// One value of every row, as the argument of a statement for all of them.
fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

async fn add(tx: &mut PgConnection, rows: &[Added]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO accounts (id, kind, name, seat, workspace_id, user_id, email, plan, state, created_at,
                               settings, settings_key_id)
         SELECT id, kind, name, seat, workspace_id, user_id, email, plan, 'active', created_at, settings, key_id
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::bigint[], $10::bytea[], $11::text[])
              AS new (id, kind, name, seat, workspace_id, user_id, email, plan, created_at, settings, key_id)",
    )
    .bind(column(rows, |row| row.account.id.as_str()))
    .bind(column(rows, |row| row.account.kind.as_str()))
    .bind(column(rows, |row| row.account.name.as_str()))
    .bind(column(rows, |row| row.seat.as_deref()))
    .bind(column(rows, |row| row.account.identity.workspace_id.as_deref()))
    .bind(column(rows, |row| row.account.identity.user_id.as_deref()))
    .bind(column(rows, |row| row.account.identity.email.as_deref()))
    .bind(column(rows, |row| row.account.plan.as_deref()))
    .bind(column(rows, |row| row.account.created_at.as_millis()))
    .bind(column(rows, |row| row.settings.bytes.as_slice()))
    .bind(column(rows, |row| row.settings.key_id.as_str()))
    .execute(tx)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// Their rows were locked when they were read.
async fn update(tx: &mut PgConnection, rows: &[Updated]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let settings = |row: &'_ Updated| row.settings.as_ref().map(|sealed: &Sealed| sealed.bytes.clone());
    sqlx::query(
        "UPDATE accounts
         SET state = 'active', state_reason = NULL, user_id = new.user_id, email = new.email, plan = new.plan,
             settings = COALESCE(new.settings, accounts.settings),
             settings_key_id = COALESCE(new.key_id, accounts.settings_key_id)
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[])
              AS new (id, user_id, email, plan, settings, key_id)
         WHERE accounts.id = new.id",
    )
    .bind(column(rows, |row| row.account.id.as_str()))
    .bind(column(rows, |row| row.account.identity.user_id.as_deref()))
    .bind(column(rows, |row| row.account.identity.email.as_deref()))
    .bind(column(rows, |row| row.account.plan.as_deref()))
    .bind(column(rows, settings))
    .bind(column(rows, |row| row.settings.as_ref().map(|sealed| sealed.key_id.as_str())))
    .execute(tx)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// A sign-in: it counts as the next version, and ends the claim of whoever is rotating the tokens before it.
async fn replace_tokens(tx: &mut PgConnection, rows: &[NewTokens]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO credentials (account_id, version, tokens, key_id, expires_at, refreshed_at)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[])
         ON CONFLICT (account_id) DO UPDATE
         SET version = credentials.version + excluded.version, tokens = excluded.tokens,
             key_id = excluded.key_id, expires_at = excluded.expires_at, refreshed_at = excluded.refreshed_at,
             refresh_claimed_until = NULL, refresh_holder = NULL, refresh_holder_until = NULL",
    )
    .bind(column(rows, |row| row.account.as_str()))
    .bind(column(rows, |row| row.sign_ins))
    .bind(column(rows, |row| row.sealed.bytes.as_slice()))
    .bind(column(rows, |row| row.sealed.key_id.as_str()))
    .bind(column(rows, |row| row.expires_at))
    .bind(column(rows, |row| row.refreshed_at))
    .execute(tx)
    .await
    .map_err(unavailable)?;
    Ok(())
}
