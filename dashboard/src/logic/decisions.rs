//! Decisions in words: what happened to a request, and why it went where it went.

use gateway_api::{AttemptView, CandidateView, DecisionView, RankingView};

use super::{number, time};

/// How a request or a try ended. The labels of failures are the gateway's; these two are not failures.
const COMPLETED: &str = "completed";
const RUNNING: &str = "running";
/// The client hung up: nobody's fault, so not shown in red.
const CLIENT_GONE: &str = "client_gone";

/// Whether the end is still open.
pub(crate) fn is_running(outcome: &str) -> bool {
    outcome == RUNNING
}

/// `usage_limit_reached` → `usage limit reached`.
pub(crate) fn words(label: &str) -> String {
    label.replace('_', " ")
}

/// The outcome as a badge says it.
pub(crate) fn outcome_word(outcome: &str) -> String {
    sentence_case(&words(outcome))
}

/// The value of `data-tone` for an outcome.
pub(crate) fn outcome_tone(outcome: &str) -> &'static str {
    match outcome {
        COMPLETED => "good",
        RUNNING => "info",
        CLIENT_GONE => "idle",
        _ => "bad",
    }
}

/// The value of `data-tone` for a candidate's health.
pub(crate) fn health_tone(health: &str) -> &'static str {
    match health {
        "healthy" => "good",
        "degraded" => "warn",
        "probing" => "info",
        "cooling" => "cool",
        _ => "idle",
    }
}

/// First letter large.
pub(crate) fn sentence_case(text: &str) -> String {
    super::accounts::plan_word(text)
}

/// First letter large, full stop at the end.
pub(crate) fn full_sentence(text: &str) -> String {
    let text = sentence_case(text.trim());
    if text.is_empty() || text.ends_with(['.', '!', '?', '…']) { text } else { text + "." }
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It answered, or still does.
    Served,
    /// The next one had to be asked.
    Failed,
}

impl Tried {
    /// Read from the outcome of a try.
    pub(crate) fn from_outcome(outcome: &str) -> Self {
        match outcome {
            COMPLETED | RUNNING | CLIENT_GONE => Self::Served,
            _ => Self::Failed,
        }
    }
}

/// The whole decision in one sentence; it comes first on the page.
pub(crate) fn headline(view: &DecisionView) -> String {
    match view.attempts.split_last() {
        Some((last, earlier)) => tried(view, last, earlier),
        None => untried(view),
    }
}

fn tried(view: &DecisionView, last: &AttemptView, earlier: &[AttemptView]) -> String {
    let name = &last.account_name;
    let deed = match last.outcome.as_str() {
        COMPLETED => format!("{name} served this request"),
        RUNNING => format!("{name} is serving this request"),
        CLIENT_GONE => format!("{name} was serving this request when the client hung up"),
        failure => format!("{name} was the last to be tried and failed ({})", words(failure)),
    };
    let place = usize::try_from(last.ranking)
        .ok()
        .and_then(|ranking| view.rankings.get(ranking))
        .and_then(|ranking| place(ranking, &last.account_id));
    let after = match earlier {
        [] => None,
        [one] => Some(format!("after {} failed ({})", one.account_name, words(&one.outcome))),
        many => Some(format!("after {} failed", listed(many.iter().map(|one| one.account_name.as_str())))),
    };
    match (place, after) {
        (Some(place), None) => format!("{deed}: it {place}."),
        (Some(place), Some(after)) => format!("{deed} {after}; it {place}."),
        (None, Some(after)) => format!("{deed} {after}."),
        (None, None) => format!("{deed}."),
    }
}

fn untried(view: &DecisionView) -> String {
    let considered = view.rankings.last().map_or(0, |ranking| ranking.candidates.len());
    match (is_running(&view.summary.outcome), view.rankings.last()) {
        (true, Some(ranking)) if ranking.action == "wait" => {
            "This request is waiting for an account to become free.".to_owned()
        }
        (true, _) => "This request has not reached an account yet.".to_owned(),
        (false, Some(ranking)) if ranking.action == "refuse" => {
            format!("The policy {} refused this request.", ranking.policy.name)
        }
        (false, Some(_)) if considered > 0 => format!(
            "No account took this request ({}): {} considered.",
            words(&view.summary.outcome),
            if considered == 1 { "one was".to_owned() } else { format!("{considered} were") }
        ),
        (false, _) => format!("This request never reached an account ({}).", words(&view.summary.outcome)),
    }
}

/// `ranked first of 3`, `was the only account that could take it`.
fn place(ranking: &RankingView, account_id: &str) -> Option<String> {
    let ranked = ranking.candidates.iter().filter(|candidate| candidate.rank.is_some()).count();
    let rank = ranking.candidates.iter().find(|candidate| candidate.account_id == account_id)?.rank?;
    Some(if ranked == 1 {
        "was the only account that could take it".to_owned()
    } else {
        format!("ranked {} of {ranked}", number::ordinal(rank))
    })
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Why: the policy's own sentence about the ranking that mattered, and how close it was.
pub(crate) fn explanation(view: &DecisionView) -> String {
    let mattered = match view.attempts.last() {
        Some(last) => usize::try_from(last.ranking).ok().and_then(|ranking| view.rankings.get(ranking)),
        None => view.rankings.last(),
    };
    let Some(ranking) = mattered else { return String::new() };
    let close = if view.attempts.is_empty() { soonest_back(ranking) } else { margin(ranking) };
    let sentences = [Some(full_sentence(&ranking.reason)), close];
    sentences.into_iter().flatten().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ")
}

/// When waiting would have helped.
fn soonest_back(ranking: &RankingView) -> Option<String> {
    let back = ranking.candidates.iter().filter(|one| one.cooldown_ms.is_some_and(|ms| ms > 0));
    let first = back.min_by_key(|one| one.cooldown_ms)?;
    let wait = i64::try_from(first.cooldown_ms?).unwrap_or(i64::MAX);
    Some(format!("{} was the next to be back, {} later.", first.account_name, time::span(wait)))
}

/// How far the runner-up was behind, when the policy gave scores.
fn margin(ranking: &RankingView) -> Option<String> {
    let at = |rank: u32| ranking.candidates.iter().find(|candidate| candidate.rank == Some(rank));
    let (first, second) = (at(1)?, at(2)?);
    let behind = first.score? - second.score?;
    if !behind.is_finite() {
        return None;
    }
    Some(if behind.abs() < 0.0005 {
        format!("{} scored the same and came second.", second.account_name)
    } else {
        format!("{} came second, {} behind.", second.account_name, number::score(behind))
    })
}

/// What the host did when the policy could not be used.
pub(crate) fn fallback_sentence(ranking: &RankingView) -> Option<String> {
    let error = ranking.fallback.as_deref()?;
    let policy = &ranking.policy.name;
    Some(format!("The policy {policy} failed ({}), so the built-in ranking decided.", words(error)))
}

/// Why a candidate has no place.
pub(crate) fn unranked_note(candidate: &CandidateView) -> Option<String> {
    if candidate.rank.is_some() {
        return None;
    }
    if let Some(why) = &candidate.why_not {
        return Some(why.clone());
    }
    Some(match (candidate.health.as_str(), candidate.cooldown_ms.filter(|ms| *ms > 0)) {
        (_, Some(ms)) => format!("cooling for {}", time::span(i64::try_from(ms).unwrap_or(i64::MAX))),
        ("healthy" | "degraded" | "probing", None) if candidate.in_flight >= candidate.max_concurrency => {
            "at its limit of running requests".to_owned()
        }
        ("healthy" | "degraded" | "probing", None) => "left out by the policy".to_owned(),
        (health, None) => words(health),
    })
}

/// The length of each candidate's score bar, 0.0 to 1.0, in the order given.
///
/// Scores of one sign are measured from zero, so that twice the score is twice the bar; mixed ones from the lowest.
pub(crate) fn score_bars(candidates: &[CandidateView]) -> Vec<Option<f64>> {
    let scores =
        || candidates.iter().filter_map(|candidate| candidate.score).filter(|score| score.is_finite());
    let lowest = scores().fold(f64::INFINITY, f64::min);
    let highest = scores().fold(f64::NEG_INFINITY, f64::max);
    let (from, to) =
        if lowest >= 0.0 { (0.0, highest) } else { (lowest - (highest - lowest) * 0.1, highest) };
    let bar = |score: f64| if to > from { ((score - from) / (to - from)).clamp(0.0, 1.0) } else { 1.0 };
    candidates.iter().map(|candidate| candidate.score.filter(|score| score.is_finite()).map(bar)).collect()
}

#[cfg(test)]
#[path = "decisions_tests.rs"]
mod tests;
