//! Jobs that run beside the requests: writing settlements, renewing tokens, polling quotas and models. Each ends when
//! the gateway stops; the writer first writes what is queued.

mod maintain;
mod settlements;

pub use settlements::MAX_QUEUED_SETTLEMENTS;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::Gateway;
use crate::ports::{Ledger, SettlementRecord};

/// Starts all jobs on the gateway's tracker.
pub fn start(gateway: &Arc<Gateway>, to_write: mpsc::Receiver<SettlementRecord>, ledger: Arc<dyn Ledger>) {
    let drained = gateway.drained.clone();
    gateway.tracker.spawn(settlements::write(to_write, ledger, drained, settlements::PACE));
    gateway.tracker.spawn(maintain::run(gateway.clone()));
}
