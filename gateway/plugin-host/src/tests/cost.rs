//! What one call of each hook costs. Prints, never judges: run it with
//! `cargo test --release -p gateway-plugin-host -- --ignored --nocapture cost`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gateway_core::hooks::{
    PromptBody, PromptFilter as _, ResponseFilter as _, Role, StreamEvent, TextDelta, TextPart,
};
use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{AccountRef, RankInput, RankingPolicy as _};

use super::fixtures::{PASSING, SLEEPING, context, shipped};
use crate::{Limits, Package, PluginHost, Vouching};

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

fn nanos(mut call: impl FnMut()) -> f64 {
    let mut batches: Vec<f64> = (0..300)
        .map(|_| {
            let begun = Instant::now();
            (0..20).for_each(|_| call());
            begun.elapsed().as_nanos() as f64 / 20.0
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}

#[test]
#[ignore = "measures, never judges"]
fn one_prompt_and_one_batch_of_events_in_nanoseconds() {
    let host =
        PluginHost::new().unwrap().with_limits(Limits::default().with_deadline(Duration::from_secs(5)));
    let words = "The quick brown fox, aged 42, jumps over the lazy dog; call() it if x < y. ";
    let filters = ["redactor", "guard", "topics", "instructions", "output-guard"];
    let filters = filters.map(|name| (name, shipped(name)));
    for (name, bytes) in [("passing", PASSING.component())].into_iter().chain(filters) {
        let package = || Package::shipped(name, &bytes);
        let pooled = host.admit(package()).unwrap();
        let fresh = host.admit(Package { vouching: Vouching::Signature, ..package() }).unwrap();
        for size in [1024, 4096, 65_536] {
            let text = words.repeat(size / words.len() + 1);
            let parts = [TextPart { part: 0, message: 0, role: Role::User, text: text[..size].into() }];
            let body = PromptBody::Parts { parts: &parts, messages: 1 };
            for (isolation, plugin) in [("pooled", &pooled), ("fresh", &fresh)] {
                let cost = nanos(|| drop(black_box(plugin.filter_request(&context(0), body).unwrap())));
                println!("{name}, {isolation}, prompt of {size:7} bytes: {cost:.0} ns");
            }
        }
        let events = ["Hello", " wor", "ld, how", " are", " you"]
            .map(|text| StreamEvent::Text(TextDelta { choice: 0, text }));
        for (isolation, plugin) in [("pooled", &pooled), ("fresh", &fresh)] {
            let cost =
                nanos(|| drop(black_box(plugin.filter_events(&context(0), b"", &events, false).unwrap())));
            println!("{name}, {isolation}, five events: {cost:.0} ns");
        }
    }
}
