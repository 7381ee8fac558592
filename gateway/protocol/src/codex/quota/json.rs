//! Quota in JSON: the body of `wham/usage` and the payload of a `codex.rate_limits` event, in snake and camel case.

use gateway_domain::{Credits, QuotaSnapshot, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::{FIVE_HOURS, MAX_FEATURES, MONTH, Told, WEEK, feature_windows, number, truth};

/// What the review limit is called: it has a place of its own instead of a name.
const CODE_REVIEW: &str = "code_review";

#[derive(Deserialize, Default)]
#[serde(default)]
struct Usage {
    #[serde(alias = "planType")]
    plan_type: Option<String>,
    #[serde(alias = "rateLimit")]
    rate_limit: Option<WireLimits>,
    #[serde(alias = "codeReviewRateLimit")]
    code_review_rate_limit: Option<WireLimits>,
    // Anything but a list is ignored rather than taken for a broken body.
    #[serde(alias = "additionalRateLimits")]
    additional_rate_limits: Value,
    credits: Option<WireCredits>,
    #[serde(alias = "spendControl")]
    spend_control: Value,
    #[serde(alias = "rateLimitResetCredits")]
    rate_limit_reset_credits: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Additional {
    #[serde(alias = "limitName")]
    limit_name: Option<String>,
    #[serde(alias = "meteredFeature")]
    metered_feature: Option<String>,
    #[serde(alias = "rateLimit")]
    rate_limit: Option<WireLimits>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireLimits {
    #[serde(alias = "primaryWindow", alias = "primary")]
    primary_window: Option<WireWindow>,
    #[serde(alias = "secondaryWindow", alias = "secondary")]
    secondary_window: Option<WireWindow>,
}

/// A window in any of its JSON spellings.
#[derive(Deserialize, Default)]
#[serde(default)]
struct WireWindow {
    #[serde(alias = "usedPercent")]
    used_percent: Value,
    used: Value,
    limit: Value,
    #[serde(alias = "limitWindowSeconds")]
    limit_window_seconds: Value,
    #[serde(alias = "windowMinutes")]
    window_minutes: Value,
    #[serde(alias = "resetAfterSeconds")]
    reset_after_seconds: Value,
    #[serde(alias = "resets_at", alias = "resetAt", alias = "resetsAt")]
    reset_at: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireCredits {
    #[serde(alias = "hasCredits")]
    has_credits: Value,
    unlimited: Value,
    #[serde(alias = "overageLimitReached")]
    overage_limit_reached: Value,
    balance: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    plan_type: Option<String>,
    limit_id: Option<String>,
    metered_limit_name: Option<String>,
    limit_name: Option<String>,
    rate_limits: Option<WireLimits>,
    credits: Option<WireCredits>,
}

/// Reads the body of `wham/usage`. `None` when it is not one.
#[must_use]
pub fn quota_from_usage(body: &[u8], now: Timestamp) -> Option<QuotaSnapshot> {
    let usage: Usage = serde_json::from_slice(body).ok()?;
    if usage.rate_limit.is_none() && usage.plan_type.is_none() && usage.credits.is_none() {
        return None;
    }
    let mut quota = QuotaSnapshot {
        plan: usage.plan_type.filter(|plan| !plan.is_empty()),
        credits: usage.credits.and_then(|credits| credits.read(spent(&usage.spend_control))),
        reset_credits: reset_credits(&usage.rate_limit_reset_credits),
        ..QuotaSnapshot::default()
    };
    let is_free = quota.plan.as_deref() == Some("free");
    let [primary, secondary] = usage.rate_limit.unwrap_or_default().told();
    for window in [guessed(primary, 0, is_free, now), guessed(secondary, 1, is_free, now)] {
        if let Some(window) = window.window(now) {
            quota.put(window);
        }
    }
    if let Some(review) = usage.code_review_rate_limit {
        quota.features.extend(feature_windows(CODE_REVIEW, review.told(), now));
    }
    let Value::Array(additional) = usage.additional_rate_limits else { return Some(quota) };
    for one in additional.into_iter().take(MAX_FEATURES) {
        let Ok(one) = serde_json::from_value::<Additional>(one) else { continue };
        let name = [one.limit_name, one.metered_feature].into_iter().flatten().find(|name| !name.is_empty());
        if let (Some(name), Some(limits)) = (name, one.rate_limit) {
            quota.features.extend(feature_windows(&name, limits.told(), now));
        }
    }
    Some(quota)
}

/// Reads the payload of a `codex.rate_limits` event; one about a single feature has that feature's windows only.
/// `None` when it is not one.
#[must_use]
pub fn quota_from_event(payload: &[u8], now: Timestamp) -> Option<QuotaSnapshot> {
    let event: Event = serde_json::from_slice(payload).ok()?;
    let limits = event.rate_limits?.told();
    let feature = [event.limit_id, event.metered_limit_name, event.limit_name]
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .filter(|name| name != "codex");
    let mut quota = QuotaSnapshot::default();
    if let Some(feature) = feature {
        quota.features = feature_windows(&feature, limits, now).collect();
        return Some(quota);
    }
    quota.plan = event.plan_type.filter(|plan| !plan.is_empty());
    quota.credits = event.credits.and_then(|credits| credits.read(false));
    for window in limits.into_iter().filter_map(|told| told.window(now)) {
        quota.put(window);
    }
    Some(quota)
}

impl WireLimits {
    fn told(&self) -> [Told; 2] {
        let told = |window: &Option<WireWindow>| window.as_ref().map(WireWindow::told).unwrap_or_default();
        [told(&self.primary_window), told(&self.secondary_window)]
    }
}

impl WireWindow {
    fn told(&self) -> Told {
        let share = || {
            let limit = number(&self.limit).filter(|limit| *limit > 0.0)?;
            Some(number(&self.used)? / limit * 100.0)
        };
        Told {
            used_percent: number(&self.used_percent).or_else(share),
            seconds: number(&self.limit_window_seconds)
                .or_else(|| number(&self.window_minutes).map(|minutes| minutes * 60.0)),
            reset_at: number(&self.reset_at),
            reset_after: number(&self.reset_after_seconds),
        }
    }
}

impl WireCredits {
    /// `blocked`: what is left may not be spent.
    fn read(&self, blocked: bool) -> Option<Credits> {
        let blocked = blocked || truth(&self.overage_limit_reached).unwrap_or(false);
        let available = truth(&self.has_credits)?;
        Some(Credits {
            available: available && !blocked,
            unlimited: truth(&self.unlimited).unwrap_or(false) && !blocked,
            balance: number(&self.balance),
        })
    }
}

/// A window that told its reset but not its length: the reset and the plan say which one it must be.
fn guessed(told: Told, slot: usize, is_free: bool, now: Timestamp) -> Told {
    if told.length().is_some() {
        return told;
    }
    let Some(reset) = told.reset(now) else { return told };
    let seconds = if is_free && slot == 0 {
        MONTH
    } else if slot == 1 || now.millis_until(reset) > FIVE_HOURS as u64 * 1000 {
        WEEK
    } else {
        FIVE_HOURS
    };
    Told { seconds: Some(seconds), ..told }
}

fn spent(spend_control: &Value) -> bool {
    spend_control.get("reached").and_then(truth).unwrap_or(false)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
fn reset_credits(value: &Value) -> Option<u32> {
    let count = value.get("available_count").or_else(|| value.get("availableCount")).and_then(number)?;
    (0.0..=f64::from(u32::MAX)).contains(&count).then_some(count as u32)
}
