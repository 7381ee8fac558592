//! Accounts in words: their state, the pool in one sentence, and the order of the table.

use std::cmp::Ordering;

use gateway_api::{AccountStateView, AccountView};

use super::{number, time, windows};

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

/// Whether requests go there now.
pub(crate) fn serves(state: AccountStateView) -> bool {
    match state {
        AccountStateView::Healthy | AccountStateView::Degraded | AccountStateView::Probing => true,
        AccountStateView::Cooling | AccountStateView::Paused | AccountStateView::SignInNeeded => false,
    }
}

/// What stands under the state: the gateway's own sentence, or how long the last cooldown still runs.
pub(crate) fn state_note(account: &AccountView, now: i64) -> Option<String> {
    let until = account
        .cooldowns
        .iter()
        .filter(|cooldown| cooldown.model.is_none())
        .map(|cooldown| cooldown.until)
        .max()
        .filter(|until| *until > now);
    match (account.state, until) {
        (AccountStateView::Cooling, Some(until)) => Some(format!("for {}", time::span(until - now))),
        _ => account.state_reason.clone().filter(|reason| !reason.is_empty()),
    }
}

/// The pool in one sentence.
pub(crate) fn pool_sentence(accounts: &[AccountView]) -> String {
    let serving = accounts.iter().filter(|account| serves(account.state)).count();
    match (serving, accounts.len()) {
        (_, 0) => "No accounts yet".to_owned(),
        (1, 1) => "The only account is serving".to_owned(),
        (0, 1) => "The only account cannot serve now".to_owned(),
        (0, all) => format!("None of {all} accounts can serve now"),
        (serving, all) if serving == all => format!("All {all} accounts are serving"),
        (serving, all) => format!("{serving} of {all} accounts are serving"),
    }
}

/// `Plus · anna@example.com`: who an account is, under its name.
pub(crate) fn subtitle(account: &AccountView) -> String {
    let plan = account.plan.as_deref().filter(|plan| !plan.is_empty()).map(plan_word);
    let kind = account.kind.clone();
    // The name is often the e-mail address; saying it twice helps nobody.
    let email = account.email.clone().filter(|email| *email != account.name);
    [plan.or(Some(kind)), email].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// A plan as people write it: `plus` → `Plus`.
pub(crate) fn plan_word(plan: &str) -> String {
    let mut letters = plan.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// Failures on the account's side, as a share of its requests.
pub(crate) fn failure_note(account: &AccountView) -> Option<String> {
    (account.failures > 0).then(|| match number::share(account.failures, account.requests) {
        Some(share) => format!("{} failed", number::percent(share)),
        None => format!("{} failed", number::count(account.failures)),
    })
}

/// The order of the account table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SortBy {
    /// By name.
    Name,
    /// Those that need the operator first.
    Attention,
    /// The fullest window first.
    Fullest,
    /// The most requests first.
    Busiest,
}

impl SortBy {
    /// All orders, as the table offers them.
    pub(crate) const ALL: [Self; 4] = [Self::Name, Self::Attention, Self::Fullest, Self::Busiest];

    /// The value in the select and in storage.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Attention => "attention",
            Self::Fullest => "fullest",
            Self::Busiest => "busiest",
        }
    }

    /// What it is called.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Attention => "Needs attention",
            Self::Fullest => "Fullest window",
            Self::Busiest => "Most requests",
        }
    }

    /// The order behind a key; an unknown key is the order by name.
    pub(crate) fn from_key(key: &str) -> Self {
        Self::ALL.into_iter().find(|order| order.key() == key).unwrap_or(Self::Name)
    }
}

/// The ids in the order asked for. Equals stand by name, so rows do not jump.
pub(crate) fn order(accounts: &[AccountView], by: SortBy, now: i64) -> Vec<String> {
    let mut rows: Vec<&AccountView> = accounts.iter().collect();
    rows.sort_by(|left, right| {
        let first = match by {
            SortBy::Name => Ordering::Equal,
            SortBy::Attention => urgency(left.state).cmp(&urgency(right.state)),
            SortBy::Fullest => {
                let full = |account: &AccountView| windows::fullest(&account.windows, now).unwrap_or(-1.0);
                full(right).total_cmp(&full(left))
            }
            SortBy::Busiest => right.requests.cmp(&left.requests),
        };
        first.then_with(|| by_name(left, right))
    });
    rows.into_iter().map(|account| account.id.clone()).collect()
}

fn urgency(state: AccountStateView) -> u8 {
    match state {
        AccountStateView::SignInNeeded => 0,
        AccountStateView::Degraded => 1,
        AccountStateView::Cooling => 2,
        AccountStateView::Probing => 3,
        AccountStateView::Paused => 4,
        AccountStateView::Healthy => 5,
    }
}

fn by_name(left: &AccountView, right: &AccountView) -> Ordering {
    let (lower_left, lower_right) = (left.name.to_lowercase(), right.name.to_lowercase());
    natural(&lower_left, &lower_right).then_with(|| left.id.cmp(&right.id))
}

/// `codex-2` before `codex-10`: runs of digits are compared as numbers.
fn natural(mut left: &str, mut right: &str) -> Ordering {
    loop {
        let ((left_text, left_digits, left_rest), (right_text, right_digits, right_rest)) =
            (leading(left), leading(right));
        let order = left_text
            .cmp(right_text)
            .then_with(|| left_digits.len().cmp(&right_digits.len()))
            .then_with(|| left_digits.cmp(right_digits));
        if order != Ordering::Equal || (left_rest.is_empty() && right_rest.is_empty()) {
            return order.then_with(|| left_rest.cmp(right_rest));
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// The text up to the first digit, the digits without leading zeros, and the rest.
fn leading(name: &str) -> (&str, &str, &str) {
    let digits_at = name.find(|letter: char| letter.is_ascii_digit()).unwrap_or(name.len());
    let (text, tail) = name.split_at(digits_at);
    let digits_end = tail.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(tail.len());
    let (digits, rest) = tail.split_at(digits_end);
    (text, digits.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use gateway_api::{CooldownView, WindowView};

    use super::*;

    const NOW: i64 = 1_900_000_000_000;

    fn account(name: &str, state: AccountStateView) -> AccountView {
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
            in_flight: 0,
            requests: 0,
            failures: 0,
            ttft_ms: None,
            last_used_at: None,
        }
    }

    #[test]
    fn the_pool_speaks_whole_sentences() {
        use AccountStateView::{Cooling, Healthy, Paused};
        let pool = |states: &[AccountStateView]| {
            pool_sentence(&states.iter().map(|state| account("a", *state)).collect::<Vec<_>>())
        };
        assert_eq!(pool(&[]), "No accounts yet");
        assert_eq!(pool(&[Healthy]), "The only account is serving");
        assert_eq!(pool(&[Paused]), "The only account cannot serve now");
        assert_eq!(pool(&[Healthy, Healthy]), "All 2 accounts are serving");
        assert_eq!(pool(&[Healthy, Cooling, Paused]), "1 of 3 accounts are serving");
        assert_eq!(pool(&[Cooling, Paused]), "None of 2 accounts can serve now");
    }

    #[test]
    fn the_subtitle_does_not_repeat_the_name() {
        let mut row = account("anna", AccountStateView::Healthy);
        assert_eq!(subtitle(&row), "Plus · anna@example.com");
        row.name = "anna@example.com".to_owned();
        row.plan = None;
        assert_eq!(subtitle(&row), "codex");
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
        assert_eq!(state_note(&row, NOW).as_deref(), Some("for 12 min"));
        row.cooldowns.clear();
        assert_eq!(state_note(&row, NOW).as_deref(), Some("usage limit reached"));
        row.state_reason = Some(String::new());
        assert_eq!(state_note(&row, NOW), None);
    }

    #[test]
    fn every_order_is_total_and_breaks_ties_by_name() {
        let mut busy = account("Zoe", AccountStateView::Healthy);
        busy.requests = 9;
        busy.windows =
            vec![WindowView { label: "5 h".to_owned(), seconds: 18_000, used: 0.1, resets_at: None }];
        let mut lost = account("mia", AccountStateView::SignInNeeded);
        lost.failures = 2;
        let rows = [busy, account("ben", AccountStateView::Healthy), lost];
        let ids = |by| order(&rows, by, NOW).join(" ");
        assert_eq!(ids(SortBy::Name), "id-ben id-mia id-Zoe");
        assert_eq!(ids(SortBy::Attention), "id-mia id-ben id-Zoe");
        assert_eq!(ids(SortBy::Fullest), "id-Zoe id-ben id-mia");
        assert_eq!(ids(SortBy::Busiest), "id-Zoe id-ben id-mia");
        for by in SortBy::ALL {
            assert_eq!(SortBy::from_key(by.key()), by);
        }
        assert_eq!(SortBy::from_key("gone"), SortBy::Name);
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["codex-10", "codex-2", "codex", "codex-2b", "codex-007", "b1", "a-1-9", "a-1-10"];
        names.sort_by(|left, right| natural(left, right));
        assert_eq!(names, ["a-1-9", "a-1-10", "b1", "codex", "codex-2", "codex-2b", "codex-007", "codex-10"]);
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
