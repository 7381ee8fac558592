//! Counts requests and tokens by provider and outcome: the smallest useful observer.

use switchyard_plugin_sdk::host::metrics;
use switchyard_plugin_sdk::{About, Observer, UsageOutcome, UsageRecord, export_observer};

#[derive(Default)]
struct UsageCounters;

export_observer!(UsageCounters);

impl Observer for UsageCounters {
    const ABOUT: About = About {
        name: "usage-counters",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Counts requests and tokens by provider and outcome.",
        ..About::PLAIN
    };

    fn on_usage(&mut self, records: &[UsageRecord]) {
        for record in records {
            let provider = word(&record.provider);
            let outcome = match record.outcome {
                UsageOutcome::Completed => "completed",
                UsageOutcome::Failed => "failed",
                UsageOutcome::Cancelled => "cancelled",
            };
            metrics::add(&format!("requests_{outcome}_{provider}"), 1.0);
            metrics::add(&format!("tokens_input_{provider}"), record.usage.input as f64);
            metrics::add(&format!("tokens_cached_{provider}"), record.usage.input_cached as f64);
            metrics::add(&format!("tokens_output_{provider}"), record.usage.output as f64);
        }
    }
}

/// As the names of counters are written; nobody is `none`.
fn word(text: &str) -> String {
    let word: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .take(32)
        .collect();
    if word.is_empty() { "none".to_owned() } else { word }
}
