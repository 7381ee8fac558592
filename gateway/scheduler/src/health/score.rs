//! An account's record: marks that fade, streaks, the last twenty endings, and the score they make.
//!
//! 100 is flawless. A success helps only as far as it makes up for marks: the score never exceeds 100. How slow an
//! account is and how much of its windows is used are no faults; policies see those numbers themselves.

use std::time::Duration;

use gateway_domain::Timestamp;

use super::consequence::Mark;
use crate::elapsed::{fading, within};

const MINUTES_15: Duration = Duration::from_secs(15 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long a refused token is held against an account.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Two faults this close together are more than bad luck.
const CLOSE: Duration = Duration::from_secs(60);

/// Below this an account is degraded.
const HEALTHY_FROM: f64 = 85.0;
/// Below this it gets one request at a time.
const DEGRADED_FROM: f64 = 60.0;
/// What each failure in a row costs, and the most they cost together.
const STREAK: (f64, f64) = (6.0, 24.0);
/// What each success in a row gives, and the most they give together.
const SUCCESS: (f64, f64) = (2.0, 12.0);
/// What an account gets that has served more than [`PROVEN_AFTER`] requests.
const PROVEN: f64 = 20.0;
const PROVEN_AFTER: u64 = 10;
/// Endings that the success rate looks at, and how many it needs.
const LAST: u32 = 20;
const FEWEST: u32 = 5;

/// How much an account is trusted, and with how much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// One request at a time.
    Risky,
    /// Half of its requests.
    Degraded,
    /// All of its requests.
    Healthy,
}

impl Tier {
    const fn of(score: f64) -> Self {
        if score < DEGRADED_FROM {
            Self::Risky
        } else if score < HEALTHY_FROM {
            Self::Degraded
        } else {
            Self::Healthy
        }
    }

    /// Requests at once that an account of this tier carries when `full` is what it may at best.
    #[must_use]
    pub const fn concurrency(self, full: u32) -> u32 {
        match self {
            Self::Healthy => full,
            Self::Degraded => full.div_ceil(2),
            Self::Risky => {
                if full == 0 {
                    0
                } else {
                    1
                }
            }
        }
    }
}

/// What happened to an account lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    unauthorized_at: Option<Timestamp>,
    limited_at: Option<Timestamp>,
    timed_out_at: Option<Timestamp>,
    faulted_at: Option<Timestamp>,
    /// The fault before the last, of whichever kind.
    earlier_fault_at: Option<Timestamp>,
    last_fault_at: Option<Timestamp>,
    failures_in_row: u32,
    successes_in_row: u32,
    successes: u64,
    /// One bit for each of the last endings, the newest lowest; set for a failure.
    endings: u32,
    endings_seen: u32,
}

impl Record {
    pub(crate) fn succeeded(&mut self) {
        self.failures_in_row = 0;
        self.successes_in_row = self.successes_in_row.saturating_add(1);
        self.successes = self.successes.saturating_add(1);
        self.ended(0);
    }

    pub(crate) fn failed(&mut self, mark: Mark, now: Timestamp) {
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        self.successes_in_row = 0;
        self.ended(1);
        let kept = match mark {
            Mark::RateLimit => &mut self.limited_at,
            Mark::Unauthorized => &mut self.unauthorized_at,
            Mark::Timeout => &mut self.timed_out_at,
            Mark::Fault => &mut self.faulted_at,
        };
        *kept = Some(now);
        if matches!(mark, Mark::Timeout | Mark::Fault) {
            self.earlier_fault_at = self.last_fault_at.replace(now);
        }
    }

    /// By hand: what happened is forgiven.
    pub(crate) fn forgive(&mut self) {
        *self = Self { successes: self.successes, ..Self::default() };
    }

    fn ended(&mut self, failed: u32) {
        self.endings = ((self.endings << 1) | failed) & ((1 << LAST) - 1);
        self.endings_seen = (self.endings_seen + 1).min(LAST);
    }

    /// Whether anything speaks against it that time has to heal.
    pub(crate) const fn is_clean(&self) -> bool {
        self.endings == 0
            && self.failures_in_row == 0
            && self.unauthorized_at.is_none()
            && self.limited_at.is_none()
            && self.timed_out_at.is_none()
            && self.faulted_at.is_none()
    }

    /// The score at `now`, 0.0..=100.0, and the tier it makes.
    pub(crate) fn judged(&self, now: Timestamp) -> (f64, Tier) {
        // Almost always, and for every candidate of every request.
        if self.is_clean() {
            return (100.0, Tier::Healthy);
        }
        let score = self.score(now);
        (score, Tier::of(score).min(self.best_tier(now)))
    }

    fn score(&self, now: Timestamp) -> f64 {
        let (each, most) = STREAK;
        let streak = (each * f64::from(self.failures_in_row)).min(most);
        let marks = fading(50.0, self.unauthorized_at, DAY, now)
            + fading(22.0, self.limited_at, HOUR, now)
            + fading(18.0, self.timed_out_at, MINUTES_15, now)
            + fading(12.0, self.faulted_at, MINUTES_15, now);
        let (each, most) = SUCCESS;
        let run = (each * f64::from(self.successes_in_row)).min(most);
        let proven = if self.successes > PROVEN_AFTER { PROVEN } else { 0.0 };
        (100.0 - marks - streak - self.rate_penalty() + run + proven).clamp(0.0, 100.0)
    }

    fn rate_penalty(&self) -> f64 {
        if self.endings_seen < FEWEST {
            return 0.0;
        }
        let good = 1.0 - f64::from(self.endings.count_ones()) / f64::from(self.endings_seen);
        if good < 0.5 {
            15.0
        } else if good < 0.75 {
            8.0
        } else {
            0.0
        }
    }

    /// The best tier it can have, whatever its score: an account whose last word was a fault, whose token was refused
    /// today, or which failed twice within a minute is not trusted fully.
    fn best_tier(&self, now: Timestamp) -> Tier {
        let unanswered = self.failures_in_row > 0 && within(self.last_fault_at, MINUTES_15, now);
        let refused = within(self.unauthorized_at, DAY, now);
        let twice = within(self.earlier_fault_at, CLOSE, now);
        if unanswered || refused || twice { Tier::Degraded } else { Tier::Healthy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn after(marks: &[Mark]) -> Record {
        let mut record = Record::default();
        for mark in marks {
            record.failed(*mark, at(0));
        }
        record
    }

    #[test]
    fn the_penalties_and_how_they_fade() {
        use Mark::{Fault, RateLimit, Timeout, Unauthorized};
        for (marks, secs, score, tier) in [
            (vec![], 0, 100.0, Tier::Healthy),
            (vec![Fault], 0, 82.0, Tier::Degraded),
            (vec![Fault], 450, 88.0, Tier::Degraded),
            (vec![Fault], 900, 94.0, Tier::Healthy),
            (vec![Timeout], 0, 76.0, Tier::Degraded),
            (vec![RateLimit], 0, 72.0, Tier::Degraded),
            (vec![RateLimit], 1_800, 83.0, Tier::Degraded),
            (vec![RateLimit], 3_600, 94.0, Tier::Healthy),
            (vec![Unauthorized], 0, 44.0, Tier::Risky),
            (vec![Unauthorized], 43_200, 69.0, Tier::Degraded),
            (vec![Unauthorized], 86_400, 94.0, Tier::Healthy),
            (vec![Fault; 4], 0, 64.0, Tier::Degraded),
            // Four streaks at most, and less than half of five endings good.
            (vec![Fault; 9], 0, 49.0, Tier::Risky),
            (vec![Fault, Timeout, RateLimit, Unauthorized], 0, 0.0, Tier::Risky),
        ] {
            let (got, got_tier) = after(&marks).judged(at(secs));
            assert!((got - score).abs() < 1e-9, "{marks:?} after {secs} s: {got} is not {score}");
            assert_eq!(got_tier, tier, "{marks:?} after {secs} s");
        }
    }

    #[test]
    fn successes_make_up_for_marks() {
        let mut record = after(&[Mark::Fault]);
        record.succeeded();
        assert_eq!(record.judged(at(0)), (90.0, Tier::Healthy));
        let mut proven = Record::default();
        for _ in 0..11 {
            proven.succeeded();
        }
        assert_eq!(proven.judged(at(0)).0, 100.0, "never more than 100");
        proven.failed(Mark::Fault, at(0));
        assert_eq!(proven.judged(at(0)), (100.0, Tier::Degraded), "its last word was a fault");
        proven.failed(Mark::Fault, at(30));
        proven.succeeded();
        assert_eq!(proven.judged(at(59)).1, Tier::Degraded, "two faults within a minute");
        assert_eq!(proven.judged(at(61)).1, Tier::Healthy);
    }

    #[test]
    fn each_tier_carries_its_share() {
        for (tier, full, carries) in [
            (Tier::Healthy, 8, 8),
            (Tier::Degraded, 8, 4),
            (Tier::Degraded, 1, 1),
            (Tier::Risky, 8, 1),
            (Tier::Risky, 0, 0),
        ] {
            assert_eq!(tier.concurrency(full), carries, "{tier:?} of {full}");
        }
    }

    proptest! {
        /// Whatever happened and wherever the clock jumps: a score is a score, and a year without trouble heals.
        #[test]
        fn scores_stay_in_range_and_heal(
            events in prop::collection::vec((0_u8..5, any::<i64>()), 0..60), now in any::<i64>(),
        ) {
            let mut record = Record::default();
            for (event, ms) in events {
                let at = Timestamp::from_millis(ms);
                match event {
                    0 => record.succeeded(),
                    1 => record.failed(Mark::Fault, at),
                    2 => record.failed(Mark::Timeout, at),
                    3 => record.failed(Mark::RateLimit, at),
                    _ => record.failed(Mark::Unauthorized, at),
                }
                let (score, _) = record.judged(Timestamp::from_millis(now));
                prop_assert!((0.0..=100.0).contains(&score), "{score}");
            }
            for _ in 0..LAST { record.succeeded(); }
            prop_assert_eq!(record.judged(Timestamp::from_millis(i64::MAX)).1, Tier::Healthy);
        }
    }
}
