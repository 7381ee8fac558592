//! Numbers for the names of limited features, so that a request compares its model with a few names instead of with
//! every window of every account.

use std::collections::HashMap;

use gateway_domain::ModelName;

use crate::windows::names_model;

/// Different names known at once. Upstreams have a handful; a window beyond them limits nothing here and the upstream's
/// own refusal still does.
const MAX_NAMES: u16 = 1024;

/// The names.
#[derive(Debug, Default)]
pub(crate) struct FeatureNames {
    numbers: HashMap<String, u16>,
    names: Vec<String>,
}

impl FeatureNames {
    /// The number of a name; `u16::MAX` when there are too many.
    pub(crate) fn number(&mut self, name: &str) -> u16 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let Some(next) = u16::try_from(self.names.len()).ok().filter(|next| *next < MAX_NAMES) else {
            return u16::MAX;
        };
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), next);
        next
    }

    /// For each number, whether it names the model; empty when none does.
    pub(crate) fn naming(&self, model: &ModelName) -> Vec<bool> {
        let naming: Vec<bool> = self.names.iter().map(|name| names_model(name, model.as_str())).collect();
        if naming.contains(&true) { naming } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_once_and_bounded() {
        let mut names = FeatureNames::default();
        assert_eq!((names.number("spark"), names.number("review"), names.number("spark")), (0, 1, 0));
        assert_eq!(names.naming(&ModelName::parse("gpt-5.3-codex-spark").unwrap()), [true, false]);
        assert!(names.naming(&ModelName::parse("gpt-5.5").unwrap()).is_empty());
        for n in 0..2_000 {
            names.number(&n.to_string());
        }
        assert_eq!(names.names.len(), usize::from(MAX_NAMES));
        assert_eq!(names.number("one more"), u16::MAX);
    }
}
