//! Bodies and headers as the upstreams send them (facts: codex-lb 1.2.5, 1.4, 1.7, A.1; codex2api 1.8, 1.9).

use gateway_domain::{Credits, FeatureWindow, QuotaSnapshot, Timestamp, Window};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_764_000_000);

fn at(secs: i64) -> Option<Timestamp> {
    Some(Timestamp::from_secs(secs))
}

fn window(seconds: u64, used: f64, resets_at: Option<Timestamp>) -> Window {
    Window { seconds, used, resets_at }
}

fn feature(name: &str, window: Window) -> FeatureWindow {
    FeatureWindow { feature: name.to_owned(), window }
}

fn headers(list: &'static [(&'static str, &'static str)]) -> QuotaSnapshot {
    let looked_up =
        quota_from_headers(|name| list.iter().find(|(key, _)| *key == name).map(|(_, value)| *value), NOW);
    let listed = quota_from_header_list(list.iter().copied(), NOW);
    assert_eq!(QuotaSnapshot { features: Vec::new(), ..listed.clone() }, looked_up, "both ways agree");
    listed
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
        ("content-type", "text/event-stream"),
    ]);
    assert_eq!(quota.short, Some(window(18_000, 0.12, at(1_764_009_000))));
    assert_eq!(quota.long, Some(window(604_800, 0.405, at(1_764_000_060))));
    assert_eq!(quota.plan.as_deref(), Some("plus"));
    assert_eq!((quota.credits, quota.features.len()), (None, 0));
}

#[test]
fn a_weekly_window_in_the_first_slot_is_a_long_one() {
    let quota =
        headers(&[("x-codex-primary-used-percent", "7"), ("x-codex-primary-window-minutes", "10080")]);
    assert!(quota.short.is_none());
    assert_eq!(quota.long.unwrap().used, 0.07);
}

#[test]
fn headers_tell_credits_and_features() {
    let quota = headers(&[
        ("x-codex-active-limit", "premium"),
        ("x-codex-credits-has-credits", "True"),
        ("x-codex-credits-unlimited", "False"),
        ("x-codex-credits-balance", "12.5"),
        ("x-codex-spark-primary-used-percent", "3"),
        ("x-codex-spark-primary-window-minutes", "300"),
        ("x-codex-spark-limit-name", "GPT-5.3-Codex-Spark"),
        ("x-codex-other-secondary-used-percent", "100"),
        ("x-codex-other-secondary-window-minutes", "10080"),
        ("x-codex-promo-message", ""),
        ("x-request-id", "abc"),
    ]);
    assert_eq!(quota.credits, Some(Credits { available: true, unlimited: false, balance: Some(12.5) }));
    let expected = [
        feature("GPT-5.3-Codex-Spark", window(18_000, 0.03, None)),
        feature("codex_other", window(604_800, 1.0, None)),
    ];
    assert_eq!(quota.features, expected);
    assert!(quota.short.is_none() && quota.long.is_none());
}

#[test]
fn nonsense_is_unknown_not_zero() {
    for list in [
        &[("x-codex-primary-used-percent", "NaN"), ("x-codex-primary-window-minutes", "300")][..],
        &[("x-codex-primary-used-percent", "inf"), ("x-codex-primary-window-minutes", "300")][..],
        &[("x-codex-primary-used-percent", "-3"), ("x-codex-primary-window-minutes", "300")][..],
        &[("x-codex-primary-used-percent", "50")][..],
        &[("x-codex-primary-used-percent", "50"), ("x-codex-primary-reset-at", "1764009000")][..],
        &[("x-codex-primary-used-percent", "50"), ("x-codex-primary-window-minutes", "0")][..],
        &[("x-codex-credits-has-credits", "perhaps")][..],
    ] {
        assert!(headers(list).is_empty(), "{list:?}");
    }
}

/// The body that codex-lb's notes print.
const USAGE: &str = r#"{"user_id":"u","account_id":"a","email":"a@b","plan_type":"plus","workspace_id":null,"workspace_label":null,"seat_type":null,
 "rate_limit":{"allowed":true,"limit_reached":false,
   "primary_window":{"used_percent":12,"limit_window_seconds":18000,"reset_after_seconds":9000,"reset_at":1764009000},
   "secondary_window":{"used_percent":40,"limit_window_seconds":604800,"reset_after_seconds":300000,"reset_at":1764400000}},
 "code_review_rate_limit":null,
 "additional_rate_limits":[{"limit_name":"GPT-5.3-Codex-Spark","metered_feature":"codex_bengalfox",
    "rate_limit":{"primary_window":{"used_percent":0,"limit_window_seconds":18000,"reset_at":0},"secondary_window":{}}}],
 "credits":{"has_credits":false,"unlimited":false,"overage_limit_reached":false,"balance":"0","approx_local_messages":[0,0],"approx_cloud_messages":[0,0]},
 "spend_control":{"reached":false},"rate_limit_reached_type":null,"promo":null,"rate_limit_reset_credits":{"available_count":1}}"#;

#[test]
fn the_whole_usage_body_is_read() {
    let quota = quota_from_usage(USAGE.as_bytes(), NOW).unwrap();
    let expected = QuotaSnapshot {
        short: Some(window(18_000, 0.12, at(1_764_009_000))),
        long: Some(window(604_800, 0.4, at(1_764_400_000))),
        features: vec![feature("GPT-5.3-Codex-Spark", window(18_000, 0.0, None))],
        credits: Some(Credits { available: false, unlimited: false, balance: Some(0.0) }),
        reset_credits: Some(1),
        plan: Some("plus".to_owned()),
    };
    assert_eq!(quota, expected);
}

#[test]
fn camel_case_says_the_same() {
    let snake = quota_from_usage(USAGE.as_bytes(), NOW);
    let mut camel = USAGE.to_owned();
    for name in [
        "plan_type",
        "rate_limit_reset_credits",
        "additional_rate_limits",
        "rate_limit",
        "primary_window",
        "secondary_window",
        "used_percent",
        "limit_window_seconds",
        "reset_after_seconds",
        "reset_at",
        "limit_name",
        "metered_feature",
        "available_count",
        "has_credits",
        "overage_limit_reached",
        "spend_control",
    ] {
        let mut words = name.split('_');
        let head = words.next().unwrap().to_owned();
        let tail = words.map(|word| word[..1].to_uppercase() + &word[1..]);
        camel = camel.replace(&format!("\"{name}\""), &format!("\"{}\"", head + &tail.collect::<String>()));
    }
    assert!(!camel.contains("used_percent") && camel.contains("usedPercent"));
    assert_eq!(quota_from_usage(camel.as_bytes(), NOW), snake);
}

/// One window in the first slot of a `wham/usage` body.
fn first_slot(plan: &str, window: &str) -> QuotaSnapshot {
    let body = format!(r#"{{"plan_type":"{plan}","rate_limit":{{"primary_window":{window}}}}}"#);
    quota_from_usage(body.as_bytes(), NOW).unwrap()
}

#[test]
fn windows_of_any_spelling_are_read() {
    let cases = [
        // Numbers as text, floats, null.
        (
            "free",
            r#"{"used_percent":"12.5","limit_window_seconds":2592000,"reset_after_seconds":9,"reset_at":null}"#,
            window(2_592_000, 0.125, at(1_764_000_009)),
        ),
        (
            "team",
            r#"{"used_percent":3.0,"limit_window_seconds":"2678400","reset_at":1764000009.0}"#,
            window(2_678_400, 0.03, at(1_764_000_009)),
        ),
        // A weekly window where others have five hours.
        (
            "plus",
            r#"{"used_percent":7,"limit_window_seconds":604800,"reset_at":"1764000100"}"#,
            window(604_800, 0.07, at(1_764_000_100)),
        ),
        // Absolute pairs, another name for the reset, milliseconds.
        (
            "pro",
            r#"{"limit":200,"used":50,"window_minutes":300,"resets_at":1764000100000}"#,
            window(18_000, 0.25, at(1_764_000_100)),
        ),
        // No length: the plan and the reset say which.
        (
            "free",
            r#"{"used_percent":1,"reset_after_seconds":60}"#,
            window(2_592_000, 0.01, at(1_764_000_060)),
        ),
        ("plus", r#"{"used_percent":1,"reset_after_seconds":60}"#, window(18_000, 0.01, at(1_764_000_060))),
        (
            "plus",
            r#"{"used_percent":1,"reset_after_seconds":18001}"#,
            window(604_800, 0.01, at(1_764_018_001)),
        ),
        // A reset further away than any window is no reset.
        (
            "plus",
            r#"{"used_percent":1,"limit_window_seconds":18000,"reset_at":9999999999}"#,
            window(18_000, 0.01, None),
        ),
    ];
    for (plan, json, expected) in cases {
        let quota = first_slot(plan, json);
        let found: Vec<Window> = quota.short.into_iter().chain(quota.long).collect();
        assert_eq!(found, [expected], "{plan} {json}");
    }
}

#[test]
fn a_share_alone_is_not_believed() {
    for json in [
        r#"{"used_percent":50}"#,
        r#"{"used_percent":-1,"limit_window_seconds":18000}"#,
        r#"{"used_percent":null,"limit_window_seconds":18000}"#,
        r#"{"used_percent":"NaN","limit_window_seconds":18000}"#,
        r#"{"used_percent":true,"limit_window_seconds":18000}"#,
        r#"{"used":3,"limit":0,"limit_window_seconds":18000}"#,
        "{}",
        "null",
    ] {
        let quota = first_slot("plus", json);
        assert!(quota.short.is_none() && quota.long.is_none(), "{json}");
    }
}

#[test]
fn what_is_no_usage_body_is_none() {
    for body in ["<html>", "{}", "[]", "", r#"{"detail":"Unauthorized"}"#, r#"{"rate_limit":7}"#] {
        assert_eq!(quota_from_usage(body.as_bytes(), NOW), None, "{body}");
    }
}

#[test]
fn credits_that_may_not_be_spent_are_not_available() {
    let credits = |rest: &str| {
        let body = format!(r#"{{"rate_limit":null,{rest}}}"#);
        quota_from_usage(body.as_bytes(), NOW).and_then(|quota| quota.credits)
    };
    let can_pay = |rest: &str| credits(rest).map(|credits| credits.can_pay());
    assert_eq!(can_pay(r#""credits":{"has_credits":true,"unlimited":false,"balance":"12.5"}"#), Some(true));
    assert_eq!(can_pay(r#""credits":{"has_credits":true,"balance":0}"#), Some(false));
    assert_eq!(can_pay(r#""credits":{"has_credits":true,"balance":null}"#), Some(true));
    assert_eq!(can_pay(r#""credits":{"has_credits":"False","unlimited":"True"}"#), Some(true));
    assert_eq!(
        can_pay(r#""credits":{"has_credits":true,"unlimited":true,"overage_limit_reached":true}"#),
        Some(false)
    );
    assert_eq!(
        can_pay(r#""credits":{"has_credits":true,"balance":"5"},"spend_control":{"reached":true}"#),
        Some(false)
    );
    assert_eq!(credits(r#""plan_type":"plus","credits":null"#), None);
    assert_eq!(credits(r#""plan_type":"plus","credits":{}"#), None, "unknown, not none");
}

#[test]
fn features_of_odd_shapes_do_not_spoil_the_rest() {
    for additional in [
        r#"null"#,
        r#"{"spark":1}"#,
        r#"[7,null,{"limit_name":"","rate_limit":{}},{"limit_name":"x","rate_limit":"?"}]"#,
    ] {
        let body = format!(
            r#"{{"plan_type":"pro","rate_limit":{{"primary_window":{{"used_percent":1,"limit_window_seconds":18000}}}},"additional_rate_limits":{additional}}}"#
        );
        let quota = quota_from_usage(body.as_bytes(), NOW).unwrap();
        assert!(quota.features.is_empty() && quota.short.is_some(), "{additional}");
    }
    let many = vec![
        r#"{"metered_feature":"f","rate_limit":{"primary_window":{"used_percent":1,"limit_window_seconds":60}}}"#;
        100
    ];
    let body = format!(
        r#"{{"rate_limit":{{}},"code_review_rate_limit":{{"primary_window":{{"used_percent":9,"limit_window_seconds":604800}}}},"additional_rate_limits":[{}]}}"#,
        many.join(",")
    );
    let quota = quota_from_usage(body.as_bytes(), NOW).unwrap();
    assert_eq!(quota.features.len(), MAX_FEATURES + 1);
    assert_eq!(quota.features[0], feature("code_review", window(604_800, 0.09, None)));
}

#[test]
fn events_tell_the_account_or_one_feature() {
    let event = |names: &str| {
        let text = format!(
            r#"{{"type":"codex.rate_limits","plan_type":"pro",{names}"rate_limits":{{"primary":{{"used_percent":75,"window_minutes":300,"reset_at":1764000100}},"secondary":{{"used_percent":"90","window_minutes":10080,"resets_at":1764000500}}}},"credits":{{"has_credits":true,"unlimited":false,"balance":"12.5"}}}}"#
        );
        quota_from_event(text.as_bytes(), NOW).unwrap()
    };
    for names in [
        "",
        r#""limit_name":null,"#,
        r#""metered_limit_name":"codex","limit_name":"codex","#,
        r#""limit_id":"codex","limit_name":null,"#,
    ] {
        let quota = event(names);
        assert_eq!(quota.short, Some(window(18_000, 0.75, at(1_764_000_100))), "{names}");
        assert_eq!(quota.long, Some(window(604_800, 0.9, at(1_764_000_500))), "{names}");
        assert_eq!(quota.credits.unwrap().balance, Some(12.5));
        assert_eq!(quota.plan.as_deref(), Some("pro"));
    }
    let quota = event(r#""metered_limit_name":"codex_bengalfox","limit_name":"Spark","#);
    assert!(quota.short.is_none() && quota.long.is_none() && quota.plan.is_none());
    assert_eq!(quota.features[0], feature("codex_bengalfox", window(18_000, 0.75, at(1_764_000_100))));
    assert_eq!(quota.features.len(), 2);
    assert_eq!(quota_from_event(b"{\"type\":\"codex.rate_limits\"}", NOW), None);
}

#[test]
fn a_childs_status_is_the_mean_of_who_serves() {
    let row = |rest: &str| {
        format!(r#"{{"proxy_name":"p","alias":"a","id":"openai:a","healthy":true,"enabled":true,{rest}}}"#)
    };
    let status = |rows: &[String]| {
        let body = format!(r#"{{"proxy_name":"p","accounts":[{}],"child_proxies":[]}}"#, rows.join(","));
        quota_from_status(body.as_bytes(), NOW).unwrap()
    };
    let quota = status(&[
        row(
            r#""cooldown_seconds":0,"daily_left_pct":80,"daily_reset_at":1764009000,"weekly_left_pct":60,"weekly_reset_at":1764400000"#,
        ),
        row(
            r#""cooldown_seconds":0,"daily_left_pct":40,"daily_reset_at":1764005000,"weekly_left_pct":-1,"weekly_reset_at":0"#,
        ),
        row(r#""cooldown_seconds":30,"daily_left_pct":0,"daily_reset_at":1764000001"#),
        row(r#""daily_left_pct":0"#).replace("\"healthy\":true", "\"healthy\":false"),
        row(r#""daily_left_pct":0"#).replace("\"enabled\":true", "\"enabled\":false"),
    ]);
    assert_eq!(quota.short, Some(window(18_000, 0.4, at(1_764_005_000))));
    assert_eq!(quota.long, Some(window(604_800, 0.4, at(1_764_400_000))));

    let resting = status(&[row(r#""cooldown_seconds":90"#), row(r#""cooldown_seconds":30"#)]);
    assert_eq!(resting.short, Some(window(18_000, 1.0, at(1_764_000_030))));
    assert_eq!(status(&[]).short, Some(window(18_000, 1.0, None)), "a child without accounts cannot serve");
    let unknown = status(&[row(r#""daily_left_pct":-1"#)]);
    assert!(unknown.is_empty(), "unknown is unknown");
    for body in ["{}", "<html>", r#"{"accounts":7}"#, r#"{"status":"ok"}"#] {
        assert_eq!(quota_from_status(body.as_bytes(), NOW), None, "{body}");
    }
}

proptest! {
    /// Whatever a window says, what comes out is a share and a length that can be reckoned with.
    #[test]
    fn no_number_gets_through_that_cannot_be_reckoned_with(
        used in prop::num::f64::ANY, seconds in prop::num::f64::ANY,
        at in prop::num::f64::ANY, after in prop::num::f64::ANY,
    ) {
        let told = Told { used_percent: Some(used), seconds: Some(seconds), reset_at: Some(at), reset_after: Some(after) };
        if let Some(window) = told.window(NOW) {
            prop_assert!((0.0..=10.0).contains(&window.used));
            prop_assert!(window.seconds >= 1 && window.seconds <= 400 * 24 * 3600);
            if let Some(reset) = window.resets_at {
                prop_assert!(NOW.millis_until(reset) <= longest_window_millis());
            }
        }
    }

    /// No body makes the readers panic.
    #[test]
    fn no_body_breaks_the_readers(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = quota_from_usage(&body, NOW);
        let _ = quota_from_event(&body, NOW);
        let _ = quota_from_status(&body, NOW);
    }
}
