//! What one choice costs, with all state that an account can have. Measured by hand, in a release build:
//! `cargo test --release -p gateway-scheduler -- --ignored --nocapture speed`

use super::*;
use crate::{Action, BuiltIn, HardTie, RankingPolicy, Tie, TieKey, validate};
use gateway_domain::{Credits, FeatureWindow, TokenUsage, Window};
use std::hint::black_box;
use std::time::Instant;

/// Accounts with windows, features, credits, marks of old failures, cooldowns and models of their own.
fn lived_in(accounts: u32) -> Pool {
    let mut pool = Pool::default();
    pool.put_all((0..accounts).map(|n| {
        enrolment(&format!("a{n}"), |settings| {
            settings.groups = [format!("g{}", n % 7)].into();
            settings.allowed_models = ["gpt-5*".to_owned(), format!("o{}", n % 5)].into();
            settings.max_concurrency = Some(4 + n % 8);
            settings.workspace = Some(format!("w{}", n / 4));
        })
    }));
    for n in 0..accounts {
        let used = f64::from(n * 37 % 100) / 110.0;
        let window = |seconds| Window { seconds, used, resets_at: Some(now(9_000)) };
        let quota = QuotaSnapshot {
            short: Some(window(18_000)),
            long: Some(window(604_800)),
            features: vec![FeatureWindow { feature: "GPT-5.3-Codex-Spark".into(), window: window(18_000) }],
            credits: Some(Credits { available: true, unlimited: false, balance: Some(1.0) }),
            reset_credits: Some(1),
            plan: Some("plus".into()),
        };
        pool.observe_quota(AccountRef(n), &quota, now(0));
        serve(&mut pool, n, now(0));
        if n % 3 == 0 {
            fail(&mut pool, n, &Failure::upstream(FailureKind::UpstreamFault, "x"), now(1));
            serve(&mut pool, n, now(2));
        }
        if n % 50 == 0 {
            fail(&mut pool, n, &Failure::upstream(FailureKind::ModelNotSupported, "x"), now(3));
        }
    }
    pool
}

fn conversation(n: u32) -> RequestInfo {
    RequestInfo {
        session: Some(SessionKey::parse(&format!("s{n}")).unwrap()),
        body_bytes: 9_000,
        ..info(None)
    }
}

/// Best of batches, in microseconds: what the machine can do when nobody else uses it.
fn best(batch: u32, mut run: impl FnMut()) -> f64 {
    (0..200)
        .map(|_| {
            let begun = Instant::now();
            (0..batch).for_each(|_| run());
            begun.elapsed().as_secs_f64() * 1e6 / f64::from(batch)
        })
        .fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a measurement, meant for a release build on a quiet machine"]
fn speed_of_one_choice() {
    println!("a slot has {} bytes, a candidate {}", size_of::<crate::Slot>(), size_of::<Candidate>());
    for accounts in [5, 50, 500, 10_000] {
        let mut pool = lived_in(accounts);
        let usage = Some(TokenUsage { input: 9_000, input_cached: 8_000, output: 10, reasoning: 0 });
        let builtin = BuiltIn::default();
        let roster = pool.roster().clone();
        let mut turn = 0;
        let mut parts = [0.0; 4];
        let mut steps = |pool: &mut Pool, upto: usize| {
            turn += 1;
            // A tie that nobody knows is looked up like any other, and leaves the choice free.
            let reasoning = TieKey::new(Tie::Hard(HardTie::Reasoning), "local", &turn.to_string());
            let ask = Ask { ties: reasoning.into_iter().collect(), ..Ask::new(conversation(turn % 64), 0) };
            let asked = pool.ask(ask, now(10));
            if upto == 0 {
                drop(black_box(asked));
                return;
            }
            let input = asked.input.clone();
            let decision = builtin.rank(&roster, &input).unwrap();
            if upto == 1 {
                drop(black_box(decision));
                return;
            }
            let decision = validate(&input, decision).unwrap();
            let Action::Ranked(order) = decision.action else { panic!("nobody") };
            assert!(order.len() >= 4);
            if upto == 2 {
                drop(black_box(order));
                return;
            }
            let lease = order.iter().find_map(|one| pool.take(*one, &asked.standing, now(10))).unwrap();
            let ending = Ending::Served { first_event_ms: Some(5.0), usage };
            pool.release(lease, ending, &model(), now(10));
        };
        for _ in 0..200 {
            steps(&mut pool, 3);
        }
        for (upto, part) in parts.iter_mut().enumerate() {
            *part = best(50, || steps(&mut pool, upto));
        }
        let [ask, rank, check, all] = parts;
        println!(
            "{accounts:>6} accounts: ask {ask:.2} + rank {:.2} + check {:.2} + take {:.2} = {all:.2} us",
            rank - ask,
            check - rank,
            all - check
        );
    }
}

#[test]
#[ignore = "a measurement, meant for a release build on a quiet machine"]
fn speed_of_ten_thousand_entering() {
    let begun = Instant::now();
    let mut pool = lived_in(10_000);
    println!("10,000 accounts enter and live: {:?}", begun.elapsed());
    let begun = Instant::now();
    pool.put(member("a1"));
    black_box(pool.question(info(None), vec![], 0, now(10)));
    black_box(pool.roster());
    println!("one change, the next question and the roster: {:?}", begun.elapsed());
}
