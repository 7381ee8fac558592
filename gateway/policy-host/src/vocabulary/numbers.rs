//! The numbers of a candidate by name: one table for properties, columns and `sorted_by(#{..})` alike.

use gateway_scheduler::{Candidate, Preference};
use rhai::Dynamic;

use super::Candidates;
use super::book::{Book, Form};
use super::column::truth;
use super::request::One;
use super::scalars::left;

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
    /// On one account; on a list it is a column.
    signature: &'static str,
    about: &'static str,
    pub(super) read: fn(&Candidate) -> f64,
}

/// Exact up to 2^53, which no count here reaches in a lifetime.
#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 only ever mean `never`")]
fn count(n: u64) -> f64 {
    n as f64
}

/// Whether a window is known to be used up. NaN compares false.
fn is_exhausted(c: &Candidate) -> bool {
    c.short_window_used >= 1.0 || c.long_window_used >= 1.0
}

fn is_unproven(c: &Candidate) -> bool {
    use gateway_scheduler::Health::{Degraded, Probing};
    matches!(c.health, Degraded | Probing)
}

fn preference(c: &Candidate) -> f64 {
    match c.preference {
        Preference::Preserve => -1.0,
        Preference::Normal => 0.0,
        Preference::BurnFirst => 1.0,
    }
}

/// The share left of the tighter window.
pub(super) fn headroom(c: &Candidate, unknown: f64) -> f64 {
    left(c.short_window_used, unknown).min(left(c.long_window_used, unknown))
}

macro_rules! numbers {
    ($($name:literal $kind:ident $of:literal $about:literal |$c:ident| $read:expr;)*) => {
        pub(super) const NUMBERS: &[Number] = &[$(Number {
            name: $name,
            kind: Kind::$kind,
            signature: concat!($name, ": ", $of),
            about: $about,
            read: |$c| $read,
        }),*];
    };
}

numbers! {
    "short_window_used" Share "float" "share of the window shorter than a day that is used; NaN when unknown"
        |c| c.short_window_used;
    "long_window_used" Share "float" "share of the window of a day or more that is used; NaN when unknown"
        |c| c.long_window_used;
    "short_window_resets_in_ms" Count "int" "until the short window begins anew; 0 when unknown"
        |c| count(c.short_window_resets_in_ms);
    "long_window_resets_in_ms" Count "int" "until the long window begins anew; 0 when unknown"
        |c| count(c.long_window_resets_in_ms);
    "exhausted" Flag "bool" "a window is known to be used up" |c| truth(is_exhausted(c));
    "in_flight" Count "int" "requests running on it now" |c| f64::from(c.in_flight);
    "max_concurrency" Count "int" "most requests at once" |c| f64::from(c.max_concurrency);
    "load" Share "float" "in_flight divided by max_concurrency"
        |c| f64::from(c.in_flight) / f64::from(c.max_concurrency.max(1));
    "health_score" Share "float" "100 is flawless; falls with errors and comes back with time" |c| c.health_score;
    "error_rate_ewma" Share "float" "share of recent requests that failed on its side" |c| c.error_rate_ewma;
    "unproven" Flag "bool" "degraded or probing" |c| truth(is_unproven(c));
    "probing" Flag "bool" "coming back: one request at a time until it proves itself"
        |c| truth(c.health == gateway_scheduler::Health::Probing);
    "cooldown_ms" Count "int" "until its cooldown ends; 0 when it has none" |c| count(c.cooldown_ms);
    "ttft_ewma_ms" Share "float" "usual time to the first event; NaN before the first" |c| c.ttft_ewma_ms;
    "session_affine" Flag "bool" "served this conversation last" |c| truth(c.session_affine);
    "move_price" Share "float" "share of the prompt that its owner has cached and that is paid again here"
        |c| c.move_price;
    "last_picked_seq" Count "int" "number of the decision that picked it last; 0 when never"
        |c| count(c.last_picked_seq);
    "idle_ms" Count "int" "since it was picked last; very large when never" |c| count(c.idle_ms);
    "capacity" Share "float" "relative size of its plan (plus is 1.0); NaN when unknown" |c| c.capacity;
    "cost" Share "float" "relative price of a token; NaN when unknown" |c| c.cost;
    "weight" Share "float" "the operator's weight; 1.0 unless set" |c| c.weight;
    "priority" Share "float" "the operator's priority; the gateway applies it after the policy" |c| c.priority;
    "preference" Count "int" "1 burn first, 0 normal, -1 preserve; applied after the policy" |c| preference(c);
    "pinned" Flag "bool" "the operator pinned it; applied after the policy" |c| truth(c.pinned);
}

/// The number of that name.
pub(super) fn find(name: &str) -> Option<Number> {
    NUMBERS.iter().find(|number| number.name == name).copied()
}

impl Number {
    /// As a property of one candidate: a count is an integer and a flag a truth there.
    fn of(self, candidate: &Candidate) -> Dynamic {
        let value = (self.read)(candidate);
        match self.kind {
            Kind::Share => value.into(),
            // Saturates: "never" stays the largest number.
            Kind::Count => (value as i64).into(),
            Kind::Flag => (value != 0.0).into(),
        }
    }
}

/// Every number as a column of a list and as a property of one account.
pub(super) fn register(book: &mut Book) {
    for number in NUMBERS {
        book.note(Form::Property, "Candidate", number.signature, number.about);
        book.engine
            .register_get(number.name, move |one: &mut One| -> Dynamic {
                one.candidate().map_or(Dynamic::UNIT, |candidate| number.of(candidate))
            })
            .register_get(number.name, move |list: &mut Candidates| list.column(number.read));
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
