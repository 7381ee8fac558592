//! The tools of the repository: `cargo xtask <command>`.

mod plugins;
mod progress;
mod wasm_toolchain;

use std::path::Path;

use anyhow::Context as _;
use clap::Parser;

/// What people type.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Builds and checks Switchyard")]
enum Command {
    /// Build the shipped plugins into plugins/dist.
    Plugins,
}

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("find the repository")?;
    match Command::parse() {
        Command::Plugins => {
            let wasm = wasm_toolchain::WasmToolchain::detect_or_install()?;
            for component in plugins::build(root, &wasm)? {
                progress::say(&component.display().to_string());
            }
        }
    }
    Ok(())
}
