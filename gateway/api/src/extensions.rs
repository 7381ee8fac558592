//! Extensions: what is installed, what was decided about each, how they fare, and what is taken in.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::CheckStepView;
use crate::account_settings::given;

/// `GET /extensions`: one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtensionView {
    /// `wasm:redactor`, `rhai:header-tags`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `wasm` or `rhai`.
    pub language: String,
    /// `shipped` or `folder`.
    pub origin: String,
    /// Its own word for its version; empty when it has none.
    pub release: String,
    /// First digits of its digest; empty while a shipped one is not loaded.
    pub digest: String,
    /// One sentence.
    pub summary: String,
    /// What it is called for, `schedule` among it.
    pub hooks: Vec<String>,
    /// Whether it serves; of one that only ranks: whether it is the one that decides.
    pub enabled: bool,
    /// Where it is attached, after what was decided.
    pub places: Vec<PlaceView>,
    /// Who answers for it: `shipped`, `signed`, `raised`, `unsigned`, or `folder` for a script, which reaches nothing.
    pub trust: String,
    /// `pooled`, or `fresh` when each call has an instance of its own.
    pub isolation: String,
    /// Whether it is asked; none while it is not loaded.
    pub breaker: Option<BreakerView>,
    /// The calls of each hook that was called.
    pub calls: Vec<HookCallsView>,
    /// What it asks for.
    pub asks: LendingView,
    /// The capabilities it was lent.
    pub lent: BTreeSet<String>,
    /// Why its file was not taken; what served before still does.
    pub refused: Option<ExtensionRefusedView>,
}

/// One place of an extension. An empty list leaves nobody out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceView {
    /// The hook.
    pub hook: String,
    /// Lower ones run first.
    pub order: i32,
    /// `enforce` or `monitor`.
    pub mode: String,
    /// What becomes of a request when it fails: `open`, `closed`, `fallback`.
    pub on_failure: String,
    /// Only these routes.
    pub routes: Vec<String>,
    /// Only client keys in these groups.
    pub groups: Vec<String>,
    /// Only these client keys.
    pub clients: Vec<String>,
    /// Only these asked models.
    pub models: Vec<String>,
}

/// Whether an extension is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerView {
    /// `closed`: it is; `open`: not for a while; `trying`: the next request tries.
    pub state: String,
    /// Failures in a row.
    pub failing: u32,
    /// What remains of the pause.
    pub pause_ms: Option<u64>,
}

/// The calls of one hook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookCallsView {
    /// Which.
    pub hook: String,
    /// All.
    pub calls: u64,
    /// Those without an answer.
    pub failures: u64,
    /// The mean time of one; rankings are timed in their decisions.
    pub mean_us: Option<f64>,
}

/// What is asked for, or lent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LendingView {
    /// Capabilities: `logging`, `metrics`, `kv`, `secrets`, `http-out`.
    pub grants: BTreeSet<String>,
    /// Secrets, by name; never their texts.
    pub secrets: BTreeSet<String>,
    /// Where requests may go.
    pub http_out: Vec<String>,
}

/// A file that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionRefusedView {
    /// The step of its admission that failed.
    pub step: String,
    /// Why, and what to do about it.
    pub message: String,
}

/// `GET /extensions/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtensionDetail {
    /// The row.
    pub extension: ExtensionView,
    /// What was decided; what is not is as it asks.
    pub decided: DecidedView,
    /// The configuration it runs with.
    pub config: Value,
    /// JSON Schema of its configuration; null when it has none.
    pub config_schema: Value,
    /// Its configuration unless somebody says otherwise.
    pub config_defaults: Value,
    /// Versions that are kept, the one that serves first.
    pub versions: Vec<ReleaseView>,
    /// The last calls without an answer, oldest first.
    pub failures: Vec<HookFailureView>,
    /// The last lines it wrote, oldest first.
    pub log: Vec<LogLineView>,
    /// Lines that were left out, because it writes too many.
    pub log_left_out: u64,
    /// Counters it keeps.
    pub counters: BTreeMap<String, f64>,
    /// What it did lately, the newest first.
    pub hits: Vec<ExtensionHitView>,
}

/// What the operator decided. Secrets are named, never shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DecidedView {
    /// Whether it serves.
    pub enabled: Option<bool>,
    /// Lower ones run first.
    pub order: Option<i32>,
    /// `enforce` or `monitor`.
    pub mode: Option<String>,
    /// `open`, `closed` or `fallback`.
    pub on_failure: Option<String>,
    /// Only these routes.
    pub routes: Option<Vec<String>>,
    /// Only client keys in these groups.
    pub groups: Option<Vec<String>>,
    /// Only these client keys.
    pub clients: Option<Vec<String>>,
    /// Only these asked models.
    pub models: Option<Vec<String>>,
    /// Its configuration.
    pub config: Option<Value>,
    /// What it is lent, of what it asks for.
    pub lent: LendingView,
    /// Whether the operator answers for it although nobody signed it.
    pub raised: bool,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseView {
    /// Its own word for it; empty when it has none.
    pub release: String,
    /// Its digest.
    pub digest: String,
    /// Whether it is the one that serves.
    pub serving: bool,
}

/// One call without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookFailureView {
    /// Counts them.
    pub number: u64,
    /// The hook.
    pub hook: String,
    /// `failed`, `timed_out`, `saturated`, `invalid_output`.
    pub kind: String,
    /// What the engine said.
    pub message: String,
}

/// One line that an extension wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLineView {
    /// Counts them.
    pub number: u64,
    /// `debug`, `info`, `warn`, `error`.
    pub level: String,
    /// The line.
    pub message: String,
}

/// `GET /extensions/hits?id=&limit=`: what an extension did to one request. No text of any prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionHitView {
    /// The request.
    pub request_id: String,
    /// When it arrived.
    pub at: i64,
    /// Who asked.
    pub client: String,
    /// What was done, and what its rules found.
    pub act: crate::ExtensionActView,
}

/// `PATCH /extensions/{id}`: what is left out stays; `null` gives it back to what the extension asks.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExtensionPatch {
    /// Whether it serves. One that only ranks is chosen by it, and let go of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub enabled: Option<Option<bool>>,
    /// Lower ones run first.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub order: Option<Option<i32>>,
    /// `enforce` or `monitor`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub mode: Option<Option<String>>,
    /// `open`, `closed` or `fallback`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub on_failure: Option<Option<String>>,
    /// Only these routes.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub routes: Option<Option<Vec<String>>>,
    /// Only client keys in these groups.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub groups: Option<Option<Vec<String>>>,
    /// Only these client keys.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub clients: Option<Option<Vec<String>>>,
    /// Only these asked models; `*` stands for any run of characters.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub models: Option<Option<Vec<String>>>,
    /// Its configuration.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub config: Option<Option<Value>>,
    /// All capabilities it is lent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<BTreeSet<String>>,
    /// All places it may send requests to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_out: Option<Vec<String>>,
    /// Secrets to set, or with `null` to take away; others stay.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Option<String>>,
    /// Whether the operator answers for it although nobody signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised: Option<bool>,
}

/// `POST /extensions` and `POST /extensions/check`: a component or a script, one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExtensionUpload {
    /// What it is to be called.
    pub name: String,
    /// The component, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The text of its manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The text of its signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The text of a Rhai script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether the operator answers for it although nobody signed it.
    pub raised: bool,
    /// Whether it serves; as decided before, or else it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// What a dry admission found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtensionChecked {
    /// Whether nothing failed.
    pub passed: bool,
    /// Its id, if it is taken in.
    pub id: String,
    /// Its own word for its version.
    pub release: String,
    /// The digest it would serve under.
    pub digest: Option<String>,
    /// What it is called for.
    pub hooks: Vec<String>,
    /// Who would answer for it.
    pub trust: Option<String>,
    /// `pooled` or `fresh`.
    pub isolation: Option<String>,
    /// What it asks for.
    pub asks: LendingView,
    /// JSON Schema of its configuration; null when it has none.
    pub config_schema: Value,
    /// The steps in their order, until one fails.
    pub steps: Vec<CheckStepView>,
}

/// `POST /extensions`, `POST /extensions/{id}/rollback`: what serves now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionPlaced {
    /// Its id.
    pub id: String,
    /// The version.
    pub version: ReleaseView,
}
