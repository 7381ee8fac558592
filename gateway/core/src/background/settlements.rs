//! The settlement writer: batches what requests leave behind, off their path.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ports::{Ledger, SettlementRecord};

/// Settlements that may wait. At this many the database has been away for long; newer ones are counted as dropped.
pub const MAX_QUEUED_SETTLEMENTS: usize = 65_536;
/// Settlements written at once: as many as a busy gateway gathers, because each batch rewrites the same pages.
const BATCH: usize = 2_000;
/// How often the queue is emptied while a batch gathers.
const LOOKS: u32 = 8;
/// The writer's pauses.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// How long a batch may gather.
    gather: Duration,
    /// The pause after a failed write.
    retry: Duration,
}

/// The pace of a gateway that serves.
pub(super) const PACE: Pace = Pace { gather: Duration::from_millis(200), retry: Duration::from_secs(1) };
/// Tries of one batch while shutting down; before that it is tried for ever.
const TRIES_WHEN_STOPPING: u32 = 5;

/// Writes until the gateway stops and the queue is empty.
pub(super) async fn write(
    mut queue: mpsc::Receiver<SettlementRecord>,
    ledger: Arc<dyn Ledger>,
    stopping: CancellationToken,
    pace: Pace,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let received = tokio::select! {
            received = queue.recv_many(&mut batch, BATCH) => received,
            () = stopping.cancelled() => {
                queue.close();
                queue.recv_many(&mut batch, BATCH).await
            }
        };
        if received == 0 {
            return;
        }
        if batch.len() < BATCH && !stopping.is_cancelled() {
            gather(&mut queue, &mut batch, &stopping, pace.gather).await;
        }
        write_batch(&*ledger, &mut batch, &stopping, pace.retry).await;
    }
}

/// Takes what comes within a span, a little at a time: a queue that is emptied often stays small, and its memory in use.
async fn gather(
    queue: &mut mpsc::Receiver<SettlementRecord>,
    batch: &mut Vec<SettlementRecord>,
    stopping: &CancellationToken,
    span: Duration,
) {
    let until = Instant::now() + span;
    while batch.len() < BATCH && Instant::now() < until && !stopping.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(span / LOOKS) => {}
            () = stopping.cancelled() => {}
        }
        while batch.len() < BATCH
            && let Ok(record) = queue.try_recv()
        {
            batch.push(record);
        }
    }
}

async fn write_batch(
    ledger: &dyn Ledger,
    batch: &mut Vec<SettlementRecord>,
    stopping: &CancellationToken,
    pause: Duration,
) {
    let mut tries_left = TRIES_WHEN_STOPPING;
    while let Err(error) = ledger.append(batch).await {
        tracing::warn!(%error, settlements = batch.len(), "settlements could not be written; will try again");
        if stopping.is_cancelled() {
            tries_left -= 1;
        }
        if tries_left == 0 {
            tracing::error!(
                settlements = batch.len(),
                "settlements are lost: the database did not come back"
            );
            break;
        }
        tokio::time::sleep(pause).await;
    }
    batch.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::StoreError;
    use futures_util::future::BoxFuture;
    use gateway_domain::{RequestId, Timestamp};
    use parking_lot::Mutex;

    #[derive(Default)]
    struct Flaky {
        fail: Mutex<u32>,
        written: Mutex<Vec<RequestId>>,
    }

    impl Ledger for Flaky {
        fn prune(&self, _: gateway_domain::Timestamp, _: u32) -> BoxFuture<'_, Result<u64, StoreError>> {
            Box::pin(async { Ok(0) })
        }

        fn append<'a>(&'a self, batch: &'a [SettlementRecord]) -> BoxFuture<'a, Result<(), StoreError>> {
            Box::pin(async move {
                let mut fail = self.fail.lock();
                if *fail > 0 {
                    *fail -= 1;
                    return Err(StoreError::Unavailable("away".into()));
                }
                self.written.lock().extend(batch.iter().map(|record| record.request.clone()));
                Ok(())
            })
        }

        fn newest(&self, _: u32) -> BoxFuture<'_, Result<Vec<SettlementRecord>, StoreError>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn used_by(&self, _: &str) -> BoxFuture<'_, Result<crate::ports::ClientUsage, StoreError>> {
            Box::pin(async { Ok(crate::ports::ClientUsage::default()) })
        }
    }

    fn record(id: usize) -> SettlementRecord {
        SettlementRecord {
            request: RequestId::parse(&format!("req_{id}")).unwrap(),
            at: Timestamp::from_secs(0),
            client: "local".into(),
            model: "m".into(),
            account: None,
            outcome: "completed".into(),
            status: 200,
            usage: None,
            first_event_ms: None,
            duration_ms: 1,
            attempts: 1,
        }
    }

    #[tokio::test]
    async fn everything_queued_is_written_once_though_the_database_stumbles() {
        let ledger = Arc::new(Flaky { fail: Mutex::new(3), ..Flaky::default() });
        let (queue, to_write) = mpsc::channel(MAX_QUEUED_SETTLEMENTS);
        let stopping = CancellationToken::new();
        let pace = Pace { gather: Duration::from_millis(1), retry: Duration::from_millis(1) };
        let job = tokio::spawn(write(to_write, ledger.clone(), stopping.clone(), pace));
        for id in 0..1_700 {
            queue.send(record(id)).await.unwrap();
        }
        while ledger.written.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        queue.send(record(1_700)).await.unwrap();
        stopping.cancel();
        job.await.unwrap();
        let written = ledger.written.lock();
        assert_eq!(written.len(), 1_701);
        assert!(written.iter().enumerate().all(|(id, request)| request.as_str() == format!("req_{id}")));
    }
}
