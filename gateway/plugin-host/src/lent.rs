//! What the operator lent one plugin, shared by all of its instances: its log, its counters, its store, its secrets,
//! its way out. Bounded, each of them; what is not lent is not here.

mod counters;
mod kv;
mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use gateway_domain::Secret;

pub(crate) use counters::Counters;
pub(crate) use kv::{KvRefusal, KvStore};
pub(crate) use log::Log;
pub use log::{LogLevel, LogLine};

use crate::grants::{Capability, Grants};
use crate::outbound::{self, Destination, Outbound, OutboundError, OutboundRequest, OutboundResponse};

/// All of it.
pub(crate) struct Lent {
    pub(crate) log: Log,
    pub(crate) counters: Counters,
    pub(crate) kv: KvStore,
    pub(crate) secrets: BTreeMap<String, Secret>,
    destinations: Vec<Destination>,
    way_out: Option<Arc<dyn Outbound>>,
}

impl Lent {
    /// What is in the grants and may be used.
    pub(crate) fn new(
        plugin: &str,
        grants: &Grants,
        held: &BTreeSet<Capability>,
        way_out: Option<Arc<dyn Outbound>>,
    ) -> Self {
        let holds = |capability| held.contains(&capability);
        Self {
            log: Log::new(plugin),
            counters: Counters::default(),
            kv: KvStore::new(grants.kv),
            secrets: if holds(Capability::Secrets) { grants.secrets.clone() } else { BTreeMap::new() },
            destinations: if holds(Capability::HttpOut) { grants.destinations.clone() } else { Vec::new() },
            way_out: way_out.filter(|_| holds(Capability::HttpOut)),
        }
    }

    /// What a component that may reach nothing has, while it is admitted.
    pub(crate) fn nothing(plugin: &str) -> Self {
        Self::new(plugin, &Grants::default(), &BTreeSet::new(), None)
    }

    pub(crate) fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let Some(way_out) = &self.way_out else {
            return Err(OutboundError::Denied("this gateway sends no requests for plugins".to_owned()));
        };
        way_out.send(outbound::check(&self.destinations, request)?)
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent")
    }
}
