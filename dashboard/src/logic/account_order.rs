//! The orders in which accounts are listed.

use std::cmp::Ordering;

use super::accounts::STATES;
use super::roster::Account;
use super::windows;

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
    /// The most running requests first.
    Running,
}

impl SortBy {
    /// All orders, as the table offers them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Name, Self::Attention, Self::Fullest, Self::Busiest, Self::Running];

    /// The value in the select and in storage.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Attention => "attention",
            Self::Fullest => "fullest",
            Self::Busiest => "busiest",
            Self::Running => "running",
        }
    }

    /// What it is called.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Attention => "Needs attention",
            Self::Fullest => "Fullest window",
            Self::Busiest => "Most requests",
            Self::Running => "Most running",
        }
    }

    /// The order behind a key; an unknown key is the order by name.
    pub(crate) fn from_key(key: &str) -> Self {
        Self::ALL.into_iter().find(|order| order.key() == key).unwrap_or(Self::Name)
    }
}

/// The accounts in the order asked for. Equals stand by name, so rows do not jump.
pub(crate) fn order(accounts: Vec<Account>, by: SortBy, now: i64) -> Vec<Account> {
    // What is compared is worked out once for each account, not once for each comparison: pools have thousands.
    let mut rows: Vec<(f64, String, Account)> = accounts
        .into_iter()
        .map(|account| (first_key(&account, by, now), account.name.to_lowercase(), account))
        .collect();
    rows.sort_by(|left, right| {
        left.0
            .total_cmp(&right.0)
            .then_with(|| natural(&left.1, &right.1))
            .then_with(|| left.2.id.cmp(&right.2.id))
    });
    rows.into_iter().map(|(_, _, account)| account).collect()
}

/// What comes before the name; smaller is first.
#[expect(clippy::cast_precision_loss, reason = "only the order counts")]
fn first_key(account: &Account, by: SortBy, now: i64) -> f64 {
    match by {
        SortBy::Name => 0.0,
        SortBy::Attention => {
            let urgency = STATES.iter().position(|state| *state == account.state);
            urgency.unwrap_or(STATES.len()) as f64
        }
        SortBy::Fullest => -windows::fullest(&account.windows, now).unwrap_or(-1.0),
        SortBy::Busiest => -(account.requests as f64),
        SortBy::Running => -f64::from(account.in_flight),
    }
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
    use gateway_api::{AccountStateView, WindowView};

    use super::super::accounts::tests::account;
    use super::super::roster::Roster;
    use super::*;

    const NOW: i64 = 1_900_000_000_000;

    #[test]
    fn every_order_is_total_and_breaks_ties_by_name() {
        let mut busy = account("Zoe", AccountStateView::Healthy);
        busy.requests = 9;
        busy.windows =
            vec![WindowView { label: "5 h".to_owned(), seconds: 18_000, used: 0.1, resets_at: None }];
        let mut lost = account("mia", AccountStateView::SignInNeeded);
        lost.failures = 2;
        let mut ben = account("ben", AccountStateView::Healthy);
        ben.in_flight = 1;
        let rows = Roster::default().renewed(vec![busy, ben, lost]).unwrap();
        let ids = |by| {
            let ordered = order(rows.iter().cloned().collect(), by, NOW);
            ordered.iter().map(|account| account.id.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ids(SortBy::Name), "id-ben id-mia id-Zoe");
        assert_eq!(ids(SortBy::Attention), "id-mia id-ben id-Zoe");
        assert_eq!(ids(SortBy::Fullest), "id-Zoe id-ben id-mia");
        assert_eq!(ids(SortBy::Busiest), "id-Zoe id-ben id-mia");
        assert_eq!(ids(SortBy::Running), "id-ben id-mia id-Zoe");
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
}
