//! `cargo xtask bench`: sees to it that everything the benchmark compares is built and installed, then runs it.
//! It refuses to measure or to judge; `tests/bench` does.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::progress::say;
use crate::tools::{cargo, run as carry_out};
use crate::{build, setup};

/// Builds the complete release binary and the benchmark, and runs the benchmark with these arguments.
///
/// # Errors
/// Something cannot be built, installed or started. What it measures never fails it.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<()> {
    setup::bench_packages().context("install what the benchmark compares with")?;
    build::gateway(root, true)?;
    say("building the benchmark");
    carry_out(cargo(root, ["build", "--release", "--package", "switchyard-tests", "--bin", "bench"]))?;
    let mut bench = Command::new(root.join("target/release/bench"));
    bench.current_dir(root).args(arguments);
    carry_out(bench)
}
