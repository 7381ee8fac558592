//! What the set asks of those who load extensions: terms carried out, files taken in and out, versions, and how each one
//! fares. One keeper per language; everything here may block and is called where that is fine.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gateway_scheduler::PolicyLanguage;
use sha2::{Digest as _, Sha256};

use super::Placement;
use crate::hooks::{Health, Hook};
use crate::ports::Checked;

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

/// Where an extension comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// With the gateway.
    Shipped,
    /// From a folder of the operator's.
    Folder,
}

impl Origin {
    /// The word used in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Folder => "folder",
        }
    }
}

/// What an extension asks for, or may be lent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lending {
    /// Capabilities.
    pub grants: BTreeSet<String>,
    /// Secrets, by name.
    pub secrets: BTreeSet<String>,
    /// Where it may send requests.
    pub http_out: Vec<String>,
}

/// A line that an extension wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedLine {
    /// Counts its lines.
    pub number: u64,
    /// `debug`, `info`, `warn`, `error`.
    pub level: &'static str,
    /// What it says.
    pub message: String,
}

/// What its keeper knows of an extension.
#[derive(Debug, Clone)]
pub struct ExtensionReport {
    /// Where from.
    pub origin: Origin,
    /// Its own word for its version; empty when it has none.
    pub release: String,
    /// One sentence; empty when it says none.
    pub summary: String,
    /// Who answers for it: `shipped`, `signed`, `raised`, `unsigned`; scripts reach nothing and need nobody.
    pub trust: &'static str,
    /// Whether its instances serve many calls: `pooled` or `fresh`.
    pub isolation: &'static str,
    /// Instances alive.
    pub instances: usize,
    /// What it asks for.
    pub asks: Lending,
    /// The capabilities it has.
    pub lent: BTreeSet<String>,
    /// How it fares; `None` while it is not loaded.
    pub health: Option<Health>,
    /// The configuration it runs with, as JSON; empty when it has none.
    pub config_json: String,
    /// The last lines it wrote, oldest first.
    pub log: Vec<LoggedLine>,
    /// Lines that were left out, because it writes too many.
    pub log_left_out: u64,
    /// Counters it keeps.
    pub counters: BTreeMap<String, f64>,
}

/// What an extension says about its configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigForm {
    /// JSON Schema of it.
    pub schema_json: String,
    /// What it is unless somebody says otherwise.
    pub defaults_json: String,
}

/// What is to be taken in.
#[derive(Debug, Clone)]
pub struct Upload {
    /// What it is to be called.
    pub name: String,
    /// What it is.
    pub content: Content,
}

/// A component or a script.
#[derive(Debug, Clone)]
pub enum Content {
    /// WebAssembly.
    Component {
        /// The component.
        bytes: Bytes,
        /// The text of its manifest.
        manifest: Option<String>,
        /// The text of its signature.
        signature: Option<String>,
    },
    /// The text of a Rhai script.
    Script(String),
}

impl Upload {
    /// `wasm:redactor`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.language().label(), self.name)
    }

    /// In which language it is written.
    #[must_use]
    pub const fn language(&self) -> PolicyLanguage {
        match &self.content {
            Content::Component { .. } => PolicyLanguage::Wasm,
            Content::Script(_) => PolicyLanguage::Rhai,
        }
    }

    /// SHA-256 of the component or the text.
    #[must_use]
    pub fn digest(&self) -> String {
        let bytes = match &self.content {
            Content::Component { bytes, .. } => bytes.as_ref(),
            Content::Script(text) => text.as_bytes(),
        };
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a dry admission found.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Its steps.
    pub checked: Checked,
    /// Its own word for its version.
    pub release: String,
    /// What it is called for.
    pub hooks: Vec<Hook>,
    /// What it would be; `None` when it was not admitted.
    pub report: Option<ExtensionReport>,
    /// What it says about its configuration.
    pub form: ConfigForm,
}

/// Where extensions of one language come from and keep their versions.
pub trait ExtensionKeeper: Send + Sync {
    /// Which language.
    fn language(&self) -> PolicyLanguage;

    /// Takes over what the operator decided about one: configuration, grants, trust. What it then loads anew it puts
    /// into the gateway itself.
    ///
    /// # Errors
    /// It is not admitted under that; what served before still does.
    fn decide(&self, name: &str, placement: &Placement) -> Result<(), String>;

    /// The versions that are kept, the one that serves first. Empty for an unknown one.
    fn versions(&self, name: &str) -> Vec<ExtensionRelease>;

    /// Goes back to the version before.
    ///
    /// # Errors
    /// There is none.
    fn roll_back(&self, name: &str) -> Result<ExtensionRelease, String>;

    /// The files that were not taken, until they change.
    fn rejected(&self) -> Vec<Rejected>;

    /// What it knows of one; `None` for an unknown one.
    fn report(&self, name: &str) -> Option<ExtensionReport>;

    /// What one says about its configuration. One that is switched off may have to be loaded for that.
    fn form(&self, name: &str) -> ConfigForm;

    /// Everything that is done before it serves, and no more.
    fn check(&self, upload: &Upload, placement: &Placement) -> Trial;

    /// Takes one in: admits it under what was decided, writes its files, lets it serve.
    ///
    /// # Errors
    /// It is not admitted, or cannot be written; nothing has changed.
    fn install(&self, upload: &Upload, placement: &Placement) -> Result<ExtensionRelease, String>;

    /// Removes one's files. A shipped one of its name is back.
    ///
    /// # Errors
    /// It has none, or they cannot be removed.
    fn remove(&self, name: &str) -> Result<(), String>;
}
