//! The `auth.json` files that Codex CLIs share with the gateway, on this machine's disk.
//!
//! Refuses: anything larger than such a file, and leaving half of one behind.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gateway_core::co_owned::MAX_SHARED_BYTES;
use gateway_core::ports::{Replaced, SharedFiles};
use gateway_domain::{Secret, Timestamp};

use crate::cli::private_file::replace_private;

/// Reads and writes them on threads where waiting for a disk holds nobody up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DiskFiles;

impl SharedFiles for DiskFiles {
    fn changed_at(&self, path: &Path) -> BoxFuture<'_, Result<Option<Timestamp>, String>> {
        on_disk(path, |path| match std::fs::metadata(path) {
            Ok(about) => {
                let since = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                let millis = since.map_or(0, |since| since.as_millis());
                Ok(Some(Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))))
            }
            Err(error) => absent(error),
        })
    }

    fn read(&self, path: &Path) -> BoxFuture<'_, Result<Option<Secret>, String>> {
        on_disk(path, read)
    }

    fn replace(&self, path: &Path, known: Secret, text: Secret) -> BoxFuture<'_, Result<Replaced, String>> {
        on_disk(path, move |path| {
            // What a link leads to is replaced, not the link.
            let path = std::fs::canonicalize(path).map_err(|error| error.to_string())?;
            if read(&path)? != Some(known) {
                return Ok(Replaced::Changed);
            }
            replace_private(&path, text.expose().as_bytes()).map_err(|error| error.to_string())?;
            Ok(Replaced::Yes)
        })
    }
}

fn on_disk<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> Result<T, String> + Send + 'static,
) -> BoxFuture<'static, Result<T, String>> {
    let path = PathBuf::from(path);
    let working = async move {
        tokio::task::spawn_blocking(move || work(&path)).await.unwrap_or_else(|error| Err(error.to_string()))
    };
    working.boxed()
}

fn absent<T>(error: std::io::Error) -> Result<Option<T>, String> {
    if error.kind() == ErrorKind::NotFound { Ok(None) } else { Err(error.to_string()) }
}

fn read(path: &Path) -> Result<Option<Secret>, String> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) => return absent(error),
    };
    let most = u64::try_from(MAX_SHARED_BYTES).unwrap_or(u64::MAX);
    let mut text = String::new();
    let read = file.take(most.saturating_add(1)).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    if text.len() > MAX_SHARED_BYTES {
        return Err("the file is larger than any auth.json".to_owned());
    }
    Ok(Some(Secret::new(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_replaced_only_while_it_holds_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        let files = DiskFiles;
        assert_eq!(files.read(&path).await, Ok(None));
        assert_eq!(files.changed_at(&path).await, Ok(None));
        std::fs::write(&path, "one").unwrap();
        assert!(files.changed_at(&path).await.unwrap().is_some());
        let one = files.read(&path).await.unwrap().unwrap();
        assert_eq!(files.replace(&path, one.clone(), Secret::from("two")).await, Ok(Replaced::Yes));
        assert_eq!(files.replace(&path, one, Secret::from("three")).await, Ok(Replaced::Changed));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        std::fs::write(&path, "x".repeat(MAX_SHARED_BYTES + 1)).unwrap();
        assert!(files.read(&path).await.is_err());
    }
}
