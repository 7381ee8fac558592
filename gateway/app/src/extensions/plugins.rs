//! Components: those that came with the binary, loaded when they are switched on, and those in the data folder, live
//! within a second. Keeps what serves in step with the gateway and carries out what the operator decided.

mod keeper;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use gateway_core::Gateway;
use gateway_core::extensions::{ConfigForm, Installed, Placement};
use gateway_core::hooks::ExtensionVersion;
use gateway_domain::Secret;
use gateway_plugin_host::{
    Capability, Changed, Destination, Grants, Hook, Manifest, Package, Plugin, PluginFolder, PluginHost,
    Terms, Vouching,
};
use gateway_scheduler::{PolicyLanguage, RankingPolicy};
use parking_lot::Mutex;

use super::{COMPONENTS, LoadError, MANIFESTS};

/// How often the folder is looked at.
const POLL: Duration = Duration::from_millis(500);

/// All components.
pub(crate) struct Plugins {
    folder: PluginFolder,
    /// Those of the folder that the gateway has.
    known: Mutex<BTreeMap<String, Arc<Plugin>>>,
    /// Those of the binary that are loaded.
    shipped: Mutex<BTreeMap<String, Arc<Plugin>>>,
    /// What those of the binary say about their configuration, once somebody asked.
    forms: Mutex<BTreeMap<String, ConfigForm>>,
    gateway: OnceLock<Weak<Gateway>>,
}

impl Plugins {
    /// Looks at the folder once. Compiles what lies there, so it keeps a core busy for a moment.
    pub(super) fn open(host: PluginHost, folder: &Path) -> Self {
        let plugins = Self {
            folder: PluginFolder::new(host, folder),
            known: Mutex::default(),
            shipped: Mutex::default(),
            forms: Mutex::default(),
            gateway: OnceLock::new(),
        };
        plugins.look_twice();
        plugins
    }

    /// What fails once is looked at again: nobody writes these files now, so a second look is enough.
    fn look_twice(&self) {
        for _ in 0..2 {
            self.scan();
        }
    }

    /// The shipped policies: always there to be chosen.
    pub(super) fn policies(&self) -> Result<Vec<Arc<dyn RankingPolicy>>, LoadError> {
        let mut policies: Vec<Arc<dyn RankingPolicy>> = Vec::new();
        for (name, _) in COMPONENTS {
            if manifest(name).is_some_and(|manifest| manifest.hooks.contains(&Hook::Schedule)) {
                let plugin = self.load_shipped(name, &Placement::default());
                let plugin = plugin.map_err(|why| LoadError::Shipped { name: (*name).to_owned(), why })?;
                self.shipped.lock().insert((*name).to_owned(), plugin.clone());
                policies.push(plugin);
            }
        }
        Ok(policies)
    }

    /// Puts everything into the gateway, as it was decided before.
    pub(crate) fn attach(self: &Arc<Self>, gateway: &Arc<Gateway>) {
        // Once, by the composition root.
        drop(self.gateway.set(Arc::downgrade(gateway)));
        // For files that are not there now as well: one that comes back finds what was decided.
        for (id, placement) in gateway.extensions().placements() {
            let Some(name) = id.strip_prefix("wasm:") else { continue };
            if let Err(why) = self.decide_folder(name, &placement) {
                tracing::error!(
                    plugin = name,
                    why,
                    "what was decided about it does not fit any more; it serves without"
                );
            }
        }
        // Some were refused only for want of what was decided.
        self.look_twice();
        let decided = gateway.extensions().placements();
        for (name, _) in COMPONENTS {
            let placement = decided.get(&id_of(name));
            // One's own file wins, and policies are there already unless something was decided about them.
            let is_there = placement.is_none() && !is_hooked(name);
            if is_there || self.folder.set().contains_key(*name) {
                continue;
            }
            let placement = placement.cloned().unwrap_or_default();
            if let Err(why) = self.serve_shipped(gateway, name, &placement) {
                tracing::error!(plugin = name, why, "not served as it was decided");
                if is_hooked(name) {
                    self.describe(gateway, name);
                }
            }
        }
        self.sync();
    }

    /// Looks at the folder and takes over what changed.
    fn scan(&self) {
        match self.folder.scan() {
            Ok(changes) => {
                for change in &changes {
                    let plugin = &change.plugin;
                    match &change.changed {
                        Changed::Loaded { version, digest } => {
                            tracing::info!(plugin, version, digest, "plugin is live")
                        }
                        Changed::Rejected(error) => {
                            tracing::error!(plugin, step = error.step.label(), %error, "plugin not taken; what served before still does");
                        }
                        Changed::Removed => tracing::info!(plugin, "plugin removed"),
                    }
                }
            }
            Err(error) => tracing::error!(%error, "the plugins folder cannot be read"),
        }
        self.sync();
    }

    /// Keeps the gateway in step with the folder.
    fn sync(&self) {
        let Some(gateway) = self.gateway() else { return };
        // First the lock: of two who look, the later one must have seen the later set.
        let mut known = self.known.lock();
        let set = self.folder.set();
        for name in known.keys().filter(|name| !set.contains_key(*name)) {
            gateway.remove_extension(&id_of(name));
            gateway.remove_policy(&id_of(name));
            self.restore_shipped(&gateway, name);
        }
        for (name, plugin) in set.iter() {
            if known.get(name).is_none_or(|before| !Arc::ptr_eq(before, plugin)) {
                put(&gateway, plugin, true);
            }
        }
        known.clone_from(&set);
    }

    fn gateway(&self) -> Option<Arc<Gateway>> {
        self.gateway.get()?.upgrade()
    }

    fn load_shipped(&self, name: &str, placement: &Placement) -> Result<Arc<Plugin>, String> {
        let (_, bytes) =
            COMPONENTS.iter().find(|(known, _)| *known == name).ok_or("this binary was built without it")?;
        let text = MANIFESTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
        let manifest = manifest(name);
        let mut grants = grants(placement, manifest.as_ref())?;
        // It came with the gateway: what needs no trust is lent as it asks.
        let asked = manifest.iter().flat_map(|manifest| manifest.wants.iter().copied());
        grants.capabilities.extend(asked.filter(|one| !one.needs_trust()));
        let config = placement.config.as_ref().map(ToString::to_string).unwrap_or_default();
        let package = Package {
            manifest: text,
            vouching: Vouching::Gateway,
            grants,
            config_json: &config,
            ..Package::shipped(name, bytes)
        };
        self.folder.host().admit(package).map(Arc::new).map_err(|error| error.to_string())
    }

    /// A shipped one serves when the operator says so.
    fn decide_shipped(&self, gateway: &Gateway, name: &str, placement: &Placement) -> Result<(), String> {
        if placement.enabled != Some(true) {
            self.shipped.lock().remove(name);
            self.describe(gateway, name);
            return Ok(());
        }
        let plugin = self.load_shipped(name, placement)?;
        put(gateway, &plugin, false);
        self.shipped.lock().insert(name.to_owned(), plugin);
        Ok(())
    }

    /// One that is not loaded is still there to be switched on.
    fn describe(&self, gateway: &Gateway, name: &str) {
        let Some(manifest) = manifest(name) else { return };
        let version =
            ExtensionVersion { name: name.to_owned(), language: PolicyLanguage::Wasm, digest: String::new() };
        let mut described = Installed::new(version);
        described.release.clone_from(&manifest.version);
        described.summary.clone_from(&manifest.summary);
        described.attachments.clone_from(&manifest.attachments);
        described.on_by_default = false;
        gateway.put_extension(described);
    }

    /// A shipped one as it was decided: a policy is always there to be chosen, the rest when it is switched on.
    fn serve_shipped(&self, gateway: &Gateway, name: &str, placement: &Placement) -> Result<(), String> {
        if is_hooked(name) {
            return self.decide_shipped(gateway, name, placement);
        }
        if manifest(name).is_some() {
            let plugin = self.load_shipped(name, placement)?;
            put(gateway, &plugin, false);
            self.shipped.lock().insert(name.to_owned(), plugin);
        }
        Ok(())
    }

    /// A shipped one whose place a file had.
    fn restore_shipped(&self, gateway: &Gateway, name: &str) {
        let placement = gateway.extensions().placement(&id_of(name));
        if let Err(why) = self.serve_shipped(gateway, name, &placement) {
            tracing::error!(plugin = name, why, "the shipped one of this name is not back");
        }
    }

    fn decide_folder(&self, name: &str, placement: &Placement) -> Result<(), String> {
        self.folder.decide(name, terms(placement)?).map_err(|error| error.to_string())
    }

    /// Watches the folder until what it returns is dropped.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(crate) fn watch(self: &Arc<Self>) -> std::io::Result<PluginWatch> {
        let plugins = Arc::downgrade(self);
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new().name("plugins".to_owned()).spawn(move || {
            while stopped.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
                let Some(plugins) = plugins.upgrade() else { return };
                plugins.scan();
            }
        })?;
        Ok(PluginWatch { _stop: stop, _thread: thread })
    }
}

/// Watches the folder while it lives.
pub(crate) struct PluginWatch {
    /// Dropping it ends the thread at its next look.
    _stop: Sender<()>,
    _thread: std::thread::JoinHandle<()>,
}

fn id_of(name: &str) -> String {
    format!("wasm:{name}")
}

fn manifest(name: &str) -> Option<Manifest> {
    let (_, text) = MANIFESTS.iter().find(|(known, _)| *known == name)?;
    Manifest::parse(text).ok()
}

/// Whether a shipped component is more than a policy.
fn is_hooked(name: &str) -> bool {
    manifest(name).is_some_and(|manifest| manifest.hooks.iter().any(|hook| *hook != Hook::Schedule))
}

/// What was decided about a file of the folder.
fn terms(placement: &Placement) -> Result<Terms, String> {
    Ok(Terms {
        // Whether it serves is a question of the chains; the folder keeps it ready.
        enabled: true,
        grants: grants(placement, None)?,
        raised: placement.raised,
        config_json: placement.config.as_ref().map(ToString::to_string).unwrap_or_default(),
    })
}

fn grants(placement: &Placement, manifest: Option<&Manifest>) -> Result<Grants, String> {
    let mut capabilities = BTreeSet::new();
    for word in &placement.grants {
        let found = Capability::ALL.into_iter().find(|one| one.label() == word);
        let known = || Capability::ALL.map(Capability::label).join(", ");
        capabilities
            .insert(found.ok_or_else(|| format!("`{word}` is no capability; there are: {}", known()))?);
    }
    let destinations: Result<Vec<_>, _> =
        placement.http_out.iter().map(|text| Destination::parse(text)).collect();
    Ok(Grants {
        capabilities,
        kv: manifest.map(|manifest| manifest.kv).unwrap_or_default(),
        secrets: placement
            .secrets
            .iter()
            .map(|(name, text)| (name.clone(), Secret::from(text.as_str())))
            .collect(),
        destinations: destinations.map_err(|error| error.to_string())?,
    })
}

/// Puts a component into the gateway: as a policy, as whatever else it is, or both.
fn put(gateway: &Gateway, plugin: &Arc<Plugin>, on_by_default: bool) {
    if plugin.has(Hook::Schedule) {
        let policy: Arc<dyn RankingPolicy> = plugin.clone();
        gateway.put_policy(&policy);
    }
    let mut installed = Installed::new(RankingPolicy::version(&**plugin).clone());
    installed.release.clone_from(&plugin.metadata().version);
    installed.summary.clone_from(&plugin.metadata().summary);
    installed.on_by_default = on_by_default;
    installed.may_block = plugin.capabilities().contains(&Capability::HttpOut);
    installed.attachments = plugin.attachments().to_vec();
    installed.mapper = plugin.has(Hook::MapModel).then(|| plugin.clone() as _);
    installed.prompt = plugin.has(Hook::FilterRequest).then(|| plugin.clone() as _);
    installed.response = plugin.has(Hook::FilterResponse).then(|| plugin.clone() as _);
    installed.observer = plugin.has(Hook::ObserveUsage).then(|| plugin.clone() as _);
    if !installed.hooks().is_empty() {
        gateway.put_extension(installed);
    }
}
