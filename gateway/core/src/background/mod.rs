//! Jobs that run beside the requests: writing settlements, renewing tokens, polling quotas and models, testing accounts
//! that come back and the proxies that accounts leave through. Each ends when the gateway stops; the writer first writes what is queued.
//!
//! Refuses: one job waiting for another. Each has its own pace and its own limit of what it does at once.

mod co_owned;
mod guardian;
mod maintain;
mod models;
mod observers;
mod probes;
mod proxies;
mod prune;
mod quota;
mod renewal;
mod settlements;
mod ties;
mod warm_up;

pub(crate) use quota::ask as ask_quota;
pub use settlements::MAX_QUEUED_SETTLEMENTS;

use std::sync::Arc;
use std::time::Duration;

use gateway_domain::AccountId;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::Gateway;
use crate::ports::{Ledger, SettlementRecord};

/// How often a job looks whether there is something to do.
const ROUND: Duration = Duration::from_secs(2);

/// Starts all jobs on the gateway's tracker.
pub fn start(gateway: &Arc<Gateway>, to_write: mpsc::Receiver<SettlementRecord>, ledger: Arc<dyn Ledger>) {
    let tracker = &gateway.tracker;
    let drained = gateway.drained.clone();
    tracker.spawn(settlements::write(to_write, ledger.clone(), drained, settlements::PACE));
    tracker.spawn(observers::run(gateway.clone()));
    tracker.spawn(maintain::run(gateway.clone()));
    tracker.spawn(renewal::run(gateway.clone()));
    tracker.spawn(guardian::run(gateway.clone()));
    tracker.spawn(quota::run(gateway.clone()));
    tracker.spawn(models::run(gateway.clone()));
    tracker.spawn(probes::run(gateway.clone()));
    tracker.spawn(proxies::run(gateway.clone()));
    tracker.spawn(co_owned::run(gateway.clone()));
    tracker.spawn(warm_up::run(gateway.clone()));
    tracker.spawn(ties::run(gateway.clone()));
    tracker.spawn(prune::run(gateway.clone(), ledger));
}

/// The rounds of one job.
struct Rounds {
    ticks: Interval,
    stopping: CancellationToken,
}

impl Rounds {
    fn new(gateway: &Gateway, every: Duration) -> Self {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, stopping: gateway.stopping.clone() }
    }

    /// Waits for the next round; `None` when the gateway stops.
    async fn next(&mut self) -> Option<()> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => None,
            _ = self.ticks.tick() => Some(()),
        }
    }

    /// Does a round's work, unless the gateway stops meanwhile.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => None,
            done = work => Some(done),
        }
    }
}

/// A share of a span that is always the same for one account, so that accounts that came together do not stay together.
fn spread(id: &AccountId, most: Duration) -> Duration {
    let sum = id.as_str().bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(sum % most)
}
