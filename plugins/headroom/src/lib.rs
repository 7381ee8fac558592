//! Prefers the account with the most quota left, keeps a conversation where its prompt cache is, and spreads
//! load. The same ranking as the built-in and as `policies/usage-balanced.rhai`; the formula in words is in
//! `policies/README.md`.

use switchyard_plugin_sdk::{About, Candidate, Decision, RankRequest, Scheduler, left, two_decimals};

/// How much an account counts as having left when nobody knows.
const UNKNOWN: f64 = 0.5;

#[derive(Default)]
struct Headroom;

switchyard_plugin_sdk::export_scheduler!(Headroom);

impl Scheduler for Headroom {
    const ABOUT: About = About {
        name: "headroom",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Most quota left first; conversations stay where their prompt cache is.",
        ..About::PLAIN
    };

    fn rank(&self, request: &RankRequest) -> Decision {
        let scored = request.scored(score);
        let Some((_, first)) = scored.best.first() else {
            return Decision { scores: scored.scores, ..Decision::delegate("no account can take it now") };
        };
        let reason = reason(first, scored.best.len());
        scored.ranked(reason)
    }
}

/// The lower of the two windows counts for more, so that neither runs dry unseen.
fn score(c: &Candidate<'_>) -> f64 {
    let short = left(c.short_window_used(), UNKNOWN);
    let long = left(c.long_window_used(), UNKNOWN);
    c.weight() * (0.6 * short.min(long) + 0.4 * long)
        - 0.5 * c.busy()
        - 0.5 * c.error_rate_ewma()
        - if c.is_healthy() { 0.0 } else { 0.25 }
        + if c.session_affine() { 0.35 } else { 0.0 }
        - if c.is_exhausted() { 10.0 } else { 0.0 }
}

fn reason(first: &Candidate<'_>, considered: usize) -> String {
    if first.is_exhausted() {
        "every account is exhausted; the least used one".to_owned()
    } else if considered == 1 {
        "only account left".to_owned()
    } else if first.session_affine() {
        "keeps the conversation where its prompt cache is".to_owned()
    } else {
        let least = left(first.short_window_used(), UNKNOWN).min(left(first.long_window_used(), UNKNOWN));
        ["best on balance: ", &two_decimals(least), " left"].concat()
    }
}
