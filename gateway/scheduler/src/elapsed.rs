//! How long ago something was, on a clock that may jump. Every rule that lets something fade asks here.
//!
//! Refuses to trust a moment that lies ahead: after a clock was set back, a penalty from "tomorrow" would otherwise
//! stay until tomorrow.

use std::time::Duration;

use gateway_domain::{Millis, Timestamp};

/// A moment this far ahead is taken for now: threads read the clock in no particular order.
pub(crate) const SKEW: Duration = Duration::from_secs(60);

/// Milliseconds since `at`; `None` when `at` lies further ahead than clocks of threads differ.
#[inline]
pub(crate) fn since(at: Timestamp, now: Timestamp) -> Option<Millis> {
    (at <= now.plus(SKEW)).then(|| at.millis_until(now))
}

/// Whether `at` was at most `span` ago.
#[inline]
pub(crate) fn within(at: Option<Timestamp>, span: Duration, now: Timestamp) -> bool {
    at.and_then(|at| since(at, now)).is_some_and(|ms| ms < in_millis(span))
}

/// What is left of `full` when it fades evenly to nothing over `span`.
#[inline]
pub(crate) fn fading(full: f64, at: Option<Timestamp>, span: Duration, now: Timestamp) -> f64 {
    let Some(ms) = at.and_then(|at| since(at, now)) else { return 0.0 };
    let span = in_millis(span);
    if ms >= span { 0.0 } else { full * (1.0 - to_f64(ms) / to_f64(span)) }
}

/// Whole milliseconds; the spans of our rules are far below what fits.
#[inline]
pub(crate) const fn in_millis(span: Duration) -> Millis {
    span.as_secs().saturating_mul(1000).saturating_add(span.subsec_millis() as u64)
}

/// Spans are far below 2^53 milliseconds, where nothing is lost.
#[expect(clippy::cast_precision_loss, reason = "spans stay far below 2^53 ms")]
#[inline]
pub(crate) const fn to_f64(ms: Millis) -> f64 {
    ms as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fades_is_gone_after_its_span_and_void_when_it_lies_ahead() {
        let at = Some(Timestamp::from_secs(1_000));
        let hour = Duration::from_secs(3_600);
        for (now, left) in [(1_000, 22.0), (2_800, 11.0), (4_600, 0.0), (9_999, 0.0), (970, 22.0), (0, 0.0)] {
            assert_eq!(fading(22.0, at, hour, Timestamp::from_secs(now)), left, "at {now}");
        }
        assert_eq!(fading(22.0, None, hour, Timestamp::from_secs(0)), 0.0);
        assert!(within(at, hour, Timestamp::from_secs(4_599)));
        assert!(!within(at, hour, Timestamp::from_secs(4_600)));
    }
}
