//! What stands around every call of an extension, whether a script or a component: a breaker in front, counts behind.
//!
//! Each host keeps one per version that serves. Refuses: deadlines, which each engine enforces in its own way.

use std::time::Instant;

use super::breaker::Breaker;
use super::tally::Tally;
use super::{Hook, HookError, HookFailure, HookTally};

/// Breaker and counts of one version of an extension.
#[derive(Debug)]
pub struct Guard {
    breaker: Breaker,
    tally: Tally,
}

/// Whether an extension is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It failed too often in a row; not before this many milliseconds are over.
    Open {
        /// What remains of the pause.
        pause_ms: u64,
    },
    /// The pause is over: the next request tries it.
    Trying,
}

/// How an extension fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether it is asked.
    pub breaker: BreakerState,
    /// Failures in a row.
    pub failing: u32,
    /// The calls of each hook that was called.
    pub calls: Vec<(Hook, HookTally)>,
    /// The last calls without an answer, oldest first.
    pub failures: Vec<HookFailure>,
}

impl Default for Guard {
    fn default() -> Self {
        Self { breaker: Breaker::new(), tally: Tally::default() }
    }
}

impl Guard {
    /// A call of `schedule`: the pipeline measures rankings, and two looks at the clock would be a tenth of one.
    ///
    /// # Errors
    /// The breaker is open, or what `ask` failed with.
    pub fn rank<R>(&self, ask: impl FnOnce() -> Result<R, HookError>) -> Result<R, HookError> {
        let answer = self.ask(ask);
        self.tally.count(Hook::Schedule, None, &answer);
        answer
    }

    /// A call of any other hook.
    ///
    /// # Errors
    /// The breaker is open, or what `ask` failed with.
    pub fn call<R>(&self, hook: Hook, ask: impl FnOnce() -> Result<R, HookError>) -> Result<R, HookError> {
        let begun = Instant::now();
        let answer = self.ask(ask);
        self.tally.count(hook, Some(begun.elapsed()), &answer);
        answer
    }

    fn ask<R>(&self, ask: impl FnOnce() -> Result<R, HookError>) -> Result<R, HookError> {
        self.breaker.admit().map_err(|pause_ms| {
            HookError::Failed(format!("breaker open for {pause_ms} ms more after repeated failures"))
        })?;
        let answer = ask();
        match &answer {
            Ok(_) => self.breaker.succeeded(),
            // A crowd says nothing about the extension.
            Err(HookError::Saturated) => {}
            Err(_) => self.breaker.failed(),
        }
        answer
    }

    /// The calls of one hook.
    #[must_use]
    pub fn tally(&self, hook: Hook) -> HookTally {
        self.tally.of(hook)
    }

    /// The last calls without an answer, oldest first.
    #[must_use]
    pub fn failures(&self) -> Vec<HookFailure> {
        self.tally.failures()
    }

    /// All of it, for people.
    #[must_use]
    pub fn health(&self) -> Health {
        let (failing, pause) = self.breaker.reading();
        let breaker = match pause {
            None => BreakerState::Closed,
            Some(0) => BreakerState::Trying,
            Some(pause_ms) => BreakerState::Open { pause_ms },
        };
        let calls = Hook::ALL.into_iter().map(|hook| (hook, self.tally.of(hook)));
        Health {
            breaker,
            failing,
            calls: calls.filter(|(_, tally)| tally.calls > 0).collect(),
            failures: self.failures(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_that_keeps_failing_is_not_asked_and_that_is_told() {
        let guard = Guard::default();
        let fail = || guard.call::<()>(Hook::MapModel, || Err(HookError::Failed("no".to_owned())));
        for _ in 0..3 {
            assert_eq!(fail(), Err(HookError::Failed("no".to_owned())));
        }
        let refused = guard.rank(|| Ok(())).unwrap_err().to_string();
        assert!(refused.contains("breaker open"), "{refused}");
        let health = guard.health();
        assert!(matches!(health.breaker, BreakerState::Open { pause_ms } if pause_ms <= 500), "{health:?}");
        assert_eq!(health.failing, 3);
        let calls: Vec<_> = health.calls.iter().map(|(hook, tally)| (*hook, tally.failures)).collect();
        assert_eq!(calls, [(Hook::Schedule, 1), (Hook::MapModel, 3)]);
        assert_eq!(health.failures.len(), 4);
    }

    #[test]
    fn a_crowd_opens_nothing() {
        let guard = Guard::default();
        for _ in 0..10 {
            assert_eq!(guard.rank::<()>(|| Err(HookError::Saturated)), Err(HookError::Saturated));
        }
        assert_eq!(guard.health().breaker, BreakerState::Closed);
    }
}
