//! Where texts of an answer are told, and told once more: deltas, the events that repeat them, the last event, and the
//! answer that came whole. The only place here that knows where each dialect puts them.

use gateway_domain::TokenUsage;

use super::splice::{elements, members, number_member, text_member};
use super::{Place, TextKind};
use crate::json::Members;
use crate::turn::{Dialect, Usage};

/// The text that a delta of a Responses stream belongs to.
pub(super) fn delta_place(kind: &str, index: u32, fields: &Members<'_>) -> Option<Place> {
    let (stem, what) = kind.strip_prefix("response.")?.rsplit_once('.')?;
    (what == "delta").then(|| streamed_place(stem, index, fields)).flatten()
}

fn streamed_place(stem: &str, index: u32, fields: &Members<'_>) -> Option<Place> {
    let (kind, counted_by) = match stem {
        "output_text" | "refusal" => (TextKind::Answer, "content_index"),
        "reasoning_summary_text" => (TextKind::Thinking, "summary_index"),
        "reasoning_text" => (TextKind::Chain, "content_index"),
        "function_call_arguments" | "custom_tool_call_input" | "mcp_call_arguments" => {
            return Some(Place { kind: TextKind::Arguments, choice: index, part: 0 });
        }
        _ => return None,
    };
    Some(Place { kind, choice: index, part: number_member(fields, counted_by).unwrap_or(0) })
}

/// Whether an event of a Responses stream repeats texts or the model's name.
pub(super) fn repeats(kind: &str) -> bool {
    kind.ends_with(".done") || matches!(kind, "response.in_progress" | "response.queued")
}

/// The texts that an event repeats, each with its JSON as it stands in the data.
pub(super) fn literals(dialect: Dialect, data: &str) -> Vec<(Place, &str)> {
    if dialect != Dialect::OpenAiResponses {
        // The other streams tell every text once.
        return Vec::new();
    }
    let fields = members(data);
    let kind = text_member(&fields, "type").unwrap_or_default();
    let index = number_member(&fields, "output_index").unwrap_or(0);
    let mut found = Vec::new();
    match kind.as_str() {
        "response.output_item.done" => {
            if let Some(item) = fields.borrowed("item") {
                item_literals(item, index, &mut found);
            }
        }
        "response.content_part.done" | "response.reasoning_summary_part.done" => {
            let part = fields.borrowed("part").map(members).unwrap_or_default();
            let (of, counted_by) = if kind.contains("summary") {
                (TextKind::Thinking, "summary_index")
            } else if text_member(&part, "type").as_deref() == Some("reasoning_text") {
                (TextKind::Chain, "content_index")
            } else {
                (TextKind::Answer, "content_index")
            };
            let place =
                Place { kind: of, choice: index, part: number_member(&fields, counted_by).unwrap_or(0) };
            found.extend(text_of_part(&part).map(|literal| (place, literal)));
        }
        "response.completed" | "response.done" | "response.incomplete" | "response.failed" => {
            if let Some(response) = fields.borrowed("response") {
                found = response_literals(response);
            }
        }
        kind => {
            let stem = kind.strip_prefix("response.").and_then(|kind| kind.strip_suffix(".done"));
            if let Some(place) = stem.and_then(|stem| streamed_place(stem, index, &fields)) {
                let member = ["text", "refusal", "arguments", "input"];
                let literal = member.into_iter().find_map(|name| fields.borrowed(name));
                found.extend(literal.map(|literal| (place, literal)));
            }
        }
    }
    found
}

/// The texts of a response object.
pub(super) fn response_literals(response: &str) -> Vec<(Place, &str)> {
    let mut found = Vec::new();
    let output = members(response).borrowed("output").map(elements).unwrap_or_default();
    for (index, item) in (0..).zip(output) {
        item_literals(item, index, &mut found);
    }
    found
}

fn item_literals<'a>(item: &'a str, index: u32, found: &mut Vec<(Place, &'a str)>) {
    let fields = members(item);
    let kind = text_member(&fields, "type").unwrap_or_default();
    let content = if kind == "reasoning" { TextKind::Chain } else { TextKind::Answer };
    for (list, of) in [("content", content), ("summary", TextKind::Thinking)] {
        for (part, one) in (0..).zip(fields.borrowed(list).map(elements).unwrap_or_default()) {
            let literal = text_of_part(&members(one));
            found.extend(literal.map(|literal| (Place { kind: of, choice: index, part }, literal)));
        }
    }
    if kind.ends_with("_call") {
        let literal = fields.borrowed("arguments").or_else(|| fields.borrowed("input"));
        let literal = literal.filter(|literal| literal.starts_with('"'));
        found.extend(literal.map(|one| (Place { kind: TextKind::Arguments, choice: index, part: 0 }, one)));
    }
}

fn text_of_part<'a>(part: &Members<'a>) -> Option<&'a str> {
    part.borrowed("text").or_else(|| part.borrowed("refusal"))
}

/// The texts of a whole answer.
pub(super) fn answer_literals(dialect: Dialect, answer: &str) -> Vec<(Place, &str)> {
    let fields = members(answer);
    let list = |name: &str| fields.borrowed(name).map(elements).unwrap_or_default();
    let mut found = Vec::new();
    match dialect {
        Dialect::OpenAiResponses => return response_literals(answer),
        Dialect::OpenAiChat => {
            for (at, choice) in (0..).zip(list("choices")) {
                let choice = members(choice);
                let choice_at = number_member(&choice, "index").unwrap_or(at);
                let message = choice.borrowed("message").map(members).unwrap_or_default();
                chat_message_literals(&message, choice_at, &mut found);
            }
        }
        Dialect::AnthropicMessages => {
            for (choice, block) in (0..).zip(list("content")) {
                let block = members(block);
                for (name, kind) in [
                    ("text", TextKind::Answer),
                    ("thinking", TextKind::Thinking),
                    ("input", TextKind::Arguments),
                ] {
                    let literal = block.borrowed(name);
                    found.extend(literal.map(|literal| (Place { kind, choice, part: 0 }, literal)));
                }
            }
        }
    }
    found
}

fn chat_message_literals<'a>(message: &Members<'a>, choice: u32, found: &mut Vec<(Place, &'a str)>) {
    for (name, kind) in [
        ("reasoning_content", TextKind::Thinking),
        ("content", TextKind::Answer),
        ("refusal", TextKind::Answer),
    ] {
        let literal = message.borrowed(name).filter(|literal| literal.starts_with('"'));
        found.extend(literal.map(|literal| (Place { kind, choice, part: 0 }, literal)));
    }
    for (part, call) in (0..).zip(message.borrowed("tool_calls").map(elements).unwrap_or_default()) {
        let call = members(call);
        let inner =
            call.borrowed("function").or_else(|| call.borrowed("custom")).map(members).unwrap_or_default();
        let literal = inner.borrowed("arguments").or_else(|| inner.borrowed("input"));
        found.extend(literal.map(|one| (Place { kind: TextKind::Arguments, choice, part }, one)));
    }
}

/// The model's name as an event or an answer tells it.
pub(super) fn model_of(dialect: Dialect, data: &str) -> Option<&str> {
    let fields = members(data);
    let around = match dialect {
        Dialect::OpenAiResponses => "response",
        Dialect::AnthropicMessages => "message",
        Dialect::OpenAiChat => return fields.borrowed("model"),
    };
    // A whole answer has it at its top.
    match fields.borrowed(around) {
        Some(inner) => members(inner).borrowed("model"),
        None => fields.borrowed("model"),
    }
}

/// Why a Responses stream ended.
pub(super) fn response_stop(kind: &str, response: &Members<'_>) -> String {
    if kind != "response.incomplete" {
        return if kind == "response.failed" { "failed" } else { "stop" }.to_owned();
    }
    let details = response.get("incomplete_details").map(members).unwrap_or_default();
    text_member(&details, "reason").unwrap_or_else(|| "incomplete".to_owned())
}

pub(super) fn response_usage(usage: &str) -> Option<TokenUsage> {
    let fields = members(usage);
    let count = |of: &Members<'_>, name: &str| -> u64 {
        of.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let inner = |name: &str| fields.get(name).map(members).unwrap_or_default();
    fields.get("output_tokens")?;
    Some(TokenUsage {
        input: count(&fields, "input_tokens"),
        input_cached: count(&inner("input_tokens_details"), "cached_tokens"),
        output: count(&fields, "output_tokens"),
        reasoning: count(&inner("output_tokens_details"), "reasoning_tokens"),
    })
}

pub(super) fn chat_usage(usage: &str) -> Option<TokenUsage> {
    let read: crate::chat::WireUsage = serde_json::from_str(usage).ok()?;
    Some(Usage::from(read).into())
}

pub(super) fn message_usage(usage: &str) -> Option<TokenUsage> {
    let fields = members(usage);
    let count = |name: &str| -> u64 { fields.get(name).and_then(|value| value.parse().ok()).unwrap_or(0) };
    fields.get("output_tokens")?;
    let cached = count("cache_read_input_tokens");
    Some(TokenUsage {
        input: count("input_tokens") + cached + count("cache_creation_input_tokens"),
        input_cached: cached,
        output: count("output_tokens"),
        reasoning: 0,
    })
}

/// The tokens of a whole answer.
pub(super) fn answer_usage(dialect: Dialect, answer: &str) -> Option<TokenUsage> {
    let fields = members(answer);
    let usage = fields.get("usage")?;
    match dialect {
        Dialect::OpenAiResponses => response_usage(usage),
        Dialect::OpenAiChat => chat_usage(usage),
        Dialect::AnthropicMessages => message_usage(usage),
    }
}
