//! Durable state on SQLite (embedded, the default) and PostgreSQL, behind the storage ports of `gateway-core`.
//!
//! Owns: the two implementations, their migrations, and the sealing of secrets under a key file. Refuses: deciding what is stored or when, hot state, clocks, reading configuration.
//!
//! Both implementations keep one contract; `tests/contract` holds them to it. What they share is what is really
//! the same (rows, sealing, names, the decisions of a rotation); queries that differ are written twice, each in its own
//! SQL.

mod error;
mod files;
mod import;
mod keyring;
mod learned;
mod migrations;
mod naming;
mod offload;
mod postgres;
mod reseal;
mod rotation;
mod rows;
mod seal;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use gateway_core::ports::storage::{
    AccountStore, ClientKeyStore, Ledger, ProxyStore, SettingStore, StoreError, TieStore,
};

pub use error::OpenError;
pub use files::private_folder;
pub use keyring::{KeyFileError, KeyRing};
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

/// How much a store may use and how long it waits.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How long a write waits for another process that is writing, and a query for a free connection.
    pub patience: Duration,
    /// Connections that read (SQLite; there is always exactly one that writes).
    pub readers: u32,
    /// Connections (PostgreSQL).
    pub connections: u32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { patience: Duration::from_secs(10), readers: 3, connections: 8 }
    }
}

/// How long a readiness probe waits for the database.
pub const PING_DEADLINE: Duration = Duration::from_secs(1);

#[derive(Clone)]
enum Backend {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

/// An open database. Clones share its connections.
#[derive(Clone)]
pub struct Store(Backend);

/// Opens the database, bringing its tables up to date. Several processes may do so at once.
///
/// `url` is `postgres://…`, or the path of the SQLite file, with or without `sqlite:` before it; the file and
/// its folder are made when they are missing, readable by their owner only.
///
/// # Errors
/// The database cannot be reached, or was written by a newer version of the gateway.
pub async fn open(url: &str, keys: KeyRing, options: &StoreOptions) -> Result<Store, OpenError> {
    match Target::parse(url)? {
        Target::Postgres => {
            let store = PostgresStore::open(url, keys, options).await?;
            Ok(Store(Backend::Postgres(Arc::new(store))))
        }
        Target::Sqlite(path) => {
            let store = SqliteStore::open(path.as_ref(), keys, options).await?;
            Ok(Store(Backend::Sqlite(Arc::new(store))))
        }
    }
}

#[derive(Debug, PartialEq)]
enum Target<'a> {
    Postgres,
    Sqlite(&'a str),
}

impl<'a> Target<'a> {
    fn parse(url: &'a str) -> Result<Self, OpenError> {
        let path = match url.split_once("://") {
            Some(("postgres" | "postgresql", _)) => return Ok(Self::Postgres),
            Some(("sqlite", path)) => path,
            // The rest of an unknown URL may hold a password, so only its scheme is repeated.
            Some((scheme, _)) => return Err(OpenError::Scheme(scheme.to_owned())),
            None => url.strip_prefix("sqlite:").unwrap_or(url),
        };
        if path.is_empty() || path == ":memory:" {
            return Err(OpenError::NoFile);
        }
        Ok(Self::Sqlite(path))
    }
}

impl Store {
    /// Accounts and their tokens.
    #[must_use]
    pub fn accounts(&self) -> Arc<dyn AccountStore> {
        match &self.0 {
            Backend::Sqlite(store) => store.clone(),
            Backend::Postgres(store) => store.clone(),
        }
    }

    /// Client keys.
    #[must_use]
    pub fn client_keys(&self) -> Arc<dyn ClientKeyStore> {
        match &self.0 {
            Backend::Sqlite(store) => store.clone(),
            Backend::Postgres(store) => store.clone(),
        }
    }

    /// Small named values.
    #[must_use]
    pub fn settings(&self) -> Arc<dyn SettingStore> {
        match &self.0 {
            Backend::Sqlite(store) => store.clone(),
            Backend::Postgres(store) => store.clone(),
        }
    }

    /// Egress proxies.
    #[must_use]
    pub fn proxies(&self) -> Arc<dyn ProxyStore> {
        match &self.0 {
            Backend::Sqlite(store) => store.clone(),
            Backend::Postgres(store) => store.clone(),
        }
    }

    /// What ties conversations to accounts.
    #[must_use]
    pub fn ties(&self) -> Arc<dyn TieStore> {
        match &self.0 {
            Backend::Sqlite(store) => store.clone(),
            Backend::Postgres(store) => store.clone(),
        }
    }

    /// Settlements.
    #[must_use]
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        match &self.0 {
            Backend::Sqlite(store) => store.clone(),
            Backend::Postgres(store) => store.clone(),
        }
    }

    /// Whether the database answers, for a readiness probe.
    ///
    /// # Errors
    /// It refuses, or does not answer within [`PING_DEADLINE`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        let asked = async {
            match &self.0 {
                Backend::Sqlite(store) => store.ping().await,
                Backend::Postgres(store) => store.ping().await,
            }
        };
        let late = || StoreError::Unavailable(format!("it did not answer within {PING_DEADLINE:?}"));
        tokio::time::timeout(PING_DEADLINE, asked).await.map_err(|_| late())?
    }

    /// Seals every secret that an older key sealed under the newest key of the key file; says how many. Once it has
    /// succeeded and no process with the older key file runs any more, the older keys can be removed from the file.
    /// It can run while gateways serve.
    ///
    /// # Errors
    /// The database is not available, or some values open under no key of the file; the others are sealed anew all
    /// the same, and running it again goes on where it failed.
    pub async fn reseal(&self) -> Result<u64, StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.reseal().await,
            Backend::Postgres(store) => store.reseal().await,
        }
    }

    /// Waits for what is running and closes the connections; every later call says that the database is not
    /// available. What was acknowledged is durable without this, a SQLite file is just left tidier.
    pub async fn close(&self) {
        match &self.0 {
            Backend::Sqlite(store) => store.close().await,
            Backend::Postgres(store) => store.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_database() {
        for (url, path) in [
            ("/var/lib/sy/gateway.db", "/var/lib/sy/gateway.db"),
            ("gateway.db", "gateway.db"),
            ("sqlite:data/gateway.db", "data/gateway.db"),
            ("sqlite:///data/gateway.db", "/data/gateway.db"),
        ] {
            assert_eq!(Target::parse(url).unwrap(), Target::Sqlite(path), "{url}");
        }
        assert_eq!(Target::parse("postgresql://db/sy").unwrap(), Target::Postgres);
    }

    #[test]
    fn a_url_that_is_not_taken_is_refused_without_repeating_its_password() {
        let refused = Target::parse("mysql://me:hunter2@db/sy").unwrap_err().to_string();
        assert!(refused.contains("mysql") && !refused.contains("hunter2"), "{refused}");
        assert!(matches!(Target::parse(":memory:"), Err(OpenError::NoFile)));
        assert!(matches!(Target::parse(""), Err(OpenError::NoFile)));
    }
}
