//! How a quota window reads at a glance: how full, how far through its time, when it starts again.

use gateway_api::WindowView;

use super::{number, time};

/// How full a window is. Each level has its own colour and its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Room enough.
    Calm,
    /// Three quarters gone.
    High,
    /// As good as gone.
    Full,
    /// The reset passed and the upstream has not told new figures yet.
    Over,
}

impl Level {
    /// The value of `data-level`, which the style sheet colours by.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::High => "high",
            Self::Full => "full",
            Self::Over => "over",
        }
    }

    /// The level of a share.
    pub(crate) fn of(used: f64) -> Self {
        match used {
            used if used >= 0.95 => Self::Full,
            used if used >= 0.75 => Self::High,
            _ => Self::Calm,
        }
    }
}

/// One window, read at `now`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    /// From 0.0 to 1.0.
    pub(crate) used: f64,
    /// How full.
    pub(crate) level: Level,
    /// How much of the window's time has passed; a window used faster than this ends early.
    pub(crate) elapsed: Option<f64>,
    /// `resets in 2 h 14 min`.
    pub(crate) note: String,
}

/// Reads a window at `now`.
pub(crate) fn read(window: &WindowView, now: i64) -> Reading {
    let used = if window.used.is_finite() { window.used.clamp(0.0, 1.0) } else { 0.0 };
    match window.resets_at {
        Some(at) if at <= now => Reading {
            used: 0.0,
            level: Level::Over,
            elapsed: None,
            note: format!("reset {}", time::ago(at, now)),
        },
        Some(at) => Reading {
            used,
            level: Level::of(used),
            elapsed: elapsed(window.seconds, at - now),
            note: format!("resets in {}", time::span(at - now)),
        },
        None => {
            Reading { used, level: Level::of(used), elapsed: None, note: "reset time unknown".to_owned() }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "drawn as a share of some hundred pixels")]
fn elapsed(seconds: u64, left_ms: i64) -> Option<f64> {
    let length = seconds as f64 * 1_000.0;
    (length > 0.0).then(|| (1.0 - left_ms as f64 / length).clamp(0.0, 1.0))
}

/// The window in one phrase: `5 h window: 63% used, resets in 2 h 14 min`.
pub(crate) fn in_words(label: &str, reading: &Reading) -> String {
    format!("{label} window: {} used, {}", number::percent(reading.used), reading.note)
}

/// The fullest window of an account, for sorting.
pub(crate) fn fullest(windows: &[WindowView], now: i64) -> Option<f64> {
    windows.iter().map(|window| read(window, now).used).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_900_000_000_000;
    const HOUR_MS: i64 = 3_600_000;

    fn window(used: f64, resets_in: Option<i64>) -> WindowView {
        WindowView {
            label: "5 h".to_owned(),
            seconds: 5 * 3_600,
            used,
            resets_at: resets_in.map(|ms| NOW + ms),
        }
    }

    #[test]
    fn tells_use_pace_and_reset() {
        let reading = read(&window(0.63, Some(2 * HOUR_MS + 840_000)), NOW);
        assert_eq!(reading.level, Level::Calm);
        assert_eq!(reading.elapsed.map(|share| (share * 1_000.0).round()), Some(553.0));
        assert_eq!(in_words("5 h", &reading), "5 h window: 63% used, resets in 2 h 14 min");
    }

    #[test]
    fn levels_step_at_three_quarters_and_at_the_end() {
        let levels = [0.0, 0.7499, 0.75, 0.9499, 0.95, 1.2].map(Level::of);
        assert_eq!(levels, [Level::Calm, Level::Calm, Level::High, Level::High, Level::Full, Level::Full]);
    }

    #[test]
    fn a_passed_reset_empties_the_bar() {
        let reading = read(&window(0.98, Some(-180_000)), NOW);
        assert_eq!((reading.used, reading.level), (0.0, Level::Over));
        assert_eq!(reading.note, "reset 3 min ago");
    }

    #[test]
    fn strange_figures_stay_inside_the_bar() {
        assert_eq!(read(&window(1.4, None), NOW).used, 1.0);
        assert_eq!(read(&window(f64::NAN, None), NOW).used, 0.0);
        assert_eq!(read(&window(-2.0, None), NOW).note, "reset time unknown");
        let endless = WindowView { seconds: 0, ..window(0.1, Some(1)) };
        assert_eq!(read(&endless, NOW).elapsed, None);
    }

    #[test]
    fn the_fullest_decides() {
        assert_eq!(fullest(&[window(0.2, None), window(0.9, None), window(0.4, None)], NOW), Some(0.9));
        assert_eq!(fullest(&[], NOW), None);
    }
}
