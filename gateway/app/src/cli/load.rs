//! A policy from a file, for commands that ask it something: a script, a component, or the built-in by its name. Refuses to
//! put anything in service.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use gateway_plugin_host::{Hook, Limits, Manifest, Package, PluginHost, Vouching};
use gateway_policy_host::{RhaiHost, ScriptError};
use gateway_scheduler::{BuiltIn, RankingPolicy};

use super::{NotFound, WrongUse};

/// What the built-in is called where a file is expected.
pub(super) const BUILT_IN: &str = "builtin";
/// Time for one answer. Far more than in service: what is asked here is what it answers, not how fast this machine is now.
const PATIENCE: Duration = Duration::from_secs(1);
/// The largest file taken for a component or a script.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// A script that does not load, to be shown with its place.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {error}")]
pub(super) struct BadScript {
    pub(super) file: String,
    pub(super) error: ScriptError,
}

/// Loads a policy.
pub(super) fn policy(file: &Path) -> anyhow::Result<Arc<dyn RankingPolicy>> {
    if file.as_os_str() == BUILT_IN {
        return Ok(Arc::new(BuiltIn::default()));
    }
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("rhai") => script(file),
        Some("wasm") => component(file),
        _ => Err(WrongUse(format!(
            "`{}` is no policy; name a .rhai script, a .wasm component, or `{BUILT_IN}`",
            file.display()
        ))
        .into()),
    }
}

fn script(file: &Path) -> anyhow::Result<Arc<dyn RankingPolicy>> {
    let source = String::from_utf8(read(file)?).with_context(|| format!("{} is no text", file.display()))?;
    let host = RhaiHost::new().with_modules(folder_of(file)).with_deadline(PATIENCE);
    let loaded = host.load(&stem(file), &source);
    Ok(Arc::new(loaded.map_err(|error| BadScript { file: file.display().to_string(), error })?))
}

fn component(file: &Path) -> anyhow::Result<Arc<dyn RankingPolicy>> {
    let (name, bytes) = (stem(file), read(file)?);
    // Its manifest may ask for less time than this machine needs now; its configuration counts.
    let manifest = std::fs::read_to_string(file.with_extension("toml")).ok();
    let manifest =
        manifest.as_deref().map(Manifest::parse).transpose().context("read the manifest beside it")?;
    let config = manifest.and_then(|manifest| manifest.config_json).unwrap_or_default();
    let host = PluginHost::new()?.with_limits(Limits::default().with_deadline(PATIENCE));
    let package =
        Package { vouching: Vouching::Operator, config_json: &config, ..Package::found(&name, &bytes) };
    let plugin = host.admit(package)?;
    if !plugin.has(Hook::Schedule) {
        return Err(
            WrongUse(format!("`{}` ranks no accounts: it has no hook `schedule`", file.display())).into()
        );
    }
    Ok(Arc::new(plugin))
}

/// A file within its limit.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let data = std::fs::metadata(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            anyhow::Error::from(NotFound(format!("there is no file {}", file.display())))
        }
        _ => anyhow::Error::from(error).context(format!("cannot read {}", file.display())),
    })?;
    if data.len() > MAX_FILE_BYTES {
        let most = MAX_FILE_BYTES / 1024 / 1024;
        return Err(WrongUse(format!("{} is larger than {most} MiB", file.display())).into());
    }
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// What it is loaded as.
pub(super) fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Where its modules and cases are.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}
