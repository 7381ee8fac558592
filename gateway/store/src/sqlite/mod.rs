//! The storage ports on an embedded SQLite file.
//!
//! Several processes may have the file open: the gateway, a refresher, the command line. So whatever reads before
//! it writes takes the write lock first (`BEGIN IMMEDIATE`), and waits for it as long as the options say. One
//! connection writes, a few read beside it (WAL); a commit is on the disk when it returns (`synchronous=FULL`).
//!
//! Refuses: PostgreSQL's SQL, deciding what a row means (`rows`).

mod accounts;
mod import;
mod keys;
mod ledger;
mod proxies;
mod refresh;
mod reseal;
mod settings;
mod ties;

use std::path::Path;
use std::time::Duration;

use gateway_core::ports::storage::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous, SqliteTransaction,
};
use sqlx::{Connection, Sqlite, SqlitePool};
use tokio::time::{Instant, sleep};

use crate::error::{not_opened, unavailable};
use crate::{KeyRing, OpenError, StoreOptions, files, migrations};

const BEGIN: &str = "BEGIN IMMEDIATE";

/// Selects accounts as [`crate::rows::AccountRow`] reads them. SQLite would rather find the version by the primary key,
/// and read the tokens beside it.
macro_rules! select_accounts {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, name, seat, workspace_id, user_id, email, plan, state, state_reason, created_at, quota,
                 quota_seen_at, settings, settings_key_id, COALESCE(version, 0) AS version
             FROM accounts LEFT JOIN credentials INDEXED BY credentials_versions ON account_id = id ",
            $rest
        )
    };
}
use select_accounts;

/// SQLite behind the storage ports.
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    keys: KeyRing,
}

impl SqliteStore {
    /// Opens the file, making it and its folder when they are missing, and brings its tables up to date.
    ///
    /// # Errors
    /// The file cannot be made or opened, or was written by a newer version.
    pub async fn open(path: &Path, keys: KeyRing, options: &StoreOptions) -> Result<Self, OpenError> {
        let failed = |source| OpenError::File { path: path.to_owned(), source };
        files::private_folder(files::folder_of(path)).map_err(failed)?;
        files::private_file(path).map_err(failed)?;
        files::warn_if_shared(path);

        let writing = connection(path, options).journal_mode(SqliteJournalMode::Wal);
        let reading = connection(path, options).pragma("query_only", "on");
        let store = Self {
            writer: pool(1, options).connect_lazy_with(writing),
            readers: pool(options.readers.max(1), options).connect_lazy_with(reading),
            keys,
        };
        match store.migrate(options.patience).await {
            Ok(()) => Ok(store),
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    /// Two processes may start at once: the first takes the write lock for all migrations together, the second
    /// waits for it and finds them done.
    async fn migrate(&self, patience: Duration) -> Result<(), OpenError> {
        let mut connection = first_connection(&self.writer, patience).await.map_err(not_opened)?;
        let mut tx = connection.begin_with(BEGIN).await.map_err(not_opened)?;
        migrations::run_sqlite(&mut tx).await?;
        tx.commit().await.map_err(not_opened)
    }

    /// Whether the tables can be read.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM settings LIMIT 1")
            .fetch_optional(&self.readers)
            .await
            .map(|_| ())
            .map_err(unavailable)
    }

    /// Waits for what is running and closes the connections.
    pub async fn close(&self) {
        self.readers.close().await;
        // The last to close moves the rest of the WAL into the file.
        self.writer.close().await;
    }

    /// The write lock of the whole file, until commit; dropped without it, nothing was written.
    async fn write(&self) -> Result<SqliteTransaction<'static>, StoreError> {
        self.writer.begin_with(BEGIN).await.map_err(unavailable)
    }
}

fn connection(path: &Path, options: &StoreOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(options.patience)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        // On macOS a plain fsync leaves the data in the drive's cache; elsewhere this changes nothing.
        .pragma("fullfsync", "on")
        .thread_name(|number| format!("sqlite-{number}"))
}

fn pool(connections: u32, options: &StoreOptions) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(options.patience)
        // A file does not go away the way a server does, so its connections are kept and not tested.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Switching a new file to WAL needs it for itself alone, and SQLite does not wait for that as it does for other
/// locks. So while another process opens the same new file, this one tries again.
async fn first_connection(pool: &SqlitePool, patience: Duration) -> sqlx::Result<PoolConnection<Sqlite>> {
    const PAUSE: Duration = Duration::from_millis(10);
    let deadline = Instant::now() + patience;
    loop {
        match pool.acquire().await {
            Err(error) if is_busy(&error) && Instant::now() < deadline => sleep(PAUSE).await,
            done => return done,
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: i32 = 5;
    const PRIMARY_CODE: i32 = 0xff;
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    code.is_some_and(|code| code & PRIMARY_CODE == SQLITE_BUSY)
}

/// Texts as the one argument that `json_each` reads: a statement's text does not depend on their number.
fn json_texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    serde_json::Value::from(texts.collect::<Vec<_>>()).to_string()
}

/// Whether a write broke the uniqueness of this column, named as SQLite does (`table.column`).
fn repeats(error: &sqlx::Error, column: &str) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() && error.message().ends_with(column))
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions, Executor};

    use super::*;

    async fn store(path: &Path) -> SqliteStore {
        let keys = KeyRing::load_or_create(&path.with_file_name("key")).unwrap();
        SqliteStore::open(path, keys, &StoreOptions::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_commit_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder.path().join("gateway.db")).await;
        let pragma = async |sql: &'static str| -> i64 {
            sqlx::query_scalar(sql).fetch_one(&store.writer).await.unwrap()
        };
        let journal: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.writer).await.unwrap();
        assert_eq!(journal, "wal");
        assert_eq!(pragma("PRAGMA synchronous").await, 2, "FULL: in WAL mode each commit is synced");
        assert_eq!(pragma("PRAGMA foreign_keys").await, 1);
    }

    /// Another process that is just making the same file: it holds the lock that the switch to WAL needs.
    #[tokio::test]
    async fn a_file_that_is_being_made_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.db");
        let new = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut other = new.connect().await.unwrap();
        other.execute("CREATE TABLE something (here); BEGIN IMMEDIATE").await.unwrap();
        let opening = tokio::spawn(async move { store(&path).await });
        sleep(Duration::from_millis(50)).await;
        assert!(!opening.is_finished(), "opened in spite of the lock");
        other.execute("COMMIT").await.unwrap();
        let store = opening.await.unwrap();
        let journal: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.writer).await.unwrap();
        assert_eq!(journal, "wal");
    }

    #[tokio::test]
    async fn a_probe_does_not_wait_as_long_as_a_query_would() {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyRing::load_or_create(&folder.path().join("key")).unwrap();
        let options = StoreOptions { readers: 1, ..StoreOptions::default() };
        let store = SqliteStore::open(&folder.path().join("gateway.db"), keys, &options).await.unwrap();
        let store = std::sync::Arc::new(store);
        let probed = crate::Store(crate::Backend::Sqlite(store.clone()));
        let held = store.readers.acquire().await.unwrap();
        let late = StoreError::Unavailable("it did not answer within 1s".to_owned());
        assert_eq!(probed.ping().await, Err(late));
        drop(held);
        assert_eq!(probed.ping().await, Ok(()));
    }

    /// Both are read through an index alone: the rows beside hold much that is not asked for.
    #[tokio::test]
    async fn versions_and_old_settlements_are_found_in_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder.path().join("gateway.db")).await;
        let plan = async |sql: &'static str| -> String {
            let steps: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(sql).fetch_all(&store.readers).await.unwrap();
            steps.into_iter().map(|(.., step)| step + "; ").collect()
        };
        let list = plan(concat!("EXPLAIN QUERY PLAN ", select_accounts!("ORDER BY name"))).await;
        assert!(
            list.contains("COVERING INDEX credentials_versions") && !list.contains("TEMP B-TREE"),
            "{list}"
        );
        let old =
            plan("EXPLAIN QUERY PLAN SELECT rowid FROM settlements WHERE at < 1 ORDER BY at, request_id")
                .await;
        assert!(old.contains("COVERING INDEX settlements_by_time") && !old.contains("TEMP B-TREE"), "{old}");
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder.path().join("gateway.db")).await;
        assert!(sqlx::query("DELETE FROM accounts").execute(&store.readers).await.is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn all_files_are_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("data");
        let store = store(&folder.join("gateway.db")).await;
        store.write().await.unwrap().commit().await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.iter().any(|path| path.ends_with("gateway.db-wal")), "{files:?}");
        for path in files {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }

    #[tokio::test]
    async fn what_is_not_a_database_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.db");
        std::fs::write(&path, "a letter to my aunt, long enough to be looked at ".repeat(40)).unwrap();
        let keys = KeyRing::load_or_create(&folder.path().join("key")).unwrap();
        let refused = SqliteStore::open(&path, keys, &StoreOptions::default()).await.err().unwrap();
        assert!(refused.to_string().contains("not a database"), "{refused}");
    }
}
