//! Errors of the database in our words. The one place that knows sqlx's errors.
//!
//! Refuses: repeating values. A message may end in a log or an answer, so it names tables and constraints, never
//! tokens, addresses or passwords.

use std::path::PathBuf;

use gateway_core::ports::storage::StoreError;
use sqlx::migrate::MigrateError;

/// Why the database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names something that is not spoken here.
    #[error("`{0}` databases are not supported; use postgres:// or the path of a SQLite file")]
    Scheme(String),
    /// The URL names no file, or one in memory, which a second connection could not see.
    #[error("the database URL names no file; use postgres:// or the path of a SQLite file")]
    NoFile,
    /// The URL has the right scheme, but the rest is not understood.
    #[error(
        "the database URL is not understood ({0}); it looks like postgres://user:password@host:5432/name"
    )]
    Url(String),
    /// The file or its folder cannot be made.
    #[error("{path} cannot be made: {source}", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The tables hold what only a newer gateway understands.
    #[error(
        "the database was written by a newer version (migration {migration}); start that version, or restore a \
         backup made before it"
    )]
    Newer {
        /// The first migration this version does not know.
        migration: i64,
    },
    /// A migration could not be carried out.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(String),
    /// The database does not answer or refuses.
    #[error("the database cannot be opened: {0}")]
    Unavailable(String),
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(migration) => Self::Newer { migration },
            MigrateError::VersionMismatch(migration) => Self::Migration(format!(
                "migration {migration} was applied in another form; start the version that wrote this database"
            )),
            MigrateError::Execute(error) => Self::Unavailable(describe(&error)),
            MigrateError::ExecuteMigration(error, migration) => {
                Self::Migration(format!("migration {migration} failed: {}", describe(&error)))
            }
            other => Self::Migration(other.to_string()),
        }
    }
}

/// Why opening a connection failed.
pub(crate) fn not_opened(error: sqlx::Error) -> OpenError {
    match error {
        // From parsing the URL; sqlx names the broken part, not the URL.
        sqlx::Error::Configuration(why) => OpenError::Url(why.to_string()),
        other => OpenError::Unavailable(describe(&other)),
    }
}

/// Every failure of a query that no query expects.
pub(crate) fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(describe(&error))
}

/// A row that no version of ours has written like this.
pub(crate) fn unreadable(what: &'static str) -> StoreError {
    StoreError::Unavailable(format!(
        "{what} is not readable; it was not written by this version of the gateway"
    ))
}

/// Turns "no such row" into the port's word for it.
pub(crate) fn existing<T>(row: Option<T>, what: &'static str) -> Result<T, StoreError> {
    row.ok_or(StoreError::NotFound { what })
}

fn describe(error: &sqlx::Error) -> String {
    match error {
        // Without `detail`, where PostgreSQL repeats the values of the row.
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("{} ({code})", error.message()),
            None => error.message().to_owned(),
        },
        sqlx::Error::Io(error) => format!("connection failed: {error}"),
        sqlx::Error::PoolTimedOut => "no connection became free in time".to_owned(),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => "it was closed".to_owned(),
        sqlx::Error::ColumnDecode { index, .. } => format!("column {index} has an unexpected type"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_from_the_future_is_named_as_such() {
        let told = OpenError::from(MigrateError::VersionMissing(7)).to_string();
        assert!(told.contains("newer version") && told.contains('7'), "{told}");
    }
}
