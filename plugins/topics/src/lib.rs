//! Keeps prompts away from topics that the operator does not want. A topic is found by words and phrases in any language
//! and spelling, and by regular expressions whose search takes time in proportion to the text, whatever they say.
//!
//! It has no topics of its own. A hit names the topic and never the text.

mod settings;

use std::collections::BTreeSet;

use switchyard_plugin_sdk::{
    About, Body, Edit, Filter, Hit, Outcome, PluginError, RequestContext, Verdict, export_filter,
};
use switchyard_plugin_text::fold;

use settings::{Action, Settings, Topic};

#[derive(Default)]
struct Topics(Settings);

export_filter!(Topics);

/// The contract takes no more.
const MAX_HITS: usize = 256;

impl Filter for Topics {
    const ABOUT: About = About {
        name: "topics",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Keeps prompts away from topics that the operator does not want, by words and by regular expressions.",
        config_schema: settings::SCHEMA,
        config_defaults: settings::DEFAULTS,
        ..About::PLAIN
    };

    fn configure(&mut self, config_json: &str) -> Result<(), PluginError> {
        self.0 = Settings::parse(config_json)?;
        Ok(())
    }

    fn filter_request(&self, _: &RequestContext, body: &Body) -> Outcome {
        if self.0.topics.is_empty() {
            return Outcome::PASS;
        }
        let mut evidence = Evidence::default();
        let mut hits: Vec<Hit> = Vec::new();
        for part in body.parts().iter().filter(|part| self.0.looks_at(part.role)) {
            for topic in self.look_at(&part.text, &mut evidence) {
                if let Some(topic) = self.0.topics.get(topic).filter(|_| hits.len() < MAX_HITS) {
                    hits.push(Hit::in_part(&topic.rule, 1.0, part.part));
                }
            }
        }
        self.decide(&evidence).with_hits(hits)
    }
}

/// What was found of each topic; a term counts once however often it is there.
#[derive(Debug, Default)]
struct Evidence {
    terms: BTreeSet<usize>,
    patterns: BTreeSet<usize>,
}

impl Topics {
    /// Adds what a text holds and answers the topics it touches.
    fn look_at(&self, text: &str, evidence: &mut Evidence) -> BTreeSet<usize> {
        let mut touched = BTreeSet::new();
        self.0.terms.find(&fold(text), |found| {
            evidence.terms.insert(found.term);
            touched.extend(self.0.topic_of_term.get(found.term));
        });
        if let Some(patterns) = &self.0.patterns {
            for pattern in patterns.matches(text) {
                evidence.patterns.insert(pattern);
                touched.extend(self.0.topic_of_pattern.get(pattern));
            }
        }
        touched
    }

    fn decide(&self, evidence: &Evidence) -> Outcome {
        let of = |topic: usize, topics: &[usize], found: &BTreeSet<usize>| {
            found.iter().filter(|number| topics.get(**number) == Some(&topic)).count()
        };
        let present = self.0.topics.iter().enumerate().filter(|(at, topic)| {
            of(*at, &self.0.topic_of_term, &evidence.terms)
                + of(*at, &self.0.topic_of_pattern, &evidence.patterns)
                >= topic.at_least
        });
        let present: Vec<&Topic> = present.map(|(_, topic)| topic).collect();
        for topic in &present {
            match topic.action {
                Action::Refuse => return Outcome::refuse(400, "topic_not_allowed", &topic.message),
                Action::Answer => {
                    return Outcome { verdict: Verdict::Answer(topic.message.clone()), ..Outcome::PASS };
                }
                Action::Tag | Action::Log => {}
            }
        }
        let tagged = present.iter().filter(|topic| topic.action == Action::Tag);
        Outcome::edits(tagged.map(|topic| Edit::SetTag(("topic".to_owned(), topic.name.clone()))).collect())
    }
}

#[cfg(test)]
mod tests;
