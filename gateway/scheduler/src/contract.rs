//! What a ranking policy is given and what it answers, whether built in, a Rhai script or a WASM component.
//!
//! These are the Rust twins of `wit/scheduling.wit`. Clock, seed and sequence number are inputs: the same
//! input gives the same answer, which is what makes a recorded decision replayable. Unknown numbers are NaN.

use std::sync::Arc;

use gateway_domain::{AccountId, Millis, ModelName, RequestId, SessionKey, Timestamp};

/// A dense handle for one account, valid for one roster generation: the index into [`Roster::accounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountRef(pub u32);

/// Slow-changing facts about one account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountProfile {
    /// The handle candidates use.
    pub account: AccountRef,
    /// Our id for it.
    pub id: AccountId,
    /// The operator's name for it.
    pub label: String,
    /// The account kind's word (`codex` …).
    pub provider: String,
    /// The plan (`plus`, `pro` …), empty when unknown.
    pub plan: String,
    /// The operator's weight; 1.0 unless set.
    pub weight: f64,
    /// Most requests at once.
    pub max_concurrency: u32,
    /// The groups it belongs to, in alphabetical order.
    pub groups: Vec<String>,
    /// The operator's tags, in alphabetical order.
    pub tags: Vec<String>,
}

/// All accounts of one generation. A policy is told when the generation moves.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Roster {
    /// Grows with every change of any profile.
    pub generation: u64,
    /// In the order of their handles.
    pub accounts: Vec<AccountProfile>,
}

/// How an account is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    /// Nothing speaks against it.
    Healthy,
    /// Recent errors; still usable.
    Degraded,
    /// Coming back: one request at a time until it proves itself.
    Probing,
    /// Left alone until its cooldown ends.
    Cooling,
    /// Paused, signed out, or not able to serve this request.
    Blocked,
}

impl Health {
    /// Whether the host would send a request there now.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded | Self::Probing)
    }

    /// Bounded label for metrics and the dashboard.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Probing => "probing",
            Self::Cooling => "cooling",
            Self::Blocked => "blocked",
        }
    }
}

/// Whether the operator wants an account spent first or spared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Preference {
    /// Only when nobody else can serve.
    Preserve,
    /// Like the others.
    #[default]
    Normal,
    /// Before the others.
    BurnFirst,
}

/// One account that could serve the request, with its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Which account.
    pub account: AccountRef,
    /// How it is doing.
    pub health: Health,
    /// Requests running on it now.
    pub in_flight: u32,
    /// Most requests at once.
    pub max_concurrency: u32,
    /// Share of the window shorter than a day that is used, 0.0..=1.0 and beyond; NaN when unknown.
    pub short_window_used: f64,
    /// The same for the window of a day or more.
    pub long_window_used: f64,
    /// Milliseconds until the short window resets; 0 when unknown.
    pub short_window_resets_in_ms: Millis,
    /// The same for the long window.
    pub long_window_resets_in_ms: Millis,
    /// Milliseconds until its cooldown ends; 0 when it has none.
    pub cooldown_ms: Millis,
    /// Smoothed time to the first event in milliseconds; NaN before the first.
    pub ttft_ewma_ms: f64,
    /// Smoothed share of requests that failed on the account's side, 0.0..=1.0.
    pub error_rate_ewma: f64,
    /// Whether this conversation was served here last.
    pub session_affine: bool,
    /// Milliseconds since it was last picked; `u64::MAX` when never.
    pub idle_ms: Millis,
    /// Sequence number of the decision that last picked it; 0 when never.
    pub last_picked_seq: u64,
    /// The operator's weight.
    pub weight: f64,
    /// The operator's priority: a higher one goes before every lower one; 0 unless set.
    pub priority: f64,
    /// Whether it is to be spent first or spared.
    pub preference: Preference,
    /// 100 is flawless; decays with errors and comes back with time, 0.0..=100.0.
    pub health_score: f64,
    /// Relative size of the plan's allowance (`plus` is 1.0); NaN when unknown.
    pub capacity: f64,
    /// Relative price of a token here; NaN when unknown.
    pub cost: f64,
    /// Share of the prompt that its owner has cached and that would be paid again here, 0.0..=1.0; 0 for the owner and
    /// for a new conversation.
    pub move_price: f64,
    /// The operator pinned it: it serves everything that it can.
    pub pinned: bool,
}

impl Candidate {
    /// A healthy account of which nothing else is known.
    #[must_use]
    pub const fn new(account: AccountRef) -> Self {
        Self {
            account,
            health: Health::Healthy,
            in_flight: 0,
            max_concurrency: crate::DEFAULT_MAX_CONCURRENCY,
            short_window_used: f64::NAN,
            long_window_used: f64::NAN,
            short_window_resets_in_ms: 0,
            long_window_resets_in_ms: 0,
            cooldown_ms: 0,
            ttft_ewma_ms: f64::NAN,
            error_rate_ewma: 0.0,
            session_affine: false,
            idle_ms: Millis::MAX,
            last_picked_seq: 0,
            weight: 1.0,
            priority: 0.0,
            preference: Preference::Normal,
            health_score: 100.0,
            capacity: f64::NAN,
            cost: f64::NAN,
            move_price: 0.0,
            pinned: false,
        }
    }
}

/// Which kind of client is asking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Surface {
    /// An SDK or any other caller of the API.
    #[default]
    Api,
    /// The Codex CLI or another client that speaks to the Codex routes.
    Cli,
}

impl Surface {
    /// The word that policies see.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Cli => "cli",
        }
    }
}

/// Facts about the request that every policy may see. No prompt text, no credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestInfo {
    /// The handle to the decision record.
    pub request_id: RequestId,
    /// The label of the client key, or `local`.
    pub client: String,
    /// What ties it to a conversation.
    pub session: Option<SessionKey>,
    /// The model asked for.
    pub model: ModelName,
    /// Which kind of client is asking.
    pub surface: Surface,
    /// Whether the client wants a stream.
    pub streaming: bool,
    /// Size of the decoded body in bytes.
    pub body_bytes: u32,
    /// 0 for the first try, then counting up.
    pub attempt: u32,
}

/// One question: who should serve this request, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct RankInput {
    /// The request.
    pub info: RequestInfo,
    /// The clock, as an input.
    pub now: Timestamp,
    /// Entropy, as an input.
    pub seed: u64,
    /// Counts decisions; `seq % n` is a round-robin cursor.
    pub seq: u64,
    /// Which roster the handles belong to.
    pub generation: u64,
    /// Everyone who could serve it, in the order of their handles, unusable ones included.
    pub candidates: Vec<Candidate>,
    /// Accounts that already failed this request.
    pub tried: Vec<AccountRef>,
}

/// A refusal that the client sees in its own dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// HTTP status, 400..=599.
    pub http_status: u16,
    /// Machine-readable code.
    pub code: String,
    /// For people.
    pub message: String,
    /// How long to wait.
    pub retry_after_ms: Option<u32>,
}

/// What to do with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Try these accounts, best first.
    Ranked(Vec<AccountRef>),
    /// Nobody suits now: ask again after this long.
    WaitMs(u32),
    /// Refuse the request.
    Refuse(Rejection),
    /// No opinion: the built-in ranking decides.
    Delegate,
}

/// A policy's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct RankDecision {
    /// What to do.
    pub action: Action,
    /// One score per candidate in the order given (higher is better, NaN = not considered), or empty.
    pub scores: Vec<f64>,
    /// One sentence: why the first is first.
    pub reason: String,
}

/// Why a policy gave no answer. The caller falls back to the built-in ranking and says so in the decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The guest trapped or the script threw.
    #[error("failed: {0}")]
    Failed(String),
    /// It used up its time or operations.
    #[error("exceeded its time limit: {0}")]
    TimedOut(String),
    /// All of its instances were busy for too long.
    #[error("no instance was free")]
    Saturated,
    /// It answered something that cannot be carried out.
    #[error("answered something invalid: {0}")]
    InvalidOutput(String),
}

impl PolicyError {
    /// Bounded label for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::TimedOut(_) => "timed_out",
            Self::Saturated => "saturated",
            Self::InvalidOutput(_) => "invalid_output",
        }
    }
}

/// In which language a policy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyLanguage {
    /// Compiled into the gateway.
    BuiltIn,
    /// A Rhai script.
    Rhai,
    /// A WebAssembly component.
    Wasm,
}

impl PolicyLanguage {
    /// The word used in configuration and the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::BuiltIn => "builtin",
            Self::Rhai => "rhai",
            Self::Wasm => "wasm",
        }
    }
}

/// Which policy decided, precisely enough to find it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its name (`usage-balanced` …).
    pub name: String,
    /// Its language.
    pub language: PolicyLanguage,
    /// First 16 hexadecimal digits of the SHA-256 of its source or binary; the gateway's version for built-ins.
    pub digest: String,
}

impl PolicyVersion {
    /// What it is chosen by: language and name (`rhai:usage-balanced`).
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.language.label(), self.name)
    }
}

/// Ranks candidates. Implemented by the built-in, the Rhai host and the WASM host.
pub trait RankingPolicy: Send + Sync {
    /// Which policy this is.
    fn version(&self) -> &PolicyVersion;

    /// Answers one question. Runs inline on the request path, so an implementation bounds its own time
    /// (5 ms) and memory; it never blocks on IO.
    ///
    /// # Errors
    /// The policy failed, ran out of time, or gave no usable answer; the caller falls back.
    fn rank(&self, roster: &Arc<Roster>, input: &Arc<RankInput>) -> Result<RankDecision, PolicyError>;
}
