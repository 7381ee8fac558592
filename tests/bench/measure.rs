//! Numbers out of samples: quantiles of a round, and one value out of several rounds.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

/// Two points of a distribution, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Quantiles {
    /// Of one round's samples.
    pub(crate) fn of(samples: impl IntoIterator<Item = Duration>) -> Result<Self> {
        // From a nanosecond to two minutes, three digits.
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 120_000_000_000, 3)?;
        for sample in samples {
            histogram.saturating_record(u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX));
        }
        let micros = |quantile| micros(Duration::from_nanos(histogram.value_at_quantile(quantile)));
        Ok(Self { p50: micros(0.5), p99: micros(0.99) })
    }

    /// The median of every point over the rounds: one disturbed round does not count.
    pub(crate) fn typical(rounds: &[Self]) -> Self {
        Self {
            p50: median(rounds.iter().map(|round| round.p50).collect()),
            p99: median(rounds.iter().map(|round| round.p99).collect()),
        }
    }

    /// How much more than `others`, each round against the same round.
    pub(crate) fn typical_excess(rounds: &[Self], others: &[Self]) -> Self {
        let excess =
            |(own, other): (&Self, &Self)| Self { p50: own.p50 - other.p50, p99: own.p99 - other.p99 };
        Self::typical(&rounds.iter().zip(others).map(excess).collect::<Vec<_>>())
    }
}

/// The median; not a number when there is nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (Some(low), Some(high)) =
        (values.get(values.len().saturating_sub(1) / 2), values.get(values.len() / 2))
    else {
        return f64::NAN;
    };
    (low + high) / 2.0
}

pub(crate) fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_disturbed_round_does_not_count() {
        let calm = Quantiles { p50: 10.0, p99: 20.0 };
        let disturbed = Quantiles { p50: 500.0, p99: 9_000.0 };
        assert_eq!(Quantiles::typical(&[calm, disturbed, calm]), calm);
        let excess = Quantiles::typical_excess(&[disturbed, disturbed], &[disturbed, disturbed]);
        assert_eq!(excess, Quantiles::default(), "what hits both alike is nobody's");
        assert_eq!(median(vec![1.0, 2.0]), 1.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn quantiles_are_in_microseconds() {
        let quantiles = Quantiles::of((1..=100).map(Duration::from_micros)).unwrap();
        assert!((quantiles.p50 - 50.0).abs() < 0.1 && (quantiles.p99 - 99.0).abs() < 0.1, "{quantiles:?}");
    }
}
