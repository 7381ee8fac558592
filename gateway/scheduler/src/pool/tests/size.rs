//! Large pools: nothing grows with the square, and a question stays small.

use super::*;
use crate::{MAX_CANDIDATES, Needs, Preference};

fn enrolments(n: u32) -> Vec<Enrolment> {
    (0..n).map(|n| enrolment(&format!("a{n}"), |_| {})).collect()
}

#[test]
fn ten_thousand_accounts_enter_one_by_one_and_the_roster_is_made_once() {
    let mut pool = Pool::default();
    for one in enrolments(10_000) {
        pool.put(one.member);
    }
    let roster = pool.roster().clone();
    assert_eq!(roster.accounts.len(), 10_000);
    assert!(Arc::ptr_eq(&roster, pool.roster()));
    assert_eq!(roster.generation, pool.question(info(None), vec![], 0, now(0)).generation);
    pool.put(member("a1"));
    assert!(pool.roster().generation > roster.generation);
}

#[test]
fn a_large_pool_names_those_that_count_and_other_ones_each_time() {
    let mut pool = Pool::default();
    pool.put_all(enrolments(3_000));
    let wanted = |id: &str, preference, priority| {
        enrolment(id, |settings| (settings.preference, settings.priority) = (preference, priority))
    };
    pool.put_all([
        wanted("a7", Preference::Preserve, 9),
        wanted("a1234", Preference::BurnFirst, 0),
        wanted("a2345", Preference::Normal, 1),
    ]);
    pool.put(Member { availability: Availability::Paused, ..member("a42") });
    let mut seen = std::collections::HashSet::new();
    for _ in 0..16 {
        let asked = pool.ask(Ask { tried: vec![AccountRef(9)], ..Ask::new(info(None), 0) }, now(0));
        let named: Vec<u32> = asked.input.candidates.iter().map(|one| one.account.0).collect();
        assert_eq!(named.len(), MAX_CANDIDATES);
        assert!(named.is_sorted(), "in the order of their handles");
        assert!(named.contains(&1234) && named.contains(&2345), "the operator's favourites are always there");
        seen.extend(named);
    }
    assert_eq!(seen.len(), 3_000 - 3, "everybody but the spared, the paused and the tried one had a chance");
    for out in [7, 9, 42] {
        assert!(!seen.contains(&out), "{out}");
    }
}

#[test]
fn a_home_is_always_named() {
    let mut pool = Pool::default();
    pool.put_all(enrolments(2_000));
    let first = pool.ask(Ask::new(info(Some("s")), 0), now(0));
    let lease = pool.take(AccountRef(1_999), &first.standing, now(0)).unwrap();
    pool.release(lease, Ending::Served { first_event_ms: None, usage: None }, &model(), now(0));
    for _ in 0..5 {
        let asked = pool.ask(Ask::new(info(Some("s")), 0), now(1));
        assert_eq!(asked.input.candidates.iter().filter(|one| one.session_affine).count(), 1);
        assert!(asked.input.candidates.len() <= MAX_CANDIDATES);
    }
}

#[test]
fn handles_of_removed_accounts_rest_and_are_used_again() {
    let mut pool = Pool::default();
    let mut slots = Vec::new();
    let key = crate::TieKey::new(crate::Tie::Hard(crate::HardTie::Response), "local", "resp_1").unwrap();
    pool.put(member("first"));
    pool.learn(AccountRef(0), &[key], now(0));
    let lease = pool.lease(AccountRef(0), None, 1, now(0)).unwrap();
    pool.remove(&AccountId::parse("first").unwrap());
    for round in 0..5 {
        for n in 0..1_000 {
            pool.put(member(&format!("r{round}-{n}")));
        }
        let gone = pool.retain(&HashSet::new());
        assert_eq!(gone.len(), 1_000);
        slots.push(pool.slots.len());
    }
    // A lease still runs on the handle at the front, so all of them rest on.
    assert_eq!(slots, [1_001, 2_001, 3_001, 4_001, 5_001]);
    pool.release(lease, Ending::Neutral, &model(), now(0));
    for round in 5..10 {
        for n in 0..1_000 {
            pool.put(member(&format!("r{round}-{n}")));
        }
        pool.retain(&HashSet::new());
    }
    assert_eq!(pool.slots.len(), 5_001, "memory is bounded by those that were there at once");
    assert_eq!((pool.in_flight(), pool.members().count()), (0, 0));
    // Whoever has the old handle now is not who made that response.
    let again: Vec<String> = (0..5_000).map(|n| format!("n{n}")).collect();
    for id in &again {
        pool.put(member(id));
    }
    let asked = pool.ask(Ask { ties: vec![key], ..Ask::new(info(None), 0) }, now(0));
    assert!(matches!(asked.verdict, Verdict::Lost { why: Loss::Removed, .. }), "{:?}", asked.verdict);
}

#[test]
fn settings_change_what_candidates_say_and_who_may_serve() {
    let mut pool = Pool::default();
    let model_rule = |id: &str, models: &[&str]| {
        enrolment(id, |settings| settings.allowed_models = models.iter().map(ToString::to_string).collect())
    };
    pool.put_all([
        model_rule("a0", &["gpt-5*"]),
        model_rule("a1", &["o4"]),
        enrolment("a2", |settings| {
            settings.groups = ["team".to_owned()].into();
            settings.serves = [gateway_domain::Dialect::OpenAiChat].into();
            (settings.priority, settings.preference, settings.pinned) = (7, Preference::BurnFirst, true);
            (settings.weight, settings.max_concurrency, settings.cost) = (2.5, Some(3), 0.4);
        }),
    ]);
    let usable = |pool: &mut Pool, needs: Needs| -> Vec<u32> {
        let asked = pool.ask(Ask { needs, ..Ask::new(info(None), 0) }, now(0));
        assert_eq!(asked.input.candidates.len(), 3, "the others are named as blocked");
        asked.input.candidates.iter().filter(|one| one.health.is_usable()).map(|one| one.account.0).collect()
    };
    let dialect = |dialect| Needs { dialects: [dialect].into(), ..Needs::default() };
    assert_eq!(usable(&mut pool, Needs::default()), [0, 2]);
    assert_eq!(usable(&mut pool, Needs { groups: ["team".to_owned()].into(), ..Needs::default() }), [2]);
    let named = |ids: &[&str]| ids.iter().map(|id| AccountId::parse(id).unwrap()).collect();
    assert_eq!(usable(&mut pool, Needs { accounts: named(&["a0"]), ..Needs::default() }), [0]);
    assert_eq!(usable(&mut pool, Needs { accounts: named(&["a1"]), ..Needs::default() }), [0; 0], "model");
    let both = Needs { groups: ["team".to_owned()].into(), accounts: named(&["a0"]), ..Needs::default() };
    assert_eq!(usable(&mut pool, both), [0, 2], "one or the other");
    let gone = Needs { accounts: named(&["a9"]), ..Needs::default() };
    assert_eq!(usable(&mut pool, gone.clone()), [0; 0], "a name that nobody has is nobody");
    let asked = pool.ask(Ask { needs: gone, ..Ask::new(info(None), 0) }, now(0));
    assert_eq!(pool.why_nobody(&asked, now(0)), Nobody::OutOfScope);
    assert_eq!(
        usable(&mut pool, Needs { providers: ["openai".to_owned()].into(), ..Needs::default() }),
        [0; 0]
    );
    assert_eq!(usable(&mut pool, dialect(gateway_domain::Dialect::OpenAiChat)), [0, 2]);
    assert_eq!(usable(&mut pool, dialect(gateway_domain::Dialect::OpenAiResponses)), [0]);
    let one = candidate(&mut pool, 2, now(0));
    assert_eq!((one.priority, one.preference, one.pinned), (7.0, Preference::BurnFirst, true));
    assert_eq!((one.weight, one.max_concurrency, one.cost), (2.5, 3, 0.4));
    assert_eq!(pool.roster().accounts[2].groups, ["team"]);
    pool.put(Member { label: "renamed".into(), ..member("a2") });
    assert_eq!(candidate(&mut pool, 2, now(0)).priority, 7.0, "who it is changed, not what was decided");
    pool.put_all([enrolment("a2", |settings| settings.weight = f64::NAN)]);
    let one = candidate(&mut pool, 2, now(0));
    assert_eq!((one.priority, one.weight, one.max_concurrency), (0.0, 1.0, crate::DEFAULT_MAX_CONCURRENCY));
}
