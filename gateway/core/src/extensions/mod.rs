//! The extensions that are installed, what the operator decided about each, and the immutable chains that requests read.
//!
//! Owns the set and its order. Refuses: loading anything (an [`ExtensionKeeper`] does) and calling anything (the stages
//! do). Nothing attached means no chains at all: a request then pays for one look at an empty place.

mod chains;
mod doors;
mod keeper;
mod placement;
mod usage;

pub(crate) use chains::{Attached, Chains};
pub use doors::ExtensionError;
pub use keeper::{
    ConfigForm, Content, ExtensionKeeper, ExtensionRelease, ExtensionReport, Lending, LoggedLine, Origin,
    Rejected, Trial, Upload,
};
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

/// The set of installed extensions.
#[derive(Default)]
pub struct Extensions {
    state: Mutex<State>,
    keepers: OnceLock<Vec<Arc<dyn ExtensionKeeper>>>,
    /// Held by who decides, so that of two decisions none is lost.
    deciding: tokio::sync::Mutex<()>,
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

    /// Everything that was decided, by id; some of it about extensions that are not there now.
    #[must_use]
    pub fn placements(&self) -> BTreeMap<String, Placement> {
        self.state.lock().placements.clone()
    }

    /// The versions of one that are kept, the one that serves first. May block.
    #[must_use]
    pub fn versions(&self, id: &str) -> Vec<ExtensionRelease> {
        self.keeper(id).map(|(keeper, name)| keeper.versions(name)).unwrap_or_default()
    }

    /// What its keeper knows of one. May block.
    #[must_use]
    pub fn report(&self, id: &str) -> Option<ExtensionReport> {
        self.keeper(id).and_then(|(keeper, name)| keeper.report(name))
    }

    /// What one says about its configuration. May block for as long as loading a component takes.
    #[must_use]
    pub fn form(&self, id: &str) -> ConfigForm {
        self.keeper(id).map(|(keeper, name)| keeper.form(name)).unwrap_or_default()
    }

    /// The files that were not taken. May block.
    #[must_use]
    pub fn rejected(&self) -> Vec<Rejected> {
        self.keepers().iter().flat_map(|keeper| keeper.rejected()).collect()
    }

    /// Whose an id is, and the name in it.
    fn keeper<'a>(&self, id: &'a str) -> Option<(Arc<dyn ExtensionKeeper>, &'a str)> {
        let (language, name) = id.split_once(':')?;
        let keeper = self.keepers().iter().find(|keeper| keeper.language().label() == language)?;
        Some((keeper.clone(), name))
    }

    fn keepers(&self) -> &[Arc<dyn ExtensionKeeper>] {
        self.keepers.get().map_or(&[], Vec::as_slice)
    }
}
