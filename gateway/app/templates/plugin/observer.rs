//! Watches what is used: counts requests that took longer than ten seconds.

use switchyard_plugin_sdk::host::metrics;
use switchyard_plugin_sdk::{About, Observer, UsageRecord, export_observer};

const SLOW_MS: u32 = 10_000;

#[derive(Default)]
struct Plugin;

export_observer!(Plugin);

impl Observer for Plugin {
    const ABOUT: About = About {
        name: "{{name}}",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Counts slow requests.",
        ..About::PLAIN
    };

    fn on_usage(&mut self, records: &[UsageRecord]) {
        let slow = records.iter().filter(|record| record.duration_ms > SLOW_MS).count();
        if slow > 0 {
            metrics::add("slow_requests", slow as f64);
        }
    }
}
