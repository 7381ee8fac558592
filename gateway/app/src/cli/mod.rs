//! The command line: what people type and what they are told. Printing is its job.

mod account;
mod key;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::config::{KEYS, Overrides};
use crate::{Settings, refresher};

/// Threads get this much stack: scripts and components run on them.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// What people type.
#[derive(Debug, Parser)]
#[command(name = "switchyard", version, about = "One URL for a pool of Codex and ChatGPT accounts")]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// The settings file (switchyard.toml in the working folder, if there is one)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the database and the key file live [default: ~/.switchyard]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// How the log is written: auto, pretty or json
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::ServeArgs),
    /// Import, export and list accounts
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Make and list client keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Set the dashboard's password
    #[command(subcommand)]
    Password(key::PasswordCommand),
    /// List every setting, with its default and its environment variable
    Settings,
    /// Rotate one account's tokens as told on standard input (started by `serve`)
    #[command(name = refresher::CHILD_COMMAND, hide = true)]
    RotateTokens,
}

/// A mistake in what was typed that only the command itself can see.
#[derive(Debug, thiserror::Error)]
#[error("{0}; see --help")]
struct Usage(&'static str);

/// Runs the command line; mistakes end with status 2, failures with 1.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell_error(&error);
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(args) => {
            let settings = settings(&cli.common, args.listen.clone())?;
            crate::telemetry::start(&settings);
            runtime(true)?.block_on(serve::run(settings, &args))
        }
        Command::Account(command) => {
            let settings = settings(&cli.common, None)?;
            crate::telemetry::start(&settings);
            runtime(false)?.block_on(account::run(&settings, command))
        }
        Command::Key(command) => {
            let settings = settings(&cli.common, None)?;
            runtime(false)?.block_on(key::run(&settings, command))
        }
        Command::Password(command) => {
            let settings = settings(&cli.common, None)?;
            runtime(false)?.block_on(key::set_password(&settings, command))
        }
        Command::Settings => {
            list_settings();
            Ok(())
        }
        Command::RotateTokens => Ok(runtime(false)?.block_on(refresher::run_child())?),
    }
}

fn settings(common: &Common, listen: Option<String>) -> anyhow::Result<Settings> {
    // The one place that reads the environment.
    let environment: Vec<(String, String)> = std::env::vars().collect();
    let overrides = Overrides {
        file: common.config.clone(),
        listen,
        data_dir: common.data_dir.clone(),
        log_format: common.log_format.clone(),
    };
    Ok(Settings::load(&overrides, &environment)?)
}

fn runtime(for_serving: bool) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = if for_serving {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder
        .enable_all()
        .thread_name("switchyard")
        .thread_stack_size(STACK_BYTES)
        .build()
        .context("start the runtime")
}

fn list_settings() {
    for key in KEYS {
        let variable = format!("SWITCHYARD_{}", key.name.to_uppercase().replace('.', "__"));
        let default = if key.default.is_empty() { "(none)" } else { key.default };
        tell(&format!("{}\n    {}\n    default {default}, environment {variable}", key.name, key.help));
    }
}

/// What a command answers.
#[expect(clippy::print_stdout, reason = "this is how a command answers")]
fn tell(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "this is how a command says what went wrong")]
fn tell_error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
