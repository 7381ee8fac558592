//! Who goes first, as a table; then any crowd.

use super::*;
use crate::corpus::Corpus;
use crate::{RequestInfo, Surface, validate};
use gateway_domain::{ModelName, RequestId, Timestamp};
use proptest::prelude::*;

fn one(account: u32) -> Candidate {
    Candidate::new(AccountRef(account))
}

fn input(candidates: Vec<Candidate>) -> RankInput {
    RankInput {
        info: RequestInfo {
            request_id: RequestId::parse("req_1").unwrap(),
            client: "local".into(),
            session: None,
            model: ModelName::parse("gpt-5.5").unwrap(),
            surface: Surface::Api,
            streaming: true,
            body_bytes: 10,
            attempt: 0,
        },
        now: Timestamp::from_secs(0),
        seed: 1,
        seq: 1,
        generation: 1,
        candidates,
        tried: vec![],
    }
}

/// The policy ranked them in this order, with these scores (none when empty).
fn ordered(input: &RankInput, ranked: &[u32], scores: &[f64]) -> (Vec<u32>, String) {
    let decision = RankDecision {
        action: Action::Ranked(ranked.iter().copied().map(AccountRef).collect()),
        scores: scores.to_vec(),
        reason: "policy".into(),
    };
    let ordered = apply_operator_order(input, decision);
    match ordered.action {
        Action::Ranked(kept) => (kept.into_iter().map(|account| account.0).collect(), ordered.reason),
        other => panic!("{other:?}"),
    }
}

fn check(name: &str, candidates: Vec<Candidate>, expect: &[u32], reason: &str) {
    let all: Vec<u32> = candidates.iter().map(|candidate| candidate.account.0).collect();
    let (kept, why) = ordered(&input(candidates), &all, &[]);
    assert_eq!(kept, expect, "{name}");
    assert_eq!(why, reason, "{name}");
}

#[test]
fn the_operators_order() {
    let burn = |account| Candidate { preference: Preference::BurnFirst, ..one(account) };
    let preserve = |account| Candidate { preference: Preference::Preserve, ..one(account) };
    let priority = |account, priority| Candidate { priority, ..one(account) };
    check("nothing wished", vec![one(0), one(1)], &[0, 1], "policy");
    check(
        "pinned, then preference, then priority, then the policy",
        vec![
            preserve(0),
            one(1),
            priority(2, 3.0),
            burn(3),
            Candidate { pinned: true, ..preserve(4) },
            one(5),
            Candidate { priority: 9.0, ..preserve(6) },
        ],
        &[4, 3, 2, 1, 5, 6, 0],
        "policy",
    );
    check(
        "exhausted ones last, whatever is wished",
        vec![Candidate { short_window_used: 1.0, pinned: true, ..one(0) }, one(1), preserve(2)],
        &[1, 2, 0],
        "policy",
    );
    check(
        "unusable and full ones are dropped",
        vec![
            Candidate { health: Health::Cooling, pinned: true, ..one(0) },
            Candidate { in_flight: 9, max_concurrency: 9, ..burn(1) },
            one(2),
        ],
        &[2],
        "policy",
    );
    let home = |account| Candidate { session_affine: true, ..one(account) };
    check("a home that is first stays first", vec![home(0), burn(1), priority(2, 5.0)], &[0, 1, 2], "policy");
    check(
        "unless somebody is pinned",
        vec![home(0), Candidate { pinned: true, ..one(1) }],
        &[1, 0],
        "policy",
    );
    check(
        "or it is exhausted",
        vec![Candidate { long_window_used: 1.0, ..home(0) }, burn(1)],
        &[1, 0],
        "policy",
    );
    check("a home that is not first gets no favour", vec![one(0), home(1), burn(2)], &[2, 0, 1], "policy");
}

#[test]
fn a_conversation_moves_only_when_the_gain_outweighs_its_price() {
    let away = |price| Candidate { move_price: price, ..one(0) };
    let home = Candidate { session_affine: true, ..one(1) };
    let bad_moment = Candidate { health: Health::Degraded, ..home };
    for (name, away, home, scores, expect, why) in [
        ("a small gain", away(1.0), home, [0.9, 0.6], [1, 0], "stays home"),
        ("a large gain", away(1.0), home, [0.9, 0.5], [0, 1], "moves the conversation, 100%"),
        ("half the price", away(0.5), home, [0.9, 0.7], [0, 1], "50% of the prompt is paid again"),
        ("one bad moment", away(0.9), bad_moment, [0.7, 0.4], [1, 0], "less than 90%"),
        ("a cold cache", away(0.0), home, [0.61, 0.6], [0, 1], "policy"),
        ("an unknown score", away(1.0), home, [f64::NAN, 0.6], [0, 1], "moves"),
        ("first anyway", away(0.8), home, [0.1, 0.6], [1, 0], "moving would cost 80% of the prompt"),
    ] {
        let ranked = if scores[0] >= scores[1] || scores[0].is_nan() { [0, 1] } else { [1, 0] };
        let (kept, reason) = ordered(&input(vec![away, home]), &ranked, &scores);
        assert_eq!(kept, expect, "{name}");
        assert!(reason.contains(why), "{name}: {reason}");
    }
    let exhausted = Candidate { long_window_used: 1.0, ..home };
    assert_eq!(ordered(&input(vec![away(1.0), exhausted]), &[0, 1], &[0.5, 0.5]).0, [0, 1]);
    let (kept, _) = ordered(&input(vec![away(1.0), home]), &[0, 1], &[]);
    assert_eq!(kept, [0, 1], "a policy without scores is not corrected");
}

#[test]
fn a_due_probe_goes_first_where_it_costs_nothing() {
    let probing = |account, seq| Candidate { health: Health::Probing, last_picked_seq: seq, ..one(account) };
    let probes = "policy; probes an account that comes back";
    check("before the healthy", vec![one(0), one(1), probing(2, 5)], &[2, 0, 1], probes);
    check("the one that waits longest", vec![one(0), probing(1, 7), probing(2, 5)], &[2, 0, 1], probes);
    check(
        "one at a time",
        vec![one(0), probing(1, 7), Candidate { in_flight: 1, max_concurrency: 1, ..probing(2, 5) }],
        &[0, 1],
        "policy",
    );
    check(
        "not against the operator",
        vec![Candidate { priority: 1.0, ..one(0) }, probing(1, 0)],
        &[0, 1],
        "policy",
    );
    check(
        "not exhausted",
        vec![one(0), Candidate { short_window_used: 1.0, ..probing(1, 0) }],
        &[0, 1],
        "policy",
    );
    check(
        "not with a conversation's cache",
        vec![Candidate { session_affine: true, ..one(0) }, Candidate { move_price: 0.8, ..probing(1, 0) }],
        &[0, 1],
        "policy; moving would cost 80% of the prompt",
    );
    let mut retry = input(vec![one(0), probing(1, 0)]);
    retry.info.attempt = 1;
    assert_eq!(
        ordered(&retry, &[0, 1], &[]).0,
        [0, 1],
        "a request that failed once is not experimented with"
    );
    let left_out = input(vec![one(0), probing(1, 0)]);
    assert_eq!(ordered(&left_out, &[0], &[]).0, [0], "the policy did not name it");
}

#[test]
fn the_order_is_made_before_the_list_is_cut() {
    let mut candidates: Vec<Candidate> = (0..100).map(one).collect();
    candidates[99].priority = 1.0;
    let all: Vec<u32> = (0..100).collect();
    let (kept, _) = ordered(&input(candidates), &all, &[]);
    assert_eq!(kept.len(), MAX_KEPT);
    assert_eq!(kept[..2], [99, 0]);
}

proptest! {
    /// Any crowd, any ranking: what comes out was named, can take the request, and appears once.
    #[test]
    fn only_who_can_take_it(seed in any::<u64>(), size in 0_usize..60, picks in prop::collection::vec(0_u32..80, 0..80)) {
        let (_, input) = Corpus::new(seed).unwrap().question(size);
        let decision = RankDecision {
            action: Action::Ranked(picks.iter().copied().map(AccountRef).collect()),
            scores: vec![],
            reason: String::new(),
        };
        if let Action::Ranked(kept) = validate(&input, decision).unwrap().action {
            let mut seen = std::collections::HashSet::new();
            for account in kept {
                prop_assert!(picks.contains(&account.0));
                prop_assert!(seen.insert(account));
                prop_assert!(!input.tried.contains(&account));
                let candidate = input.candidates.iter().find(|one| one.account == account).unwrap();
                prop_assert!(candidate.health.is_usable());
                prop_assert!(candidate.in_flight < candidate.max_concurrency);
            }
        }
    }
}
