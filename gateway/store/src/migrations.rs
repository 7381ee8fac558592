//! The migrations built into the binary, in order.
//!
//! Refuses: undoing. Migrations only add, so an older gateway beside a newer one keeps working; a database that
//! knows more migrations than this list was written by a newer version and is not touched.

use futures_util::future::BoxFuture;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr, SqliteConnection};

struct File {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

macro_rules! files {
    ($folder:literal: $($version:literal $name:literal),+ $(,)?) => {
        &[$(File {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../migrations/", $folder, "/", $name, ".sql")),
        }),+]
    };
}

const SQLITE: &[File] = files!(
    "sqlite": 1 "0001_first", 2 "0002_settings_proxies", 3 "0003_scopes_ties", 4 "0004_usage_by_client",
);
const POSTGRES: &[File] = files!(
    "postgres": 1 "0001_first", 2 "0002_settings_proxies", 3 "0003_scopes_ties", 4 "0004_usage_by_client",
);

/// Brings a SQLite file up to date. The caller holds its write lock.
// A named lifetime and a box: otherwise the compiler cannot see that the future may move between threads.
pub(crate) fn run_sqlite(connection: &mut SqliteConnection) -> BoxFuture<'_, Result<(), MigrateError>> {
    Box::pin(async move { migrator(SQLITE).run_direct(None, connection, false).await })
}

/// Brings a PostgreSQL database up to date, under an advisory lock.
pub(crate) fn run_postgres(connection: &mut PgConnection) -> BoxFuture<'_, Result<(), MigrateError>> {
    Box::pin(async move { migrator(POSTGRES).run_direct(None, connection, false).await })
}

fn migrator(files: &[File]) -> Migrator {
    let migration = |file: &File| {
        let sql = file.sql.into_sql_str();
        Migration::new(file.version, file.name.into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(files.iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_built_in_and_both_databases_have_the_same() {
        for (folder, files) in [("sqlite", SQLITE), ("postgres", POSTGRES)] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let mut on_disk: Vec<String> = std::fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            on_disk.sort();
            let built_in: Vec<String> = files.iter().map(|file| format!("{}.sql", file.name)).collect();
            assert_eq!(on_disk, built_in, "{folder}");
            for (file, number) in files.iter().zip(1_i64..) {
                assert_eq!(file.version, number);
                assert!(file.name.starts_with(&format!("{number:04}_")), "{}", file.name);
            }
        }
        let names = |files: &[File]| files.iter().map(|file| file.name).collect::<Vec<_>>();
        assert_eq!(names(SQLITE), names(POSTGRES));
    }
}
