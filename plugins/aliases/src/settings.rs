//! What the operator can set.

use serde::Deserialize;
use switchyard_plugin_sdk::{ConfigIssue, PluginError, invalid_config};

pub(crate) const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "effort_suffix": {"title": "Take an effort as a suffix: gpt-5-high", "type": "boolean"},
    "rules": {
      "title": "Rules; the first that fits decides",
      "type": "array",
      "maxItems": 500,
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["model", "targets"],
        "properties": {
          "model": {"title": "Asked for; * is any run of characters", "type": "string", "minLength": 1, "maxLength": 200},
          "report_as": {"title": "What answers call it", "type": "string", "minLength": 1, "maxLength": 200},
          "targets": {
            "title": "Goes upstream, in this order",
            "type": "array",
            "minItems": 1,
            "maxItems": 16,
            "items": {
              "type": "object",
              "additionalProperties": false,
              "required": ["model"],
              "properties": {
                "model": {"type": "string", "minLength": 1, "maxLength": 200},
                "provider": {"type": "string", "minLength": 1, "maxLength": 64},
                "group": {"type": "string", "minLength": 1, "maxLength": 64},
                "effort": {"type": "string", "minLength": 1, "maxLength": 32}
              }
            }
          }
        }
      }
    }
  }
}"#;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) effort_suffix: bool,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) model: String,
    pub(crate) report_as: Option<String>,
    pub(crate) targets: Vec<Upstream>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    pub(crate) model: String,
    pub(crate) provider: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) effort: Option<String>,
}

impl Settings {
    pub(crate) fn parse(config_json: &str) -> Result<Self, PluginError> {
        let text = if config_json.is_empty() { "{}" } else { config_json };
        let settings: Self =
            serde_json::from_str(text).map_err(|error| invalid_config("", &error.to_string()))?;
        // What the schema cannot say.
        let issues: Vec<ConfigIssue> = settings
            .rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.model.matches('*').count() > 1)
            .map(|(at, _)| ConfigIssue {
                pointer: format!("/rules/{at}/model"),
                message: "one * is enough for one name".to_owned(),
            })
            .collect();
        if issues.is_empty() { Ok(settings) } else { Err(PluginError::InvalidConfig(issues)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_stars_are_refused_beside_their_field() {
        let refused =
            Settings::parse(r#"{"rules":[{"model":"a*b*","targets":[{"model":"c"}]}]}"#).unwrap_err();
        assert!(
            matches!(refused, PluginError::InvalidConfig(issues) if issues[0].pointer == "/rules/0/model")
        );
    }
}
