//! What the operator can set.

use serde::Deserialize;
use switchyard_plugin_sdk::{PluginError, invalid_config};
use switchyard_plugin_text::{Limit, Terms};

pub(crate) const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "max_characters": {
      "title": "Characters of an answer at most, as readers count them; 0 is no limit",
      "type": "integer", "minimum": 0, "maximum": 1000000000
    },
    "max_tokens": {
      "title": "Tokens of an answer at most, estimated from its letters; 0 is no limit",
      "type": "integer", "minimum": 0, "maximum": 1000000000
    },
    "banned": {
      "title": "Phrases that must not reach a client",
      "type": "array",
      "maxItems": 64,
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "terms"],
        "properties": {
          "name": {"title": "Made of a-z, 0-9, dot, dash and underscore", "type": "string", "minLength": 1, "maxLength": 57},
          "terms": {
            "title": "Words and phrases in any language; * at the end is any ending",
            "type": "array",
            "minItems": 1,
            "maxItems": 500,
            "items": {"type": "string", "minLength": 1, "maxLength": 200}
          },
          "action": {
            "title": "What becomes of the answer",
            "description": "mask: the phrase is replaced; finish: the answer ends before it; abort: the client gets an error",
            "enum": ["mask", "finish", "abort"]
          }
        }
      }
    },
    "mask": {"title": "What stands for a masked phrase", "type": "string", "maxLength": 100},
    "message": {"title": "What the client of an aborted answer is told", "type": "string", "minLength": 1, "maxLength": 1000},
    "reasoning": {"title": "Look at reasoning, too, and count it", "type": "boolean"}
  }
}"#;

pub(crate) const DEFAULTS: &str = r#"{
  "max_characters": 0,
  "max_tokens": 0,
  "banned": [],
  "mask": "[…]",
  "message": "this answer was stopped by the gateway's rules",
  "reasoning": true
}"#;

/// What becomes of an answer with a banned phrase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    #[default]
    Mask,
    Finish,
    Abort,
}

/// Which texts are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Reasoning {
    #[default]
    Guarded,
    LeftAlone,
}

/// Phrases that belong together.
#[derive(Debug)]
pub(crate) struct Ban {
    /// The name of its rule, for the log.
    pub(crate) rule: String,
    pub(crate) action: Action,
}

#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) limit: Option<Limit>,
    pub(crate) bans: Vec<Ban>,
    pub(crate) terms: Terms,
    pub(crate) ban_of_term: Vec<usize>,
    pub(crate) mask: String,
    pub(crate) message: String,
    pub(crate) reasoning: Reasoning,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    max_characters: Option<u64>,
    max_tokens: Option<u64>,
    banned: Option<Vec<RawBan>>,
    mask: Option<String>,
    message: Option<String>,
    reasoning: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBan {
    name: String,
    terms: Vec<String>,
    #[serde(default)]
    action: Action,
}

impl Settings {
    pub(crate) fn parse(config_json: &str) -> Result<Self, PluginError> {
        let defaults = read(DEFAULTS)?;
        let given = read(if config_json.is_empty() { "{}" } else { config_json })?;
        let (characters, tokens) = (given.max_characters.unwrap_or(0), given.max_tokens.unwrap_or(0));
        let or_endless = |most: u64| if most == 0 { u64::MAX } else { most };
        let limit = Limit { characters: or_endless(characters), tokens: or_endless(tokens) };
        let mut settings = Self {
            limit: (characters > 0 || tokens > 0).then_some(limit),
            mask: given.mask.or(defaults.mask).unwrap_or_default(),
            message: given.message.or(defaults.message).unwrap_or_default(),
            reasoning: if given.reasoning == Some(false) { Reasoning::LeftAlone } else { Reasoning::Guarded },
            ..Self::default()
        };
        settings.ban(given.banned.unwrap_or_default())?;
        Ok(settings)
    }

    fn ban(&mut self, banned: Vec<RawBan>) -> Result<(), PluginError> {
        let mut terms = Vec::new();
        for (at, ban) in banned.into_iter().enumerate() {
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
            if ban.name.is_empty() || ban.name.len() > 57 || !ban.name.bytes().all(allowed) {
                let message = "a name is made of a-z, 0-9, dot, dash and underscore, 57 at most";
                return Err(invalid_config(&format!("/banned/{at}/name"), message));
            }
            self.ban_of_term.resize(self.ban_of_term.len() + ban.terms.len(), at);
            terms.extend(ban.terms);
            self.bans.push(Ban { rule: format!("output.{}", ban.name), action: ban.action });
        }
        self.terms = Terms::new(terms.iter().map(String::as_str)).map_err(|(number, error)| {
            let ban = self.ban_of_term.get(number).copied().unwrap_or_default();
            let text = terms.get(number).map_or("", String::as_str);
            invalid_config(&format!("/banned/{ban}/terms"), &format!("`{text}`: {error}"))
        })?;
        Ok(())
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.limit.is_none() && self.terms.is_empty()
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
        assert!(Settings::parse("").unwrap().is_idle());
        let settings = Settings::parse(r#"{"max_tokens":5}"#).unwrap();
        assert_eq!(settings.limit, Some(Limit { characters: u64::MAX, tokens: 5 }));
        for (config, pointer) in [
            ("{", ""),
            (r#"{"banned":[{"name":"A","terms":["xx"]}]}"#, "/banned/0/name"),
            (
                r#"{"banned":[{"name":"a","terms":["xx"]},{"name":"b","terms":["xx","y"]}]}"#,
                "/banned/1/terms",
            ),
        ] {
            let PluginError::InvalidConfig(issues) = Settings::parse(config).unwrap_err() else {
                panic!("{config}")
            };
            assert_eq!(issues[0].pointer, pointer, "{config}");
        }
    }
}
