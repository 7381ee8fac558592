//! The shipped component: admitted, and the same ranking as the built-in.
use std::time::{Instant, Duration};
use gateway_scheduler::*;
use crate::*;
use super::fixtures::*;

#[test]
fn measure() {
    let rss = || { let s = std::fs::read_to_string("/proc/self/status").unwrap(); s.lines().filter(|l| l.starts_with("VmRSS") || l.starts_with("VmSize")).collect::<Vec<_>>().join(" ") };
    eprintln!("start {}", rss());
    let host = PluginHost::new().unwrap().with_limits(Limits { deadline: Duration::from_millis(500), ..Limits::default() });
    eprintln!("host {} {:?}", rss(), host.allocator());
    let t = Instant::now();
    let policy = host.load("headroom", &shipped("headroom"), "").unwrap();
    eprintln!("load {:?} {}", t.elapsed(), rss());
    let t = Instant::now();
    let policy = host.load("headroom", &shipped("headroom"), "").unwrap();
    eprintln!("load {:?} {}", t.elapsed(), rss());
    let builtin = BuiltIn::default();
    let mut corpus = crate::corpus_interim::Corpus::new(7).unwrap();
    for n in 0..2000 {
        let (r, i) = corpus.question(n % 40);
        let a = policy.rank(&r, &i).unwrap();
        let b = builtin.rank(&r, &i).unwrap();
        assert_eq!(a.action, b.action);
        assert_eq!(a.reason, b.reason);
        assert_eq!(a.scores.iter().map(|s|s.to_bits()).collect::<Vec<_>>(), b.scores.iter().map(|s|s.to_bits()).collect::<Vec<_>>());
    }
    for n in [5, 50, 500] {
        let (roster, _) = corpus.question(n);
        let qs: Vec<_> = (0..20).map(|_| corpus.question(n)).collect();
        for (name, p) in [("builtin", &builtin as &dyn RankingPolicy), ("wasm", &policy)] {
            let rounds = 500;
            let t = Instant::now();
            for _ in 0..rounds { for (_, i) in &qs { std::hint::black_box(p.rank(&roster, i)).unwrap(); } }
            eprintln!("{name} {n}: {:.2} us", t.elapsed().as_secs_f64() * 1e6 / (rounds as f64 * 20.0));
        }
    }
    eprintln!("end {}", rss());
}

#[test]
fn spin() {
    let host = PluginHost::new().unwrap().with_limits(Limits { deadline: Duration::from_millis(500), ..Limits::default() });
    let policy = host.load("headroom", &shipped("headroom"), "").unwrap();
    let mut corpus = crate::corpus_interim::Corpus::new(7).unwrap();
    let (roster, _) = corpus.question(50);
    let qs: Vec<_> = (0..20).map(|_| corpus.question(50)).collect();
    let mut best = f64::MAX;
    for _ in 0..2000 {
        let t = Instant::now();
        for _ in 0..10 { for (_, i) in &qs { std::hint::black_box(policy.rank(&roster, i)).unwrap(); } }
        best = best.min(t.elapsed().as_secs_f64() * 1e6 / 200.0);
    }
    eprintln!("best {best:.2} us");
}
