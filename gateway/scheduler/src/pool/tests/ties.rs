//! May this move, and at what price: ties and accounts together.

use super::*;
use crate::{DownProxy, HardTie, SoftTie, Tie, TieKey, Way, Whose};
use gateway_domain::Window;

fn key(tie: Tie, value: &str) -> TieKey {
    TieKey::new(tie, "local", value).unwrap()
}

fn response(value: &str) -> TieKey {
    key(Tie::Hard(HardTie::Response), value)
}

fn ask(pool: &mut Pool, ties: &[TieKey], tried: &[u32], at: i64) -> Asked {
    let tried = tried.iter().copied().map(AccountRef).collect();
    pool.ask(Ask { ties: ties.to_vec(), tried, ..Ask::new(info(Some("s")), 0) }, now(at))
}

fn served(pool: &mut Pool, account: u32, asked: &Asked, at: i64) {
    let lease = pool.take(AccountRef(account), &asked.standing, now(at)).expect("free");
    pool.release(lease, Ending::Served { first_event_ms: None, usage: None }, &model(), now(at));
}

#[test]
fn a_conversation_has_its_price_everywhere_but_at_home() {
    let mut pool = pool(3);
    let asked = ask(&mut pool, &[], &[], 0);
    assert_eq!(asked.verdict, Verdict::Free);
    served(&mut pool, 1, &asked, 0);
    let asked = ask(&mut pool, &[], &[], 60);
    assert_eq!(asked.verdict, Verdict::Prefers { owner: AccountRef(1), price: 1.0 });
    let prices: Vec<f64> = asked.input.candidates.iter().map(|one| one.move_price).collect();
    assert_eq!(prices, [1.0, 0.0, 1.0]);
    let affine: Vec<bool> = asked.input.candidates.iter().map(|one| one.session_affine).collect();
    assert_eq!(affine, [false, true, false]);
    let other = Ask::new(RequestInfo { client: "bob".into(), ..info(Some("s")) }, 0);
    assert_eq!(pool.ask(other, now(60)).verdict, Verdict::Free, "another client's session is another one");
}

#[test]
fn only_the_owner_continues_what_only_it_knows() {
    let mut pool = pool(3);
    pool.learn(AccountRef(2), &[response("resp_1")], now(0));
    let asked = ask(&mut pool, &[response("resp_1")], &[], 1);
    assert_eq!(asked.verdict, Verdict::Must { owner: AccountRef(2), tie: HardTie::Response });
    let named: Vec<AccountRef> = asked.input.candidates.iter().map(|one| one.account).collect();
    assert_eq!(named, [AccountRef(2)]);
    assert_eq!(pool.take(AccountRef(0), &asked.standing, now(1)), None);
    served(&mut pool, 2, &asked, 1);
}

#[test]
fn a_dead_owner_is_told() {
    type Change = fn(&mut Pool);
    let limit = |pool: &mut Pool, until| {
        let failure = Failure::upstream(FailureKind::QuotaExhausted, "x").resets_at(Some(now(until)));
        fail(pool, 0, &failure, now(0));
    };
    let removed: Change = |pool| pool.remove(&AccountId::parse("a0").unwrap());
    let paused: Change = |pool| {
        pool.put(Member { availability: Availability::Paused, ..member("a0") });
    };
    let signed_out: Change = |pool| {
        pool.put(Member { availability: Availability::SignInNeeded("x".into()), ..member("a0") });
    };
    let no_way: Change = |pool| {
        pool.set_way(AccountRef(0), Way::Off);
    };
    let not_serving: Change = |pool| {
        pool.put_all([enrolment("a0", |settings| settings.allowed_models = ["o4".to_owned()].into())]);
    };
    let torn: Change = |pool| pool.learn(AccountRef(1), &[key(Tie::Hard(HardTie::File), "f")], now(0));
    for (change, why) in [
        (removed, Loss::Removed),
        (paused, Loss::Paused),
        (signed_out, Loss::SignInNeeded),
        (no_way, Loss::NoWay),
        (not_serving, Loss::NotServing),
        (torn, Loss::Torn),
    ] {
        let mut pool = pool(2);
        pool.learn(AccountRef(0), &[response("resp_1")], now(0));
        change(&mut pool);
        let ties = [response("resp_1"), key(Tie::Hard(HardTie::File), "f")];
        let asked = ask(&mut pool, &ties, &[], 1);
        assert_eq!(asked.verdict, Verdict::Lost { tie: HardTie::Response, why });
        assert!(asked.input.candidates.is_empty(), "{why:?}");
    }
    for (until, verdict) in [
        (11, Verdict::Must { owner: AccountRef(0), tie: HardTie::Response }),
        (12, Verdict::Lost { tie: HardTie::Response, why: Loss::Cooling { until: now(12) } }),
    ] {
        let mut pool = pool(2);
        pool.learn(AccountRef(0), &[response("resp_1")], now(0));
        limit(&mut pool, until);
        assert_eq!(ask(&mut pool, &[response("resp_1")], &[], 1).verdict, verdict, "back at {until}");
    }
}

#[test]
fn sealed_reasoning_goes_to_its_maker_and_stays_behind_when_that_one_cannot() {
    let reasoning = key(Tie::Hard(HardTie::Reasoning), "gAAAA");
    let compacted = key(Tie::Hard(HardTie::Compaction), "gAAAA");
    type Change = fn(&mut Pool);
    let must = |tie| Verdict::Must { owner: AccountRef(0), tie };
    let changes: [(&str, Change, bool); 7] = [
        ("nothing", |_| {}, true),
        ("removed", |pool| pool.remove(&AccountId::parse("a0").unwrap()), false),
        ("no way", |pool| assert!(pool.set_way(AccountRef(0), Way::Off)), false),
        (
            "cooling for a moment",
            |pool| {
                let limit =
                    Failure::upstream(FailureKind::RateLimited, "x").after(Some(Duration::from_secs(3)));
                fail(pool, 0, &limit, now(1));
            },
            false,
        ),
        ("full", |pool| while pool.lease(AccountRef(0), None, 9, now(1)).is_some() {}, false),
        (
            "used up",
            |pool| {
                let window = Window { seconds: 18_000, used: 1.0, resets_at: Some(now(9_000)) };
                let quota = QuotaSnapshot { short: Some(window), ..QuotaSnapshot::default() };
                pool.observe_quota(AccountRef(0), &quota, now(1));
            },
            false,
        ),
        ("another one is pinned", |pool| pool.pin(AccountRef(1), true), false),
    ];
    for (name, change, stays) in changes {
        let mut pool = pool(2);
        pool.learn(AccountRef(0), &[reasoning, compacted], now(0));
        change(&mut pool);
        let verdict = ask(&mut pool, &[reasoning], &[], 1).verdict;
        assert_eq!(verdict == must(HardTie::Reasoning), stays, "{name}: {verdict:?}");
        assert!(stays || verdict == Verdict::Free, "{name}: {verdict:?}");
        assert_eq!(pool.whose(reasoning, AccountRef(1), now(1)), Whose::Foreign, "{name}");
        let verdict = ask(&mut pool, &[compacted], &[], 1).verdict;
        let held = matches!(verdict, Verdict::Must { tie: HardTie::Compaction, .. } | Verdict::Lost { .. });
        assert!(held, "{name}: nobody else can read a compacted history: {verdict:?}");
    }
    // Whoever failed it already is asked no more; a compacted history is not left behind for that.
    let mut pool = pool(2);
    pool.learn(AccountRef(0), &[reasoning, compacted], now(0));
    assert_eq!(ask(&mut pool, &[reasoning], &[0], 1).verdict, Verdict::Free);
    assert_eq!(ask(&mut pool, &[compacted], &[0], 1).verdict, must(HardTie::Compaction));
}

#[test]
fn a_conversation_comes_home_although_a_guest_thought_once() {
    let mut pool = pool(2);
    let thought = |value| key(Tie::Hard(HardTie::Reasoning), value);
    let asked = ask(&mut pool, &[], &[], 0);
    served(&mut pool, 0, &asked, 0);
    pool.learn(AccountRef(0), &[thought("one")], now(0));
    // Its home fails once: a guest serves, and thinks.
    let asked = ask(&mut pool, &[thought("one")], &[0], 1);
    served(&mut pool, 1, &asked, 1);
    pool.learn(AccountRef(1), &[thought("two")], now(1));
    let asked = ask(&mut pool, &[thought("one"), thought("two")], &[], 2);
    assert_eq!(asked.verdict, Verdict::Must { owner: AccountRef(0), tie: HardTie::Reasoning });
    served(&mut pool, 0, &asked, 2);
    // Another moment, and the guest can read what it thought itself: it is asked before a stranger.
    let asked = ask(&mut pool, &[thought("one"), thought("two")], &[0], 3);
    assert_eq!(asked.verdict, Verdict::Must { owner: AccountRef(1), tie: HardTie::Reasoning });
    served(&mut pool, 1, &asked, 3);
    assert_eq!(ask(&mut pool, &[], &[], 4).verdict, Verdict::Prefers { owner: AccountRef(0), price: 1.0 });
}

#[test]
fn soft_ties_survive_one_bad_moment() {
    let owner = |pool: &mut Pool, at| match ask(pool, &[], &[], at).verdict {
        Verdict::Prefers { owner, .. } => owner.0,
        other => panic!("{other:?}"),
    };
    let mut pool = pool(2);
    let asked = ask(&mut pool, &[], &[], 0);
    served(&mut pool, 0, &asked, 0);
    // It fails once, and the request is served elsewhere.
    let asked = ask(&mut pool, &[], &[0], 1);
    served(&mut pool, 1, &asked, 1);
    assert_eq!(owner(&mut pool, 2), 0, "one bad moment");
    let asked = ask(&mut pool, &[], &[0], 3);
    served(&mut pool, 1, &asked, 3);
    assert_eq!(owner(&mut pool, 4), 1, "the second in a row");
    // Its owner cannot serve for long: it moves at once.
    let limit = Failure::upstream(FailureKind::QuotaExhausted, "x").resets_at(Some(now(5_000)));
    fail(&mut pool, 1, &limit, now(5));
    let asked = ask(&mut pool, &[], &[1], 5);
    served(&mut pool, 0, &asked, 5);
    assert_eq!(owner(&mut pool, 6), 0);
    // A policy that prefers another account although its owner could serve has its way.
    let asked = ask(&mut pool, &[], &[], 6_000);
    served(&mut pool, 1, &asked, 6_000);
    assert_eq!(owner(&mut pool, 6_001), 1);
}

#[test]
fn a_full_owner_only_has_a_bad_moment() {
    let mut pool = Pool::default();
    let one_at_a_time = |id| enrolment(id, |settings| settings.max_concurrency = Some(1));
    pool.put_all([one_at_a_time("a0"), one_at_a_time("a1")]);
    let asked = ask(&mut pool, &[], &[], 0);
    served(&mut pool, 0, &asked, 0);
    let busy = pool.lease(AccountRef(0), None, 9, now(1)).unwrap();
    let asked = ask(&mut pool, &[], &[], 1);
    served(&mut pool, 1, &asked, 1);
    pool.release(busy, Ending::Neutral, &model(), now(2));
    assert!(matches!(ask(&mut pool, &[], &[], 2).verdict, Verdict::Prefers { owner: AccountRef(0), .. }));
}

#[test]
fn several_ties_point_to_one_home() {
    let mut pool = pool(2);
    let thread = key(Tie::Soft(SoftTie::Thread), "t");
    let asked = ask(&mut pool, &[thread], &[], 0);
    served(&mut pool, 1, &asked, 0);
    // The client forgets its session; the thread still leads home.
    let info = info(None);
    let asked = pool.ask(Ask { ties: vec![thread], ..Ask::new(info, 0) }, now(1));
    assert!(matches!(asked.verdict, Verdict::Prefers { owner: AccountRef(1), .. }));
    let many: Vec<TieKey> = (0..500).map(|n| response(&n.to_string())).collect();
    assert_eq!(ask(&mut pool, &many, &[], 1).standing.keys.len(), crate::affinity::MAX_TIES);
}

#[test]
fn why_nobody_serves_is_told_with_the_earliest_end() {
    let limit = |kind, until| Failure::upstream(kind, "x").resets_at(Some(now(until)));
    let mut pool = Pool::default();
    let why = |pool: &mut Pool, tried: &[u32]| {
        let asked = ask(pool, &[], tried, 1);
        pool.why_nobody(&asked, now(1))
    };
    assert_eq!(why(&mut pool, &[]), Nobody::Empty);
    pool.put_all([enrolment("a0", |settings| settings.allowed_models = ["o4".to_owned()].into())]);
    assert_eq!(why(&mut pool, &[]), Nobody::NotServed);
    pool.put_all([enrolment("a0", |_| {}), enrolment("a1", |_| {})]);
    assert_eq!(why(&mut pool, &[0]), Nobody::Busy);
    assert_eq!(why(&mut pool, &[0, 1]), Nobody::AllTried);
    for account in [0, 1] {
        fail(&mut pool, account, &limit(FailureKind::ModelNotSupported, 0), now(0));
    }
    assert_eq!(why(&mut pool, &[]), Nobody::ModelNotSupported);
    fail(&mut pool, 0, &limit(FailureKind::QuotaExhausted, 700), now(0));
    assert!(matches!(why(&mut pool, &[]), Nobody::Cooling { .. }), "for more than one reason");
    fail(&mut pool, 1, &limit(FailureKind::QuotaExhausted, 600), now(0));
    assert_eq!(why(&mut pool, &[]), Nobody::Exhausted { until: now(600) });
    for account in [0, 1] {
        pool.set_way(AccountRef(account), Way::Off);
    }
    assert_eq!(why(&mut pool, &[]), Nobody::NoWay);
}

#[test]
fn the_accounts_that_cannot_be_reached_are_listed_with_their_reason() {
    let mut pool = pool(3);
    assert!(pool.closed_ways().is_empty());
    let down = Way::Down(Arc::new(DownProxy { name: "eu".into(), since: now(5) }));
    assert!(pool.set_way(AccountRef(1), down.clone()));
    assert!(!pool.set_way(AccountRef(1), down.clone()), "no news");
    assert_eq!(**pool.closed_ways(), [(AccountRef(1), down)]);
    let asked = ask(&mut pool, &[], &[], 6);
    let health: Vec<_> = asked.input.candidates.iter().map(|one| one.health).collect();
    assert_eq!(health, [Health::Healthy, Health::Blocked, Health::Healthy]);
    assert!(pool.take(AccountRef(1), &asked.standing, now(6)).is_none());
    assert!(pool.set_way(AccountRef(1), Way::Open) && pool.closed_ways().is_empty());
    assert!(pool.take(AccountRef(1), &asked.standing, now(7)).is_some_and(|lease| {
        pool.release(lease, Ending::Neutral, &asked.input.info.model, now(7));
        true
    }));
}

#[test]
fn ties_survive_a_restart_with_their_price_and_only_what_is_news_is_stored() {
    let mut before = pool(3);
    let asked = ask(&mut before, &[], &[], 0);
    assert!(before.take_unsaved_ties().is_empty(), "nothing was served yet");
    served(&mut before, 2, &asked, 0);
    before.learn(AccountRef(1), &[response("resp_1")], now(0));
    let kept = before.take_unsaved_ties();
    assert_eq!(kept.len(), 2);
    // The conversation goes on: noted once a minute is enough.
    for at in [5, 59] {
        let asked = ask(&mut before, &[], &[], at);
        served(&mut before, 2, &asked, at);
        assert!(before.take_unsaved_ties().is_empty(), "at {at}");
    }
    let asked = ask(&mut before, &[], &[], 60);
    served(&mut before, 2, &asked, 60);
    assert_eq!(before.take_unsaved_ties().len(), 1);

    // The same accounts, in another order.
    let mut after = Pool::default();
    after.put_all(["a2", "a1"].map(|id| enrolment(id, |_| {})));
    assert_eq!(after.restore_ties(&kept, now(100)), 2);
    assert_eq!(after.restore_ties(&kept, now(100)), 0, "no news");
    let asked = ask(&mut after, &[], &[], 100);
    assert_eq!(asked.verdict, Verdict::Prefers { owner: AccountRef(0), price: 1.0 });
    let asked = ask(&mut after, &[response("resp_1")], &[], 100);
    assert!(matches!(asked.verdict, Verdict::Must { owner: AccountRef(1), .. }), "{:?}", asked.verdict);
    assert!(after.take_unsaved_ties().is_empty(), "what came from the store need not go back");

    // Too old, or nobody's: forgotten.
    let mut late = pool(3);
    assert_eq!(
        late.restore_ties(&kept, now(7_200)),
        1,
        "the session is over, the response is kept for a month"
    );
    let mut others = Pool::default();
    others.put(member("b0"));
    assert_eq!(others.restore_ties(&kept, now(100)), 0);
}

#[test]
fn what_is_known_here_and_newer_stays() {
    let mut pool = pool(2);
    let asked = ask(&mut pool, &[], &[], 0);
    served(&mut pool, 0, &asked, 0);
    let mut told = pool.take_unsaved_ties();
    told[0].account = AccountId::parse("a1").unwrap();
    assert_eq!(pool.restore_ties(&told, now(1)), 0, "as new as what is known");
    told[0].used_at = now(5);
    assert_eq!(pool.restore_ties(&told, now(6)), 1);
    let asked = ask(&mut pool, &[], &[], 6);
    assert!(
        matches!(asked.verdict, Verdict::Prefers { owner: AccountRef(1), .. }),
        "another replica moved it"
    );
}
