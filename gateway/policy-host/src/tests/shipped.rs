//! The shipped scripts on the corpus: usage-balanced ranks exactly like the built-in, all keep the rules, and each is
//! fast enough.

use std::time::Duration;

use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{Action, BuiltIn, PolicyLanguage, RankDecision, RankingPolicy as _, validate};

use super::policies;
use crate::{RhaiHost, RhaiPolicy, measure};

/// Deadlines are the subject elsewhere; a busy machine must not decide here.
fn shipped(name: &str) -> RhaiPolicy {
    let source = std::fs::read_to_string(policies().join(format!("{name}.rhai"))).unwrap();
    RhaiHost::new().with_deadline(Duration::from_secs(5)).load(name, &source).unwrap()
}

fn all() -> Vec<RhaiPolicy> {
    let files = std::fs::read_dir(policies()).unwrap().map(|entry| entry.unwrap().path());
    let scripts = files.filter(|file| file.extension().is_some_and(|found| found == "rhai"));
    let mut names: Vec<String> =
        scripts.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names.iter().map(|name| shipped(name)).filter(RhaiPolicy::ranks).collect()
}

fn bits(decision: &RankDecision) -> Vec<u64> {
    decision.scores.iter().map(|score| if score.is_nan() { u64::MAX } else { score.to_bits() }).collect()
}

#[test]
fn it_ranks_exactly_like_the_built_in() {
    let (policy, builtin) = (shipped("usage-balanced"), BuiltIn::default());
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

/// Who is named is usable, has room, was not tried; nothing is named twice; equal questions get equal answers; and
/// whoever ranks by itself names everyone it could, or almost.
#[test]
fn all_keep_the_rules_on_the_corpus() {
    for policy in all() {
        let name = &policy.version().name;
        let mut corpus = Corpus::new(99).unwrap();
        for round in 0..600 {
            let (roster, input) = corpus.question(round % 70);
            let decision = policy.rank(&roster, &input).unwrap_or_else(|error| panic!("{name}: {error}"));
            let again = policy.rank(&roster, &input).unwrap();
            assert_eq!((&decision.action, bits(&decision)), (&again.action, bits(&again)), "{name}");
            let Action::Ranked(order) = &decision.action else { continue };
            for (place, account) in order.iter().enumerate() {
                let one = input.candidates.iter().find(|one| one.account == *account).unwrap();
                assert!(one.health.is_usable(), "{name} names one that is {}", one.health.label());
                assert!(one.in_flight < one.max_concurrency, "{name} names one without room");
                assert!(!input.tried.contains(account), "{name} names one that was tried");
                assert!(!order[..place].contains(account), "{name} names one twice");
            }
            let kept = validate(&input, decision.clone()).unwrap();
            assert!(kept.action != Action::Delegate, "{name}: nothing of {order:?} is left");
        }
    }
}

#[test]
fn those_that_serve_everybody_answer_whenever_someone_is_free() {
    for policy in all() {
        let name = policy.version().name.as_str();
        if matches!(name, "pin" | "single-account") {
            continue;
        }
        let mut corpus = Corpus::new(5).unwrap();
        for round in 0..300 {
            let (roster, input) = corpus.question(round % 30);
            let free = input.candidates.iter().any(|one| {
                one.health.is_usable()
                    && one.in_flight < one.max_concurrency
                    && !input.tried.contains(&one.account)
            });
            let answer = policy.rank(&roster, &input).unwrap().action;
            assert_eq!(matches!(answer, Action::Ranked(_)), free, "{name}: {answer:?}");
        }
    }
}

#[test]
fn one_policy_serves_many_threads() {
    let (policy, builtin) = (shipped("usage-balanced"), BuiltIn::default());
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

/// `cargo test --release -p gateway-policy-host how_long -- --ignored --nocapture`
#[test]
#[ignore = "measures; only an optimised build says something"]
fn how_long_each_takes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lib.rhai"), "fn score(list) { left(list.short_window_used, 0.5) }")
        .unwrap();
    let importing = "import \"lib\" as lib;\nfn rank(request) { let all = request.candidates.available(); \
                     all.sorted_by(lib::score(all)) }";
    let host = RhaiHost::new().with_deadline(Duration::from_secs(5)).with_modules(folder.path());
    let importing = host.load("(one that imports)", importing).unwrap();
    for policy in all().into_iter().chain([importing]) {
        let [few, many] = [50, 500].map(|candidates| measure(&policy, candidates, 2_000).unwrap());
        println!(
            "{:<24} 50: {:>6.1} us (p99 {:>6.1})   500: {:>6.1} us (p99 {:>6.1})",
            policy.version().name,
            few.median.as_secs_f64() * 1e6,
            few.p99.as_secs_f64() * 1e6,
            many.median.as_secs_f64() * 1e6,
            many.p99.as_secs_f64() * 1e6,
        );
    }
}
