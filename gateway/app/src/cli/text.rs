//! How commands lay out what they tell: tables, spans of time, shares. What comes from elsewhere cannot steer the
//! terminal.

/// A table with aligned columns, two spaces apart, the first row as its head.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Names and values, one pair a line.
pub(super) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| format!("{name:width$}  {}", plain(value));
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Without control characters: an e-mail address in a token is somebody else's text.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A span for people, in its two largest units: `2 h 10 min`.
pub(super) fn span(ms: i64) -> String {
    // Rounded up: what has "0 s" left is over.
    let seconds = ms.max(0).saturating_add(999) / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: i64, unit: &str, small: i64, next: &str| {
        if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {next}") }
    };
    match seconds {
        86_400.. => two(days, "d", hours, "h"),
        3600.. => two(hours, "h", minutes, "min"),
        60.. => two(minutes, "min", seconds % 60, "s"),
        _ => format!("{seconds} s"),
    }
}

/// A short span in the unit that suits it: `12.3 µs`, `4.56 ms`.
pub(super) fn span_us(us: f64) -> String {
    match us {
        1_000_000.0.. => format!("{:.2} s", us / 1e6),
        1_000.0.. => format!("{:.2} ms", us / 1e3),
        _ => format!("{us:.1} µs"),
    }
}

/// A point in time, in UTC.
pub(super) fn moment(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| "-".to_owned(), |moment| moment.to_string())
}

/// A share, in whole percent. Only what is all used is called 100 %.
pub(super) fn percent(share: f64) -> String {
    let rounded = (share.clamp(0.0, 1.0) * 100.0).round();
    let shown = if share < 1.0 { rounded.min(99.0) } else { rounded };
    format!("{shown:.0}%")
}

/// What is not known is a dash.
pub(super) fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_cannot_steer_the_terminal() {
        let rows = [vec!["NAME".into(), "N".into()], vec!["ada\u{1b}[2J".into(), "12".into()]];
        assert_eq!(table(&rows), "NAME     N\nada\u{fffd}[2J  12");
        assert_eq!(table(&[]), "");
        assert_eq!(pairs(&[("id", "a".into()), ("name", "b\nc".into())]), "id    a\nname  b\u{fffd}c");
    }

    #[test]
    fn spans_have_two_units() {
        for (ms, expect) in [
            (-5, "0 s"),
            (1, "1 s"),
            (59_000, "59 s"),
            (60_000, "1 min"),
            (61_000, "1 min 1 s"),
            (7_800_000, "2 h 10 min"),
            (86_400_000, "1 d"),
            (442_800_000, "5 d 3 h"),
        ] {
            assert_eq!(span(ms), expect, "{ms}");
        }
    }

    #[test]
    fn short_spans_have_the_unit_that_suits() {
        for (us, expect) in [(0.0, "0.0 µs"), (12.34, "12.3 µs"), (4_560.0, "4.56 ms"), (2e6, "2.00 s")] {
            assert_eq!(span_us(us), expect);
        }
    }

    #[test]
    fn only_what_is_all_used_is_a_hundred_percent() {
        for (share, expect) in [(0.0, "0%"), (0.384, "38%"), (0.999, "99%"), (1.0, "100%"), (1.4, "100%")] {
            assert_eq!(percent(share), expect, "{share}");
        }
        assert_eq!(moment(1_800_000_000_000), "2027-01-15T08:00:00Z");
    }
}
