//! What the backend refuses in a `/codex/responses` body, as strictly as the real one does.
//! Refuses to repair anything: repairing is the gateway's work, and this is how its tests find out.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::catalogue;

/// Top-level fields that are part of the public API but not of this backend.
const UNSUPPORTED: [&str; 31] = [
    "max_output_tokens",
    "max_tokens",
    "max_completion_tokens",
    "max_tool_calls",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "n",
    "seed",
    "stop",
    "user",
    "logit_bias",
    "response_format",
    "serviceTier",
    "metadata",
    "messages",
    "stream_options",
    "reasoning_effort",
    "truncation",
    "context_management",
    "disable_response_storage",
    "verbosity",
    "prompt_cache_retention",
    "prompt_cache_options",
    "safety_identifier",
    "previous_response_id",
    "conversation",
    "background",
];

const TIERS: [&str; 5] = ["auto", "default", "flex", "priority", "ultrafast"];
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// A refusal: always status 400, in one of the two forms the backend uses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal(pub(crate) Value);

impl Refusal {
    fn detail(text: impl Into<String>) -> Self {
        Self(json!({"detail": text.into()}))
    }

    fn invalid(message: impl Into<String>, code: Option<&str>, param: Option<&str>) -> Self {
        Self(json!({"error": {
            "message": message.into(),
            "type": "invalid_request_error",
            "param": param,
            "code": code,
        }}))
    }
}

/// What the configuration adds to the fixed rules, for the account at hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strictness<'a> {
    pub(crate) require_instructions: bool,
    pub(crate) context_window: Option<u64>,
    /// The models of the account; empty means all.
    pub(crate) models: &'a [String],
    /// Encrypted reasoning must start with this.
    pub(crate) encrypted_prefix: Option<&'a str>,
}

type Checked = Result<(), Refusal>;

/// Checks a body; the object it is when it may run.
pub(crate) fn check(body: &[u8], strict: Strictness<'_>) -> Result<Map<String, Value>, Refusal> {
    let Ok(Value::Object(request)) = serde_json::from_slice(body) else {
        return Err(Refusal::detail("Invalid JSON body"));
    };
    if let Some(field) = UNSUPPORTED.iter().find(|field| request.contains_key(**field)) {
        return Err(Refusal::detail(format!("Unsupported parameter: {field}")));
    }
    check_switches(&request, strict)?;
    check_model(&request, strict)?;
    check_options(&request)?;
    check_tools(&request)?;
    let Some(Value::Array(input)) = request.get("input") else {
        return Err(Refusal::detail("Input must be a list"));
    };
    for (index, item) in input.iter().enumerate() {
        check_item(index, item, strict)?;
    }
    check_pairs(input)?;
    let tokens = body.len() as u64 / 4;
    if strict.context_window.is_some_and(|window| tokens > window) {
        let text =
            "Your input exceeds the context window of this model. Please adjust your input and try again.";
        return Err(Refusal::invalid(text, Some("context_length_exceeded"), Some("input")));
    }
    Ok(request)
}

fn check_switches(request: &Map<String, Value>, strict: Strictness<'_>) -> Checked {
    if request.get("store") != Some(&Value::Bool(false)) {
        return Err(Refusal::detail("Store must be set to false"));
    }
    if request.get("stream") != Some(&Value::Bool(true)) {
        return Err(Refusal::detail("Stream must be set to true"));
    }
    match request.get("instructions") {
        Some(Value::String(_)) => Ok(()),
        None | Some(Value::Null) if !strict.require_instructions => Ok(()),
        None | Some(Value::Null) => Err(Refusal::detail("Instructions are required")),
        Some(_) => Err(Refusal::detail("Instructions must be a string")),
    }
}

fn check_model(request: &Map<String, Value>, strict: Strictness<'_>) -> Checked {
    let Some(model) = request.get("model").and_then(Value::as_str) else {
        return Err(Refusal::invalid(
            "Missing required parameter: 'model'.",
            Some("missing_required_parameter"),
            Some("model"),
        ));
    };
    let allowed = strict.models.is_empty() || strict.models.iter().any(|name| name == model);
    if catalogue::knows(model) && allowed {
        return Ok(());
    }
    let text = format!("The '{model}' model is not supported when using Codex with a ChatGPT account.");
    Err(Refusal::invalid(text, None, None))
}

fn check_options(request: &Map<String, Value>) -> Checked {
    match request.get("service_tier") {
        None | Some(Value::Null) => {}
        Some(Value::String(tier)) if TIERS.contains(&tier.as_str()) => {}
        Some(other) => {
            let tier = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            return Err(Refusal::detail(format!("Unsupported service_tier: {tier}")));
        }
    }
    let effort = request.get("reasoning").and_then(|r| r.get("effort")).and_then(Value::as_str);
    if let Some(effort) = effort.filter(|effort| !EFFORTS.contains(effort)) {
        let text = format!("Unsupported value: '{effort}' is not supported with this model.");
        return Err(Refusal::invalid(text, Some("unsupported_value"), Some("reasoning.effort")));
    }
    Ok(())
}

fn check_tools(request: &Map<String, Value>) -> Checked {
    let tools = match request.get("tools") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(tools)) => tools,
        Some(_) => return Err(Refusal::detail("Tools must be a list")),
    };
    for (index, tool) in tools.iter().enumerate() {
        let kind = tool.get("type").and_then(Value::as_str);
        let Some(kind) = kind else {
            return Err(missing(&format!("tools[{index}].type")));
        };
        // The chat shape keeps the name one level down; here that is a nameless tool.
        if matches!(kind, "function" | "custom") && tool.get("name").and_then(Value::as_str).is_none() {
            return Err(missing(&format!("tools[{index}].name")));
        }
    }
    Ok(())
}

fn missing(param: &str) -> Refusal {
    let text = format!("Missing required parameter: '{param}'.");
    Refusal::invalid(text, Some("missing_required_parameter"), Some(param))
}

fn invalid_value(param: &str, value: &str) -> Refusal {
    let text = format!("Invalid value: '{value}' for '{param}'.");
    Refusal::invalid(text, Some("invalid_value"), Some(param))
}

fn check_item(index: usize, item: &Value, strict: Strictness<'_>) -> Checked {
    let Some(fields) = item.as_object() else {
        return Err(invalid_value(&format!("input[{index}]"), &item.to_string()));
    };
    let kind = match fields.get("type").and_then(Value::as_str) {
        Some(kind) => kind,
        None if fields.contains_key("role") => "message",
        None => return Err(missing(&format!("input[{index}].type"))),
    };
    match kind {
        "message" => check_message(index, fields),
        "function_call" if !fields.get("arguments").is_some_and(Value::is_string) => {
            Err(missing(&format!("input[{index}].arguments")))
        }
        "reasoning" | "compaction" | "compaction_summary" => check_sealed(fields, strict),
        _ => Ok(()),
    }
}

fn check_message(index: usize, fields: &Map<String, Value>) -> Checked {
    let role = fields.get("role").and_then(Value::as_str).unwrap_or_default();
    let text_type = match role {
        "system" => return Err(Refusal::detail("System messages are not allowed")),
        "user" | "developer" => "input_text",
        "assistant" => "output_text",
        other => return Err(invalid_value(&format!("input[{index}].role"), other)),
    };
    let parts = match fields.get("content") {
        Some(Value::String(_)) => return Ok(()),
        Some(Value::Array(parts)) => parts,
        _ => return Err(missing(&format!("input[{index}].content"))),
    };
    for (part, value) in parts.iter().enumerate() {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        let fits = match kind {
            "input_text" | "output_text" => kind == text_type,
            "input_image" | "input_file" | "input_audio" => text_type == "input_text",
            "refusal" => text_type == "output_text",
            _ => false,
        };
        if !fits {
            return Err(invalid_value(&format!("input[{index}].content[{part}].type"), kind));
        }
    }
    Ok(())
}

fn check_sealed(fields: &Map<String, Value>, strict: Strictness<'_>) -> Checked {
    let (Some(prefix), Some(text)) =
        (strict.encrypted_prefix, fields.get("encrypted_content").and_then(Value::as_str))
    else {
        return Ok(());
    };
    if text.starts_with(prefix) {
        return Ok(());
    }
    Err(Refusal::invalid(
        "The encrypted content could not be verified.",
        Some("invalid_encrypted_content"),
        None,
    ))
}

/// Every call needs its output and every output its call: nothing is stored, so the history must be whole.
fn check_pairs(input: &[Value]) -> Checked {
    let ids = |wanted: fn(&str) -> bool| -> Vec<(&str, &str)> {
        let found = input.iter().filter_map(|item| {
            let kind = item.get("type").and_then(Value::as_str).filter(|kind| wanted(kind))?;
            Some((kind, item.get("call_id").and_then(Value::as_str).unwrap_or_default()))
        });
        found.collect()
    };
    let calls = ids(|kind| matches!(kind, "function_call" | "custom_tool_call"));
    let outputs = ids(|kind| matches!(kind, "function_call_output" | "custom_tool_call_output"));
    let answered: HashSet<&str> = outputs.iter().map(|(_, id)| *id).collect();
    let called: HashSet<&str> = calls.iter().map(|(_, id)| *id).collect();
    let words = |kind: &str| kind.trim_end_matches("_output").replace('_', " ");
    if let Some((kind, id)) = calls.iter().find(|(_, id)| !answered.contains(id)) {
        let text = format!("No tool output found for {} {id}.", words(kind));
        return Err(Refusal::invalid(text, None, Some("input")));
    }
    if let Some((kind, id)) = outputs.iter().find(|(_, id)| !called.contains(id)) {
        let text = format!("No tool call found for {} output with call_id {id}.", words(kind));
        return Err(Refusal::invalid(text, None, Some("input")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
