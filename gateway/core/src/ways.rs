//! The ways out of accounts in the pool: open, off or down, in step with the proxies and what is known of them.
//!
//! Refuses: sending anybody another way. A way that is closed makes the account wait, not go around.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gateway_domain::{AccountId, EgressProxy, Failure, FailureKind, ProxyId};
use gateway_scheduler::{DownProxy, Way as Reach};

use crate::Gateway;
use crate::destinations::Destinations;
use crate::egress::{Certainty, ProxyHealth, Turn};
use crate::ports::Way;

impl Gateway {
    /// What is known of an egress proxy.
    #[must_use]
    pub fn proxy_health(&self, id: &ProxyId) -> Option<ProxyHealth> {
        self.egress.health(id)
    }

    /// Whether an account with this way out can be reached.
    pub(crate) fn open_or_not(&self, way: Option<&Way>, proxies: &[EgressProxy]) -> Reach {
        let id = match way {
            None => return Reach::Off,
            Some(Way::Direct) => return Reach::Open,
            Some(Way::Proxy { id, .. }) => id,
        };
        let Some(since) = self.egress.down_since(id) else { return Reach::Open };
        let name = proxies.iter().find(|proxy| proxy.id == *id).map(|proxy| proxy.name.clone());
        Reach::Down(Arc::new(DownProxy { name: name.unwrap_or_default(), since }))
    }

    /// Works the ways of all accounts out anew: proxies changed.
    pub(crate) fn reset_ways(&self, destinations: &Destinations, proxies: &[EgressProxy]) {
        let mut pool = self.pool.lock();
        let members: Vec<_> = pool
            .members()
            .map(|slot| {
                let way = destinations.get(&slot.profile.id).map(|to| &to.way);
                (slot.profile.account, self.open_or_not(way, proxies))
            })
            .collect();
        for (account, way) in members {
            pool.set_way(account, way);
        }
    }

    /// What is known of a proxy holds for its address and for as long as it is switched on.
    pub(crate) fn forget_moved(&self, proxies: &[EgressProxy]) {
        for known in self.egress_proxies().iter() {
            let now = proxies.iter().find(|proxy| proxy.id == known.id);
            if now.is_none_or(|now| now.url != known.url || now.enabled != known.enabled) {
                self.egress.forget(&known.id);
            }
        }
    }

    /// The proxies that accounts leave through.
    pub(crate) fn proxies_in_use(&self) -> BTreeSet<ProxyId> {
        let through = |way: &Way| match way {
            Way::Direct => None,
            Way::Proxy { id, .. } => Some(id.clone()),
        };
        self.destinations().values().filter_map(|to| through(&to.way)).collect()
    }

    /// Takes in a probe's result.
    pub(crate) fn proxy_probed(&self, id: &ProxyId, found: Result<Duration, String>) {
        let turn = self.egress.probed(id, found, self.now());
        self.proxy_turned(id, turn);
        self.touch();
    }

    /// A request did not get through. Where no connection was made, the way is closed until the next probe gets through.
    pub(crate) fn not_sent(&self, way: &Way, failure: &Failure) {
        let (Way::Proxy { id, .. }, FailureKind::Unreachable) = (way, failure.kind) else { return };
        let sure = match failure.dispatch {
            gateway_domain::Dispatch::NotSent => Certainty::Connection,
            gateway_domain::Dispatch::Ambiguous | gateway_domain::Dispatch::Acknowledged => {
                Certainty::Perhaps
            }
        };
        let turn = self.egress.failed(id, sure, self.now());
        self.proxy_turned(id, turn);
    }

    fn proxy_turned(&self, id: &ProxyId, turn: Turn) {
        match turn {
            Turn::None => return,
            Turn::WentDown => {
                tracing::warn!(proxy.id = %id, "an egress proxy does not work; its accounts are skipped until it does");
            }
            Turn::CameBack => tracing::info!(proxy.id = %id, "an egress proxy works again"),
        }
        let destinations = self.destinations();
        let behind = |to: &Way| matches!(to, Way::Proxy { id: through, .. } if through == id);
        let accounts: Vec<(&AccountId, Reach)> = destinations
            .iter()
            .filter(|(_, to)| behind(&to.way))
            .map(|(account, to)| (account, self.open_or_not(Some(&to.way), &self.egress_proxies())))
            .collect();
        let mut pool = self.pool.lock();
        for (account, way) in accounts {
            if let Some(account) = pool.find(account) {
                pool.set_way(account, way);
            }
        }
        drop(pool);
        self.touch();
    }
}
