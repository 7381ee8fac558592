//! Builds the shipped plugins: core modules by cargo, components by wit-component, into `plugins/dist/`.
//!
//! A plugin is a folder of `plugins/` with a `plugin.toml` and a `Cargo.toml`; its package is
//! `switchyard-plugin-<folder>`. The one in JavaScript is built by `javascript.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, ensure};

use crate::progress::say;
use crate::wasm_toolchain::{WasmToolchain, output_dir};

/// Builds every plugin that is older than its sources and answers all components, built now or before.
///
/// # Errors
/// A manifest does not fit its folder, cargo failed, or a module is not a component of our contract.
pub(crate) fn build(root: &Path, wasm: &WasmToolchain) -> anyhow::Result<Vec<PathBuf>> {
    let dist = root.join("plugins/dist");
    fs::create_dir_all(&dist).with_context(|| format!("create {}", dist.display()))?;
    let mut plugins = Vec::new();
    for folder in plugin_folders(root)? {
        plugins.push(Plugin::in_folder(&folder, &dist)?);
    }
    let shared = ["plugins/sdk", "plugins/text", "wit", "Cargo.lock"].map(|path| root.join(path));
    let shared = newest(&shared)?;
    let mut stale = Vec::new();
    for plugin in &plugins {
        if plugin.is_stale(shared)? {
            stale.push(plugin);
        }
    }
    if !stale.is_empty() {
        let target_dir = root.join("target/wasm");
        compile(root, wasm, &target_dir, &stale)?;
        for plugin in stale {
            plugin.componentise(&output_dir(&target_dir))?;
        }
    }
    Ok(plugins.into_iter().map(|plugin| plugin.component).collect())
}

struct Plugin {
    name: String,
    package: String,
    folder: PathBuf,
    /// The finished component.
    component: PathBuf,
}

impl Plugin {
    fn in_folder(folder: &Path, dist: &Path) -> anyhow::Result<Self> {
        let name =
            folder.file_name().and_then(|name| name.to_str()).context("a plugin folder without a name")?;
        let manifest = folder.join("plugin.toml");
        let text = fs::read_to_string(&manifest).with_context(|| format!("read {}", manifest.display()))?;
        ensure!(
            text.lines().any(|line| line.trim() == format!("name = \"{name}\"")),
            "{}: `name` must be the folder's, write name = \"{name}\"",
            manifest.display()
        );
        Ok(Self {
            name: name.to_owned(),
            package: format!("switchyard-plugin-{name}"),
            folder: folder.to_owned(),
            component: dist.join(format!("{name}.wasm")),
        })
    }

    fn is_stale(&self, shared: SystemTime) -> anyhow::Result<bool> {
        let Ok(built) = fs::metadata(&self.component).and_then(|file| file.modified()) else {
            return Ok(true);
        };
        Ok(built < shared.max(newest(std::slice::from_ref(&self.folder))?))
    }

    fn componentise(&self, modules: &Path) -> anyhow::Result<()> {
        let module = modules.join(format!("{}.wasm", self.package.replace('-', "_")));
        let bytes = fs::read(&module).with_context(|| format!("read {}", module.display()))?;
        let component = wit_component::ComponentEncoder::default()
            .validate(true)
            .module(&bytes)
            .and_then(|encoder| encoder.encode())
            .with_context(|| format!("turn plugin {} into a component", self.name))?;
        // Beside the target and renamed over it: a gateway that watches the folder never reads half a file.
        let partial = self.component.with_extension("wasm.partial");
        fs::write(&partial, &component).with_context(|| format!("write {}", partial.display()))?;
        let manifest = self.component.with_extension("toml");
        fs::copy(self.folder.join("plugin.toml"), &manifest)
            .with_context(|| format!("write {}", manifest.display()))?;
        fs::rename(&partial, &self.component)
            .with_context(|| format!("write {}", self.component.display()))?;
        say(&format!("plugin {}: {} KiB", self.name, component.len() / 1024));
        Ok(())
    }
}

fn compile(root: &Path, wasm: &WasmToolchain, target_dir: &Path, plugins: &[&Plugin]) -> anyhow::Result<()> {
    let names: Vec<&str> = plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    say(&format!("building plugins ({}) with {}", names.join(", "), wasm.describe()));
    let mut cargo = wasm.cargo_command(target_dir);
    cargo.current_dir(root);
    for plugin in plugins {
        cargo.args(["-p", &plugin.package]);
    }
    let status = cargo.status().context("start cargo")?;
    ensure!(status.success(), "building the plugins failed, see above");
    Ok(())
}

fn plugin_folders(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let plugins = root.join("plugins");
    let mut folders = Vec::new();
    for entry in fs::read_dir(&plugins).with_context(|| format!("read {}", plugins.display()))? {
        let folder = entry?.path();
        // One without is written in another language and built for the tests alone.
        if folder.join("plugin.toml").is_file() && folder.join("Cargo.toml").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

/// When the newest file at or below these paths changed.
///
/// # Errors
/// One of them cannot be read.
pub(crate) fn newest(paths: &[PathBuf]) -> anyhow::Result<SystemTime> {
    let mut latest = SystemTime::UNIX_EPOCH;
    let mut open = paths.to_vec();
    while let Some(path) = open.pop() {
        let file = fs::metadata(&path).with_context(|| format!("look at {}", path.display()))?;
        if file.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else {
            latest = latest.max(file.modified()?);
        }
    }
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_names_another_plugin_is_refused() {
        let root = std::env::temp_dir().join(format!("switchyard-xtask-{}", std::process::id()));
        let folder = root.join("plugins/one");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("plugin.toml"), "name = \"two\"\n").unwrap();
        fs::write(folder.join("Cargo.toml"), "").unwrap();
        let refused = build(&root, &WasmToolchain::Rustup).unwrap_err();
        assert!(refused.to_string().contains("write name = \"one\""), "{refused}");
        fs::remove_dir_all(&root).unwrap();
    }
}
