//! Scores prompts against rules for injections and jailbreaks: words in any spelling, invisible letters, mixed alphabets,
//! encoded texts. A score at the threshold, or a strict rule, is blocked, tagged or only recorded.
//!
//! By default only what a user says in the last turn is judged; what tools return is watched, because the tools of a
//! coding agent return all kinds of text. A hit names the rule and never the text.

mod encoded;
mod rules;
mod settings;

use switchyard_plugin_sdk::{
    About, Body, Edit, Filter, Hit, Outcome, PluginError, RequestContext, Role, TextPart, export_filter,
};

use rules::Rule;
use settings::{Care, Mode, Settings, Strict};

#[derive(Default)]
struct Guard(Settings);

export_filter!(Guard);

/// The contract takes no more.
const MAX_HITS: usize = 256;

impl Filter for Guard {
    const ABOUT: About = About {
        name: "guard",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Scores prompts against rules for injections and jailbreaks and blocks, tags or records them.",
        config_schema: settings::SCHEMA,
        config_defaults: settings::DEFAULTS,
        ..About::PLAIN
    };

    fn configure(&mut self, config_json: &str) -> Result<(), PluginError> {
        self.0 = Settings::parse(config_json)?;
        Ok(())
    }

    fn filter_request(&self, _: &RequestContext, body: &Body) -> Outcome {
        let (judged, hits) = self.judge(body.parts());
        self.decide(&judged).with_hits(hits)
    }
}

impl Guard {
    fn judge(&self, parts: &[TextPart]) -> (Verdict, Vec<Hit>) {
        let mut judged = Verdict::default();
        let mut hits = Vec::new();
        let last_turn = last_turn(parts);
        for part in parts {
            let care = self.0.care(part.role, part.message >= last_turn);
            if care == Care::LeftAlone {
                continue;
            }
            for number in self.0.engine.matches(&part.text) {
                let Some(rule) = self.0.engine.rule(number) else { continue };
                if rule.weight > 0 && hits.len() < MAX_HITS {
                    hits.push(Hit::in_part(&rule.name, f64::from(rule.weight) / 100.0, part.part));
                }
                if care == Care::Judged {
                    judged.add(number, rule);
                }
            }
        }
        (judged, hits)
    }

    fn decide(&self, judged: &Verdict) -> Outcome {
        let score = judged.score(self.0.max_excuse);
        let strict = judged.strict && self.0.strict == Strict::Block;
        if strict || score >= self.0.threshold && self.0.mode == Mode::Block {
            return Outcome::refuse(400, "prompt_blocked", &self.0.message);
        }
        if score >= self.0.threshold && self.0.mode == Mode::Warn {
            let tag = |name: &str, value: String| Edit::SetTag((name.to_owned(), value));
            return Outcome::edits(vec![
                tag("guard", "warn".to_owned()),
                tag("guard-score", score.to_string()),
            ]);
        }
        Outcome::PASS
    }
}

/// What the judged texts of a prompt come to. A rule counts once however often it matches.
#[derive(Debug, Default)]
struct Verdict {
    counted: Vec<usize>,
    against: i32,
    excuses: i32,
    strict: bool,
}

impl Verdict {
    fn add(&mut self, number: usize, rule: &Rule) {
        if self.counted.contains(&number) {
            return;
        }
        self.counted.push(number);
        self.strict |= rule.strict;
        if rule.weight > 0 {
            self.against += rule.weight;
        } else {
            self.excuses -= rule.weight;
        }
    }

    fn score(&self, max_excuse: i32) -> i32 {
        (self.against - self.excuses.min(max_excuse)).max(0)
    }
}

/// The first message of the turn that is to be answered: behind what the model said last.
fn last_turn(parts: &[TextPart]) -> u32 {
    let said = parts.iter().filter(|part| part.role == Role::Assistant).map(|part| part.message);
    said.max().map_or(0, |message| message + 1)
}

#[cfg(test)]
mod bench;
