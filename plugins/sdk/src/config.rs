//! The configuration of plugins that have none, and how to complain about one.

use crate::{ConfigIssue, PluginError};

/// One thing that is wrong in a configuration; `pointer` is the JSON pointer of the field.
#[must_use]
pub fn invalid_config(pointer: &str, message: &str) -> PluginError {
    PluginError::InvalidConfig(vec![ConfigIssue { pointer: pointer.to_owned(), message: message.to_owned() }])
}

/// Takes only "nothing", so that an operator's setting is never ignored in silence.
pub(crate) fn expect_none(config_json: &str) -> Result<(), PluginError> {
    let text: String = config_json.chars().filter(|c| !c.is_whitespace()).collect();
    match text.as_str() {
        "" | "{}" | "null" => Ok(()),
        _ => Err(invalid_config("", "this plugin takes no configuration; remove it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_nobody_reads_is_refused() {
        for nothing in ["", "{}", " { } ", "null"] {
            assert!(expect_none(nothing).is_ok(), "{nothing:?}");
        }
        let refused = expect_none(r#"{"speed":1}"#).unwrap_err();
        assert!(matches!(refused, PluginError::InvalidConfig(issues) if issues[0].pointer.is_empty()));
    }
}
