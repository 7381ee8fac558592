//! What became of an extension's calls: counts per hook and arm, and the last failures. No text of any request.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Hook, HookError};

/// Failures kept.
const KEPT: usize = 10;

/// The calls of one hook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HookTally {
    /// All calls.
    pub calls: u64,
    /// Those without an answer.
    pub failures: u64,
    /// Microseconds in all of them together.
    pub micros: u64,
}

/// One call without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookFailure {
    /// Counts the extension's failures.
    pub number: u64,
    /// Which hook was called.
    pub hook: Hook,
    /// Why there is no answer.
    pub error: HookError,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    hooks: [Counts; Hook::ALL.len()],
    failures: Mutex<(u64, VecDeque<HookFailure>)>,
}

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    failures: AtomicU64,
    micros: AtomicU64,
}

impl Tally {
    /// Counts one call; `took` is measured only where a clock costs nothing beside the call.
    pub(super) fn count<R>(&self, hook: Hook, took: Option<Duration>, answer: &Result<R, HookError>) {
        if let Some(counts) = self.hooks.get(hook as usize) {
            counts.calls.fetch_add(1, Ordering::Relaxed);
            if let Some(took) = took {
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                counts.micros.fetch_add(micros, Ordering::Relaxed);
            }
            if let Err(error) = answer {
                counts.failures.fetch_add(1, Ordering::Relaxed);
                self.keep(hook, error.clone());
            }
        }
    }

    fn keep(&self, hook: Hook, error: HookError) {
        let mut failures = self.failures.lock();
        failures.0 += 1;
        let number = failures.0;
        if failures.1.len() == KEPT {
            failures.1.pop_front();
        }
        failures.1.push_back(HookFailure { number, hook, error });
    }

    pub(super) fn of(&self, hook: Hook) -> HookTally {
        self.hooks.get(hook as usize).map_or_else(HookTally::default, |counts| HookTally {
            calls: counts.calls.load(Ordering::Relaxed),
            failures: counts.failures.load(Ordering::Relaxed),
            micros: counts.micros.load(Ordering::Relaxed),
        })
    }

    pub(super) fn failures(&self) -> Vec<HookFailure> {
        self.failures.lock().1.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_per_hook_and_the_last_failures_kept() {
        let tally = Tally::default();
        for _ in 0..12 {
            tally.count::<()>(Hook::MapModel, None, &Err(HookError::Saturated));
        }
        tally.count(Hook::Schedule, Some(Duration::from_micros(7)), &Ok(()));
        assert_eq!(tally.of(Hook::MapModel), HookTally { calls: 12, failures: 12, micros: 0 });
        assert_eq!(tally.of(Hook::Schedule), HookTally { calls: 1, failures: 0, micros: 7 });
        let numbers: Vec<_> = tally.failures().iter().map(|failure| failure.number).collect();
        assert_eq!(numbers, (3..=12).collect::<Vec<_>>());
    }
}
