//! Settings of the machine: from `switchyard.toml`, `SWITCHYARD_*` and flags, in this order, the last one wins.
//!
//! What people write (raw) becomes what the program means (validated) in one step that reports every mistake at once,
//! each with its place.

mod raw;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway_core::trace::TraceOptions;
use gateway_server::Offered;
use gateway_upstream::SocketUse;

pub use raw::{KEYS, Key};

pub(crate) use raw::LOG_FILTER;
use raw::Raw;

/// The file looked for in the working folder when none is named.
pub const DEFAULT_FILE: &str = "switchyard.toml";

/// Everything that is settled at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the database and the key file live.
    pub data_dir: PathBuf,
    /// `postgres://…`, or the path of the SQLite file.
    pub database: String,
    /// The Codex backend.
    pub chatgpt_url: String,
    /// The OAuth issuer.
    pub oauth_url: String,
    /// The OpenAI API.
    pub openai_url: String,
    /// The Anthropic API.
    pub anthropic_url: String,
    /// Where a browser comes back from signing in; 0 takes any port.
    pub callback_port: u16,
    /// Whether clients may speak over WebSocket.
    pub client_sockets: Offered,
    /// When turns go to the Codex backend over WebSocket.
    pub upstream_sockets: SocketUse,
    /// How long a socket to the Codex backend is used again.
    pub upstream_socket_age: Duration,
    /// The policy that decides until the dashboard chooses another.
    pub policy: String,
    /// How long a request waits for a place when every account is busy.
    pub queue_wait: Duration,
    /// How long settlements are kept; for ever when not set.
    pub keep_settlements: Option<Duration>,
    /// How long a request waits when every account is at a burst limit.
    pub burst_wait: Duration,
    /// How many rankings keep their exact inputs.
    pub trace: TraceOptions,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What is logged (`info`, `gateway_core=debug,info` …).
    pub log_filter: String,
    /// How long streams may finish when the gateway goes down.
    pub shutdown_grace: Duration,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, one JSON object a line otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// All mistakes in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has {} mistake{}:\n{}", .0.len(), if .0.len() == 1 { "" } else { "s" }, listed(.0))]
pub struct ConfigErrors(pub Vec<Mistake>);

fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("  {mistake}")).collect::<Vec<_>>().join("\n")
}

/// One mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Mistake {
    /// `switchyard.toml:3`, `SWITCHYARD_LISTEN` or `--listen`.
    pub place: String,
    /// What is wrong and what would be right.
    pub what: String,
}

/// What flags say.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--data-dir`.
    pub data_dir: Option<String>,
    /// `--log-format`.
    pub log_format: Option<String>,
}

impl Settings {
    /// Reads and validates everything.
    ///
    /// # Errors
    /// Every mistake, all together.
    pub fn load(overrides: &Overrides, environment: &[(String, String)]) -> Result<Self, ConfigErrors> {
        Raw::read(overrides, environment)?.validate()
    }

    /// Settings for a data folder and nothing else said, as tests want them.
    #[must_use]
    pub fn for_data_dir(data_dir: &Path) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database: data_dir.join(DATABASE_FILE).to_string_lossy().into_owned(),
            data_dir: data_dir.to_owned(),
            chatgpt_url: raw::CHATGPT_URL.to_owned(),
            oauth_url: raw::OAUTH_URL.to_owned(),
            openai_url: raw::OPENAI_URL.to_owned(),
            anthropic_url: raw::ANTHROPIC_URL.to_owned(),
            callback_port: gateway_server::CALLBACK_PORT,
            client_sockets: Offered::Yes,
            upstream_sockets: SocketUse::Follow,
            upstream_socket_age: gateway_upstream::MAX_SOCKET_AGE,
            policy: raw::POLICY.to_owned(),
            queue_wait: Duration::from_secs(30),
            keep_settlements: Some(raw::KEEP_SETTLEMENTS),
            burst_wait: Duration::from_secs(10),
            trace: TraceOptions::default(),
            log_format: LogFormat::Auto,
            log_filter: raw::LOG_FILTER.to_owned(),
            shutdown_grace: Duration::from_secs(30),
        }
    }

    /// The file with the keys that seal secrets.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.data_dir.join("secret.key")
    }

    /// Where the operator puts scripts of their own.
    #[must_use]
    pub fn policies_dir(&self) -> PathBuf {
        self.data_dir.join("policies")
    }

    /// Where the operator puts components of their own.
    #[must_use]
    pub fn plugins_dir(&self) -> PathBuf {
        self.data_dir.join("plugins")
    }
}

/// The SQLite file in the data folder.
pub(crate) const DATABASE_FILE: &str = "switchyard.db";

#[cfg(test)]
mod tests;
