//! One row of the question's numbers, read by name. The order of the columns is the one documented at
//! `rank-request` in `wit/scheduling.wit`; the host holds itself to the same list.

use crate::{Health, RankRequest, Roster};

/// The columns of this version of the contract, in their order.
pub const COLUMNS: [&str; 21] = [
    "health",
    "in-flight",
    "max-concurrency",
    "short-window-used",
    "long-window-used",
    "short-window-resets-in-ms",
    "long-window-resets-in-ms",
    "cooldown-ms",
    "ttft-ewma-ms",
    "error-rate-ewma",
    "session-affine",
    "idle-ms",
    "last-picked-seq",
    "weight",
    "priority",
    "preference",
    "health-score",
    "capacity",
    "cost",
    "move-price",
    "pinned",
];

/// An account that could serve the request, with its numbers. Unknown numbers are NaN.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its handle, which is what a decision names.
    pub account: u32,
    known: &'a [f64; COLUMNS.len()],
    later: &'a [f64],
}

/// Whether the operator wants an account spent first or spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preference {
    /// Only when nobody else can serve.
    Preserve,
    /// Like the others.
    Normal,
    /// Before the others.
    BurnFirst,
}

/// A method per column that is a plain number.
macro_rules! numbers {
    ($($(#[doc = $doc:literal])+ $name:ident = $index:literal;)+) => {
        impl Candidate<'_> {
            $($(#[doc = $doc])+ #[must_use] #[inline] pub const fn $name(&self) -> f64 { self.known[$index] })+
        }
    };
}

numbers! {
    /// Requests running on it now.
    in_flight = 1;
    /// Most requests at once.
    max_concurrency = 2;
    /// Share used of the window shorter than a day, 0.0 to 1.0 and beyond.
    short_window_used = 3;
    /// The same for the window of a day or more.
    long_window_used = 4;
    /// Until the short window starts again.
    short_window_resets_in_ms = 5;
    /// Until the long window starts again.
    long_window_resets_in_ms = 6;
    /// Until its cooldown ends; 0 when it has none.
    cooldown_ms = 7;
    /// Smoothed time to the first event.
    ttft_ewma_ms = 8;
    /// Smoothed share of requests that failed on the account's side.
    error_rate_ewma = 9;
    /// Since it was last picked; infinite when never.
    idle_ms = 11;
    /// Number of the decision that last picked it; 0 when never.
    last_picked_seq = 12;
    /// The operator's weight.
    weight = 13;
    /// The operator's priority: a higher one goes before every lower one.
    priority = 14;
    /// 100 is flawless; decays with errors and comes back with time.
    health_score = 16;
    /// Relative size of the plan's allowance.
    capacity = 17;
    /// Relative price of a token.
    cost = 18;
    /// Share of the prompt's cache that is lost by choosing this one; 0 for its owner.
    move_price = 19;
}

impl Candidate<'_> {
    /// The index of the case of `health`: comparing it costs less than naming it.
    pub(crate) const fn health_index(&self) -> f64 {
        self.known[0]
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.known[0] as u32 {
            0 => Health::Healthy,
            1 => Health::Degraded,
            2 => Health::Probing,
            3 => Health::Cooling,
            _ => Health::Blocked,
        }
    }

    /// Whether this conversation was served here last.
    #[must_use]
    #[inline]
    pub fn session_affine(&self) -> bool {
        self.known[10] > 0.0
    }

    /// Whether it is to be spent first or spared.
    #[must_use]
    pub fn preference(&self) -> Preference {
        match self.known[15] {
            below if below < 0.0 => Preference::Preserve,
            above if above > 0.0 => Preference::BurnFirst,
            _ => Preference::Normal,
        }
    }

    /// Whether the operator pinned it: it serves everything that it can.
    #[must_use]
    pub fn pinned(&self) -> bool {
        self.known[20] > 0.0
    }

    /// A number by the position of its column ([`Roster::column`]): those that came later than this kit. NaN when
    /// there is none.
    #[must_use]
    pub fn number(&self, column: usize) -> f64 {
        let found = match column.checked_sub(COLUMNS.len()) {
            None => self.known.get(column),
            Some(behind) => self.later.get(behind),
        };
        found.copied().unwrap_or(f64::NAN)
    }
}

impl Roster {
    /// Where the column of this name stands, for [`Candidate::number`].
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

impl RankRequest {
    /// All candidates in the order of their handles, unusable ones included.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> + Clone {
        // As wide as the host made it: later versions add columns behind those known here.
        let width = self.numbers.len().checked_div(self.accounts.len()).unwrap_or(0).max(1);
        self.accounts.iter().zip(self.numbers.chunks_exact(width)).filter_map(|(account, row)| {
            let (known, later) = row.split_first_chunk()?;
            Some(Candidate { account: *account, known, later })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(numbers: Vec<f64>, accounts: Vec<u32>) -> RankRequest {
        RankRequest {
            info: crate::testing::request_info(),
            generation: 1,
            seq: 1,
            accounts,
            numbers,
            already_tried: Vec::new(),
        }
    }

    #[test]
    fn the_columns_are_those_the_contract_documents_in_its_order() {
        let contract = include_str!("../../../wit/scheduling.wit");
        let rows = contract.lines().filter_map(|line| {
            let (number, rest) = line.trim().strip_prefix("/// | ")?.split_once(" | `")?;
            Some((number.parse::<usize>().ok()?, rest.split_once('`')?.0))
        });
        let documented: Vec<_> = rows.collect();
        let ours: Vec<_> = COLUMNS.into_iter().enumerate().collect();
        assert_eq!(documented, ours);
    }

    #[test]
    fn every_number_is_read_from_its_own_column() {
        let request = request((0..42).map(f64::from).collect(), vec![7, 9]);
        let second = request.candidates().nth(1).unwrap();
        assert_eq!(second.account, 9);
        let read = [
            (second.in_flight(), 1),
            (second.max_concurrency(), 2),
            (second.short_window_used(), 3),
            (second.long_window_used(), 4),
            (second.short_window_resets_in_ms(), 5),
            (second.long_window_resets_in_ms(), 6),
            (second.cooldown_ms(), 7),
            (second.ttft_ewma_ms(), 8),
            (second.error_rate_ewma(), 9),
            (second.idle_ms(), 11),
            (second.last_picked_seq(), 12),
            (second.weight(), 13),
            (second.priority(), 14),
            (second.health_score(), 16),
            (second.capacity(), 17),
            (second.cost(), 18),
            (second.move_price(), 19),
        ];
        for (value, column) in read {
            assert_eq!(value.to_bits(), f64::from(21 + column).to_bits(), "{}", COLUMNS[column as usize]);
            assert_eq!(value.to_bits(), second.number(column as usize).to_bits());
        }
        assert!(second.session_affine() && second.pinned());
        assert_eq!((second.health(), second.preference()), (Health::Blocked, Preference::BurnFirst));
    }

    #[test]
    fn columns_of_a_later_version_stand_behind_and_are_read_by_name() {
        let roster = Roster {
            generation: 1,
            accounts: Vec::new(),
            columns: COLUMNS.iter().chain(&["mood"]).map(|name| (*name).to_owned()).collect(),
        };
        let mut row = vec![0.0; 21];
        row.push(0.5);
        let request = request(row, vec![3]);
        let candidate = request.candidates().next().unwrap();
        let mood = roster.column("mood").unwrap();
        assert_eq!(candidate.number(mood).to_bits(), 0.5_f64.to_bits());
        assert!(candidate.number(mood + 1).is_nan() && roster.column("luck").is_none());
    }

    #[test]
    fn nobody_is_no_candidate() {
        assert_eq!(request(Vec::new(), Vec::new()).candidates().count(), 0);
    }
}
