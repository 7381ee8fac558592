//! What the operator can set, and the limits of it.

use regex::{RegexSet, RegexSetBuilder};
use serde::Deserialize;
use switchyard_plugin_sdk::{PluginError, Role, invalid_config};
use switchyard_plugin_text::Terms;

pub(crate) const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "topics": {
      "title": "Topics; the first that refuses or answers decides",
      "type": "array",
      "maxItems": 64,
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["name"],
        "properties": {
          "name": {"title": "Made of a-z, 0-9, dot, dash and underscore", "type": "string", "minLength": 1, "maxLength": 57},
          "terms": {
            "title": "Words and phrases in any language; * at the end is any ending",
            "type": "array",
            "maxItems": 500,
            "items": {"type": "string", "minLength": 1, "maxLength": 200}
          },
          "patterns": {
            "title": "Regular expressions, without look-around and references",
            "type": "array",
            "maxItems": 64,
            "items": {"type": "string", "minLength": 1, "maxLength": 500}
          },
          "at_least": {"title": "Different terms and patterns that must be found", "type": "integer", "minimum": 1, "maximum": 100},
          "action": {
            "title": "What becomes of the prompt",
            "description": "refuse: an error; answer: the message as the model's answer; tag: a tag for policies; log: only a hit",
            "enum": ["refuse", "answer", "tag", "log"]
          },
          "message": {"title": "What the client is told", "type": "string", "minLength": 1, "maxLength": 1000}
        }
      }
    },
    "roles": {
      "title": "Whose texts to look at",
      "type": "array",
      "uniqueItems": true,
      "items": {"enum": ["system", "developer", "user", "assistant", "tool"]}
    }
  }
}"#;

pub(crate) const DEFAULTS: &str = r#"{"topics": [], "roles": ["user"]}"#;

/// Patterns of all topics together.
const MAX_PATTERNS: usize = 256;
/// What they may take when compiled, and while they search, in bytes.
const MAX_COMPILED: usize = 4 * 1024 * 1024;
const MAX_SEARCHING: usize = 4 * 1024 * 1024;
/// Brackets inside brackets.
const MAX_NESTING: u32 = 50;

const USUAL_MESSAGE: &str = "this topic is not allowed here; ask the operator of the gateway";

/// What becomes of a prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    #[default]
    Refuse,
    Answer,
    Tag,
    Log,
}

/// A topic without what it is found by.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// The name of its rule, for the log.
    pub(crate) rule: String,
    pub(crate) at_least: usize,
    pub(crate) action: Action,
    pub(crate) message: String,
}

#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) topics: Vec<Topic>,
    /// All terms, and the topic of each.
    pub(crate) terms: Terms,
    pub(crate) topic_of_term: Vec<usize>,
    /// The same of patterns; none when nobody gave any, because asking costs.
    pub(crate) patterns: Option<RegexSet>,
    pub(crate) topic_of_pattern: Vec<usize>,
    roles: Vec<Speaker>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    topics: Option<Vec<RawTopic>>,
    roles: Option<Vec<Speaker>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTopic {
    name: String,
    #[serde(default)]
    terms: Vec<String>,
    #[serde(default)]
    patterns: Vec<String>,
    at_least: Option<usize>,
    #[serde(default)]
    action: Action,
    message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Speaker {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

impl Settings {
    pub(crate) fn parse(config_json: &str) -> Result<Self, PluginError> {
        let defaults = read(DEFAULTS)?;
        let given = read(if config_json.is_empty() { "{}" } else { config_json })?;
        let roles = given.roles.or(defaults.roles).unwrap_or_default();
        let mut settings = Self { roles, ..Self::default() };
        let (mut terms, mut patterns) = (Vec::new(), Vec::new());
        for (at, topic) in given.topics.unwrap_or_default().into_iter().enumerate() {
            check_name(at, &topic.name)?;
            if topic.terms.is_empty() && topic.patterns.is_empty() {
                return Err(invalid_config(&format!("/topics/{at}"), "a topic needs a term or a pattern"));
            }
            settings.topic_of_term.resize(settings.topic_of_term.len() + topic.terms.len(), at);
            settings.topic_of_pattern.resize(settings.topic_of_pattern.len() + topic.patterns.len(), at);
            terms.extend(topic.terms);
            patterns.extend(topic.patterns);
            settings.topics.push(Topic {
                rule: format!("topic.{}", topic.name),
                name: topic.name,
                at_least: topic.at_least.unwrap_or(1),
                action: topic.action,
                message: topic.message.unwrap_or_else(|| USUAL_MESSAGE.to_owned()),
            });
        }
        settings.terms = Terms::new(terms.iter().map(String::as_str)).map_err(|(number, error)| {
            let topic = settings.topic_of_term.get(number).copied().unwrap_or_default();
            let text = terms.get(number).map_or("", String::as_str);
            invalid_config(&format!("/topics/{topic}/terms"), &format!("`{text}`: {error}"))
        })?;
        settings.patterns = settings.compile(&patterns)?;
        Ok(settings)
    }

    fn compile(&self, patterns: &[String]) -> Result<Option<RegexSet>, PluginError> {
        if patterns.is_empty() {
            return Ok(None);
        }
        if patterns.len() > MAX_PATTERNS {
            return Err(invalid_config(
                "/topics",
                &format!("there may be {MAX_PATTERNS} patterns in all topics"),
            ));
        }
        // One by one first: the error of a whole set does not say which.
        for (number, pattern) in patterns.iter().enumerate() {
            if let Err(error) = compiled(std::slice::from_ref(pattern)) {
                let topic = self.topic_of_pattern.get(number).copied().unwrap_or_default();
                return Err(invalid_config(
                    &format!("/topics/{topic}/patterns"),
                    &format!("`{pattern}`: {error}"),
                ));
            }
        }
        compiled(patterns).map(Some).map_err(|error| invalid_config("/topics", &error))
    }

    pub(crate) fn looks_at(&self, role: Role) -> bool {
        self.roles.contains(&match role {
            Role::System => Speaker::System,
            Role::Developer => Speaker::Developer,
            Role::User => Speaker::User,
            Role::Assistant => Speaker::Assistant,
            Role::Tool => Speaker::Tool,
        })
    }
}

fn compiled(patterns: &[String]) -> Result<RegexSet, String> {
    RegexSetBuilder::new(patterns)
        .case_insensitive(true)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_SEARCHING)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "it is too large when compiled; make repetitions smaller".to_owned()
            }
            // The last line names the mistake, those before it draw it.
            other => {
                other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        })
}

fn check_name(at: usize, name: &str) -> Result<(), PluginError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if name.is_empty() || name.len() > 57 || !name.bytes().all(allowed) {
        let message = "a name is made of a-z, 0-9, dot, dash and underscore, 57 at most";
        return Err(invalid_config(&format!("/topics/{at}/name"), message));
    }
    Ok(())
}

fn read(json: &str) -> Result<Raw, PluginError> {
    serde_json::from_str(json).map_err(|error| invalid_config("", &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (config, pointer, message) in [
            ("{", "", "EOF"),
            (r#"{"topics":[{"name":"A b","terms":["xx"]}]}"#, "/topics/0/name", "a name is made of"),
            (r#"{"topics":[{"name":"a"}]}"#, "/topics/0", "needs a term or a pattern"),
            (r#"{"topics":[{"name":"a","terms":["ok","x"]}]}"#, "/topics/0/terms", "`x`: a term needs"),
            (
                r#"{"topics":[{"name":"a","terms":["ok"]},{"name":"b","patterns":["(x"]}]}"#,
                "/topics/1/patterns",
                "`(x`: unclosed group",
            ),
            (r#"{"topics":[{"name":"a","patterns":["(?=x)"]}]}"#, "/topics/0/patterns", "look-around"),
            (
                r#"{"topics":[{"name":"a","patterns":["((a{1000}){1000})"]}]}"#,
                "/topics/0/patterns",
                "too large",
            ),
        ] {
            let PluginError::InvalidConfig(issues) = Settings::parse(config).unwrap_err() else {
                panic!("{config}")
            };
            assert_eq!(issues[0].pointer, pointer, "{config}");
            assert!(issues[0].message.contains(message), "{config}: {}", issues[0].message);
        }
    }

    #[test]
    fn without_topics_there_is_nothing_to_look_for() {
        let settings = Settings::parse("").unwrap();
        assert!(settings.topics.is_empty() && settings.terms.is_empty() && settings.patterns.is_none());
        assert!(settings.looks_at(Role::User) && !settings.looks_at(Role::Tool));
    }
}
