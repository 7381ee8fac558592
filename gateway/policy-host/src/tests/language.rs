//! Every word of the vocabulary, by what it does to a list of accounts.

use std::time::Duration;

use gateway_scheduler::{Action, RankDecision, RankingPolicy as _};

use crate::RhaiHost;
use crate::case::Question;

const ACCOUNTS: &str = r#"{
  "request": {"session": "s", "seq": 7, "seed": 5},
  "accounts": [
    {"label": "a", "plan": "plus", "in_flight": 3, "short_window_used": 0.9, "long_window_used": 0.2,
     "groups": ["team"], "tags": ["old", "eu"], "capacity": 1.0, "cost": 2.0, "move_price": 0.5},
    {"label": "b", "plan": "pro", "in_flight": 1, "short_window_used": 0.5, "long_window_used": 1.0,
     "preference": "preserve", "priority": -1.5},
    {"label": "c", "plan": "pro", "health": "degraded", "in_flight": 4, "session_affine": true, "tags": "eu",
     "health_score": 60, "pinned": true},
    {"label": "d", "plan": "team", "provider": "openai", "health": "cooling", "short_window_used": 0.1,
     "ttft_ewma_ms": 800, "weight": 2.0, "last_picked_seq": 3, "preference": "burn-first", "capacity": 6.7}
  ],
  "tried": ["b"]
}"#;

/// The four accounts that every word is tried on.
fn question() -> Question {
    let map = rhai::Engine::new_raw().parse_json(ACCOUNTS, true).unwrap();
    Question::from_map(&map).unwrap()
}

pub(super) fn decide(source: &str) -> RankDecision {
    let question = question();
    let host = RhaiHost::new().with_deadline(Duration::from_secs(5));
    let policy = host.load("words", source).unwrap_or_else(|error| panic!("{error}: {source}"));
    policy.rank(&question.roster, &question.input).unwrap_or_else(|error| panic!("{error}: {source}"))
}

/// The order of the list that `expression` over `all` makes, as one word.
#[track_caller]
pub(super) fn assert_order(expression: &str, order: &str) {
    let question = question();
    let decision = decide(&format!("fn rank(request) {{ let all = request.candidates; {expression} }}"));
    assert_eq!(question.order(&decision).concat(), order, "{expression}");
}

/// What `expression` over `all` and `request` evaluates to, as text. The trial sees other accounts, so what
/// needs these four runs only for them.
#[track_caller]
pub(super) fn assert_value(expression: &str, value: &str) {
    let source = format!(
        "fn rank(request) {{ let all = request.candidates; let value = if request.session == \"s\" {{ \
         {expression} }} else {{ () }}; delegate().because(`${{value}}`) }}"
    );
    assert_eq!(decide(&source).reason, value, "{expression}");
}

#[test]
fn lists_narrow_down() {
    assert_order("all", "abcd");
    assert_order("all.usable()", "abc");
    assert_order("all.with_room()", "abd");
    assert_order("all.without_tried()", "acd");
    assert_order("all.usable().with_room().without_tried()", "a");
    assert_order("all.plan(\"pro\")", "bc");
    assert_order("all.provider(\"openai\")", "d");
    assert_order("all.filter(|one| one.in_flight > 2)", "ac");
    assert_order("all.keep(all.in_flight > 2)", "ac");
    assert_order("all.keep(all.session_affine)", "c");
    assert_order("all.keep(!all.session_affine & all.in_flight <= 1)", "bd");
    assert_order("all.keep(all.session_affine | all.in_flight < 2)", "bcd");
    assert_order("all.plan(\"nobody\")", "delegate");
}

#[test]
fn lists_are_sorted_and_joined() {
    assert_order("all.min_by(\"in_flight\")", "dbac");
    assert_order("all.max_by(\"in_flight\")", "cabd");
    assert_order("all.min_by(\"short_window_used\")", "dbac"); // unknown comes last
    assert_order("all.sorted_by(#{ in_flight: -1.0, weight: 2 })", "dbac");
    assert_order("all.sorted_by(#{ short_window_used: -1.0 })", "cdba"); // unknown adds nothing
    assert_order("all.sorted_by(all.weight)", "dabc"); // equal ones: picked longest ago, then by handle
    assert_order("all.sorted_by(-all.in_flight)", "dbac");
    assert_order("all.sorted_by(all.short_window_used)", "abd"); // an unknown score drops out
    assert_order("if all.len == 4 { all.sorted_by([1, 4, 2.5, 3]) } else { all }", "bdca");
    assert_order("all.round_robin(request.seq)", "dabc");
    assert_order("all.round_robin(-1)", "dabc");
    assert_order("all.plan(\"pro\").then(all)", "bcad");
    assert_order(
        "let list = all; for one in all { if one.label == \"c\" { list = all.keep(all.session_affine); } } list",
        "c",
    );
}

#[test]
fn sticky_orders_depend_on_the_key_alone() {
    let order = |key: &str| {
        let source = format!("fn rank(request) {{ request.candidates.sticky(\"{key}\") }}");
        decide(&source).action
    };
    assert_eq!(order("one"), order("one"));
    let firsts: std::collections::BTreeSet<String> = (0..40)
        .map(|n| match order(&n.to_string()) {
            Action::Ranked(accounts) => format!("{:?}", accounts.first()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(firsts.len(), 4, "every account is somebody's first");
    assert_order(
        "all.filter(|one| one.label != \"a\").sticky(\"k\").then(all.sticky(\"k\")).filter(|one| one.label == \"d\")",
        "d",
    );
}

#[test]
fn one_candidate_has_typed_properties() {
    assert_value("all[0].label", "a");
    assert_value("all.first.plan", "plus");
    assert_value("all[3].provider", "openai");
    assert_value("all[2].health", "degraded");
    assert_value("all[0].in_flight + 1", "4");
    assert_value("all[2].session_affine", "true");
    assert_value("all[1].exhausted", "true");
    assert_value("all[2].unproven", "true");
    assert_value("all[0].load", "0.75");
    assert_value("all[0].idle_ms", "9223372036854775807");
    assert_value("is_known(all[2].short_window_used)", "false");
    assert_value("all[9] == ()", "true");
    assert_value("all.len", "4");
    assert_value("all.is_empty", "false");
    assert_value("all.plan(\"x\").first == ()", "true");
}

#[test]
fn the_request_tells_what_every_policy_may_know() {
    assert_value("request.model", "gpt-5");
    assert_value("request.client", "local");
    assert_value("request.session", "s");
    assert_value("request.streaming", "true");
    assert_value("request.body_bytes", "2048");
    assert_value("request.attempt", "1");
    assert_value("request.now_ms", "1750000000000");
    assert_value("request.seq", "7");
    assert_value("request.seed", "2");
}

#[test]
fn columns_compute_for_all_at_once() {
    let first = |column: &str| format!("let c = {column}; let best = all.sorted_by(c); best.first.label");
    assert_value(&first("all.in_flight * 2 + 1"), "c");
    assert_value(&first("10 - all.in_flight"), "d");
    assert_value(&first("0.5 * all.weight / all.max_concurrency - all.load"), "d");
    assert_value(&first("min(all.in_flight, 3) + all.session_affine"), "c");
    assert_value(&first("max(1.0, all.weight)"), "d");
    assert_value(&first("left(all.short_window_used, 0.95)"), "c");
    assert_value(&first("known_or(all.ttft_ewma_ms, 0.0)"), "d");
    assert_value(&first("clamp(all.in_flight, 0.0, 1.0) + all.exhausted"), "b");
}

#[test]
fn columns_of_different_lists_do_not_mix() {
    for expression in ["all.in_flight + all.usable().in_flight", "all.sorted_by(all.usable().in_flight)"] {
        let source = format!("fn rank(request) {{ let all = request.candidates; {expression} }}");
        let error = RhaiHost::new().load("mixed", &source).unwrap_err();
        assert!(error.message.contains("list"), "{expression}: {error}");
    }
}

#[test]
fn numbers_and_texts_have_their_functions() {
    assert_value("left(0.25, 0.5)", "0.75");
    assert_value("left(all[2].short_window_used, 0.5)", "0.5");
    assert_value("known_or(all[2].short_window_used, 0.3)", "0.3");
    assert_value("fixed(0.8249, 2)", "0.82");
    assert_value(
        "hash64(\"a\") == hash64(\"a\") && hash64(\"a\") != hash64(\"b\") && hash64(\"a\") >= 0",
        "true",
    );
}

#[test]
fn verdicts_carry_action_scores_and_reason() {
    let decision = decide(
        "fn rank(request) { let all = request.candidates; ranked(all.plan(\"pro\").max_by(\"in_flight\"), \"pro\") }",
    );
    assert_eq!(decision.reason, "pro");
    let scores: Vec<String> = decision.scores.iter().map(f64::to_string).collect();
    assert_eq!(scores, ["NaN", "1", "4", "NaN"]);
    assert!(
        decide("fn rank(request) { ranked(request.candidates) }").scores.is_empty(),
        "nothing was scored"
    );

    assert_eq!(decide("fn rank(request) { wait_ms(250) }").action, Action::WaitMs(250));
    assert_eq!(decide("fn rank(request) { wait_ms(-5) }").action, Action::WaitMs(0));
    let Action::Refuse(rejection) =
        decide("fn rank(request) { refuse(429, \"busy\", \"come back\").retry_after_ms(900) }").action
    else {
        panic!("not a refusal")
    };
    assert_eq!((rejection.http_status, rejection.retry_after_ms), (429, Some(900)));
    assert_eq!((rejection.code.as_str(), rejection.message.as_str()), ("busy", "come back"));
}

#[test]
fn constants_at_the_top_reach_every_function() {
    let decision = decide(
        "const WAIT = 100 + 23; const NAME = \"x\";\nfn rank(request) { helper() }\nfn helper() { wait_ms(WAIT).because(NAME) }",
    );
    assert_eq!((decision.action, decision.reason.as_str()), (Action::WaitMs(123), "x"));
}

#[test]
fn the_examples_in_the_readme_work() {
    let readme = include_str!("../../../../policies/README.md");
    let examples: Vec<&str> =
        readme.split("```rhai\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [whole, fragment, test] = examples.as_slice() else { panic!("{} examples", examples.len()) };
    assert!(matches!(decide(whole).action, Action::Ranked(_)), "{whole}");
    let fragment = format!("fn rank(request) {{ {fragment} }}");
    assert!(matches!(decide(&fragment).action, Action::Ranked(_)), "{fragment}");
    let report = crate::check_source("readme", &format!("{whole}{test}"), None);
    assert!(report.passed() && report.steps.iter().any(|step| step.name.starts_with("test ")), "{report:?}");
}

#[test]
fn the_readme_lists_every_shipped_policy() {
    let readme = include_str!("../../../../policies/README.md");
    for entry in std::fs::read_dir(super::policies()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".rhai") {
            assert!(readme.contains(&format!("]({name}) | ")), "{name} is missing");
        }
    }
}
