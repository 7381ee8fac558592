//! One upstream credential: who it is, what state it is in, and the tokens that open it.

use serde::{Deserialize, Serialize};

use crate::{AccountId, AccountSettings, Secret, Timestamp};

/// What kind of upstream an account opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountKind {
    /// A ChatGPT sign-in as Codex makes it (OAuth, rotating refresh token).
    Codex,
    /// The OpenAI API with a key.
    #[serde(rename = "openai")]
    OpenAi,
    /// Any server that speaks a dialect of OpenAI, at its own address, with or without a key.
    #[serde(rename = "openai-compatible")]
    OpenAiCompatible,
    /// The Anthropic API with a key.
    Anthropic,
    /// Another gateway: a Switchyard or a codexlb.
    Gateway,
}

impl AccountKind {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 5] =
        [Self::Codex, Self::OpenAi, Self::OpenAiCompatible, Self::Anthropic, Self::Gateway];

    /// The word used in the API, the database and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::OpenAi => "openai",
            Self::OpenAiCompatible => "openai-compatible",
            Self::Anthropic => "anthropic",
            Self::Gateway => "gateway",
        }
    }

    /// The inverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Who the account is upstream. One ChatGPT workspace may hold several seats, so identity is the workspace
/// *and* the user, never the token text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountIdentity {
    /// `chatgpt_account_id`: the workspace; sent as a header with every request.
    pub workspace_id: Option<String>,
    /// `chatgpt_user_id`: the seat.
    pub user_id: Option<String>,
    /// The e-mail address in the token. Shown to the operator, never logged.
    pub email: Option<String>,
}

impl AccountIdentity {
    /// The key by which a second import of the same seat is recognised, if the token named one.
    #[must_use]
    pub fn seat(&self) -> Option<String> {
        let workspace = self.workspace_id.as_deref()?;
        let user = self.user_id.as_deref().or(self.email.as_deref())?;
        Some(format!("{workspace}/{user}"))
    }
}

/// Why an account needs its owner to sign in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInReason(pub String);

/// The durable state of an account. Passing troubles (cooldowns, health) live in the scheduler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AccountState {
    /// May be scheduled.
    Active,
    /// The operator set it aside.
    Paused,
    /// Its tokens are dead for good; only a new sign-in helps.
    SignInNeeded {
        /// The upstream's error code.
        reason: SignInReason,
    },
}

/// One account, without its tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Our id.
    pub id: AccountId,
    /// What it opens.
    pub kind: AccountKind,
    /// What the operator calls it; unique.
    pub name: String,
    /// Who it is upstream.
    pub identity: AccountIdentity,
    /// The plan last seen (`plus`, `pro` …).
    pub plan: Option<String>,
    /// May it be used.
    pub state: AccountState,
    /// What the operator decided about it.
    pub settings: AccountSettings,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Counts the token sets an account has had. A write names the version it replaces, so that a late, stale
/// write can never overwrite a newer sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialVersion(pub i64);

/// The tokens of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Sent as `Authorization: Bearer`.
    pub access_token: Secret,
    /// Single use: spending it yields the next one.
    pub refresh_token: Option<Secret>,
    /// Who signed in, as a JWT.
    pub id_token: Option<Secret>,
    /// When the access token ends, if it says so.
    pub expires_at: Option<Timestamp>,
    /// When these tokens were obtained.
    pub refreshed_at: Timestamp,
}
