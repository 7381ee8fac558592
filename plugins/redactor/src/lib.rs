//! Keeps secrets and personal data out of prompts: each finding is replaced by a numbered placeholder before the prompt
//! leaves, and put back where the answer uses it, in text, reasoning and the arguments of tools.
//!
//! The same text gets the same placeholder within a request, and in the order of the conversation, so a prompt that
//! grows keeps its beginning, and with it the upstream's prompt cache. What was found travels in `carry`, in memory
//! only; a hit names the kind and never the text.

mod find;
mod settings;
mod stream;
mod vault;

use switchyard_plugin_sdk::{
    About, BatchResult, Body, Edit, Filter, Hit, Outcome, PluginError, RequestContext, StreamEvent,
    StreamInterest, export_filter,
};

use settings::Settings;
use vault::Vault;

#[derive(Default)]
struct Redactor(Settings);

export_filter!(Redactor);

impl Filter for Redactor {
    const ABOUT: About = About {
        name: "redactor",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Keeps secrets and personal data out of prompts and puts them back into the answer.",
        config_schema: settings::SCHEMA,
        config_defaults: settings::DEFAULTS,
        ..About::PLAIN
    };
    // The ends of blocks are events of their own: what is held of a block goes out before its end.
    const STREAMS: StreamInterest = StreamInterest::TEXT
        .union(StreamInterest::REASONING)
        .union(StreamInterest::TOOL_CALLS)
        .union(StreamInterest::RAW);

    fn configure(&mut self, config_json: &str) -> Result<(), PluginError> {
        self.0 = Settings::parse(config_json)?;
        Ok(())
    }

    fn filter_request(&self, _: &RequestContext, body: &Body) -> Outcome {
        let mut vault = Vault::default();
        let (mut edits, mut hits) = (Vec::new(), Vec::new());
        for part in body.parts().iter().filter(|part| self.0.looks_at(part.role)) {
            let found = find::all(&part.text, &self.0.kinds);
            if found.is_empty() {
                continue;
            }
            for (at, one) in found.iter().enumerate() {
                if !found.iter().take(at).any(|earlier| earlier.kind == one.kind) {
                    hits.push(Hit::in_part(one.kind.rule(), 1.0, part.part));
                }
            }
            edits.push(Edit::ReplaceText((part.part, vault.hide(&part.text, &found))));
        }
        hits.truncate(MAX_HITS);
        let carry = if self.0.restore { vault.to_carry() } else { Vec::new() };
        Outcome::edits(edits).with_hits(hits).carrying(carry)
    }

    fn filter_events(
        &self,
        _: &RequestContext,
        carry: Vec<u8>,
        events: &[StreamEvent],
        _: bool,
    ) -> BatchResult {
        stream::restore(carry, events)
    }
}

/// The contract takes no more.
const MAX_HITS: usize = 256;
