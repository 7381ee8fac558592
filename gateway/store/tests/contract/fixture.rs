//! A database for one case, and what a case needs beside the ports.

use std::path::{Path, PathBuf};

use gateway_store::{KeyRing, OpenError, Store, StoreOptions, open};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor, SqlSafeStr};
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

    /// Makes the tables as the first version made them.
    pub async fn make_first_version(&self) {
        let migrate = |sql: &'static str| {
            let first =
                Migration::new(1, "0001_first".into(), MigrationType::Simple, sql.into_sql_str(), false);
            Migrator::with_migrations(vec![first])
        };
        match self.kind {
            Kind::Sqlite => {
                std::fs::create_dir(Path::new(&self.url).parent().unwrap()).unwrap();
                std::fs::File::create_new(&self.url).unwrap();
                let migrator = migrate(include_str!("../../migrations/sqlite/0001_first.sql"));
                let mut connection = self.sqlite_connection().await;
                migrator.run_direct(None, &mut connection, false).await.unwrap();
                connection.close().await.unwrap();
            }
            Kind::Postgres => {
                let migrator = migrate(include_str!("../../migrations/postgres/0001_first.sql"));
                migrator.run_direct(None, &mut self.postgres_connection().await, false).await.unwrap();
            }
        }
    }

    /// The bytes of the tables with secrets as they are on the disk.
    pub async fn on_disk(&self) -> Vec<u8> {
        const FILES: &str = "
            SELECT current_setting('data_directory') || '/' || pg_relation_filepath(oid) FROM pg_class
            WHERE pg_relation_filepath(oid) IS NOT NULL AND relnamespace = current_schema()::regnamespace";
        let files: Vec<PathBuf> = match self.kind {
            Kind::Sqlite => {
                let folder = std::fs::read_dir(Path::new(&self.url).parent().unwrap()).unwrap();
                folder.map(|entry| entry.unwrap().path()).collect()
            }
            Kind::Postgres => {
                let mut connection = self.postgres_connection().await;
                connection.execute("CHECKPOINT").await.unwrap();
                let files: Vec<String> = sqlx::query_scalar(FILES).fetch_all(&mut connection).await.unwrap();
                files.into_iter().map(PathBuf::from).collect()
            }
        };
        files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect()
    }

    /// Runs SQL that both databases understand, behind the back of the ports.
    pub async fn execute(&self, sql: &'static str) {
        match self.kind {
            Kind::Sqlite => self.sqlite_connection().await.execute(sql).await.map(|_| ()).unwrap(),
            Kind::Postgres => self.postgres_connection().await.execute(sql).await.map(|_| ()).unwrap(),
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
