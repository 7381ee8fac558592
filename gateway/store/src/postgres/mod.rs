//! The storage ports on PostgreSQL, for several gateways that share one database.
//!
//! Transactions are `READ COMMITTED` and lock the rows they read before they write. Whoever needs both locks the
//! account's row before the row of its tokens, and several accounts in the order of their ids, so that no two
//! transactions wait for each other: a deadlock could end the very one that stores a rotated token.
//!
//! Refuses: SQLite's SQL, deciding what a row means (`rows`).

mod accounts;
mod import;
mod keys;
mod ledger;
mod proxies;
mod refresh;
mod reseal;
mod settings;
mod ties;

use std::io::ErrorKind;
use std::time::Duration;

use gateway_core::ports::storage::StoreError;
use gateway_domain::AccountId;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions, PgTransaction};
use sqlx::{Connection, Executor, PgPool};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{existing, not_opened, unavailable};
use crate::{KeyRing, OpenError, StoreOptions, migrations};

/// What this code relies on, whatever the server's defaults are: a commit that returned is on the disk (stricter
/// settings stay), and each statement sees what others have committed, so that waiting for a lock is enough.
const SESSION: &str = "
    SELECT set_config('default_transaction_isolation', 'read committed', false),
           CASE WHEN current_setting('synchronous_commit') = 'off'
                THEN set_config('synchronous_commit', 'on', false) END";

/// Selects accounts as [`crate::rows::AccountRow`] reads them.
macro_rules! select_accounts {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, name, seat, workspace_id, user_id, email, plan, state, state_reason, created_at, quota,
                 quota_seen_at, settings, settings_key_id, COALESCE(version, 0) AS version
             FROM accounts LEFT JOIN credentials ON account_id = id ",
            $rest
        )
    };
}
use select_accounts;

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
        let server = server.application_name("switchyard");
        let mut first = connect(&server, options.patience).await?;
        // The migrator holds an advisory lock, so of several that start at once one does the work. The end of the
        // session ends the lock, whatever came of it.
        let migrated = migrations::run_postgres(&mut first).await;
        let closed = first.close().await;
        migrated?;
        closed.map_err(not_opened)?;

        let pool = PgPoolOptions::new()
            .max_connections(options.connections.max(1))
            .acquire_timeout(options.patience)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SESSION).await.map(|_| ()) })
            })
            .connect_lazy_with(server);
        Ok(Self { pool, keys })
    }

    /// Whether the tables can be read.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM settings LIMIT 1")
            .fetch_optional(&self.pool)
            .await
            .map(|_| ())
            .map_err(unavailable)
    }

    /// Waits for what is running and closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn begin(&self) -> Result<PgTransaction<'static>, StoreError> {
        self.pool.begin().await.map_err(unavailable)
    }
}

/// The first connection. A server that is only just starting, as beside us in a compose file, is waited for; the
/// pool would do so too, but could not say afterwards what was wrong.
async fn connect(server: &PgConnectOptions, patience: Duration) -> Result<PgConnection, OpenError> {
    const PAUSE: Duration = Duration::from_millis(100);
    let deadline = Instant::now() + patience;
    loop {
        match timeout_at(deadline, PgConnection::connect_with(server)).await {
            Ok(Err(error)) if is_starting(&error) && Instant::now() + PAUSE < deadline => sleep(PAUSE).await,
            Ok(done) => return done.map_err(not_opened),
            Err(_) => {
                return Err(OpenError::Unavailable(format!("the server did not answer within {patience:?}")));
            }
        }
    }
}

fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        sqlx::Error::Database(error) => error.is_transient_in_connect_phase(),
        _ => false,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(url: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyRing::load_or_create(&folder.path().join("key")).unwrap();
        let options = StoreOptions { patience: Duration::from_millis(150), ..StoreOptions::default() };
        PostgresStore::open(url, keys, &options).await.err().unwrap().to_string()
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_waited_for_and_then_named_as_such() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let told = refused(&format!("postgres://me:hunter2@{free}/sy?sslmode=disable")).await;
        assert!(told.contains("refused") && !told.contains("hunter2"), "{told}");
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_given_up() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let told = refused(&format!("postgres://me:hunter2@{}/sy", silent.local_addr().unwrap())).await;
        assert!(told.contains("did not answer within 150ms"), "{told}");
    }

    #[tokio::test]
    async fn a_broken_url_is_not_repeated() {
        let told = refused("postgres://me:hunter2@db:port/sy").await;
        assert!(told.contains("not understood") && !told.contains("hunter2"), "{told}");
    }
}
