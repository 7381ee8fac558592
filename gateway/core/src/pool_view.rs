//! The pool as one account: what a caller behind it may know of limits. Means are weighted by what each plan allows, so
//! that a large account that is half empty counts for more than a small one that is full.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_domain::{AccountKind, Credits, FeatureWindow, QuotaSnapshot, Timestamp, Window, WindowKind};
use gateway_protocol::codex::{is_limit_header, limit_headers};
use gateway_scheduler::{Availability, Pool, Slot};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::Gateway;
use crate::ports::{ClientUsage, StoreError};

/// For so long the pool's limits are not added up again for answers.
const RECENT: Duration = Duration::from_secs(1);

/// The limits of the whole pool.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolQuota {
    /// As if it were one account.
    pub quota: QuotaSnapshot,
    /// Whether anybody can still serve.
    pub allowed: bool,
    /// How many accounts told something about their limits.
    pub accounts: usize,
}

impl Gateway {
    /// The limits of the pool's ChatGPT accounts, and of the gateways that stand for more of them, as one.
    #[must_use]
    pub fn pool_quota(&self) -> PoolQuota {
        let now = self.now();
        self.with_pool(|pool| pool_quota(pool, now))
    }

    /// Puts the pool's limits in the place of one account's, in the headers of its answer. With a single account they are
    /// the same.
    pub(crate) fn show_pool_limits(&self, headers: &mut HeaderMap) {
        if self.accounts().len() < 2 {
            return;
        }
        let of_account = headers.keys().filter(|name| is_limit_header(name.as_str()));
        let of_account: Vec<HeaderName> = of_account.cloned().collect();
        if of_account.is_empty() {
            return;
        }
        let of_pool = self.recent_limits();
        for name in of_account.iter().filter(|name| !of_pool.contains_key(*name)) {
            headers.remove(name);
        }
        for (name, value) in &*of_pool {
            headers.insert(name, value.clone());
        }
    }

    /// The pool's limits as headers, added up and written at most once in a while: a large pool is not walked for each
    /// answer.
    fn recent_limits(&self) -> Arc<HeaderMap> {
        let now = Instant::now();
        let mut recent = self.recent_limits.lock();
        if let Some((_, limits)) = recent.as_ref().filter(|(at, _)| now.duration_since(*at) < RECENT) {
            return limits.clone();
        }
        let written = limit_headers(&self.pool_quota().quota, self.now());
        let header =
            |(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?));
        let limits: Arc<HeaderMap> = Arc::new(written.into_iter().filter_map(header).collect());
        *recent = Some((now, limits.clone()));
        limits
    }

    /// What a client used since the ledger began.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn usage_of_client(&self, client: &str) -> Result<ClientUsage, StoreError> {
        self.ledger.used_by(client).await
    }
}

fn pool_quota(pool: &Pool, now: Timestamp) -> PoolQuota {
    let with_limits = [AccountKind::Codex.as_str(), AccountKind::Gateway.as_str()];
    let members: Vec<&Slot> = pool
        .members()
        .filter(|slot| slot.availability == Availability::Active)
        .filter(|slot| with_limits.contains(&slot.profile.provider.as_str()))
        .collect();
    let window = |kind, of: fn(&QuotaSnapshot) -> Option<Window>| {
        let mut sum = Sum::default();
        for slot in &members {
            let reading = slot.window(kind, now);
            let resets_at =
                (reading.resets_in_ms > 0).then(|| now.plus(Duration::from_millis(reading.resets_in_ms)));
            if let Some(told) = of(&slot.quota) {
                sum.add(Window { used: reading.used, resets_at, ..told }, weight(slot));
            }
        }
        sum.window()
    };
    let short = window(WindowKind::Short, |quota| quota.short);
    let long = window(WindowKind::Long, |quota| quota.long);
    let plan =
        members.iter().max_by(|a, b| weight(a).total_cmp(&weight(b))).map(|slot| slot.profile.plan.clone());
    PoolQuota {
        quota: QuotaSnapshot {
            short,
            long,
            features: features(&members, now),
            credits: credits(&members, now),
            // Spending them is the operator's business.
            reset_credits: None,
            plan: plan.filter(|plan| !plan.is_empty()),
        },
        allowed: members.iter().any(|slot| can_serve(slot, now)),
        accounts: members.iter().filter(|slot| slot.quota_seen_at.is_some()).count(),
    }
}

/// What a plan allows; one that is not known counts like the usual one.
fn weight(slot: &Slot) -> f64 {
    let capacity = slot.capacity();
    if capacity.is_finite() && capacity > 0.0 { capacity } else { 1.0 }
}

fn can_serve(slot: &Slot, now: Timestamp) -> bool {
    let is_full = |kind| slot.window(kind, now).used >= 1.0;
    let exhausted = is_full(WindowKind::Short) || is_full(WindowKind::Long);
    slot.cooldown_at(None, now).is_none() && (!exhausted || slot.paying_credits(now).is_some())
}

fn features(members: &[&Slot], now: Timestamp) -> Vec<FeatureWindow> {
    let mut sums: BTreeMap<(&str, WindowKind), Sum> = BTreeMap::new();
    for slot in members {
        for FeatureWindow { feature, window } in &slot.quota.features {
            let kind = WindowKind::from_seconds(window.seconds);
            let told = Window {
                used: window.used_at(now),
                resets_at: window.resets_at.filter(|reset| *reset > now),
                ..*window
            };
            sums.entry((feature, kind)).or_default().add(told, weight(slot));
        }
    }
    let window = |((feature, _), sum): ((&str, WindowKind), Sum)| {
        Some(FeatureWindow { feature: feature.to_owned(), window: sum.window()? })
    };
    sums.into_iter().filter_map(window).collect()
}

fn credits(members: &[&Slot], now: Timestamp) -> Option<Credits> {
    let paying = members.iter().filter_map(|slot| slot.paying_credits(now));
    paying.reduce(|all, one| Credits {
        available: all.available || one.available,
        unlimited: all.unlimited || one.unlimited,
        balance: match (all.balance, one.balance) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        },
    })
}

/// A mean under way.
#[derive(Default)]
struct Sum {
    used: f64,
    weight: f64,
    seconds: u64,
    resets_at: Option<Timestamp>,
}

impl Sum {
    /// A window of which nothing is known counts for nothing.
    fn add(&mut self, window: Window, weight: f64) {
        if !window.used.is_finite() {
            return;
        }
        self.used += window.used.clamp(0.0, 1.0) * weight;
        self.weight += weight;
        self.seconds = self.seconds.max(window.seconds);
        // From then on somebody has room again.
        self.resets_at = match (self.resets_at, window.resets_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn window(self) -> Option<Window> {
        (self.weight > 0.0).then(|| Window {
            seconds: self.seconds,
            used: self.used / self.weight,
            resets_at: self.resets_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_weighs_by_plan_and_names_the_first_reset() {
        let at = |secs| Some(Timestamp::from_secs(secs));
        let mut sum = Sum::default();
        sum.add(Window { seconds: 18_000, used: 1.2, resets_at: at(500) }, 1.0);
        sum.add(Window { seconds: 18_000, used: 0.25, resets_at: at(300) }, 2.0);
        sum.add(Window { seconds: 18_000, used: f64::NAN, resets_at: at(1) }, 9.0);
        let window = sum.window().unwrap();
        assert_eq!((window.used, window.resets_at), (0.5, at(300)));
        assert_eq!(Sum::default().window(), None);
    }
}
