//! Wall-clock time for scripts. The engine reports progress to one closure for all calls, so each thread keeps
//! when its own call must end.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static ENDS: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// How often the clock is read, in operations; reading it costs as much as a few of them.
const OPERATIONS_BETWEEN_LOOKS: u64 = 32;

/// A call runs as long as this lives.
pub(crate) struct Running(());

impl Running {
    pub(crate) fn for_at_most(budget: Duration) -> Self {
        ENDS.set(Instant::now().checked_add(budget));
        Self(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        ENDS.set(None);
    }
}

/// Whether the call on this thread should end, asked after each operation.
pub(crate) fn is_over(operations: u64) -> bool {
    operations.is_multiple_of(OPERATIONS_BETWEEN_LOOKS)
        && ENDS.get().is_some_and(|ends| Instant::now() > ends)
}
