//! Watches over answers while they stream: ends them in good order when they grow too long, and keeps banned phrases from
//! the client, also when a phrase comes in pieces. Lengths are counted as readers count, and no cut splits a character.
//!
//! It looks at text and reasoning and never into the arguments of tools. A hit names the rule and never the text.

mod notes;
mod settings;
mod stream;

use switchyard_plugin_sdk::{
    About, BatchResult, Body, BodyView, Filter, Outcome, PluginError, RequestContext, Step, StreamEvent,
    StreamInterest, export_filter,
};

use settings::Settings;

#[derive(Default)]
struct OutputGuard(Settings);

export_filter!(OutputGuard);

/// The contract takes no more.
const MAX_HITS: usize = 256;

impl Filter for OutputGuard {
    const ABOUT: About = About {
        name: "output-guard",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Ends answers that grow too long and takes banned phrases out of them while they stream.",
        config_schema: settings::SCHEMA,
        config_defaults: settings::DEFAULTS,
        ..About::PLAIN
    };
    const VIEW: BodyView = BodyView::None;
    // Calls of tools and turns only to end the answer before them, and to settle what is held.
    const STREAMS: StreamInterest = StreamInterest::TEXT
        .union(StreamInterest::REASONING)
        .union(StreamInterest::TOOL_CALLS)
        .union(StreamInterest::TURNS);

    fn configure(&mut self, config_json: &str) -> Result<(), PluginError> {
        self.0 = Settings::parse(config_json)?;
        Ok(())
    }

    fn filter_request(&self, _: &RequestContext, _: &Body) -> Outcome {
        Outcome::PASS
    }

    fn filter_events(
        &self,
        _: &RequestContext,
        carry: Vec<u8>,
        events: &[StreamEvent],
        _: bool,
    ) -> BatchResult {
        if self.0.is_idle() {
            return BatchResult::of(events.iter().map(|_| Step::Pass).collect(), carry);
        }
        stream::guard(&self.0, &carry, events)
    }
}
