//! Stops asking an extension that keeps failing: each failure costs a deadline, and a component an instance.
//!
//! Lock-free, and free of charge while all is well: the clock is read only after a failure.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

const FAILURES_TO_OPEN: u32 = 3;
const FIRST_PAUSE_MS: u64 = 500;
const LONGEST_PAUSE_MS: u64 = 30_000;
/// How long one request has to prove that the extension is well again before another may try.
const TRIAL_MS: u64 = 100;

#[derive(Debug)]
pub(super) struct Breaker {
    started: Instant,
    failures: AtomicU32,
    /// Milliseconds since `started`; 0 while closed.
    open_until: AtomicU64,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), failures: AtomicU32::new(0), open_until: AtomicU64::new(0) }
    }

    /// Whether to ask; the error is the pause that remains, in milliseconds.
    pub(super) fn admit(&self) -> Result<(), u64> {
        if self.open_until.load(Ordering::Relaxed) == 0 { Ok(()) } else { self.admit_at(self.now_ms()) }
    }

    fn admit_at(&self, now: u64) -> Result<(), u64> {
        let until = self.open_until.load(Ordering::Relaxed);
        if now < until {
            return Err(until - now);
        }
        // The pause is over: one request tries, the others wait for what becomes of it.
        let trial =
            self.open_until.compare_exchange(until, now + TRIAL_MS, Ordering::Relaxed, Ordering::Relaxed);
        trial.map_or(Err(TRIAL_MS), |_| Ok(()))
    }

    pub(super) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.open_until.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self) {
        self.failed_at(self.now_ms());
    }

    fn failed_at(&self, now: u64) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if let Some(beyond) = failures.checked_sub(FAILURES_TO_OPEN) {
            let pause = FIRST_PAUSE_MS.checked_shl(beyond).unwrap_or(LONGEST_PAUSE_MS).min(LONGEST_PAUSE_MS);
            self.open_until.store(now + pause, Ordering::Relaxed);
        }
    }

    /// Failures in a row, and the pause that remains, in milliseconds.
    pub(super) fn reading(&self) -> (u32, Option<u64>) {
        let until = self.open_until.load(Ordering::Relaxed);
        let pause = (until != 0).then(|| until.saturating_sub(self.now_ms()));
        (self.failures.load(Ordering::Relaxed), pause)
    }

    fn now_ms(&self) -> u64 {
        // At least 1, because 0 means closed.
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_three_failures_in_a_row_and_pauses_longer_each_time() {
        let breaker = Breaker::new();
        breaker.failed_at(1);
        breaker.failed_at(1);
        breaker.succeeded();
        breaker.failed_at(1);
        breaker.failed_at(1);
        assert_eq!(breaker.admit_at(1), Ok(()), "a success in between counts from the start");
        breaker.failed_at(10);
        assert_eq!(breaker.admit_at(10), Err(500));
        assert_eq!(breaker.admit_at(509), Err(1));

        assert_eq!(breaker.admit_at(510), Ok(()), "one may try");
        assert!(breaker.admit_at(510).is_err(), "the next waits for the result");
        breaker.failed_at(520);
        assert_eq!(breaker.admit_at(520), Err(1000));
        for _ in 0..100 {
            breaker.failed_at(520);
        }
        assert_eq!(breaker.admit_at(520), Err(30_000), "doubling ends");

        assert_eq!(breaker.admit_at(31_000), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.admit(), Ok(()));
    }

    #[test]
    fn a_trial_that_never_ends_does_not_lock_the_plugin_out() {
        let breaker = Breaker::new();
        for _ in 0..3 {
            breaker.failed_at(1);
        }
        assert_eq!(breaker.admit_at(600), Ok(()));
        assert!(breaker.admit_at(650).is_err());
        assert_eq!(breaker.admit_at(700), Ok(()));
    }
}
