//! The ranking that is always there: most quota left first, a little loyalty to the prompt cache, a little fear of
//! recent errors. The same formula ships as `policies/usage-balanced.rhai` and `plugins/headroom`, and a
//! differential test holds the three together; `policies/README.md` explains it in words.

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
        let order = best_first(&scores, &input.candidates);
        let Some(best) = order.first().copied() else {
            return Ok(RankDecision {
                action: Action::Delegate,
                scores,
                reason: "no account can take it now".to_owned(),
            });
        };
        let reason = reason(best, order.len());
        let ranked = order.into_iter().map(|candidate| candidate.account).collect();
        Ok(RankDecision { action: Action::Ranked(ranked), scores, reason })
    }
}

/// Those considered, the highest score first; equal ones: picked longest ago, then by handle.
///
/// Sorting plain numbers is several times faster than comparing candidates. Each number is a score whose last digits
/// give way to the candidate's place in the list; where that leaves scores alike, candidates are compared after all.
fn best_first<'a>(scores: &[f64], candidates: &'a [Candidate]) -> Vec<&'a Candidate> {
    let places = (candidates.len() as u64).next_power_of_two() - 1;
    let mut keys: Vec<u64> = Vec::with_capacity(scores.len());
    let considered = scores.iter().zip(0_u64..).filter(|(score, _)| !score.is_nan());
    keys.extend(considered.map(|(score, at)| (descending(*score) & !places) | at));
    keys.sort_unstable();
    let of = |key: u64| {
        usize::try_from(key & places).ok().and_then(|at| Some((scores.get(at)?, candidates.get(at)?)))
    };
    for alike in keys.chunk_by_mut(|a, b| *a & !places == *b & !places).filter(|alike| alike.len() > 1) {
        alike.sort_unstable_by_key(|key| {
            of(*key).map(|(score, one)| (descending(*score), one.last_picked_seq, one.account))
        });
    }
    keys.into_iter().filter_map(|key| of(key).map(|(_, candidate)| candidate)).collect()
}

/// A number whose order is the reverse of `f64::total_cmp`.
const fn descending(score: f64) -> u64 {
    let bits = score.to_bits();
    // Negative numbers turn around, positive ones go above them.
    let ascending = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
    !ascending
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
