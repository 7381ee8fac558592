//! Counts, shares, rates and sizes in words.

/// What stands where a number is not known.
pub(crate) const UNKNOWN: &str = "–";

/// A share as whole per cents. Rounded down, because `100%` must mean exhausted.
pub(crate) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return UNKNOWN.to_owned();
    }
    match share {
        share if share <= 0.0 => "0%".to_owned(),
        share if share < 0.01 => "<1%".to_owned(),
        // The small addition undoes binary fractions: 0.29 * 100 is 28.999…
        share => format!("{:.0}%", (share * 100.0 + 1e-6).floor().min(100.0)),
    }
}

/// A count with thousands apart: `1,204`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut words = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// A count in at most four characters and a unit: `980`, `12.4k`, `3.1M`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn compact(value: u64) -> String {
    const STEPS: [(f64, &str); 3] = [(1e3, "k"), (1e6, "M"), (1e9, "B")];
    let value_f = value as f64;
    let step = STEPS.iter().rev().find(|(size, _)| value_f >= size * 0.9995);
    match step {
        None => value.to_string(),
        Some((size, unit)) => {
            let scaled = value_f / size;
            if scaled < 99.95 { format!("{scaled:.1}{unit}") } else { format!("{scaled:.0}{unit}") }
        }
    }
}

/// Requests a second: `0`, `0.4`, `12.3`, `128`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        rate if !rate.is_finite() => UNKNOWN.to_owned(),
        rate if rate < 0.05 => "0".to_owned(),
        rate if rate < 99.95 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

/// A size in bytes: `812 B`, `2.1 KB`, `14.0 MB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn bytes(size: u64) -> String {
    let size_f = size as f64;
    match size_f {
        size_f if size_f < 1_000.0 => format!("{size} B"),
        size_f if size_f < 999_950.0 => format!("{:.1} KB", size_f / 1e3),
        size_f => format!("{:.1} MB", size_f / 1e6),
    }
}

/// A score: as many digits as tell neighbours apart, no more.
pub(crate) fn score(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => UNKNOWN.to_owned(),
        size if size < 10.0 => format!("{value:.3}"),
        size if size < 1_000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// `part` of `whole`, when there is a whole.
#[expect(clippy::cast_precision_loss, reason = "a share is shown in whole per cents")]
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// `1 request`, `2 requests`.
pub(crate) fn plural(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

/// `first`, `second` … and `12th` where words would be long.
pub(crate) fn ordinal(place: u32) -> String {
    match place {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        place => {
            let suffix = match (place % 10, place % 100) {
                (_, 11..=13) => "th",
                (1, _) => "st",
                (2, _) => "nd",
                (3, _) => "rd",
                _ => "th",
            };
            format!("{place}{suffix}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_per_cent_means_exhausted() {
        for (share, words) in [
            (-0.1, "0%"),
            (0.0, "0%"),
            (0.004, "<1%"),
            (0.29, "29%"),
            (0.635, "63%"),
            (0.999, "99%"),
            (1.0, "100%"),
            (1.3, "100%"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(percent(share), words, "{share}");
        }
    }

    #[test]
    fn counts_are_grouped_and_compacted() {
        for (value, grouped, short) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_204, "1,204", "1.2k"),
            (12_449, "12,449", "12.4k"),
            (999_600, "999,600", "1.0M"),
            (3_141_592, "3,141,592", "3.1M"),
            (250_000_000, "250,000,000", "250M"),
        ] {
            assert_eq!((count(value).as_str(), compact(value).as_str()), (grouped, short));
        }
    }

    #[test]
    fn rates_sizes_and_scores_keep_what_matters() {
        assert_eq!([rate(0.0), rate(0.44), rate(12.34), rate(128.4)], ["0", "0.4", "12.3", "128"]);
        assert_eq!([bytes(812), bytes(2_100), bytes(14_000_000)], ["812 B", "2.1 KB", "14.0 MB"]);
        assert_eq!([score(0.6149), score(-12.5), score(4_200.0)], ["0.615", "-12.5", "4200"]);
        assert_eq!(score(f64::INFINITY), UNKNOWN);
    }

    #[test]
    fn shares_need_a_whole() {
        assert_eq!(share(1, 4), Some(0.25));
        assert_eq!(share(0, 0), None);
    }

    #[test]
    fn words_for_places_and_amounts() {
        let places: Vec<_> = [1, 2, 3, 4, 11, 12, 13, 21, 22, 33, 112].into_iter().map(ordinal).collect();
        assert_eq!(
            places,
            ["first", "second", "third", "4th", "11th", "12th", "13th", "21st", "22nd", "33rd", "112th"]
        );
        assert_eq!(plural(1, "account", "accounts"), "1 account");
        assert_eq!(plural(1_200, "account", "accounts"), "1,200 accounts");
    }
}
