//! Signing in to the dashboard, and the keys handed out to clients.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Where the visitor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// No password exists yet; a visitor from this machine may set it.
    SetupNeeded,
    /// No password exists yet and the visitor comes from elsewhere.
    SetupElsewhere,
    /// A password exists; the visitor has not given it.
    SignedOut,
    /// Signed in.
    SignedIn,
}

/// `GET /session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Where the visitor stands.
    pub state: SessionState,
    /// The gateway's version.
    pub version: String,
}

/// `POST /setup` and `POST /login`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// 8 to 1024 bytes.
    pub password: String,
}

/// `POST /keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientKeyCreate {
    /// Who it is for; shown in decisions and logs. 1 to 64 characters.
    pub label: String,
    /// The part of the pool that it may use.
    #[serde(default, skip_serializing_if = "KeyScopeView::is_everything")]
    pub scope: KeyScopeView,
}

/// The part of the pool that a client key may use: members of the groups, and the accounts. Nothing named: all of it.
/// Also the body of `PUT /keys/{id}/scope`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyScopeView {
    /// Names of groups.
    pub groups: BTreeSet<String>,
    /// Ids of accounts.
    pub accounts: BTreeSet<String>,
}

impl KeyScopeView {
    /// Whether it is all of the pool.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.groups.is_empty() && self.accounts.is_empty()
    }
}

/// The answer to `POST /keys`: the only time the key itself is shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct ClientKeyCreated {
    /// `sk-sy-…`
    pub key: String,
    /// What is kept of it.
    pub view: ClientKeyView,
}

/// One key we handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientKeyView {
    /// Its id.
    pub id: String,
    /// Who it is for.
    pub label: String,
    /// The first characters, to recognise it.
    pub hint: String,
    /// When it was made.
    pub created_at: i64,
    /// The part of the pool that it may use.
    #[serde(default)]
    pub scope: KeyScopeView,
}
