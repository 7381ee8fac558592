//! The numbers of a candidate by name: one table for properties, columns and `sorted_by(#{..})` alike.

use gateway_scheduler::Candidate;
use rhai::Dynamic;

/// What a number means outside a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// May be unknown, which is NaN.
    Share,
    Count,
    Flag,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) read: fn(&Candidate) -> f64,
}

/// Exact up to 2^53, which no count here reaches in a lifetime.
#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 only ever mean `never`")]
fn count(n: u64) -> f64 {
    n as f64
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// Whether a window is known to be used up. NaN compares false.
fn is_exhausted(c: &Candidate) -> bool {
    c.short_window_used >= 1.0 || c.long_window_used >= 1.0
}

fn is_unproven(c: &Candidate) -> bool {
    use gateway_scheduler::Health::{Degraded, Probing};
    matches!(c.health, Degraded | Probing)
}

macro_rules! numbers {
    ($($name:literal $kind:ident |$c:ident| $read:expr;)*) => {
        pub(super) const NUMBERS: &[Number] =
            &[$(Number { name: $name, kind: Kind::$kind, read: |$c| $read }),*];
    };
}

numbers! {
    "short_window_used" Share |c| c.short_window_used;
    "long_window_used" Share |c| c.long_window_used;
    "ttft_ewma_ms" Share |c| c.ttft_ewma_ms;
    "error_rate_ewma" Share |c| c.error_rate_ewma;
    "weight" Share |c| c.weight;
    "load" Share |c| f64::from(c.in_flight) / f64::from(c.max_concurrency.max(1));
    "in_flight" Count |c| f64::from(c.in_flight);
    "max_concurrency" Count |c| f64::from(c.max_concurrency);
    "short_window_resets_in_ms" Count |c| count(c.short_window_resets_in_ms);
    "long_window_resets_in_ms" Count |c| count(c.long_window_resets_in_ms);
    "cooldown_ms" Count |c| count(c.cooldown_ms);
    "idle_ms" Count |c| count(c.idle_ms);
    "last_picked_seq" Count |c| count(c.last_picked_seq);
    "session_affine" Flag |c| flag(c.session_affine);
    "exhausted" Flag |c| flag(is_exhausted(c));
    "unproven" Flag |c| flag(is_unproven(c));
}

/// The number of that name.
pub(super) fn find(name: &str) -> Option<Number> {
    NUMBERS.iter().find(|number| number.name == name).copied()
}

impl Number {
    /// As a property of one candidate: a count is an integer and a flag a truth there.
    pub(super) fn of(self, candidate: &Candidate) -> Dynamic {
        let value = (self.read)(candidate);
        match self.kind {
            Kind::Share => value.into(),
            // Saturates: "never" stays the largest number.
            Kind::Count => (value as i64).into(),
            Kind::Flag => (value != 0.0).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_explained_to_authors() {
        let readme = include_str!("../../../../policies/README.md");
        for number in NUMBERS {
            assert!(readme.contains(&format!("`{}`", number.name)), "{} is missing", number.name);
        }
    }
}
