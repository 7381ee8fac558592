//! The `auth.json` of a Codex CLI that shares an account's tokens with us.

use std::path::Path;

use futures_util::future::BoxFuture;
use gateway_domain::{Secret, Timestamp};

/// What became of a wish to replace a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// It holds the new text.
    Yes,
    /// Somebody else changed it meanwhile; nothing was written.
    Changed,
}

/// Files outside the gateway's own folder. Errors are for people and never hold what is in a file.
pub trait SharedFiles: Send + Sync {
    /// When the file was last changed; `None` when it is not there.
    fn changed_at(&self, path: &Path) -> BoxFuture<'_, Result<Option<Timestamp>, String>>;

    /// What the file holds; `None` when it is not there. Refuses a file that is larger than any `auth.json`.
    fn read(&self, path: &Path) -> BoxFuture<'_, Result<Option<Secret>, String>>;

    /// Puts a new text in the file's place, whole or not at all and for its owner alone, if it still holds `known`.
    fn replace(&self, path: &Path, known: Secret, text: Secret) -> BoxFuture<'_, Result<Replaced, String>>;
}
