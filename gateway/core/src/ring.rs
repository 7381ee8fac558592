//! A queue that forgets: bounded by how many it keeps and by how many candidates they carry together. Refuses: locking,
//! and taking apart what is forgotten; both are its owner's.

use std::collections::VecDeque;

/// How much a ring keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingLimits {
    /// Entries.
    pub(crate) entries: usize,
    /// Candidates over all entries; one entry is kept however many it has.
    pub(crate) candidates: usize,
}

/// The newest entries.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    order: VecDeque<(T, usize)>,
    candidates: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { order: VecDeque::new(), candidates: 0 }
    }
}

impl<T> Ring<T> {
    /// Keeps an entry with this many candidates.
    pub(crate) fn push(&mut self, entry: T, candidates: usize) {
        self.candidates += candidates;
        self.order.push_back((entry, candidates));
    }

    /// The oldest entry, while there is more than the limits allow.
    pub(crate) fn forget(&mut self, limits: RingLimits) -> Option<T> {
        let too_many = self.order.len() > limits.entries;
        let too_large = self.candidates > limits.candidates && self.order.len() > 1;
        if !too_many && !too_large {
            return None;
        }
        let (oldest, candidates) = self.order.pop_front()?;
        self.candidates -= candidates;
        Some(oldest)
    }

    /// What is kept, the oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.order.iter().map(|(entry, _)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_a_single_large_entry_stays() {
        let limits = RingLimits { entries: 3, candidates: 10 };
        let mut ring = Ring::default();
        let mut kept = |entry: u32, candidates| {
            ring.push(entry, candidates);
            while ring.forget(limits).is_some() {}
            ring.iter().copied().collect::<Vec<_>>()
        };
        for (entry, candidates, expect) in [
            (1, 1, vec![1]),
            (2, 1, vec![1, 2]),
            (3, 1, vec![1, 2, 3]),
            (4, 1, vec![2, 3, 4]),
            (5, 9, vec![4, 5]),
            (6, 99, vec![6]),
            (7, 1, vec![7]),
        ] {
            assert_eq!(kept(entry, candidates), expect, "after {entry}");
        }
    }
}
