//! The formula as a table: what differs, who wins, why.

use super::*;
use crate::{AccountRef, RequestInfo};
use gateway_domain::{ModelName, RequestId, Timestamp};

fn candidate(account: u32) -> Candidate {
    Candidate {
        max_concurrency: 10,
        short_window_used: 0.5,
        long_window_used: 0.5,
        ..Candidate::new(AccountRef(account))
    }
}

fn rank(candidates: Vec<Candidate>, tried: Vec<AccountRef>) -> RankDecision {
    let input = RankInput {
        info: RequestInfo {
            request_id: RequestId::parse("req_1").unwrap(),
            client: "local".into(),
            session: None,
            model: ModelName::parse("gpt-5.5").unwrap(),
            surface: crate::Surface::Api,
            streaming: true,
            body_bytes: 10,
            attempt: 0,
        },
        now: Timestamp::from_secs(0),
        seed: 1,
        seq: 1,
        generation: 1,
        candidates,
        tried,
    };
    BuiltIn::default().rank(&Arc::new(Roster::default()), &Arc::new(input)).unwrap()
}

fn check(name: &str, candidates: Vec<Candidate>, expect: &[u32], why: &str) {
    let decision = rank(candidates, vec![]);
    let expected: Vec<AccountRef> = expect.iter().copied().map(AccountRef).collect();
    assert_eq!(decision.action, Action::Ranked(expected), "{name}");
    assert!(decision.reason.contains(why), "{name}: {}", decision.reason);
}

#[test]
fn the_table() {
    let base = candidate;
    check(
        "more left wins",
        vec![base(0), Candidate { short_window_used: 0.1, long_window_used: 0.1, ..base(1) }],
        &[1, 0],
        "0.90 left",
    );
    check(
        "the tighter window counts most",
        vec![Candidate { short_window_used: 0.95, long_window_used: 0.3, ..base(0) }, base(1)],
        &[1, 0],
        "0.50 left",
    );
    check(
        "unknown is neither full nor empty",
        vec![
            Candidate { short_window_used: f64::NAN, long_window_used: f64::NAN, ..base(0) },
            Candidate { short_window_used: 0.2, long_window_used: 0.2, ..base(1) },
            Candidate { short_window_used: 0.8, long_window_used: 0.8, ..base(2) },
        ],
        &[1, 0, 2],
        "0.80 left",
    );
    check(
        "a prompt cache is worth some headroom",
        vec![
            Candidate { long_window_used: 0.3, short_window_used: 0.3, ..base(0) },
            Candidate { session_affine: true, ..base(1) },
        ],
        &[1, 0],
        "prompt cache",
    );
    check(
        "but not all of it",
        vec![
            Candidate { long_window_used: 0.0, short_window_used: 0.0, ..base(0) },
            Candidate { session_affine: true, long_window_used: 0.9, short_window_used: 0.9, ..base(1) },
        ],
        &[0, 1],
        "1.00 left",
    );
    check(
        "exhausted goes last, whatever else speaks for it",
        vec![
            Candidate { session_affine: true, short_window_used: 1.0, long_window_used: 0.0, ..base(0) },
            Candidate { error_rate_ewma: 1.0, ..base(1) },
        ],
        &[1, 0],
        "left",
    );
    check(
        "ties go to the one picked longest ago",
        vec![Candidate { last_picked_seq: 9, ..base(0) }, Candidate { last_picked_seq: 3, ..base(1) }],
        &[1, 0],
        "left",
    );
    check(
        "cooling, blocked and full ones are not ranked",
        vec![
            Candidate { health: Health::Cooling, ..base(0) },
            Candidate { health: Health::Blocked, ..base(1) },
            Candidate { in_flight: 10, ..base(2) },
            Candidate { health: Health::Probing, ..base(3) },
        ],
        &[3],
        "only account left",
    );
}

#[test]
fn nobody_left_delegates_and_scores_nobody() {
    let decision = rank(vec![candidate(0)], vec![AccountRef(0)]);
    assert_eq!(decision.action, Action::Delegate);
    assert!(decision.scores.iter().all(|score| score.is_nan()));
}

#[test]
fn numbers_stand_for_scores_in_reverse() {
    let scores =
        [f64::NEG_INFINITY, -2.5, -1e-300, -0.0, 0.0, 1e-300, 0.3, 0.30000000000000004, 9.0, f64::INFINITY];
    for (a, one) in scores.iter().enumerate() {
        for (b, other) in scores.iter().enumerate() {
            assert_eq!(descending(*one).cmp(&descending(*other)), b.cmp(&a), "{one} and {other}");
        }
    }
}
