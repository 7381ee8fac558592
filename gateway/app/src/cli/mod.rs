//! The command line: what people type and what they are told. Printing is its job.

mod account;
mod codex;
mod completions;
mod ext;
mod key;
mod load;
mod local;
mod password;
mod plugin;
mod policy;
pub(crate) mod private_file;
mod remote;
mod replay;
mod running;
mod serve;
mod status;
mod text;

use std::io::{BufRead, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use gateway_domain::Secret;
use serde::Serialize;

use crate::config::{KEYS, Overrides};
use crate::{Settings, refresher};
use remote::{CallError, Wanted};
pub(crate) use running::Note;

/// Threads get this much stack: scripts and components run on them.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// Variables of the command line itself, which are no settings of the gateway.
const VARIABLES: &[(&str, &str)] = &[
    ("SWITCHYARD_URL", "the gateway that commands speak to, like --url"),
    ("SWITCHYARD_KEY", "an operator key of it, like --key"),
    ("SWITCHYARD_CLIENT_KEY", "the client key that `switchyard run` gives to Codex"),
];

/// What people type.
#[derive(Debug, Parser)]
#[command(
    name = "switchyard",
    version,
    about = "One URL for a pool of Codex and ChatGPT accounts",
    after_help = "\
First steps:
  switchyard serve                       # then open http://127.0.0.1:8080
  switchyard account login               # bring an account in
  switchyard status                      # see what it has left
  switchyard run -- exec 'say hi'        # the Codex CLI through the gateway"
)]
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

/// Which gateway a command speaks to.
#[derive(Args)]
struct RemoteArgs {
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "The gateway to speak to [environment: SWITCHYARD_URL; default: this machine's]"
    )]
    url: Option<String>,
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        help = "An operator key of that gateway; better set as SWITCHYARD_KEY, for everybody on the machine reads arguments"
    )]
    key: Option<String>,
}

impl std::fmt::Debug for RemoteArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteArgs").field("url", &self.url).finish_non_exhaustive()
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::ServeArgs),
    /// Sign accounts in, import, list, change, test and remove them
    Account(account::AccountArgs),
    /// Show what accounts have left, what runs and what cools down
    Status(status::StatusArgs),
    /// Run the Codex CLI through the gateway
    Run(codex::RunArgs),
    /// Make, list and revoke client keys and operator keys
    Key(key::KeyArgs),
    /// Check, test, lay out, explain and measure routing policies
    Policy(policy::PolicyArgs),
    /// List, switch, place, check, upload, roll back and remove extensions of a gateway
    Ext(ext::ExtArgs),
    /// Start, build, check, inspect, sign and measure plugins
    Plugin(plugin::PluginArgs),
    /// Decide recorded requests again, with the same policy or another one
    Replay(replay::ReplayArgs),
    /// Set the dashboard's password
    #[command(subcommand)]
    Password(key::PasswordCommand),
    /// List every setting, with its default and its environment variable
    Settings,
    /// Write a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Rotate one account's tokens as told on standard input (started by `serve`)
    #[command(name = refresher::CHILD_COMMAND, hide = true)]
    RotateTokens,
}

/// A mistake in what was typed that only the command itself can see.
#[derive(Debug, thiserror::Error)]
#[error("{0}; see --help")]
struct Usage(&'static str);

/// The same, with words of its own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUse(String);

/// What was named is not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotFound(String);

/// Everything that a command needs to know besides its own arguments.
struct Call {
    settings: Settings,
    wanted: Wanted,
    environment: Vec<(String, String)>,
}

impl Call {
    fn read(common: &Common, remote: &RemoteArgs) -> anyhow::Result<Self> {
        // The one place that reads the environment, beside `settings`.
        let environment: Vec<(String, String)> = std::env::vars().collect();
        let mut call = Self { settings: settings(common, None)?, wanted: Wanted::default(), environment };
        let given =
            |flag: &Option<String>, name| flag.clone().or_else(|| call.variable(name).map(str::to_owned));
        let (url, key) = (given(&remote.url, "SWITCHYARD_URL"), given(&remote.key, "SWITCHYARD_KEY"));
        call.wanted = Wanted { url, key: key.map(Secret::new) };
        Ok(call)
    }

    /// A variable of the environment; an empty one is none.
    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The log of a command that answers and ends: what it did stands in its answer, so only warnings are told unless
    /// more is asked for.
    fn start_log(&self) {
        let mut settings = self.settings.clone();
        if settings.log_filter == crate::config::LOG_FILTER {
            settings.log_filter = "warn".to_owned();
        }
        crate::telemetry::start(&settings);
    }
}

/// Runs the command line; mistakes end with status 2, what is not there with 3, other failures with 1.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell_error(&error);
            ExitCode::from(status_of(&error))
        }
    }
}

fn status_of(error: &anyhow::Error) -> u8 {
    let wrong_call = |cause: &CallError| {
        matches!(cause, CallError::NoKey { .. } | CallError::BadKey | CallError::BadUrl(_))
    };
    for cause in error.chain() {
        if cause.is::<Usage>() || cause.is::<WrongUse>() || cause.downcast_ref().is_some_and(wrong_call) {
            return 2;
        }
        if cause.is::<NotFound>() || matches!(cause.downcast_ref(), Some(CallError::NotFound(_))) {
            return 3;
        }
    }
    1
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let common = &cli.common;
    match cli.command {
        Command::Serve(args) => {
            let settings = settings(common, args.listen.clone())?;
            crate::telemetry::start(&settings);
            runtime(true)?.block_on(serve::run(settings, &args))
        }
        Command::Account(args) => {
            let call = Call::read(common, &args.remote)?;
            call.start_log();
            runtime(false)?.block_on(account::run(&call, args.command))
        }
        Command::Status(args) => {
            let call = Call::read(common, &args.remote)?;
            call.start_log();
            runtime(false)?.block_on(status::run(&call, &args))
        }
        Command::Run(args) => {
            let call = Call::read(common, &args.remote)?;
            let command = runtime(false)?.block_on(codex::prepare(&call, args))?;
            Err(codex::become_codex(command))
        }
        Command::Key(args) => {
            let call = Call::read(common, &args.remote)?;
            call.start_log();
            runtime(false)?.block_on(key::run(&call, args.command))
        }
        Command::Policy(args) => {
            let call = Call::read(common, &args.remote)?;
            call.start_log();
            runtime(false)?.block_on(policy::run(&call, args.command))
        }
        Command::Ext(args) => {
            let call = Call::read(common, &args.remote)?;
            call.start_log();
            runtime(false)?.block_on(ext::run(&call, args.command))
        }
        Command::Plugin(args) => plugin::run(args.command),
        Command::Replay(args) => {
            let call = Call::read(common, &args.remote)?;
            call.start_log();
            runtime(false)?.block_on(replay::run(&call, &args))
        }
        Command::Password(command) => {
            let settings = settings(common, None)?;
            runtime(false)?.block_on(key::set_password(&settings, command))
        }
        Command::Settings => {
            list_settings();
            Ok(())
        }
        Command::Completions(args) => {
            completions::run(&args);
            Ok(())
        }
        Command::RotateTokens => Ok(runtime(false)?.block_on(refresher::run_child())?),
    }
}

fn settings(common: &Common, listen: Option<String>) -> anyhow::Result<Settings> {
    let of_settings = |name: &str| VARIABLES.iter().all(|(variable, _)| *variable != name);
    let environment: Vec<(String, String)> = std::env::vars().filter(|(name, _)| of_settings(name)).collect();
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
    for (variable, help) in VARIABLES {
        tell(&format!("{variable}\n    {help}"));
    }
}

/// What a command answers. Who reads it may have left already.
fn tell(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// The same, for programs.
fn tell_json(answer: &impl Serialize) -> anyhow::Result<()> {
    tell(&serde_json::to_string_pretty(answer)?);
    Ok(())
}

/// What is not part of the answer.
fn tell_note(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

fn tell_error(error: &anyhow::Error) {
    tell_note(&format!("error: {}", without_repeats(error)));
}

/// The error and its causes. Some of our errors say what their cause said.
fn without_repeats(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}

/// One line of standard input.
fn line_of_stdin(most: usize) -> std::io::Result<String> {
    let mut line = String::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    std::io::stdin().lock().take(most).read_line(&mut line)?;
    Ok(line)
}

/// Asks a person for a yes.
fn ask(question: &str) -> std::io::Result<bool> {
    let mut out = std::io::stderr();
    out.write_all(question.as_bytes())?;
    out.flush()?;
    Ok(matches!(line_of_stdin(16)?.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    /// Whoever asks a command for help is shown how it is used.
    #[test]
    fn commands_teach_by_example() {
        for path in [
            "account",
            "account login",
            "account import",
            "account export",
            "account set",
            "account add-key",
            "account use",
            "status",
            "run",
            "key",
            "policy",
            "policy explain",
            "ext",
            "ext set",
            "ext check",
            "ext upload",
            "plugin",
            "plugin new",
            "replay",
            "completions",
        ] {
            let mut command = &Cli::command();
            for name in path.split(' ') {
                command = command.find_subcommand(name).unwrap_or_else(|| panic!("{path}"));
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("switchyard "), "{path}: {help}");
        }
    }

    #[test]
    fn statuses_tell_failures_apart() {
        let not_there = || NotFound("no".to_owned());
        for (error, status) in [
            (anyhow::anyhow!("broken"), 1),
            (Usage("so").into(), 2),
            (WrongUse("so".to_owned()).into(), 2),
            (CallError::BadKey.into(), 2),
            (not_there().into(), 3),
            (CallError::NotFound("no".to_owned()).into(), 3),
            (anyhow::Error::from(not_there()).context("while looking"), 3),
            (CallError::Unreachable { url: "x".into(), why: "y".into() }.into(), 1),
        ] {
            assert_eq!(status_of(&error), status, "{error}");
        }
    }

    #[test]
    fn an_error_says_everything_once() {
        let error = anyhow::anyhow!("the cause").context("what failed");
        assert_eq!(without_repeats(&error), "what failed: the cause");
        let error = anyhow::anyhow!("the cause").context("it says: the cause");
        assert_eq!(without_repeats(&error), "it says: the cause");
    }
}
