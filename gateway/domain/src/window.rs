//! Upstream quota windows. What an upstream did not say is unknown, never zero.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Which of an account's windows, told by length and never by the slot it was reported in: some plans report
/// a weekly or monthly window in the slot that others use for five hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// Shorter than a day (the usual one is five hours).
    Short,
    /// A day or longer (weekly, monthly).
    Long,
}

impl WindowKind {
    /// Windows of a day or more are long ones.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        if seconds >= 24 * 60 * 60 { Self::Long } else { Self::Short }
    }
}

/// One observed window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Length in seconds.
    pub seconds: u64,
    /// Share used when observed: 0.0 is untouched, 1.0 is exhausted; may exceed 1.
    pub used: f64,
    /// When it resets, if the upstream said so.
    pub resets_at: Option<Timestamp>,
}

impl Window {
    /// The share used at `now`: a window whose reset has passed is empty again, whatever was observed before.
    #[must_use]
    pub fn used_at(&self, now: Timestamp) -> f64 {
        match self.resets_at {
            Some(reset) if reset <= now => 0.0,
            _ => self.used,
        }
    }
}

/// A window that limits one feature or model only and never the account as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureWindow {
    /// The upstream's name for what is limited (`GPT-5.3-Codex-Spark` …).
    pub feature: String,
    /// The window.
    pub window: Window,
}

/// What was bought on top of the plan: it serves when the windows are used up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Credits {
    /// Whether there are any.
    pub available: bool,
    /// Whether they never end.
    pub unlimited: bool,
    /// How much is left, in the upstream's unit, if it said so.
    pub balance: Option<f64>,
}

impl Credits {
    /// Whether they can pay for a request now.
    #[must_use]
    pub fn can_pay(&self) -> bool {
        self.unlimited || (self.available && self.balance.is_none_or(|balance| balance > 0.0))
    }
}

/// What one answer of the upstream told about an account's quota.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaSnapshot {
    /// The window shorter than a day, if there is one.
    pub short: Option<Window>,
    /// The window of a day or more, if there is one.
    pub long: Option<Window>,
    /// Windows of single features.
    pub features: Vec<FeatureWindow>,
    /// Credits, if the upstream told about them.
    pub credits: Option<Credits>,
    /// How often the windows may be reset by hand, if the upstream told.
    pub reset_credits: Option<u32>,
    /// The plan's name as the upstream spells it (`plus`, `pro`, `team` …).
    pub plan: Option<String>,
}

impl QuotaSnapshot {
    /// Files a window under its kind. Of two windows of one kind the fuller one counts.
    pub fn put(&mut self, window: Window) {
        let slot = match WindowKind::from_seconds(window.seconds) {
            WindowKind::Short => &mut self.short,
            WindowKind::Long => &mut self.long,
        };
        if slot.is_none_or(|kept| kept.used <= window.used) {
            *slot = Some(window);
        }
    }

    /// Whether the upstream told anything at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_told_by_length_not_by_slot() {
        let mut quota = QuotaSnapshot::default();
        quota.put(Window { seconds: 604_800, used: 0.4, resets_at: None });
        assert!(quota.short.is_none());
        assert_eq!(quota.long.unwrap().used, 0.4);
    }

    #[test]
    fn a_window_is_empty_once_its_reset_has_passed() {
        let window = Window { seconds: 18_000, used: 1.0, resets_at: Some(Timestamp::from_secs(100)) };
        assert_eq!(window.used_at(Timestamp::from_secs(99)), 1.0);
        assert_eq!(window.used_at(Timestamp::from_secs(100)), 0.0);
    }
}
