//! The shipped component: admitted, the same ranking as the built-in, and quick to answer from many threads.

use std::time::Duration;

use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{BuiltIn, PolicyLanguage, RankDecision, RankingPolicy};

use super::fixtures::shipped;
use crate::{Allocator, Limits, Plugin, PluginHost};

/// Deadlines are the subject elsewhere; a busy machine must not decide here.
fn headroom() -> Plugin {
    let limits = Limits { deadline: Duration::from_secs(5), ..Limits::default() };
    PluginHost::new().unwrap().with_limits(limits).load("headroom", &shipped("headroom"), "").unwrap()
}

fn bits(decision: &RankDecision) -> Vec<u64> {
    decision.scores.iter().map(|score| if score.is_nan() { u64::MAX } else { score.to_bits() }).collect()
}

#[test]
fn it_says_who_it_is() {
    let policy = headroom();
    assert_eq!(policy.metadata().name, "headroom");
    assert_eq!(policy.metadata().version, env!("CARGO_PKG_VERSION"));
    assert!(policy.metadata().deterministic);
    assert_eq!(RankingPolicy::version(&policy).language, PolicyLanguage::Wasm);
    assert_eq!(RankingPolicy::version(&policy).digest.len(), 16);
    let manifest = include_str!("../../../../plugins/headroom/plugin.toml");
    assert!(
        manifest.contains(&format!("summary = \"{}\"", policy.metadata().summary)),
        "the manifest agrees"
    );
}

#[test]
fn it_ranks_exactly_like_the_built_in() {
    let (policy, builtin) = (headroom(), BuiltIn::default());
    let mut corpus = Corpus::new(20_250_101).unwrap();
    let mut ranked = 0;
    for round in 0..2_000 {
        let (roster, input) = corpus.question(round % 60);
        let expected = builtin.rank(&roster, &input).unwrap();
        let found = policy.rank(&roster, &input).unwrap();
        assert_eq!(found.action, expected.action, "{input:#?}");
        assert_eq!(bits(&found), bits(&expected), "{input:#?}");
        assert_eq!(found.reason, expected.reason, "{input:#?}");
        ranked += usize::from(matches!(found.action, gateway_scheduler::Action::Ranked(_)));
    }
    assert!(ranked > 1_500, "only {ranked} questions had an answer");
}

#[test]
fn many_threads_get_the_answers_of_one() {
    let (policy, builtin) = (headroom(), BuiltIn::default());
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
fn the_pool_is_available_where_tests_run() {
    assert_eq!(PluginHost::new().unwrap().allocator(), &Allocator::Pooling);
}
