//! Everything a component must pass before it may serve. Each step names itself when it fails, and nothing of
//! what serves now is touched.

mod inspect;
mod probe;

use std::fmt;
use std::sync::Arc;

use gateway_scheduler::{PolicyLanguage, PolicyVersion};
use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, Linker};

use crate::bindings::SchedulerPre;
use crate::bindings::lifecycle::{Hooks, Metadata};
use crate::breaker::Breaker;
use crate::guest::{Blueprint, Runtime};
use crate::limits::{Limits, MAX_COMPONENT_BYTES};
use crate::policy::WasmPolicy;
use crate::pool::Pool;

/// The steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Its size.
    Read,
    /// Valid, and a component rather than a module.
    Parse,
    /// It asks for nothing that it may not have.
    Imports,
    /// To machine code.
    Compile,
    /// It exports the hook, and comes up.
    Instantiate,
    /// What it says about itself.
    Describe,
    /// It takes its configuration.
    Init,
    /// It answers, and the same again when it says so.
    Probe,
}

impl Step {
    /// The word used in logs and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Parse => "parse",
            Self::Imports => "imports",
            Self::Compile => "compile",
            Self::Instantiate => "instantiate",
            Self::Describe => "describe",
            Self::Init => "init",
            Self::Probe => "probe",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Why a component was not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin {plugin} was not admitted at {step}: {message}")]
pub struct AdmissionError {
    /// Where.
    pub step: Step,
    /// Which plugin.
    pub plugin: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

/// What a component says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginMetadata {
    /// Its own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// JSON Schema (2020-12) of its configuration.
    pub config_schema_json: String,
    /// The default configuration.
    pub config_defaults_json: String,
    /// Same inputs, same answer; checked by the probe.
    pub deterministic: bool,
}

pub(crate) fn admit(
    runtime: &Arc<Runtime>,
    limits: Limits,
    plugin: &str,
    bytes: &[u8],
    config_json: &str,
) -> Result<WasmPolicy, AdmissionError> {
    let at = |step: Step| move |message: String| AdmissionError { step, plugin: plugin.to_owned(), message };
    check_size(bytes).map_err(at(Step::Read))?;
    let digest = digest(bytes);
    inspect::parse(bytes).map_err(at(Step::Parse))?;
    inspect::imports(bytes).map_err(at(Step::Imports))?;
    let component =
        Component::new(&runtime.engine, bytes).map_err(|error| at(Step::Compile)(format!("{error:#}")))?;
    let linked = Linker::new(&runtime.engine).instantiate_pre(&component);
    let pre =
        linked.and_then(SchedulerPre::new).map_err(|error| at(Step::Instantiate)(format!("{error:#}")))?;
    let blueprint = Blueprint { runtime: Arc::clone(runtime), pre, limits };

    let mut guest = blueprint.instantiate().map_err(|error| at(Step::Instantiate)(error.to_string()))?;
    let described = guest.describe().map_err(|error| at(Step::Describe)(error.to_string()))?;
    let metadata = check_metadata(described).map_err(at(Step::Describe))?;

    let config = if config_json.is_empty() { metadata.config_defaults_json.as_str() } else { config_json };
    let configured = || blueprint.configured(config).map_err(|error| at(Step::Init)(error.to_string()));
    probe::run(&mut configured()?, &mut configured()?, metadata.deterministic).map_err(at(Step::Probe))?;
    // What serves has never seen the probe's made-up accounts.
    let first = configured()?;

    let config = config.to_owned();
    Ok(WasmPolicy {
        version: PolicyVersion { name: plugin.to_owned(), language: PolicyLanguage::Wasm, digest },
        metadata,
        pool: Pool::new(blueprint, config, first),
        breaker: Breaker::new(),
    })
}

fn check_size(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() <= MAX_COMPONENT_BYTES {
        return Ok(());
    }
    let (found, most) = (bytes.len() / 1024, MAX_COMPONENT_BYTES / 1024);
    Err(format!(
        "{found} KiB are more than the {most} KiB a component may have; build it with optimisation and stripped"
    ))
}

/// The first 16 hexadecimal digits of the SHA-256.
fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().take(8).fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn check_metadata(described: Metadata) -> Result<PluginMetadata, String> {
    if described.hooks != Hooks::SCHEDULE {
        return Err("it must name exactly the hook it exports: schedule".to_owned());
    }
    if described.name.is_empty() || described.version.is_empty() {
        return Err("it must state its name and its version".to_owned());
    }
    Ok(PluginMetadata {
        name: described.name,
        version: described.version,
        summary: described.summary,
        config_schema_json: described.config_schema_json,
        config_defaults_json: described.config_defaults_json,
        deterministic: described.deterministic,
    })
}
