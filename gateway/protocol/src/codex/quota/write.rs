//! Quota as clients read it: the body of `wham/usage`, the `x-codex-*` headers, what a key used. The inverse of the
//! readers beside it.

use bytes::Bytes;
use gateway_domain::{QuotaSnapshot, Timestamp, TokenUsage, Window};
use serde_json::{Value, json};

/// The body of `wham/usage`. Codex takes whole percents only.
#[must_use]
pub fn usage_body(quota: &QuotaSnapshot, allowed: bool, now: Timestamp) -> Bytes {
    let [primary, secondary] = slots(quota.short, quota.long);
    let mut additional: Vec<Value> = Vec::new();
    let mut names: Vec<&str> = quota.features.iter().map(|feature| feature.feature.as_str()).collect();
    names.dedup();
    for name in names {
        let windows = quota.features.iter().filter(|feature| feature.feature == name).map(|one| one.window);
        let of_feature = windows.fold(QuotaSnapshot::default(), |mut all, window| {
            all.put(window);
            all
        });
        let [primary, secondary] = slots(of_feature.short, of_feature.long);
        additional.push(json!({
            "limit_name": name,
            "metered_feature": name,
            "rate_limit": limit(primary, secondary, None, now),
        }));
    }
    let body = json!({
        "plan_type": quota.plan.as_deref().unwrap_or("unknown"),
        "rate_limit": limit(primary, secondary, Some(allowed), now),
        "code_review_rate_limit": null,
        "additional_rate_limits": if additional.is_empty() { Value::Null } else { additional.into() },
        "credits": quota.credits.map(|credits| json!({
            "has_credits": credits.available,
            "unlimited": credits.unlimited,
            "overage_limit_reached": false,
            "balance": credits.balance.map(|balance| balance.to_string()),
        })),
        "spend_control": { "reached": false },
        "rate_limit_reached_type": if allowed { None } else { Some("rate_limit_reached") },
        "promo": null,
    });
    Bytes::from(body.to_string())
}

/// The `x-codex-*` headers of the same windows.
#[must_use]
pub fn limit_headers(quota: &QuotaSnapshot, now: Timestamp) -> Vec<(String, String)> {
    let mut headers = Vec::with_capacity(9);
    if let Some(plan) = &quota.plan {
        headers.push(("x-codex-plan-type".to_owned(), plan.clone()));
    }
    for (slot, window) in ["primary", "secondary"].into_iter().zip(slots(quota.short, quota.long)) {
        let Some(window) = window else { continue };
        let mut put = |field: &str, value: String| headers.push((format!("x-codex-{slot}-{field}"), value));
        put("used-percent", percent(window).to_string());
        put("window-minutes", (window.seconds / 60).to_string());
        if let Some(reset) = window.resets_at {
            put("reset-at", reset.as_secs().to_string());
            put("reset-after-seconds", seconds_until(reset, now).to_string());
        }
    }
    headers
}

/// Whether a header tells one account's limits, or one feature's (`x-codex-primary-…`, `x-<feature>-secondary-…`).
#[must_use]
pub fn is_limit_header(name: &str) -> bool {
    name.starts_with("x-")
        && (name.contains("-primary-")
            || name.contains("-secondary-")
            || name == "x-codex-plan-type"
            || name.starts_with("x-codex-credits-"))
}

/// What `GET /v1/usage` answers: the key's own tokens, and how full the pool is.
#[must_use]
pub fn client_usage_body(requests: u64, tokens: TokenUsage, pool: &QuotaSnapshot, now: Timestamp) -> Bytes {
    let percent = |window: Option<Window>| window.map(|window| window.used * 100.0);
    let upstream = [("5h", pool.short), ("7d", pool.long)].into_iter().filter_map(|(name, window)| {
        let window = window?;
        Some(json!({
            "limit_type": "credits",
            "limit_window": name,
            "max_value": 100,
            "current_value": percent(Some(window)),
            "remaining_value": (1.0 - window.used).max(0.0) * 100.0,
            "reset_at": window.resets_at.map(Timestamp::as_secs),
            "reset_after_seconds": window.resets_at.map(|reset| seconds_until(reset, now)),
            "source": "aggregate",
        }))
    });
    let upstream: Vec<Value> = upstream.collect();
    let body = json!({
        "request_count": requests,
        "total_tokens": tokens.total(),
        "input_tokens": tokens.input,
        "cached_input_tokens": tokens.input_cached,
        "output_tokens": tokens.output,
        "reasoning_tokens": tokens.reasoning,
        // Prices are not kept here.
        "total_cost_usd": null,
        "limits": [],
        "upstream_limits": upstream,
        "account_pool_usage": { "primary": percent(pool.short), "secondary": percent(pool.long) },
    });
    Bytes::from(body.to_string())
}

/// The answer to `wham/accounts/check` (facts: clients 2.5): one account, the caller's own, at this gateway.
#[must_use]
pub fn accounts_check_body(id: &str, plan: Option<&str>, origin: Option<&str>) -> Bytes {
    let body = json!({
        "accounts": [{
            "id": id,
            "name": "Switchyard",
            "plan_type": plan,
            "structure": "personal",
            "workspace_backend_origin": origin.unwrap_or("NO_CONSTRAINT"),
            "account_routing_override": "NO_CONSTRAINT",
            "profile_picture_url": null,
        }],
        "account_ordering": [id],
        "default_account_id": id,
    });
    Bytes::from(body.to_string())
}

/// The first slot is the first window there is.
const fn slots(short: Option<Window>, long: Option<Window>) -> [Option<Window>; 2] {
    match (short, long) {
        (None, long) => [long, None],
        both => [both.0, both.1],
    }
}

fn limit(primary: Option<Window>, secondary: Option<Window>, allowed: Option<bool>, now: Timestamp) -> Value {
    let is_full = |window: Option<Window>| window.is_some_and(|window| window.used >= 1.0);
    let allowed = allowed.unwrap_or(!is_full(primary) && !is_full(secondary));
    let told = |window: Option<Window>| {
        window.map(|window| {
            json!({
                "used_percent": percent(window),
                "limit_window_seconds": window.seconds,
                "reset_after_seconds": window.resets_at.map_or(0, |reset| seconds_until(reset, now)),
                "reset_at": window.resets_at.map_or(0, Timestamp::as_secs),
            })
        })
    };
    json!({
        "allowed": allowed,
        "limit_reached": !allowed,
        "primary_window": told(primary),
        "secondary_window": told(secondary),
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100 before")]
fn percent(window: Window) -> u32 {
    (window.used * 100.0).round().clamp(0.0, 100.0) as u32
}

fn seconds_until(reset: Timestamp, now: Timestamp) -> u64 {
    now.millis_until(reset) / 1000
}

#[cfg(test)]
mod tests {
    use super::super::{quota_from_header_list, quota_from_usage};
    use super::*;
    use gateway_domain::{Credits, FeatureWindow};

    fn quota() -> QuotaSnapshot {
        let window =
            |seconds, used, reset| Window { seconds, used, resets_at: Some(Timestamp::from_secs(reset)) };
        QuotaSnapshot {
            short: Some(window(18_000, 0.25, 2_000)),
            long: Some(window(604_800, 1.0, 9_000)),
            features: vec![FeatureWindow { feature: "spark".into(), window: window(18_000, 0.5, 3_000) }],
            credits: Some(Credits { available: true, unlimited: false, balance: Some(12.5) }),
            reset_credits: None,
            plan: Some("pro".into()),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let now = Timestamp::from_secs(1_000);
        let read = quota_from_usage(&usage_body(&quota(), true, now), now).unwrap();
        assert_eq!(read, quota());
        let headers = limit_headers(&quota(), now);
        assert!(headers.iter().all(|(name, _)| is_limit_header(name)), "{headers:?}");
        let read =
            quota_from_header_list(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())), now);
        assert_eq!((read.short, read.long, read.plan), (quota().short, quota().long, quota().plan));
    }

    #[test]
    fn percents_are_whole_and_a_single_window_comes_first() {
        let now = Timestamp::from_secs(0);
        let only_long = QuotaSnapshot {
            long: Some(Window { seconds: 2_592_000, used: 0.126, resets_at: None }),
            ..QuotaSnapshot::default()
        };
        let body: Value = serde_json::from_slice(&usage_body(&only_long, false, now)).unwrap();
        assert_eq!(body["rate_limit"]["primary_window"]["used_percent"], 13);
        assert_eq!(body["rate_limit"]["secondary_window"], Value::Null);
        assert_eq!((&body["rate_limit"]["allowed"], &body["plan_type"]), (&json!(false), &json!("unknown")));
        let of_client =
            client_usage_body(2, TokenUsage { input: 5, ..TokenUsage::default() }, &only_long, now);
        let of_client: Value = serde_json::from_slice(&of_client).unwrap();
        assert_eq!((&of_client["request_count"], &of_client["total_tokens"]), (&json!(2), &json!(5)));
        assert_eq!(of_client["account_pool_usage"]["primary"], Value::Null);
    }
}
