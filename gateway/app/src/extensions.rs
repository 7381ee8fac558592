//! The policies that come with the binary, and those in the data folder.
//!
//! A shipped one that does not load stops the start; one of the operator's is left out with a clear line in the log.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gateway_core::Gateway;
use gateway_plugin_host::PluginHost;
use gateway_policy_host::{Change, FolderWatch, POLL_INTERVAL, PolicyFolder, RhaiHost};
use gateway_scheduler::RankingPolicy;

/// Name and text of the scripts in `policies/`.
const SCRIPTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/scripts.rs"));
/// Name and bytes of the components in `plugins/dist`; empty when they were not built.
const COMPONENTS: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/components.rs"));
/// Name and text of the manifests beside them.
const MANIFESTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/manifests.rs"));
/// The largest component taken, in bytes.
const MAX_COMPONENT_BYTES: u64 = 16 * 1024 * 1024;
/// A component's configuration while none can be given.
const NO_CONFIG: &str = "{}";

/// Something shipped does not load: the binary is broken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The component engine cannot be set up on this machine.
    #[error("the component engine cannot be set up: {0}")]
    Engine(#[from] gateway_plugin_host::HostError),
    /// A shipped script.
    #[error("the shipped policy `{name}` does not load: {why}")]
    Shipped {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
}

/// Loads everything. Compiles components, so it keeps a core busy for a moment.
///
/// # Errors
/// Something shipped does not load.
pub fn load(policies_dir: &Path, plugins_dir: &Path) -> Result<Loaded, LoadError> {
    let (scripts, components) = (RhaiHost::new(), PluginHost::new()?);
    let mut loaded: Vec<Arc<dyn RankingPolicy>> = Vec::new();
    let shipped = |name: &str, why: String| LoadError::Shipped { name: name.to_owned(), why };
    for (name, source) in SCRIPTS {
        loaded.push(Arc::new(scripts.load(name, source).map_err(|error| shipped(name, error.to_string()))?));
    }
    for (name, bytes) in COMPONENTS.iter().filter(|(name, _)| ranks(name)) {
        let policy =
            components.load(name, bytes, NO_CONFIG).map_err(|error| shipped(name, error.to_string()))?;
        loaded.push(Arc::new(policy));
    }
    let (folder, found) = PolicyFolder::open(scripts, policies_dir);
    for change in found {
        match change {
            Change::Loaded { policy, .. } => adopt(&mut loaded, policies_dir, "", Ok(policy)),
            Change::Broken { error, .. } => tracing::error!(%error, "policy not loaded; the others serve"),
            Change::Removed { .. } => {}
        }
    }
    for (name, bytes) in files(plugins_dir, "wasm", MAX_COMPONENT_BYTES) {
        let policy = components
            .load(&name, &bytes, NO_CONFIG)
            .map(|policy| Arc::new(policy) as Arc<dyn RankingPolicy>);
        adopt(&mut loaded, plugins_dir, &name, policy.map_err(|error| error.to_string()));
    }
    Ok(Loaded { policies: loaded, folder })
}

/// What was loaded, and the folder whose scripts are live.
pub struct Loaded {
    /// The policies to begin with.
    pub policies: Vec<Arc<dyn RankingPolicy>>,
    /// The operator's scripts.
    pub folder: PolicyFolder,
}

/// Keeps the gateway's policies in step with the folder for as long as the watch lives. A script of the operator's that
/// goes gives a shipped one of its name its place back after a restart.
///
/// # Errors
/// The operating system gives no thread.
pub fn watch(folder: PolicyFolder, gateway: &Arc<Gateway>) -> std::io::Result<FolderWatch> {
    let gateway = Arc::downgrade(gateway);
    folder.watch(POLL_INTERVAL, move |change| {
        let Some(gateway) = gateway.upgrade() else { return };
        match change {
            Change::Loaded { policy, .. } => {
                let policy: Arc<dyn RankingPolicy> = policy;
                let version = policy.version();
                tracing::info!(policy = version.id(), policy.digest = version.digest, "policy is live");
                gateway.put_policy(&policy);
            }
            Change::Broken { error, serving } => {
                let serving = serving.map(|version| version.digest);
                tracing::error!(%error, serving, "policy not taken; the version before it serves on");
            }
            Change::Removed { last, name } => {
                tracing::info!(policy = name, "policy file removed");
                if let Some(last) = last {
                    gateway.remove_policy(&last.id());
                }
            }
        }
    })
}

/// The text of a script that came with the gateway.
pub(crate) fn shipped_script(name: &str) -> Option<&'static str> {
    SCRIPTS.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}

/// Whether a shipped component ranks accounts; others attach elsewhere.
fn ranks(name: &str) -> bool {
    let manifest = MANIFESTS.iter().find(|(known, _)| *known == name);
    let manifest = manifest.and_then(|(_, text)| gateway_plugin_host::Manifest::parse(text).ok());
    manifest.is_some_and(|manifest| manifest.hooks.contains(&gateway_plugin_host::Hook::Schedule))
}

/// The operator's own file wins over a shipped one of the same name.
fn adopt(
    loaded: &mut Vec<Arc<dyn RankingPolicy>>,
    folder: &Path,
    name: &str,
    policy: Result<Arc<dyn RankingPolicy>, String>,
) {
    let folder = folder.display();
    match policy {
        Ok(policy) => {
            let id = policy.version().id();
            loaded.retain(|other| other.version().id() != id);
            tracing::info!(policy = id, %folder, "policy loaded");
            loaded.push(policy);
        }
        Err(error) => tracing::error!(name, %folder, error, "policy not loaded; the others serve"),
    }
}

/// Name and bytes of the files with this ending, sorted by name.
fn files(folder: &Path, ending: &str, max_bytes: u64) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let Some(name) = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else { continue };
        if path.extension().is_none_or(|found| found != ending) {
            continue;
        }
        let size = fs::metadata(&path).map(|data| data.len());
        match size.and_then(|size| {
            if size > max_bytes { Err(std::io::Error::other("too large")) } else { fs::read(&path) }
        }) {
            Ok(bytes) => files.push((name, bytes)),
            Err(error) => tracing::error!(file = %path.display(), %error, "file not read"),
        }
    }
    files.sort();
    files
}
