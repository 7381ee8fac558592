//! `switchyard plugin new`: a folder with everything that a plugin needs, in a place where nothing was.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::super::{WrongUse, tell};
use super::World;
use super::sdk::project;

/// What `plugin new` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
  switchyard plugin new my-policy --world scheduler
  switchyard plugin new my-filter --world prompt-filter --in plugins/my-filter
  switchyard plugin build my-filter")]
pub(in crate::cli) struct NewArgs {
    /// Its name: a-z, 0-9 and dash, beginning with a letter
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is for
    #[arg(long, value_enum)]
    world: World,
    /// The folder to write [default: NAME]
    #[arg(long = "in", value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Writes a project.
pub(super) fn run(args: &NewArgs) -> anyhow::Result<()> {
    if !is_name(&args.name) {
        let text = format!(
            "`{}` is no name for a plugin; use a-z, 0-9 and dash, 64 at most",
            args.name.escape_debug()
        );
        return Err(WrongUse(text).into());
    }
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    if folder.exists() {
        bail!("{} is there already; name another folder with --in", folder.display());
    }
    for (path, text) in project(&args.name, args.world) {
        let file = folder.join(path);
        let above = file.parent().unwrap_or(&folder);
        std::fs::create_dir_all(above).with_context(|| format!("cannot create {}", above.display()))?;
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let shown = folder.display();
    tell(&format!(
        "wrote {shown}; the plugin is {shown}/src/lib.rs, build it with: switchyard plugin build {shown}"
    ));
    Ok(())
}

/// It names a crate, a file and a metric.
fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=64).contains(&name.len())
        && name.bytes().all(fits)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_crates_and_files() {
        for name in ["a", "my-filter", "x2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "a-", "2x", "My", "a_b", "../a", "a b", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
