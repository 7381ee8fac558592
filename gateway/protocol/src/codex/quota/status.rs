//! The status of a child gateway (codexlb's shape, which Switchyard speaks as well), read as one account's quota: the
//! mean over the accounts that could serve, because the child spreads what it gets.

use std::time::Duration;

use gateway_domain::{QuotaSnapshot, Timestamp, Window};
use serde::Deserialize;
use serde_json::Value;

use super::{FIVE_HOURS, LONGEST_WINDOW_SECS, Told, WEEK, number};

#[derive(Deserialize)]
struct Status {
    accounts: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(default)]
struct Row {
    healthy: bool,
    enabled: bool,
    cooldown_seconds: Value,
    daily_left_pct: Value,
    daily_reset_at: Value,
    weekly_left_pct: Value,
    weekly_reset_at: Value,
}

impl Default for Row {
    // What a child does not say about an account does not rule it out.
    fn default() -> Self {
        Self {
            healthy: true,
            enabled: true,
            cooldown_seconds: Value::Null,
            daily_left_pct: Value::Null,
            daily_reset_at: Value::Null,
            weekly_left_pct: Value::Null,
            weekly_reset_at: Value::Null,
        }
    }
}

impl Row {
    fn cooldown(&self) -> Option<f64> {
        number(&self.cooldown_seconds).filter(|secs| *secs > 0.0)
    }

    fn serves(&self) -> bool {
        self.healthy && self.enabled && self.cooldown().is_none()
    }
}

/// Reads a child's `/status`. `None` when the body is not one.
#[must_use]
pub fn quota_from_status(body: &[u8], now: Timestamp) -> Option<QuotaSnapshot> {
    let status: Status = serde_json::from_slice(body).ok()?;
    let serving: Vec<&Row> = status.accounts.iter().filter(|row| row.serves()).collect();
    if serving.is_empty() {
        return Some(nobody_serves(&status.accounts, now));
    }
    let mut quota = QuotaSnapshot::default();
    let daily = serving.iter().map(|row| (&row.daily_left_pct, &row.daily_reset_at));
    let weekly = serving.iter().map(|row| (&row.weekly_left_pct, &row.weekly_reset_at));
    for window in [mean(daily, FIVE_HOURS, now), mean(weekly, WEEK, now)].into_iter().flatten() {
        quota.put(window);
    }
    Some(quota)
}

/// The mean share, and the first reset: from then on there is more.
fn mean<'a>(
    rows: impl Iterator<Item = (&'a Value, &'a Value)>,
    seconds: f64,
    now: Timestamp,
) -> Option<Window> {
    let (mut sum, mut count, mut first) = (0.0, 0_u32, None::<Timestamp>);
    for (left, reset_at) in rows {
        // -1 means unknown.
        let Some(left) = number(left).filter(|left| (0.0..=100.0).contains(left)) else { continue };
        sum += 100.0 - left;
        count += 1;
        let reset = Told { reset_at: number(reset_at), ..Told::default() }.reset(now);
        first = first.into_iter().chain(reset.filter(|reset| *reset > now)).min();
    }
    let used_percent = (count > 0).then(|| sum / f64::from(count));
    let window = Told { used_percent, seconds: Some(seconds), ..Told::default() }.window(now)?;
    Some(Window { resets_at: first, ..window })
}

/// A child whose accounts all rest is exhausted until the first comes back.
fn nobody_serves(rows: &[Row], now: Timestamp) -> QuotaSnapshot {
    let first = rows
        .iter()
        .filter(|row| row.enabled)
        .filter_map(Row::cooldown)
        .map(|secs| Duration::from_secs_f64(secs.min(LONGEST_WINDOW_SECS)))
        .min();
    let exhausted = Told { used_percent: Some(100.0), seconds: Some(FIVE_HOURS), ..Told::default() };
    let mut quota = QuotaSnapshot::default();
    if let Some(window) = exhausted.window(now) {
        quota.put(Window { resets_at: first.map(|wait| now.plus(wait)), ..window });
    }
    quota
}
