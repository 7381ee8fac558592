//! The shape of the live chart: one minute of requests a second as SVG path data.
//!
//! Paths are attributes, so the page's content security policy has nothing to refuse.

use std::fmt::Write as _;

use gateway_api::RatePoint;

/// The chart's own units; the element stretches them to its size.
pub(crate) const WIDTH: f64 = 600.0;
/// See [`WIDTH`].
pub(crate) const HEIGHT: f64 = 120.0;
/// Seconds on the chart.
const SECONDS: usize = 60;
/// Kept free above the highest point, for the width of the line.
const HEADROOM: f64 = 6.0;
/// Half a failure's bar where the chart is drawn smallest: the outermost bars stand this far inside.
const HALF_BAR: f64 = 4.5;

/// What the chart shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spark {
    /// The line over the requests.
    pub(crate) line: String,
    /// The same, closed along the bottom.
    pub(crate) area: String,
    /// One bar for each second with failures.
    pub(crate) failures: String,
    /// The most requests in one second.
    pub(crate) peak: u32,
}

/// Draws the last minute. Fewer points than a minute stand at the right, where now is.
pub(crate) fn spark(rate: &[RatePoint]) -> Spark {
    let shown = rate.get(rate.len().saturating_sub(SECONDS)..).unwrap_or_default();
    let peak = shown.iter().map(|point| point.requests).max().unwrap_or(0);
    let top = f64::from(ceiling(peak));
    let y = |value: u32| HEIGHT - f64::from(value) / top * (HEIGHT - HEADROOM);
    let step = WIDTH / as_f64(SECONDS - 1);
    let first = SECONDS - shown.len();
    let x = |place: usize| as_f64(first + place) * step;

    let points: Vec<(f64, f64)> =
        shown.iter().enumerate().map(|(place, point)| (x(place), y(point.requests))).collect();
    let line = smooth(&points);
    let area = match (points.first(), points.last()) {
        (Some(left), Some(right)) => format!("{line}L{:.1} {HEIGHT}L{:.1} {HEIGHT}Z", right.0, left.0),
        _ => String::new(),
    };
    let failures = shown
        .iter()
        .enumerate()
        .filter(|(_, point)| point.failures > 0)
        .map(|(place, point)| {
            let inside = x(place).clamp(HALF_BAR, WIDTH - HALF_BAR);
            format!("M{inside:.1} {HEIGHT}V{:.1}", y(point.failures).min(HEIGHT - 8.0))
        })
        .collect();
    Spark { line, area, failures, peak }
}

/// The value at the top: never below 4, so that a single request does not look like a storm.
fn ceiling(peak: u32) -> u32 {
    peak.max(4)
}

#[expect(clippy::cast_precision_loss, reason = "at most sixty")]
fn as_f64(place: usize) -> f64 {
    place as f64
}

/// A smooth line through the points that never leaves the room between neighbours (Fritsch and Carlson's
/// tangents), so the chart cannot show less than zero or more than the peak.
fn smooth(points: &[(f64, f64)]) -> String {
    let Some(((x, y), rest)) = points.split_first() else { return String::new() };
    let slopes: Vec<f64> = points.iter().zip(rest).map(|(left, right)| slope(*left, *right)).collect();
    let inner = slopes.iter().zip(slopes.iter().skip(1)).map(|(left, right)| tangent(*left, *right));
    let mut tangents = inner.chain([0.0]);
    let mut path = format!("M{x:.1} {y:.1}");
    let (mut last, mut leaving) = ((*x, *y), 0.0);
    for (x, y) in rest {
        let arriving = tangents.next().unwrap_or(0.0);
        let third = (x - last.0) / 3.0;
        let (first, second) = (last.1 + leaving * third, y - arriving * third);
        let _written =
            write!(path, "C{:.1} {first:.1} {:.1} {second:.1} {x:.1} {y:.1}", last.0 + third, x - third);
        (last, leaving) = ((*x, *y), arriving);
    }
    path
}

fn slope(left: (f64, f64), right: (f64, f64)) -> f64 {
    (right.1 - left.1) / (right.0 - left.0)
}

/// Level at a peak or a valley, the harmonic mean of both sides elsewhere.
fn tangent(left: f64, right: f64) -> f64 {
    if left * right <= 0.0 { 0.0 } else { 2.0 * left * right / (left + right) }
}

/// The chart in words, for those who do not see it.
pub(crate) fn in_words(rate: &[RatePoint]) -> String {
    let shown = rate.get(rate.len().saturating_sub(SECONDS)..).unwrap_or_default();
    let (requests, failures) = shown.iter().fold((0_u64, 0_u64), |(requests, failures), point| {
        (requests + u64::from(point.requests), failures + u64::from(point.failures))
    });
    let peak = shown.iter().map(|point| point.requests).max().unwrap_or(0);
    if requests == 0 {
        return "No requests in the last minute".to_owned();
    }
    let failed = match failures {
        0 => "none failed".to_owned(),
        failures => format!("{failures} failed"),
    };
    format!(
        "{} in the last minute, at most {peak} in one second, {failed}",
        super::number::plural(requests, "request", "requests")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(requests: &[u32]) -> Vec<RatePoint> {
        requests.iter().map(|requests| RatePoint { requests: *requests, failures: 0 }).collect()
    }

    #[test]
    fn nothing_draws_nothing() {
        assert_eq!(
            spark(&[]),
            Spark { line: String::new(), area: String::new(), failures: String::new(), peak: 0 }
        );
        assert_eq!(in_words(&points(&[0, 0])), "No requests in the last minute");
    }

    #[test]
    fn a_short_history_stands_at_the_right_edge() {
        let drawn = spark(&points(&[0, 8]));
        assert!(drawn.line.starts_with("M589.8 120.0"), "{}", drawn.line);
        assert!(drawn.line.ends_with("600.0 6.0"), "{}", drawn.line);
        assert!(drawn.area.ends_with("L600.0 120L589.8 120Z"), "{}", drawn.area);
        assert_eq!(drawn.peak, 8);
    }

    #[test]
    fn only_the_last_minute_counts() {
        let mut rate = points(&[500]);
        rate.extend(points(&[1; 60]));
        assert_eq!(spark(&rate).peak, 1);
        assert!(spark(&rate).line.starts_with("M0.0 "));
    }

    #[test]
    fn one_request_stays_low_and_failures_are_always_visible() {
        let mut rate = points(&[1, 1000]);
        rate[1].failures = 1;
        let drawn = spark(&rate);
        assert_eq!(drawn.failures, "M595.5 120V112.0", "the last bar stays on the chart");
        assert!(spark(&points(&[1])).line.ends_with(" 91.5"), "{}", spark(&points(&[1])).line);
    }

    #[test]
    fn the_line_never_leaves_the_room_between_its_points() {
        let drawn = spark(&points(&[0, 0, 9, 9, 3, 4, 100, 0, 0, 57, 0]));
        let numbers: Vec<f64> = drawn
            .line
            .split(['M', 'C', ' '])
            .filter(|text| !text.is_empty())
            .map(|text| text.parse().unwrap())
            .collect();
        let heights: Vec<f64> = numbers.iter().skip(1).step_by(2).copied().collect();
        assert_eq!(heights.len(), 1 + 10 * 3);
        let mut left = heights[0];
        for curve in heights[1..].chunks(3) {
            let right = curve[2];
            for height in curve {
                assert!((left.min(right) - 0.05..=left.max(right) + 0.05).contains(height), "{curve:?}");
            }
            left = right;
        }
    }

    #[test]
    fn words_count_the_same() {
        let mut rate = points(&[3, 9]);
        rate[0].failures = 2;
        assert_eq!(in_words(&rate), "12 requests in the last minute, at most 9 in one second, 2 failed");
    }
}
