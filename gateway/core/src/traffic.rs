//! Counters of the traffic since the start, for the overview. Pure; takes seconds.

use gateway_domain::TokenUsage;

/// Seconds of history.
pub const HISTORY_SECS: usize = 60;
/// The running second has a place of its own beside them.
const PLACES: i64 = HISTORY_SECS as i64 + 1;
/// First-event times kept for the median.
const RECENT_TTFT: usize = 256;

/// One second of traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Second {
    /// Requests that arrived.
    pub requests: u32,
    /// Requests that failed.
    pub failures: u32,
}

/// Totals and the last minute.
#[derive(Debug)]
pub struct Traffic {
    seconds: [Second; PLACES as usize],
    newest: i64,
    /// Requests since the start.
    pub requests: u64,
    /// Failed ones.
    pub failures: u64,
    /// Tokens since the start.
    pub tokens: TokenUsage,
    /// Running now.
    pub in_flight: u32,
    ttft_ms: [f64; RECENT_TTFT],
    ttft_count: usize,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            seconds: [Second::default(); PLACES as usize],
            newest: 0,
            requests: 0,
            failures: 0,
            tokens: TokenUsage::default(),
            in_flight: 0,
            ttft_ms: [0.0; RECENT_TTFT],
            ttft_count: 0,
        }
    }
}

impl Traffic {
    /// A request arrived in this second.
    pub fn arrived(&mut self, second: i64) {
        self.requests += 1;
        self.in_flight += 1;
        if let Some(slot) = self.slot(second) {
            slot.requests += 1;
        }
    }

    /// A request ended in this second.
    pub fn ended(
        &mut self,
        second: i64,
        failed: bool,
        usage: Option<TokenUsage>,
        first_event_ms: Option<f64>,
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if failed {
            self.failures += 1;
            if let Some(slot) = self.slot(second) {
                slot.failures += 1;
            }
        }
        if let Some(usage) = usage {
            self.tokens.input += usage.input;
            self.tokens.input_cached += usage.input_cached;
            self.tokens.output += usage.output;
            self.tokens.reasoning += usage.reasoning;
        }
        if let Some(ms) = first_event_ms {
            let at = self.ttft_count % RECENT_TTFT;
            if let Some(slot) = self.ttft_ms.get_mut(at) {
                *slot = ms;
            }
            self.ttft_count += 1;
        }
    }

    /// The last [`HISTORY_SECS`] whole seconds before `second`, the oldest first.
    pub fn history(&mut self, second: i64) -> Vec<Second> {
        self.advance(second);
        (1..=HISTORY_SECS as i64)
            .rev()
            .map(|ago| self.seconds.get(index(second - ago)).copied().unwrap_or_default())
            .collect()
    }

    /// The median of the last first-event times, in milliseconds.
    #[must_use]
    pub fn ttft_p50_ms(&self) -> Option<f64> {
        let mut kept = self.ttft_ms.get(..self.ttft_count.min(RECENT_TTFT))?.to_vec();
        kept.sort_by(f64::total_cmp);
        kept.get(kept.len() / 2).copied()
    }

    fn slot(&mut self, second: i64) -> Option<&mut Second> {
        self.advance(second);
        self.seconds.get_mut(index(second))
    }

    /// Clears what lies between the newest second and this one. A clock that jumps back counts into old seconds.
    fn advance(&mut self, second: i64) {
        let first = (self.newest + 1).max(second - PLACES + 1);
        for passed in first..=second {
            if let Some(slot) = self.seconds.get_mut(index(passed)) {
                *slot = Second::default();
            }
        }
        self.newest = self.newest.max(second);
    }
}

fn index(second: i64) -> usize {
    usize::try_from(second.rem_euclid(PLACES)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_slides() {
        let mut traffic = Traffic::default();
        for second in 1_000..1_010 {
            traffic.arrived(second);
            traffic.ended(second, second == 1_005, None, Some(second as f64));
        }
        let history = traffic.history(1_010);
        assert_eq!(history.len(), HISTORY_SECS);
        assert_eq!(history.iter().map(|second| second.requests).sum::<u32>(), 10);
        assert_eq!(history[55].failures, 1, "1005 is five seconds ago");
        assert_eq!(traffic.ttft_p50_ms(), Some(1_005.0));
        traffic.arrived(1_010);
        let history = traffic.history(1_010);
        assert_eq!(
            history.iter().map(|second| second.requests).sum::<u32>(),
            10,
            "the running second is not history"
        );
        traffic.ended(1_010, false, None, None);
        assert!(traffic.history(1_100).iter().all(|second| *second == Second::default()));
        assert_eq!((traffic.requests, traffic.failures, traffic.in_flight), (11, 1, 0));
    }
}
