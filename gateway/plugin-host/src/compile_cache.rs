//! Machine code that was compiled before, kept on this machine: one sealed file per component.
//!
//! Whoever can write such a file could run code in the gateway, so each carries an HMAC under a key that only this
//! installation has. What does not fit is deleted and compiled again; nothing from outside is ever taken.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::hash::{Hash, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_domain::Secret;
use parking_lot::Mutex;
use ring::hmac;
use wasmtime::{CacheStore, Engine};

/// Changes with the layout of the file.
const MAGIC: &[u8; 8] = b"sycode01";
const TAG_BYTES: usize = 32;
/// Components kept; the least recently written ones go first.
const MAX_FILES: usize = 64;
/// The largest file taken.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
const ENDING: &str = "code";

/// What was found in the cache so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheTally {
    /// Components whose code was there.
    pub hits: u64,
    /// Components that had to be compiled.
    pub misses: u64,
    /// Files that were not what this installation wrote.
    pub refused: u64,
}

/// Where code is kept between starts.
#[derive(Debug)]
pub struct CompileCache {
    folder: PathBuf,
    key: hmac::Key,
    session: Mutex<Session>,
    tally: Mutex<CacheTally>,
    /// One component is compiled at a time.
    turn: Mutex<()>,
}

/// The code of the component that is being compiled.
#[derive(Debug, Default)]
struct Session {
    functions: HashMap<Vec<u8>, Vec<u8>>,
    added: bool,
}

impl CompileCache {
    /// Opens the folder, creating it if need be. `key` is this installation's own and secret.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn open(folder: impl Into<PathBuf>, key: &Secret<[u8; 32]>) -> std::io::Result<Arc<Self>> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        restrict(&folder)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        Ok(Arc::new(Self {
            folder,
            key,
            session: Mutex::default(),
            tally: Mutex::default(),
            turn: Mutex::new(()),
        }))
    }

    /// What was found so far.
    #[must_use]
    pub fn tally(&self) -> CacheTally {
        *self.tally.lock()
    }

    /// Runs `compile` with the code known for this component, and keeps what it adds.
    pub(crate) fn with<R>(&self, engine: &Engine, digest: &str, compile: impl FnOnce() -> R) -> R {
        let _turn = self.turn.lock();
        let path = self.folder.join(format!("{digest}-{:016x}.{ENDING}", fingerprint(engine)));
        let functions = self.read(&path);
        {
            let mut tally = self.tally.lock();
            if functions.is_empty() { tally.misses += 1 } else { tally.hits += 1 }
        }
        *self.session.lock() = Session { functions, added: false };
        let result = compile();
        let session = std::mem::take(&mut *self.session.lock());
        if session.added {
            // A cache that cannot be written is only slow.
            if let Err(error) = self.write(&path, &session.functions) {
                tracing::warn!(file = %path.display(), %error, "compiled code was not kept");
            }
        }
        result
    }

    /// Nothing when there is no file, or none of ours.
    fn read(&self, path: &Path) -> HashMap<Vec<u8>, Vec<u8>> {
        let fits = fs::metadata(path).is_ok_and(|file| file.len() <= MAX_FILE_BYTES);
        let Some(bytes) = fits.then(|| fs::read(path).ok()).flatten() else { return HashMap::new() };
        if let Some(functions) = self.unseal(path, &bytes) {
            return functions;
        }
        self.tally.lock().refused += 1;
        tracing::error!(file = %path.display(), "compiled code was changed by somebody else; deleted, compiling again");
        let _gone_or_not = fs::remove_file(path);
        HashMap::new()
    }

    fn unseal(&self, path: &Path, bytes: &[u8]) -> Option<HashMap<Vec<u8>, Vec<u8>>> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (tag, body) = rest.split_first_chunk::<TAG_BYTES>()?;
        if magic != MAGIC {
            return None;
        }
        hmac::verify(&self.key, &self.sealed(path, body), tag).ok()?;
        let mut functions = HashMap::new();
        let mut left = body;
        while !left.is_empty() {
            let key = take(&mut left)?;
            let code = take(&mut left)?;
            functions.insert(key.to_vec(), code.to_vec());
        }
        Some(functions)
    }

    fn write(&self, path: &Path, functions: &HashMap<Vec<u8>, Vec<u8>>) -> std::io::Result<()> {
        let mut body = Vec::new();
        for (key, code) in functions {
            put(&mut body, key);
            put(&mut body, code);
        }
        let tag = hmac::sign(&self.key, &self.sealed(path, &body));
        let bytes = [MAGIC, tag.as_ref(), &body].concat();
        // Beside the target and renamed over it: half a file is never read.
        let partial = path.with_extension("partial");
        fs::write(&partial, bytes)?;
        fs::rename(&partial, path)?;
        self.forget_oldest()
    }

    /// The name is sealed with the content, so that one component's code does not pass as another's.
    fn sealed(&self, path: &Path, body: &[u8]) -> Vec<u8> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        [name.as_bytes(), b"\n", body].concat()
    }

    fn forget_oldest(&self) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                files.push((fs::metadata(&path)?.modified()?, path));
            }
        }
        files.sort();
        let surplus = files.len().saturating_sub(MAX_FILES);
        files.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

impl CacheStore for CompileCache {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.session.lock().functions.get(key).cloned().map(Cow::Owned)
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let mut session = self.session.lock();
        session.functions.insert(key.to_vec(), value);
        session.added = true;
        true
    }
}

/// Of the engine's version, settings and processor.
fn fingerprint(engine: &Engine) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn put(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    into.extend_from_slice(bytes);
}

fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (bytes, rest) = rest.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

#[cfg(unix)]
fn restrict(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> std::io::Result<()> {
    Ok(())
}
