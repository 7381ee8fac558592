//! Keeping pool, tokens and keys in step with the store, and what was observed of quotas stored for the next start.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ROUND;
use crate::Gateway;

/// After a sync the job rests at least this many times as long as it took: with 10,000 accounts the database has other
/// things to do.
const REST: u32 = 20;

/// Runs rounds until the gateway stops.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = gateway.stopping.cancelled() => break,
        }
        let begun = Instant::now();
        sync(&gateway).await;
        save_quotas(&gateway).await;
        pause = ROUND.max(begun.elapsed() * REST);
    }
    save_quotas(&gateway).await;
}

/// Other processes write to the same store: the command line, and other replicas.
async fn sync(gateway: &Gateway) {
    if let Err(error) = gateway.sync_accounts().await {
        tracing::warn!(%error, "accounts could not be read; the pool stays as it is");
    }
    if let Err(error) = gateway.sync_keys().await {
        tracing::warn!(%error, "client keys could not be read; they stay as they are");
    }
    if let Err(error) = gateway.sync_operator_keys().await {
        tracing::warn!(%error, "operator keys could not be read; they stay as they are");
    }
    if let Err(error) = gateway.sync_pin().await {
        tracing::warn!(%error, "the pin could not be read; it stays as it is");
    }
}

async fn save_quotas(gateway: &Gateway) {
    let unsaved = gateway.pool.lock().take_unsaved_quota();
    if unsaved.is_empty() {
        return;
    }
    if let Err(error) = gateway.accounts.save_quota(unsaved).await {
        tracing::warn!(%error, "quotas could not be stored; they are asked for again after a restart");
    }
}
