//! Everything a component must pass before it may serve. Each step names itself when it fails, and nothing of
//! what serves now is touched.

mod describe;
mod inspect;
mod probe;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use gateway_core::hooks::Guard;
use gateway_scheduler::{PolicyError, PolicyLanguage, PolicyVersion};
use wasmtime::component::Component;

pub use describe::PluginMetadata;
pub(crate) use describe::fits_schema;
pub use inspect::Outside;

use crate::exports::Indices;
use crate::grants::{Asks, Capability, Grants, Trust};
use crate::guest::Blueprint;
use crate::host::PluginHost;
use crate::lent::Lent;
use crate::limits::{Limits, MAX_COMPONENT_BYTES};
use crate::manifest::{Attachment, Hook, Isolation, Manifest};
use crate::plugin::Plugin;
use crate::pool::Pool;
use crate::signature;
use crate::{digest, state};

/// The steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Its size, and its manifest.
    Read,
    /// It is the component its manifest pins.
    Digest,
    /// It is what somebody signed.
    Signature,
    /// Valid, and a component rather than a module.
    Parse,
    /// It exports the contract, in a version this gateway speaks.
    Contract,
    /// It asks for nothing that it may not have.
    Imports,
    /// To machine code.
    Compile,
    /// Its types are the contract's, and it comes up.
    Instantiate,
    /// What it says about itself.
    Describe,
    /// Its configuration fits its schema.
    Config,
    /// It takes its configuration.
    Init,
    /// It answers, and the same again when it says so.
    Probe,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 12] = [
        Self::Read,
        Self::Digest,
        Self::Signature,
        Self::Parse,
        Self::Contract,
        Self::Imports,
        Self::Compile,
        Self::Instantiate,
        Self::Describe,
        Self::Config,
        Self::Init,
        Self::Probe,
    ];

    /// The word used in logs and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Digest => "digest",
            Self::Signature => "signature",
            Self::Parse => "parse",
            Self::Contract => "contract",
            Self::Imports => "imports",
            Self::Compile => "compile",
            Self::Instantiate => "instantiate",
            Self::Describe => "describe",
            Self::Config => "config",
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

/// Who answers for a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouching {
    /// It came with the gateway.
    Gateway,
    /// The operator, although it may not be signed.
    Operator,
    /// Its signature, if it has one.
    Signature,
}

/// A component and everything that is known about it.
#[derive(Debug, Clone)]
pub struct Package<'a> {
    /// What it is loaded as.
    pub name: &'a str,
    /// The component.
    pub bytes: &'a [u8],
    /// The text of its `plugin.toml`. Without one it is lent nothing.
    pub manifest: Option<&'a str>,
    /// The text of its signature.
    pub signature: Option<&'a str>,
    /// Who answers for it.
    pub vouching: Vouching,
    /// What the operator lends it, of what its manifest asks for.
    pub grants: Grants,
    /// The operator's configuration; empty for the manifest's, or else the component's own defaults.
    pub config_json: &'a str,
}

impl<'a> Package<'a> {
    /// One that came with the gateway.
    #[must_use]
    pub fn shipped(name: &'a str, bytes: &'a [u8]) -> Self {
        Self { vouching: Vouching::Gateway, ..Self::found(name, bytes) }
    }

    /// One that nobody answers for yet.
    #[must_use]
    pub fn found(name: &'a str, bytes: &'a [u8]) -> Self {
        Self {
            name,
            bytes,
            manifest: None,
            signature: None,
            vouching: Vouching::Signature,
            grants: Grants::default(),
            config_json: "",
        }
    }
}

pub(crate) fn admit(host: &PluginHost, package: Package<'_>) -> Result<Plugin, AdmissionError> {
    let name = package.name.to_owned();
    Candidate::admit(host, package).map_err(|Refusal(step, message)| AdmissionError {
        step,
        plugin: name,
        message,
    })
}

/// A step that failed, and why.
struct Refusal(Step, String);

/// Names the step of whatever goes wrong in it.
trait At<T> {
    fn at(self, step: Step) -> Result<T, Refusal>;
}

impl<T, E: fmt::Display> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Refusal> {
        // wasmtime tells its causes in the alternate form.
        self.map_err(|error| Refusal(step, format!("{error:#}")))
    }
}

/// A component whose outside was checked.
struct Candidate<'a> {
    host: &'a PluginHost,
    package: Package<'a>,
    manifest: Option<Manifest>,
    trust: Trust,
    digest: String,
    exported: Vec<Hook>,
    held: BTreeSet<Capability>,
}

impl<'a> Candidate<'a> {
    fn admit(host: &'a PluginHost, package: Package<'a>) -> Result<Plugin, Refusal> {
        let candidate = Self::from_outside(host, package)?;
        let rehearsal = candidate.compile()?;
        let mut guest = rehearsal.instantiate().at(Step::Instantiate)?;
        let described = guest.describe().at(Step::Describe)?;
        let metadata = describe::check(described, &candidate.exported, candidate.manifest.as_ref());
        let metadata = metadata.at(Step::Describe)?;
        let config = candidate.config(&metadata)?;
        let configured = || rehearsal.configured(&config).at(Step::Init);
        probe::run(&mut configured()?, &mut configured()?, &metadata).at(Step::Probe)?;
        candidate.finish(rehearsal, metadata, config)
    }

    /// What can be told without running any of it.
    fn from_outside(host: &'a PluginHost, package: Package<'a>) -> Result<Self, Refusal> {
        check_size(package.bytes).at(Step::Read)?;
        let manifest = package.manifest.map(Manifest::parse).transpose().at(Step::Read)?;
        if let Some(manifest) = manifest.as_ref().filter(|manifest| manifest.name != package.name) {
            let message =
                format!("its manifest is that of `{}`; the file and the name must agree", manifest.name);
            return Err(Refusal(Step::Read, message));
        }
        let digest = digest::full(package.bytes);
        if let Some(pinned) = manifest.as_ref().and_then(|manifest| manifest.digest.as_ref())
            && *pinned != digest
        {
            let message = format!("its manifest pins {pinned}, but it is {digest}; build or sign it again");
            return Err(Refusal(Step::Digest, message));
        }
        let trust = trust(host, &package).at(Step::Signature)?;
        inspect::parse(package.bytes).at(Step::Parse)?;
        let exported = inspect::exports(package.bytes).at(Step::Contract)?;
        let wants = manifest.as_ref().map(|manifest| manifest.wants.clone()).unwrap_or_default();
        let held: BTreeSet<_> = package.grants.held_by(trust).intersection(&wants).copied().collect();
        inspect::imports(package.bytes, &wants, &package.grants, &held).at(Step::Imports)?;
        Ok(Self { host, package, manifest, trust, digest, exported, held })
    }

    /// Compiles and links it, lent everything but secrets and the way out: what is rehearsed is not real.
    fn compile(&self) -> Result<Blueprint, Refusal> {
        let runtime = &self.host.runtime;
        let compile = || Component::new(&runtime.engine, self.package.bytes);
        let component = match &runtime.cache {
            Some(cache) => cache.with(&runtime.engine, &self.digest, compile),
            None => compile(),
        };
        let component = component.at(Step::Compile)?;
        let linker = state::linker(&runtime.engine, self.held.iter().copied()).at(Step::Instantiate)?;
        let pre = linker.instantiate_pre(&component).at(Step::Instantiate)?;
        let indices = Indices::new(&pre, &self.exported).at(Step::Instantiate)?;
        Ok(Blueprint {
            runtime: Arc::clone(runtime),
            pre,
            indices: Arc::new(indices),
            limits: self.limits(),
            lent: Arc::new(Lent::nothing(self.package.name)),
        })
    }

    fn limits(&self) -> Limits {
        match &self.manifest {
            Some(manifest) => manifest.limits,
            None => {
                let needed = Limits::for_hooks(&self.exported);
                Limits {
                    memory_bytes: needed.memory_bytes.max(self.host.limits.memory_bytes),
                    answer_bytes: needed.answer_bytes.max(self.host.limits.answer_bytes),
                    ..self.host.limits
                }
            }
        }
    }

    /// The operator's, the manifest's, or the component's own.
    fn config(&self, metadata: &PluginMetadata) -> Result<String, Refusal> {
        let manifest = self.manifest.as_ref().and_then(|manifest| manifest.config_json.as_deref());
        let config = match (self.package.config_json, manifest) {
            ("", Some(config)) => config,
            ("", None) => &metadata.config_defaults_json,
            (config, _) => config,
        };
        fits_schema(&metadata.config_schema_json, config).at(Step::Config)?;
        Ok(config.to_owned())
    }

    fn finish(
        self,
        rehearsal: Blueprint,
        metadata: PluginMetadata,
        config: String,
    ) -> Result<Plugin, Refusal> {
        let way_out = self.host.way_out.clone();
        let lent = Arc::new(Lent::new(self.package.name, &self.package.grants, &self.held, way_out));
        // The kit exports every hook; an instance looks up those that will be called.
        let wanted: Vec<Hook> = metadata.hooks.iter().copied().collect();
        let indices = Arc::new(Indices::new(&rehearsal.pre, &wanted).at(Step::Instantiate)?);
        let blueprint = Blueprint { lent: Arc::clone(&lent), indices, ..rehearsal };
        // What serves has never seen the probe's made-up requests.
        let first = blueprint.configured(&config).at(Step::Init)?;
        let asked = self.manifest.as_ref().map_or(Isolation::Pooled, |manifest| manifest.isolation);
        let isolation = if self.trust == Trust::Unsigned { Isolation::Fresh } else { asked };
        let asks = self.manifest.as_ref().map(Asks::of).unwrap_or_default();
        let attachments = match self.manifest {
            Some(manifest) => manifest.attachments,
            None => metadata.hooks.iter().map(|hook| Attachment::of(*hook)).collect(),
        };
        Ok(Plugin {
            version: PolicyVersion {
                name: self.package.name.to_owned(),
                language: PolicyLanguage::Wasm,
                digest: self.digest.chars().take(16).collect(),
            },
            metadata,
            attachments,
            trust: self.trust,
            capabilities: self.held.into_iter().collect(),
            digest: self.digest,
            pool: Pool::new(blueprint, config, isolation, first),
            guard: Guard::default(),
            lent,
            asks,
        })
    }
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

/// A signature that is there must fit, whoever else answers for the component.
fn trust(host: &PluginHost, package: &Package<'_>) -> Result<Trust, signature::SignatureError> {
    if let Some(text) = package.signature {
        signature::verify(&host.keys, text, package.bytes, package.manifest.unwrap_or_default())?;
    }
    Ok(match (package.vouching, package.signature) {
        (Vouching::Gateway, _) => Trust::Shipped,
        (_, Some(_)) => Trust::Signed,
        (Vouching::Operator, None) => Trust::Raised,
        (Vouching::Signature, None) => Trust::Unsigned,
    })
}

/// What the admission of a candidate says about an error of its guest.
pub(super) fn explain(doing: &str, error: &PolicyError) -> String {
    format!("{doing}, it {error}")
}
