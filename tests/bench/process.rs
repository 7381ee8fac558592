//! A measured process: started, awaited, asked for its CPU time and memory, ended when dropped.
//! It knows nothing of what the process does.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// The longest that a process may take until it answers.
const START_TIME: Duration = Duration::from_secs(30);
/// What `/proc/<pid>/stat` counts in; the same on every Linux that runs here (`getconf CLK_TCK`).
const TICKS_PER_SECOND: u64 = 100;

/// A process that ends with this value.
pub(crate) struct Process {
    child: Child,
}

/// What a process holds of the machine's memory, in bytes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Memory {
    /// All of it, the program's own pages included.
    pub(crate) resident: u64,
    /// Heap and stacks.
    pub(crate) anonymous: u64,
}

impl Process {
    /// Starts a server and waits until it is `ready`. What it prints goes to a file beside its data.
    pub(crate) fn start(mut command: Command, log: &Path, ready: impl Fn() -> bool) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("create {}", log.display()))?;
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {program}"))?;
        let mut process = Self { child };
        let begun = Instant::now();
        while !ready() {
            if let Some(status) = process.child.try_wait()? {
                bail!("{program} ended with {status}: {}", text_of(log));
            }
            if begun.elapsed() > START_TIME {
                bail!("{program} does not answer: {}", text_of(log));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(process)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time it used so far, user and system, all threads.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.proc_file("stat")?;
        // The second field is the name in parentheses and may hold anything, spaces too.
        let (_, fields) = stat.rsplit_once(')').context("read the process's state")?;
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let (user, system) = times.next().zip(times.next()).context("read the process's CPU time")?;
        Ok(Duration::from_millis((user? + system?) * 1000 / TICKS_PER_SECOND))
    }

    /// The memory it holds now.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = self.proc_file("status")?;
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib =
                line.and_then(|rest| rest.split_whitespace().next()).context("read the process's memory")?;
            Ok(kib.parse::<u64>()? * 1024)
        };
        Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
    }

    fn proc_file(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("read {path}; did the process end?"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A local address that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?)
}

/// Whether somebody accepts connections there.
pub(crate) fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// Whether somebody there finds itself healthy.
pub(crate) fn healthy(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let asked = stream.set_read_timeout(Some(Duration::from_secs(1))).and_then(|()| {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    });
    let mut answer = String::new();
    asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.starts_with("HTTP/1.1 200")
}

fn text_of(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}
