//! The storage ports on PostgreSQL, for several gateways that share one database.
//!
//! Transactions are `READ COMMITTED` and lock the rows they read before they write. Whoever needs both locks the
//! account's row before the row of its tokens, and several accounts in the order of their ids, so that no two
//! transactions wait for each other: a deadlock could end the very one that stores a rotated token.
//!
//! Refuses: SQLite's SQL, deciding what a row means (`rows`).

mod accounts;
mod keys;
mod ledger;
mod refresh;
mod settings;

use gateway_core::ports::storage::StoreError;
use gateway_domain::AccountId;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions, PgTransaction};
use sqlx::{Executor, PgPool};

use crate::error::{existing, not_opened, unavailable};
use crate::{KeyRing, OpenError, StoreOptions, migrations};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// What this code relies on, whatever the server's defaults are: a commit that returned is on the disk (stricter
/// settings stay), and a statement sees what others have committed.
const SESSION: &str = "
    SELECT set_config('default_transaction_isolation', 'read committed', false),
           CASE WHEN current_setting('synchronous_commit') = 'off'
                THEN set_config('synchronous_commit', 'on', false) END";

/// PostgreSQL behind the storage ports.
pub struct PostgresStore {
    pool: PgPool,
    keys: KeyRing,
}

impl PostgresStore {
    /// Connects and brings the tables up to date.
    ///
    /// # Errors
    /// The server does not answer or refuses, or the database was written by a newer version.
    pub async fn open(url: &str, keys: KeyRing, options: &StoreOptions) -> Result<Self, OpenError> {
        let server: PgConnectOptions = url.parse().map_err(not_opened)?;
        let pool = PgPoolOptions::new()
            .max_connections(options.connections.max(1))
            .acquire_timeout(options.patience)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SESSION).await.map(|_| ()) })
            })
            .connect_with(server.application_name("switchyard"))
            .await
            .map_err(not_opened)?;
        // The migrator holds an advisory lock, so of several that start at once one does the work.
        if let Err(error) = migrate(&pool).await {
            // Ends the session too, and with it the lock.
            pool.close().await;
            return Err(error);
        }
        Ok(Self { pool, keys })
    }

    /// Waits for what is running and closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn begin(&self) -> Result<PgTransaction<'static>, StoreError> {
        self.pool.begin_with(BEGIN).await.map_err(unavailable)
    }
}

async fn migrate(pool: &PgPool) -> Result<(), OpenError> {
    let mut connection = pool.acquire().await.map_err(not_opened)?;
    Ok(migrations::run_postgres(&mut connection).await?)
}

/// Locks an account's row against being changed or deleted, until commit.
async fn lock_account(tx: &mut PgConnection, id: &AccountId) -> Result<(), StoreError> {
    let there: Option<String> = sqlx::query_scalar("SELECT id FROM accounts WHERE id = $1 FOR NO KEY UPDATE")
        .bind(id.as_str())
        .fetch_optional(tx)
        .await
        .map_err(unavailable)?;
    existing(there.map(|_| ()), "the account")
}

const NAMES_LOCK: i64 = i64::from_be_bytes(*b"sy:names");

/// Holds back whoever else chooses a name for an account, until commit. A free name found under this lock is
/// still free when it is written.
async fn lock_names(tx: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(NAMES_LOCK)
        .execute(tx)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Whether a write broke this constraint.
fn repeats(error: &sqlx::Error, constraint: &str) -> bool {
    error.as_database_error().is_some_and(|error| error.constraint() == Some(constraint))
}
