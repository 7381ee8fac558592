//! Quota as upstreams tell it: in response headers, in `wham/usage`, in `codex.rate_limits` events, in a child
//! gateway's status. Windows are told apart by their length, never by their slot; numbers may come as numbers or as
//! text; what was not said stays unknown.

mod headers;
mod json;
mod status;
mod write;

pub use headers::{quota_from_header_list, quota_from_headers};
pub use json::{quota_from_event, quota_from_usage};
pub use status::quota_from_status;
pub use write::{accounts_check_body, client_usage_body, is_limit_header, limit_headers, usage_body};

use std::time::Duration;

use gateway_domain::{FeatureWindow, Timestamp, Window};
use serde_json::Value;

/// The longest window believed, in seconds (a bit over a year).
const LONGEST_WINDOW_SECS: f64 = 400.0 * 24.0 * 3600.0;
/// Unix times above this are in milliseconds: in seconds it would be the year 5138.
const MILLIS_FROM: f64 = 1e11;
/// The last Unix time in milliseconds that is believed.
const LATEST_MILLIS: f64 = 1e14;
/// Of this many features windows are kept.
const MAX_FEATURES: usize = 32;
/// A feature's name is kept up to this many bytes.
const MAX_FEATURE_NAME: usize = 128;

/// Five hours, the usual length of the first slot.
const FIVE_HOURS: f64 = 18_000.0;
/// Seven days, the usual length of the second slot.
const WEEK: f64 = 604_800.0;
/// Thirty days, the only window of the free plan.
const MONTH: f64 = 2_592_000.0;

/// What was told about one window, before it is believed.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    used_percent: Option<f64>,
    seconds: Option<f64>,
    reset_at: Option<f64>,
    reset_after: Option<f64>,
}

impl Told {
    /// The window, if enough was told. A share without a length says nothing about which window it is.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the ranges are checked just before"
    )]
    fn window(self, now: Timestamp) -> Option<Window> {
        let used = self.used_percent.filter(|percent| (0.0..=1000.0).contains(percent))? / 100.0;
        let seconds = self.length()? as u64;
        Some(Window { seconds, used, resets_at: self.reset(now) })
    }

    fn length(self) -> Option<f64> {
        self.seconds.filter(|seconds| (1.0..=LONGEST_WINDOW_SECS).contains(seconds))
    }

    /// The moment is believed before the span: the span is as old as the answer.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked just before")]
    fn reset(self, now: Timestamp) -> Option<Timestamp> {
        let at = self
            .reset_at
            .filter(|at| (1.0..LATEST_MILLIS).contains(at))
            .map(|at| Timestamp::from_millis(if at < MILLIS_FROM { at * 1000.0 } else { at } as i64))
            .filter(|at| now.millis_until(*at) <= longest_window_millis());
        let after = self
            .reset_after
            .filter(|secs| (0.0..=LONGEST_WINDOW_SECS).contains(secs))
            .map(|secs| now.plus(Duration::from_secs_f64(secs)));
        at.or(after)
    }
}

const fn longest_window_millis() -> u64 {
    400 * 24 * 3600 * 1000
}

/// The windows of one feature, as far as they are told.
fn feature_windows(name: &str, told: [Told; 2], now: Timestamp) -> impl Iterator<Item = FeatureWindow> {
    let feature = clipped(name).to_owned();
    told.into_iter()
        .filter_map(move |told| told.window(now))
        .map(move |window| FeatureWindow { feature: feature.clone(), window })
}

fn clipped(name: &str) -> &str {
    let end = (0..=MAX_FEATURE_NAME.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
    name.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// A number, or a text that holds one.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

/// `true`, or a text that says so: headers are written the Python way.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(yes) => Some(*yes),
        Value::String(text) => word_truth(text),
        _ => None,
    }
}

fn word_truth(text: &str) -> Option<bool> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") || text == "1" {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") || text == "0" {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
