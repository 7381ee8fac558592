//! The tools of the repository: `cargo xtask <command>`. The one way to build, run, test and measure it.

mod bench;
mod build;
mod dashboard;
mod debian;
mod fuzz;
mod javascript;
mod plugins;
mod progress;
mod setup;
mod test;
mod tools;
mod wasm_toolchain;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;

/// What people type.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Builds, runs, tests and measures Switchyard")]
enum Command {
    /// Build everything and start the gateway; `--demo` serves made-up accounts from a simulated upstream
    Run {
        /// Passed on to `switchyard serve` (`--demo`, `--listen ADDR` …)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the complete binary: dashboard and plugins inside
    Build {
        /// Optimised, at target/release/switchyard
        #[arg(long)]
        release: bool,
    },
    /// Set up and run every test and check there is
    Test {
        /// Run only the tests whose name contains this, without the checks
        filter: Option<String>,
    },
    /// Measure the gateway beside a direct run, nginx and bare relays
    Bench {
        /// Passed on to the benchmark (`--quick`, `--json FILE` …)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Feed every parser bytes that nobody meant; what it finds is kept as a fixture
    Fuzz {
        /// For how long, all targets together
        seconds: u64,
        /// Only the targets whose name contains this
        target: Option<String>,
    },
    /// Check format, lints and dependencies
    Lint,
    /// Install what tests need: system packages and real clients
    Setup,
    /// Build the shipped plugins into plugins/dist
    Plugins,
    /// Build the dashboard into dashboard/dist
    Dashboard,
}

fn main() -> anyhow::Result<()> {
    let root = root()?;
    match Command::parse() {
        Command::Run { arguments } => build::run(&root, &arguments),
        Command::Build { release } => build::gateway(&root, release).map(drop),
        Command::Test { filter } => test::run(&root, filter.as_deref()),
        Command::Bench { arguments } => bench::run(&root, &arguments),
        Command::Fuzz { seconds, target } => fuzz::run(&root, seconds, target.as_deref()),
        Command::Lint => test::lint(&root),
        Command::Setup => test::set_up(&root),
        Command::Plugins => {
            plugins::build(&root, &wasm_toolchain::WasmToolchain::detect_or_install()?).map(drop)
        }
        Command::Dashboard => dashboard::build(&root, &wasm_toolchain::WasmToolchain::detect_or_install()?),
    }
}

fn root() -> anyhow::Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).map(Path::to_owned).context("find the repository")
}
