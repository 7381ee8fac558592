//! What all sockets of clients share: how many there may be, how much of conversations they may keep, and who waits for them when
//! the gateway goes down. Refuses to speak on one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

/// Sockets that are open at once; whoever comes after goes on over HTTP.
const MAX_SOCKETS: usize = 8_192;
/// What all sockets together keep of their conversations, in bytes. Beyond it a client is asked to send all of its own.
const MAX_KEPT_BYTES: usize = 512 * 1024 * 1024;

/// Whether clients may speak over WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// They may.
    Yes,
    /// They are sent to HTTP at once.
    No,
}

/// All sockets of this gateway. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Sockets {
    offered: Offered,
    tasks: TaskTracker,
    places: Arc<Semaphore>,
    kept: Arc<AtomicUsize>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self::new(Offered::Yes)
    }
}

impl Sockets {
    /// No socket yet.
    #[must_use]
    pub fn new(offered: Offered) -> Self {
        Self {
            offered,
            tasks: TaskTracker::new(),
            places: Arc::new(Semaphore::new(MAX_SOCKETS)),
            kept: Arc::default(),
        }
    }

    /// A place for one more; `None` when there is none, or none at all are offered.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        match self.offered {
            Offered::Yes => self.places.clone().try_acquire_owned().ok(),
            Offered::No => None,
        }
    }

    /// Runs one socket until its end.
    pub(crate) fn run(&self, socket: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(socket);
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.tasks.len()
    }

    /// Waits until every socket has ended; the caller told them to.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What one socket may keep.
    pub(crate) fn allowance(&self) -> Allowance {
        Allowance { of_all: self.kept.clone(), mine: 0 }
    }
}

/// What one socket keeps, counted among all.
#[derive(Debug)]
pub(crate) struct Allowance {
    of_all: Arc<AtomicUsize>,
    mine: usize,
}

impl Allowance {
    /// Counts this much from now on; says whether there is room for it.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let before = self.of_all.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_sub(self.mine).saturating_add(bytes) <= MAX_KEPT_BYTES;
        let given_back = if fits { std::mem::replace(&mut self.mine, bytes) } else { bytes };
        self.of_all.fetch_sub(given_back, Ordering::Relaxed);
        fits
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.of_all.fetch_sub(self.mine, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sockets_share_one_allowance_and_give_it_back() {
        let sockets = Sockets::default();
        let mut one = sockets.allowance();
        let mut other = sockets.allowance();
        assert!(one.set(MAX_KEPT_BYTES - 10));
        assert!(!other.set(11) && other.set(10));
        // Shrinking one's own always works, growing within it as well.
        assert!(one.set(100) && one.set(MAX_KEPT_BYTES - 10) && !one.set(MAX_KEPT_BYTES));
        drop(one);
        assert!(other.set(MAX_KEPT_BYTES));
        drop(other);
        assert_eq!(sockets.kept.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn where_none_are_offered_there_is_no_place() {
        assert!(Sockets::new(Offered::No).place().is_none());
        assert!(Sockets::new(Offered::Yes).place().is_some());
    }
}
