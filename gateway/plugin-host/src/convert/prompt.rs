//! Prompts on their way in, verdicts on their way back.

use gateway_core::hooks::{Edit, FilterOutcome, FilterVerdict, Hit, Insertion, PromptBody, Role};

use super::rejection_of;
use crate::bindings::{filtering, request_filter as wit};

/// Calls `deliver` with the prompt as a record.
pub(crate) fn with_body<R>(body: PromptBody<'_>, deliver: impl FnOnce(wit::Body<'_>) -> R) -> R {
    match body {
        PromptBody::Absent => deliver(wit::Body::Absent),
        PromptBody::RawJson(bytes) => deliver(wit::Body::RawJson(bytes)),
        PromptBody::Parts { parts, .. } => {
            let parts: Vec<_> = parts
                .iter()
                .map(|part| wit::TextPart {
                    part: part.part,
                    message: part.message,
                    role: role(part.role),
                    text: &part.text,
                })
                .collect();
            deliver(wit::Body::Parts(&parts))
        }
    }
}

fn role(of: Role) -> wit::Role {
    match of {
        Role::System => wit::Role::System,
        Role::Developer => wit::Role::Developer,
        Role::User => wit::Role::User,
        Role::Assistant => wit::Role::Assistant,
        Role::Tool => wit::Role::Tool,
    }
}

fn role_back(of: wit::Role) -> Role {
    match of {
        wit::Role::System => Role::System,
        wit::Role::Developer => Role::Developer,
        wit::Role::User => Role::User,
        wit::Role::Assistant => Role::Assistant,
        wit::Role::Tool => Role::Tool,
    }
}

pub(crate) fn outcome(answer: wit::Outcome) -> FilterOutcome {
    let verdict = match answer.verdict {
        wit::Verdict::Pass => FilterVerdict::Pass,
        wit::Verdict::Edits(edits) => FilterVerdict::Edits(edits.into_iter().map(edit).collect()),
        wit::Verdict::ReplaceRaw(bytes) => FilterVerdict::ReplaceRaw(bytes),
        wit::Verdict::Answer(text) => FilterVerdict::Answer(text),
        wit::Verdict::Refuse(rejection) => FilterVerdict::Refuse(rejection_of(rejection)),
    };
    FilterOutcome { verdict, carry: answer.carry, hits: hits(answer.hits) }
}

fn edit(of: wit::Edit) -> Edit {
    match of {
        wit::Edit::ReplaceText((part, text)) => Edit::ReplaceText { part, text },
        wit::Edit::RemoveMessage(at) => Edit::RemoveMessage(at),
        wit::Edit::Insert(insertion) => Edit::Insert(Insertion {
            before_message: insertion.before_message,
            role: role_back(insertion.role),
            text: insertion.text,
        }),
        wit::Edit::SetField(field) => Edit::SetField { name: field.name, value_json: field.value_json },
        wit::Edit::SetHeader((name, value)) => Edit::SetHeader { name, value },
        wit::Edit::SetTag((name, value)) => Edit::SetTag { name, value },
    }
}

pub(super) fn hits(of: Vec<filtering::Hit>) -> Vec<Hit> {
    of.into_iter().map(|hit| Hit { rule: hit.rule, score: hit.score, part: hit.part }).collect()
}
