//! Which accounts of a large pool are listed: by words, state, kind, group and tag.

use std::collections::BTreeSet;

use gateway_api::{AccountStateView, AccountView};

use super::accounts::{kind_word, state_word};
use super::roster::Roster;

/// What is asked for; an empty part asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Words that must all be found, each anywhere.
    pub(crate) text: String,
    /// A [`state_key`].
    pub(crate) state: String,
    /// `codex` …
    pub(crate) kind: String,
    /// One group.
    pub(crate) group: String,
    /// One tag.
    pub(crate) tag: String,
}

impl Filter {
    /// Whether it keeps everything.
    pub(crate) fn is_off(&self) -> bool {
        let parts = [&self.text, &self.state, &self.kind, &self.group, &self.tag];
        parts.iter().all(|part| part.trim().is_empty())
    }

    /// Whether an account is listed.
    pub(crate) fn keeps(&self, account: &AccountView) -> bool {
        let wanted = |part: &str, value: &str| part.is_empty() || part == value;
        let among = |part: &str, values: &[String]| part.is_empty() || values.iter().any(|one| one == part);
        wanted(&self.state, state_key(account.state))
            && wanted(&self.kind, &account.kind)
            && among(&self.group, &account.groups)
            && among(&self.tag, &account.tags)
            && self.text.split_whitespace().all(|word| mentions(account, word))
    }
}

/// Whether a word stands anywhere in what the row shows.
fn mentions(account: &AccountView, word: &str) -> bool {
    let shown = [
        Some(account.name.as_str()),
        account.email.as_deref(),
        account.plan.as_deref(),
        Some(kind_word(&account.kind)),
        Some(state_word(account.state)),
        // Of an id only the whole says something: every short word of digits would be found in some.
        Some(account.id.as_str()).filter(|id| word.len() >= id.len()),
    ];
    let words = account.groups.iter().chain(&account.tags).map(String::as_str);
    shown.into_iter().flatten().chain(words).any(|text| contains(text, word))
}

/// Whether a text contains a word, whatever the case. Without copies where both are plain letters.
fn contains(text: &str, word: &str) -> bool {
    if text.is_ascii() && word.is_ascii() {
        let (text, word) = (text.as_bytes(), word.as_bytes());
        return text.windows(word.len().max(1)).any(|part| part.eq_ignore_ascii_case(word));
    }
    text.to_lowercase().contains(&word.to_lowercase())
}

/// The value of a state in a list to choose from and in the address.
pub(crate) fn state_key(state: AccountStateView) -> &'static str {
    match state {
        AccountStateView::Healthy => "healthy",
        AccountStateView::Degraded => "degraded",
        AccountStateView::Probing => "probing",
        AccountStateView::Cooling => "cooling",
        AccountStateView::Paused => "paused",
        AccountStateView::SignInNeeded => "sign-in-needed",
    }
}

/// What there is to choose from in this pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Choices {
    /// Kinds that occur.
    pub(crate) kinds: BTreeSet<String>,
    /// Groups that occur.
    pub(crate) groups: BTreeSet<String>,
    /// Tags that occur.
    pub(crate) tags: BTreeSet<String>,
}

impl Choices {
    /// Looks through the pool.
    pub(crate) fn of(roster: &Roster) -> Self {
        let mut choices = Self::default();
        let put = |into: &mut BTreeSet<String>, word: &String| {
            if !into.contains(word) {
                into.insert(word.clone());
            }
        };
        for account in roster.iter() {
            put(&mut choices.kinds, &account.kind);
            account.groups.iter().for_each(|group| put(&mut choices.groups, group));
            account.tags.iter().for_each(|tag| put(&mut choices.tags, tag));
        }
        choices
    }
}

#[cfg(test)]
mod tests {
    use super::super::accounts::STATES;
    use super::super::accounts::tests::account;
    use super::*;

    fn anna() -> AccountView {
        AccountView {
            groups: vec!["eu".to_owned()],
            tags: vec!["Büro".to_owned()],
            ..account("anna", AccountStateView::Cooling)
        }
    }

    #[test]
    fn every_part_narrows() {
        let filter = |change: fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            assert!(!filter.is_off());
            filter.keeps(&anna())
        };
        assert!(Filter::default().keeps(&anna()) && Filter::default().is_off());
        assert!(filter(|f| f.state = "cooling".into()) && !filter(|f| f.state = "healthy".into()));
        assert!(filter(|f| f.kind = "codex".into()) && !filter(|f| f.kind = "openai".into()));
        assert!(filter(|f| f.group = "eu".into()) && !filter(|f| f.group = "e".into()));
        assert!(filter(|f| f.tag = "Büro".into()) && !filter(|f| f.tag = "eu".into()));
    }

    #[test]
    fn every_word_must_be_found_in_any_case() {
        for (text, found) in [
            ("ANNA", true),
            ("anna plus", true),
            ("example.com chatgpt", true),
            ("büro", true),
            ("cool eu", true),
            ("anna pro", false),
            ("id-anna", true),
            ("id-", false),
            ("annab", false),
            ("a very long word that no account can hold anywhere in its name", false),
        ] {
            let filter = Filter { text: text.to_owned(), ..Filter::default() };
            assert_eq!(filter.keeps(&anna()), found, "{text}");
        }
    }

    #[test]
    fn choices_are_what_occurs_and_keys_are_all_different() {
        let pool = Roster::default().renewed(vec![anna(), account("b", AccountStateView::Healthy)]).unwrap();
        let choices = Choices::of(&pool);
        assert_eq!(choices.kinds.len(), 1);
        assert!(choices.groups.contains("eu") && choices.tags.contains("Büro"));
        assert_eq!(STATES.map(state_key).into_iter().collect::<BTreeSet<_>>().len(), STATES.len());
    }
}
