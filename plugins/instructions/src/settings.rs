//! What the operator can set.

use serde::Deserialize;
use switchyard_plugin_sdk::{ConfigIssue, PluginError, Role, invalid_config};

pub(crate) const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "rules": {
      "title": "Texts; all that fit the model are used, in this order",
      "type": "array",
      "maxItems": 100,
      "items": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "models": {
            "title": "Only for these asked models; * is any run of characters",
            "type": "array",
            "maxItems": 100,
            "items": {"type": "string", "minLength": 1, "maxLength": 200}
          },
          "clients": {
            "title": "Only for these client keys, by label",
            "type": "array",
            "maxItems": 100,
            "items": {"type": "string", "minLength": 1, "maxLength": 200}
          },
          "prepend": {"title": "Before the instructions", "type": "string", "minLength": 1, "maxLength": 32768},
          "append": {"title": "Behind the instructions", "type": "string", "minLength": 1, "maxLength": 32768}
        }
      }
    },
    "role": {
      "title": "Who says it when a prompt has no instructions",
      "enum": ["system", "developer"]
    }
  }
}"#;

pub(crate) const DEFAULTS: &str = r#"{"rules": [], "role": "system"}"#;

/// All texts together.
const MAX_BYTES: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) rules: Vec<Rule>,
    pub(crate) speaker: Speaker,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default)]
    pub(crate) models: Vec<String>,
    #[serde(default)]
    pub(crate) clients: Vec<String>,
    pub(crate) prepend: Option<String>,
    pub(crate) append: Option<String>,
}

/// Who may set a conversation up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Speaker {
    #[default]
    System,
    Developer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    role: Speaker,
}

impl Speaker {
    pub(crate) const fn role(self) -> Role {
        match self {
            Self::System => Role::System,
            Self::Developer => Role::Developer,
        }
    }
}

impl Settings {
    pub(crate) fn parse(config_json: &str) -> Result<Self, PluginError> {
        let text = if config_json.is_empty() { DEFAULTS } else { config_json };
        let raw: Raw = serde_json::from_str(text).map_err(|error| invalid_config("", &error.to_string()))?;
        let issues: Vec<ConfigIssue> =
            raw.rules.iter().enumerate().filter_map(|(at, rule)| rule.issue(at)).collect();
        if !issues.is_empty() {
            return Err(PluginError::InvalidConfig(issues));
        }
        let bytes: usize =
            raw.rules.iter().flat_map(|rule| [&rule.prepend, &rule.append]).flatten().map(String::len).sum();
        if bytes > MAX_BYTES {
            return Err(invalid_config("/rules", &format!("all texts together may have {MAX_BYTES} bytes")));
        }
        Ok(Self { rules: raw.rules, speaker: raw.role })
    }
}

impl Rule {
    fn issue(&self, at: usize) -> Option<ConfigIssue> {
        let issue = |field: &str, message: &str| {
            Some(ConfigIssue { pointer: format!("/rules/{at}{field}"), message: message.to_owned() })
        };
        if self.models.iter().any(|model| model.matches('*').count() > 1) {
            return issue("/models", "one * is enough");
        }
        if self.prepend.is_none() && self.append.is_none() {
            return issue("", "a rule needs a text to prepend or to append");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (config, pointer) in [
            ("{", ""),
            (r#"{"rules":[{"models":["a*b*"],"append":"x"}]}"#, "/rules/0/models"),
            (r#"{"rules":[{"append":"x"},{}]}"#, "/rules/1"),
        ] {
            let PluginError::InvalidConfig(issues) = Settings::parse(config).unwrap_err() else {
                panic!("{config}")
            };
            assert_eq!(issues[0].pointer, pointer, "{config}");
        }
        assert!(Settings::parse("").unwrap().rules.is_empty());
        let text = "x".repeat(MAX_BYTES + 1);
        assert!(Settings::parse(&format!(r#"{{"rules":[{{"append":"{text}"}}]}}"#)).is_err());
    }
}
