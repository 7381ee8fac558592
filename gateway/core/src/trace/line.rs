//! The trace as a file: JSON lines. The first names the version and the columns of a candidate; a roster stands before the
//! first decision that uses it; every number is written so that reading it gives back each bit.
//!
//! Holds account names and session keys, never text of a prompt.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use gateway_domain::{AccountId, ModelName, RequestId, SessionKey, Timestamp};
use gateway_scheduler::{
    AccountProfile, AccountRef, Action, Candidate, Health, PolicyLanguage, PolicyVersion, Preference,
    RankDecision, RankInput, Rejection, RequestInfo, Roster, Surface,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::decisions::Ranking;
use crate::ranking::DELEGATED;

/// The version of the format.
pub const TRACE_VERSION: u32 = 1;
/// The most decisions taken from one file.
pub const MAX_TRACED: usize = 200_000;
/// The largest file taken.
pub const MAX_TRACE_BYTES: usize = 512 * 1024 * 1024;
/// The longest line: a roster of some ten thousand accounts.
const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// The columns of a candidate, in their order.
const COLUMNS: [&str; 22] = [
    "account",
    "health",
    "in_flight",
    "max_concurrency",
    "short_window_used",
    "long_window_used",
    "short_window_resets_in_ms",
    "long_window_resets_in_ms",
    "cooldown_ms",
    "ttft_ewma_ms",
    "error_rate_ewma",
    "session_affine",
    "idle_ms",
    "last_picked_seq",
    "weight",
    "priority",
    "preference",
    "health_score",
    "capacity",
    "cost",
    "move_price",
    "pinned",
];

/// Why a file is no trace of ours.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A line cannot be read.
    #[error("line {line}: {why}")]
    Line {
        /// Counting from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// It is larger than anything an export writes.
    #[error("it holds more than {MAX_TRACED} decisions or {} MiB; export a shorter one", MAX_TRACE_BYTES / 1024 / 1024)]
    TooLarge,
    /// It holds nothing to decide.
    #[error(
        "it holds no decision; export one with `switchyard replay --export FILE` while the gateway serves"
    )]
    Empty,
    /// It cannot be written: a number of it is none of JSON's.
    #[error("it cannot be written: {0}")]
    Write(#[from] serde_json::Error),
}

/// A number that survives writing and reading bit for bit. JSON has no infinity and no NaN: a text and `null`.
#[derive(Debug, Clone, Copy)]
struct Exact(f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_nan() {
            return serializer.serialize_none();
        }
        if self.0.is_infinite() {
            return serializer.serialize_str(if self.0 > 0.0 { "inf" } else { "-inf" });
        }
        // The shortest text that is this number, and no other.
        RawValue::from_string(format!("{:?}", self.0))
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not by way of the JSON library's own numbers, which may be off by the last bit.
        let raw = <&RawValue>::deserialize(deserializer)?;
        let number = match raw.get() {
            "null" => f64::NAN,
            "\"inf\"" => f64::INFINITY,
            "\"-inf\"" => f64::NEG_INFINITY,
            text => text.parse().map_err(|_| serde::de::Error::custom(format!("{text} is no number")))?,
        };
        Ok(Self(number))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    trace: u32,
    columns: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Roster(RosterLine),
    #[serde(borrow)]
    Decision(Box<DecisionLine<'a>>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RosterLine {
    generation: u64,
    accounts: Vec<ProfileLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileLine {
    account: u32,
    id: AccountId,
    label: String,
    provider: String,
    plan: String,
    weight: Exact,
    max_concurrency: u32,
    groups: Vec<String>,
    tags: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionLine<'a> {
    language: &'a str,
    policy: String,
    digest: String,
    fallback: Option<&'a str>,
    request_id: RequestId,
    client: String,
    session: Option<SessionKey>,
    model: ModelName,
    surface: &'a str,
    streaming: bool,
    body_bytes: u32,
    attempt: u32,
    now: Timestamp,
    seed: u64,
    seq: u64,
    generation: u64,
    candidates: Vec<Row>,
    tried: Vec<u32>,
    answer: Answer,
    scores: Vec<Exact>,
    reason: String,
    took_ns: u64,
}

/// In the order of [`COLUMNS`].
#[derive(Serialize, Deserialize)]
struct Row(
    u32,
    HealthWord,
    u32,
    u32,
    Exact,
    Exact,
    u64,
    u64,
    u64,
    Exact,
    Exact,
    bool,
    u64,
    u64,
    Exact,
    Exact,
    PreferenceWord,
    Exact,
    Exact,
    Exact,
    Exact,
    bool,
);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", remote = "Health")]
enum HealthDef {
    Healthy,
    Degraded,
    Probing,
    Cooling,
    Blocked,
}

#[derive(Serialize, Deserialize)]
struct HealthWord(#[serde(with = "HealthDef")] Health);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", remote = "Preference")]
enum PreferenceDef {
    Preserve,
    Normal,
    BurnFirst,
}

#[derive(Serialize, Deserialize)]
struct PreferenceWord(#[serde(with = "PreferenceDef")] Preference);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ranked(Vec<u32>),
    WaitMs(u32),
    Refuse { http_status: u16, code: String, message: String, retry_after_ms: Option<u32> },
    Delegate,
}

impl From<&Candidate> for Row {
    fn from(one: &Candidate) -> Self {
        Self(
            one.account.0,
            HealthWord(one.health),
            one.in_flight,
            one.max_concurrency,
            Exact(one.short_window_used),
            Exact(one.long_window_used),
            one.short_window_resets_in_ms,
            one.long_window_resets_in_ms,
            one.cooldown_ms,
            Exact(one.ttft_ewma_ms),
            Exact(one.error_rate_ewma),
            one.session_affine,
            one.idle_ms,
            one.last_picked_seq,
            Exact(one.weight),
            Exact(one.priority),
            PreferenceWord(one.preference),
            Exact(one.health_score),
            Exact(one.capacity),
            Exact(one.cost),
            Exact(one.move_price),
            one.pinned,
        )
    }
}

impl From<Row> for Candidate {
    fn from(row: Row) -> Self {
        Self {
            account: AccountRef(row.0),
            health: row.1.0,
            in_flight: row.2,
            max_concurrency: row.3,
            short_window_used: row.4.0,
            long_window_used: row.5.0,
            short_window_resets_in_ms: row.6,
            long_window_resets_in_ms: row.7,
            cooldown_ms: row.8,
            ttft_ewma_ms: row.9.0,
            error_rate_ewma: row.10.0,
            session_affine: row.11,
            idle_ms: row.12,
            last_picked_seq: row.13,
            weight: row.14.0,
            priority: row.15.0,
            preference: row.16.0,
            health_score: row.17.0,
            capacity: row.18.0,
            cost: row.19.0,
            move_price: row.20.0,
            pinned: row.21,
        }
    }
}

/// Writes rankings as a trace.
///
/// # Errors
/// A part of one cannot be said in JSON.
pub fn write(rankings: &[Arc<Ranking>]) -> Result<String, TraceError> {
    let head = Head { trace: TRACE_VERSION, columns: COLUMNS.map(str::to_owned).into() };
    let mut text = serde_json::to_string(&head)?;
    let mut told = None;
    for ranking in rankings {
        // Rosters change seldom: the last one is nearly always the next one.
        if told != Some(ranking.roster.generation) {
            told = Some(ranking.roster.generation);
            push(&mut text, &Line::Roster(RosterLine::from(&*ranking.roster)))?;
        }
        push(&mut text, &Line::Decision(Box::new(DecisionLine::from(&**ranking))))?;
    }
    text.push('\n');
    Ok(text)
}

fn push(text: &mut String, line: &Line<'_>) -> Result<(), TraceError> {
    let line = serde_json::to_string(line)?;
    let _infallible = write!(text, "\n{line}");
    Ok(())
}

impl From<&Roster> for RosterLine {
    fn from(roster: &Roster) -> Self {
        let profile = |one: &AccountProfile| ProfileLine {
            account: one.account.0,
            id: one.id.clone(),
            label: one.label.clone(),
            provider: one.provider.clone(),
            plan: one.plan.clone(),
            weight: Exact(one.weight),
            max_concurrency: one.max_concurrency,
            groups: one.groups.clone(),
            tags: one.tags.clone(),
        };
        Self { generation: roster.generation, accounts: roster.accounts.iter().map(profile).collect() }
    }
}

impl From<RosterLine> for Roster {
    fn from(line: RosterLine) -> Self {
        let profile = |one: ProfileLine| AccountProfile {
            account: AccountRef(one.account),
            id: one.id,
            label: one.label,
            provider: one.provider,
            plan: one.plan,
            weight: one.weight.0,
            max_concurrency: one.max_concurrency,
            groups: one.groups,
            tags: one.tags,
        };
        Self { generation: line.generation, accounts: line.accounts.into_iter().map(profile).collect() }
    }
}

impl<'a> From<&'a Ranking> for DecisionLine<'a> {
    fn from(ranking: &'a Ranking) -> Self {
        let (input, info) = (&ranking.input, &ranking.input.info);
        Self {
            language: ranking.policy.language.label(),
            policy: ranking.policy.name.clone(),
            digest: ranking.policy.digest.clone(),
            fallback: ranking.fallback,
            request_id: info.request_id.clone(),
            client: info.client.clone(),
            session: info.session.clone(),
            model: info.model.clone(),
            surface: info.surface.label(),
            streaming: info.streaming,
            body_bytes: info.body_bytes,
            attempt: info.attempt,
            now: input.now,
            seed: input.seed,
            seq: input.seq,
            generation: input.generation,
            candidates: input.candidates.iter().map(Row::from).collect(),
            tried: input.tried.iter().map(|account| account.0).collect(),
            answer: Answer::from(&ranking.decision.action),
            scores: ranking.decision.scores.iter().copied().map(Exact).collect(),
            reason: ranking.decision.reason.clone(),
            took_ns: u64::try_from(ranking.took.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

impl From<&Action> for Answer {
    fn from(action: &Action) -> Self {
        match action {
            Action::Ranked(order) => Self::Ranked(order.iter().map(|account| account.0).collect()),
            Action::WaitMs(ms) => Self::WaitMs(*ms),
            Action::Refuse(rejection) => Self::Refuse {
                http_status: rejection.http_status,
                code: rejection.code.clone(),
                message: rejection.message.clone(),
                retry_after_ms: rejection.retry_after_ms,
            },
            Action::Delegate => Self::Delegate,
        }
    }
}

impl From<Answer> for Action {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Ranked(order) => Self::Ranked(order.into_iter().map(AccountRef).collect()),
            Answer::WaitMs(ms) => Self::WaitMs(ms),
            Answer::Refuse { http_status, code, message, retry_after_ms } => {
                Self::Refuse(Rejection { http_status, code, message, retry_after_ms })
            }
            Answer::Delegate => Self::Delegate,
        }
    }
}

/// Reads a trace.
///
/// # Errors
/// It is none, of another version, or too large.
pub fn read(mut from: impl BufRead) -> Result<Vec<Arc<Ranking>>, TraceError> {
    let (mut number, mut bytes, mut line) = (0, 0, String::new());
    let mut reader = Reader::default();
    loop {
        line.clear();
        number += 1;
        let at = |why: String| TraceError::Line { line: number, why };
        let limit = MAX_LINE_BYTES as u64 + 1;
        let found = std::io::Read::take(&mut from, limit).read_line(&mut line);
        let found = found.map_err(|error| at(error.to_string()))?;
        if found == 0 {
            break;
        }
        bytes += found;
        if line.len() > MAX_LINE_BYTES {
            return Err(at(format!("it is longer than {} MiB", MAX_LINE_BYTES / 1024 / 1024)));
        }
        if bytes > MAX_TRACE_BYTES || reader.rankings.len() >= MAX_TRACED {
            return Err(TraceError::TooLarge);
        }
        if number == 1 {
            check_head(&line).map_err(at)?;
        } else if !line.trim().is_empty() {
            reader.take(&line).map_err(at)?;
        }
    }
    if reader.rankings.is_empty() { Err(TraceError::Empty) } else { Ok(reader.rankings) }
}

fn check_head(line: &str) -> Result<(), String> {
    let head: Head = serde_json::from_str(line)
        .map_err(|error| format!("it does not begin like a trace of this gateway: {error}"))?;
    if head.trace != TRACE_VERSION || head.columns != COLUMNS {
        return Err(format!(
            "it is a trace of version {}, this gateway reads version {TRACE_VERSION}; export it again",
            head.trace
        ));
    }
    Ok(())
}

#[derive(Default)]
struct Reader {
    rankings: Vec<Arc<Ranking>>,
    rosters: HashMap<u64, Arc<Roster>>,
    /// Most decisions are one policy's.
    versions: HashMap<(String, String), Arc<PolicyVersion>>,
}

impl Reader {
    fn take(&mut self, line: &str) -> Result<(), String> {
        match serde_json::from_str(line).map_err(|error| error.to_string())? {
            Line::Roster(roster) => {
                let roster = Roster::from(roster);
                let known = self.rosters.get(&roster.generation);
                // Components remember the roster by its generation, so one number must be one roster.
                if known.is_some_and(|known| **known != roster) {
                    return Err(format!(
                        "roster {} is told twice and differs; replay the traces of two gateways one by one",
                        roster.generation
                    ));
                }
                self.rosters.insert(roster.generation, Arc::new(roster));
            }
            Line::Decision(decision) => {
                let ranking = self.ranking(*decision)?;
                self.rankings.push(Arc::new(ranking));
            }
        }
        Ok(())
    }

    fn ranking(&mut self, line: DecisionLine<'_>) -> Result<Ranking, String> {
        let roster = self.rosters.get(&line.generation).cloned();
        let roster =
            roster.ok_or_else(|| format!("it uses roster {}, which was not told", line.generation))?;
        let known = |account: &u32| roster.accounts.iter().any(|profile| profile.account.0 == *account);
        if let Some(stranger) = line.candidates.iter().map(|row| row.0).find(|account| !known(account)) {
            return Err(format!("it names account {stranger}, which is not in its roster"));
        }
        let version = PolicyVersion {
            language: language(line.language)?,
            name: line.policy.clone(),
            digest: line.digest.clone(),
        };
        let version =
            self.versions.entry((line.policy, line.digest)).or_insert_with(|| Arc::new(version)).clone();
        let info = RequestInfo {
            request_id: line.request_id,
            client: line.client,
            session: line.session,
            model: line.model,
            surface: match line.surface {
                "api" => Surface::Api,
                "cli" => Surface::Cli,
                other => return Err(format!("`{other}` is no surface")),
            },
            streaming: line.streaming,
            body_bytes: line.body_bytes,
            attempt: line.attempt,
        };
        let input = RankInput {
            info,
            now: line.now,
            seed: line.seed,
            seq: line.seq,
            generation: line.generation,
            candidates: line.candidates.into_iter().map(Candidate::from).collect(),
            tried: line.tried.into_iter().map(AccountRef).collect(),
        };
        Ok(Ranking {
            policy: version,
            fallback: line.fallback.map(fallback).transpose()?,
            input: Arc::new(input),
            roster,
            // They say why somebody is no candidate; who ranks does not see them.
            closed: Arc::default(),
            scope: None,
            decision: RankDecision {
                action: line.answer.into(),
                scores: line.scores.into_iter().map(|score| score.0).collect(),
                reason: line.reason,
            },
            took: Duration::from_nanos(line.took_ns),
        })
    }
}

fn language(word: &str) -> Result<PolicyLanguage, String> {
    let all = [PolicyLanguage::BuiltIn, PolicyLanguage::Rhai, PolicyLanguage::Wasm];
    all.into_iter().find(|one| one.label() == word).ok_or_else(|| format!("`{word}` is no language"))
}

fn fallback(word: &str) -> Result<&'static str, String> {
    let all = [DELEGATED, "failed", "timed_out", "saturated", "invalid_output"];
    all.into_iter().find(|one| *one == word).ok_or_else(|| format!("`{word}` is no reason to step in"))
}

#[cfg(test)]
mod tests;
