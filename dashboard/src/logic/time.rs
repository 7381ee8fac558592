//! Spans and moments in words. Takes `now`; reads no clock.

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A span in its two largest units: `45 s`, `12 min`, `2 h 14 min`, `3 d 4 h`.
///
/// Seconds are rounded up, so that a countdown ends at `1 s` and not at `0 s`.
pub(crate) fn span(ms: i64) -> String {
    let seconds = ms.max(0).saturating_add(SECOND - 1) / SECOND;
    let ms = seconds.saturating_mul(SECOND);
    match ms {
        ms if ms < MINUTE => format!("{seconds} s"),
        ms if ms < HOUR => format!("{} min", ms / MINUTE),
        ms if ms < DAY => two(ms / HOUR, "h", (ms % HOUR) / MINUTE, "min"),
        ms => two(ms / DAY, "d", (ms % DAY) / HOUR, "h"),
    }
}

fn two(big: i64, big_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 { format!("{big} {big_unit}") } else { format!("{big} {big_unit} {small} {small_unit}") }
}

/// A moment that passed, in one unit: `just now`, `12 s ago`, `3 min ago`, `4 d ago`.
pub(crate) fn ago(at: i64, now: i64) -> String {
    match now.saturating_sub(at) {
        ms if ms < 2 * SECOND => "just now".to_owned(),
        ms if ms < MINUTE => format!("{} s ago", ms / SECOND),
        ms if ms < HOUR => format!("{} min ago", ms / MINUTE),
        ms if ms < DAY => format!("{} h ago", ms / HOUR),
        ms => format!("{} d ago", ms / DAY),
    }
}

/// A moment on either side of now: `in 2 h 14 min` or `3 min ago`.
pub(crate) fn relative(at: i64, now: i64) -> String {
    if at > now { format!("in {}", span(at - now)) } else { ago(at, now) }
}

/// How long something took: `840 ms`, `1.24 s`, `12.3 s`, `2 min 5 s`.
pub(crate) fn took(ms: f64) -> String {
    if !ms.is_finite() || ms < 0.0 {
        return super::number::UNKNOWN.to_owned();
    }
    // The borders lie where rounding would otherwise write `1000 ms`, `10.00 s` or `60.0 s`.
    match ms {
        ms if ms < 0.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 9_995.0 => format!("{:.2} s", ms / 1_000.0),
        ms if ms < 59_950.0 => format!("{:.1} s", ms / 1_000.0),
        ms => {
            let seconds = (ms / 1_000.0).round();
            let (minutes, rest) = ((seconds / 60.0).floor(), seconds % 60.0);
            if rest == 0.0 { format!("{minutes:.0} min") } else { format!("{minutes:.0} min {rest:.0} s") }
        }
    }
}

/// How long an answer took, as far as whole milliseconds tell: `less than 1 ms`, `840 ms`, `1.24 s`.
#[expect(clippy::cast_precision_loss, reason = "an answer does not take thousands of years")]
pub(crate) fn latency(ms: u64) -> String {
    if ms == 0 { "less than 1 ms".to_owned() } else { took(ms as f64) }
}

/// How long a ranking took: `9 µs`, `340 µs`, `1.2 ms`.
pub(crate) fn took_us(us: f64) -> String {
    match us {
        us if !us.is_finite() || us < 0.0 => super::number::UNKNOWN.to_owned(),
        us if us < 9.95 => format!("{us:.1} µs"),
        us if us < 999.5 => format!("{us:.0} µs"),
        us => format!("{:.1} ms", us / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_use_the_two_largest_units() {
        for (ms, words) in [
            (-5, "0 s"),
            (0, "0 s"),
            (1, "1 s"),
            (45_000, "45 s"),
            (59_001, "1 min"),
            (12 * MINUTE, "12 min"),
            (2 * HOUR + 14 * MINUTE + 20_000, "2 h 14 min"),
            (5 * HOUR, "5 h"),
            (3 * DAY + 4 * HOUR + 59 * MINUTE, "3 d 4 h"),
            (7 * DAY, "7 d"),
        ] {
            assert_eq!(span(ms), words, "{ms} ms");
        }
    }

    #[test]
    fn the_past_is_told_in_one_unit() {
        let now = 1_900_000_000_000;
        for (back, words) in [
            (-400, "just now"),
            (1_999, "just now"),
            (12_000, "12 s ago"),
            (61_000, "1 min ago"),
            (3 * HOUR, "3 h ago"),
            (50 * HOUR, "2 d ago"),
        ] {
            assert_eq!(ago(now - back, now), words, "{back} ms back");
        }
        assert_eq!(relative(now + 90_000, now), "in 1 min");
        assert_eq!(relative(now - 90_000, now), "1 min ago");
    }

    #[test]
    fn durations_keep_three_digits() {
        for (ms, words) in [
            (0.4, "0.4 ms"),
            (840.4, "840 ms"),
            (999.6, "1.00 s"),
            (1_240.0, "1.24 s"),
            (9_996.0, "10.0 s"),
            (12_340.0, "12.3 s"),
            (59_970.0, "1 min"),
            (125_000.0, "2 min 5 s"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(took(ms), words, "{ms} ms");
        }
        assert_eq!([latency(0), latency(12), latency(1_240)], ["less than 1 ms", "12 ms", "1.24 s"]);
        assert_eq!(took_us(9.0), "9.0 µs");
        assert_eq!(took_us(340.2), "340 µs");
        assert_eq!(took_us(1_200.0), "1.2 ms");
    }
}
