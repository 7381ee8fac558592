//! A policy proposes, the host disposes: what a policy answered is checked before anything is sent.

use crate::order::apply_operator_order;
use crate::{Action, PolicyError, RankDecision, RankInput, Rejection};

/// The longest a policy may park a request before it is asked again, in milliseconds.
pub const MAX_WAIT_MS: u32 = 10_000;
/// The longest reason kept, in bytes.
pub const MAX_REASON_BYTES: usize = 256;
/// Kept free in a policy's reason for what the host adds.
const ROOM_FOR_HOST: usize = 96;

/// Makes an answer safe to carry out: unusable, unknown, tried and repeated accounts are dropped, waits and texts are
/// clamped, and what is left stands in the order that holds for every policy ([`apply_operator_order`]). An answer that
/// names only unusable accounts becomes `Delegate`.
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
    truncate(&mut decision.reason, MAX_REASON_BYTES - ROOM_FOR_HOST);
    decision.action = match decision.action {
        Action::WaitMs(ms) => Action::WaitMs(ms.clamp(1, MAX_WAIT_MS)),
        Action::Refuse(rejection) => Action::Refuse(checked(rejection)?),
        ranked @ (Action::Ranked(_) | Action::Delegate) => ranked,
    };
    Ok(apply_operator_order(input, decision))
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
