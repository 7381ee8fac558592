//! What `rank` answers: `ranked(list)`, `wait_ms(n)`, `refuse(status, code, message)` or `delegate()`.

use gateway_scheduler::{Action, RankDecision, Rejection};
use rhai::{EvalAltResult, ImmutableString};

use super::book::{Book, say};
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

impl Verdict {
    fn because(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.0.reason);
        self
    }

    fn retry_after(&self, ms: u32) -> Self {
        let mut verdict = self.clone();
        if let Action::Refuse(rejection) = &mut verdict.0.action {
            rejection.retry_after_ms = Some(ms);
        }
        verdict
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

pub(super) fn register(book: &mut Book) {
    book.engine.register_type_with_name::<Verdict>("Verdict");
    say!(book, Function, "Answers";
        "ranked(list: Candidates) -> Verdict" "try these, best first; a bare list is short for it; an empty one delegates"
            => |list: Candidates| Verdict::ranked(&list);
        "ranked(list: Candidates, reason: String) -> Verdict" "the same with a sentence for the person who asks why"
            => |list: Candidates, reason: ImmutableString| Verdict::ranked(&list).because(&reason);
        "delegate() -> Verdict" "no opinion: the built-in ranking decides" => || Verdict::of(Action::Delegate);
        "wait_ms(ms: int) -> Verdict" "nobody suits now: ask again then"
            => |ms: i64| Verdict::of(Action::WaitMs(milliseconds(ms)));
        "refuse(status: int, code: String, message: String) -> Verdict" "refuse the request"
            => |status: i64, code: ImmutableString, message: ImmutableString| refuse(status, &code, &message);
    );
    say!(book, Method, "Verdict";
        "retry_after_ms(ms: int) -> Verdict" "a refusal that says when to come back"
            => |verdict: &mut Verdict, ms: i64| verdict.retry_after(milliseconds(ms));
        "because(reason: String) -> Verdict" "one sentence for the person who asks why"
            => |verdict: &mut Verdict, reason: ImmutableString| verdict.clone().because(&reason);
    );
}
