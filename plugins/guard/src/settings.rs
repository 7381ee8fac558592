//! What the operator can set.

use serde::Deserialize;
use switchyard_plugin_sdk::{PluginError, Role, invalid_config};

use crate::rules::{self, Engine, Rule};

pub(crate) const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "mode": {
      "title": "What becomes of a prompt that scores too high",
      "description": "block refuses it, warn tags it for policies and records, log only counts what was found",
      "enum": ["block", "warn", "log"]
    },
    "threshold": {"title": "Scores from here on are too high", "type": "integer", "minimum": 1, "maximum": 500},
    "strict": {
      "title": "What strict rules do",
      "description": "block: always refuse, whatever the mode and the score; as-others: only their weight counts",
      "enum": ["block", "as-others"]
    },
    "max_excuse": {"title": "The most that excusing rules take off", "type": "integer", "minimum": 0, "maximum": 500},
    "judge": {
      "title": "Whose texts are judged",
      "type": "array",
      "uniqueItems": true,
      "items": {"enum": ["system", "developer", "user", "assistant", "tool"]}
    },
    "watch": {
      "title": "Whose texts are only counted",
      "type": "array",
      "uniqueItems": true,
      "items": {"enum": ["system", "developer", "user", "assistant", "tool"]}
    },
    "history": {"title": "Judge earlier turns again, not only the last", "type": "boolean"},
    "message": {"title": "What a refused client is told", "type": "string", "minLength": 1, "maxLength": 1000},
    "shipped_rules": {"title": "Use the rules that come with it", "type": "boolean"},
    "disable": {
      "title": "Shipped rules to leave out, by name",
      "type": "array",
      "maxItems": 512,
      "items": {"type": "string", "minLength": 1, "maxLength": 64}
    },
    "rules": {
      "title": "More rules",
      "type": "array",
      "maxItems": 256,
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "weight"],
        "properties": {
          "name": {"type": "string", "minLength": 1, "maxLength": 64},
          "weight": {"title": "Negative excuses", "type": "integer", "minimum": -100, "maximum": 100},
          "strict": {"type": "boolean"},
          "near": {"title": "Characters between groups at most", "type": "integer", "minimum": 0, "maximum": 2000},
          "all": {
            "title": "Groups of words; one of each in order",
            "type": "array",
            "maxItems": 8,
            "items": {
              "type": "array",
              "minItems": 1,
              "maxItems": 200,
              "items": {"type": "string", "minLength": 1, "maxLength": 200}
            }
          },
          "shape": {"enum": ["invisible", "tags", "overrides", "mixed-words", "encoded-text"]},
          "at_least": {"title": "How many of the shape", "type": "integer", "minimum": 1, "maximum": 10000}
        }
      }
    }
  }
}"#;

pub(crate) const DEFAULTS: &str = r#"{
  "mode": "block",
  "threshold": 50,
  "strict": "block",
  "max_excuse": 40,
  "judge": ["user"],
  "watch": ["tool"],
  "history": false,
  "message": "this prompt was blocked by the gateway's rules; rephrase it or ask the operator",
  "shipped_rules": true
}"#;

/// What becomes of a prompt that scores too high.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    #[default]
    Block,
    Warn,
    Log,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Strict {
    #[default]
    Block,
    AsOthers,
}

/// Which turns are judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Turns {
    #[default]
    Last,
    All,
}

#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) threshold: i32,
    pub(crate) strict: Strict,
    pub(crate) max_excuse: i32,
    judge: Vec<Speaker>,
    watch: Vec<Speaker>,
    pub(crate) turns: Turns,
    pub(crate) message: String,
    pub(crate) engine: Engine,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    mode: Option<Mode>,
    threshold: Option<i32>,
    strict: Option<Strict>,
    max_excuse: Option<i32>,
    judge: Option<Vec<Speaker>>,
    watch: Option<Vec<Speaker>>,
    history: Option<bool>,
    message: Option<String>,
    shipped_rules: Option<bool>,
    #[serde(default)]
    disable: Vec<String>,
    #[serde(default)]
    rules: Vec<Rule>,
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

/// What is done with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    Judged,
    Watched,
    LeftAlone,
}

impl Settings {
    pub(crate) fn parse(config_json: &str) -> Result<Self, PluginError> {
        let defaults = read(DEFAULTS)?;
        let given = read(if config_json.is_empty() { "{}" } else { config_json })?;
        let mut rules = Vec::new();
        if given.shipped_rules.or(defaults.shipped_rules).unwrap_or(true) {
            let shipped = rules::shipped()?;
            if let Some(unknown) =
                given.disable.iter().find(|name| !shipped.iter().any(|rule| rule.name == **name))
            {
                return Err(invalid_config("/disable", &format!("no shipped rule is called {unknown}")));
            }
            rules.extend(shipped.into_iter().filter(|rule| !given.disable.contains(&rule.name)));
        }
        rules.extend(given.rules);
        Ok(Self {
            mode: given.mode.or(defaults.mode).unwrap_or_default(),
            threshold: given.threshold.or(defaults.threshold).unwrap_or_default(),
            strict: given.strict.or(defaults.strict).unwrap_or_default(),
            max_excuse: given.max_excuse.or(defaults.max_excuse).unwrap_or_default(),
            judge: given.judge.or(defaults.judge).unwrap_or_default(),
            watch: given.watch.or(defaults.watch).unwrap_or_default(),
            turns: if given.history.or(defaults.history) == Some(true) { Turns::All } else { Turns::Last },
            message: given.message.or(defaults.message).unwrap_or_default(),
            engine: Engine::new(rules)?,
        })
    }

    /// What is done with a text of this speaker, said in the last turn or before.
    pub(crate) fn care(&self, role: Role, in_last_turn: bool) -> Care {
        let speaker = match role {
            Role::System => Speaker::System,
            Role::Developer => Speaker::Developer,
            Role::User => Speaker::User,
            Role::Assistant => Speaker::Assistant,
            Role::Tool => Speaker::Tool,
        };
        // Whoever sets a conversation up does it once, in front.
        let counts =
            in_last_turn || self.turns == Turns::All || matches!(role, Role::System | Role::Developer);
        if !counts {
            Care::LeftAlone
        } else if self.judge.contains(&speaker) {
            Care::Judged
        } else if self.watch.contains(&speaker) {
            Care::Watched
        } else {
            Care::LeftAlone
        }
    }
}

fn read(json: &str) -> Result<Raw, PluginError> {
    serde_json::from_str(json).map_err(|error| invalid_config("", &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_a_default_and_mistakes_are_refused() {
        let settings = Settings::parse(r#"{"judge":["tool"],"watch":[]}"#).unwrap();
        assert_eq!(settings.care(Role::Tool, true), Care::Judged);
        assert_eq!(settings.care(Role::Tool, false), Care::LeftAlone);
        assert_eq!(settings.care(Role::User, true), Care::LeftAlone);
        assert_eq!((settings.mode, settings.threshold), (Mode::Block, 50));
        for wrong in ["{", r#"{"mode":"shout"}"#, r#"{"speed":1}"#, r#"{"disable":["nothing"]}"#] {
            assert!(Settings::parse(wrong).is_err(), "{wrong}");
        }
    }
}
