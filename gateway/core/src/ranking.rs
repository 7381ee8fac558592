//! One question to one policy: asked, checked, and answered by the built-in ranking when the policy cannot. The pipeline
//! and the replay go through here, which is what makes a replayed decision the recorded one. Refuses: taking places.

use std::sync::Arc;

use gateway_scheduler::{Action, PolicyError, RankDecision, RankInput, RankingPolicy, Roster, validate};

/// What [`Decided::fallback`] says of a policy without an opinion.
pub const DELEGATED: &str = "delegated";

/// An answer that can be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The checked answer.
    pub decision: RankDecision,
    /// Why the built-in had to answer: `delegated`, or the label of the policy's error.
    pub fallback: Option<&'static str>,
    /// What the policy did wrong.
    pub error: Option<PolicyError>,
}

/// Asks the policy; the built-in ranking when it fails or delegates.
#[must_use]
pub fn decide(
    policy: &dyn RankingPolicy,
    builtin: &dyn RankingPolicy,
    roster: &Arc<Roster>,
    input: &Arc<RankInput>,
) -> Decided {
    let answer = policy.rank(roster, input).and_then(|decision| validate(input, decision));
    let (fallback, error) = match answer {
        Ok(decision) if decision.action != Action::Delegate => {
            return Decided { decision, fallback: None, error: None };
        }
        Ok(_) => (DELEGATED, None),
        Err(error) => (error.label(), Some(error)),
    };
    let decision = builtin.rank(roster, input).and_then(|decision| validate(input, decision));
    let decision = decision.unwrap_or_else(|error| RankDecision {
        action: Action::Delegate,
        scores: Vec::new(),
        reason: error.to_string(),
    });
    Decided { decision, fallback: Some(fallback), error }
}

/// Whether two answers are the same bit for bit. A score that is not a number equals another one that is none.
#[must_use]
pub fn same_bits(a: &RankDecision, b: &RankDecision) -> bool {
    let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    a.action == b.action
        && a.reason == b.reason
        && a.scores.len() == b.scores.len()
        && a.scores.iter().zip(&b.scores).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_means_every_bit() {
        let decision = |score: f64| RankDecision {
            action: Action::WaitMs(3),
            scores: vec![score, f64::NAN],
            reason: "so".to_owned(),
        };
        assert!(same_bits(&decision(0.1), &decision(0.1)));
        // A sum that is one bit away, and the two zeros.
        assert!(!same_bits(&decision(0.3), &decision(0.1 + 0.2)));
        assert!(!same_bits(&decision(0.0), &decision(-0.0)));
        let other = RankDecision { reason: "not so".to_owned(), ..decision(0.1) };
        assert!(!same_bits(&decision(0.1), &other));
    }
}
