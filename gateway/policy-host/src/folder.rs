//! A folder of scripts that serves what was last saved: contents are polled, a new version is compiled and tried before
//! it takes over, a broken one leaves the old one serving, and one step back is always possible. Owns versions and
//! their history in memory; refuses to choose which policy serves, and to write files.

mod scan;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_scheduler::{PolicyVersion, RankingPolicy as _};

use crate::error::{ScriptError, ScriptErrorKind};
use crate::policy::{RhaiHost, RhaiPolicy};
use scan::{Found, Scan};

pub use watch::{FolderWatch, POLL_INTERVAL};

/// Earlier versions kept of each policy.
const MAX_HISTORY: usize = 8;
/// The most scripts one folder may hold.
const MAX_SCRIPTS: usize = 256;

/// What happened to a policy of the folder.
#[derive(Debug, Clone)]
pub enum Change {
    /// It is new, or a new version took over.
    Loaded {
        /// The version to serve from now on.
        policy: Arc<RhaiPolicy>,
        /// The version it takes over from.
        replaced: Option<PolicyVersion>,
    },
    /// What was saved is not taken.
    Broken {
        /// What is wrong and where.
        error: ScriptError,
        /// The version that goes on serving, if there is one.
        serving: Option<PolicyVersion>,
    },
    /// Its file is gone.
    Removed {
        /// The version that served last, if one did.
        last: Option<PolicyVersion>,
        /// The policy's name.
        name: String,
    },
}

/// Why a policy cannot go one step back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    /// The folder has no such policy.
    #[error("the policies folder has no policy `{0}`; `switchyard ext list` shows them")]
    Unknown(String),
    /// There was only one version since the start.
    #[error("policy `{0}` has no earlier version since the gateway started; edit its file instead")]
    NoEarlier(String),
}

/// One policy of the folder.
#[derive(Default)]
struct Entry {
    /// The saved text that was last acted upon, whether it was taken or not.
    seen: Option<Found>,
    /// The same text must be found twice before it is taken: an editor may be in the middle of writing it.
    settling: Option<Found>,
    serving: Option<Arc<RhaiPolicy>>,
    /// Earlier versions, the latest at the end.
    history: VecDeque<Arc<RhaiPolicy>>,
    problem: Option<ScriptError>,
}

impl Entry {
    fn version(&self) -> Option<PolicyVersion> {
        self.serving.as_ref().map(|policy| policy.version().clone())
    }

    fn take_over(&mut self, policy: Arc<RhaiPolicy>) {
        if let Some(old) = self.serving.replace(policy) {
            self.history.push_back(old);
            if self.history.len() > MAX_HISTORY {
                self.history.pop_front();
            }
        }
    }
}

/// The scripts of one folder and the versions of them that serve.
pub struct PolicyFolder {
    folder: PathBuf,
    host: RhaiHost,
    entries: BTreeMap<String, Entry>,
}

impl std::fmt::Debug for PolicyFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyFolder").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl PolicyFolder {
    /// Loads what is there now. A folder that does not exist yet is an empty one. The host's scripts may import from
    /// this folder.
    #[must_use]
    pub fn open(host: RhaiHost, folder: &Path) -> (Self, Vec<Change>) {
        let mut opened =
            Self { folder: folder.to_owned(), host: host.with_modules(folder), entries: BTreeMap::new() };
        let changes = opened.apply(true);
        (opened, changes)
    }

    /// Looks once and answers what changed. A new text is taken when two looks in a row find it. Reads the whole folder
    /// and compiles what is new: call it from a thread that may block.
    pub fn poll(&mut self) -> Vec<Change> {
        self.apply(false)
    }

    /// The versions that serve, in the order of their names.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<RhaiPolicy>> {
        self.entries.values().filter_map(|entry| entry.serving.as_ref())
    }

    /// The policies whose saved text is not what serves, and why.
    pub fn problems(&self) -> impl Iterator<Item = &ScriptError> {
        self.entries.values().filter_map(|entry| entry.problem.as_ref())
    }

    /// The version of a policy that serves.
    #[must_use]
    pub fn serving(&self, name: &str) -> Option<Arc<RhaiPolicy>> {
        self.entries.get(name)?.serving.clone()
    }

    /// The earlier versions of a policy that are kept, the latest first.
    pub fn history(&self, name: &str) -> Vec<PolicyVersion> {
        let entry = self.entries.get(name);
        entry
            .map(|entry| entry.history.iter().rev().map(|old| old.version().clone()).collect())
            .unwrap_or_default()
    }

    /// One step back. The file stays as it is; the next time it is saved with another text, that is taken again.
    ///
    /// # Errors
    /// The policy is unknown or has no earlier version.
    pub fn rollback(&mut self, name: &str) -> Result<Change, RollbackError> {
        let entry = self.entries.get_mut(name).ok_or_else(|| RollbackError::Unknown(name.to_owned()))?;
        let earlier = entry.history.pop_back().ok_or_else(|| RollbackError::NoEarlier(name.to_owned()))?;
        let replaced = entry.version();
        entry.serving = Some(Arc::clone(&earlier));
        Ok(Change::Loaded { policy: earlier, replaced })
    }

    fn apply(&mut self, at_once: bool) -> Vec<Change> {
        let scan = Scan::of(&self.folder);
        let mut changes = Vec::new();
        let gone = |name: &String| !scan.scripts.contains_key(name);
        let removed: Vec<String> = self.entries.keys().filter(|name| gone(name)).cloned().collect();
        for name in removed {
            let last = self.entries.remove(&name).and_then(|entry| entry.version());
            changes.push(Change::Removed { last, name });
        }
        for (name, found) in scan.scripts {
            changes.extend(self.look_at(name, found, at_once));
        }
        changes
    }

    fn look_at(&mut self, name: String, found: Found, at_once: bool) -> Option<Change> {
        let is_full = self.entries.len() >= MAX_SCRIPTS && !self.entries.contains_key(&name);
        if is_full {
            return None;
        }
        let entry = self.entries.entry(name.clone()).or_default();
        if entry.seen.as_ref() == Some(&found) {
            entry.settling = None;
            return None;
        }
        if !at_once && entry.settling.as_ref() != Some(&found) {
            entry.settling = Some(found);
            return None;
        }
        let loaded = match &found.source {
            Ok(source) => self.host.load(&name, source),
            Err(why) => Err(ScriptError::new(&name, ScriptErrorKind::File, why.clone())),
        };
        entry.seen = Some(found);
        entry.settling = None;
        settle(entry, loaded)
    }
}

/// Takes a new version, or notes why not. The same version again, such as after saving without a change, is no news.
fn settle(entry: &mut Entry, loaded: Result<RhaiPolicy, ScriptError>) -> Option<Change> {
    match loaded {
        Ok(policy) => {
            let replaced = entry.version();
            let was_broken = entry.problem.take().is_some();
            if replaced.as_ref() == Some(policy.version()) && !was_broken {
                return None;
            }
            let policy = Arc::new(policy);
            if replaced.as_ref() != Some(policy.version()) {
                entry.take_over(Arc::clone(&policy));
            }
            Some(Change::Loaded { policy, replaced })
        }
        Err(error) => {
            entry.problem = Some(error.clone());
            Some(Change::Broken { error, serving: entry.version() })
        }
    }
}
