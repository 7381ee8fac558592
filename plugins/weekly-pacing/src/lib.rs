//! Spends each window so that it lands on its reset: who has more left than time left goes first. The same ranking as
//! `policies/weekly-pacing.rhai`, to the last bit; a test of the repository holds the two together.

use switchyard_plugin_sdk::{About, Candidate, Decision, RankRequest, Scheduler, left};

/// Length of the long window.
const WEEK_MS: f64 = 604_800_000.0;
/// Length of the short one.
const SHORT_MS: f64 = 18_000_000.0;
/// What keeping the prompt cache is worth.
const LOYALTY: f64 = 0.15;
/// How much an account counts as having left, in quota and in time, when nobody knows.
const UNKNOWN: f64 = 0.5;

const REASON: &str = "furthest behind its pace";

#[derive(Default)]
struct WeeklyPacing;

switchyard_plugin_sdk::export_scheduler!(WeeklyPacing);

impl Scheduler for WeeklyPacing {
    const ABOUT: About = About {
        name: "weekly-pacing",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Spends each window so that it lands on its reset: who has more left than time left goes first.",
        ..About::PLAIN
    };

    fn rank(&self, request: &RankRequest) -> Decision {
        let scored = request.scored(score);
        if scored.best.is_empty() { Decision::delegate(REASON) } else { scored.ranked(REASON) }
    }
}

/// The long window is paced; the short one only warns when it is spent too fast.
fn score(c: &Candidate<'_>) -> f64 {
    let long = surplus(c.long_window_used(), c.long_window_resets_in_ms(), WEEK_MS);
    let short = surplus(c.short_window_used(), c.short_window_resets_in_ms(), SHORT_MS);
    let flag = |is: bool| if is { 1.0 } else { 0.0 };
    long + 0.5 * short.min(0.0) - 0.3 * c.busy() + LOYALTY * flag(c.session_affine())
        - 10.0 * flag(c.is_exhausted())
}

/// The share left minus the share of time left: positive is behind the pace, negative is too fast.
fn surplus(used: f64, resets_in_ms: f64, length_ms: f64) -> f64 {
    let time_left = if resets_in_ms.is_nan() { UNKNOWN } else { (resets_in_ms / length_ms).clamp(0.0, 1.0) };
    left(used, UNKNOWN) - time_left
}
