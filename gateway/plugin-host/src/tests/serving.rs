//! What a component may do to the gateway once it is in: nothing that outlasts one request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_scheduler::{Action, PolicyError, RankingPolicy as _};

use super::fixtures::{SLEEPING, ask};
use crate::{Limits, Plugin, PluginHost};

fn load(limits: Limits) -> Plugin {
    PluginHost::new().unwrap().with_limits(limits).load("hostile", &SLEEPING.component(), "").unwrap()
}

/// Time enough that a busy machine does not fail honest calls.
fn patient() -> Limits {
    Limits { deadline: Duration::from_millis(500), ..Limits::default() }
}

#[track_caller]
fn answer(policy: &Plugin, seed: u64) -> Result<Action, PolicyError> {
    let (roster, input) = ask(seed, 1);
    policy.rank(&roster, &input).map(|decision| decision.action)
}

#[test]
fn an_endless_loop_ends_at_the_deadline() {
    let policy = load(Limits::default());
    let started = Instant::now();
    let error = answer(&policy, 100).unwrap_err();
    assert_eq!(error, PolicyError::TimedOut("5 ms".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn every_kind_of_harm_fails_its_own_request_only() {
    assert_harmless(&load(patient()));
}

#[test]
fn without_the_pool_the_same_limits_hold() {
    let host = PluginHost::frugal().with_limits(patient());
    assert_harmless(&host.load("hostile", &SLEEPING.component(), "").unwrap());
}

#[track_caller]
fn assert_harmless(policy: &Plugin) {
    let cases = [
        (101, "failed", "unreachable"),
        (102, "failed", "more than its 16 MiB of memory"),
        (103, "failed", "stack"),
        (104, "invalid_output", "account 99, which is no candidate"),
        (105, "invalid_output", "1 scores for 2 candidates"),
        (106, "invalid_output", "status 200"),
        (107, "failed", "out of bounds"),
        (108, "failed", "fuel"),
        (109, "invalid_output", "900 accounts out of 2"),
        (110, "failed", "discriminant"),
    ];
    for (seed, label, because) in cases {
        let error = answer(policy, seed).unwrap_err();
        assert_eq!(error.label(), label, "{seed}: {error}");
        assert!(error.to_string().contains(because), "{seed}: {error}");
        assert_eq!(policy.pool.alive(), 0, "{seed}: a broken instance is not kept");
        assert_eq!(answer(policy, 0), Ok(Action::Delegate), "after {seed}");
    }
}

#[test]
fn three_failures_in_a_row_open_the_breaker() {
    let policy = load(patient());
    for _ in 0..3 {
        assert!(answer(&policy, 101).unwrap_err().to_string().contains("unreachable"));
    }
    let error = answer(&policy, 0).unwrap_err();
    assert!(matches!(&error, PolicyError::Failed(why) if why.starts_with("breaker open")), "{error}");
}

#[test]
fn when_all_instances_are_out_the_wait_is_short() {
    let limits = Limits { deadline: Duration::from_secs(2), instances: 1, ..Limits::default() };
    let policy = Arc::new(load(limits));
    let busy = std::thread::spawn({
        let policy = Arc::clone(&policy);
        move || answer(&policy, 100)
    });
    while policy.pool.lent() == 0 {
        assert!(!busy.is_finished(), "the loop ended before it could be seen");
        std::thread::yield_now();
    }
    assert_eq!(answer(&policy, 0), Err(PolicyError::Saturated));
    assert!(matches!(busy.join().unwrap(), Err(PolicyError::TimedOut(_))));
    assert_eq!(answer(&policy, 0), Ok(Action::Delegate));
}

#[test]
fn an_instance_is_told_about_a_roster_once_per_generation() {
    let policy = load(patient());
    let told = |generation| {
        let (roster, input) = ask(201, generation);
        policy.rank(&roster, &input).unwrap().action
    };
    assert_eq!(told(7), Action::WaitMs(1));
    assert_eq!(told(7), Action::WaitMs(1));
    assert_eq!(told(8), Action::WaitMs(2));
}

#[test]
fn an_instance_is_kept_warm_and_replaced_when_worn_out() {
    let policy = load(patient());
    for call in 1..=10_000 {
        assert_eq!(answer(&policy, 200), Ok(Action::WaitMs(call)));
    }
    assert_eq!(answer(&policy, 200), Ok(Action::WaitMs(1)), "a fresh one took over");
}

#[test]
fn instances_stay_within_their_number_under_load() {
    let policy = load(Limits { instances: 2, ..patient() });
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..300 {
                    match answer(&policy, 0) {
                        Ok(action) => assert_eq!(action, Action::Delegate),
                        Err(error) => assert_eq!(error, PolicyError::Saturated),
                    }
                }
            });
        }
    });
    assert!((1..=2).contains(&policy.pool.alive()), "{}", policy.pool.alive());
}

#[test]
fn a_policy_outlives_the_host_that_loaded_it() {
    let policy = load(patient());
    assert_eq!(answer(&policy, 0), Ok(Action::Delegate));
    assert!(matches!(answer(&policy, 100), Err(PolicyError::TimedOut(_))), "deadlines still run");
}
