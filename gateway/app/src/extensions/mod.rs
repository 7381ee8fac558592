//! The extensions that come with the binary, and those in the data folder: scripts and components.
//!
//! A shipped one that does not load stops the start; one of the operator's is left out with a clear line in the log.

mod plugins;
mod scripts;
mod way_out;

use std::path::Path;
use std::sync::Arc;

use gateway_plugin_host::{PluginHost, TrustedKey};
use gateway_policy_host::{PolicyFolder, RhaiHost};
use gateway_scheduler::RankingPolicy;
use tokio::runtime::Handle;

pub(crate) use plugins::{PluginWatch, Plugins};
pub(crate) use scripts::{Scripts, checked, mistake};
use way_out::WayOut;

/// Name and text of the scripts in `policies/`.
const SCRIPTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/scripts.rs"));
/// Name and bytes of the components in `plugins/dist`; empty when they were not built.
const COMPONENTS: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/components.rs"));
/// Name and text of the manifests beside them.
const MANIFESTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/manifests.rs"));
/// Something shipped does not load: the binary is broken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The component engine cannot be set up on this machine.
    #[error("the component engine cannot be set up: {0}")]
    Engine(#[from] gateway_plugin_host::HostError),
    /// Requests of components cannot be carried on this machine.
    #[error("the way out for components cannot be set up: {0}")]
    WayOut(#[from] reqwest::Error),
    /// A shipped script.
    #[error("the shipped policy `{name}` does not load: {why}")]
    Shipped {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
}

/// Loads everything. Compiles components, so it keeps a core busy for a moment. `runtime` carries what components send.
///
/// # Errors
/// Something shipped does not load.
pub fn load(policies_dir: &Path, plugins_dir: &Path, runtime: Handle) -> Result<Loaded, LoadError> {
    let way_out = Arc::new(WayOut::new(runtime)?);
    let components = PluginHost::new()?.with_way_out(way_out).trusting(trusted(plugins_dir));
    let mut policies: Vec<Arc<dyn RankingPolicy>> = Vec::new();
    let scripts = RhaiHost::new().guarding();
    let mut shipped = Vec::new();
    for (name, source) in SCRIPTS {
        let loaded = scripts
            .load(name, source)
            .map_err(|error| LoadError::Shipped { name: (*name).to_owned(), why: error.to_string() })?;
        let loaded = Arc::new(loaded);
        if loaded.ranks() {
            policies.push(loaded.clone());
        }
        shipped.push(loaded);
    }
    let plugins = Plugins::open(components, plugins_dir);
    policies.extend(plugins.policies()?);
    let (folder, found) = PolicyFolder::open(scripts, policies_dir);
    Ok(Loaded {
        policies,
        plugins: Arc::new(plugins),
        scripts: Scripts::new(folder, policies_dir, shipped, found),
    })
}

/// The text of a script that came with the gateway.
pub(crate) fn shipped_script(name: &str) -> Option<&'static str> {
    SCRIPTS.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}

/// The keys whose signatures count: one in each `*.pub` file of `keys/` in the plugins folder.
fn trusted(plugins_dir: &Path) -> Vec<TrustedKey> {
    let Ok(entries) = std::fs::read_dir(plugins_dir.join("keys")) else { return Vec::new() };
    let files = entries.filter_map(Result::ok).map(|entry| entry.path());
    files
        .filter(|file| file.extension().is_some_and(|ending| ending == "pub"))
        .filter_map(|file| {
            let read = std::fs::read_to_string(&file).map_err(|error| error.to_string());
            let key = read.and_then(|text| TrustedKey::parse(text.trim()).map_err(|error| error.to_string()));
            let shown = file.display();
            key.inspect_err(|error| tracing::error!(file = %shown, error, "this key vouches for nothing"))
                .ok()
        })
        .collect()
}

/// What was loaded, and the folders whose files are live.
pub struct Loaded {
    /// The policies to begin with.
    pub policies: Vec<Arc<dyn RankingPolicy>>,
    /// Components.
    pub(crate) plugins: Arc<Plugins>,
    /// Scripts.
    pub(crate) scripts: Scripts,
}
