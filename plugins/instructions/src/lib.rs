//! Puts the operator's text before and behind the instructions of a prompt, by model and client key. The same text every
//! time, at the front of the conversation, so that the upstream's prompt cache still fits.
//!
//! It adds; what the client wrote stays as it is.

mod settings;

use switchyard_plugin_sdk::{
    About, Body, Edit, Filter, Insertion, Outcome, PluginError, RequestContext, RequestInfo, Role, TextPart,
    export_filter,
};
use switchyard_plugin_text::pattern;

use settings::{Rule, Settings};

#[derive(Default)]
struct Instructions(Settings);

export_filter!(Instructions);

/// Between two texts.
const GAP: &str = "\n\n";

impl Filter for Instructions {
    const ABOUT: About = About {
        name: "instructions",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Puts the operator's text before and behind the instructions of a prompt, by model.",
        config_schema: settings::SCHEMA,
        config_defaults: settings::DEFAULTS,
        ..About::PLAIN
    };

    fn configure(&mut self, config_json: &str) -> Result<(), PluginError> {
        self.0 = Settings::parse(config_json)?;
        Ok(())
    }

    fn filter_request(&self, context: &RequestContext, body: &Body) -> Outcome {
        let fitting: Vec<&Rule> = self.0.rules.iter().filter(|rule| rule.fits(&context.info)).collect();
        if fitting.is_empty() {
            return Outcome::PASS;
        }
        let joined = |text: fn(&Rule) -> Option<&String>| {
            let texts: Vec<&str> = fitting.iter().copied().filter_map(text).map(String::as_str).collect();
            texts.join(GAP)
        };
        let texts = Texts {
            before: joined(|rule| rule.prepend.as_ref()),
            behind: joined(|rule| rule.append.as_ref()),
        };
        Outcome::edits(self.edits(texts, body.parts()))
    }
}

struct Texts {
    before: String,
    behind: String,
}

impl Instructions {
    fn edits(&self, texts: Texts, parts: &[TextPart]) -> Vec<Edit> {
        // Only those in front: what is said later in a conversation is no place for the operator.
        let own: Vec<&TextPart> = parts.iter().take_while(|part| sets_up(part.role)).collect();
        let (Some(first), Some(last)) = (own.first(), own.last()) else {
            let text = joined(&[&texts.before, &texts.behind]);
            return vec![Edit::Insert(Insertion { before_message: 0, role: self.0.speaker.role(), text })];
        };
        if first.part == last.part {
            return vec![replaced(first, &[&texts.before, &first.text, &texts.behind])];
        }
        let mut edits = Vec::new();
        if !texts.before.is_empty() {
            edits.push(replaced(first, &[&texts.before, &first.text]));
        }
        if !texts.behind.is_empty() {
            edits.push(replaced(last, &[&last.text, &texts.behind]));
        }
        edits
    }
}

const fn sets_up(role: Role) -> bool {
    matches!(role, Role::System | Role::Developer)
}

fn replaced(part: &TextPart, texts: &[&str]) -> Edit {
    Edit::ReplaceText((part.part, joined(texts)))
}

fn joined(texts: &[&str]) -> String {
    texts.iter().copied().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(GAP)
}

impl Rule {
    fn fits(&self, info: &RequestInfo) -> bool {
        let model = |model: &String| pattern::fits(model, &info.requested_model).is_some();
        (self.models.is_empty() || self.models.iter().any(model))
            && (self.clients.is_empty() || self.clients.contains(&info.client))
    }
}

#[cfg(test)]
mod tests {
    use switchyard_plugin_sdk::Verdict;
    use switchyard_plugin_sdk::testing::request_context;

    use super::*;

    const CONFIG: &str = r#"{"rules":[
        {"prepend":"Regeln des Hauses."},
        {"models":["gpt-5*"],"append":"回答请简短。"},
        {"clients":["kids"],"prepend":"Be kind."}]}"#;

    fn edits(config: &str, model: &str, client: &str, parts: &[(Role, &str)]) -> Vec<Edit> {
        let mut context = request_context(model);
        client.clone_into(&mut context.info.client);
        let parts = (0..).zip(parts).map(|(at, (role, text))| TextPart {
            part: 10 + at,
            message: at,
            role: *role,
            text: (*text).to_owned(),
        });
        let filter = Instructions(Settings::parse(config).unwrap());
        match filter.filter_request(&context, &Body::Parts(parts.collect())).verdict {
            Verdict::Edits(edits) => edits,
            Verdict::Pass => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    fn replaced_texts(edits: Vec<Edit>) -> Vec<(u32, String)> {
        let text = |edit: Edit| match edit {
            Edit::ReplaceText(replaced) => replaced,
            other => panic!("{other:?}"),
        };
        edits.into_iter().map(text).collect()
    }

    #[test]
    fn instructions_are_framed() {
        let one = [(Role::System, "You are a pirate."), (Role::User, "hi")];
        assert_eq!(
            replaced_texts(edits(CONFIG, "gpt-5-mini", "x", &one)),
            [(10, "Regeln des Hauses.\n\nYou are a pirate.\n\n回答请简短。".to_owned())]
        );
        assert_eq!(
            replaced_texts(edits(CONFIG, "o3", "kids", &one)),
            [(10, "Regeln des Hauses.\n\nBe kind.\n\nYou are a pirate.".to_owned())]
        );
        let two =
            [(Role::System, "A"), (Role::Developer, "B"), (Role::User, "hi"), (Role::Developer, "late")];
        assert_eq!(
            replaced_texts(edits(CONFIG, "gpt-5", "x", &two)),
            [(10, "Regeln des Hauses.\n\nA".to_owned()), (11, "B\n\n回答请简短。".to_owned())]
        );
    }

    #[test]
    fn a_prompt_without_instructions_gets_some() {
        let inserted = edits(CONFIG, "gpt-5", "x", &[(Role::User, "hi")]);
        let [Edit::Insert(insertion)] = &inserted[..] else { panic!("{inserted:?}") };
        assert_eq!((insertion.before_message, insertion.role), (0, Role::System));
        assert_eq!(insertion.text, "Regeln des Hauses.\n\n回答请简短。");
    }

    #[test]
    fn who_is_not_meant_gets_nothing() {
        let config = r#"{"rules":[{"models":["gpt-*"],"clients":["a"],"append":"x"}]}"#;
        let parts = [(Role::User, "hi")];
        assert!(edits(config, "gpt-5", "b", &parts).is_empty());
        assert!(edits(config, "claude", "a", &parts).is_empty());
        assert_eq!(edits(config, "gpt-5", "a", &parts).len(), 1);
    }

    #[test]
    fn the_same_prompt_is_framed_the_same_way_each_turn() {
        let first = [(Role::System, "A"), (Role::User, "hi")];
        let next = [(Role::System, "A"), (Role::User, "hi"), (Role::Assistant, "ho"), (Role::User, "more")];
        let of = |parts| replaced_texts(edits(CONFIG, "gpt-5", "x", parts));
        assert_eq!(of(&first), of(&next));
    }
}
