//! Policies as text and what recorded traffic says about them: source, history, check, dry run, replay.

use serde::{Deserialize, Serialize};

/// `GET /policies/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDetail {
    /// The row.
    pub policy: crate::PolicyView,
    /// Its text; none for the built-in and for components.
    pub source: Option<String>,
    /// `shipped` or `folder`, when it has a text.
    pub origin: Option<String>,
    /// The digests of earlier versions since the start, the latest first.
    pub history: Vec<String>,
}

/// `POST /policies/check`: a text that was not saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDraft {
    /// What it would be called; its cases and modules are looked for under it.
    pub name: String,
    /// The text of the script.
    pub source: String,
}

/// One step of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStepView {
    /// `compile`, `trial`, `corpus`, `test test_…`, `case ….json`.
    pub step: String,
    /// `passed`, `skipped` or `failed`.
    pub outcome: String,
    /// What is wrong, or why there was nothing to do.
    pub message: Option<String>,
    /// The kind of mistake (`syntax`, `limit` …).
    pub kind: Option<String>,
    /// Counting from 1.
    pub line: Option<u32>,
    /// Counting from 1.
    pub column: Option<u32>,
    /// The imported module that the place is in.
    pub module: Option<String>,
    /// The line itself, when it is one of the text that was sent.
    pub source_line: Option<String>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChecked {
    /// Whether nothing failed.
    pub passed: bool,
    /// The digest it would serve under, when it compiles.
    pub digest: Option<String>,
    /// The steps in their order.
    pub steps: Vec<CheckStepView>,
}

/// `POST /policies/dry-run`: checks a text that was not saved and decides recorded traffic with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DryRun {
    /// What it would be called.
    pub name: String,
    /// The text of the script.
    pub source: String,
    /// The id of a policy to compare with; without one, with what was recorded.
    #[serde(default)]
    pub against: Option<String>,
    /// How many of the newest recorded decisions; all of them unless said.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// What a dry run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DryRunView {
    /// The check.
    pub check: PolicyChecked,
    /// What it would have decided; none when it does not load or nothing is recorded.
    pub replay: Option<ReplayView>,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplaySideView {
    /// Decisions that the built-in had to make.
    pub fallbacks: u64,
    /// Of these, those because the policy failed.
    pub failures: u64,
    /// Decisions that chose an account.
    pub sent: u64,
    /// Conversations that changed their account.
    pub moved_sessions: u64,
    /// How often they did.
    pub moves: u64,
    /// Mean relative price of a token on the chosen accounts.
    pub mean_cost: Option<f64>,
    /// Prompt caches that would be paid again, in prompts.
    pub caches_lost: f64,
    /// First choices by account name, the most chosen first.
    pub accounts: Vec<(String, u64)>,
}

/// A decision that came out differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayDifferenceView {
    /// The request.
    pub request_id: String,
    /// Who was chosen on the other side.
    pub was: String,
    /// Why.
    pub was_reason: String,
    /// Who is chosen now.
    pub is: String,
    /// Why.
    pub is_reason: String,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayView {
    /// The policy that decided again, `rhai:name`.
    pub policy: String,
    /// Its digest.
    pub digest: String,
    /// What it is compared with: a policy, or `recorded`.
    pub against: String,
    /// Decisions made again.
    pub decisions: u64,
    /// Decisions that were left out for want of time.
    pub left_out: u64,
    /// Conversations among them.
    pub sessions: u64,
    /// Decisions that this very version made when they were recorded.
    pub own: u64,
    /// Of these, those that came out the same bit for bit.
    pub reproduced: u64,
    /// Decisions with the same first choice.
    pub same_first: u64,
    /// Decisions with the same order.
    pub same_order: u64,
    /// Decisions that are the same bit for bit.
    pub same_bits: u64,
    /// The policy.
    pub now: ReplaySideView,
    /// What it is compared with.
    pub then: ReplaySideView,
    /// All decisions together.
    pub total_ms: f64,
    /// Half of the decisions took no longer.
    pub median_us: f64,
    /// Ninety-nine of a hundred took no longer.
    pub p99_us: f64,
    /// Half of the recorded ones took no longer, when they were made.
    pub recorded_median_us: f64,
    /// The first of its own that were not reproduced.
    pub not_reproduced: Vec<ReplayDifferenceView>,
    /// The first that went elsewhere.
    pub differences: Vec<ReplayDifferenceView>,
}
