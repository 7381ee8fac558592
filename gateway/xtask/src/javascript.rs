//! Builds the plugin that is written in JavaScript, for the test that proves the contract is not Rust's alone. It is not
//! shipped: it carries an engine of twelve megabytes.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::plugins::newest;
use crate::progress::say;
use crate::tools::run as carry_out;

/// Makes components from JavaScript.
const COMPONENTIZE: &str = "@bytecodealliance/componentize-js";
const COMPONENTIZE_VERSION: &str = "0.23.0";

/// Builds `plugins/night-shift` into `target/javascript/` when it is older than its sources.
///
/// # Errors
/// The package registry cannot be reached, or the plugin does not build.
pub(crate) fn build(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("plugins/night-shift");
    let component = root.join("target/javascript/night-shift.wasm");
    let sources = newest(&[folder.clone(), root.join("wit")])?;
    if component.metadata().and_then(|file| file.modified()).is_ok_and(|built| built >= sources) {
        return Ok(());
    }
    let packages = root.join("target/tools/javascript");
    install(&packages)?;
    say("building the plugin in JavaScript");
    let output = component.parent().context("unreachable")?;
    std::fs::create_dir_all(output).with_context(|| format!("create {}", output.display()))?;
    let mut componentize = Command::new(packages.join("node_modules/.bin/componentize-js"));
    // Without the engine's clocks, chance and network it imports nothing, and needs no grant.
    componentize.args(["--disable", "stdio", "random", "clocks", "http", "fetch-event"]);
    componentize.args(["--world-name", "model-mapper", "--wit"]).arg(root.join("wit"));
    componentize.arg("--out").arg(&component).arg(folder.join("plugin.js"));
    carry_out(componentize).context("build plugins/night-shift")
}

fn install(packages: &Path) -> anyhow::Result<()> {
    let manifest = packages.join("node_modules").join(COMPONENTIZE).join("package.json");
    let wanted = format!("\"version\": \"{COMPONENTIZE_VERSION}\"");
    if std::fs::read_to_string(&manifest).is_ok_and(|text| text.contains(&wanted)) {
        return Ok(());
    }
    say(&format!("installing {COMPONENTIZE} {COMPONENTIZE_VERSION} (a minute, once)"));
    std::fs::create_dir_all(packages).with_context(|| format!("create {}", packages.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"])
        .arg(packages)
        .arg(format!("{COMPONENTIZE}@{COMPONENTIZE_VERSION}"));
    carry_out(npm).context("install what makes components from JavaScript")
}
