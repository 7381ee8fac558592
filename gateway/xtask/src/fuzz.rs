//! `cargo xtask fuzz`: the parsers' own short runs, made long. It refuses to know a parser; `protocol/src/fuzz` does.

use std::path::Path;

use crate::progress::say;
use crate::tools::{cargo, run as carry_out};

/// The test that goes on for as long as it is told.
const TEST: &str = "fuzz::for_a_while";

/// Builds the parsers fast and with their overflow checks, and tries them for this long.
///
/// # Errors
/// They cannot be built, or something was found.
pub(crate) fn run(root: &Path, seconds: u64, target: Option<&str>) -> anyhow::Result<()> {
    say("building the parsers");
    let mut test = cargo(root, ["test", "--release", "--package", "gateway-protocol", "--lib"]);
    // A wrap that a release build forgives is a finding here. The whole-program optimisation would only cost time.
    test.args(["--config", "profile.release.overflow-checks=true"])
        .args(["--config", "profile.release.debug-assertions=true"])
        .args(["--config", "profile.release.lto=\"off\""])
        .args(["--target-dir", "target/fuzz", "--", "--exact", TEST, "--ignored", "--nocapture"])
        .env("SWITCHYARD_FUZZ_SECONDS", seconds.to_string())
        .env("SWITCHYARD_FUZZ_TARGET", target.unwrap_or_default());
    carry_out(test)
}
