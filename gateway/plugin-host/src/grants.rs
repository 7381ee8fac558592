//! What a component may reach, and what it asks for. Nothing is granted by default: a component reaches what its
//! manifest asks for *and* the operator granted, and an unsigned one less than that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use gateway_domain::Secret;
use serde::{Deserialize, Serialize};

use crate::manifest::Manifest;
use crate::outbound::Destination;

/// One capability: one interface a component may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Lines for the operator.
    Logging,
    /// Counters of its own.
    Metrics,
    /// A small store in memory.
    Kv,
    /// Texts the operator named.
    Secrets,
    /// Requests to listed destinations.
    HttpOut,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Logging, Self::Metrics, Self::Kv, Self::Secrets, Self::HttpOut];

    /// The name of its interface, which is the word used everywhere.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Logging => "logging",
            Self::Metrics => "metrics",
            Self::Kv => "kv",
            Self::Secrets => "secrets",
            Self::HttpOut => "http-out",
        }
    }

    /// Whether only a signed component may have it, until the operator raises it.
    #[must_use]
    pub const fn needs_trust(self) -> bool {
        matches!(self, Self::Secrets | Self::HttpOut)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// How much a component may keep in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvQuota {
    /// Entries.
    pub max_keys: usize,
    /// Keys and values together.
    pub max_bytes: usize,
}

impl Default for KvQuota {
    fn default() -> Self {
        Self { max_keys: 1_000, max_bytes: 1024 * 1024 }
    }
}

/// What the operator lends one component.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// The interfaces.
    pub capabilities: BTreeSet<Capability>,
    /// How much it may store.
    pub kv: KvQuota,
    /// The secrets it may read, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Where it may send requests.
    pub destinations: Vec<Destination>,
}

/// What a component asks for; asking is not having.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asks {
    /// The interfaces.
    pub capabilities: BTreeSet<Capability>,
    /// Secrets, by name.
    pub secrets: BTreeSet<String>,
    /// Destinations, as its manifest writes them.
    pub destinations: Vec<String>,
}

impl Asks {
    /// What a manifest asks for.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            capabilities: manifest.wants.clone(),
            secrets: manifest.secrets.clone(),
            destinations: manifest.destinations.clone(),
        }
    }
}

/// How far a component is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trust {
    /// It came with the gateway.
    Shipped,
    /// Its signature fits a key of the operator's.
    Signed,
    /// Nobody signed it, and the operator took responsibility for it.
    Raised,
    /// Nobody vouches for it.
    Unsigned,
}

impl Trust {
    /// The word used in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Signed => "signed",
            Self::Raised => "raised",
            Self::Unsigned => "unsigned",
        }
    }
}

impl Grants {
    /// What is left of the grants for a component that is trusted this far.
    pub(crate) fn held_by(&self, trust: Trust) -> BTreeSet<Capability> {
        let lent = |capability: &Capability| trust != Trust::Unsigned || !capability.needs_trust();
        self.capabilities.iter().copied().filter(lent).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_by_default_and_secrets_and_network_need_trust() {
        assert!(Grants::default().held_by(Trust::Shipped).is_empty());
        let all = Grants { capabilities: Capability::ALL.into(), ..Grants::default() };
        let harmless: BTreeSet<_> = [Capability::Logging, Capability::Metrics, Capability::Kv].into();
        assert_eq!(all.held_by(Trust::Unsigned), harmless);
        for trusted in [Trust::Shipped, Trust::Signed, Trust::Raised] {
            assert_eq!(all.held_by(trusted), Capability::ALL.into(), "{}", trusted.label());
        }
    }
}
