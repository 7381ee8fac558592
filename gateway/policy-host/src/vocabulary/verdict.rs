//! What `rank` answers: `ranked(list)`, `wait_ms(n)`, `refuse(status, code, message)` or `delegate()`.

use gateway_scheduler::{Action, RankDecision, Rejection};
use rhai::{Engine, EvalAltResult, ImmutableString};

use super::{Candidates, complaint};

/// A decision in the making.
#[derive(Debug, Clone)]
pub(crate) struct Verdict(pub(crate) RankDecision);

impl Verdict {
    fn of(action: Action) -> Self {
        Self(RankDecision { action, scores: Vec::new(), reason: String::new() })
    }

    /// Best first. A list that nobody sorted keeps its order and has no scores.
    pub(crate) fn ranked(list: &Candidates) -> Self {
        if list.rows.is_empty() {
            return Self::of(Action::Delegate);
        }
        Self(RankDecision {
            action: Action::Ranked(list.accounts()),
            scores: list.scores_by_candidate(),
            reason: String::new(),
        })
    }
}

fn refuse(status: i64, code: &str, message: &str) -> Result<Verdict, Box<EvalAltResult>> {
    let http_status = u16::try_from(status).ok().filter(|status| (400..=599).contains(status));
    let http_status = http_status
        .ok_or_else(|| complaint(format!("a refusal needs a status from 400 to 599, not {status}")))?;
    Ok(Verdict::of(Action::Refuse(Rejection {
        http_status,
        code: code.to_owned(),
        message: message.to_owned(),
        retry_after_ms: None,
    })))
}

fn milliseconds(ms: i64) -> u32 {
    u32::try_from(ms.max(0)).unwrap_or(u32::MAX)
}

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Verdict>("Verdict")
        .register_fn("ranked", |list: Candidates| Verdict::ranked(&list))
        .register_fn("ranked", |list: Candidates, reason: ImmutableString| {
            let mut verdict = Verdict::ranked(&list);
            verdict.0.reason = reason.into();
            verdict
        })
        .register_fn("delegate", || Verdict::of(Action::Delegate))
        .register_fn("wait_ms", |ms: i64| Verdict::of(Action::WaitMs(milliseconds(ms))))
        .register_fn("refuse", |status: i64, code: ImmutableString, message: ImmutableString| {
            refuse(status, &code, &message)
        })
        .register_fn("retry_after_ms", |verdict: &mut Verdict, ms: i64| {
            let mut verdict = verdict.clone();
            if let Action::Refuse(rejection) = &mut verdict.0.action {
                rejection.retry_after_ms = Some(milliseconds(ms));
            }
            verdict
        })
        .register_fn("because", |verdict: &mut Verdict, reason: ImmutableString| {
            let mut verdict = verdict.clone();
            verdict.0.reason = reason.into();
            verdict
        });
}
