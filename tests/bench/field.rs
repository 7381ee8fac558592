//! Everybody who takes part: the lab, the direct path, nginx, two relays, and the gateway with each kind of policy.
//! Starts them and ends them; it measures nothing but how long the gateway takes to start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::nginx;
use crate::process::{Memory, Process, accepts, free_address, healthy};

/// Accounts in the pool. Sixteen carry 1,024 turns at once, a few more than the open streams need.
const ACCOUNTS: usize = 16;
/// Accounts of the gateway that carries a crowd: six thousand turns at once.
const CROWD_ACCOUNTS: usize = 96;
/// A gateway that started asks every account for its quota; after this it has.
const QUIET: Duration = Duration::from_secs(2);

/// Who answers at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The lab itself.
    Direct,
    /// nginx.
    Nginx,
    /// Copies bytes.
    Relay,
    /// Reads routing fields and the end of the stream too.
    Inspecting,
    /// The gateway with its built-in ranking.
    Switchyard,
    /// The gateway with a script ranking.
    SwitchyardRhai,
    /// The gateway with a component ranking.
    SwitchyardWasm,
}

impl Kind {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Relay => "hyper relay",
            Self::Inspecting => "inspecting relay",
            Self::Switchyard => "switchyard",
            Self::SwitchyardRhai => "switchyard (rhai)",
            Self::SwitchyardWasm => "switchyard (wasm)",
        }
    }

    /// Whether it still works on a request after it answered it (the gateway writes settlements in batches).
    pub(crate) const fn has_afterwork(self) -> bool {
        matches!(self, Self::Switchyard | Self::SwitchyardRhai | Self::SwitchyardWasm)
    }
}

/// One of them.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// Its process; the direct path has none.
    pub(crate) process: Option<Process>,
}

/// What a turn says about who sends it. Every target gets the same; only the gateway puts its own in its place.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) token: String,
    pub(crate) workspace: String,
}

/// An account that is opened by a key.
pub(crate) struct KeyAccount<'a> {
    pub(crate) kind: &'a str,
    pub(crate) key: &'a str,
    /// The one model that it serves.
    pub(crate) model: &'a str,
    /// What a compatible server speaks; the others' kind says it.
    pub(crate) dialect: Option<&'a str>,
}

/// All of them. Ended in the order of the fields.
pub(crate) struct Field {
    pub(crate) targets: Vec<Target>,
    pub(crate) credentials: Credentials,
    /// From the gateway's start to its first healthy answer.
    pub(crate) start_time: Duration,
    /// The gateway's memory before its first request.
    pub(crate) idle: Memory,
    _lab: Process,
    _scratch: TempDir,
}

impl Field {
    /// Starts everything.
    pub(crate) async fn start() -> Result<Self> {
        let scratch = tempfile::tempdir().context("make a folder for the run")?;
        let folder = scratch.path();
        let upstream = free_address()?;
        let lab = start_lab(upstream, folder)?;
        let credentials = credentials(folder)?;
        let mut targets = vec![Target { kind: Kind::Direct, address: upstream, process: None }];
        let (process, address) = nginx::start(upstream, &folder.join("nginx"))?;
        targets.push(Target { kind: Kind::Nginx, address, process: Some(process) });
        for kind in [Kind::Relay, Kind::Inspecting] {
            targets.push(start_relay(kind, upstream, folder)?);
        }
        let stocked = import_accounts(upstream, folder)?;
        let begun = Instant::now();
        targets.push(start_gateway(Kind::Switchyard, "builtin:usage-balanced", upstream, &stocked)?);
        let start_time = begun.elapsed();
        tokio::time::sleep(QUIET).await;
        let gateway =
            targets.last().and_then(|target| target.process.as_ref()).context("the gateway is gone")?;
        let idle = gateway.memory()?;
        Ok(Self { targets, credentials, start_time, idle, _lab: lab, _scratch: scratch })
    }

    /// Adds the gateway with other policies; they come late so that they cost nothing while they are not needed.
    pub(crate) fn add_policies(&mut self) -> Result<()> {
        let upstream = self.target(Kind::Direct)?.address;
        let folder = self._scratch.path();
        for (kind, policy, name) in [
            (Kind::SwitchyardRhai, "rhai:usage-balanced", "rhai"),
            (Kind::SwitchyardWasm, "wasm:headroom", "wasm"),
        ] {
            let data = import_into(upstream, folder, &folder.join(name))?;
            self.targets.push(start_gateway(kind, policy, upstream, &data)?);
        }
        Ok(())
    }

    /// A gateway of its own that can carry a crowd; it ends with what is returned.
    pub(crate) async fn for_a_crowd(&self, name: &str) -> Result<Target> {
        let (upstream, folder) = (self.target(Kind::Direct)?.address, self._scratch.path());
        let data = folder.join(name);
        std::fs::create_dir_all(&data)?;
        let mut import = gateway(upstream, &data)?;
        run(import.args(["account", "import"]).arg(auth_folder(folder).join("all.json")))?;
        let target = start_gateway(Kind::Switchyard, "builtin:usage-balanced", upstream, &data)?;
        tokio::time::sleep(QUIET).await;
        Ok(target)
    }

    /// A gateway with one account for each dialect of an upstream, told apart by their models.
    pub(crate) async fn for_dialects(&self, accounts: &[KeyAccount<'_>]) -> Result<Target> {
        let (upstream, folder) = (self.target(Kind::Direct)?.address, self._scratch.path());
        let data = folder.join("dialects");
        std::fs::create_dir_all(&data)?;
        for account in accounts {
            let mut add = gateway(upstream, &data)?;
            add.args(["account", "add-key", "--kind", account.kind, account.kind]);
            add.args(["--account-key", account.key, &format!("models={}", account.model)]);
            if let Some(dialect) = account.dialect {
                add.args(["--base-url", &format!("http://{upstream}/v1"), &format!("dialects={dialect}")]);
            }
            run(&mut add)?;
        }
        let target = start_gateway(Kind::Switchyard, "builtin:usage-balanced", upstream, &data)?;
        tokio::time::sleep(QUIET).await;
        Ok(target)
    }

    pub(crate) fn target(&self, kind: Kind) -> Result<&Target> {
        let found = self.targets.iter().find(|target| target.kind == kind);
        found.with_context(|| format!("{} was not started", kind.label()))
    }
}

fn start_lab(address: SocketAddr, folder: &Path) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "lab",
        "--listen",
        &address.to_string(),
        "--accounts",
        &CROWD_ACCOUNTS.to_string(),
        "--auth-dir",
    ]);
    std::fs::create_dir_all(auth_folder(folder))?;
    command.arg(auth_folder(folder));
    Process::start(command, &folder.join("lab.out"), || accepts(address))
}

fn start_relay(kind: Kind, upstream: SocketAddr, folder: &Path) -> Result<Target> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["relay", "--listen", &address.to_string(), "--upstream", &upstream.to_string()]);
    if kind == Kind::Inspecting {
        command.arg("--inspect");
    }
    let log = folder.join(format!("{address}.out"));
    let process = Process::start(command, &log, || accepts(address))?;
    Ok(Target { kind, address, process: Some(process) })
}

fn start_gateway(kind: Kind, policy: &str, upstream: SocketAddr, data: &Path) -> Result<Target> {
    let address = free_address()?;
    let mut command = gateway(upstream, data)?;
    command.args(["serve", "--listen", &address.to_string()]).env("SWITCHYARD_POLICY", policy);
    let process = Process::start(command, &data.join("switchyard.out"), || healthy(address))?;
    Ok(Target { kind, address, process: Some(process) })
}

/// The real binary with nothing of this machine's own settings.
pub(crate) fn gateway(upstream: SocketAddr, data: &Path) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command
        .env_clear()
        .env("SWITCHYARD_DATA_DIR", data)
        .env("SWITCHYARD_UPSTREAM__CHATGPT_URL", format!("http://{upstream}/backend-api"))
        .env("SWITCHYARD_UPSTREAM__OAUTH_URL", format!("http://{upstream}"))
        .env("SWITCHYARD_UPSTREAM__OPENAI_URL", format!("http://{upstream}/v1"))
        .env("SWITCHYARD_UPSTREAM__ANTHROPIC_URL", format!("http://{upstream}"))
        .env("SWITCHYARD_LOG__FILTER", "warn")
        .current_dir(data);
    Ok(command)
}

fn binary() -> Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name("switchyard");
    ensure!(binary.is_file(), "{} is missing; `cargo xtask bench` builds it", binary.display());
    Ok(binary)
}

fn import_accounts(upstream: SocketAddr, folder: &Path) -> Result<PathBuf> {
    import_into(upstream, folder, &folder.join("data"))
}

fn import_into(upstream: SocketAddr, folder: &Path, data: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(data)?;
    for index in 0..ACCOUNTS {
        run(gateway(upstream, data)?.args(["account", "import"]).arg(auth_file(folder, index)))?;
    }
    Ok(data.to_owned())
}

/// Runs one command of the gateway to its end.
fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?} failed: {said}", command.get_args().collect::<Vec<_>>());
    Ok(())
}

pub(crate) fn auth_file(folder: &Path, index: usize) -> PathBuf {
    auth_folder(folder).join(format!("{index}.json"))
}

/// Where the lab leaves one `auth.json` per account.
pub(crate) fn auth_folder(folder: &Path) -> PathBuf {
    folder.join("auth")
}

pub(crate) fn credentials(folder: &Path) -> Result<Credentials> {
    let auth: Value = serde_json::from_slice(&std::fs::read(auth_file(folder, 0))?)?;
    let text = |name: &str| -> Result<String> {
        let value = auth.pointer(name).and_then(Value::as_str);
        Ok(value.with_context(|| format!("no {name} in the lab's auth.json"))?.to_owned())
    };
    Ok(Credentials { token: text("/tokens/access_token")?, workspace: text("/tokens/account_id")? })
}
