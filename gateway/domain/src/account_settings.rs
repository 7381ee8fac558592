//! What an operator decides about one account. Facts that the upstream tells live elsewhere.
//!
//! Stored as one sealed document: header overrides may carry secrets, and a field that a newer gateway adds must
//! survive an older one that does not know it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Dialect, ProxyId, Secret};

/// Whether the operator wants an account spent first or spared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutingPreference {
    /// Before the others.
    BurnFirst,
    /// Like the others.
    #[default]
    Normal,
    /// Only when nobody else can serve.
    Preserve,
}

/// How an account reaches its upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "via", rename_all = "snake_case")]
pub enum Egress {
    /// Through the proxy of its first group that has one; without one, straight.
    #[default]
    Inherit,
    /// Straight, whatever its groups say.
    Direct,
    /// Through this proxy and no other way.
    Proxy {
        /// Which.
        proxy: ProxyId,
    },
}

/// What the operator decided about one account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountSettings {
    /// For people.
    pub notes: String,
    /// The groups it belongs to.
    pub groups: BTreeSet<String>,
    /// Words to find it by.
    pub tags: BTreeSet<String>,
    /// Its share when strategies weigh accounts; above 0.
    pub weight: f64,
    /// A higher one goes before every lower one.
    pub priority: i32,
    /// Spent first, or spared.
    pub preference: RoutingPreference,
    /// Most requests at once; the pool's default otherwise.
    pub max_concurrency: Option<u32>,
    /// The only models it may serve; all when empty. A trailing `*` matches the rest.
    pub allowed_models: BTreeSet<String>,
    /// Headers that replace or join those sent upstream.
    #[serde(with = "exposed")]
    pub headers: BTreeMap<String, Secret>,
    /// How it reaches its upstream.
    pub egress: Egress,
    /// Where its upstream is, for kinds that have an address of their own.
    pub base_url: Option<String>,
    /// The dialects its upstream speaks, for kinds that differ; empty: not known yet.
    pub dialects: BTreeSet<Dialect>,
    /// The `auth.json` of a Codex CLI that shares its tokens.
    pub co_owned: Option<PathBuf>,
    /// Whether a window that has reset is started again with a tiny request.
    pub warm_up: bool,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self {
            notes: String::new(),
            groups: BTreeSet::new(),
            tags: BTreeSet::new(),
            weight: 1.0,
            priority: 0,
            preference: RoutingPreference::Normal,
            max_concurrency: None,
            allowed_models: BTreeSet::new(),
            headers: BTreeMap::new(),
            egress: Egress::Inherit,
            base_url: None,
            dialects: BTreeSet::new(),
            co_owned: None,
            warm_up: false,
        }
    }
}

impl AccountSettings {
    /// Whether it may serve a model.
    #[must_use]
    pub fn allows(&self, model: &str) -> bool {
        self.allowed_models.is_empty()
            || self.allowed_models.iter().any(|allowed| match allowed.strip_suffix('*') {
                Some(prefix) => model.starts_with(prefix),
                None => model == allowed,
            })
    }
}

/// Secrets inside a document that is sealed as a whole before it is stored.
mod exposed {
    use super::{BTreeMap, Secret};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        headers: &BTreeMap<String, Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(headers.iter().map(|(name, value)| (name, value.expose())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Secret>, D::Error> {
        let plain = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(plain.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
    }
}

/// One way out to the upstreams.
#[derive(Debug, Clone, PartialEq)]
pub struct EgressProxy {
    /// Our id.
    pub id: ProxyId,
    /// What the operator calls it; unique.
    pub name: String,
    /// `http://`, `https://`, `socks5://` or `socks5h://`, user and password included.
    pub url: Secret,
    /// Whether it may be used.
    pub enabled: bool,
    /// Groups whose accounts leave through it.
    pub groups: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_allowed_by_name_or_prefix() {
        let mut settings = AccountSettings::default();
        assert!(settings.allows("anything"));
        settings.allowed_models = ["gpt-5.5".to_owned(), "o4*".to_owned()].into();
        for (model, allowed) in [("gpt-5.5", true), ("gpt-5.5-mini", false), ("o4", true), ("o4-mini", true)]
        {
            assert_eq!(settings.allows(model), allowed, "{model}");
        }
    }
}
