//! The numbers of a candidate as one row of the question's matrix, in the order documented at `rank-request` in
//! `wit/scheduling.wit`. A new number goes behind the last one; an old one never moves within a contract version.

use gateway_scheduler::{Candidate, Health, Preference};

/// The names of the columns, told to a guest with the roster.
pub(crate) const COLUMNS: [&str; 21] = [
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

/// Writes one candidate's row.
#[inline]
pub(crate) fn write(row: &mut [f64; COLUMNS.len()], of: &Candidate) {
    *row = [
        match of.health {
            Health::Healthy => 0.0,
            Health::Degraded => 1.0,
            Health::Probing => 2.0,
            Health::Cooling => 3.0,
            Health::Blocked => 4.0,
        },
        f64::from(of.in_flight),
        f64::from(of.max_concurrency),
        of.short_window_used,
        of.long_window_used,
        reset(of.short_window_resets_in_ms),
        reset(of.long_window_resets_in_ms),
        number(of.cooldown_ms),
        of.ttft_ewma_ms,
        of.error_rate_ewma,
        yes(of.session_affine),
        if of.idle_ms == u64::MAX { f64::INFINITY } else { number(of.idle_ms) },
        number(of.last_picked_seq),
        of.weight,
        of.priority,
        match of.preference {
            Preference::Preserve => -1.0,
            Preference::Normal => 0.0,
            Preference::BurnFirst => 1.0,
        },
        of.health_score,
        of.capacity,
        of.cost,
        of.move_price,
        yes(of.pinned),
    ];
}

/// The pool says 0 when it does not know.
fn reset(in_ms: u64) -> f64 {
    if in_ms == 0 { f64::NAN } else { number(in_ms) }
}

/// By way of `i64`, which is one instruction where `u64` takes several; nothing here reaches its end.
fn number(from: u64) -> f64 {
    i64::try_from(from).unwrap_or(i64::MAX) as f64
}

fn yes(whether: bool) -> f64 {
    if whether { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixtures::ask;

    #[test]
    fn the_columns_are_those_the_contract_documents_in_its_order() {
        let contract = include_str!("../../../wit/scheduling.wit");
        let rows = contract.lines().filter_map(|line| {
            let (number, rest) = line.trim().strip_prefix("/// | ")?.split_once(" | `")?;
            Some((number.parse::<usize>().ok()?, rest.split_once('`')?.0))
        });
        assert!(rows.eq(COLUMNS.into_iter().enumerate()));
    }

    #[test]
    fn every_number_stands_under_its_name() {
        let (_, input) = ask(0, 1);
        let candidate = Candidate {
            health: Health::Probing,
            in_flight: 3,
            max_concurrency: 4,
            short_window_used: 0.1,
            long_window_used: f64::NAN,
            short_window_resets_in_ms: 0,
            long_window_resets_in_ms: 70,
            cooldown_ms: 80,
            ttft_ewma_ms: 0.9,
            error_rate_ewma: 0.11,
            session_affine: true,
            idle_ms: u64::MAX,
            last_picked_seq: 1 << 53,
            weight: 1.5,
            priority: -2.0,
            preference: Preference::BurnFirst,
            health_score: 88.0,
            capacity: 6.7,
            cost: 0.25,
            move_price: 0.75,
            pinned: false,
            ..input.candidates[0]
        };
        let nan = f64::NAN;
        let expected = [
            2.0,
            3.0,
            4.0,
            0.1,
            nan,
            nan,
            70.0,
            80.0,
            0.9,
            0.11,
            1.0,
            f64::INFINITY,
            9_007_199_254_740_992.0,
            1.5,
            -2.0,
            1.0,
            88.0,
            6.7,
            0.25,
            0.75,
            0.0,
        ];
        let mut row = [0.0; COLUMNS.len()];
        write(&mut row, &candidate);
        for ((name, found), wanted) in COLUMNS.iter().zip(row).zip(expected) {
            assert!(
                found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan(),
                "{name}: {found}"
            );
        }
    }
}
