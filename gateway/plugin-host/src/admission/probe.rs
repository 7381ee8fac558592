//! Asks a candidate what it will be asked in service, with made-up accounts.

use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{PolicyError, RankDecision};

use crate::guest::Guest;
use crate::limits::SETUP_TIME;

/// Candidates in each question; nobody to choose from is one of them.
const QUESTIONS: [usize; 4] = [6, 6, 1, 0];

/// Both guests answer; if the plugin says it is deterministic, all their answers must be the same.
pub(super) fn run(used: &mut Guest, fresh: &mut Guest, deterministic: bool) -> Result<(), String> {
    let mut corpus = Corpus::new(1).map_err(|error| error.to_string())?;
    for candidates in QUESTIONS {
        let (roster, input) = corpus.question(candidates);
        let ask = |guest: &mut Guest| guest.rank(SETUP_TIME, &roster, &input).map_err(explain);
        let first = ask(used)?;
        let again = ask(used)?;
        let elsewhere = ask(fresh)?;
        if deterministic && !(same(&first, &again) && same(&first, &elsewhere)) {
            return Err(
                "it says it is deterministic but answered one question differently; keep nothing of a \
                        request, and take time and chance from the request"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

fn explain(error: PolicyError) -> String {
    format!("asked to rank a made-up request, it {error}")
}

/// Equal bit for bit: a NaN score equals itself here.
fn same(a: &RankDecision, b: &RankDecision) -> bool {
    let bits =
        |decision: &RankDecision| decision.scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>();
    a.action == b.action && a.reason == b.reason && bits(a) == bits(b)
}
