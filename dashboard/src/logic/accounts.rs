//! Accounts in words: what they are, how they are, and the pool in one sentence.

use gateway_api::{AccountStateView, AccountView, CooldownView};

use super::decisions::{sentence_case, words};
use super::{number, time};

/// Every state, in the order in which they need the operator.
pub(crate) const STATES: [AccountStateView; 6] = [
    AccountStateView::SignInNeeded,
    AccountStateView::Degraded,
    AccountStateView::Cooling,
    AccountStateView::Probing,
    AccountStateView::Paused,
    AccountStateView::Healthy,
];

/// The state in one word.
pub(crate) fn state_word(state: AccountStateView) -> &'static str {
    match state {
        AccountStateView::Healthy => "Healthy",
        AccountStateView::Degraded => "Degraded",
        AccountStateView::Probing => "Probing",
        AccountStateView::Cooling => "Cooling",
        AccountStateView::Paused => "Paused",
        AccountStateView::SignInNeeded => "Sign-in needed",
    }
}

/// The value of `data-tone`: what the style sheet colours by and what chooses the icon.
pub(crate) fn state_tone(state: AccountStateView) -> &'static str {
    match state {
        AccountStateView::Healthy => "good",
        AccountStateView::Degraded => "warn",
        AccountStateView::Probing => "info",
        AccountStateView::Cooling => "cool",
        AccountStateView::Paused => "idle",
        AccountStateView::SignInNeeded => "bad",
    }
}

/// What stands under the state: why the account is left alone and for how long, or the gateway's own sentence.
pub(crate) fn state_note(account: &AccountView, now: i64) -> Option<String> {
    let running = |one: &&CooldownView| one.until > now;
    let whole = account.cooldowns.iter().filter(running).filter(|one| one.model.is_none());
    if let (AccountStateView::Cooling, Some(last)) = (account.state, whole.max_by_key(|one| one.until)) {
        return Some(format!(
            "{}, {} left",
            sentence_case(&words(&last.cause)),
            time::span(last.until - now)
        ));
    }
    let reason = account.state_reason.clone().filter(|reason| !reason.is_empty());
    reason.or_else(|| {
        let scoped: Vec<_> =
            account.cooldowns.iter().filter(running).filter(|one| one.model.is_some()).collect();
        match scoped.as_slice() {
            [] => None,
            [one] => Some(format!("not for {}, {} left", one.model.as_deref()?, time::span(one.until - now))),
            more => Some(format!("not for {} models now", more.len())),
        }
    })
}

/// The pool in one sentence.
pub(crate) fn pool_sentence(serving: usize, all: usize) -> String {
    let count = |number: usize| number::count(number as u64);
    match (serving, all) {
        (_, 0) => "No accounts yet".to_owned(),
        (1, 1) => "The only account is serving".to_owned(),
        (0, 1) => "The only account cannot serve now".to_owned(),
        (0, all) => format!("None of {} accounts can serve now", count(all)),
        (serving, all) if serving == all => format!("All {} accounts are serving", count(all)),
        (serving, all) => format!("{} of {} accounts are serving", count(serving), count(all)),
    }
}

/// What an account is, as people say it.
pub(crate) fn kind_word(kind: &str) -> &str {
    match kind {
        "codex" => "ChatGPT",
        "openai" => "OpenAI",
        "openai-compatible" => "OpenAI-compatible",
        "anthropic" => "Anthropic",
        "gateway" => "Gateway",
        other => other,
    }
}

/// `ChatGPT Plus · anna@example.com`: what and who an account is, under its name.
pub(crate) fn subtitle(account: &AccountView) -> String {
    let plan = account.plan.as_deref().filter(|plan| !plan.is_empty()).map(plan_word);
    let what = [Some(kind_word(&account.kind).to_owned()), plan];
    let what = what.into_iter().flatten().collect::<Vec<_>>().join(" ");
    // The name is often the e-mail address; saying it twice helps nobody.
    let email = account.email.clone().filter(|email| *email != account.name);
    [Some(what), email].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// A plan as people write it: `plus` → `Plus`.
pub(crate) fn plan_word(plan: &str) -> String {
    // Labels of the upstream are plain letters; anything else stays as it is.
    let mut word = plan.to_owned();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}

/// Failures on the account's side, as a share of its requests.
pub(crate) fn failure_note(account: &AccountView) -> Option<String> {
    (account.failures > 0).then(|| match number::share(account.failures, account.requests) {
        Some(share) => format!("{} failed", number::percent(share)),
        None => format!("{} failed", number::count(account.failures)),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const NOW: i64 = 1_900_000_000_000;

    pub(crate) fn account(name: &str, state: AccountStateView) -> AccountView {
        AccountView {
            id: format!("id-{name}"),
            name: name.to_owned(),
            kind: "codex".to_owned(),
            plan: Some("plus".to_owned()),
            email: Some(format!("{name}@example.com")),
            state,
            state_reason: None,
            windows: Vec::new(),
            cooldowns: Vec::new(),
            groups: Vec::new(),
            tags: Vec::new(),
            pinned: false,
            in_flight: 0,
            requests: 0,
            failures: 0,
            ttft_ms: None,
            last_used_at: None,
        }
    }

    #[test]
    fn the_pool_speaks_whole_sentences() {
        for (serving, all, words) in [
            (0, 0, "No accounts yet"),
            (1, 1, "The only account is serving"),
            (0, 1, "The only account cannot serve now"),
            (2, 2, "All 2 accounts are serving"),
            (1, 3, "1 of 3 accounts are serving"),
            (9_431, 10_000, "9,431 of 10,000 accounts are serving"),
            (0, 2, "None of 2 accounts can serve now"),
        ] {
            assert_eq!(pool_sentence(serving, all), words);
        }
    }

    #[test]
    fn the_subtitle_does_not_repeat_the_name() {
        let mut row = account("anna", AccountStateView::Healthy);
        assert_eq!(subtitle(&row), "ChatGPT Plus · anna@example.com");
        row.name = "anna@example.com".to_owned();
        row.plan = None;
        assert_eq!(subtitle(&row), "ChatGPT");
        row.kind = "openai-compatible".to_owned();
        assert_eq!(subtitle(&row), "OpenAI-compatible");
    }

    #[test]
    fn a_cooling_account_counts_down_and_others_give_their_reason() {
        let mut row = account("anna", AccountStateView::Cooling);
        row.state_reason = Some("usage limit reached".to_owned());
        let cooldown = |model: Option<&str>, minutes: i64| CooldownView {
            cause: "usage_limit_reached".to_owned(),
            source: "upstream reset".to_owned(),
            model: model.map(str::to_owned),
            until: NOW + minutes * 60_000,
        };
        row.cooldowns = vec![cooldown(None, 12), cooldown(Some("gpt-5"), 90)];
        assert_eq!(state_note(&row, NOW).as_deref(), Some("Usage limit reached, 12 min left"));
        row.cooldowns.clear();
        assert_eq!(state_note(&row, NOW).as_deref(), Some("usage limit reached"));
        row.state_reason = Some(String::new());
        assert_eq!(state_note(&row, NOW), None);
        (row.state, row.cooldowns) = (AccountStateView::Healthy, vec![cooldown(Some("gpt-5"), 90)]);
        assert_eq!(state_note(&row, NOW).as_deref(), Some("not for gpt-5, 1 h 30 min left"));
        row.cooldowns.push(cooldown(Some("o4"), 1));
        assert_eq!(state_note(&row, NOW).as_deref(), Some("not for 2 models now"));
        assert_eq!(state_note(&row, NOW + 2 * 60_000).as_deref(), Some("not for gpt-5, 1 h 28 min left"));
    }

    #[test]
    fn failures_are_told_only_when_there_are_some() {
        let mut row = account("anna", AccountStateView::Healthy);
        assert_eq!(failure_note(&row), None);
        (row.failures, row.requests) = (3, 200);
        assert_eq!(failure_note(&row).as_deref(), Some("1% failed"));
        row.requests = 0;
        assert_eq!(failure_note(&row).as_deref(), Some("3 failed"));
    }
}
