//! How long to wait before the next try to reconnect. Never gives up.

const FIRST_MS: u32 = 500;
const LONGEST_MS: u32 = 15_000;

/// The wait before try number `attempt` (0 is the first after a loss), `jitter` from 0.0 to 1.0.
///
/// Doubles up to a ceiling; the jitter spreads tabs that lost the same gateway over half the wait.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 250 and 15,000")]
pub(crate) fn delay_ms(attempt: u32, jitter: f64) -> u32 {
    let full = FIRST_MS.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(LONGEST_MS);
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.5 };
    (f64::from(full) * (0.5 + jitter / 2.0)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_a_ceiling_and_stays_there() {
        let waits: Vec<_> = (0..8).map(|attempt| delay_ms(attempt, 1.0)).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
        assert_eq!(delay_ms(10_000, 1.0), 15_000);
    }

    #[test]
    fn jitter_takes_off_at_most_half() {
        assert_eq!(delay_ms(2, 0.0), 1_000);
        assert_eq!(delay_ms(2, 0.5), 1_500);
        assert_eq!(delay_ms(2, f64::NAN), 1_500);
    }
}
