//! A throw-away PostgreSQL server from the installed binaries.
//!
//! It listens on a free port of 127.0.0.1, keeps its files in a temporary folder and ends with the test: when it
//! finishes, and when its process is killed.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;

/// Nobody else's server accepts it, so a connection proves that the server is ours.
const SUPERUSER: &str = "contract_suite";
const DATABASE: &str = "contract";
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Server {
    process: Child,
    port: u16,
    // Dropped after the server has ended.
    _folder: TempDir,
}

impl Server {
    pub async fn start() -> Self {
        let binaries = find_binaries();
        let folder = tempfile::Builder::new().prefix("contract-postgres-").tempdir().unwrap();
        let user = Unprivileged::find();
        user.own(folder.path());
        let data = folder.path().join("data");
        initialise(&binaries, &data, &user);
        // Between finding a free port and using it, somebody else may take it.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let log = folder.path().join(format!("log-{port}"));
            let mut process = launch(&binaries, &data, &log, port, &user);
            if wait_until_ready(&log, port).await {
                create_database(port).await;
                return Self { process, port, _folder: folder };
            }
            end(&mut process);
        }
        panic!("postgres found no free port");
    }

    /// The URL of a place with nothing in it: a schema, which is made in a hundredth of a database's time.
    pub async fn empty(&self, number: usize) -> String {
        let url = url(self.port, DATABASE);
        let name = format!("case_{number}");
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE SCHEMA {name}"))).await.unwrap();
        format!("{url}&options[search_path]={name}")
    }
}

/// A database as an operator may have it who wants everything otherwise; what the gateway does must not depend
/// on that.
async fn create_database(port: u16) {
    const PLAIN: &str = "CREATE DATABASE contract";
    // Sorts as people do, where the server can.
    const ENGLISH: &str = "CREATE DATABASE contract TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'";
    let mut connection = PgConnection::connect(&url(port, "postgres")).await.unwrap();
    if connection.execute(ENGLISH).await.is_err() {
        connection.execute(PLAIN).await.unwrap();
    }
    connection
        .execute("ALTER DATABASE contract SET default_transaction_isolation = 'serializable'")
        .await
        .unwrap();
    connection.execute("ALTER DATABASE contract SET synchronous_commit = off").await.unwrap();
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://{SUPERUSER}@127.0.0.1:{port}/{database}?sslmode=disable")
}

/// The folder with `initdb` and `postgres`: Debian's newest, or what is in the path.
fn find_binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = debian.into_iter().rev().map(|(_, folder)| folder).chain(std::env::split_paths(&path));
    let complete = |folder: &PathBuf| ["initdb", "postgres"].iter().all(|name| folder.join(name).is_file());
    folders.into_iter().find(complete).expect(
        "`initdb` and `postgres` are neither in PATH nor in /usr/lib/postgresql/*/bin: install PostgreSQL \
         (Debian: apt-get install postgresql)",
    )
}

/// PostgreSQL refuses to run as root, so root's tests run it as somebody else.
enum Unprivileged {
    Me,
    Other { uid: u32, gid: u32 },
}

impl Unprivileged {
    fn find() -> Self {
        let me = tempfile::NamedTempFile::new().unwrap().as_file().metadata().unwrap().uid();
        if me != 0 {
            return Self::Me;
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let ids = |name: &str| {
            let mut fields =
                users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.split(':').skip(1);
            Some(Self::Other { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
        };
        ids("postgres")
            .or_else(|| ids("nobody"))
            .expect("root needs the user `postgres` or `nobody` to run postgres as")
    }

    fn own(&self, folder: &Path) {
        if let Self::Other { uid, gid } = self {
            chown(folder, Some(*uid), Some(*gid)).unwrap();
        }
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder.parent().unwrap());
        if let Self::Other { uid, gid } = self {
            command.uid(*uid).gid(*gid);
        }
        command
    }
}

fn initialise(binaries: &Path, data: &Path, user: &Unprivileged) {
    let done = user
        .command(binaries.join("initdb"), data)
        .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--no-instructions"])
        .arg(format!("--username={SUPERUSER}"))
        .arg("-D")
        .arg(data)
        .output()
        .unwrap();
    assert!(done.status.success(), "initdb failed: {}", String::from_utf8_lossy(&done.stderr));
}

/// Starts the server under a shell that ends it when this process closes the shell's input, which happens by
/// itself when this process is killed.
fn launch(binaries: &Path, data: &Path, log: &Path, port: u16, user: &Unprivileged) -> Child {
    const KEEPER: &str = r#"log=$1; shift; "$@" >"$log" 2>&1 </dev/null & read -r _; kill -QUIT $!; wait"#;
    user.command("sh", data)
        .args(["-c", KEEPER, "keeper"])
        .arg(log)
        .arg(binaries.join("postgres"))
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string()])
        // What is thrown away need not survive a power cut.
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"])
        .args(["-c", "shared_buffers=16MB", "-c", "max_connections=100"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Whether the server answers; `false` when its port was taken.
async fn wait_until_ready(log: &Path, port: u16) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if PgConnection::connect(&url(port, "postgres")).await.is_ok() {
            return true;
        }
        let told = match std::fs::read_to_string(log) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            told => told.unwrap(),
        };
        if told.contains("Address already in use") {
            return false;
        }
        assert!(
            !told.contains("FATAL:  could not") && Instant::now() < deadline,
            "postgres does not start: {told}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn end(process: &mut Child) {
    drop(process.stdin.take());
    process.wait().unwrap();
}
