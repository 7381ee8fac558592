//! Trying the egress proxies that accounts leave through: one that does not answer closes the way of its accounts until
//! it does. A probe asks the upstream what costs nothing, without anybody's token.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gateway_domain::ProxyId;

use super::{ROUND, Rounds};
use crate::Gateway;

/// Probes at once.
const AT_ONCE: usize = 16;
/// The longest one probe may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// A request that failed asks for a probe at once; two such rounds are at least this far apart.
const BREATH: Duration = Duration::from_millis(100);

/// Runs rounds until the gateway stops. A probe that hangs holds up nobody else's.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut rounds = Rounds::new(&gateway, ROUND);
    let mut running = FuturesUnordered::new();
    let mut busy: BTreeSet<ProxyId> = BTreeSet::new();
    loop {
        tokio::select! {
            next = rounds.next() => if next.is_none() { return },
            () = gateway.egress.hurried() => tokio::time::sleep(BREATH).await,
            Some(done) = running.next() => {
                busy.remove(&done);
                continue;
            }
        }
        let due = gateway.egress.due(&gateway.egress_proxies(), &gateway.proxies_in_use(), gateway.now());
        for id in due {
            if busy.len() < AT_ONCE && busy.insert(id.clone()) {
                running.push(probe(&gateway, id));
            }
        }
    }
}

async fn probe(gateway: &Gateway, id: ProxyId) -> ProxyId {
    let late = || Err(format!("no answer within {} s", PATIENCE.as_secs()));
    let proxies = gateway.egress_proxies();
    if let Some(proxy) = proxies.iter().find(|proxy| proxy.id == id) {
        let probing = gateway.proxy_probe.probe(proxy.url.clone());
        let found = tokio::time::timeout(PATIENCE, probing).await.unwrap_or_else(|_| late());
        gateway.proxy_probed(&id, found);
    }
    id
}
