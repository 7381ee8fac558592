//! What the operator can set.

use serde::Deserialize;
use switchyard_plugin_sdk::{PluginError, Role, invalid_config};

use crate::find::Kind;

pub(crate) const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "kinds": {
      "title": "What to look for",
      "type": "array",
      "uniqueItems": true,
      "items": {"enum": ["email", "key", "private-key", "card", "iban", "ip"]}
    },
    "roles": {
      "title": "Whose texts to look at",
      "type": "array",
      "uniqueItems": true,
      "items": {"enum": ["system", "developer", "user", "assistant", "tool"]}
    },
    "restore": {"title": "Put the originals back into the answer", "type": "boolean"}
  }
}"#;

pub(crate) const DEFAULTS: &str = r#"{
  "kinds": ["email", "key", "private-key", "card", "iban"],
  "roles": ["system", "developer", "user", "assistant", "tool"],
  "restore": true
}"#;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) kinds: Vec<Kind>,
    roles: Vec<Speaker>,
    pub(crate) restore: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    kinds: Option<Vec<Kind>>,
    roles: Option<Vec<Speaker>>,
    restore: Option<bool>,
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
        Ok(Self {
            kinds: given.kinds.or(defaults.kinds).unwrap_or_default(),
            roles: given.roles.or(defaults.roles).unwrap_or_default(),
            restore: given.restore.or(defaults.restore).unwrap_or_default(),
        })
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

fn read(json: &str) -> Result<Raw, PluginError> {
    serde_json::from_str(json).map_err(|error| invalid_config("", &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_a_default_and_mistakes_are_refused() {
        let settings = Settings::parse(r#"{"roles":["user"]}"#).unwrap();
        assert!(settings.looks_at(Role::User) && !settings.looks_at(Role::System));
        assert!(
            settings.restore && settings.kinds.contains(&Kind::Email) && !settings.kinds.contains(&Kind::Ip)
        );
        for wrong in ["{", r#"{"kinds":["dna"]}"#, r#"{"speed":1}"#] {
            assert!(Settings::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Settings::parse("").unwrap(), Settings::parse(DEFAULTS).unwrap());
    }
}
