//! What lies in the folder right now: scripts at its top, modules below. Contents count, not times. Refuses to follow
//! deep trees, huge files and odd names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::compile::MAX_SOURCE_BYTES;

/// How deep modules may lie.
const MAX_DEPTH: usize = 4;
/// The most files looked at, modules included.
const MAX_FILES: usize = 1024;
/// The longest name of a policy.
const MAX_NAME_BYTES: usize = 64;

/// A script as it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its text, or why it has none.
    pub(super) source: Result<String, String>,
    /// Of all modules, when it imports: a changed module is a changed script.
    modules: Option<[u8; 32]>,
}

/// One look at the folder.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) scripts: BTreeMap<String, Found>,
}

impl Scan {
    pub(super) fn of(folder: &Path) -> Self {
        let mut files = 0;
        let mut scripts = BTreeMap::new();
        let mut modules = Sha256::new();
        for (name, path) in entries(folder, &mut files) {
            if path.is_dir() {
                absorb(&mut modules, &path, 1, &mut files);
            } else if let Some(name) = name.strip_suffix(".rhai") {
                scripts.insert(name.to_owned(), read(name, &path));
            }
        }
        // A script may also import one beside it.
        for (name, source) in &scripts {
            modules.update(name);
            modules.update([0xff]);
            modules.update(source.as_deref().unwrap_or_default());
            modules.update([0xff]);
        }
        let modules: [u8; 32] = modules.finalize().into();
        let found = |source: Result<String, String>| Found {
            modules: source.as_ref().is_ok_and(|text| text.contains("import")).then_some(modules),
            source,
        };
        Self { scripts: scripts.into_iter().map(|(name, source)| (name, found(source))).collect() }
    }
}

/// Names and paths in the order of their names, as long as files may be looked at.
fn entries(folder: &Path, files: &mut usize) -> Vec<(String, std::path::PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .take(MAX_FILES.saturating_sub(*files))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    *files += found.len();
    found.sort();
    found
}

fn absorb(modules: &mut Sha256, folder: &Path, depth: usize, files: &mut usize) {
    if depth > MAX_DEPTH {
        return;
    }
    for (name, path) in entries(folder, files) {
        if path.is_dir() {
            absorb(modules, &path, depth + 1, files);
        } else if name.ends_with(".rhai") {
            modules.update(path.as_os_str().as_encoded_bytes());
            modules.update([0xff]);
            modules.update(read("module", &path).unwrap_or_default());
            modules.update([0xff]);
        }
    }
}

fn read(name: &str, path: &Path) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
        return Err("a policy is named with letters, digits, `-` and `_`; rename its file".to_owned());
    }
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_SOURCE_BYTES as u64 {
        return Err(format!("the file is larger than {} KiB", MAX_SOURCE_BYTES / 1024));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}
