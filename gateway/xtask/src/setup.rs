//! Installs what tests and benchmarks start: Debian's packages, and real clients in pinned versions.
//!
//! What is there already is only looked at. Clients go into `target/clients`, never into the machine. It refuses to
//! go on without one of them: a test that skips what is missing would say nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::debian;
use crate::progress::say;
use crate::tools::{output_of, run as carry_out};

/// A Debian package, and how one sees that its part is there.
struct Package {
    name: &'static str,
    /// A program, found on the path or in one of [`OTHER_FOLDERS`].
    program: &'static str,
}

/// What the tests start. Chromium is driven through a program of its own.
const TEST_PACKAGES: [Package; 5] = [
    Package { name: "chromium", program: "chromium" },
    Package { name: "chromium-driver", program: "chromedriver" },
    Package { name: "postgresql", program: "initdb" },
    Package { name: "nodejs", program: "node" },
    Package { name: "npm", program: "npm" },
];
const PYTHON_PACKAGE: &str = "python3-venv";
const BENCH_PACKAGES: [Package; 1] = [Package { name: "nginx-light", program: "nginx" }];

/// Where Debian puts programs that are not on everybody's path.
const OTHER_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"];
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// The clients from npm, in the versions whose traffic the tests describe. All share one folder.
const NODE_CLIENTS: [Client; 10] = [
    Client::program("@openai/codex", "0.169.0", "codex"),
    Client::program("@anthropic-ai/claude-code", "2.1.329", "claude"),
    Client::program("opencode-ai", "1.18.33", "opencode"),
    Client::library("openai", "6.49.0"),
    Client::library("@anthropic-ai/sdk", "1.11.0"),
    Client::library("ai", "6.0.326"),
    Client::library("@ai-sdk/openai", "3.0.141"),
    Client::library("@ai-sdk/openai-compatible", "2.0.87"),
    Client::library("@ai-sdk/anthropic", "3.0.138"),
    // The others read schemas with it and leave its version open.
    Client::library("zod", "4.6.7"),
];
/// The clients for Python. All share one environment.
const PYTHON_CLIENTS: [Client; 3] = [
    Client::library("openai", "3.52.0"),
    Client::library("anthropic", "2.11.0"),
    Client::library("litellm", "1.83.0"),
];

struct Client {
    name: &'static str,
    version: &'static str,
    /// What one starts, if it is no library.
    program: Option<&'static str>,
}

impl Client {
    const fn library(name: &'static str, version: &'static str) -> Self {
        Self { name, version, program: None }
    }

    const fn program(name: &'static str, version: &'static str, program: &'static str) -> Self {
        Self { name, version, program: Some(program) }
    }
}

/// Installs the packages that tests need.
///
/// # Errors
/// Something is missing and cannot be installed; the message says what to run.
pub(crate) fn system_packages() -> anyhow::Result<()> {
    let mut missing = missing_of(&TEST_PACKAGES);
    if !python_makes_venvs() {
        missing.push(PYTHON_PACKAGE);
    }
    debian::install(&missing, "run the tests")
}

/// Installs the packages that only the benchmark needs.
///
/// # Errors
/// As [`system_packages`].
pub(crate) fn bench_packages() -> anyhow::Result<()> {
    debian::install(&missing_of(&BENCH_PACKAGES), "run the benchmark")
}

/// Installs the real clients into `target/clients`.
///
/// # Errors
/// One of them cannot be installed, or does not start.
pub(crate) fn real_clients(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("target/clients");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    node_clients(&folder.join("node"))?;
    python_clients(&folder.join("venv"))
}

fn node_clients(folder: &Path) -> anyhow::Result<()> {
    if node_clients_are_there(folder).is_ok() {
        return Ok(());
    }
    say(&format!("installing {} from npm (a minute, once)", names_of(&NODE_CLIENTS)));
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"])
        .arg(folder)
        .args(NODE_CLIENTS.iter().map(|client| format!("{}@{}", client.name, client.version)));
    carry_out(npm).context("install the clients from npm")?;
    node_clients_are_there(folder).context("the clients from npm were installed but are of no use")
}

/// Whether each is there in its version, and the programs start.
fn node_clients_are_there(folder: &Path) -> anyhow::Result<()> {
    let modules = folder.join("node_modules");
    let ask = "process.argv.slice(1).map(name => \
               JSON.parse(require('fs').readFileSync(name + '/package.json')).version).join(' ')";
    let mut node = Command::new("node");
    node.current_dir(&modules).args(["-p", ask]).args(NODE_CLIENTS.iter().map(|client| client.name));
    are_wanted(&output_of(&mut node)?, &NODE_CLIENTS)?;
    for client in &NODE_CLIENTS {
        let Some(program) = client.program else { continue };
        let said = output_of(Command::new(modules.join(".bin").join(program)).arg("--version"))?;
        ensure!(said.split_whitespace().any(|word| word == client.version), "{program} is {said}");
    }
    Ok(())
}

fn python_clients(venv: &Path) -> anyhow::Result<()> {
    let python = venv.join("bin/python");
    if python_clients_are_there(&python).is_ok() {
        return Ok(());
    }
    say(&format!("installing {} for Python (a minute, once)", names_of(&PYTHON_CLIENTS)));
    let mut make = Command::new("python3");
    // From the start: what an interrupted run or another Python left behind is of no use.
    make.args(["-m", "venv", "--clear"]).arg(venv);
    carry_out(make).context("make a virtual environment")?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(PYTHON_CLIENTS.iter().map(|client| format!("{}=={}", client.name, client.version)));
    carry_out(pip).context("install the clients from PyPI")?;
    python_clients_are_there(&python).context("the clients from PyPI were installed but are of no use")
}

/// Whether each is there in its version. Starting them takes seconds; the tests do.
fn python_clients_are_there(python: &Path) -> anyhow::Result<()> {
    let ask = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))";
    let names = PYTHON_CLIENTS.iter().map(|client| client.name);
    are_wanted(&output_of(Command::new(python).args(["-c", ask]).args(names))?, &PYTHON_CLIENTS)
}

/// Whether these versions, one after another, are what was asked for.
fn are_wanted(versions: &str, clients: &[Client]) -> anyhow::Result<()> {
    let wanted = clients.iter().map(|client| client.version).collect::<Vec<_>>().join(" ");
    ensure!(versions == wanted, "there are {versions}, not {wanted}");
    Ok(())
}

fn names_of(clients: &[Client]) -> String {
    clients.iter().map(|client| client.name).collect::<Vec<_>>().join(", ")
}

fn missing_of(packages: &[Package]) -> Vec<&'static str> {
    packages.iter().filter(|package| !has(package.program)).map(|package| package.name).collect()
}

/// Whether a program is on the path, or where Debian keeps it.
fn has(program: &str) -> bool {
    folders().iter().any(|folder| folder.join(program).is_file())
}

fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let postgres = std::fs::read_dir(POSTGRES_VERSIONS).into_iter().flatten().flatten();
    std::env::split_paths(&path)
        .chain(OTHER_FOLDERS.map(PathBuf::from))
        .chain(postgres.map(|version| version.path().join("bin")))
        .collect()
}

/// Debian splits what makes environments off the interpreter.
fn python_makes_venvs() -> bool {
    output_of(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let packages = [
            Package { name: "shell", program: "sh" },
            Package { name: "never", program: "no-program-is-called-this" },
        ];
        assert_eq!(missing_of(&packages), ["never"]);
    }
}
