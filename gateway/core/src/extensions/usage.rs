//! Settled requests on their way to the observers: a bounded queue, emptied off the way of requests.

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::hooks::UsageRecord;

/// Records that may wait; what comes when it is full is lost to the observers, and counted.
const MAX_QUEUED: usize = 4_096;

/// The queue.
pub(crate) struct UsageQueue {
    sender: mpsc::Sender<UsageRecord>,
    receiver: Mutex<Option<mpsc::Receiver<UsageRecord>>>,
}

impl Default for UsageQueue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED);
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }
}

impl UsageQueue {
    pub(crate) fn observe(&self, record: UsageRecord) {
        if self.sender.try_send(record).is_err() {
            tracing::debug!("the observers are behind; a settled request is not shown to them");
        }
    }

    /// For the one job that empties it.
    pub(crate) fn take(&self) -> Option<mpsc::Receiver<UsageRecord>> {
        self.receiver.lock().take()
    }
}
