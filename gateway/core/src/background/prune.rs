//! Removing settlements that are older than the operator wants to keep them, in small batches: a database that is
//! busy removing a year in one go answers nobody.

use std::sync::Arc;
use std::time::Duration;

use gateway_domain::Timestamp;

use super::Rounds;
use crate::Gateway;
use crate::ports::{Ledger, StoreError};

/// The pause between two cleanings.
const EVERY: Duration = Duration::from_secs(24 * 3_600);
/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Settlements removed in one go.
const BATCH: u32 = 1_000;
/// The rest after each batch, for others.
const REST: Duration = Duration::from_millis(200);
/// The pause after the database refused.
const AGAIN: Duration = Duration::from_secs(600);

/// Cleans once a day, the first time after the start, until the gateway stops.
pub(super) async fn run(gateway: Arc<Gateway>, ledger: Arc<dyn Ledger>) {
    let Some(keep) = gateway.keep_settlements else { return };
    let mut rounds = Rounds::new(&gateway, LOOK);
    let mut next = gateway.now();
    while rounds.next().await.is_some() {
        let now = gateway.now();
        if now < next && next <= now.plus(EVERY) {
            continue;
        }
        match rounds.unless_stopped(clean(&*ledger, before(now, keep), REST)).await {
            None => return,
            Some(Ok(removed)) => {
                next = now.plus(EVERY);
                if removed > 0 {
                    tracing::info!(settlements = removed, "old settlements removed");
                }
            }
            Some(Err(error)) => {
                next = now.plus(AGAIN);
                tracing::warn!(%error, "old settlements could not be removed; will try again");
            }
        }
    }
}

/// What was settled before this goes.
fn before(now: Timestamp, keep: Duration) -> Timestamp {
    let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(keep))
}

async fn clean(ledger: &dyn Ledger, before: Timestamp, rest: Duration) -> Result<u64, StoreError> {
    let mut removed = 0;
    loop {
        let gone = ledger.prune(before, BATCH).await?;
        removed += gone;
        if gone < u64::from(BATCH) {
            return Ok(removed);
        }
        tokio::time::sleep(rest).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::SettlementRecord;
    use futures_util::future::BoxFuture;
    use parking_lot::Mutex;

    /// Settlements by their time in seconds.
    struct Old(Mutex<Vec<i64>>);

    impl Ledger for Old {
        fn append<'a>(&'a self, _: &'a [SettlementRecord]) -> BoxFuture<'a, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }
        fn prune(&self, before: Timestamp, limit: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
            Box::pin(async move {
                let mut kept = self.0.lock();
                let mut left = limit;
                let count = kept.len();
                kept.retain(|at| {
                    let goes = Timestamp::from_secs(*at) < before && left > 0;
                    left -= u32::from(goes);
                    !goes
                });
                Ok(u64::try_from(count - kept.len()).unwrap())
            })
        }
        fn newest(&self, _: u32) -> BoxFuture<'_, Result<Vec<SettlementRecord>, StoreError>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn used_by(&self, _: &str) -> BoxFuture<'_, Result<crate::ports::ClientUsage, StoreError>> {
            Box::pin(async { Ok(crate::ports::ClientUsage::default()) })
        }
    }

    #[tokio::test]
    async fn everything_too_old_goes_in_batches_and_nothing_else() {
        let ledger = Old(Mutex::new((0..3_500).collect()));
        let before = before(Timestamp::from_secs(10_000), Duration::from_secs(7_000));
        assert_eq!(clean(&ledger, before, Duration::ZERO).await, Ok(3_000));
        assert_eq!(*ledger.0.lock(), (3_000..3_500).collect::<Vec<_>>());
        assert_eq!(clean(&ledger, before, Duration::ZERO).await, Ok(0));
    }
}
