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

/// The clients, in the versions whose traffic the tests describe.
const CODEX: Client = Client { name: "@openai/codex", version: "0.169.0" };
const OPENAI_PYTHON: Client = Client { name: "openai", version: "3.52.0" };

struct Client {
    name: &'static str,
    version: &'static str,
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
    codex(&folder)?;
    openai_python(&folder)
}

fn codex(folder: &Path) -> anyhow::Result<()> {
    let prefix = folder.join("node");
    let found = || {
        let said = output_of(Command::new(prefix.join("node_modules/.bin/codex")).arg("--version"))?;
        ensure!(said.ends_with(CODEX.version), "it is {said}");
        Ok(())
    };
    if found().is_ok() {
        return Ok(());
    }
    say(&format!("installing {} {} (a minute, once)", CODEX.name, CODEX.version));
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"])
        .arg(&prefix)
        .arg(format!("{}@{}", CODEX.name, CODEX.version));
    carry_out(npm).context("install the Codex CLI")?;
    found().context("the Codex CLI was installed but does not start")
}

fn openai_python(folder: &Path) -> anyhow::Result<()> {
    let venv = folder.join("venv");
    let python = venv.join("bin/python");
    let found = || {
        let ask =
            format!("import openai, importlib.metadata as m; print(m.version('{}'))", OPENAI_PYTHON.name);
        let said = output_of(Command::new(&python).args(["-c", &ask]))?;
        ensure!(said == OPENAI_PYTHON.version, "it is {said}");
        Ok(())
    };
    if found().is_ok() {
        return Ok(());
    }
    say(&format!("installing {} {} for Python", OPENAI_PYTHON.name, OPENAI_PYTHON.version));
    let mut make = Command::new("python3");
    // From the start: what an interrupted run or another Python left behind is of no use.
    make.args(["-m", "venv", "--clear"]).arg(&venv);
    carry_out(make).context("make a virtual environment")?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .arg(format!("{}=={}", OPENAI_PYTHON.name, OPENAI_PYTHON.version));
    carry_out(pip).context("install the OpenAI SDK")?;
    found().context("the OpenAI SDK was installed but does not start")
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
