//! What is known of an account when it enters the pool or changes: who it is, and what the operator decided about it.
//!
//! Refuses: secrets. Header overrides, proxies and tokens stay with those who send.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway_domain::{AccountId, AccountSettings, Dialect, QuotaSnapshot, RoutingPreference, Timestamp};

use crate::Preference;

/// Requests one account carries at once, unless the operator says otherwise.
pub const DEFAULT_MAX_CONCURRENCY: u32 = 64;

/// Whether the operator and the sign-in let an account be used at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It may be used.
    Active,
    /// The operator set it aside.
    Paused,
    /// Its owner must sign in again; the upstream's code says why.
    SignInNeeded(String),
}

/// Whether there is a way to an account's upstream. It is never sent another way than the one it was told to take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Way {
    /// There is.
    #[default]
    Open,
    /// The egress proxy that it is told to take is switched off or gone.
    Off,
    /// Its egress proxy does not work.
    Down(Arc<DownProxy>),
}

/// An egress proxy that does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownProxy {
    /// What the operator calls it.
    pub name: String,
    /// Since when.
    pub since: Timestamp,
}

/// Who an account is.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its id.
    pub id: AccountId,
    /// The operator's name for it.
    pub label: String,
    /// The account kind's word.
    pub provider: String,
    /// Its plan, empty when unknown.
    pub plan: String,
    /// May it be used.
    pub availability: Availability,
    /// Windows from the last run, if any were stored.
    pub quota: Option<(QuotaSnapshot, Timestamp)>,
}

/// What the operator decided about an account, as far as choosing is concerned.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberSettings {
    /// The groups it belongs to.
    pub groups: BTreeSet<String>,
    /// Words to find it by.
    pub tags: BTreeSet<String>,
    /// Its share when policies weigh accounts.
    pub weight: f64,
    /// A higher one goes before every lower one.
    pub priority: i32,
    /// Spent first, or spared.
    pub preference: Preference,
    /// Most requests at once; [`DEFAULT_MAX_CONCURRENCY`] otherwise.
    pub max_concurrency: Option<u32>,
    /// The only models it may serve; all when empty. A trailing `*` matches the rest.
    pub allowed_models: BTreeSet<String>,
    /// The dialects its upstream speaks; all when empty.
    pub serves: BTreeSet<Dialect>,
    /// It serves everything that it can.
    pub pinned: bool,
    /// Relative price of a token; NaN when unknown.
    pub cost: f64,
    /// Whose seat it is: what switches off a workspace concerns all of its seats.
    pub workspace: Option<String>,
}

impl Default for MemberSettings {
    fn default() -> Self {
        Self::from(&AccountSettings::default())
    }
}

impl From<&AccountSettings> for MemberSettings {
    fn from(settings: &AccountSettings) -> Self {
        Self {
            groups: settings.groups.clone(),
            tags: settings.tags.clone(),
            weight: settings.weight,
            priority: settings.priority,
            preference: match settings.preference {
                RoutingPreference::BurnFirst => Preference::BurnFirst,
                RoutingPreference::Normal => Preference::Normal,
                RoutingPreference::Preserve => Preference::Preserve,
            },
            max_concurrency: settings.max_concurrency,
            allowed_models: settings.allowed_models.clone(),
            serves: settings.dialects.clone(),
            pinned: false,
            cost: f64::NAN,
            workspace: None,
        }
    }
}

/// An account with the operator's settings, as it enters the pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Enrolment {
    /// Who it is.
    pub member: Member,
    /// What the operator decided.
    pub settings: MemberSettings,
}
