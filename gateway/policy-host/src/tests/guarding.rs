//! Scripts that serve are guarded and counted, those of tools are not; and what they publish.

use gateway_core::hooks::{BreakerState, CatalogEntry, Hook, ModelMapper as _};
use gateway_scheduler::RankingPolicy as _;
use gateway_scheduler::corpus::Corpus;

use crate::RhaiHost;

const MOODY: &str = r#"fn rank(request) {
    if request.candidates.len > 9 { throw "too many"; }
    ranked(request.candidates.available())
}"#;

#[test]
fn a_script_that_keeps_failing_is_left_alone_where_it_serves() {
    let mut corpus = Corpus::new(3).unwrap();
    let (many, few) = (corpus.question(20), corpus.question(2));
    let serving = RhaiHost::new().guarding().load("moody", MOODY).unwrap();
    assert!(serving.health().unwrap().calls.is_empty(), "its trial is not counted");
    serving.rank(&few.0, &few.1).unwrap();
    for _ in 0..3 {
        let error = serving.rank(&many.0, &many.1).unwrap_err().to_string();
        assert!(error.contains("too many"), "{error}");
    }
    let error = serving.rank(&few.0, &few.1).unwrap_err().to_string();
    assert!(error.contains("breaker open"), "{error}");
    let health = serving.health().unwrap();
    assert!(matches!(health.breaker, BreakerState::Open { .. }), "{health:?}");
    assert_eq!(
        (health.calls[0].0, health.calls[0].1.calls, health.calls[0].1.failures),
        (Hook::Schedule, 5, 4)
    );

    // A replay asks ten thousand times, and each question deserves its answer.
    let tool = RhaiHost::new().load("moody", MOODY).unwrap();
    for _ in 0..5 {
        tool.rank(&many.0, &many.1).unwrap_err();
    }
    tool.rank(&few.0, &few.1).unwrap();
    assert!(tool.health().is_none());
}

#[test]
fn names_are_published_once_and_must_be_names() {
    let script = |publishes: &str| {
        let source = format!("const PUBLISHES = \"{publishes}\";\nfn map_model(request) {{ }}");
        RhaiHost::new().load("names", &source)
    };
    let there = CatalogEntry {
        id: "gpt-5".to_owned(),
        provider: "openai".to_owned(),
        context_window: Some(7),
        max_output_tokens: None,
    };
    let told = script("fast gpt-5  slow").unwrap().publish(&[there]).unwrap();
    let names: Vec<_> = told.iter().map(|entry| (entry.id.as_str(), entry.provider.as_str())).collect();
    assert_eq!(names, [("gpt-5", "openai"), ("fast", "switchyard"), ("slow", "switchyard")]);
    let many = "x ".repeat(257);
    for (publishes, says) in [("bad\\tname\\u0007", "PUBLISHES"), (many.as_str(), "256 fit")] {
        let error = script(publishes).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
