//! What people write, where they wrote it, and the one list of every setting there is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config, File, FileFormat, Map, Value};
use gateway_core::trace::TraceOptions;
use gateway_server::Offered;
use gateway_upstream::SocketUse;

use super::{ConfigErrors, DATABASE_FILE, DEFAULT_FILE, LogFormat, Mistake, Overrides, Settings};

pub(super) const CHATGPT_URL: &str = "https://chatgpt.com/backend-api";
pub(super) const OAUTH_URL: &str = "https://auth.openai.com";
/// The OpenAI API.
pub(super) const OPENAI_URL: &str = "https://api.openai.com/v1";
/// The Anthropic API.
pub(super) const ANTHROPIC_URL: &str = "https://api.anthropic.com";
/// The one port that the issuer sends browsers back to.
pub(super) const CALLBACK_PORT: &str = "1455";
pub(super) const POLICY: &str = "builtin:usage-balanced";
/// What is logged unless more is asked for.
pub(crate) const LOG_FILTER: &str = "info";

/// How every environment variable of ours begins.
const ENV_PREFIX: &str = "SWITCHYARD_";
/// How long settlements are kept when nothing was said.
pub(super) const KEEP_SETTLEMENTS: Duration = Duration::from_secs(90 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The most days that settlements can be kept for.
const MAX_KEEP_DAYS: u32 = 36_500;
/// How many rankings are kept when nothing was said, and at most.
const TRACED: &str = "10000";
const MAX_TRACED: usize = 100_000;
/// The longest time that streams may be given to finish.
const MAX_GRACE: Duration = Duration::from_secs(3600);

/// One setting. The environment variable is its name in capitals, dots as `__`, behind `SWITCHYARD_`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// What it holds unless it is set.
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
}

/// Every setting there is.
pub const KEYS: &[Key] = &[
    Key { name: "listen", default: "127.0.0.1:8080", help: "where to listen" },
    Key { name: "data_dir", default: "~/.switchyard", help: "where the database and the key file live" },
    Key {
        name: "database",
        default: "",
        help: "postgres://… for PostgreSQL; SQLite in the data folder otherwise",
    },
    Key { name: "policy", default: POLICY, help: "who ranks accounts until the dashboard chooses another" },
    Key { name: "upstream.chatgpt_url", default: CHATGPT_URL, help: "the Codex backend" },
    Key { name: "upstream.oauth_url", default: OAUTH_URL, help: "the OAuth issuer" },
    Key { name: "upstream.openai_url", default: OPENAI_URL, help: "the OpenAI API, for accounts with a key" },
    Key {
        name: "upstream.anthropic_url",
        default: ANTHROPIC_URL,
        help: "the Anthropic API, for accounts with a key",
    },
    Key {
        name: "sign_in.callback_port",
        default: CALLBACK_PORT,
        help: "where a browser comes back from signing in; the issuer knows 1455 only",
    },
    Key {
        name: "websocket.clients",
        default: "on",
        help: "whether clients may send Responses turns over WebSocket; off sends them to HTTP at once",
    },
    Key {
        name: "websocket.upstream",
        default: "follow",
        help: "when turns go to the Codex backend over WebSocket: follow (as their client does), always or never",
    },
    Key {
        name: "websocket.upstream_age",
        default: "50m",
        help: "how long a socket to the Codex backend is used again; it refuses turns on one that is an hour old",
    },
    Key {
        name: "limits.queue_wait",
        default: "30s",
        help: "how long a request waits for a place when every account is busy",
    },
    Key {
        name: "limits.burst_wait",
        default: "10s",
        help: "how long a request waits when every account is at a burst limit; 0s answers 429 at once",
    },
    Key {
        name: "limits.keep_settlements",
        default: "90d",
        help: "how long the accounting of requests is kept, e.g. 90d; `forever` removes nothing",
    },
    Key {
        name: "decisions.traced",
        default: TRACED,
        help: "how many rankings keep their exact inputs for `switchyard replay` and dry runs; 0 keeps none",
    },
    Key {
        name: "decisions.traced_percent",
        default: "100",
        help: "how many of a hundred conversations are among them, from 1 to 100",
    },
    Key { name: "log.format", default: "auto", help: "auto, pretty or json" },
    Key {
        name: "log.filter",
        default: LOG_FILTER,
        help: "what is logged, e.g. info or gateway_core=debug,info",
    },
    Key {
        name: "shutdown.grace",
        default: "30s",
        help: "how long streams may finish when the gateway goes down",
    },
];

/// A value and its place.
struct Given {
    text: String,
    place: String,
}

/// Everything that was written, by the names of [`KEYS`].
pub(super) struct Raw {
    given: BTreeMap<&'static str, Given>,
    mistakes: Vec<Mistake>,
    home: Option<PathBuf>,
}

impl Raw {
    /// Reads the file, then the environment, then the flags.
    pub(super) fn read(
        overrides: &Overrides,
        environment: &[(String, String)],
    ) -> Result<Self, ConfigErrors> {
        let home = environment.iter().find(|(name, _)| name == "HOME").map(|(_, home)| PathBuf::from(home));
        let mut raw = Self { given: BTreeMap::new(), mistakes: Vec::new(), home };
        raw.read_file(overrides.file.as_deref());
        raw.read_environment(environment);
        for (name, value) in [
            ("listen", &overrides.listen),
            ("data_dir", &overrides.data_dir),
            ("log.format", &overrides.log_format),
        ] {
            if let Some(value) = value {
                raw.take(name, value.clone(), format!("--{}", name.replace(['_', '.'], "-")));
            }
        }
        Ok(raw)
    }

    fn read_file(&mut self, named: Option<&Path>) {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let place = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.mistake(place, format!("the file cannot be read: {error}")),
        };
        let lines = lines_of_keys(&text);
        let parsed = Config::builder().add_source(File::from_str(&text, FileFormat::Toml)).build();
        match parsed.and_then(Config::try_deserialize::<Map<String, Value>>) {
            Ok(values) => self.read_table(&place, &lines, "", values),
            Err(error) => self.mistake(place, format!("not TOML: {error}")),
        }
    }

    fn read_table(
        &mut self,
        file: &str,
        lines: &BTreeMap<String, usize>,
        above: &str,
        values: Map<String, Value>,
    ) {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, value) in values {
            let name = if above.is_empty() { name } else { format!("{above}.{name}") };
            let place = lines.get(&name).map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
            let is_table = KEYS.iter().any(|key| key.name.starts_with(&format!("{name}.")));
            match value.clone().into_table() {
                Ok(inner) if is_table => self.read_table(file, lines, &name, inner),
                _ => match value.into_string() {
                    Ok(text) => self.take(&name, text, place),
                    Err(_) => self.mistake(place, format!("`{name}` must be a text")),
                },
            }
        }
    }

    fn read_environment(&mut self, environment: &[(String, String)]) {
        for (variable, value) in environment {
            if let Some(name) = variable.strip_prefix(ENV_PREFIX) {
                self.take(&name.to_lowercase().replace("__", "."), value.clone(), variable.clone());
            }
        }
    }

    fn take(&mut self, name: &str, text: String, place: String) {
        match KEYS.iter().find(|key| key.name == name) {
            Some(key) => {
                self.given.insert(key.name, Given { text, place });
            }
            None => {
                let known = KEYS.iter().map(|key| key.name).collect::<Vec<_>>().join(", ");
                self.mistake(place, format!("there is no setting `{name}`; there are: {known}"));
            }
        }
    }

    fn mistake(&mut self, place: String, what: String) {
        self.mistakes.push(Mistake { place, what });
    }

    /// The text of a setting, or its default.
    fn text(&self, name: &'static str) -> String {
        let default = KEYS.iter().find(|key| key.name == name).map_or("", |key| key.default);
        self.given.get(name).map_or(default, |given| &given.text).to_owned()
    }

    /// Parses a setting; a mistake is noted and the default takes its place, so that the others are checked too.
    fn parse<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match parse(&self.text(name)) {
            Ok(value) => Some(value),
            Err(what) => {
                let place = self.given.get(name).map_or_else(|| name.to_owned(), |given| given.place.clone());
                self.mistake(place, format!("`{name}`: {what}"));
                None
            }
        }
    }

    /// What was written becomes what is meant, or all mistakes are told.
    pub(super) fn validate(mut self) -> Result<Settings, ConfigErrors> {
        let listen = self.parse("listen", address);
        let home = self.home.clone();
        let data_dir = self.parse("data_dir", |text| folder(text, home.as_deref()));
        let database = self.parse("database", database);
        let chatgpt_url = self.parse("upstream.chatgpt_url", url);
        let oauth_url = self.parse("upstream.oauth_url", url);
        let openai_url = self.parse("upstream.openai_url", url);
        let anthropic_url = self.parse("upstream.anthropic_url", url);
        let callback_port = self.parse("sign_in.callback_port", port);
        let policy = self.parse("policy", policy);
        let client_sockets = self.parse("websocket.clients", offered);
        let upstream_sockets = self.parse("websocket.upstream", socket_use);
        let upstream_socket_age = self.parse("websocket.upstream_age", span);
        let queue_wait = self.parse("limits.queue_wait", span);
        let burst_wait = self.parse("limits.burst_wait", span);
        let keep_settlements = self.parse("limits.keep_settlements", keep);
        let kept = self.parse("decisions.traced", |text| number(text, 0, MAX_TRACED));
        let percent = self.parse("decisions.traced_percent", |text| number(text, 1, 100));
        let log_format = self.parse("log.format", format);
        let log_filter = self.parse("log.filter", filter);
        let shutdown_grace = self.parse("shutdown.grace", span);
        let settings = (|| {
            let data_dir = data_dir?;
            Some(Settings {
                listen: listen?,
                database: database?
                    .unwrap_or_else(|| data_dir.join(DATABASE_FILE).to_string_lossy().into_owned()),
                data_dir,
                chatgpt_url: chatgpt_url?,
                oauth_url: oauth_url?,
                openai_url: openai_url?,
                anthropic_url: anthropic_url?,
                callback_port: callback_port?,
                client_sockets: client_sockets?,
                upstream_sockets: upstream_sockets?,
                upstream_socket_age: upstream_socket_age?,
                policy: policy?,
                queue_wait: queue_wait?,
                keep_settlements: keep_settlements?,
                burst_wait: burst_wait?,
                trace: TraceOptions { kept: kept?, percent: u8::try_from(percent?).ok()? },
                log_format: log_format?,
                log_filter: log_filter?,
                shutdown_grace: shutdown_grace?,
            })
        })();
        settings.filter(|_| self.mistakes.is_empty()).ok_or(ConfigErrors(self.mistakes))
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no address; write it like 127.0.0.1:8080 or [::]:8080"))
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("`{text}` is no port; write a number from 0 to 65535"))
}

fn number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{text}` is no number from {least} to {most}"))
}

fn folder(text: &str, home: Option<&Path>) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("a folder is needed".to_owned());
    }
    match text.strip_prefix("~/") {
        None => Ok(PathBuf::from(text)),
        Some(rest) => home
            .map(|home| home.join(rest))
            .ok_or_else(|| "HOME is not set; name the folder in full".to_owned()),
    }
}

/// What was written may hold a password, so it is not repeated.
fn database(text: &str) -> Result<Option<String>, String> {
    let known = ["postgres://", "postgresql://", "sqlite:"].iter().any(|start| text.starts_with(start));
    match text {
        "" => Ok(None),
        text if known || !text.contains("://") => Ok(Some(text.to_owned())),
        _ => Err("must be postgres://… or the path of a SQLite file".to_owned()),
    }
}

fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is no http(s) URL")),
    }
}

fn policy(text: &str) -> Result<String, String> {
    let language = text.split_once(':').map(|(language, _)| language);
    match language {
        Some("builtin" | "rhai" | "wasm") => Ok(text.to_owned()),
        _ => Err(format!("`{text}` names no policy; write it like {POLICY} or rhai:usage-balanced")),
    }
}

fn offered(text: &str) -> Result<Offered, String> {
    match text {
        "on" | "true" => Ok(Offered::Yes),
        "off" | "false" => Ok(Offered::No),
        _ => Err(format!("`{text}` is neither on nor off")),
    }
}

fn socket_use(text: &str) -> Result<SocketUse, String> {
    match text {
        "follow" => Ok(SocketUse::Follow),
        "always" => Ok(SocketUse::Always),
        "never" => Ok(SocketUse::Never),
        _ => Err(format!("`{text}` is none of follow, always, never")),
    }
}

fn format(text: &str) -> Result<LogFormat, String> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("`{text}` is none of auto, pretty, json")),
    }
}

fn filter(text: &str) -> Result<String, String> {
    match text.parse::<tracing_subscriber::EnvFilter>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("`{text}` is no filter: {error}")),
    }
}

/// `500ms`, `30s`, `5m`.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no span of time up to an hour; write it like 30s, 500ms or 5m");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let span = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        _ => return Err(wrong()),
    };
    if span > MAX_GRACE { Err(wrong()) } else { Ok(span) }
}

/// How long something is kept, in days; `None` for ever.
fn keep(text: &str) -> Result<Option<Duration>, String> {
    let wrong = || {
        format!("`{text}` is no number of days from 1 to {MAX_KEEP_DAYS}; write it like 90d, or `forever`")
    };
    if text == "forever" {
        return Ok(None);
    }
    let days: u32 = text.strip_suffix('d').and_then(|days| days.parse().ok()).ok_or_else(wrong)?;
    if (1..=MAX_KEEP_DAYS).contains(&days) { Ok(Some(DAY * days)) } else { Err(wrong()) }
}

/// On which line each key stands, by its full name.
fn lines_of_keys(text: &str) -> BTreeMap<String, usize> {
    fn walk(table: &toml::de::DeTable<'_>, above: &str, text: &str, lines: &mut BTreeMap<String, usize>) {
        for (key, value) in table {
            let name = if above.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{above}.{}", key.get_ref())
            };
            let line = 1 + text.bytes().take(key.span().start).filter(|byte| *byte == b'\n').count();
            lines.insert(name.clone(), line);
            if let toml::de::DeValue::Table(inner) = value.get_ref() {
                walk(inner, &name, text, lines);
            }
        }
    }
    let mut lines = BTreeMap::new();
    if let Ok(table) = toml::de::DeTable::parse(text) {
        walk(table.get_ref(), "", text, &mut lines);
    }
    lines
}
