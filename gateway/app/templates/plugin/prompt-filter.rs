//! Judges prompts: a word that must not leave is replaced, and the hit is counted.

use switchyard_plugin_sdk::{About, Body, Edit, Filter, Hit, Outcome, RequestContext, export_filter};

const WORD: &str = "project-x";
const INSTEAD: &str = "[internal]";

#[derive(Default)]
struct Plugin;

export_filter!(Plugin);

impl Filter for Plugin {
    const ABOUT: About = About {
        name: "{{name}}",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Keeps a word inside the house.",
        ..About::PLAIN
    };

    fn filter_request(&self, _: &RequestContext, body: &Body) -> Outcome {
        let (mut edits, mut hits) = (Vec::new(), Vec::new());
        for part in body.parts().iter().filter(|part| part.text.contains(WORD)) {
            edits.push(Edit::ReplaceText((part.part, part.text.replace(WORD, INSTEAD))));
            // A hit names the rule and never the text: it is logged.
            hits.push(Hit::in_part("internal-word", 1.0, part.part));
        }
        // The contract takes no more of either.
        hits.truncate(256);
        edits.truncate(4096);
        Outcome::edits(edits).with_hits(hits)
    }
}
