//! What a filter keeps back of one stream. The queue is the gateway's: a filter that traps loses nothing, and none
//! can keep back more, or longer, than the limits say.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_domain::Timestamp;

/// How much may be held, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, those of events that only wait behind held ones included.
    pub bytes: usize,
    /// Time since the oldest was held.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 * 1024, time: Duration::from_millis(1_500) }
    }
}

/// Whether the queue is still within its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Overflow {
    /// It is.
    Within,
    /// It is not: the failure policy decides what becomes of what is held.
    TooMuch,
}

/// What left the queue, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released<E> {
    /// It was held by the filter.
    Held(E),
    /// It waited behind something that was.
    Behind(E),
}

/// The events one filter holds of one stream, and those that must not overtake them.
#[derive(Debug)]
pub struct HoldQueue<E> {
    entries: VecDeque<Released<E>>,
    bytes: usize,
    since: Option<Timestamp>,
    limits: Limits,
}

impl<E> HoldQueue<E> {
    /// An empty queue.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, since: None, limits }
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps an event back.
    pub fn hold(&mut self, event: E, bytes: usize, now: Timestamp) -> Overflow {
        self.since.get_or_insert(now);
        self.push(Released::Held(event), bytes)
    }

    /// Puts an event behind what is held. On an empty queue it would wait for nothing: ask [`Self::is_empty`] first.
    pub fn put_behind(&mut self, event: E, bytes: usize) -> Overflow {
        self.push(Released::Behind(event), bytes)
    }

    fn push(&mut self, entry: Released<E>, bytes: usize) -> Overflow {
        self.entries.push_back(entry);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.bytes { Overflow::TooMuch } else { Overflow::Within }
    }

    /// The oldest that the filter holds.
    #[must_use]
    pub fn first_held(&self) -> Option<&E> {
        self.entries.iter().find_map(|entry| match entry {
            Released::Held(event) => Some(event),
            Released::Behind(_) => None,
        })
    }

    /// Until when the oldest may be held.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.since.map(|since| since.plus(self.limits.time))
    }

    /// Empties the queue; the caller sends what it wants to send of it.
    pub fn release(&mut self) -> impl Iterator<Item = Released<E>> + use<E> {
        self.bytes = 0;
        self.since = None;
        std::mem::take(&mut self.entries).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> HoldQueue<char> {
        HoldQueue::new(Limits { bytes: 10, time: Duration::from_millis(100) })
    }

    #[test]
    fn what_is_released_keeps_its_order() {
        let mut queue = queue();
        assert_eq!(queue.hold('a', 1, Timestamp::from_millis(5)), Overflow::Within);
        assert_eq!(queue.put_behind('b', 1), Overflow::Within);
        assert_eq!(queue.hold('c', 1, Timestamp::from_millis(9)), Overflow::Within);
        assert_eq!(queue.deadline(), Some(Timestamp::from_millis(105)), "the oldest counts");
        let released: Vec<_> = queue.release().collect();
        assert_eq!(released, [Released::Held('a'), Released::Behind('b'), Released::Held('c')]);
        assert!(queue.is_empty() && queue.deadline().is_none());
    }

    #[test]
    fn both_kinds_count_towards_the_limit_and_an_empty_queue_starts_over() {
        let mut queue = queue();
        assert_eq!(queue.hold('a', 6, Timestamp::from_millis(0)), Overflow::Within);
        assert_eq!(queue.put_behind('b', 4), Overflow::Within);
        assert_eq!(queue.put_behind('c', 1), Overflow::TooMuch);
        assert_eq!(queue.release().count(), 3, "nothing is lost by an overflow");
        assert_eq!(queue.hold('d', 10, Timestamp::from_millis(0)), Overflow::Within);
    }
}
