//! The plugins of one folder: loaded when they appear, replaced when they change, kept in versions, rolled back.
//!
//! Whoever reads the set gets one snapshot; what is replaced lives on for those that use it. A candidate that is not
//! admitted changes nothing: the version before it serves, and the refusal is kept until the file changes.

mod files;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::admission::{AdmissionError, Package, Vouching};
use crate::grants::Grants;
use crate::host::PluginHost;
use crate::manifest::is_name;
use crate::plugin::Plugin;
use files::{Files, Stamp};

/// Versions kept beside the one that serves.
const KEPT_VERSIONS: usize = 5;
/// Plugins taken from one folder.
const MAX_PLUGINS: usize = 256;

/// All plugins that serve, by name.
pub type PluginSet = BTreeMap<String, Arc<Plugin>>;

/// What the operator decided about one plugin.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whether it serves.
    pub enabled: bool,
    /// What it is lent, of what its manifest asks for.
    pub grants: Grants,
    /// Whether the operator answers for it although nobody signed it.
    pub raised: bool,
    /// Its configuration; empty for its manifest's or its own defaults.
    pub config_json: String,
}

impl Default for Terms {
    fn default() -> Self {
        Self { enabled: true, grants: Grants::default(), raised: false, config_json: String::new() }
    }
}

/// What became of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// This version serves now.
    Loaded {
        /// Its own word for it.
        version: String,
        /// SHA-256 of the component.
        digest: String,
    },
    /// A new version was not admitted; what served before still does.
    Rejected(AdmissionError),
    /// Its file is gone, and it no longer serves.
    Removed,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which plugin.
    pub plugin: String,
    /// What became of it.
    pub changed: Changed,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder or a file in it.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the machine said.
        error: std::io::Error,
    },
    /// There is no plugin of this name.
    #[error("there is no plugin `{0}`")]
    Unknown(String),
    /// It has no earlier version.
    #[error("plugin `{0}` has no earlier version to go back to")]
    NoEarlierVersion(String),
    /// It becomes a file name, so not every text will do.
    #[error("`{0}` is no name of a plugin; use a-z, 0-9, dash and underscore, at most 64")]
    BadName(String),
    /// It was not admitted.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
}

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInfo {
    /// Its own word for it.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: String,
    /// Whether it is the one that serves.
    pub serving: bool,
}

/// Watches one folder. Everything here blocks: call it from a thread that may.
pub struct PluginFolder {
    host: PluginHost,
    folder: PathBuf,
    live: ArcSwap<PluginSet>,
    shelf: Mutex<BTreeMap<String, Slot>>,
}

/// What is known about one name.
#[derive(Default)]
struct Slot {
    terms: Terms,
    stamp: Option<Stamp>,
    /// The content that was judged last.
    judged: Option<String>,
    /// Content that failed once: a file that is still being written looks broken too.
    doubted: Option<String>,
    serving: Option<Version>,
    earlier: VecDeque<Version>,
    rejected: Option<AdmissionError>,
}

#[derive(Clone)]
struct Version {
    plugin: Arc<Plugin>,
    files: Files,
}

impl PluginFolder {
    /// A folder that was not looked at yet.
    #[must_use]
    pub fn new(host: PluginHost, folder: impl Into<PathBuf>) -> Self {
        Self { host, folder: folder.into(), live: ArcSwap::default(), shelf: Mutex::default() }
    }

    /// What admits them, for those that lie elsewhere.
    #[must_use]
    pub fn host(&self) -> &PluginHost {
        &self.host
    }

    /// What serves: one snapshot.
    #[must_use]
    pub fn set(&self) -> Arc<PluginSet> {
        self.live.load_full()
    }

    /// Looks at the folder and takes over what changed. Cheap when nothing did, so call it once a second.
    ///
    /// # Errors
    /// The folder cannot be read; nothing has changed.
    pub fn scan(&self) -> Result<Vec<Change>, FolderError> {
        // Under the lock: what is installed meanwhile would look as if it were gone.
        let mut shelf = self.shelf.lock();
        let found = files::list(&self.folder)?;
        let mut changes = Vec::new();
        for (name, slot) in shelf.iter_mut().filter(|(name, _)| !found.contains_key(*name)) {
            let terms = std::mem::take(&mut slot.terms);
            let served = slot.serving.is_some();
            *slot = Slot { terms, ..Slot::default() };
            if served {
                changes.push(Change { plugin: name.clone(), changed: Changed::Removed });
            }
        }
        for (name, stamp) in found.into_iter().take(MAX_PLUGINS) {
            let slot = shelf.entry(name.clone()).or_default();
            if slot.stamp != Some(stamp) || slot.doubted.is_some() {
                slot.stamp = Some(stamp);
                changes.extend(self.look_at(&name, slot)?);
            }
        }
        self.publish(&shelf);
        Ok(changes)
    }

    fn look_at(&self, name: &str, slot: &mut Slot) -> Result<Option<Change>, FolderError> {
        let Some(files) = Files::read(&self.folder, name)? else { return Ok(None) };
        let content = files.content();
        if slot.judged.as_ref() == Some(&content) {
            return Ok(None);
        }
        match self.admit(name, &slot.terms, &files) {
            Ok(plugin) => {
                slot.judged = Some(content);
                Ok(Some(slot.adopt(name, plugin, files)))
            }
            // Judged again at the next look, unless it is the same then.
            Err(_) if slot.doubted.as_ref() != Some(&content) => {
                slot.doubted = Some(content);
                Ok(None)
            }
            Err(error) => {
                (slot.judged, slot.doubted) = (Some(content), None);
                slot.rejected = Some(error.clone());
                Ok(Some(Change { plugin: name.to_owned(), changed: Changed::Rejected(error) }))
            }
        }
    }

    fn admit(&self, name: &str, terms: &Terms, files: &Files) -> Result<Arc<Plugin>, AdmissionError> {
        let package = Package {
            manifest: files.manifest.as_deref(),
            signature: files.signature.as_deref(),
            vouching: if terms.raised { Vouching::Operator } else { Vouching::Signature },
            grants: terms.grants.clone(),
            config_json: &terms.config_json,
            ..Package::found(name, &files.component)
        };
        self.host.admit(package).map(Arc::new)
    }

    fn publish(&self, shelf: &BTreeMap<String, Slot>) {
        let serving = shelf.iter().filter(|(_, slot)| slot.terms.enabled).filter_map(|(name, slot)| {
            let version = slot.serving.as_ref()?;
            Some((name.clone(), Arc::clone(&version.plugin)))
        });
        let set: PluginSet = serving.collect();
        let before = self.live.load();
        let same = before.len() == set.len()
            && before.iter().zip(&set).all(|(a, b)| a.0 == b.0 && Arc::ptr_eq(a.1, b.1));
        if !same {
            self.live.store(Arc::new(set));
        }
    }

    /// Takes over what the operator decided. What serves is admitted again under it, and stays as it is when that fails.
    ///
    /// # Errors
    /// It is not admitted under these terms; the old ones hold.
    pub fn decide(&self, name: &str, terms: Terms) -> Result<(), FolderError> {
        if !is_name(name) {
            return Err(FolderError::BadName(name.to_owned()));
        }
        let mut shelf = self.shelf.lock();
        let slot = shelf.entry(name.to_owned()).or_default();
        if let Some(version) = &slot.serving {
            let plugin = self.admit(name, &terms, &version.files)?;
            slot.serving = Some(Version { plugin, files: version.files.clone() });
        } else {
            // What was refused under other terms deserves another look.
            (slot.stamp, slot.judged) = (None, None);
        }
        slot.terms = terms;
        self.publish(&shelf);
        Ok(())
    }

    /// Admits a plugin under these terms and lets go of it again: nothing is written, nothing changes.
    ///
    /// # Errors
    /// It is not admitted, or its name is none.
    pub fn check(
        &self,
        name: &str,
        terms: &Terms,
        component: &[u8],
        manifest: Option<&str>,
        signature: Option<&str>,
    ) -> Result<Arc<Plugin>, FolderError> {
        if !is_name(name) {
            return Err(FolderError::BadName(name.to_owned()));
        }
        Ok(self.admit(name, terms, &Files::new(component, manifest, signature))?)
    }

    /// Removes a plugin's files, its versions and what was decided about it.
    ///
    /// # Errors
    /// There is no such plugin, or a file cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), FolderError> {
        let mut shelf = self.shelf.lock();
        let is_there = shelf.get(name).is_some_and(|slot| slot.serving.is_some() || slot.rejected.is_some());
        if !is_there {
            return Err(FolderError::Unknown(name.to_owned()));
        }
        files::remove(&self.folder, name)?;
        shelf.remove(name);
        self.publish(&shelf);
        Ok(())
    }

    /// Puts a plugin into the folder and admits it under the terms that hold; what is not admitted is not written.
    ///
    /// # Errors
    /// It is not admitted, or cannot be written.
    pub fn install(
        &self,
        name: &str,
        component: &[u8],
        manifest: Option<&str>,
        signature: Option<&str>,
    ) -> Result<Change, FolderError> {
        let terms = self.shelf.lock().get(name).map(|slot| slot.terms.clone()).unwrap_or_default();
        self.install_under(name, terms, component, manifest, signature)
    }

    /// The same under other terms, which hold from then on.
    ///
    /// # Errors
    /// As [`Self::install`]; the terms before hold then.
    pub fn install_under(
        &self,
        name: &str,
        terms: Terms,
        component: &[u8],
        manifest: Option<&str>,
        signature: Option<&str>,
    ) -> Result<Change, FolderError> {
        if !is_name(name) {
            return Err(FolderError::BadName(name.to_owned()));
        }
        let files = Files::new(component, manifest, signature);
        let mut shelf = self.shelf.lock();
        let plugin = self.admit(name, &terms, &files)?;
        files.write(&self.folder, name)?;
        let slot = shelf.entry(name.to_owned()).or_default();
        slot.terms = terms;
        slot.judged = Some(files.content());
        let change = slot.adopt(name, plugin, files);
        self.publish(&shelf);
        Ok(change)
    }

    /// Goes back to the version before. The file is that of the earlier version again, so a restart changes nothing;
    /// what served until now is kept, so a second rollback goes forward again.
    ///
    /// # Errors
    /// There is none, or its file cannot be written.
    pub fn roll_back(&self, name: &str) -> Result<VersionInfo, FolderError> {
        let mut shelf = self.shelf.lock();
        let slot = shelf.get_mut(name).ok_or_else(|| FolderError::Unknown(name.to_owned()))?;
        let earlier =
            slot.earlier.back().cloned().ok_or_else(|| FolderError::NoEarlierVersion(name.to_owned()))?;
        earlier.files.write(&self.folder, name)?;
        slot.earlier.pop_back();
        slot.judged = Some(earlier.files.content());
        let info = earlier.info(true);
        if let Some(replaced) = slot.serving.replace(earlier) {
            slot.earlier.push_back(replaced);
        }
        (slot.rejected, slot.doubted) = (None, None);
        self.publish(&shelf);
        Ok(info)
    }

    /// The versions of a plugin: the one that serves, then the earlier ones, newest first.
    #[must_use]
    pub fn versions(&self, name: &str) -> Vec<VersionInfo> {
        let shelf = self.shelf.lock();
        let Some(slot) = shelf.get(name) else { return Vec::new() };
        let serving = slot.serving.iter().map(|version| version.info(true));
        serving.chain(slot.earlier.iter().rev().map(|version| version.info(false))).collect()
    }

    /// The last candidate that was not admitted, until its file changes.
    #[must_use]
    pub fn rejected(&self, name: &str) -> Option<AdmissionError> {
        self.shelf.lock().get(name)?.rejected.clone()
    }

    /// Every name that is known: what serves, what is switched off, what was rejected.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let shelf = self.shelf.lock();
        let known = shelf.iter().filter(|(_, slot)| slot.serving.is_some() || slot.rejected.is_some());
        known.map(|(name, _)| name.clone()).collect()
    }
}

impl std::fmt::Debug for PluginFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PluginFolder").field(&self.folder).finish()
    }
}

impl Slot {
    fn adopt(&mut self, name: &str, plugin: Arc<Plugin>, files: Files) -> Change {
        (self.rejected, self.doubted) = (None, None);
        let version = Version { plugin, files };
        let info = version.info(true);
        if let Some(replaced) = self.serving.replace(version) {
            if self.earlier.len() == KEPT_VERSIONS {
                self.earlier.pop_front();
            }
            self.earlier.push_back(replaced);
        }
        let changed = Changed::Loaded { version: info.version, digest: info.digest };
        Change { plugin: name.to_owned(), changed }
    }
}

impl Version {
    fn info(&self, serving: bool) -> VersionInfo {
        VersionInfo {
            version: self.plugin.metadata().version.clone(),
            digest: self.plugin.digest().to_owned(),
            serving,
        }
    }
}
