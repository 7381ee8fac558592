//! `switchyard run`: the real Codex CLI through the gateway. It gets a home of its own and, as its whole identity, a client
//! key of the gateway, so that no token of an account and no sign-in of the user is ever in its hands.
//!
//! Refuses: a home that holds a real sign-in, and passing on keys that open something else.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;
use gateway_api::{ClientKeyCreate, ClientKeyCreated, KeyScopeView};
use gateway_core::operator_keys::OPERATOR_KEY_PREFIX;
use gateway_domain::Secret;
use http::Method;
use serde::{Deserialize, Serialize};

use super::private_file::replace_private;
use super::remote::{Admin, CallError, Wanted, base, is_healthy};
use super::{Call, RemoteArgs, running, tell_note};
use crate::Settings;

/// The folder in the data folder.
const HOME: &str = "codex-home";
/// The key made for a gateway elsewhere.
const KEY_FILE: &str = "client-key.json";
/// The variable in which Codex finds its key. Not one of ours: an agent that runs `switchyard` would pass it on.
const KEY_VARIABLE: &str = "CODEX_GATEWAY_KEY";
/// What Codex is given where no key is needed; it insists on one.
const NO_KEY: &str = "none-needed-on-this-machine";
/// What would lead Codex past the gateway, or give an agent the run of it.
const WITHHELD: &[&str] = &[
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "CODEX_API_KEY",
    "CODEX_ACCESS_TOKEN",
    "CODEX_REFRESH_TOKEN_URL_OVERRIDE",
    "SWITCHYARD_KEY",
    "SWITCHYARD_CLIENT_KEY",
];

/// What `run` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Starts `codex` with its own CODEX_HOME in the data folder (your config.toml is copied there the first time) and sends it
to the gateway that runs on the data folder, else to the configured listen address, or to --url. Its input, output and
exit status are yours.

A gateway on this machine asks for no key. For one elsewhere set SWITCHYARD_CLIENT_KEY (`switchyard key create LABEL`
there), or give an operator key: then a client key is made once and kept.

  switchyard run
  switchyard run -- exec --skip-git-repo-check 'say hi'
  SWITCHYARD_URL=https://gateway.example SWITCHYARD_CLIENT_KEY=sk-sy-… switchyard run -- --model gpt-5.5")]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
    /// The Codex CLI
    #[arg(long, value_name = "FILE", default_value = "codex")]
    codex_bin: PathBuf,
    /// What Codex is given
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// The home of the Codex CLI that `run` starts.
pub(super) fn home(settings: &Settings) -> PathBuf {
    settings.data_dir.join(HOME)
}

/// Everything that has to be settled first.
pub(super) async fn prepare(call: &Call, args: RunArgs) -> anyhow::Result<Command> {
    let home = std::path::absolute(home(&call.settings))?;
    make_home(call, &home)?;
    let url = address(call)?;
    is_healthy(&url).await.map_err(|error| match &call.wanted.url {
        Some(_) => anyhow::Error::from(error),
        None => anyhow::Error::from(error)
            .context("start a gateway with `switchyard serve`, or name one with --url"),
    })?;
    let key = key(call, &home, &url).await?;
    Ok(command(&args.codex_bin, &args.arguments, &home, &url, &key))
}

/// Becomes Codex: signals, terminal and exit status need nobody in between.
pub(super) fn become_codex(mut command: Command) -> anyhow::Error {
    let program = command.get_program().to_string_lossy().into_owned();
    let error = command.exec();
    match error.kind() {
        io::ErrorKind::NotFound => {
            anyhow::anyhow!(
                "`{program}` is not installed; install the Codex CLI, or name it with --codex-bin"
            )
        }
        _ => anyhow::Error::from(error).context(format!("cannot start `{program}`")),
    }
}

fn command(program: &Path, arguments: &[String], home: &Path, url: &str, key: &Secret) -> Command {
    let mut command = Command::new(program);
    for setting in settings_for(url) {
        command.arg("-c").arg(setting);
    }
    command.args(arguments).env("CODEX_HOME", home).env(KEY_VARIABLE, key.expose());
    for variable in WITHHELD {
        command.env_remove(variable);
    }
    command
}

/// What makes Codex use the gateway. The address was parsed, so it cannot end a TOML string.
fn settings_for(url: &str) -> [String; 2] {
    [
        r#"model_provider="switchyard""#.to_owned(),
        format!(
            r#"model_providers.switchyard={{name="Switchyard",base_url="{url}/v1",env_key="{KEY_VARIABLE}",wire_api="responses"}}"#
        ),
    ]
}

/// The gateway to send it to.
fn address(call: &Call) -> anyhow::Result<String> {
    if let Some(url) = &call.wanted.url {
        return Ok(base(url)?);
    }
    let noted = running::find(&call.settings.data_dir).map(|(url, _)| url);
    Ok(noted.unwrap_or_else(|| format!("http://{}", running::reachable(call.settings.listen))))
}

fn make_home(call: &Call, home: &Path) -> anyhow::Result<()> {
    gateway_store::private_folder(home)?;
    let auth = home.join("auth.json");
    if auth.exists() {
        bail!(
            "{} holds a sign-in, and real tokens do not belong there; move it away, or into the pool with `switchyard account import`",
            auth.display()
        );
    }
    let config = home.join("config.toml");
    if config.exists() {
        return Ok(());
    }
    let users = call.variable("CODEX_HOME").map(PathBuf::from);
    let users = users.or_else(|| call.variable("HOME").map(|home| Path::new(home).join(".codex")));
    let Some(users) = users.map(|home| home.join("config.toml")).filter(|file| file.is_file()) else {
        return Ok(());
    };
    let text = std::fs::read(&users).with_context(|| format!("cannot read {}", users.display()))?;
    replace_private(&config, &text).with_context(|| format!("cannot write {}", config.display()))?;
    tell_note(&format!("{} was copied to {}; change it there", users.display(), config.display()));
    Ok(())
}

/// A key that was made for a gateway.
#[derive(Serialize, Deserialize)]
struct MadeKey {
    url: String,
    key: String,
}

/// What Codex shows to the gateway.
async fn key(call: &Call, home: &Path, url: &str) -> anyhow::Result<Secret> {
    if let Some(key) = call.variable("SWITCHYARD_CLIENT_KEY") {
        if key.starts_with(OPERATOR_KEY_PREFIX) {
            bail!("SWITCHYARD_CLIENT_KEY is an operator key; an agent must not have one");
        }
        return Ok(Secret::from(key));
    }
    if call.wanted.url.is_none() {
        return Ok(Secret::from(NO_KEY));
    }
    if call.wanted.key.is_none() {
        bail!(
            "a client key is needed for {url}: set SWITCHYARD_CLIENT_KEY, or SWITCHYARD_KEY to have one made"
        );
    }
    let file = home.join(KEY_FILE);
    let made = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<MadeKey>(&text).ok());
    if let Some(made) = made.filter(|made| made.url == url) {
        return Ok(Secret::new(made.key));
    }
    let made = make_key(&call.settings, &call.wanted).await?;
    let kept = MadeKey { url: url.to_owned(), key: made.key.clone() };
    replace_private(&file, &serde_json::to_vec(&kept)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    tell_note(&format!("a client key was made for this machine: `{}`", made.view.label));
    Ok(Secret::new(made.key))
}

async fn make_key(settings: &Settings, wanted: &Wanted) -> anyhow::Result<ClientKeyCreated> {
    let admin = Admin::find(settings, wanted).await?;
    // Labels are taken once, and the same person may have several machines.
    let label = format!("switchyard run {}", gateway_domain::ClientKeyId::generate());
    let label = label.chars().take(gateway_core::accounts::MAX_NAME_CHARS).collect();
    let made = admin
        .send_body(Method::POST, "/keys", &ClientKeyCreate { label, scope: KeyScopeView::default() })
        .await;
    admin.close().await;
    made.map_err(CallError::told)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn codex_is_sent_to_the_gateway_with_nothing_but_its_key() {
        let arguments = ["exec".to_owned(), "-c".to_owned(), "model=\"x\"".to_owned()];
        let key = Secret::from("sk-sy-client");
        let command =
            command(Path::new("codex"), &arguments, Path::new("/data/home"), "http://127.0.0.1:8080", &key);
        let given: Vec<&str> = command.get_args().filter_map(OsStr::to_str).collect();
        assert_eq!(given.len(), 7);
        assert_eq!(given[..2], ["-c", "model_provider=\"switchyard\""]);
        assert_eq!(given[4..], ["exec", "-c", "model=\"x\""], "what the user says comes last and wins");
        let provider: toml::Table = toml::from_str(given[3]).unwrap();
        let provider = &provider["model_providers"]["switchyard"];
        assert_eq!(provider["base_url"].as_str(), Some("http://127.0.0.1:8080/v1"));
        assert_eq!(provider["env_key"].as_str(), Some(KEY_VARIABLE));
        assert_eq!(provider["wire_api"].as_str(), Some("responses"));
        let variable = |name: &str| {
            command
                .get_envs()
                .find(|(found, _)| *found == name)
                .map(|(_, value)| value.and_then(OsStr::to_str))
        };
        assert_eq!(variable("CODEX_HOME"), Some(Some("/data/home")));
        assert_eq!(variable(KEY_VARIABLE), Some(Some("sk-sy-client")));
        for name in ["OPENAI_API_KEY", "SWITCHYARD_KEY"] {
            assert_eq!(variable(name), Some(None), "{name} is taken away");
        }
        assert!(!given.iter().any(|given| given.contains("sk-sy-client")), "keys are not arguments");
    }
}
