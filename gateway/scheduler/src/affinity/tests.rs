//! Who owns what, told step by step.

use super::*;
use crate::affinity::price::WARM;

const A: Owner = Owner { account: AccountRef(0), epoch: 0 };
const B: Owner = Owner { account: AccountRef(1), epoch: 0 };

fn now(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn key(tie: Tie, value: &str) -> TieKey {
    TieKey::new(tie, "ada", value).unwrap()
}

fn session(value: &str) -> TieKey {
    key(Tie::Soft(SoftTie::Session), value)
}

fn served(affinity: &mut Affinity, keys: &[TieKey], by: Owner, visit: Visit, secs: i64) {
    affinity.served(keys, by, visit, (1_000, None), now(secs));
}

fn claim(affinity: &Affinity, keys: &[TieKey], secs: i64) -> Claim {
    affinity.claim(keys, 1_000, now(secs), |_| true, |_| true)
}

#[test]
fn a_bad_moment_does_not_move_a_conversation_but_two_in_a_row_do() {
    let mut affinity = Affinity::default();
    let keys = [session("s")];
    served(&mut affinity, &keys, A, Visit::Moving, 0);
    served(&mut affinity, &keys, B, Visit::Passing, 1);
    assert_eq!(claim(&affinity, &keys, 2), Claim::Prefers { owner: A, price: 1.0 });
    served(&mut affinity, &keys, A, Visit::Moving, 3);
    served(&mut affinity, &keys, B, Visit::Passing, 4);
    assert_eq!(
        claim(&affinity, &keys, 5),
        Claim::Prefers { owner: A, price: 1.0 },
        "the first moment was over"
    );
    served(&mut affinity, &keys, B, Visit::Passing, 6);
    assert_eq!(claim(&affinity, &keys, 7), Claim::Prefers { owner: B, price: 1.0 });
}

#[test]
fn a_conversation_whose_owner_cannot_serve_moves_at_once() {
    let mut affinity = Affinity::default();
    let keys = [session("s")];
    served(&mut affinity, &keys, A, Visit::Moving, 0);
    served(&mut affinity, &keys, B, Visit::Moving, 1);
    assert_eq!(claim(&affinity, &keys, 2), Claim::Prefers { owner: B, price: 1.0 });
}

#[test]
fn what_begins_is_followed_but_owns_no_cache_yet() {
    let mut affinity = Affinity::default();
    let keys = [session("s"), key(Tie::Hard(HardTie::Response), "resp_1")];
    affinity.begun(&keys, A, now(0));
    affinity.begun(&keys, B, now(0));
    assert_eq!(claim(&affinity, &keys, 0), Claim::Prefers { owner: A, price: 0.0 });
}

#[test]
fn ties_end_after_their_time_and_at_dead_accounts() {
    for (tie, secs) in [
        (Tie::Soft(SoftTie::Thread), 30 * 60),
        (Tie::Soft(SoftTie::PromptCache), 30 * 60),
        (Tie::Soft(SoftTie::Session), 60 * 60),
        (Tie::Hard(HardTie::TurnState), 24 * 60 * 60),
        (Tie::Hard(HardTie::Reasoning), 24 * 60 * 60),
        (Tie::Hard(HardTie::Response), 30 * 24 * 60 * 60),
        (Tie::Hard(HardTie::Conversation), 30 * 24 * 60 * 60),
        (Tie::Hard(HardTie::File), 30 * 24 * 60 * 60),
        (Tie::Hard(HardTie::Compaction), 30 * 24 * 60 * 60),
    ] {
        let mut affinity = Affinity::default();
        let keys = [key(tie, "x")];
        affinity.learn(&keys, A, now(0));
        assert_ne!(claim(&affinity, &keys, secs - 1), Claim::Free, "{tie:?}");
        assert_eq!(claim(&affinity, &keys, secs), Claim::Free, "{tie:?}");
    }
    let mut affinity = Affinity::default();
    served(&mut affinity, &[session("s")], A, Visit::Moving, 0);
    assert_eq!(affinity.claim(&[session("s")], 1, now(1), |_| false, |_| false), Claim::Free);
}

#[test]
fn the_strongest_tie_decides() {
    let mut affinity = Affinity::default();
    let thread = key(Tie::Soft(SoftTie::Thread), "t");
    let cache = key(Tie::Soft(SoftTie::PromptCache), "c");
    served(&mut affinity, &[thread], A, Visit::Moving, 0);
    served(&mut affinity, &[cache], B, Visit::Moving, 0);
    assert_eq!(claim(&affinity, &[cache, thread], 1), Claim::Prefers { owner: A, price: 1.0 });

    let response = key(Tie::Hard(HardTie::Response), "resp_1");
    affinity.learn(&[response], B, now(0));
    let must = Claim::Must { owner: B, tie: HardTie::Response, home: None };
    assert_eq!(claim(&affinity, &[cache, thread, response], 1), must);

    let file = key(Tie::Hard(HardTie::File), "file_1");
    affinity.learn(&[file], B, now(0));
    assert_eq!(claim(&affinity, &[file, response], 1), must, "one owner is no contradiction");
    affinity.learn(&[file], A, now(0));
    assert_eq!(claim(&affinity, &[file, response], 1), Claim::Torn { tie: HardTie::Response });
}

#[test]
fn the_price_fades_while_the_owner_stays_known() {
    let mut affinity = Affinity::default();
    let keys = [session("s")];
    served(&mut affinity, &keys, A, Visit::Moving, 0);
    let price = |secs| match claim(&affinity, &keys, secs) {
        Claim::Prefers { price, .. } => price,
        other => panic!("{other:?}"),
    };
    assert_eq!(price(WARM.as_secs() as i64), 1.0);
    assert!((0.4..0.6).contains(&price(17 * 60)));
    assert_eq!(price(31 * 60), 0.0);
}

#[test]
fn a_used_conversation_outlives_a_flood_and_memory_stays_bounded() {
    let mut affinity = Affinity::default();
    let mine = session("mine");
    served(&mut affinity, &[mine], A, Visit::Moving, 0);
    for flood in 0..3 * MAX_HARD_TIES {
        affinity.learn(&[key(Tie::Hard(HardTie::Response), &flood.to_string())], B, now(0));
    }
    assert_ne!(claim(&affinity, &[mine], 1), Claim::Free, "response ids do not push conversations out");
    for flood in 0..3 * MAX_SOFT_TIES {
        served(&mut affinity, &[session(&flood.to_string())], B, Visit::Moving, 0);
        if flood % 1_000 == 0 {
            served(&mut affinity, &[mine], A, Visit::Moving, 0);
        }
    }
    assert_eq!(claim(&affinity, &[mine], 1), Claim::Prefers { owner: A, price: 1.0 });
    let response = key(Tie::Hard(HardTie::Response), "resp_1");
    affinity.learn(&[response], A, now(1));
    for flood in 0..3 * MAX_LEFT_TIES {
        affinity.learn(&[key(Tie::Hard(HardTie::Reasoning), &flood.to_string())], B, now(1));
    }
    assert_ne!(claim(&affinity, &[response], 1), Claim::Free, "reasoning does not push responses out");
    for (memory, limit) in
        [(&affinity.soft, MAX_SOFT_TIES), (&affinity.hard, MAX_HARD_TIES), (&affinity.left, MAX_LEFT_TIES)]
    {
        assert!(memory.younger.len() <= limit && memory.elder.len() <= limit);
    }
}

#[test]
fn what_can_be_left_behind_leads_to_a_maker_who_is_able() {
    let reasoning = |value| key(Tie::Hard(HardTie::Reasoning), value);
    let turn = key(Tie::Hard(HardTie::TurnState), "t");
    let must = |owner, tie, home| Claim::Must { owner, tie, home };
    let prefers = |owner| Claim::Prefers { owner, price: 1.0 };
    let mut affinity = Affinity::default();
    let home = session("s");
    served(&mut affinity, &[home], A, Visit::Moving, 0);
    affinity.learn(&[reasoning("a1"), reasoning("a2")], A, now(0));
    affinity.learn(&[reasoning("b1"), turn], B, now(0));
    affinity.disown(&[reasoning("x")], now(0));
    type Able = fn(Owner) -> bool;
    let both: Able = |one| one == A || one == B;
    let (a, b, nobody): (Able, Able, Able) = (|one| one == A, |one| one == B, |_| false);
    let thought = HardTie::Reasoning;
    for (name, keys, able, expect) in [
        (
            "home made some of it",
            vec![reasoning("a1"), reasoning("b1"), home],
            both,
            must(A, thought, Some(A)),
        ),
        ("the newest without a home", vec![reasoning("a1"), reasoning("b1")], both, must(B, thought, None)),
        ("home made none of it", vec![reasoning("b1"), home], both, must(B, thought, Some(A))),
        ("home cannot", vec![reasoning("a1"), reasoning("b1"), home], b, must(B, thought, Some(A))),
        ("the newest maker cannot", vec![reasoning("a1"), reasoning("b1")], a, must(A, thought, None)),
        ("no maker can", vec![reasoning("a1"), reasoning("b1"), home], nobody, prefers(A)),
        ("nobody made it", vec![reasoning("x"), home], both, prefers(A)),
        ("unknown", vec![reasoning("?"), home], both, prefers(A)),
        (
            "the turn runs elsewhere",
            vec![reasoning("a2"), turn, home],
            both,
            must(B, HardTie::TurnState, Some(A)),
        ),
        ("and cannot go on", vec![reasoning("a2"), turn, home], a, must(A, thought, Some(A))),
    ] {
        assert_eq!(affinity.claim(&keys, 1_000, now(1), |_| true, able), expect, "{name}");
    }
    let file = key(Tie::Hard(HardTie::File), "f");
    affinity.learn(&[file], B, now(0));
    let keys = [reasoning("a1"), file, home];
    assert_eq!(claim(&affinity, &keys, 1), must(B, HardTie::File, None), "what cannot be left weighs more");
}

#[test]
fn who_serves_does_not_get_what_somebody_else_sealed() {
    let mut affinity = Affinity::default();
    let made =
        [HardTie::Compaction, HardTie::TurnState, HardTie::Reasoning].map(|tie| key(Tie::Hard(tie), "x"));
    served(&mut affinity, &made, B, Visit::Moving, 0);
    for one in made {
        assert_eq!(affinity.whose(one, B, now(0)), Whose::Unknown, "{one:?}");
    }
    affinity.learn(&made, A, now(0));
    served(&mut affinity, &made, B, Visit::Moving, 1);
    for one in made {
        assert_eq!(
            (affinity.whose(one, A, now(1)), affinity.whose(one, B, now(1))),
            (Whose::Own, Whose::Foreign)
        );
    }
    // In use, it is kept on: noted once in a while.
    affinity.take_unsaved(|_| None);
    served(&mut affinity, &made, A, Visit::Moving, 59 * 60);
    assert!(affinity.unsaved.is_empty());
    served(&mut affinity, &made, A, Visit::Moving, 23 * 60 * 60);
    assert_eq!(affinity.unsaved.len(), made.len() - 1, "the state of a turn is not stored");
    assert_eq!(affinity.whose(made[2], A, now(46 * 60 * 60)), Whose::Own);
    affinity.disown(&made, now(46 * 60 * 60));
    assert_eq!(affinity.whose(made[2], A, now(46 * 60 * 60)), Whose::Foreign);
}
