//! The lab's clock: a base plus an offset that a test can push forward.
//! Refuses to go backwards and to be read from anywhere but here, so that tokens and windows agree on the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A clock shared by everything in one lab. Cloning shares it.
#[derive(Debug, Clone)]
pub struct LabClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    base: Base,
    offset_ms: AtomicI64,
}

#[derive(Debug, Clone, Copy)]
enum Base {
    /// Stands still unless advanced: what tests want.
    Fixed(i64),
    /// Follows the machine's clock: what the demo wants.
    Real,
}

impl LabClock {
    /// A clock that stands at this Unix time (seconds) until it is advanced.
    #[must_use]
    pub fn fixed(unix_seconds: i64) -> Self {
        Self::with(Base::Fixed(unix_seconds.saturating_mul(1000)))
    }

    /// A clock that follows the machine's clock, plus whatever it was advanced by.
    #[must_use]
    pub fn real() -> Self {
        Self::with(Base::Real)
    }

    fn with(base: Base) -> Self {
        Self(Arc::new(Shared { base, offset_ms: AtomicI64::new(0) }))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let base = match self.0.base {
            Base::Fixed(ms) => ms,
            Base::Real => jiff::Timestamp::now().as_millisecond(),
        };
        base.saturating_add(self.0.offset_ms.load(Ordering::Relaxed))
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Pushes the clock forward; tokens expire and windows reset accordingly.
    pub fn advance(&self, span: Duration) {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.0.offset_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// The current time as RFC 3339, as Codex writes `last_refresh`.
    #[must_use]
    pub(crate) fn rfc3339(&self) -> String {
        jiff::Timestamp::from_millisecond(self.now_ms()).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_advanced() {
        let clock = LabClock::fixed(1_700_000_000);
        let same = clock.clone();
        assert_eq!(clock.now(), 1_700_000_000);
        clock.advance(Duration::from_millis(2_500));
        assert_eq!(same.now_ms(), 1_700_000_002_500);
        assert_eq!(same.rfc3339(), "2023-11-14T22:13:22.5Z");
    }

    #[test]
    fn a_real_clock_keeps_its_offset() {
        let clock = LabClock::real();
        let before = clock.now();
        clock.advance(Duration::from_secs(3600));
        assert!(clock.now() >= before + 3600);
    }
}
