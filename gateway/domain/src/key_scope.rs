//! The part of the pool that a client key may use.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::AccountId;

/// Groups and accounts: an account is inside when it is a member of one of the groups, or named itself. Nothing named
/// means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyScope {
    /// Members of these.
    pub groups: BTreeSet<String>,
    /// These themselves.
    pub accounts: BTreeSet<AccountId>,
}

impl KeyScope {
    /// Whether it is the whole pool.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.groups.is_empty() && self.accounts.is_empty()
    }

    /// Whether an account with these groups is inside.
    #[must_use]
    pub fn holds(&self, account: &AccountId, groups: &[String]) -> bool {
        self.is_everything()
            || self.accounts.contains(account)
            || groups.iter().any(|group| self.groups.contains(group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_inside_by_its_group_or_its_name_and_nothing_named_means_everything() {
        let id = |text: &str| AccountId::parse(text).unwrap();
        let groups = ["eu".to_owned()];
        let scope = |groups: &[&str], accounts: &[&str]| KeyScope {
            groups: groups.iter().map(ToString::to_string).collect(),
            accounts: accounts.iter().map(|text| id(text)).collect(),
        };
        for (scope, inside) in [
            (scope(&[], &[]), true),
            (scope(&["eu"], &[]), true),
            (scope(&["us"], &[]), false),
            (scope(&["us"], &["a"]), true),
            (scope(&[], &["b"]), false),
        ] {
            assert_eq!(scope.holds(&id("a"), &groups), inside, "{scope:?}");
        }
    }
}
