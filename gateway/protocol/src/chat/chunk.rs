//! What a chunk and a whole answer have in common: usage, finish reasons, ids.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::turn::{AnswerContext, Started, StopReason, Usage};

#[derive(Deserialize)]
pub(crate) struct WireUsage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        Self {
            input: wire.prompt_tokens,
            input_cached: wire.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0),
            cache_creation: 0,
            output: wire.completion_tokens,
            reasoning: wire
                .completion_tokens_details
                .and_then(|details| details.reasoning_tokens)
                .unwrap_or(0),
        }
    }
}

pub(super) fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "prompt_tokens_details": { "cached_tokens": usage.input_cached },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning },
    })
}

/// Some servers say `stop` after tool calls; clients go by the reason.
pub(super) fn stop_reason(word: &str, has_calls: bool) -> StopReason {
    match word {
        "stop" | "end_turn" if has_calls => StopReason::ToolCalls,
        "stop" | "end_turn" => StopReason::Stop,
        "length" => StopReason::Length,
        "tool_calls" | "function_call" => StopReason::ToolCalls,
        "content_filter" => StopReason::ContentFilter,
        other => StopReason::Unknown(other.to_owned()),
    }
}

/// The finish reason. A pause is told as `length`: the answer is not complete, and clients know no other word for it.
pub(super) fn finish_reason(stop: &StopReason) -> &str {
    match stop {
        StopReason::Stop | StopReason::StopSequence(_) | StopReason::Unknown(_) => "stop",
        StopReason::Length | StopReason::Pause => "length",
        StopReason::ToolCalls => "tool_calls",
        StopReason::ContentFilter => "content_filter",
    }
}

/// What every chunk repeats.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
}

impl Head {
    pub(super) fn new(started: &Started, context: &AnswerContext) -> Self {
        let id = crate::openai::answer_id("chatcmpl-", &started.id, &context.fallback_id);
        let model = if context.model.is_empty() { &started.model } else { &context.model };
        Self { id, created: started.created.unwrap_or(context.now), model: model.clone() }
    }
}
