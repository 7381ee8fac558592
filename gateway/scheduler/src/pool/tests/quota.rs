//! Windows, features, credits and plans, through the pool.

use super::*;
use gateway_domain::{Credits, FeatureWindow, Window};

const HOURS_5: u64 = 18_000;
const WEEK: u64 = 604_800;

fn window(seconds: u64, used: f64) -> Option<Window> {
    Some(Window { seconds, used, resets_at: Some(now(10_000)) })
}

fn told(short: f64, long: f64) -> QuotaSnapshot {
    QuotaSnapshot { short: window(HOURS_5, short), long: window(WEEK, long), ..QuotaSnapshot::default() }
}

fn used(one: &Candidate) -> (f64, f64) {
    (one.short_window_used, one.long_window_used)
}

#[test]
fn a_window_that_is_no_longer_reported_is_forgotten() {
    let mut pool = pool(1);
    pool.observe_quota(AccountRef(0), &told(0.9, 0.9), now(0));
    pool.observe_quota(AccountRef(0), &QuotaSnapshot { short: None, ..told(0.9, 0.9) }, now(1));
    let one = candidate(&mut pool, 0, now(1));
    assert!(one.short_window_used.is_nan());
    assert_eq!(one.long_window_used, 0.9);
    assert_eq!(pool.take_unsaved_quota().len(), 1);
    assert!(pool.take_unsaved_quota().is_empty(), "stored once");
}

#[test]
fn nearly_used_windows_spare_an_account() {
    for (short, long, health_is, carries) in [
        (0.84, 0.89, Health::Healthy, 64),
        (0.85, 0.1, Health::Degraded, 32),
        (0.1, 0.90, Health::Degraded, 32),
    ] {
        let mut pool = pool(1);
        pool.observe_quota(AccountRef(0), &told(short, long), now(0));
        let one = candidate(&mut pool, 0, now(1));
        assert_eq!((one.health, one.max_concurrency), (health_is, carries), "{short} and {long}");
        assert_eq!(candidate(&mut pool, 0, now(10_000)).health, Health::Healthy, "both have reset");
    }
}

#[test]
fn credits_pay_for_what_is_used_up_until_they_are_gone() {
    let credits = |balance| Credits { available: true, unlimited: false, balance };
    for (name, credits, short) in [
        ("none told", None, 1.0),
        ("some left", Some(credits(Some(3.0))), 0.999),
        ("unknown balance", Some(credits(None)), 0.999),
        ("empty", Some(credits(Some(0.0))), 1.0),
        ("endless", Some(Credits { available: false, unlimited: true, balance: None }), 0.999),
    ] {
        let mut pool = pool(1);
        pool.observe_quota(AccountRef(0), &QuotaSnapshot { credits, ..told(1.0, 0.3) }, now(0));
        assert_eq!(used(&candidate(&mut pool, 0, now(1))), (short, 0.3), "{name}");
    }
}

#[test]
fn a_feature_limits_only_the_model_it_names() {
    let mut pool = pool(2);
    let spark = FeatureWindow {
        feature: "GPT-5.3-Codex-Spark".into(),
        window: Window { seconds: HOURS_5, used: 1.0, resets_at: Some(now(5_000)) },
    };
    pool.observe_quota(AccountRef(0), &QuotaSnapshot { features: vec![spark], ..told(0.2, 0.3) }, now(0));
    pool.observe_quota(AccountRef(1), &told(0.2, 0.3), now(0));
    let mut ask = |model: &str, at| {
        let info = RequestInfo { model: ModelName::parse(model).unwrap(), ..info(None) };
        pool.question(info, vec![], 0, at).candidates
    };
    let spark = ask("gpt-5.3-codex-spark", now(1));
    assert_eq!((used(&spark[0]), used(&spark[1])), ((1.0, 0.3), (0.2, 0.3)));
    assert_eq!(spark[0].short_window_resets_in_ms, 4_999_000);
    assert_eq!(used(&ask("gpt-5.3-codex", now(1))[0]), (0.2, 0.3));
    assert_eq!(used(&ask("gpt-5.3-codex-spark", now(5_000))[0]), (0.2, 0.3), "it has reset");
}

#[test]
fn fresh_numbers_or_credits_end_a_usage_limit() {
    let limit = Failure::upstream(FailureKind::QuotaExhausted, "x").resets_at(Some(now(9_000)));
    let credits = Credits { available: true, unlimited: false, balance: Some(1.0) };
    for (name, told, at, ended) in [
        ("too early", told(0.0, 0.0), 119, false),
        ("room again", told(0.0, 0.0), 120, true),
        ("still used up", told(1.0, 0.0), 500, false),
        ("credits pay", QuotaSnapshot { credits: Some(credits), ..told(1.0, 0.0) }, 500, true),
    ] {
        let mut pool = pool(1);
        fail(&mut pool, 0, &limit, now(0));
        pool.observe_quota(AccountRef(0), &told, now(at));
        let expect = if ended { Health::Probing } else { Health::Cooling };
        assert_eq!(health(&mut pool, 0, now(at)), expect, "{name}");
    }
}

#[test]
fn a_smaller_plan_is_believed_the_second_time_and_sizes_follow() {
    let mut pool = pool(1);
    let mut sees = |plan: &str, at| {
        let quota = QuotaSnapshot { plan: Some(plan.into()), ..told(0.1, 0.1) };
        pool.observe_quota(AccountRef(0), &quota, now(at));
        let one = candidate(&mut pool, 0, now(at));
        (pool.roster().accounts[0].plan.clone(), one.capacity)
    };
    assert_eq!(sees("pro", 0), ("pro".into(), 50_400.0 / 7_560.0));
    assert_eq!(sees("free", 10), ("pro".into(), 50_400.0 / 7_560.0));
    assert_eq!(sees("free", 80), ("free".into(), 0.15));
    let (plan, size) = sees("mystery", 90);
    assert_eq!((plan.as_str(), size), ("free", 0.15));
    assert!(sees("mystery", 150).1.is_nan());
}

#[test]
fn stored_windows_count_from_when_they_were_told() {
    let mut pool = Pool::default();
    let quota = Some((told(0.4, 0.5), now(0)));
    pool.put(Member { quota, ..member("a0") });
    assert_eq!(used(&candidate(&mut pool, 0, now(100))), (0.4, 0.5));
    assert_eq!(used(&candidate(&mut pool, 0, now(20_000))), (0.0, 0.0), "both have reset");
    assert!(candidate(&mut pool, 0, now(96_400)).long_window_used.is_nan(), "yesterday's news");
}
