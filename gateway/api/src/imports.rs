//! Bringing accounts in from text, and taking them out.

use serde::{Deserialize, Serialize};

/// What a text is said to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportFormat {
    /// Found out from the text.
    #[default]
    Auto,
    /// A Codex `auth.json`, or a list of them.
    AuthJson,
    /// Refresh tokens, one a line or in JSON.
    RefreshTokens,
    /// Access tokens, one a line or in JSON; refresh tokens beside them are left out.
    AccessTokens,
    /// An export of codex-lb.
    CodexLb,
    /// An export of codex2api.
    #[serde(rename = "codex2api")]
    Codex2Api,
    /// Our own export.
    Switchyard,
}

/// `POST /accounts/import`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The text: at most 32 MiB and 20,000 entries.
    pub text: String,
    /// What it is.
    #[serde(default)]
    pub format: ImportFormat,
    /// What to call what is added, instead of the names in the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// Also take tokens that are older than those stored.
    #[serde(default)]
    pub replace: bool,
}

/// What happened to an entry, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportRowOutcome {
    /// A new account.
    Added,
    /// The seat was known; its tokens were replaced.
    Updated,
    /// It is there already.
    Duplicate,
    /// It was not taken.
    Skipped,
    /// It should have been taken and storage refused.
    Failed,
}

/// Whether the seat of an entry is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportSeat {
    /// An account has it.
    Known,
    /// Nobody has it yet.
    New,
    /// The entry names none.
    Unnamed,
}

/// One entry of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRowView {
    /// Where it stood (`line 3`, `entry 2`, `the text`).
    pub place: String,
    /// What its account is called, or would be.
    pub name: Option<String>,
    /// `codex`, `openai` …
    pub kind: Option<String>,
    /// `plus`, `pro` …
    pub plan: Option<String>,
    /// Whether its seat is known.
    pub seat: ImportSeat,
    /// What happened, or would.
    pub outcome: ImportRowOutcome,
    /// Why, for outcomes that need a word. Never holds a token.
    pub detail: Option<String>,
    /// The account, when there is one.
    pub account_id: Option<String>,
}

/// The answer to `POST /accounts/import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// One row for each entry, in their order.
    pub rows: Vec<ImportRowView>,
}

/// What an export is written as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportFormat {
    /// Our own: everything about every account.
    #[default]
    Switchyard,
    /// The `auth.json` of the Codex CLI, for one account.
    AuthJson,
}

/// `POST /accounts/export`. The answer is the text itself, tokens included.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// Which accounts; empty when `all` is set.
    #[serde(default)]
    pub ids: Vec<String>,
    /// All of them.
    #[serde(default)]
    pub all: bool,
    /// What it is written as.
    #[serde(default)]
    pub format: ExportFormat,
    /// The admin password once more: an open browser is not enough to take tokens out.
    pub password: String,
}
