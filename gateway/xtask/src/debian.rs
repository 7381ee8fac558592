//! Installing Debian's packages. Needs root; says what to run by hand where it has none.

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::progress::say;
use crate::tools::{output_of, run as carry_out};

/// Installs packages, asking for newer lists when the ones at hand do not do. `purpose` completes "to …".
///
/// # Errors
/// They cannot be installed; the message says what to run.
pub(crate) fn install(packages: &[&str], purpose: &str) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install {}", packages.join(" "));
    if !output_of(Command::new("id").arg("-u")).is_ok_and(|id| id == "0") {
        bail!("to {purpose}, packages must be installed by root: run `{by_hand}`, then start again");
    }
    say(&format!("installing {}", packages.join(" ")));
    let install = || apt([&["install", "-y", "-qq", "--no-install-recommends"], packages].concat());
    if install().is_err() {
        say("asking apt for its newest lists");
        apt(vec!["update", "-qq"]).with_context(|| format!("run `{by_hand}` by hand"))?;
        install().with_context(|| format!("run `{by_hand}` by hand"))?;
    }
    Ok(())
}

fn apt(arguments: Vec<&str>) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    carry_out(command)
}
