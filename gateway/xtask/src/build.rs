//! Building and starting the gateway, its wasm parts first: the binary embeds what it finds.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::progress::say;
use crate::tools::{cargo, run as carry_out};
use crate::wasm_toolchain::WasmToolchain;
use crate::{dashboard, plugins};

/// Where `cargo xtask run` keeps its data, so that trying things out never touches real accounts.
const DATA_DIR: &str = "data";

/// Builds the parts that compile to WebAssembly; quick when nothing changed.
pub(crate) fn wasm_parts(root: &Path) -> anyhow::Result<()> {
    let wasm = WasmToolchain::detect_or_install()?;
    plugins::build(root, &wasm)?;
    dashboard::build(root, &wasm)
}

/// Builds everything; returns where the binary is.
pub(crate) fn gateway(root: &Path, release: bool) -> anyhow::Result<PathBuf> {
    wasm_parts(root)?;
    say("building the gateway");
    let mut command = cargo(root, ["build", "--package", "gateway-app"]);
    if release {
        command.arg("--release");
    }
    carry_out(command)?;
    let binary = root.join("target").join(if release { "release" } else { "debug" }).join("switchyard");
    say(&format!("built {}", binary.display()));
    Ok(binary)
}

/// Builds everything and becomes `switchyard serve`.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<()> {
    let binary = gateway(root, false)?;
    let mut serve = Command::new(binary);
    serve.current_dir(root).arg("serve").args(arguments);
    if !arguments.iter().any(|argument| argument.starts_with("--data-dir")) {
        serve.args(["--data-dir", DATA_DIR]);
    }
    // Replaced rather than awaited, so that signals reach the gateway itself.
    Err(serve.exec()).context("start the gateway")
}
