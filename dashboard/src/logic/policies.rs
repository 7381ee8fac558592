//! Policies as the switch offers them.

use gateway_api::PolicyView;

/// A language as people write it.
pub(crate) fn language_word(language: &str) -> String {
    match language {
        "builtin" => "Built in".to_owned(),
        "rhai" => "Rhai".to_owned(),
        "wasm" => "WASM".to_owned(),
        other => other.to_owned(),
    }
}

/// Grouped by language in the order of their first appearance, each group by name.
pub(crate) fn by_language(policies: Vec<PolicyView>) -> Vec<(String, Vec<PolicyView>)> {
    let mut groups: Vec<(String, Vec<PolicyView>)> = Vec::new();
    for policy in policies {
        let language = language_word(&policy.language);
        match groups.iter_mut().find(|(known, _)| *known == language) {
            Some((_, group)) => group.push(policy),
            None => groups.push((language, vec![policy])),
        }
    }
    for (_, group) in &mut groups {
        group.sort_by(|left, right| left.name.cmp(&right.name));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(language: &str, name: &str) -> PolicyView {
        PolicyView {
            id: format!("{language}:{name}"),
            name: name.to_owned(),
            language: language.to_owned(),
            digest: String::new(),
            active: false,
        }
    }

    #[test]
    fn groups_keep_their_order_and_sort_inside() {
        let groups = by_language(vec![
            policy("builtin", "usage-balanced"),
            policy("rhai", "usage-balanced"),
            policy("lua", "other"),
            policy("rhai", "night-shift"),
        ]);
        let read: Vec<(&str, Vec<&str>)> = groups
            .iter()
            .map(|(language, group)| {
                (language.as_str(), group.iter().map(|policy| policy.name.as_str()).collect())
            })
            .collect();
        assert_eq!(
            read,
            [
                ("Built in", vec!["usage-balanced"]),
                ("Rhai", vec!["night-shift", "usage-balanced"]),
                ("lua", vec!["other"]),
            ]
        );
    }
}
