//! The files of one plugin: `NAME.wasm`, and beside it `NAME.toml` and `NAME.sig` if there are any.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::FolderError;
use crate::digest;
use crate::limits::MAX_COMPONENT_BYTES;
use crate::manifest::{MAX_MANIFEST_BYTES, is_name};

const MAX_SIGNATURE_BYTES: usize = 1024;

/// Sizes and times of the three files: the cheap sign that one of them changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp([Option<(u64, SystemTime)>; 3]);

/// What they hold.
#[derive(Clone)]
pub(super) struct Files {
    pub(super) component: Arc<[u8]>,
    pub(super) manifest: Option<String>,
    pub(super) signature: Option<String>,
}

/// The plugins of a folder by name. A folder that is not there holds none.
pub(super) fn list(folder: &Path) -> Result<BTreeMap<String, Stamp>, FolderError> {
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(io(folder, error)),
    };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let is_component = path.extension().is_some_and(|ending| ending == "wasm");
        if let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            && is_component
            && is_name(name)
        {
            let stamps = ["wasm", "toml", "sig"].map(|ending| {
                let data = fs::metadata(path.with_extension(ending)).ok()?;
                Some((data.len(), data.modified().ok()?))
            });
            found.insert(name.to_owned(), Stamp(stamps));
        }
    }
    Ok(found)
}

/// Removes all three, the component first: without it the others are nothing.
pub(super) fn remove(folder: &Path, name: &str) -> Result<(), FolderError> {
    ["wasm", "toml", "sig"].iter().try_for_each(|ending| put(&folder.join(format!("{name}.{ending}")), None))
}

impl Files {
    pub(super) fn new(component: &[u8], manifest: Option<&str>, signature: Option<&str>) -> Self {
        Self {
            component: component.into(),
            manifest: manifest.map(str::to_owned),
            signature: signature.map(str::to_owned),
        }
    }

    /// `None` when the component is gone.
    pub(super) fn read(folder: &Path, name: &str) -> Result<Option<Self>, FolderError> {
        let path = |ending: &str| folder.join(format!("{name}.{ending}"));
        // One byte more than fits: the admission says what is wrong with it.
        let Some(component) = read(&path("wasm"), MAX_COMPONENT_BYTES + 1)? else { return Ok(None) };
        let text = |ending, most| -> Result<Option<String>, FolderError> {
            let bytes = read(&path(ending), most + 1)?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        Ok(Some(Self {
            component: component.into(),
            manifest: text("toml", MAX_MANIFEST_BYTES)?,
            signature: text("sig", MAX_SIGNATURE_BYTES)?,
        }))
    }

    /// Writes all three, the component last: whoever watches it finds the others in place.
    pub(super) fn write(&self, folder: &Path, name: &str) -> Result<(), FolderError> {
        let path = |ending: &str| folder.join(format!("{name}.{ending}"));
        fs::create_dir_all(folder).map_err(|error| io(folder, error))?;
        put(&path("toml"), self.manifest.as_deref().map(str::as_bytes))?;
        put(&path("sig"), self.signature.as_deref().map(str::as_bytes))?;
        put(&path("wasm"), Some(&self.component))
    }

    /// A digest of all three.
    pub(super) fn content(&self) -> String {
        let mut hasher = Sha256::new();
        let texts = [self.manifest.as_deref(), self.signature.as_deref()];
        for part in [Some(&*self.component)].into_iter().chain(texts.map(|text| text.map(str::as_bytes))) {
            // Lengths first, so that the parts cannot trade bytes; a missing part is not an empty one.
            hasher.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
            hasher.update(part.unwrap_or_default());
        }
        digest::short(&hasher.finalize().into())
    }
}

fn read(path: &Path, most: usize) -> Result<Option<Vec<u8>>, FolderError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(path, error)),
    };
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes).map_err(|error| io(path, error))?;
    Ok(Some(bytes))
}

/// Beside the target and renamed over it: nobody reads half a file.
fn put(path: &Path, bytes: Option<&[u8]>) -> Result<(), FolderError> {
    let written = match bytes {
        Some(bytes) => {
            let mut partial = PathBuf::from(path).into_os_string();
            partial.push(".partial");
            fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path))
        }
        None => match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    };
    written.map_err(|error| io(path, error))
}

fn io(path: &Path, error: std::io::Error) -> FolderError {
    FolderError::Io { path: path.to_owned(), error }
}
