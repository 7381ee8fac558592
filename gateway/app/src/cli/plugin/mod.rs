//! `switchyard plugin …`: from an empty folder to a component that is signed and known to be well behaved. Works on files
//! alone; what is installed on a gateway is no business of these commands.

mod bench;
mod build;
mod check;
mod inspect;
mod new;
mod sdk;
mod sign;
mod toolchain;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use gateway_plugin_host::TrustedKey;

use super::load;

/// What `plugin` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
  switchyard plugin new my-filter --world prompt-filter
  switchyard plugin build my-filter        # my-filter/my-filter.wasm
  switchyard plugin check my-filter/my-filter.wasm
  switchyard plugin inspect my-filter/my-filter.wasm
  switchyard plugin keygen my.key
  switchyard plugin sign my-filter/my-filter.wasm --key my.key
  switchyard plugin bench my-filter/my-filter.wasm")]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    pub(super) command: PluginCommand,
}

/// What can be done with a plugin.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Write a Rust project that builds to a working component
    New(new::NewArgs),
    /// Build a project to a component
    Build(build::BuildArgs),
    /// Take a component through the gateway's admission and a kit of hostile calls
    Check(Checked),
    /// Show what a component is, exports and asks for
    Inspect(Checked),
    /// Sign a component and its manifest
    Sign(sign::SignArgs),
    /// Make a key to sign with
    Keygen(sign::KeygenArgs),
    /// Measure how long its hooks take
    Bench(Checked),
}

/// A component, and how far it is to be trusted.
#[derive(Debug, Args)]
pub(super) struct Checked {
    /// The component; NAME.toml and NAME.sig beside it count
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A public key whose signatures count; may be given again
    #[arg(long, value_name = "KEY")]
    trust: Vec<String>,
    /// Grant all that its manifest asks for but secrets and the network
    #[arg(long)]
    grant: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What a project is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum World {
    /// Ranks accounts
    Scheduler,
    /// Resolves models
    ModelMapper,
    /// Judges prompts and responses
    PromptFilter,
    /// Watches what is used
    Observer,
}

/// Carries a plugin command out.
pub(super) fn run(command: PluginCommand) -> anyhow::Result<()> {
    match command {
        PluginCommand::New(args) => new::run(&args),
        PluginCommand::Build(args) => build::run(&args),
        PluginCommand::Check(args) => check::run(&args),
        PluginCommand::Inspect(args) => inspect::run(&args),
        PluginCommand::Sign(args) => sign::sign(&args),
        PluginCommand::Keygen(args) => sign::keygen(&args),
        PluginCommand::Bench(args) => bench::run(&args),
    }
}

/// A component and what lies beside it.
pub(super) struct Files {
    name: String,
    pub(super) component: Vec<u8>,
    pub(super) manifest: Option<String>,
    pub(super) signature: Option<String>,
}

impl Files {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            name: load::stem(file),
            component: load::read(file)?,
            manifest: beside(file, "toml")?,
            signature: beside(file, "sig")?,
        })
    }
}

/// The text of the file with another ending; `None` when there is none.
fn beside(file: &Path, ending: &str) -> anyhow::Result<Option<String>> {
    let path = file.with_extension(ending);
    if !path.is_file() {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&load::read(&path)?).into_owned()))
}

fn trusted(keys: &[String]) -> anyhow::Result<Vec<TrustedKey>> {
    keys.iter().map(|key| Ok(TrustedKey::parse(key)?)).collect()
}
