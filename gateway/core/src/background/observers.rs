//! Shows settled requests to the observers, in batches, off the way of requests. An observer that fails loses the
//! batch; nobody else does.

use std::sync::Arc;
use std::time::Duration;

use crate::Gateway;
use crate::hooks::UsageRecord;

/// The most records of one call.
const BATCH: usize = 256;
/// How long a batch may gather.
const GATHER: Duration = Duration::from_millis(50);

/// Runs until the gateway has drained and the queue is empty.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let Some(mut queue) = gateway.extensions.usage.take() else { return };
    let drained = gateway.drained.clone();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let received = tokio::select! {
            received = queue.recv_many(&mut batch, BATCH) => received,
            () = drained.cancelled() => {
                queue.close();
                queue.recv_many(&mut batch, BATCH).await
            }
        };
        if received == 0 {
            return;
        }
        if batch.len() < BATCH && !drained.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = drained.cancelled() => {}
            }
            while batch.len() < BATCH
                && let Ok(record) = queue.try_recv()
            {
                batch.push(record);
            }
        }
        let (records, gateway) = (std::mem::take(&mut batch), gateway.clone());
        // An observer may take a quarter of a second, and may wait for the network.
        if tokio::task::spawn_blocking(move || show(&gateway, &records)).await.is_err() {
            tracing::error!("a batch of settled requests was lost to the observers");
        }
    }
}

fn show(gateway: &Gateway, records: &[UsageRecord]) {
    let Some(chains) = gateway.chains() else { return };
    for attached in &chains.observers {
        let Some(observer) = &attached.extension.observer else { continue };
        // Observers are chosen by whose request it was; the route is not part of a settled one.
        let own: Vec<UsageRecord> = records
            .iter()
            .filter(|one| attached.at.routes.is_empty() && attached.at.covers("", &one.client, &one.model))
            .cloned()
            .collect();
        if own.is_empty() {
            continue;
        }
        if let Err(error) = observer.on_usage(&own) {
            let extension = attached.extension.label();
            tracing::warn!(extension, step = error.label(), %error, records = own.len(), "observer failed");
        }
    }
}
