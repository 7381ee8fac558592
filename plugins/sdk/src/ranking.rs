//! The sums every ranking needs: what is left of a window, who may be considered, best first.

use core::cmp::Ordering;

use crate::{Action, Candidate, Decision, RankRequest};

/// What is left of a window, 0.0 to 1.0, or `when_unknown` when nobody knows how much is used.
#[must_use]
pub fn left(used: f64, when_unknown: f64) -> f64 {
    if used.is_nan() { when_unknown } else { (1.0 - used).clamp(0.0, 1.0) }
}

/// `0.82`: what `format!("{value:.2}")` says, in a tenth of the time for a share, because a reason is written
/// for every request.
#[must_use]
pub fn two_decimals(value: f64) -> String {
    let hundredths = value * 100.0;
    let nearest = hundredths.round_ties_even();
    // The product is rounded itself, so what lies near the middle of two is left to the exact way.
    let is_clear = ((hundredths - nearest).abs() - 0.5).abs() > 1e-6;
    if !(is_clear && value.is_sign_positive() && nearest < 1000.0) {
        return format!("{value:.2}");
    }
    let nearest = nearest as u32;
    let digit = |n: u32| char::from_digit(n % 10, 10).unwrap_or('?');
    String::from_iter([digit(nearest / 100), '.', digit(nearest / 10), digit(nearest)])
}

/// Sorts by score, highest first. Ties go to whoever was picked longest ago, then to the lower handle.
///
/// A score that is NaN means "not considered": leave it out before.
pub fn best_first(scored: &mut [(f64, Candidate<'_>)]) {
    scored.sort_unstable_by(|(score_a, a), (score_b, b)| {
        // Plain comparisons: one instruction each, where a total order over all floats takes several.
        if score_a > score_b {
            Ordering::Less
        } else if score_a < score_b {
            Ordering::Greater
        } else {
            a.last_picked_seq().total_cmp(&b.last_picked_seq()).then(a.account.cmp(&b.account))
        }
    });
}

impl Candidate<'_> {
    /// Whether the gateway would send a request there now.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.health_index() <= 2.0
    }

    /// Whether nothing speaks against it.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.health_index() == 0.0
    }

    /// Whether it can take one more request.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.in_flight() < self.max_concurrency()
    }

    /// The share of its places that are taken.
    #[must_use]
    pub fn busy(&self) -> f64 {
        self.in_flight() / self.max_concurrency().max(1.0)
    }

    /// Whether a window is known to be used up.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.short_window_used() >= 1.0 || self.long_window_used() >= 1.0
    }
}

impl RankRequest {
    /// Whether this candidate could serve the request: usable, with room, not tried before.
    #[must_use]
    pub fn may_serve(&self, candidate: &Candidate<'_>) -> bool {
        candidate.is_usable() && candidate.has_room() && !self.already_tried.contains(&candidate.account)
    }

    /// Scores everybody who could serve. NaN means "not considered", as it does for those who could not.
    pub fn scored(&self, score: impl Fn(&Candidate<'_>) -> f64) -> Scored<'_> {
        let mut scores = Vec::with_capacity(self.accounts.len());
        let mut best = Vec::with_capacity(self.accounts.len());
        for candidate in self.candidates() {
            let score = if self.may_serve(&candidate) { score(&candidate) } else { f64::NAN };
            if !score.is_nan() {
                best.push((score, candidate));
            }
            scores.push(score);
        }
        best_first(&mut best);
        Scored { scores, best }
    }
}

/// What a formula makes of all candidates.
pub struct Scored<'r> {
    /// Everybody's score, in the request's order.
    pub scores: Vec<f64>,
    /// Those who are considered, the best first.
    pub best: Vec<(f64, Candidate<'r>)>,
}

impl Scored<'_> {
    /// The decision to try them in this order.
    #[must_use]
    pub fn ranked(self, reason: impl Into<String>) -> Decision {
        Decision::ranked(self.best.iter().map(|(_, one)| one.account).collect(), self.scores, reason)
    }
}

impl Decision {
    /// Try these accounts, best first.
    #[must_use]
    pub fn ranked(accounts: Vec<u32>, scores: Vec<f64>, reason: impl Into<String>) -> Self {
        Self { action: Action::UseRanked(accounts), scores, reason: reason.into() }
    }

    /// No opinion: let the built-in ranking decide.
    #[must_use]
    pub fn delegate(reason: impl Into<String>) -> Self {
        Self { action: Action::Delegate, scores: Vec::new(), reason: reason.into() }
    }

    /// Nobody suits now: ask again after this long.
    #[must_use]
    pub fn wait_ms(ms: u32, reason: impl Into<String>) -> Self {
        Self { action: Action::WaitMs(ms), scores: Vec::new(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_decimals_are_those_of_the_standard_library() {
        for n in 0..=100_000_u32 {
            let value = f64::from(n) / 100_000.0;
            assert_eq!(two_decimals(value), format!("{value:.2}"));
        }
        for odd in [
            -0.5,
            -0.0,
            9.994,
            9.996,
            9.999,
            10.0,
            123.456,
            1e300,
            f64::NAN,
            f64::INFINITY,
            0.125,
            0.975,
            5e-324,
        ] {
            assert_eq!(two_decimals(odd), format!("{odd:.2}"));
        }
    }

    #[test]
    fn what_is_left_is_a_share_and_unknown_is_the_callers_guess() {
        assert_eq!(left(0.25, 0.5).to_bits(), 0.75_f64.to_bits());
        assert_eq!(left(1.7, 0.5).to_bits(), 0.0_f64.to_bits());
        assert_eq!(left(-0.2, 0.5).to_bits(), 1.0_f64.to_bits());
        assert_eq!(left(f64::NAN, 0.3).to_bits(), 0.3_f64.to_bits());
    }
}
