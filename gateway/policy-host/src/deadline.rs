//! Time for scripts. The engine reports progress to one closure for all calls, so each thread keeps how long its own
//! call has run. Refuses to interrupt native code: words that walk lists say how far they walked.
//!
//! What counts is the time a script runs, not the time its thread waits for a processor: on a busy machine a call of
//! twenty microseconds is now and then put aside for milliseconds, and would be answered differently than in a replay.
//! There is no portable clock for that, so a gap between two looks counts up to a share of the budget only; far fewer
//! operations lie between two looks than fill it.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static CALL: Cell<Option<Call>> = const { Cell::new(None) };
    /// Rows walked by native words since the clock was last read.
    static WALKED: Cell<usize> = const { Cell::new(0) };
}

/// How often the clock is read, in operations; reading it costs as much as a few of them, and one operation may be a
/// sort of a full array.
const OPERATIONS_BETWEEN_LOOKS: u64 = 8;
/// How many rows native words may walk before the clock is read all the same.
const ROWS_BETWEEN_LOOKS: usize = 1024;
/// A gap between two looks counts up to this part of the budget.
const PARTS: u32 = 4;
/// However the thread was treated, a call ends after this many times its budget.
const MOST_BUDGETS: u32 = 8;

/// The call of this thread.
#[derive(Clone, Copy)]
struct Call {
    budget: Duration,
    ran: Duration,
    looked: Instant,
    /// On the clock.
    ends: Option<Instant>,
}

impl Call {
    fn new(budget: Duration) -> Self {
        let looked = Instant::now();
        let ends = looked.checked_add(budget.saturating_mul(MOST_BUDGETS));
        Self { budget, ran: Duration::ZERO, looked, ends }
    }

    fn look(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.looked);
        self.ran = self.ran.saturating_add(gap.min(self.budget / PARTS));
        self.looked = now;
    }

    fn is_over(&self) -> bool {
        self.ran > self.budget || self.ends.is_some_and(|ends| self.looked > ends)
    }
}

/// A call runs as long as this lives.
pub(crate) struct Running {
    /// The call around it, if there is one.
    outer: Option<Call>,
}

impl Running {
    /// Never longer than what is left of the call around it.
    pub(crate) fn for_at_most(budget: Duration) -> Self {
        let outer = CALL.get();
        let left = outer.map_or(budget, |outer| outer.budget.saturating_sub(outer.ran));
        CALL.set(Some(Call::new(budget.min(left))));
        Self { outer }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ran = CALL.get().map(|call| call.ran).unwrap_or_default();
        CALL.set(self.outer.map(|outer| Call {
            ran: outer.ran.saturating_add(ran),
            looked: Instant::now(),
            ..outer
        }));
    }
}

/// A native word walked this many rows.
pub(crate) fn walked(rows: usize) {
    WALKED.set(WALKED.get().saturating_add(rows));
}

/// Whether the call on this thread should end, asked after each operation.
pub(crate) fn is_over(operations: u64) -> bool {
    if !operations.is_multiple_of(OPERATIONS_BETWEEN_LOOKS) && WALKED.get() < ROWS_BETWEEN_LOOKS {
        return false;
    }
    WALKED.set(0);
    let Some(mut call) = CALL.get() else { return false };
    call.look(Instant::now());
    CALL.set(Some(call));
    call.is_over()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_millis(5);

    /// After looks at these moments, in microseconds since the start.
    fn over_after(moments: impl IntoIterator<Item = u64>) -> bool {
        let mut call = Call::new(BUDGET);
        let start = call.looked;
        for moment in moments {
            call.look(start + Duration::from_micros(moment));
        }
        call.is_over()
    }

    #[test]
    fn running_counts_and_waiting_hardly() {
        assert!(!over_after((0..100).map(|n| n * 50)));
        assert!(over_after((0..102).map(|n| n * 50)), "5.05 ms of running");
        assert!(!over_after([10, 8_000, 8_020]), "put aside for 8 ms");
        assert!(over_after([10, 8_000, 16_000, 24_000, 32_000, 39_000]), "put aside too often");
        assert!(over_after([41_000]), "for ever is too long");
    }

    #[test]
    fn an_inner_call_has_what_is_left() {
        let _outer = Running::for_at_most(BUDGET);
        {
            let _inner = Running::for_at_most(Duration::from_secs(9));
            assert_eq!(CALL.get().map(|call| call.budget), Some(BUDGET));
        }
        assert!(CALL.get().is_some());
    }
}
