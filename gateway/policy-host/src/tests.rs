//! x
use crate::*;
use gateway_scheduler::*;
use std::sync::Arc;
use std::time::Instant;

#[test]
fn measure() {
    let host = RhaiHost::new().with_deadline(std::time::Duration::from_secs(1));
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/usage-balanced.rhai")).unwrap();
    let policy = host.load("usage-balanced", &source).unwrap_or_else(|e| panic!("{e} {e:?}"));
    let builtin = BuiltIn::default();
    let mut corpus = crate::corpus_interim::Corpus::new(7).unwrap();
    for n in 0..2000 {
        let (r, i) = corpus.question(n % 40);
        let a = policy.rank(&r, &i).unwrap();
        let b = builtin.rank(&r, &i).unwrap();
        assert_eq!(a.action, b.action);
        assert_eq!(a.reason, b.reason);
        if a.action != Action::Delegate {assert_eq!(a.scores.iter().map(|s|s.to_bits()).collect::<Vec<_>>(), b.scores.iter().map(|s|s.to_bits()).collect::<Vec<_>>());}
    }
    for n in [5, 50, 500] {
        let qs: Vec<_> = (0..20).map(|_| corpus.question(n)).collect();
        for (name, p) in [("builtin", &builtin as &dyn RankingPolicy), ("rhai", &policy)] {
            let rounds = 500;
            let t = Instant::now();
            for _ in 0..rounds { for (r, i) in &qs { std::hint::black_box(p.rank(r, i)).unwrap(); } }
            eprintln!("{name} {n}: {:.2} us", t.elapsed().as_secs_f64() * 1e6 / (rounds as f64 * 20.0));
        }
    }
}
#[test]
fn parts() {
    let host = RhaiHost::new().with_deadline(std::time::Duration::from_secs(1));
    let mut corpus = crate::corpus_interim::Corpus::new(7).unwrap();
    let qs: Vec<_> = (0..20).map(|_| corpus.question(50)).collect();
    for src in [
      "fn rank(request) { delegate() }",
      "fn rank(request) { let a = request.candidates; delegate() }",
      "fn rank(request) { let a = request.candidates.usable(); delegate() }",
      "fn rank(request) { let a = request.candidates.usable().with_room().without_tried(); delegate() }",
      "fn rank(request) { let a = request.candidates; let b = a.weight; delegate() }",
      "fn rank(request) { let a = request.candidates; let b = a.weight; let c = 0.5 * b; delegate() }",
      "fn rank(request) { let a = request.candidates; let b = a.weight; let c = 0.5 * b;let d = 0.5 * b;let e = 0.5 * b; delegate() }",
      "fn rank(request) { let a = request.candidates; let b = a.weight; let c = b*b;let d = b*b;let e = b*b; delegate() }",
      "fn rank(request) { let a = request.candidates; a.min_by(\"in_flight\") }",
      "fn rank(request) { let a = request.candidates; a.sorted_by(a.weight) }",
      "fn rank(request) { let a = fixed(0.5, 2); delegate() }",
      "fn rank(request) { let a = `x ${fixed(0.5, 2)} y`; delegate() }",
      "fn rank(request) { let a = foo(request); delegate() } fn foo(x) { 1 }",
      "fn rank(request) { let a = min(0.4, 0.5); delegate() }",
      "fn rank(request) { let a = request.attempt + 3; if a == 2 { return 3; } delegate() }",
    ] {
        let p = host.load("x", src).unwrap();
            let t = Instant::now();
            for _ in 0..500 { for (r, i) in &qs { std::hint::black_box(p.rank(r, i)).unwrap(); } }
            eprintln!("{:.2} us {src}", t.elapsed().as_secs_f64() * 1e6 / (500.0 * 20.0));
    }
}
