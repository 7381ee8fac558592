//! A policy proposes, the host disposes: what a policy answered is checked before anything is sent.

use crate::{AccountRef, Action, Candidate, PolicyError, RankDecision, RankInput, Rejection};

/// The longest a policy may park a request before it is asked again, in milliseconds.
pub const MAX_WAIT_MS: u32 = 10_000;
/// The longest reason kept, in bytes.
pub const MAX_REASON_BYTES: usize = 256;

/// Makes an answer safe to carry out: unusable, unknown, tried and repeated accounts are dropped, waits and
/// texts are clamped. An answer that names only unusable accounts becomes `Delegate`.
///
/// # Errors
/// The answer contradicts the contract (scores of another length, a status that is no error); this counts as a
/// failure of the policy.
pub fn validate(input: &RankInput, mut decision: RankDecision) -> Result<RankDecision, PolicyError> {
    if !decision.scores.is_empty() && decision.scores.len() != input.candidates.len() {
        return Err(PolicyError::InvalidOutput(format!(
            "{} scores for {} candidates",
            decision.scores.len(),
            input.candidates.len()
        )));
    }
    truncate(&mut decision.reason, MAX_REASON_BYTES);
    decision.action = match decision.action {
        Action::Ranked(ranked) => usable_only(input, ranked),
        Action::WaitMs(ms) => Action::WaitMs(ms.clamp(1, MAX_WAIT_MS)),
        Action::Refuse(rejection) => Action::Refuse(checked(rejection)?),
        Action::Delegate => Action::Delegate,
    };
    Ok(decision)
}

fn usable_only(input: &RankInput, ranked: Vec<AccountRef>) -> Action {
    let mut kept: Vec<AccountRef> = Vec::with_capacity(ranked.len().min(input.candidates.len()));
    for account in ranked {
        // Refs come from the same list in the same order most of the time, so the search is short.
        let usable = find(&input.candidates, account).is_some_and(|candidate| {
            candidate.health.is_usable() && candidate.in_flight < candidate.max_concurrency
        });
        if usable && !input.tried.contains(&account) && !kept.contains(&account) {
            kept.push(account);
        }
        if kept.len() == MAX_KEPT {
            break;
        }
    }
    if kept.is_empty() { Action::Delegate } else { Action::Ranked(kept) }
}

/// More places than any request may try; a longer ranking is only for show.
const MAX_KEPT: usize = 16;

fn find(candidates: &[Candidate], account: AccountRef) -> Option<&Candidate> {
    candidates
        .binary_search_by_key(&account, |candidate| candidate.account)
        .ok()
        .and_then(|at| candidates.get(at))
}

fn checked(mut rejection: Rejection) -> Result<Rejection, PolicyError> {
    if !(400..=599).contains(&rejection.http_status) {
        return Err(PolicyError::InvalidOutput(format!("refused with status {}", rejection.http_status)));
    }
    truncate(&mut rejection.code, 64);
    truncate(&mut rejection.message, 1024);
    Ok(rejection)
}

fn truncate(text: &mut String, max: usize) {
    if text.len() > max {
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
}
