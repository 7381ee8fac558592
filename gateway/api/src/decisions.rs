//! Decisions: why a request went where it went.

use serde::{Deserialize, Serialize};

/// One row of a list of decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionSummary {
    /// The request; also the handle to the whole record.
    pub request_id: String,
    /// When it arrived.
    pub at: i64,
    /// The model asked for.
    pub model: String,
    /// The client key's label, or `local`.
    pub client: String,
    /// The id of the account that served it or was tried last.
    pub account_id: Option<String>,
    /// Its name.
    pub account_name: Option<String>,
    /// Why the first was first.
    pub reason: String,
    /// `running`, `completed`, or the label of the failure.
    pub outcome: String,
    /// HTTP status sent to the client, once known.
    pub status: Option<u16>,
    /// From arrival to the end.
    pub duration_ms: Option<f64>,
    /// How many accounts were tried.
    pub attempts: u32,
}

/// One candidate of one ranking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateView {
    /// Its account id.
    pub account_id: String,
    /// Its name.
    pub account_name: String,
    /// `healthy`, `degraded`, `probing`, `cooling` or `blocked`.
    pub health: String,
    /// Its place in the ranking, 1 is the first; none when it was not ranked.
    pub rank: Option<u32>,
    /// The policy's score, higher is better.
    pub score: Option<f64>,
    /// Requests running on it.
    pub in_flight: u32,
    /// Most at once.
    pub max_concurrency: u32,
    /// Share of the short window used.
    pub short_window_used: Option<f64>,
    /// Share of the long window used.
    pub long_window_used: Option<f64>,
    /// Until the short window resets.
    pub short_window_resets_in_ms: Option<u64>,
    /// Until the long window resets.
    pub long_window_resets_in_ms: Option<u64>,
    /// Until its cooldown ends.
    pub cooldown_ms: Option<u64>,
    /// Smoothed time to the first event.
    pub ttft_ms: Option<f64>,
    /// Smoothed share of failures.
    pub error_rate: f64,
    /// This conversation was served here last.
    pub session_affine: bool,
    /// Why it could not be asked at all, where there is more to say than its health.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// One try on one account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    /// The account.
    pub account_id: String,
    /// Its name.
    pub account_name: String,
    /// `completed`, `running`, or the label of the failure.
    pub outcome: String,
    /// The upstream's status, if it answered.
    pub upstream_status: Option<u16>,
    /// How the upstream was spoken to, once it answered: `http` or `websocket`.
    pub transport: Option<String>,
    /// From the arrival of the request to the start of this try.
    pub started_ms: f64,
    /// From the start of this try to its first event.
    pub first_event_ms: Option<f64>,
    /// The ranking that chose it: the index into [`DecisionView::rankings`].
    pub ranking: u32,
}

/// One ranking: what was asked and what the policy answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankingView {
    /// The policy that was asked.
    pub policy: PolicyView,
    /// The label of the policy's error when the built-in ranking had to step in.
    pub fallback: Option<String>,
    /// `ranked`, `wait`, `refuse` or `delegate`.
    pub action: String,
    /// One sentence.
    pub reason: String,
    /// How long the ranking took.
    pub took_us: f64,
    /// The clock it was given.
    pub now: i64,
    /// The seed it was given, as text (JSON numbers are not wide enough).
    pub seed: String,
    /// The sequence number it was given.
    pub seq: u64,
    /// Everyone considered, in the order of their rank, the unranked last.
    pub candidates: Vec<CandidateView>,
}

/// `GET /decisions/{request_id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionView {
    /// The row.
    pub summary: DecisionSummary,
    /// The route it came in by.
    pub route: String,
    /// How the client spoke: `http` or `websocket`.
    pub transport: String,
    /// Whether the client asked for a stream.
    pub streaming: bool,
    /// The conversation's key.
    pub session: Option<String>,
    /// Size of the decoded body.
    pub body_bytes: u64,
    /// Tokens, once the upstream told.
    pub usage: Option<crate::TokenTotals>,
    /// The body rules that changed something on the way (`store`, `input as list` …); empty = bytes untouched.
    pub edits: Vec<String>,
    /// The mappings and filters that had to do with it, in order.
    #[serde(default)]
    pub extensions: Vec<ExtensionActView>,
    /// The model that a mapping chose.
    #[serde(default)]
    pub mapped_to: Option<String>,
    /// What filters tagged it with: names and values.
    #[serde(default)]
    pub tags: Vec<(String, String)>,
    /// The rankings, in order.
    pub rankings: Vec<RankingView>,
    /// The tries, in order.
    pub attempts: Vec<AttemptView>,
}

/// What one mapping or filter did to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionActView {
    /// As what: `map-model`, `filter-request` or `filter-response`.
    pub hook: String,
    /// `wasm:redactor`.
    pub id: String,
    /// `redactor@0.1.0`.
    pub label: String,
    /// First digits of its digest.
    pub digest: String,
    /// `enforce`, or `monitor` when what it said was not carried out.
    pub mode: String,
    /// `passed`, `changed`, `answered`, `failed` or `refused`.
    pub act: String,
    /// Which kind of failure, when it failed.
    pub why: String,
    /// What its rules found: the rule, and how often.
    pub rules: Vec<(String, u32)>,
}

/// One policy that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyView {
    /// What it is chosen by (`builtin:usage-balanced`, `rhai:usage-balanced`, `wasm:headroom`).
    pub id: String,
    /// Its name.
    pub name: String,
    /// `builtin`, `rhai` or `wasm`.
    pub language: String,
    /// First digits of its digest.
    pub digest: String,
    /// Whether it decides now.
    pub active: bool,
}

/// `PUT /policy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyChoice {
    /// The [`PolicyView::id`] to switch to.
    pub id: String,
}
