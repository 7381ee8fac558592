//! What one ranking by a component costs. Prints, never judges: run it with
//! `cargo test --release -p gateway-plugin-host -- --ignored --nocapture cost`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{AccountRef, RankInput, RankingPolicy as _};

use super::fixtures::{SLEEPING, shipped};
use crate::{Limits, PluginHost};

#[test]
#[ignore = "measures, never judges"]
fn one_ranking_in_nanoseconds() {
    let limits = Limits { deadline: Duration::from_secs(5), ..Limits::default() };
    let host = PluginHost::new().unwrap().with_limits(limits);
    let policies = [
        ("headroom", host.load("headroom", &shipped("headroom"), "").unwrap()),
        ("delegates at once", host.load("delegating", &SLEEPING.component(), "").unwrap()),
    ];
    for candidates in [0, 5, 50, 500] {
        let mut corpus = Corpus::new(42).unwrap();
        let (roster, _) = corpus.question(1000);
        let questions: Vec<_> = (0..32)
            .map(|_| {
                let mut question = RankInput::clone(&corpus.question(candidates).1);
                question.generation = roster.generation;
                question.seed = 0;
                question.tried.clear();
                for (at, candidate) in (0..).zip(&mut question.candidates) {
                    candidate.account = AccountRef(at);
                }
                std::sync::Arc::new(question)
            })
            .collect();
        for (name, policy) in &policies {
            let mut batches: Vec<f64> = (0..2000)
                .map(|_| {
                    let begun = Instant::now();
                    for question in &questions {
                        black_box(policy.rank(&roster, black_box(question)).unwrap());
                    }
                    begun.elapsed().as_nanos() as f64 / questions.len() as f64
                })
                .collect();
            batches.sort_by(f64::total_cmp);
            let median = batches[batches.len() / 2];
            println!("{candidates:4} candidates, {name}: {median:.0} ns");
        }
    }
}
