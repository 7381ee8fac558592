//! A whole responses answer, read and written; the response object that lifecycle events carry is the same.

use serde_json::{Value, json};

use super::decode_stream::Decoder;
use super::events::WireResponse;
use super::output::{done, item_id, usage};
use crate::openai;
use crate::turn::{AnswerContext, ErrorReport, StopReason, TurnAnswer, TurnError, TurnEvent};

/// How a response stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete(&'static str),
    Failed(ErrorReport),
}

impl Status {
    /// Where an answer stands at its end.
    pub(super) fn of(answer: &TurnAnswer) -> Self {
        match &answer.stop {
            Some(StopReason::Length) | None => Self::Incomplete("max_output_tokens"),
            Some(StopReason::ContentFilter) => Self::Incomplete("content_filter"),
            // Not all was said; the dialect has no word for a pause.
            Some(StopReason::Pause) => Self::Incomplete("pause_turn"),
            Some(
                StopReason::Stop
                | StopReason::ToolCalls
                | StopReason::StopSequence(_)
                | StopReason::Unknown(_),
            ) => Self::Completed,
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(_) => "failed",
        }
    }
}

/// Reads an answer as the terminal event it would be in a stream.
pub(super) fn decode(body: &[u8], out: &mut Vec<TurnEvent>) -> Result<(), TurnError> {
    let response: WireResponse<'_> =
        serde_json::from_slice(body).map_err(|error| TurnError::BadAnswer(error.to_string()))?;
    if response.status.is_none() {
        return Err(TurnError::BadAnswer("it has no status".to_owned()));
    }
    Decoder::default().terminal(response, out);
    Ok(())
}

/// Writes an answer.
pub(super) fn encode(answer: &TurnAnswer, context: &AnswerContext) -> Vec<u8> {
    response(answer, context, &Status::of(answer)).to_string().into_bytes()
}

/// The response object. Members that repeat the request hold what the API says for one that set nothing: parsers
/// demand some of them, and nobody may mistake ours for the caller's.
pub(super) fn response(answer: &TurnAnswer, context: &AnswerContext, status: &Status) -> Value {
    let started = &answer.started;
    let created = started.created.unwrap_or(context.now);
    let (error, details) = match status {
        Status::Failed(report) => {
            (json!({ "code": openai::stream_code(report), "message": report.message }), Value::Null)
        }
        Status::Incomplete(reason) => (Value::Null, json!({ "reason": reason })),
        Status::InProgress | Status::Completed => (Value::Null, Value::Null),
    };
    let tail = openai::id_tail(&started.id, &context.fallback_id);
    // What failed has said nothing that counts.
    let is_told = matches!(status, Status::Completed | Status::Incomplete(_));
    let blocks = answer.blocks.iter().enumerate().filter(|_| is_told);
    let output: Vec<Value> =
        blocks.filter_map(|(nth, block)| done(block, &item_id(block, tail, nth))).collect();
    let model = if context.model.is_empty() { &started.model } else { &context.model };
    json!({
        "id": openai::answer_id("resp_", &started.id, &context.fallback_id),
        "object": "response",
        "created_at": created,
        "status": status.word(),
        "background": false,
        "error": error,
        "incomplete_details": details,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": { "effort": null, "summary": null },
        "service_tier": started.service_tier,
        "store": false,
        "temperature": null,
        "text": { "format": { "type": "text" } },
        "tool_choice": "auto",
        "tools": [],
        "top_p": null,
        "truncation": "disabled",
        "usage": answer.usage.map(usage),
        "user": null,
    })
}
