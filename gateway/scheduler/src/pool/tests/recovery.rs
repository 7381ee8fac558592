//! Cooldowns and the way back, through the pool.

use super::*;
use crate::PROBES_TO_PASS;
use gateway_domain::Answer;

fn quota(resets_at: i64) -> Failure {
    Failure::upstream(FailureKind::QuotaExhausted, "x").resets_at(Some(now(resets_at)))
}

#[test]
fn a_usage_limit_cools_until_the_upstreams_reset_and_then_probes() {
    let mut pool = pool(1);
    fail(&mut pool, 0, &quota(500), now(0));
    assert_eq!(health(&mut pool, 0, now(499)), Health::Cooling);
    assert!(pool.lease(AccountRef(0), None, 2, now(499)).is_none(), "nobody is sent to a cooling account");
    assert_eq!(pool.earliest_return(&model(), now(100)), Some(now(500)));
    for served in 0..PROBES_TO_PASS {
        assert_eq!(health(&mut pool, 0, now(500)), Health::Probing, "after {served} successes");
        assert_eq!(candidate(&mut pool, 0, now(500)).max_concurrency, 1);
        let probe = pool.lease(AccountRef(0), None, 2, now(500)).expect("one probe");
        assert!(pool.lease(AccountRef(0), None, 3, now(500)).is_none(), "only one probe at a time");
        pool.release(probe, Ending::Served { first_event_ms: None, usage: None }, &model(), now(501));
    }
    assert_eq!(health(&mut pool, 0, now(501)), Health::Healthy);
}

#[test]
fn tiers_carry_their_share_and_time_heals() {
    let mut pool = pool(1);
    let fault = Failure::upstream(FailureKind::UpstreamFault, "x");
    fail(&mut pool, 0, &fault, now(0));
    let one = candidate(&mut pool, 0, now(0));
    assert_eq!((one.health, one.max_concurrency, one.health_score), (Health::Degraded, 32, 82.0));
    assert_eq!(health(&mut pool, 0, now(900)), Health::Healthy);
    let refused = Failure::upstream(FailureKind::AccountUnauthorized, "x");
    fail(&mut pool, 0, &refused, now(1_000));
    for at in 0..3 {
        serve(&mut pool, 0, now(1_100 + at));
    }
    let one = candidate(&mut pool, 0, now(1_200));
    assert_eq!((one.health, one.max_concurrency), (Health::Degraded, 1), "risky: {}", one.health_score);
    assert_eq!(health(&mut pool, 0, now(1_000 + 86_400)), Health::Healthy);
}

#[test]
fn a_quiet_account_is_due_for_a_test_and_tests_count() {
    let mut pool = pool(3);
    fail(&mut pool, 2, &quota(50), now(0));
    fail(&mut pool, 1, &quota(100), now(0));
    assert!(pool.due_probes(now(109)).is_empty(), "requests have a minute to come by");
    assert_eq!(pool.due_probes(now(159)), [AccountRef(2)]);
    assert_eq!(pool.due_probes(now(160)), [AccountRef(2), AccountRef(1)], "the longest waiting first");
    let failed = Failure::upstream(FailureKind::RateLimited, "x");
    pool.tested(AccountRef(1), Err(&failed), &model(), now(160));
    assert_eq!(health(&mut pool, 1, now(160)), Health::Cooling);
    for passed in 0..PROBES_TO_PASS {
        assert_eq!(health(&mut pool, 2, now(160)), Health::Probing, "after {passed} tests");
        pool.tested(AccountRef(2), Ok(Some(80.0)), &model(), now(160));
    }
    assert_eq!(health(&mut pool, 2, now(160)), Health::Healthy);
    assert_eq!(pool.slot(AccountRef(2)).unwrap().ttft_ewma_ms, 80.0);
}

#[test]
fn clearing_by_hand_brings_an_account_back_to_prove_itself() {
    let mut pool = pool(1);
    fail(&mut pool, 0, &quota(5_000), now(0));
    assert_eq!(pool.clear_cooldown(AccountRef(0), now(1)), 1);
    let one = candidate(&mut pool, 0, now(1));
    assert_eq!((one.health, one.health_score), (Health::Probing, 100.0));
    assert_eq!(pool.clear_cooldown(AccountRef(9), now(1)), 0);
}

#[test]
fn a_switched_off_workspace_takes_all_of_its_seats_with_it() {
    let mut pool = Pool::default();
    for (id, workspace) in [("a", Some("w1")), ("b", Some("w1")), ("c", Some("w2")), ("d", None)] {
        pool.put_all([enrolment(id, |settings| settings.workspace = workspace.map(str::to_owned))]);
    }
    let answer = Answer { status: 402, code: Some("deactivated_workspace".into()), param: None };
    let off = Failure::upstream(FailureKind::AccountUnauthorized, "x").answered(answer);
    let states = |pool: &mut Pool| [0, 1, 2, 3].map(|account| health(pool, account, now(0)));
    fail(&mut pool, 3, &off, now(0));
    assert_eq!(states(&mut pool), [Health::Healthy, Health::Healthy, Health::Healthy, Health::Cooling]);
    fail(&mut pool, 0, &off, now(0));
    assert_eq!(states(&mut pool), [Health::Cooling, Health::Cooling, Health::Healthy, Health::Cooling]);
    assert_eq!(pool.slot(AccountRef(1)).unwrap().failures, 0, "it did not fail itself");
}

#[test]
fn a_stream_that_began_before_a_limit_does_not_end_it() {
    let mut pool = pool(1);
    let stream = pool.lease(AccountRef(0), None, 1, now(0)).unwrap();
    let limited = pool.lease(AccountRef(0), None, 2, now(5)).unwrap();
    pool.release(limited, Ending::Failed(&quota(5_000)), &model(), now(6));
    pool.release(stream, Ending::Served { first_event_ms: None, usage: None }, &model(), now(60));
    assert_eq!(health(&mut pool, 0, now(61)), Health::Cooling);
}

#[test]
fn a_burst_that_fails_together_counts_once() {
    let mut pool = pool(1);
    let leases: Vec<Lease> = (0..20).map(|_| pool.lease(AccountRef(0), None, 1, now(0)).unwrap()).collect();
    let limit = Failure::upstream(FailureKind::RateLimited, "x");
    for lease in leases {
        pool.release(lease, Ending::Failed(&limit), &model(), now(1));
    }
    assert_eq!(pool.slot(AccountRef(0)).unwrap().failures, 20);
    assert_eq!(health(&mut pool, 0, now(2)), Health::Probing, "one second, not a minute");
    assert_eq!(candidate(&mut pool, 0, now(2)).health_score.round(), 72.0);
}

#[test]
fn a_new_sign_in_is_a_new_start_and_a_pause_is_none() {
    let mut pool = pool(1);
    fail(&mut pool, 0, &quota(5_000), now(0));
    for (away, afterwards) in [
        (Availability::Paused, Health::Cooling),
        (Availability::SignInNeeded("token_revoked".into()), Health::Healthy),
    ] {
        pool.put(Member { availability: away, ..member("a0") });
        assert_eq!(health(&mut pool, 0, now(1)), Health::Blocked);
        pool.put(member("a0"));
        assert_eq!(health(&mut pool, 0, now(1)), afterwards);
    }
}
