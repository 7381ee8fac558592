//! Names with at most one `*`: those of models.

/// What the `*` stands for when the name fits; an empty text when there is none.
#[must_use]
pub fn fits<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    match pattern.split_once('*') {
        None => (pattern == name).then_some(""),
        Some((before, behind)) => name.strip_prefix(before)?.strip_suffix(behind),
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_is_any_run_of_characters() {
        for (pattern, name, run) in [
            ("a", "a", Some("")),
            ("a", "ab", None),
            ("*", "anything", Some("anything")),
            ("gpt-*-mini", "gpt-5-mini", Some("5")),
            ("gpt-*", "gpt-", Some("")),
            ("ab*ba", "aba", None),
        ] {
            assert_eq!(fits(pattern, name), run, "{pattern} {name}");
        }
    }
}
