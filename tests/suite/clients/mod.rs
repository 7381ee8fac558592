//! Real clients, unchanged, against the real binary. The lab stands behind it as the upstream.
//!
//! `cargo xtask setup` installs the clients; one that is missing fails its tests and is never skipped.

mod anthropic_sdks;
mod claude_code;
mod codex;
mod codex_socket;
mod litellm;
mod openai_python;
mod openai_sdks;
mod opencode;
mod program;
mod tap;
mod vercel_ai;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gateway_lab::{ANTHROPIC_KEY, Lab, LabAccount, LabClock, LabConfig, RequestRecord, Route};
use serde_json::json;
use switchyard_tests::{Admin, Spawned, binary, eventually, repository};
use tempfile::TempDir;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// The longest that a client may run.
const CLIENT_TIME: Duration = Duration::from_secs(60);
/// How long it has to end by itself before it is killed.
const FAREWELL: Duration = Duration::from_secs(3);

/// A lab, and the real binary in front of it with accounts that its own command line imported.
pub(crate) struct Rig {
    pub(crate) lab: Lab,
    pub(crate) gateway: Spawned,
    stop: CancellationToken,
    /// Holds the accounts and the database.
    _folder: TempDir,
}

impl Rig {
    /// Starts with this many accounts, all alike.
    async fn start(accounts: usize) -> Result<Self> {
        let names = ["ada", "grace", "edsger"];
        let accounts = names.iter().take(accounts).map(|name| LabAccount::new(name, "plus")).collect();
        Self::start_with(LabConfig::new(accounts, LabClock::real())).await
    }

    /// The same with a lab of another kind.
    pub(crate) async fn start_with(config: LabConfig) -> Result<Self> {
        Self::start_set(config, &[]).await
    }

    /// The same with settings of the gateway, as environment.
    pub(crate) async fn start_set(config: LabConfig, set: &[(&str, &str)]) -> Result<Self> {
        let stop = CancellationToken::new();
        let lab = Lab::start_local(config, stop.clone()).await?;
        let folder = tempfile::tempdir()?;
        let data_dir = folder.path().join("data");
        for account in 0..lab.accounts().count() {
            import(&lab, account, folder.path(), &data_dir).await?;
        }
        let (chatgpt, oauth) = (lab.backend_url(), lab.base_url().to_owned());
        let upstream = [
            ("SWITCHYARD_UPSTREAM__CHATGPT_URL", &*chatgpt),
            ("SWITCHYARD_UPSTREAM__OAUTH_URL", &*oauth),
            ("SWITCHYARD_UPSTREAM__ANTHROPIC_URL", lab.base_url()),
        ];
        let gateway = Spawned::serve(&data_dir, &[], &[&upstream, set].concat())?;
        Ok(Self { lab, gateway, stop, _folder: folder })
    }

    /// Without accounts of ChatGPT: one that the lab's Anthropic API is opened with.
    async fn start_with_anthropic() -> Result<Self> {
        let rig = Self::start(0).await?;
        let http = reqwest::Client::new();
        let admin = Admin::set_up(&http, &rig.gateway.url).await?;
        admin.add_key("anthropic", "lab", ANTHROPIC_KEY, json!({})).await?;
        // What it offers is asked behind its back.
        let models = format!("{}/v1/models", rig.gateway.url);
        eventually("the account's models", async || {
            let listed = http.get(&models).send().await?.text().await?;
            Ok(listed.contains("claude-lab-sonnet").then_some(()))
        })
        .await?;
        Ok(rig)
    }

    /// The turns that the lab received, the oldest first.
    pub(crate) fn turns(&self) -> Vec<RequestRecord> {
        self.requests_on(Route::Responses)
    }

    /// What the lab received on this route, the oldest first.
    fn requests_on(&self, route: Route) -> Vec<RequestRecord> {
        self.lab.requests().into_iter().filter(|request| request.route == route).collect()
    }

    /// Ends both. The gateway has to end well: a stream or a lease that is left over would hold it up.
    pub(crate) async fn finish(mut self) -> Result<()> {
        self.gateway.terminate(Duration::from_secs(10))?;
        self.stop.cancel();
        self.lab.stopped().await;
        Ok(())
    }
}

/// Imports an account as a user does: a Codex sign-in on disk, and `switchyard account import`.
async fn import(lab: &Lab, account: usize, folder: &Path, data_dir: &Path) -> Result<()> {
    let auth = lab.issue_auth_json(account).context("the lab has no such account")?;
    let file = folder.join(format!("auth-{account}.json"));
    std::fs::write(&file, auth.to_string())?;
    let mut command = Command::new(binary()?);
    command.args(["account", "import"]).arg(&file).arg("--data-dir").arg(data_dir).current_dir(folder);
    let output = run(command).await?;
    ensure!(output.status.success(), "the import failed: {}", text(&output.stderr));
    ensure!(text(&output.stdout).starts_with("added"), "the import said {:?}", text(&output.stdout));
    Ok(())
}

/// A client that `cargo xtask setup` installed.
fn installed(path: &str) -> Result<PathBuf> {
    let path = repository().canonicalize()?.join("target/clients").join(path);
    ensure!(path.exists(), "{} is missing: run `cargo xtask test` (or `cargo xtask setup`)", path.display());
    Ok(path)
}

/// A fresh home for a client, with a working folder in it. Not under the temporary folder, where some refuse to work.
fn fresh_home(name: &str) -> Result<PathBuf> {
    let home = repository().canonicalize()?.join("target/clients/homes").join(name);
    if home.exists() {
        std::fs::remove_dir_all(&home)?;
    }
    for folder in ["work", "tmp"] {
        std::fs::create_dir_all(home.join(folder))?;
    }
    Ok(home)
}

/// A client that sees nothing of whoever runs the tests: its own home, and no environment but the path.
fn at_home(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(home.join("work"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("TMPDIR", home.join("tmp"));
    command
}

/// Runs a client to its end.
async fn run(mut command: Command) -> Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let line = format!("{command:?}");
    let child = command.spawn().with_context(|| format!("start {line}"))?;
    let pid = child.id();
    let mut output = std::pin::pin!(child.wait_with_output());
    if let Ok(output) = tokio::time::timeout(CLIENT_TIME, &mut output).await {
        return Ok(output?);
    }
    // Asked before it is killed: npm's starter passes the signal on to the program that it started.
    let pid = pid.context("it has no process id")?.to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await?;
    let said = tokio::time::timeout(FAREWELL, output).await;
    let said = said.map(|ended| ended.map(|output| [text(&output.stdout), text(&output.stderr)]));
    bail!("still running after {CLIENT_TIME:?}: {line}: {said:?}")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
