//! The ranking that is always there: most quota left first, a little loyalty to the prompt cache, a little fear of
//! recent errors. The same formula ships as `policies/usage-balanced.rhai` and `plugins/headroom`, and a
//! differential test holds the three together; `policies/README.md` explains it in words.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::{
    Action, Candidate, Health, PolicyError, PolicyLanguage, PolicyVersion, RankDecision, RankInput,
    RankingPolicy, Roster,
};

/// Share left that is assumed of a window nobody told us about.
pub const LEFT_WHEN_UNKNOWN: f64 = 0.5;
/// Weight of the tighter of the two windows; the long window alone gets the rest.
pub const TIGHTER_WINDOW_WEIGHT: f64 = 0.6;
/// What a full house costs, spread evenly over the places.
pub const BUSY_PENALTY: f64 = 0.5;
/// What failing every request costs.
pub const ERROR_PENALTY: f64 = 0.5;
/// What a degraded or probing account pays.
pub const UNPROVEN_PENALTY: f64 = 0.25;
/// What keeping the prompt cache is worth.
pub const AFFINITY_BONUS: f64 = 0.35;
/// Puts an exhausted account behind every other.
pub const EXHAUSTED_PENALTY: f64 = 10.0;

/// The built-in ranking.
#[derive(Debug)]
pub struct BuiltIn {
    version: PolicyVersion,
}

impl Default for BuiltIn {
    fn default() -> Self {
        Self {
            version: PolicyVersion {
                name: "usage-balanced".to_owned(),
                language: PolicyLanguage::BuiltIn,
                digest: env!("CARGO_PKG_VERSION").to_owned(),
            },
        }
    }
}

impl RankingPolicy for BuiltIn {
    fn version(&self) -> &PolicyVersion {
        &self.version
    }

    fn rank(&self, _roster: &Arc<Roster>, input: &Arc<RankInput>) -> Result<RankDecision, PolicyError> {
        let scores: Vec<f64> = input.candidates.iter().map(|candidate| score(candidate, input)).collect();
        let mut order: Vec<(f64, &Candidate)> =
            scores.iter().copied().zip(&input.candidates).filter(|(score, _)| !score.is_nan()).collect();
        order.sort_by(|a, b| by_score_then_least_recent(*a, *b));

        let Some((_, best)) = order.first().copied() else {
            return Ok(RankDecision {
                action: Action::Delegate,
                scores,
                reason: "no account can take it now".to_owned(),
            });
        };
        let reason = reason(best, order.len());
        let ranked = order.into_iter().map(|(_, candidate)| candidate.account).collect();
        Ok(RankDecision { action: Action::Ranked(ranked), scores, reason })
    }
}

fn by_score_then_least_recent(a: (f64, &Candidate), b: (f64, &Candidate)) -> Ordering {
    b.0.total_cmp(&a.0)
        .then(a.1.last_picked_seq.cmp(&b.1.last_picked_seq))
        .then(a.1.account.cmp(&b.1.account))
}

/// Higher is better; NaN means not considered.
fn score(candidate: &Candidate, input: &RankInput) -> f64 {
    let considered = candidate.health.is_usable()
        && candidate.in_flight < candidate.max_concurrency
        && !input.tried.contains(&candidate.account);
    if !considered {
        return f64::NAN;
    }
    let long = left(candidate.long_window_used);
    let headroom = headroom(candidate);
    let busy = f64::from(candidate.in_flight) / f64::from(candidate.max_concurrency.max(1));
    let unproven = if candidate.health == Health::Healthy { 0.0 } else { UNPROVEN_PENALTY };
    let loyal = if candidate.session_affine { AFFINITY_BONUS } else { 0.0 };
    let exhausted = if is_exhausted(candidate) { EXHAUSTED_PENALTY } else { 0.0 };
    candidate.weight * (TIGHTER_WINDOW_WEIGHT * headroom + (1.0 - TIGHTER_WINDOW_WEIGHT) * long)
        - BUSY_PENALTY * busy
        - ERROR_PENALTY * candidate.error_rate_ewma
        - unproven
        + loyal
        - exhausted
}

/// The share left of the tighter window.
fn headroom(candidate: &Candidate) -> f64 {
    left(candidate.short_window_used).min(left(candidate.long_window_used))
}

/// The share left of a window, [`LEFT_WHEN_UNKNOWN`] when nobody told.
fn left(used: f64) -> f64 {
    if used.is_nan() { LEFT_WHEN_UNKNOWN } else { (1.0 - used).clamp(0.0, 1.0) }
}

fn is_exhausted(candidate: &Candidate) -> bool {
    // NaN compares false: an unknown window never exhausts an account.
    candidate.short_window_used >= 1.0 || candidate.long_window_used >= 1.0
}

fn reason(best: &Candidate, considered: usize) -> String {
    if is_exhausted(best) {
        "every account is exhausted; the least used one".to_owned()
    } else if considered == 1 {
        "only account left".to_owned()
    } else if best.session_affine {
        "keeps the conversation where its prompt cache is".to_owned()
    } else {
        format!("best on balance: {:.2} left", headroom(best))
    }
}

#[cfg(test)]
mod tests;
