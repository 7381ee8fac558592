//! Quota as the backend tells it: in response headers, in `wham/usage`, in `codex.rate_limits` events. Windows are
//! told apart by their length, never by their slot; numbers may come as numbers or as text.

use gateway_domain::{QuotaSnapshot, Timestamp, Window};
use serde::Deserialize;
use serde_json::Value;

/// The longest window believed, in seconds (a bit over a year).
const LONGEST_WINDOW_SECS: f64 = 400.0 * 24.0 * 3600.0;

/// The headers of the two slots, in the order of [`window`]'s arguments.
const WINDOW_HEADERS: [[&str; 4]; 2] = [
    [
        "x-codex-primary-used-percent",
        "x-codex-primary-window-minutes",
        "x-codex-primary-reset-at",
        "x-codex-primary-reset-after-seconds",
    ],
    [
        "x-codex-secondary-used-percent",
        "x-codex-secondary-window-minutes",
        "x-codex-secondary-reset-at",
        "x-codex-secondary-reset-after-seconds",
    ],
];

/// Reads the `x-codex-*` headers of any answer, whatever its status: a 429 carries the freshest numbers.
/// `header` looks a header up by its lower-case name.
pub fn quota_from_headers<'a>(header: impl Fn(&str) -> Option<&'a str>, now: Timestamp) -> QuotaSnapshot {
    let mut quota = QuotaSnapshot::default();
    let number = |name: &str| header(name).and_then(|text| text.trim().parse::<f64>().ok());
    for [used_percent, window_minutes, reset_at, reset_after] in WINDOW_HEADERS {
        let window = window(
            number(used_percent),
            number(window_minutes).map(|minutes| minutes * 60.0),
            number(reset_at),
            number(reset_after),
            now,
        );
        if let Some(window) = window {
            quota.put(window);
        }
    }
    quota.plan =
        header("x-codex-plan-type").map(str::trim).filter(|plan| !plan.is_empty()).map(str::to_owned);
    quota
}

/// Reads the body of `wham/usage`. `None` when it is not one.
#[must_use]
pub fn quota_from_usage(body: &[u8], now: Timestamp) -> Option<QuotaSnapshot> {
    #[derive(Deserialize)]
    struct Usage {
        #[serde(default)]
        plan_type: Option<String>,
        rate_limit: Option<Limits>,
    }
    #[derive(Deserialize)]
    struct Limits {
        #[serde(default)]
        primary_window: Option<WireWindow>,
        #[serde(default)]
        secondary_window: Option<WireWindow>,
    }
    let usage: Usage = serde_json::from_slice(body).ok()?;
    let limits = usage.rate_limit?;
    Some(snapshot([limits.primary_window, limits.secondary_window], usage.plan_type, now))
}

/// Reads the payload of a `codex.rate_limits` event. `None` when it is about one feature's limit only.
#[must_use]
pub fn quota_from_event(payload: &[u8], now: Timestamp) -> Option<QuotaSnapshot> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(default)]
        plan_type: Option<String>,
        #[serde(default)]
        limit_id: Option<String>,
        #[serde(default)]
        metered_limit_name: Option<String>,
        #[serde(default)]
        limit_name: Option<String>,
        rate_limits: Option<Limits>,
    }
    #[derive(Deserialize)]
    struct Limits {
        #[serde(default)]
        primary: Option<WireWindow>,
        #[serde(default)]
        secondary: Option<WireWindow>,
    }
    let event: Event = serde_json::from_slice(payload).ok()?;
    let limit = event.limit_id.or(event.metered_limit_name).or(event.limit_name);
    if limit.is_some_and(|name| name != "codex") {
        return None;
    }
    let limits = event.rate_limits?;
    Some(snapshot([limits.primary, limits.secondary], event.plan_type, now))
}

/// A window in any of its JSON spellings.
#[derive(Deserialize, Default)]
#[serde(default)]
struct WireWindow {
    used_percent: Value,
    limit_window_seconds: Value,
    window_minutes: Value,
    reset_after_seconds: Value,
    #[serde(alias = "resets_at")]
    reset_at: Value,
}

fn snapshot(windows: [Option<WireWindow>; 2], plan: Option<String>, now: Timestamp) -> QuotaSnapshot {
    let mut quota = QuotaSnapshot { plan: plan.filter(|plan| !plan.is_empty()), ..QuotaSnapshot::default() };
    for wire in windows.into_iter().flatten() {
        let seconds = number(&wire.limit_window_seconds)
            .or_else(|| number(&wire.window_minutes).map(|minutes| minutes * 60.0));
        let window = window(
            number(&wire.used_percent),
            seconds,
            number(&wire.reset_at),
            number(&wire.reset_after_seconds),
            now,
        );
        if let Some(window) = window {
            quota.put(window);
        }
    }
    quota
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A share without a length says nothing about which window it is, so it is not believed.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the ranges are checked just before"
)]
fn window(
    used_percent: Option<f64>,
    seconds: Option<f64>,
    reset_at: Option<f64>,
    reset_after: Option<f64>,
    now: Timestamp,
) -> Option<Window> {
    let used = used_percent.filter(|percent| (0.0..=1000.0).contains(percent))? / 100.0;
    let seconds = seconds.filter(|seconds| (1.0..=LONGEST_WINDOW_SECS).contains(seconds))? as u64;
    let after = reset_after
        .filter(|secs| (0.0..=LONGEST_WINDOW_SECS).contains(secs))
        .map(|secs| now.plus(std::time::Duration::from_secs_f64(secs)));
    let at = reset_at
        .filter(|secs| (1.0..1e11).contains(secs))
        .map(|secs| Timestamp::from_millis((secs * 1000.0) as i64));
    Some(Window { seconds, used, resets_at: at.or(after) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_764_000_000);

    fn headers(list: &'static [(&'static str, &'static str)]) -> QuotaSnapshot {
        quota_from_headers(|name| list.iter().find(|(key, _)| *key == name).map(|(_, value)| *value), NOW)
    }

    #[test]
    fn headers_name_windows_by_length() {
        let quota = headers(&[
            ("x-codex-primary-used-percent", "12"),
            ("x-codex-primary-window-minutes", "300"),
            ("x-codex-primary-reset-at", "1764009000"),
            ("x-codex-secondary-used-percent", "40.5"),
            ("x-codex-secondary-window-minutes", "10080"),
            ("x-codex-secondary-reset-after-seconds", "60"),
            ("x-codex-plan-type", "plus"),
        ]);
        assert_eq!(
            quota.short,
            Some(Window {
                seconds: 18_000,
                used: 0.12,
                resets_at: Some(Timestamp::from_secs(1_764_009_000))
            })
        );
        assert_eq!(
            quota.long,
            Some(Window {
                seconds: 604_800,
                used: 0.405,
                resets_at: Some(Timestamp::from_secs(1_764_000_060))
            })
        );
        assert_eq!(quota.plan.as_deref(), Some("plus"));
    }

    #[test]
    fn a_weekly_window_in_the_first_slot_is_a_long_one() {
        let quota =
            headers(&[("x-codex-primary-used-percent", "7"), ("x-codex-primary-window-minutes", "10080")]);
        assert!(quota.short.is_none());
        assert_eq!(quota.long.unwrap().used, 0.07);
    }

    #[test]
    fn nonsense_is_unknown_not_zero() {
        for list in [
            &[("x-codex-primary-used-percent", "NaN"), ("x-codex-primary-window-minutes", "300")][..],
            &[("x-codex-primary-used-percent", "-3"), ("x-codex-primary-window-minutes", "300")][..],
            &[("x-codex-primary-used-percent", "50")][..],
            &[("x-codex-primary-used-percent", "50"), ("x-codex-primary-window-minutes", "0")][..],
        ] {
            let quota =
                quota_from_headers(|name| list.iter().find(|(key, _)| *key == name).map(|(_, v)| *v), NOW);
            assert!(quota.is_empty(), "{list:?}");
        }
    }

    #[test]
    fn usage_bodies_take_numbers_as_text_and_null() {
        let body = br#"{"plan_type":"free","rate_limit":{"primary_window":{"used_percent":"12.5","limit_window_seconds":2592000,"reset_after_seconds":9,"reset_at":null},"secondary_window":null}}"#;
        let quota = quota_from_usage(body, NOW).unwrap();
        assert_eq!(quota.long.unwrap().used, 0.125);
        assert_eq!(quota.long.unwrap().resets_at, Some(Timestamp::from_secs(1_764_000_009)));
        assert_eq!(quota_from_usage(b"<html>", NOW), None);
        assert_eq!(quota_from_usage(b"{}", NOW), None);
    }

    #[test]
    fn events_about_one_feature_are_not_the_accounts() {
        let event = |name: &str| {
            format!(
                r#"{{"type":"codex.rate_limits","plan_type":"pro","metered_limit_name":{name},"limit_name":{name},"rate_limits":{{"primary":{{"used_percent":75,"window_minutes":300,"reset_at":1764000100}}}}}}"#
            )
        };
        assert_eq!(quota_from_event(event("\"codex\"").as_bytes(), NOW).unwrap().short.unwrap().used, 0.75);
        assert!(quota_from_event(event("null").as_bytes(), NOW).is_some());
        assert!(quota_from_event(event("\"codex_bengalfox\"").as_bytes(), NOW).is_none());
    }
}
