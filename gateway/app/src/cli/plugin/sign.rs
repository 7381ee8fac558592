//! `switchyard plugin keygen` and `sign`: the private key stays in a file of its owner, the signature lies beside the component.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use gateway_domain::Secret;
use gateway_plugin_host::{SigningKey, TrustedKey};

use super::super::private_file::replace_private;
use super::super::{WrongUse, load, tell};
use super::Files;

/// What `plugin keygen` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct KeygenArgs {
    /// Where to keep the private key
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What `plugin sign` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct SignArgs {
    /// The component; its manifest NAME.toml is signed with it, NAME.sig is written
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file with the private key, from `plugin keygen`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// Makes a key.
pub(super) fn keygen(args: &KeygenArgs) -> anyhow::Result<()> {
    if args.file.exists() {
        // A lost key cannot be made again.
        bail!("{} is there already; name another file", args.file.display());
    }
    let (key, secret) = SigningKey::generate()?;
    let text = format!("{}\n", secret.expose());
    replace_private(&args.file, text.as_bytes())
        .with_context(|| format!("cannot write {}", args.file.display()))?;
    tell(&format!("the private key is in {}; keep it to yourself", args.file.display()));
    tell(&format!("the public key, for those who trust you: {}", key.public()));
    Ok(())
}

/// Signs a component.
pub(super) fn sign(args: &SignArgs) -> anyhow::Result<()> {
    let files = Files::read(&args.file)?;
    let text = String::from_utf8_lossy(&load::read(&args.key)?).trim().to_owned();
    let key = SigningKey::parse(&Secret::new(text)).map_err(|error| {
        WrongUse(format!(
            "{} is no private key: {error}; make one with `switchyard plugin keygen`",
            args.key.display()
        ))
    })?;
    let signature = key.sign(&files.component, files.manifest.as_deref().unwrap_or_default());
    let path = args.file.with_extension("sig");
    std::fs::write(&path, signature).with_context(|| format!("cannot write {}", path.display()))?;
    let id = TrustedKey::parse(&key.public())?.id();
    let with = if files.manifest.is_some() { "and its manifest " } else { "" };
    tell(&format!("signed {} {with}with the key {id}: {}", args.file.display(), path.display()));
    Ok(())
}
