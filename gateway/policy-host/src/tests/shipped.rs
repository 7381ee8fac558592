//! The shipped script ranks exactly like the built-in.

use std::time::Duration;

use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{Action, BuiltIn, PolicyLanguage, RankDecision, RankingPolicy as _};

use super::cases::policies;
use crate::{RhaiHost, RhaiPolicy};

/// Deadlines are the subject elsewhere; a busy machine must not decide here.
fn usage_balanced() -> RhaiPolicy {
    let source = std::fs::read_to_string(policies().join("usage-balanced.rhai")).unwrap();
    RhaiHost::new().with_deadline(Duration::from_secs(5)).load("usage-balanced", &source).unwrap()
}

fn bits(decision: &RankDecision) -> Vec<u64> {
    decision.scores.iter().map(|score| if score.is_nan() { u64::MAX } else { score.to_bits() }).collect()
}

#[test]
fn it_ranks_exactly_like_the_built_in() {
    let (policy, builtin) = (usage_balanced(), BuiltIn::default());
    let mut corpus = Corpus::new(20_250_101).unwrap();
    let mut ranked = 0;
    for round in 0..2_000 {
        let (roster, input) = corpus.question(round % 60);
        let expected = builtin.rank(&roster, &input).unwrap();
        let found = policy.rank(&roster, &input).unwrap();
        assert_eq!(found.action, expected.action, "{input:#?}");
        assert_eq!(found.reason, expected.reason, "{input:#?}");
        if found.action != Action::Delegate {
            assert_eq!(bits(&found), bits(&expected), "{input:#?}");
            ranked += 1;
        }
    }
    assert!(ranked > 1_500, "only {ranked} questions had an answer");
}

#[test]
fn one_policy_serves_many_threads() {
    let (policy, builtin) = (usage_balanced(), BuiltIn::default());
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (policy, builtin) = (&policy, &builtin);
            scope.spawn(move || {
                let mut corpus = Corpus::new(seed).unwrap();
                for _ in 0..300 {
                    let (roster, input) = corpus.question(20);
                    let expected = builtin.rank(&roster, &input).unwrap();
                    assert_eq!(policy.rank(&roster, &input).unwrap().action, expected.action);
                }
            });
        }
    });
}

#[test]
fn its_version_tells_sources_apart() {
    let host = RhaiHost::new();
    let version = |source: &str| host.load("one", source).unwrap().version().clone();
    let (first, second) = (version("fn rank(r) { delegate() }"), version("fn rank(r) { wait_ms(1) }"));
    assert_eq!((first.name.as_str(), first.language), ("one", PolicyLanguage::Rhai));
    assert_eq!(first.digest.len(), 16);
    assert_ne!(first.digest, second.digest);
}
