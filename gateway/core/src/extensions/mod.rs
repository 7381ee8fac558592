//! The extensions that are installed, what the operator decided about each, and the immutable chains that requests read.
//!
//! Owns the set and its order. Refuses: loading anything (an [`ExtensionKeeper`] does) and calling anything (the stages
//! do). Nothing attached means no chains at all: a request then pays for one look at an empty place.

mod chains;
mod doors;
mod placement;
mod usage;

pub(crate) use chains::{Attached, Chains};
pub use doors::ExtensionError;
pub use placement::Placement;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::hooks::{
    Attachment, ExtensionVersion, Hook, ModelMapper, PromptFilter, ResponseFilter, UsageObserver,
};

/// The setting that holds what the operator decided about extensions.
pub const EXTENSIONS_SETTING: &str = "extensions";

/// One version of an extension, ready to be called.
pub struct Installed {
    /// Which.
    pub version: ExtensionVersion,
    /// Its own word for its version; empty when it has none.
    pub release: String,
    /// One sentence.
    pub summary: String,
    /// Whether it serves unless the operator says otherwise: one's own files do, shipped ones do not.
    pub on_by_default: bool,
    /// Whether a call may wait for the network: it is then kept off the threads that serve.
    pub may_block: bool,
    /// Where it asks to be attached.
    pub attachments: Vec<Attachment>,
    /// For `map-model`.
    pub mapper: Option<Arc<dyn ModelMapper>>,
    /// For `filter-request`.
    pub prompt: Option<Arc<dyn PromptFilter>>,
    /// For `filter-response`.
    pub response: Option<Arc<dyn ResponseFilter>>,
    /// For `observe-usage`.
    pub observer: Option<Arc<dyn UsageObserver>>,
}

impl Installed {
    /// An extension without hooks yet.
    #[must_use]
    pub fn new(version: ExtensionVersion) -> Self {
        Self {
            version,
            release: String::new(),
            summary: String::new(),
            on_by_default: true,
            may_block: false,
            attachments: Vec::new(),
            mapper: None,
            prompt: None,
            response: None,
            observer: None,
        }
    }

    /// What it is called for beside ranking, which policies are chosen for.
    #[must_use]
    pub fn hooks(&self) -> Vec<Hook> {
        let has = [
            (Hook::MapModel, self.mapper.is_some()),
            (Hook::FilterRequest, self.prompt.is_some()),
            (Hook::FilterResponse, self.response.is_some()),
            (Hook::ObserveUsage, self.observer.is_some()),
        ];
        has.into_iter().filter(|(_, has)| *has).map(|(hook, _)| hook).collect()
    }

    /// `name@version`, for people: its own word for its version, or the first digits of its digest.
    #[must_use]
    pub fn label(&self) -> String {
        let digest: String = self.version.digest.chars().take(8).collect();
        let release = if self.release.is_empty() { digest } else { self.release.clone() };
        format!("{}@{release}", self.version.name)
    }
}

impl std::fmt::Debug for Installed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installed").field("version", &self.version).finish_non_exhaustive()
    }
}

/// One extension as an operator sees it.
#[derive(Debug, Clone)]
pub struct ExtensionInfo {
    /// `wasm:redactor`, `rhai:header-tags`.
    pub id: String,
    /// The version that serves or would.
    pub version: ExtensionVersion,
    /// Its own word for that version.
    pub release: String,
    /// One sentence.
    pub summary: String,
    /// What it is called for.
    pub hooks: Vec<Hook>,
    /// Whether it serves.
    pub enabled: bool,
    /// Where it is attached, after what the operator decided.
    pub attachments: Vec<Attachment>,
    /// What the operator decided.
    pub placement: Placement,
}

/// One version that can be gone back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionRelease {
    /// Its own word for it.
    pub release: String,
    /// Its digest.
    pub digest: String,
    /// Whether it is the one that serves.
    pub serving: bool,
}

/// A file that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its id.
    pub id: String,
    /// The step of its admission that failed.
    pub step: String,
    /// Why, for the person who mends it.
    pub message: String,
}

/// Where extensions come from and keep their versions. Everything here may block and is called where that is fine.
pub trait ExtensionKeeper: Send + Sync {
    /// Takes over what the operator decided about one: configuration, grants, trust. What it then loads anew it puts
    /// into the gateway itself.
    ///
    /// # Errors
    /// It is not admitted under that; what served before still does.
    fn decide(&self, id: &str, placement: &Placement) -> Result<(), String>;

    /// The versions that are kept, the one that serves first. Empty for an unknown one.
    fn versions(&self, id: &str) -> Vec<ExtensionRelease>;

    /// Goes back to the version before.
    ///
    /// # Errors
    /// There is none.
    fn roll_back(&self, id: &str) -> Result<ExtensionRelease, String>;

    /// The files that were not taken, until they change.
    fn rejected(&self) -> Vec<Rejected>;
}

/// The set of installed extensions.
#[derive(Default)]
pub struct Extensions {
    state: Mutex<State>,
    keepers: OnceLock<Vec<Arc<dyn ExtensionKeeper>>>,
    pub(crate) usage: usage::UsageQueue,
}

#[derive(Default)]
struct State {
    installed: BTreeMap<String, Arc<Installed>>,
    placements: BTreeMap<String, Placement>,
}

impl Extensions {
    /// All of them, by id.
    #[must_use]
    pub fn list(&self) -> Vec<ExtensionInfo> {
        let state = self.state.lock();
        let info = |(id, one): (&String, &Arc<Installed>)| {
            let placement = state.placements.get(id).cloned().unwrap_or_default();
            ExtensionInfo {
                id: id.clone(),
                version: one.version.clone(),
                release: one.release.clone(),
                summary: one.summary.clone(),
                hooks: one
                    .attachments
                    .iter()
                    .map(|at| at.hook)
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
                enabled: placement.enabled.unwrap_or(one.on_by_default),
                attachments: placement.attachments(&one.attachments),
                placement,
            }
        };
        state.installed.iter().map(info).collect()
    }

    /// One of them.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<ExtensionInfo> {
        self.list().into_iter().find(|one| one.id == id)
    }

    /// What the operator decided about one, whether or not it is there.
    #[must_use]
    pub fn placement(&self, id: &str) -> Placement {
        self.state.lock().placements.get(id).cloned().unwrap_or_default()
    }

    /// The versions of one that are kept, the one that serves first. May block.
    #[must_use]
    pub fn versions(&self, id: &str) -> Vec<ExtensionRelease> {
        self.keepers().iter().flat_map(|keeper| keeper.versions(id)).collect()
    }

    /// The files that were not taken. May block.
    #[must_use]
    pub fn rejected(&self) -> Vec<Rejected> {
        self.keepers().iter().flat_map(|keeper| keeper.rejected()).collect()
    }

    fn keepers(&self) -> &[Arc<dyn ExtensionKeeper>] {
        self.keepers.get().map_or(&[], Vec::as_slice)
    }
}
