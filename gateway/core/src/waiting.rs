//! Requests that wait for a place on an account: bounded, fair between clients, each for a limited time.
//!
//! Who goes next is decided by the scheduler's queue; here are the wake-ups.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway_domain::Timestamp;
use gateway_scheduler::AccountRef;
use gateway_scheduler::admission::{Entry, Full, Limits, Queue, Ticket, Turn};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A place in the queue is kept this long; whoever still waits then enters again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests that wait at once.
pub const MAX_WAITING: usize = 2_048;
/// Requests of one client that wait at once.
pub const MAX_WAITING_PER_CLIENT: usize = 256;
/// A waiting request looks again at the latest after this long: a cooldown that ends wakes nobody.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Who may take the place that became free: any account will do, or only one.
type Wants = Option<AccountRef>;

/// The waiting requests.
pub(crate) struct Waiting {
    inner: Mutex<Inner>,
    count: AtomicUsize,
}

struct Inner {
    queue: Queue<Wants>,
    bells: HashMap<Ticket, oneshot::Sender<()>>,
}

/// Why a request does not wait any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// Too many wait already.
    Full,
    /// It waited as long as anybody may.
    TooLong,
}

impl Default for Waiting {
    fn default() -> Self {
        // Places are taken in the pool; the queue only says whose turn it is.
        let limits = Limits {
            running: usize::MAX,
            waiting: MAX_WAITING,
            waiting_per_client: MAX_WAITING_PER_CLIENT,
            patience: PATIENCE,
        };
        let inner = Inner { queue: Queue::new(limits), bells: HashMap::new() };
        Self { inner: Mutex::new(inner), count: AtomicUsize::new(0) }
    }
}

impl Waiting {
    /// Requests that wait now.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until it is this request's turn to look again.
    pub(crate) async fn turn(
        &self,
        client: &str,
        wants: Wants,
        now: Timestamp,
        give_up: Instant,
    ) -> Result<(), NoPlace> {
        if Instant::now() >= give_up {
            return Err(NoPlace::TooLong);
        }
        let (place, bell) = self.enter(client, wants, now)?;
        let until = give_up.min(Instant::now() + LOOK_AGAIN);
        // A bell and a time-out mean the same: look again. The caller knows when it is too late.
        drop(tokio::time::timeout_at(until, bell).await);
        drop(place);
        Ok(())
    }

    fn enter(
        &self,
        client: &str,
        wants: Wants,
        now: Timestamp,
    ) -> Result<(Place<'_>, oneshot::Receiver<()>), NoPlace> {
        let mut inner = self.inner.lock();
        let ticket = match inner.queue.enter(client, wants, now, |_| false) {
            Entry::Admitted(ticket) | Entry::Waits(ticket) => ticket,
            Entry::Refused(Full::Queue | Full::Client) => return Err(NoPlace::Full),
        };
        let (bell, heard) = oneshot::channel();
        inner.bells.insert(ticket, bell);
        self.count.store(inner.queue.waiting(), Ordering::Relaxed);
        Ok((Place { waiting: self, ticket }, heard))
    }

    /// A place on this account became free: whoever is next may look.
    pub(crate) fn freed(&self, account: AccountRef, now: Timestamp) {
        if self.count() == 0 {
            return;
        }
        let mut inner = self.inner.lock();
        while let Some(turn) = inner.queue.next(now, |wants| wants.is_none_or(|only| only == account)) {
            match turn {
                // Its own time-out has it look and give up.
                Turn::Expired(_) => {}
                Turn::Admitted(ticket) => {
                    if let Some(bell) = inner.bells.remove(&ticket) {
                        // One that left meanwhile needs no bell; its place is given back by itself.
                        let _: Result<(), ()> = bell.send(());
                    }
                    break;
                }
            }
        }
        self.count.store(inner.queue.waiting(), Ordering::Relaxed);
    }
}

/// A place in the queue, given back whichever way waiting ends.
struct Place<'a> {
    waiting: &'a Waiting,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inner = self.waiting.inner.lock();
        inner.queue.leave(self.ticket);
        inner.bells.remove(&self.ticket);
        self.waiting.count.store(inner.queue.waiting(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn now() -> Timestamp {
        Timestamp::from_secs(1)
    }

    #[tokio::test]
    async fn a_freed_place_wakes_whoever_may_take_it() {
        let waiting = Arc::new(Waiting::default());
        let give_up = Instant::now() + PATIENCE;
        let tied = {
            let waiting = waiting.clone();
            tokio::spawn(async move { waiting.turn("a", Some(AccountRef(7)), now(), give_up).await })
        };
        tokio::task::yield_now().await;
        assert_eq!(waiting.count(), 1);
        waiting.freed(AccountRef(3), now());
        assert_eq!(waiting.count(), 1, "that place is not for it");
        waiting.freed(AccountRef(7), now());
        assert_eq!(tied.await.unwrap(), Ok(()));
        assert_eq!(waiting.count(), 0);
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_or_without_limit() {
        let waiting = Waiting::default();
        let begun = Instant::now();
        assert_eq!(waiting.turn("a", None, now(), begun + PATIENCE).await, Ok(()));
        assert!(begun.elapsed() >= LOOK_AGAIN, "it looks again although nobody rang");
        assert_eq!(waiting.turn("a", None, now(), begun).await, Err(NoPlace::TooLong));
        let places: Vec<_> =
            (0..MAX_WAITING_PER_CLIENT).map(|_| waiting.enter("a", None, now()).unwrap()).collect();
        assert_eq!(waiting.enter("a", None, now()).err(), Some(NoPlace::Full));
        assert!(waiting.enter("b", None, now()).is_ok());
        drop(places);
        assert_eq!(waiting.count(), 0);
    }

    #[tokio::test]
    async fn a_caller_that_leaves_leaves_the_queue() {
        let waiting = Waiting::default();
        let left = tokio::time::timeout(
            Duration::from_millis(10),
            waiting.turn("a", None, now(), Instant::now() + PATIENCE),
        );
        assert!(left.await.is_err());
        assert_eq!(waiting.count(), 0);
        assert!(waiting.inner.lock().bells.is_empty());
    }
}
