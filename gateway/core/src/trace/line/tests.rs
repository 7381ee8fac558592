//! What is written is what is read, to the last bit; what is no trace is told why.

use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{BuiltIn, RankingPolicy as _};

use super::*;
use crate::ranking::same_bits;

fn rankings(count: usize) -> Vec<Arc<Ranking>> {
    let builtin = BuiltIn::default();
    let mut corpus = Corpus::new(5).unwrap();
    (0..count)
        .map(|round| {
            let (roster, input) = corpus.question(round % 9);
            let decision = builtin.rank(&roster, &input).unwrap();
            let policy = Arc::new(builtin.version().clone());
            let fallback = (round % 7 == 0).then_some("timed_out");
            let took = Duration::from_nanos(round as u64);
            let (closed, scope) = (Arc::default(), None);
            Arc::new(Ranking { policy, fallback, input, roster, closed, scope, decision, took })
        })
        .collect()
}

fn read_text(text: &str) -> Result<Vec<Arc<Ranking>>, TraceError> {
    read(text.as_bytes())
}

/// NaN does not equal itself, so the texts are compared.
fn as_text(ranking: &Ranking) -> String {
    format!("{:?} {:?} {:?}", ranking.input, ranking.roster, ranking.policy)
}

#[test]
fn a_trace_survives_its_file_bit_for_bit() {
    let written = rankings(200);
    let found = read_text(&write(&written).unwrap()).unwrap();
    assert_eq!(found.len(), written.len());
    for (found, written) in found.iter().zip(&written) {
        assert_eq!(as_text(found), as_text(written));
        assert!(same_bits(&found.decision, &written.decision));
        assert_eq!((found.fallback, found.took), (written.fallback, written.took));
        for (found, written) in found.input.candidates.iter().zip(&written.input.candidates) {
            assert_eq!(found.long_window_used.to_bits(), written.long_window_used.to_bits());
        }
    }
}

#[test]
fn every_number_comes_back() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let edges = [0.0, -0.0, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, 5e-324, 0.1 + 0.2];
    let any = (0..20_000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from_bits(state)
    });
    for number in edges.into_iter().chain(any) {
        let text = serde_json::to_string(&Exact(number)).unwrap();
        let back: Exact = serde_json::from_str(&text).unwrap();
        assert!(back.0.to_bits() == number.to_bits() || (back.0.is_nan() && number.is_nan()), "{text}");
    }
}

#[test]
fn what_is_no_trace_is_told_with_its_line() {
    let good = write(&rankings(3)).unwrap();
    let line = |nth: usize| good.lines().nth(nth).unwrap().to_owned();
    for (text, because) in [
        (String::new(), "no decision"),
        (format!("{}\n", line(0)), "no decision"),
        ("hello\n".to_owned(), "line 1: it does not begin like a trace"),
        (good.replace("\"trace\":1", "\"trace\":9"), "version 9"),
        (format!("{}\n{}\n", line(0), line(2)), "line 2: it uses roster 1, which was not told"),
        (good.replacen("\"surface\":\"api\"", "\"surface\":\"tv\"", 1), "line 3: `tv` is no surface"),
        (good.replacen("\"seed\":", "\"speed\":", 1), "line 3: unknown field `speed`"),
        (format!("{good}{}\n", line(3).replace("\"plan\":\"", "\"plan\":\"x")), "told twice"),
    ] {
        let error = read_text(&text).unwrap_err().to_string();
        assert!(error.contains(because), "{because}: {error}");
    }
}
