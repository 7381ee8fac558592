//! A database for one case, and what a case needs beside the ports.

use std::path::PathBuf;

use gateway_store::{KeyRing, OpenError, Store, StoreOptions, open};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use tempfile::TempDir;

pub struct Fixture {
    url: String,
    folder: TempDir,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Sqlite,
    Postgres,
}

impl Fixture {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("data/gateway.db").into_os_string().into_string().unwrap();
        Self { url, folder, kind: Kind::Sqlite }
    }

    pub fn postgres(url: String) -> Self {
        Self { url, folder: tempfile::tempdir().unwrap(), kind: Kind::Postgres }
    }

    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// One more process with the same database and key file.
    pub async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> Result<Store, OpenError> {
        self.opening().await
    }

    /// The same, for a task of its own.
    pub fn opening(&self) -> impl Future<Output = Result<Store, OpenError>> + Send + use<> {
        let (url, key_file) = (self.url.clone(), self.key_file());
        async move {
            let keys = KeyRing::load_or_create(&key_file).unwrap();
            open(&url, keys, &StoreOptions::default()).await
        }
    }

    /// Runs SQL that both databases understand, behind the back of the ports.
    pub async fn execute(&self, sql: &'static str) {
        match self.kind {
            Kind::Sqlite => self.sqlite_connection().await.execute(sql).await.map(|_| ()).unwrap(),
            Kind::Postgres => self.postgres_connection().await.execute(sql).await.map(|_| ()).unwrap(),
        }
    }

    /// One column of blobs.
    pub async fn blobs(&self, sql: &'static str) -> Vec<Vec<u8>> {
        match self.kind {
            Kind::Sqlite => {
                sqlx::query_scalar(sql).fetch_all(&mut self.sqlite_connection().await).await.unwrap()
            }
            Kind::Postgres => {
                sqlx::query_scalar(sql).fetch_all(&mut self.postgres_connection().await).await.unwrap()
            }
        }
    }

    /// One number.
    pub async fn number(&self, sql: &'static str) -> i64 {
        match self.kind {
            Kind::Sqlite => {
                sqlx::query_scalar(sql).fetch_one(&mut self.sqlite_connection().await).await.unwrap()
            }
            Kind::Postgres => {
                sqlx::query_scalar(sql).fetch_one(&mut self.postgres_connection().await).await.unwrap()
            }
        }
    }

    async fn sqlite_connection(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(&self.url).connect().await.unwrap()
    }

    async fn postgres_connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }
}
