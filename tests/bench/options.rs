//! What this program is told on its command line: to measure, or to be one of the measured processes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// What the process is.
pub(crate) enum Role {
    /// The one people start.
    Bench(Options),
    /// The simulated upstream.
    Lab(LabOptions),
    /// A relay to compare with.
    Relay(RelayOptions),
}

/// How to measure.
pub(crate) struct Options {
    /// In about a minute instead of ten, without the crowds and the large pool.
    quick: bool,
    /// Only these parts; all when none is named.
    only: Vec<Part>,
    /// Where the findings also go.
    pub(crate) json: Option<PathBuf>,
    /// Instead of measuring, keep the gateway busy for this long, for a profiler.
    pub(crate) busy: Option<Duration>,
}

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Ranking,
    Pool,
    Memory,
    Throughput,
    Streams,
    Pairs,
    Translators,
    Crowds,
    LargePool,
}

impl Part {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Ranking, "ranking"),
        (Self::Pool, "pool"),
        (Self::Memory, "memory"),
        (Self::Throughput, "throughput"),
        (Self::Streams, "streams"),
        (Self::Pairs, "pairs"),
        (Self::Translators, "translators"),
        (Self::Crowds, "crowds"),
        (Self::LargePool, "large-pool"),
    ];

    fn parse(word: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(_, name)| *name == word);
        let names = Self::ALL.map(|(_, name)| name).join(", ");
        Ok(found.with_context(|| format!("`{word}` is no part of the run; there are {names}"))?.0)
    }
}

/// What the lab process needs.
pub(crate) struct LabOptions {
    pub(crate) listen: SocketAddr,
    pub(crate) accounts: usize,
    /// How long the tokens that it leaves there live; none ends while the benchmark runs, unless it is to.
    pub(crate) lifetime: Duration,
    /// Where it leaves one `auth.json` per account before it listens.
    pub(crate) auth_dir: PathBuf,
}

/// What a relay process needs.
pub(crate) struct RelayOptions {
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: SocketAddr,
    /// Whether it reads the routing fields and the end of the stream.
    pub(crate) inspect: bool,
}

/// How long everything takes.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Turns that every target gets in one cell; noise of the machine then hits all alike.
    pub(crate) rounds: u32,
    /// Length of one turn.
    pub(crate) turn: Duration,
    /// Time for one ranking row.
    pub(crate) ranking: Duration,
}

impl Options {
    /// Whether a part is measured.
    pub(crate) fn wants(&self, part: Part) -> bool {
        match self.only.as_slice() {
            [] if self.busy.is_some() => false,
            [] => !(self.quick && matches!(part, Part::Crowds | Part::LargePool)),
            only => only.contains(&part),
        }
    }

    pub(crate) fn pace(&self) -> Pace {
        if self.quick {
            Pace { rounds: 2, turn: Duration::from_millis(250), ranking: Duration::from_millis(300) }
        } else {
            Pace { rounds: 6, turn: Duration::from_millis(800), ranking: Duration::from_secs(1) }
        }
    }
}

impl Role {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Arguments(arguments.collect());
        let role = match arguments.0.first().map(String::as_str) {
            Some("lab") => {
                arguments.0.remove(0);
                Self::Lab(LabOptions {
                    listen: arguments.needed("--listen")?.parse().context("--listen")?,
                    accounts: arguments.needed("--accounts")?.parse().context("--accounts")?,
                    lifetime: seconds("--lifetime", arguments.value("--lifetime")?)?
                        .unwrap_or(Duration::from_hours(24)),
                    auth_dir: arguments.needed("--auth-dir")?.into(),
                })
            }
            Some("relay") => {
                arguments.0.remove(0);
                Self::Relay(RelayOptions {
                    inspect: arguments.flag("--inspect"),
                    listen: arguments.needed("--listen")?.parse().context("--listen")?,
                    upstream: arguments.needed("--upstream")?.parse().context("--upstream")?,
                })
            }
            _ => Self::Bench(Options {
                quick: arguments.flag("--quick"),
                only: parts(arguments.value("--only")?)?,
                json: arguments.value("--json")?.map(PathBuf::from),
                busy: seconds("--busy", arguments.value("--busy")?)?,
            }),
        };
        match arguments.0.first() {
            None => Ok(role),
            Some(unknown) => {
                bail!(
                    "`{unknown}` is not known; there are --quick, --only PART,.., --json FILE and --busy SECONDS"
                )
            }
        }
    }
}

fn parts(value: Option<String>) -> Result<Vec<Part>> {
    let words = value.iter().flat_map(|value| value.split(','));
    words.map(|word| Part::parse(word.trim())).collect()
}

fn seconds(name: &str, value: Option<String>) -> Result<Option<Duration>> {
    let wants = || format!("{name} wants whole seconds");
    let seconds = value.map(|value| value.parse().with_context(wants)).transpose()?;
    Ok(seconds.map(Duration::from_secs))
}

/// What was not understood yet.
struct Arguments(Vec<String>);

impl Arguments {
    fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|argument| argument != name);
        self.0.len() < before
    }

    fn value(&mut self, name: &str) -> Result<Option<String>> {
        let Some(at) = self.0.iter().position(|argument| argument == name) else { return Ok(None) };
        if at + 1 >= self.0.len() {
            bail!("{name} needs a value");
        }
        let value = self.0.remove(at + 1);
        self.0.remove(at);
        Ok(Some(value))
    }

    fn needed(&mut self, name: &str) -> Result<String> {
        self.value(name)?.with_context(|| format!("{name} is missing"))
    }
}
