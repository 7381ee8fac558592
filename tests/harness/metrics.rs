//! `/metrics` as Prometheus reads it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// One reading: every sample by its name and labels, as they stand in the text.
#[derive(Debug, Clone, Default)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the text.
    ///
    /// # Errors
    /// A line is no sample.
    pub fn read(text: &str) -> Result<Self> {
        let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let read = samples.map(|line| {
            let (name, value) = line.rsplit_once(' ').with_context(|| format!("no sample: {line}"))?;
            Ok((name.to_owned(), value.parse().with_context(|| format!("no number: {line}"))?))
        });
        Ok(Self(read.collect::<Result<_>>()?))
    }

    /// The sum of all samples of this name whose labels contain all of these parts (`outcome="completed"`).
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of_name = self.0.iter().filter(|(key, _)| key.split('{').next() == Some(name));
        of_name
            .filter(|(key, _)| labels.iter().all(|label| key.contains(label)))
            .map(|(_, value)| value)
            .sum()
    }

    /// Whether there is any sample of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.keys().any(|key| key.split('{').next() == Some(name))
    }

    /// Requests that ended this way.
    #[must_use]
    pub fn requests(&self, route: &str, outcome: &str) -> f64 {
        let (route, outcome) = (format!("route=\"{route}\""), format!("outcome=\"{outcome}\""));
        self.sum("switchyard_requests_total", &[&route, &outcome])
    }
}
