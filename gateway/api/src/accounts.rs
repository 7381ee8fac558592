//! Accounts as the operator sees them.

use serde::{Deserialize, Serialize};

/// What an account can do now, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStateView {
    /// Nothing speaks against it.
    Healthy,
    /// Recent errors; still used.
    Degraded,
    /// Coming back, one request at a time.
    Probing,
    /// Left alone until its cooldown ends.
    Cooling,
    /// Set aside by the operator.
    Paused,
    /// Its owner must sign in again.
    SignInNeeded,
}

impl AccountStateView {
    /// Whether requests go there now.
    #[must_use]
    pub const fn serves(self) -> bool {
        match self {
            Self::Healthy | Self::Degraded | Self::Probing => true,
            Self::Cooling | Self::Paused | Self::SignInNeeded => false,
        }
    }
}

/// One quota window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowView {
    /// `5 h`, `weekly`, `monthly` or a length.
    pub label: String,
    /// Length in seconds.
    pub seconds: u64,
    /// Share used now.
    pub used: f64,
    /// When it resets.
    pub resets_at: Option<i64>,
}

/// Why an account is left alone, and until when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CooldownView {
    /// The error class (`usage_limit_reached` …).
    pub cause: String,
    /// Where the end comes from (`upstream reset`, `retry-after`, `backoff` …).
    pub source: String,
    /// The model it is limited to, or the whole account.
    pub model: Option<String>,
    /// When it ends.
    pub until: i64,
}

/// One row of the account table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountView {
    /// Its id.
    pub id: String,
    /// The operator's name for it.
    pub name: String,
    /// `codex` …
    pub kind: String,
    /// `plus`, `pro` …
    pub plan: Option<String>,
    /// Who it is upstream.
    pub email: Option<String>,
    /// What it can do now.
    pub state: AccountStateView,
    /// One sentence for states that need one.
    pub state_reason: Option<String>,
    /// Known windows, the shortest first.
    pub windows: Vec<WindowView>,
    /// Running cooldowns.
    pub cooldowns: Vec<CooldownView>,
    /// The groups it belongs to.
    pub groups: Vec<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Whether it serves everything that it can.
    pub pinned: bool,
    /// Requests running now.
    pub in_flight: u32,
    /// Requests since the gateway started.
    pub requests: u64,
    /// Failed ones on the account's side.
    pub failures: u64,
    /// Smoothed time to the first event.
    pub ttft_ms: Option<f64>,
    /// When it was last picked.
    pub last_used_at: Option<i64>,
}

/// The most accounts in one page of `GET /accounts`.
pub const MAX_ACCOUNTS_PAGE: usize = 500;

/// The question of `GET /accounts`: accounts by name, the page that begins at `offset`. Without a `limit` it is all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountsQuery {
    /// How many come before the page.
    #[serde(default)]
    pub offset: usize,
    /// How many the page has, at most [`MAX_ACCOUNTS_PAGE`]. One that has fewer is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// `GET /accounts/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountDetail {
    /// The row.
    pub account: AccountView,
    /// What the operator decided.
    pub settings: crate::AccountSettingsView,
    /// The workspace (`chatgpt_account_id`).
    pub workspace_id: Option<String>,
    /// When it was added.
    pub created_at: i64,
    /// When the access token ends.
    pub token_expires_at: Option<i64>,
    /// When the tokens were last refreshed.
    pub refreshed_at: Option<i64>,
    /// When the windows were last told by the upstream.
    pub quota_seen_at: Option<i64>,
    /// Reset credits that can be redeemed, as last told.
    #[serde(default)]
    pub reset_credits: Option<u32>,
    /// Tokens served since the gateway started.
    pub tokens: crate::TokenTotals,
    /// The last decisions that picked it, the newest first.
    pub recent: Vec<crate::DecisionSummary>,
}

/// `PATCH /accounts/{id}`; a field left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountPatch {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `true` sets it aside, `false` takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// What else is decided about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<crate::AccountSettingsPatch>,
}

/// `POST /accounts`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportAccounts {
    /// The text of a Codex `auth.json`, nested or flat.
    pub auth_json: String,
    /// What to call it; the e-mail address or a number otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// A new account.
    Added,
    /// The seat was known; its tokens were replaced.
    Updated,
}

/// The answer to `POST /accounts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportResult {
    /// What happened.
    pub outcome: ImportOutcome,
    /// The account.
    pub account: AccountView,
}

/// `POST /accounts/{id}/redeem`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Redeemed {
    /// `reset`, `already_redeemed` (by the same wish), `nothing_to_reset` or `no_credit`.
    pub outcome: String,
    /// How many windows are empty again, if the upstream said.
    pub windows_reset: Option<u32>,
    /// The account afterwards.
    pub detail: AccountDetail,
}
