//! Events on their way in, steps on their way back.

use gateway_core::hooks::{Batch, Emission, Step, StreamEvent, TextDelta, ToolDelta};

use super::{prompt, rejection_of, tokens};
use crate::bindings::response_filter as wit;

pub(crate) fn event<'a>(of: &StreamEvent<'a>) -> wit::StreamEvent<'a> {
    match *of {
        StreamEvent::Start => wit::StreamEvent::Start,
        StreamEvent::Text(delta) => wit::StreamEvent::Text(text(delta)),
        StreamEvent::Reasoning(delta) => wit::StreamEvent::Reasoning(text(delta)),
        StreamEvent::ToolCall(delta) => wit::StreamEvent::ToolCall(tool(delta)),
        StreamEvent::Usage(usage) => wit::StreamEvent::Usage(tokens(usage)),
        StreamEvent::Stop(reason) => wit::StreamEvent::Stop(reason),
        StreamEvent::Raw(raw) => wit::StreamEvent::Raw(wit::RawEvent { event: raw.event, data: raw.data }),
    }
}

fn text(of: TextDelta<'_>) -> wit::TextDeltaParam<'_> {
    wit::TextDeltaParam { choice: of.choice, text: of.text }
}

fn tool(of: ToolDelta<'_>) -> wit::ToolDeltaParam<'_> {
    wit::ToolDeltaParam { choice: of.choice, call: of.call, name: of.name, arguments: of.arguments }
}

pub(crate) fn batch(answer: wit::BatchResult) -> Batch {
    Batch {
        steps: answer.steps.into_iter().map(step).collect(),
        carry: answer.carry,
        hits: prompt::hits(answer.hits),
    }
}

fn step(of: wit::Step) -> Step {
    match of {
        wit::Step::Pass => Step::Pass,
        wit::Step::Discard => Step::Discard,
        wit::Step::Hold => Step::Hold,
        wit::Step::Replace(all) => Step::Replace(all.into_iter().map(emission).collect()),
        wit::Step::InsteadOfHeld(all) => Step::InsteadOfHeld(all.into_iter().map(emission).collect()),
        wit::Step::ReplaceAndHold(partial) => Step::ReplaceAndHold {
            send: partial.send.into_iter().map(emission).collect(),
            hold: emission(partial.hold),
        },
        wit::Step::Finish(reason) => Step::Finish(reason),
        wit::Step::Abort(rejection) => Step::Abort(rejection_of(rejection)),
    }
}

fn emission(of: wit::Emission) -> Emission {
    match of {
        wit::Emission::Text(delta) => Emission::Text { choice: delta.choice, text: delta.text },
        wit::Emission::Reasoning(delta) => Emission::Reasoning { choice: delta.choice, text: delta.text },
        wit::Emission::ToolCall(delta) => Emission::ToolCall {
            choice: delta.choice,
            call: delta.call,
            name: delta.name,
            arguments: delta.arguments,
        },
    }
}
