//! Tests of the sentences about decisions.

use gateway_api::{DecisionSummary, PolicyView};

use super::*;

fn candidate(name: &str, rank: Option<u32>, score: Option<f64>) -> CandidateView {
    CandidateView {
        account_id: format!("id-{name}"),
        account_name: name.to_owned(),
        health: "healthy".to_owned(),
        rank,
        score,
        in_flight: 0,
        max_concurrency: 8,
        short_window_used: None,
        long_window_used: None,
        short_window_resets_in_ms: None,
        long_window_resets_in_ms: None,
        cooldown_ms: None,
        ttft_ms: None,
        error_rate: 0.0,
        session_affine: false,
        why_not: None,
    }
}

fn ranking(candidates: Vec<CandidateView>) -> RankingView {
    RankingView {
        policy: PolicyView {
            id: "builtin:usage-balanced".to_owned(),
            name: "usage-balanced".to_owned(),
            language: "builtin".to_owned(),
            digest: "0a1b".to_owned(),
            active: true,
        },
        fallback: None,
        action: "ranked".to_owned(),
        reason: "lowest use".to_owned(),
        took_us: 9.0,
        now: 0,
        seed: "1".to_owned(),
        seq: 1,
        candidates,
    }
}

fn attempt(name: &str, outcome: &str) -> AttemptView {
    AttemptView {
        account_id: format!("id-{name}"),
        account_name: name.to_owned(),
        outcome: outcome.to_owned(),
        upstream_status: None,
        transport: None,
        started_ms: 0.0,
        first_event_ms: None,
        ranking: 0,
    }
}

fn decision(outcome: &str, rankings: Vec<RankingView>, attempts: Vec<AttemptView>) -> DecisionView {
    DecisionView {
        summary: DecisionSummary {
            request_id: "r".to_owned(),
            at: 0,
            model: "gpt-5".to_owned(),
            client: "local".to_owned(),
            account_id: None,
            account_name: None,
            reason: String::new(),
            outcome: outcome.to_owned(),
            status: None,
            duration_ms: None,
            attempts: u32::try_from(attempts.len()).unwrap(),
        },
        route: "/v1/responses".to_owned(),
        transport: String::new(),
        streaming: true,
        session: None,
        body_bytes: 0,
        usage: None,
        edits: Vec::new(),
        extensions: Vec::new(),
        mapped_to: None,
        tags: Vec::new(),
        rankings,
        attempts,
    }
}

fn three() -> RankingView {
    ranking(vec![
        candidate("anna", Some(1), Some(0.8)),
        candidate("ben", Some(2), Some(0.6)),
        candidate("cleo", Some(3), Some(0.2)),
    ])
}

#[test]
fn the_plain_case_names_the_account_and_its_place() {
    let view = decision("completed", vec![three()], vec![attempt("anna", "completed")]);
    assert_eq!(headline(&view), "anna served this request: it ranked first of 3.");
    let view = decision("running", vec![three()], vec![attempt("anna", "running")]);
    assert_eq!(headline(&view), "anna is serving this request: it ranked first of 3.");
}

#[test]
fn a_second_try_says_what_happened_to_the_first() {
    let mut attempts = vec![attempt("anna", "usage_limit_reached"), attempt("ben", "completed")];
    let view = decision("completed", vec![three()], attempts.clone());
    assert_eq!(
        headline(&view),
        "ben served this request after anna failed (usage limit reached); it ranked second of 3."
    );
    attempts.push(attempt("cleo", "upstream_timeout"));
    let view = decision("upstream_timeout", vec![three()], attempts);
    assert_eq!(
        headline(&view),
        "cleo was the last to be tried and failed (upstream timeout) after anna and ben failed; it ranked third \
         of 3."
    );
}

#[test]
fn the_only_one_is_said_to_be_the_only_one() {
    let only = ranking(vec![candidate("anna", Some(1), None), candidate("ben", None, None)]);
    let view = decision("completed", vec![only], vec![attempt("anna", "completed")]);
    assert_eq!(headline(&view), "anna served this request: it was the only account that could take it.");
}

#[test]
fn an_attempt_outside_every_ranking_still_reads() {
    let mut stray = attempt("anna", "completed");
    stray.ranking = 7;
    assert_eq!(headline(&decision("completed", vec![three()], vec![stray])), "anna served this request.");
}

#[test]
fn requests_without_an_account_say_so() {
    let all_cooling = ranking(vec![candidate("anna", None, None), candidate("ben", None, None)]);
    let view = decision("all_accounts_cooling", vec![all_cooling], vec![]);
    assert_eq!(headline(&view), "No account took this request (all accounts cooling): 2 were considered.");

    let mut waiting = three();
    waiting.action = "wait".to_owned();
    assert_eq!(
        headline(&decision("running", vec![waiting], vec![])),
        "This request is waiting for an account to become free."
    );

    let mut refusing = three();
    refusing.action = "refuse".to_owned();
    assert_eq!(
        headline(&decision("refused_by_policy", vec![refusing], vec![])),
        "The policy usage-balanced refused this request."
    );
    assert_eq!(
        headline(&decision("no_account", vec![], vec![])),
        "This request never reached an account (no account)."
    );
}

#[test]
fn the_runner_up_is_measured_only_with_scores() {
    assert_eq!(margin(&three()).as_deref(), Some("ben came second, 0.200 behind."));
    let even = ranking(vec![candidate("a", Some(1), Some(0.5)), candidate("b", Some(2), Some(0.5))]);
    assert_eq!(margin(&even).as_deref(), Some("b scored the same and came second."));
    let silent = ranking(vec![candidate("a", Some(1), None), candidate("b", Some(2), None)]);
    assert_eq!(margin(&silent), None);
    assert_eq!(margin(&ranking(vec![candidate("a", Some(1), Some(1.0))])), None);
}

#[test]
fn the_explanation_is_about_the_ranking_that_mattered() {
    let mut second =
        ranking(vec![candidate("ben", Some(1), Some(0.6)), candidate("cleo", Some(2), Some(0.2))]);
    second.reason = "only one left".to_owned();
    let mut attempts = vec![attempt("anna", "usage_limit_reached"), attempt("ben", "completed")];
    attempts[1].ranking = 1;
    let view = decision("completed", vec![three(), second], attempts);
    assert_eq!(explanation(&view), "Only one left. cleo came second, 0.400 behind.");
    assert_eq!(explanation(&decision("no_account", vec![], vec![])), "");
}

#[test]
fn when_nobody_could_the_next_one_back_is_named() {
    let mut waiting = ranking(vec![candidate("anna", None, None), candidate("ben", None, None)]);
    waiting.reason = "everyone is cooling".to_owned();
    waiting.candidates[0].cooldown_ms = Some(900_000);
    waiting.candidates[1].cooldown_ms = Some(720_000);
    let view = decision("all_accounts_cooling", vec![waiting], vec![]);
    assert_eq!(explanation(&view), "Everyone is cooling. ben was the next to be back, 12 min later.");
}

#[test]
fn bars_keep_proportions_and_survive_negative_scores() {
    assert_eq!(score_bars(&three().candidates), [Some(1.0), Some(0.6 / 0.8), Some(0.2 / 0.8)]);
    let mixed =
        [candidate("a", None, Some(1.0)), candidate("b", None, Some(-1.0)), candidate("c", None, None)];
    let bars = score_bars(&mixed);
    assert_eq!((bars[0], bars[2]), (Some(1.0), None));
    assert!(bars[1].unwrap() > 0.0 && bars[1].unwrap() < 0.2, "the lowest keeps a visible stub");
    let same = [candidate("a", None, Some(0.0)), candidate("b", None, Some(0.0))];
    assert_eq!(score_bars(&same), [Some(1.0), Some(1.0)]);
    assert_eq!(score_bars(&[candidate("a", None, Some(f64::NAN))]), [None]);
}

#[test]
fn those_left_out_have_a_reason() {
    assert_eq!(unranked_note(&candidate("a", Some(1), None)), None);
    let mut out = candidate("a", None, None);
    assert_eq!(unranked_note(&out).as_deref(), Some("left out by the policy"));
    out.in_flight = 8;
    assert_eq!(unranked_note(&out).as_deref(), Some("at its limit of running requests"));
    out.cooldown_ms = Some(720_000);
    assert_eq!(unranked_note(&out).as_deref(), Some("cooling for 12 min"));
    out.cooldown_ms = None;
    out.health = "blocked".to_owned();
    assert_eq!(unranked_note(&out).as_deref(), Some("blocked"));
}

#[test]
fn a_failed_policy_is_named() {
    let mut failed = three();
    assert_eq!(fallback_sentence(&failed), None);
    failed.fallback = Some("deadline_exceeded".to_owned());
    assert_eq!(
        fallback_sentence(&failed).as_deref(),
        Some("The policy usage-balanced failed (deadline exceeded), so the built-in ranking decided.")
    );
}

#[test]
fn sentences_end_once() {
    assert_eq!(full_sentence("lowest use"), "Lowest use.");
    assert_eq!(full_sentence("Lowest use. "), "Lowest use.");
    assert_eq!(full_sentence(""), "");
    assert_eq!(outcome_word("usage_limit_reached"), "Usage limit reached");
    assert_eq!(outcome_tone("client_gone"), "idle");
    assert_eq!(outcome_tone("no_account"), "bad");
}
