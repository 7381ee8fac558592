//! What leaving an account costs: the share of the prompt that lies in its cache and would be paid again elsewhere.
//!
//! Providers drop a cached prompt after five to ten idle minutes, at the latest after an hour. So the price is full for
//! [`WARM`], falls evenly, and is gone after [`COLD`], which is also when codex-lb lets such ties end.

use std::time::Duration;

use gateway_domain::{Timestamp, TokenUsage};

use crate::elapsed::since;

/// A prompt used this lately is surely cached.
pub(crate) const WARM: Duration = Duration::from_secs(5 * 60);
/// After this long without use nothing is cached any more.
pub(crate) const COLD: Duration = Duration::from_secs(30 * 60);
/// Prompts with fewer tokens are not cached by any provider we know.
pub(crate) const SMALLEST_CACHED: u64 = 1024;
/// Weight of the newest observed share.
const NEWEST: f64 = 0.5;

/// What is known about a conversation's prompt cache at its owner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cached {
    /// When it was served there last; `None` while its first request runs.
    served_at: Option<Timestamp>,
    /// Size of the last request, to tell how much of the next one is old.
    body_bytes: u32,
    /// Share of the expected part that really came from the cache, smoothed; 1 until it was seen.
    hits: f64,
    /// The prompt was too small to be cached.
    small: bool,
}

/// The part of it that outlives a restart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeptCache {
    /// When the account served the conversation last.
    pub served_at: Timestamp,
    /// Size of the request then.
    pub body_bytes: u32,
    /// Share of the prompt that came from the cache, smoothed; `None`: it is too small to be cached.
    pub hits: Option<f64>,
}

impl Cached {
    pub(crate) const NOTHING: Self = Self { served_at: None, body_bytes: 0, hits: 1.0, small: false };

    /// What is kept of it for the next start; `None` when nothing was served yet.
    pub(crate) fn kept(&self) -> Option<KeptCache> {
        let hits = (!self.small).then_some(self.hits);
        self.served_at.map(|served_at| KeptCache { served_at, body_bytes: self.body_bytes, hits })
    }

    /// What was kept.
    pub(crate) fn restored(kept: Option<KeptCache>) -> Self {
        let Some(KeptCache { served_at, body_bytes, hits }) = kept else { return Self::NOTHING };
        let whole = hits.filter(|hits| hits.is_finite()).unwrap_or(1.0).clamp(0.0, 1.0);
        Self { served_at: Some(served_at), body_bytes, hits: whole, small: hits.is_none() }
    }

    /// Takes in that a request of this size was served.
    pub(crate) fn served(&mut self, body_bytes: u32, usage: Option<TokenUsage>, now: Timestamp) {
        let expected = self.expected(body_bytes, now);
        if let Some(usage) = usage {
            // The first prompt that is large enough finds nothing in the cache, and that says nothing.
            let was_small = std::mem::replace(&mut self.small, usage.input < SMALLEST_CACHED);
            if expected > 0.0 && !was_small && !self.small {
                let share = share(usage.input_cached, usage.input) / expected;
                self.hits += NEWEST * (share.clamp(0.0, 1.0) - self.hits);
            }
        }
        self.served_at = Some(now);
        self.body_bytes = body_bytes;
    }

    /// The share of a request of this size that would be paid again elsewhere, 0.0..=1.0.
    pub(crate) fn price(&self, body_bytes: u32, now: Timestamp) -> f64 {
        if self.small { 0.0 } else { (self.hits * self.expected(body_bytes, now)).clamp(0.0, 1.0) }
    }

    /// The share of a request of this size that should lie in the cache.
    fn expected(&self, body_bytes: u32, now: Timestamp) -> f64 {
        let Some(idle) = self.served_at.and_then(|at| since(at, now)) else { return 0.0 };
        // A client sends its history again and adds to it, so the last body is about the cached part of this one.
        let old = if body_bytes == 0 { 1.0 } else { f64::from(self.body_bytes) / f64::from(body_bytes) };
        old.min(1.0) * freshness(Duration::from_millis(idle))
    }
}

fn freshness(idle: Duration) -> f64 {
    if idle <= WARM {
        return 1.0;
    }
    let left = COLD.saturating_sub(idle).as_secs_f64();
    left / (COLD - WARM).as_secs_f64()
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { crate::elapsed::to_f64(part) / crate::elapsed::to_f64(whole) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn usage(input: u64, input_cached: u64) -> Option<TokenUsage> {
        Some(TokenUsage { input, input_cached, output: 10, reasoning: 0 })
    }

    fn near(got: f64, expect: f64) {
        assert!((got - expect).abs() < 1e-9, "{got} is not {expect}");
    }

    #[test]
    fn the_price_falls_with_time_and_with_what_is_new() {
        let mut cached = Cached::NOTHING;
        near(cached.price(1_000, Timestamp::from_secs(0)), 0.0);
        cached.served(8_000, usage(5_000, 0), Timestamp::from_secs(0));
        for (secs, bytes, price) in [
            (1, 8_000, 1.0),
            (300, 10_000, 0.8),
            (1_050, 8_000, 0.5),
            (1_800, 8_000, 0.0),
            (90_000, 8_000, 0.0),
            (10, 4_000, 1.0),
            (10, 0, 1.0),
            // A clock that was set back far tells nothing.
            (-90_000, 8_000, 0.0),
        ] {
            near(cached.price(bytes, Timestamp::from_secs(secs)), price);
        }
    }

    #[test]
    fn a_cache_that_never_hits_is_worth_nothing() {
        let mut cached = Cached::NOTHING;
        for turn in 0..12 {
            cached.served(8_000, usage(5_000, 0), Timestamp::from_secs(turn));
        }
        assert!(cached.price(8_000, Timestamp::from_secs(12)) < 0.01);
        for turn in 12..24 {
            cached.served(8_000, usage(5_000, 4_900), Timestamp::from_secs(turn));
        }
        assert!(cached.price(8_000, Timestamp::from_secs(24)) > 0.9);
    }

    #[test]
    fn small_prompts_are_not_cached_until_they_grow() {
        let mut cached = Cached::NOTHING;
        cached.served(400, usage(100, 0), Timestamp::from_secs(0));
        near(cached.price(400, Timestamp::from_secs(1)), 0.0);
        cached.served(40_000, usage(9_000, 0), Timestamp::from_secs(10));
        assert!(cached.price(40_000, Timestamp::from_secs(11)) > 0.9);
    }
}
