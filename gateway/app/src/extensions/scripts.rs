//! Scripts: those that came with the binary and those in the data folder, as policies and for every other hook.

use std::sync::Arc;

use gateway_core::Gateway;
use gateway_core::extensions::Installed;
use gateway_core::hooks::Hook;
use gateway_policy_host::{Change, FolderWatch, POLL_INTERVAL, PolicyFolder, RhaiPolicy};
use gateway_scheduler::RankingPolicy;

/// All scripts.
pub(crate) struct Scripts {
    folder: PolicyFolder,
    shipped: Vec<Arc<RhaiPolicy>>,
    found: Vec<Change>,
}

impl Scripts {
    pub(super) fn new(folder: PolicyFolder, shipped: Vec<Arc<RhaiPolicy>>, found: Vec<Change>) -> Self {
        Self { folder, shipped, found }
    }

    /// Puts everything into the gateway and keeps it in step with the folder for as long as the watch lives. A script of
    /// the operator's that goes gives a shipped one of its name its place back after a restart.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(crate) fn attach(self, gateway: &Arc<Gateway>) -> std::io::Result<FolderWatch> {
        for script in &self.shipped {
            put(gateway, script, false);
        }
        for change in self.found {
            take(gateway, change);
        }
        let gateway = Arc::downgrade(gateway);
        self.folder.watch(POLL_INTERVAL, move |change| {
            if let Some(gateway) = gateway.upgrade() {
                take(&gateway, change);
            }
        })
    }
}

fn take(gateway: &Gateway, change: Change) {
    match change {
        Change::Loaded { policy, .. } => {
            let version = RankingPolicy::version(&*policy);
            tracing::info!(script = version.id(), script.digest = version.digest, "script is live");
            put(gateway, &policy, true);
        }
        Change::Broken { error, serving } => {
            let serving = serving.map(|version| version.digest);
            tracing::error!(%error, serving, "script not taken; the version before it serves on");
        }
        Change::Removed { last, name } => {
            tracing::info!(script = name, "script removed");
            if let Some(last) = last {
                gateway.remove_policy(&last.id());
                gateway.remove_extension(&last.id());
            }
        }
    }
}

/// Puts a script into the gateway: as a policy, as whatever else it is, or both.
fn put(gateway: &Gateway, script: &Arc<RhaiPolicy>, on_by_default: bool) {
    if script.ranks() {
        let policy: Arc<dyn RankingPolicy> = script.clone();
        gateway.put_policy(&policy);
    }
    let mut installed = Installed::new(RankingPolicy::version(&**script).clone());
    installed.on_by_default = on_by_default;
    installed.attachments = script.attachments();
    installed.mapper = script.has(Hook::MapModel).then(|| script.clone() as _);
    installed.prompt = script.has(Hook::FilterRequest).then(|| script.clone() as _);
    installed.response = script.has(Hook::FilterResponse).then(|| script.clone() as _);
    installed.observer = script.has(Hook::ObserveUsage).then(|| script.clone() as _);
    if !installed.hooks().is_empty() {
        gateway.put_extension(installed);
    }
}
