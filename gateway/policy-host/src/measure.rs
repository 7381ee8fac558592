//! How long a policy takes, measured on made-up questions. For people and benches, not for serving.

use std::time::{Duration, Instant};

use gateway_scheduler::RankingPolicy;
use gateway_scheduler::corpus::Corpus;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Candidates per question.
    pub candidates: usize,
    /// Questions asked.
    pub rounds: usize,
    /// Half of the answers took no longer.
    pub median: Duration,
    /// Ninety-nine of a hundred took no longer.
    pub p99: Duration,
}

/// Asks as often as told and keeps the time of each answer. The first answers warm up and do not count.
///
/// # Errors
/// The policy failed a question; the text says how.
pub fn measure(policy: &dyn RankingPolicy, candidates: usize, rounds: usize) -> Result<Timing, String> {
    let mut corpus = Corpus::new(11).map_err(|error| error.to_string())?;
    let questions: Vec<_> = (0..16).map(|_| corpus.question(candidates)).collect();
    let warm_up = rounds / 10;
    let mut taken = Vec::with_capacity(rounds);
    for (round, (roster, input)) in questions.iter().cycle().take(rounds + warm_up).enumerate() {
        let begun = Instant::now();
        let answer = policy.rank(roster, input);
        let took = begun.elapsed();
        answer.map_err(|error| error.to_string())?;
        if round >= warm_up {
            taken.push(took);
        }
    }
    taken.sort_unstable();
    let at = |percent: usize| {
        taken.get(taken.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
    };
    Ok(Timing { candidates, rounds: taken.len(), median: at(50), p99: at(99) })
}
