//! The real binary, as a user starts it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The longest that the binary may take until it answers.
const START_TIME: Duration = Duration::from_secs(20);
/// Ports tried for one start.
const PORTS_TRIED: u32 = 3;
/// What the system says of a port that somebody else has.
const TAKEN: &str = "Address already in use";

/// The repository's folder.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The binary that was built beside this test.
///
/// # Errors
/// It was not built.
pub fn binary() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let built = test.ancestors().skip(1).map(|folder| folder.join("switchyard")).find(|path| path.is_file());
    built.context(
        "the switchyard binary is not built; run `cargo xtask test`, or `cargo build -p gateway-app` first",
    )
}

/// A running binary; it is ended when this is dropped.
pub struct Spawned {
    /// Where it listens, `http://127.0.0.1:port`.
    pub url: String,
    /// Its log.
    pub log: PathBuf,
    child: Child,
}

impl Spawned {
    /// Starts `switchyard serve` with further arguments and environment, and waits until it answers `/health`.
    ///
    /// # Errors
    /// It does not start, or does not answer in time; the error carries its log.
    pub fn serve(data_dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        Self::on_free_port(|port| Self::serve_on(port, data_dir, arguments, environment))
    }

    /// Starts it on a port that is free just now. Another test may be quicker to take it: then the next one is tried.
    ///
    /// # Errors
    /// As `start`.
    pub fn on_free_port(start: impl Fn(u16) -> Result<Self>) -> Result<Self> {
        for _ in 1..PORTS_TRIED {
            match start(free_port()?) {
                Err(error) if error.to_string().contains(TAKEN) => {}
                started => return started,
            }
        }
        start(free_port()?)
    }

    /// The same on a port that is known, such as that of one that ended.
    ///
    /// # Errors
    /// As [`Spawned::serve`].
    pub fn serve_on(
        port: u16,
        data_dir: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let mut spawned = Self::launch(port, data_dir, arguments, environment)?;
        spawned.wait_until_healthy(port)?;
        Ok(spawned)
    }

    /// The same without waiting until it answers.
    ///
    /// # Errors
    /// It does not start.
    pub fn launch(
        port: u16,
        data_dir: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        std::fs::create_dir_all(data_dir)?;
        let log = data_dir.join("switchyard.log");
        let child = Command::new(binary()?)
            .arg("serve")
            .args(["--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(data_dir)
            .args(arguments)
            .envs(environment.iter().copied())
            // A settings file of the working folder must not count.
            .current_dir(data_dir)
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(data_dir.join("switchyard.out"))?)
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), log, child })
    }

    fn wait_until_healthy(&mut self, port: u16) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < START_TIME {
            if let Some(status) = self.child.try_wait()? {
                bail!("switchyard ended with {status}: {}", self.log_text());
            }
            if answers(port) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("switchyard does not answer: {}", self.log_text())
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged.
    #[must_use]
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once, as a crash would.
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end and waits for it.
    ///
    /// # Errors
    /// It does not end within `patience`, or not well.
    pub fn terminate(&mut self, patience: Duration) -> Result<()> {
        let pid = self.pid().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() {
                    Ok(())
                } else {
                    bail!("ended with {status}: {}", self.log_text())
                };
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("did not end within {patience:?}: {}", self.log_text())
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // Already ended is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that nobody listens on just now.
///
/// # Errors
/// There is none.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn answers(port: u16) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    let asked = stream.set_read_timeout(Some(Duration::from_secs(1))).and_then(|()| {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    });
    let mut answer = String::new();
    asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.starts_with("HTTP/1.1 200")
}
