//! The key file: the keys that seal secrets at rest.
//!
//! The file is text. One key a line, 32 bytes in base64; empty lines and lines that begin with `#` are skipped.
//! The first key seals, all of them open. To rotate, put a new key on top and keep the old ones below.
//!
//! Refuses: printing a key, and making a new file over an existing one, whatever is in it.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use crate::files;

const KEY_BYTES: usize = 32;
const HEADER: &str = "# Seals the secrets in the gateway's database; without this file they are lost.\n\
                      # One key a line, the first one seals. To rotate, add a new one on top and keep the old ones.\n";

/// Why the key file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or made.
    #[error("the key file {path} cannot be read or made: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not a key.
    #[error("line {line} of the key file {path} is not a base64 key of 32 bytes", path = path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A key is there twice (or two keys share an id, which a new random key mends).
    #[error("line {line} of the key file {path} repeats a key; remove it", path = path.display())]
    Repeated {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// There is no key in it.
    #[error("the key file {path} holds no key; restore it, or remove it to have a new one made", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// One key and the id that rows sealed under it carry.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) cipher: XChaCha20Poly1305,
}

struct Keys {
    active: Key,
    older: Vec<Key>,
}

/// The keys of one gateway: the active one, and older ones that still open what they sealed.
#[derive(Clone)]
pub struct KeyRing(Arc<Keys>);

impl KeyRing {
    /// Reads the key file, or makes it with one new key. Of several processes that start at once, one makes it
    /// and the others read that. Blocks for a moment.
    ///
    /// # Errors
    /// The file cannot be read or made, or holds something else than keys.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
        if let Some(text) = read(path).map_err(failed)? {
            files::warn_if_shared(path);
            return Self::parse(&text, path);
        }
        create(path).map_err(failed)?;
        // Ours or that of a faster process: what is in the file now is what counts.
        let text = std::fs::read_to_string(path).map_err(failed)?;
        Self::parse(&text, path)
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn active_id(&self) -> &str {
        &self.0.active.id
    }

    pub(crate) fn active(&self) -> &Key {
        &self.0.active
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Key> {
        std::iter::once(&self.0.active).chain(&self.0.older).find(|key| key.id == id)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, KeyFileError> {
        let mut keys = Vec::new();
        let mut ids = HashSet::new();
        for (index, line) in text.lines().enumerate() {
            let entry = line.trim();
            if entry.is_empty() || entry.starts_with('#') {
                continue;
            }
            let line = index.saturating_add(1);
            let key = decode(entry).ok_or_else(|| KeyFileError::NotAKey { path: path.to_owned(), line })?;
            if !ids.insert(key.id.clone()) {
                return Err(KeyFileError::Repeated { path: path.to_owned(), line });
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let active = keys.next().ok_or_else(|| KeyFileError::Empty { path: path.to_owned() })?;
        Ok(Self(Arc::new(Keys { active, older: keys.collect() })))
    }
}

fn decode(entry: &str) -> Option<Key> {
    let bytes = STANDARD.decode(entry).ok().filter(|bytes| bytes.len() == KEY_BYTES)?;
    let cipher = XChaCha20Poly1305::new_from_slice(&bytes).ok()?;
    Some(Key { id: key_id(&bytes), cipher })
}

/// The first 8 hex digits of the key's SHA-256: enough to tell an operator which key is missing, useless for
/// finding the key.
fn key_id(key: &[u8]) -> String {
    Sha256::digest(key).iter().take(4).fold(String::with_capacity(8), |mut id, byte| {
        // Writing to a String cannot fail.
        let _ = write!(id, "{byte:02x}");
        id
    })
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the file complete and durable before it gets its name, so that no other process and no restart after a
/// power cut ever sees half a file. Leaves a file that is already there alone.
fn create(path: &Path) -> io::Result<()> {
    let folder = files::folder_of(path);
    files::private_folder(folder)?;
    let mut key = [0_u8; KEY_BYTES];
    OsRng.try_fill_bytes(&mut key).map_err(io::Error::other)?;

    // Temporary files are made for their owner alone (0600).
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{HEADER}{}", STANDARD.encode(key))?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => files::sync_folder(folder),
        Err(lost) if lost.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(failed) => Err(failed.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_line(byte: u8) -> String {
        STANDARD.encode([byte; KEY_BYTES])
    }

    fn parse(text: &str) -> Result<KeyRing, KeyFileError> {
        KeyRing::parse(text, Path::new("keys"))
    }

    #[test]
    fn the_first_key_seals_and_all_can_be_found() {
        let ring = parse(&format!("# mine\n\n{}\n  {}  \n", key_line(1), key_line(2))).unwrap();
        let first = key_id(&[1; KEY_BYTES]);
        assert_eq!(ring.active_id(), first);
        assert_eq!(first.len(), 8);
        assert!(ring.find(&first).is_some() && ring.find(&key_id(&[2; KEY_BYTES])).is_some());
        assert!(ring.find("00000000").is_none());
    }

    #[test]
    fn a_bad_line_is_named_and_not_repeated() {
        let short = STANDARD.encode([7; 31]);
        let refused = parse(&format!("{}\n{short}", key_line(1))).err().unwrap().to_string();
        assert!(refused.contains("line 2") && !refused.contains(&short), "{refused}");
        assert!(matches!(parse("# nothing\n"), Err(KeyFileError::Empty { .. })));
        let twice = format!("{0}\n{0}\n", key_line(1));
        assert!(matches!(parse(&twice), Err(KeyFileError::Repeated { line: 2, .. })));
    }

    #[test]
    fn a_missing_file_is_made_once_for_its_owner_alone() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("data/key");
        let made = KeyRing::load_or_create(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let again = KeyRing::load_or_create(&path).unwrap();
        assert_eq!(made.active_id(), again.active_id());
        assert_eq!(text, std::fs::read_to_string(&path).unwrap());
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing temporary is left"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn of_many_that_start_at_once_all_get_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let path = folder.path().join(format!("key-{round}"));
            let start = std::sync::Barrier::new(4);
            let ids: HashSet<String> = std::thread::scope(|scope| {
                let load = || {
                    start.wait();
                    KeyRing::load_or_create(&path).unwrap().active_id().to_owned()
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(ids.len(), 1, "round {round}");
        }
    }

    #[test]
    fn a_damaged_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(KeyRing::load_or_create(&path), Err(KeyFileError::Empty { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }
}
