//! A throw-away PostgreSQL server from the installed binaries: on a free port of 127.0.0.1, its files in a temporary
//! folder, gone when this is dropped or its process is killed.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// Nobody else's server has it, so a connection proves that the server is ours.
const SUPERUSER: &str = "switchyard_suite";
/// The longest a start may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Ends the server when the shell's input is closed, which happens by itself when its parent is killed.
const KEEPER: &str = r#""$@" >log 2>&1 </dev/null & read -r _; kill -QUIT $!; wait"#;

/// A running server.
pub struct Postgres {
    /// How a gateway reaches it.
    pub url: String,
    process: Child,
    // Dropped after the server has ended.
    _folder: TempDir,
}

impl Postgres {
    /// Starts one.
    ///
    /// # Errors
    /// PostgreSQL is not installed, or does not start.
    pub fn start() -> Result<Self> {
        let binaries = binaries()?;
        let folder = tempfile::Builder::new().prefix("suite-postgres-").tempdir()?;
        let user = unprivileged(folder.path())?;
        let command = |program: &Path| {
            let mut command = Command::new(program);
            command.current_dir(folder.path());
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let mut initdb = command(&binaries.join("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--no-instructions", "-D", "data"]);
        let done = initdb.arg(format!("--username={SUPERUSER}")).output()?;
        ensure!(done.status.success(), "initdb failed: {}", String::from_utf8_lossy(&done.stderr));
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = command(Path::new("sh"));
        server.args(["-c", KEEPER, "keeper"]).arg(binaries.join("postgres"));
        server.args(["-D", "data", "-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        // What is thrown away need not survive a power cut.
        server.args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=100"]);
        let process = server.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let url = format!("postgres://{SUPERUSER}@127.0.0.1:{port}/postgres?sslmode=disable");
        let log = folder.path().join("log");
        let server = Self { url, process, _folder: folder };
        let ready = command_is_ready(&binaries, port);
        wait_until(ready, &log)?;
        Ok(server)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

/// Asks as the superuser of ours: a server of somebody else on the port is not taken for it.
fn command_is_ready(binaries: &Path, port: u16) -> impl FnMut() -> bool {
    let psql = binaries.join("psql");
    let port = port.to_string();
    move || {
        let mut ask = Command::new(&psql);
        ask.args(["-h", "127.0.0.1", "-p", &port, "-U", SUPERUSER, "-d", "postgres", "-c", "select 1"]);
        ask.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

fn wait_until(mut ready: impl FnMut() -> bool, log: &Path) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if ready() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("postgres does not start: {}", std::fs::read_to_string(log).unwrap_or_default())
}

/// The folder with the programs: Debian's newest, or what is in the path.
fn binaries() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = debian.into_iter().rev().map(|(_, folder)| folder).chain(std::env::split_paths(&path));
    let complete =
        |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file());
    folders.into_iter().find(complete).context(
        "`initdb`, `postgres` and `psql` are neither in PATH nor in /usr/lib/postgresql/*/bin: install PostgreSQL",
    )
}

/// PostgreSQL refuses to run as root, so root's tests run it as somebody else, who then owns the folder.
fn unprivileged(folder: &Path) -> Result<Option<(u32, u32)>> {
    if std::fs::metadata(folder)?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let ids = |name: &str| -> Option<(u32, u32)> {
        let mut fields =
            users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let other = ids("postgres").or_else(|| ids("nobody"));
    let (uid, gid) = other.context("root needs the user `postgres` or `nobody` to run postgres as")?;
    chown(folder, Some(uid), Some(gid))?;
    Ok(Some((uid, gid)))
}
