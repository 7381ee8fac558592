//! The APIs that take keys: who may ask, which models there are, and how a request in either shape becomes what the lab's
//! "model" reads. Refuses to keep accounts: a key is good or it is not.

pub(crate) mod chat;
pub(crate) mod messages;

use serde_json::{Map, Value, json};

use crate::catalogue;
use crate::config::LabApi;
use crate::events::Usage;
use crate::exchange::Arrived;
use crate::script::{self, Turn};

/// The Claude models of the lab.
pub(crate) const CLAUDE_MODELS: [&str; 2] = ["claude-lab-sonnet", "claude-lab-haiku"];

/// Whether the request may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Granted,
    /// No key at all.
    Missing,
    /// A key nobody knows.
    Wrong,
}

/// Checks the bearer of an OpenAI-shaped route.
pub(crate) fn openai_access(api: &LabApi, arrived: &Arrived) -> Access {
    let bearer = arrived.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    access(&api.openai_keys, bearer)
}

/// Checks `x-api-key`, or the bearer, which servers that resemble Anthropic take as well.
pub(crate) fn anthropic_access(api: &LabApi, arrived: &Arrived) -> Access {
    match arrived.header("x-api-key") {
        Some(key) => access(&api.anthropic_keys, Some(key)),
        None if arrived.header("authorization").is_some() => openai_access(api, arrived),
        None => access(&api.anthropic_keys, None),
    }
}

fn access(keys: &[String], key: Option<&str>) -> Access {
    match key {
        _ if keys.is_empty() => Access::Granted,
        None | Some("") => Access::Missing,
        Some(key) if keys.iter().any(|good| good == key) => Access::Granted,
        Some(_) => Access::Wrong,
    }
}

/// Whether there is a model of this name.
pub(crate) fn knows(api: &LabApi, model: &str) -> bool {
    catalogue::knows(model) || CLAUDE_MODELS.contains(&model) || api.models.iter().any(|one| one == model)
}

/// A request after its shape was read.
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) turn: Turn,
    pub(crate) usage: Usage,
}

/// Lets the "model" answer: `input` and `tools` are in the shape of Responses.
pub(crate) fn ask(body: &Map<String, Value>, bytes: usize, input: Vec<Value>, tools: Vec<Value>) -> Asked {
    let request = json!({"input": input, "tools": tools});
    let turn = script::answer(request.as_object().unwrap_or(body));
    let usage = Usage {
        input: (bytes as u64).div_ceil(4),
        cached: 0,
        output: crate::events::tokens_of(&turn.reply),
        reasoning: 0,
    };
    Asked {
        model: body.get("model").and_then(Value::as_str).unwrap_or_default().to_owned(),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        turn,
        usage,
    }
}

/// The text of a content that is a string or a list of parts.
pub(crate) fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// A message as the "model" reads it.
pub(crate) fn said(role: &str, text: &str) -> Value {
    json!({"role": role, "content": [{"type": "input_text", "text": text}]})
}

/// A tool's output as the "model" reads it.
pub(crate) fn returned(call_id: &Value, output: &str) -> Value {
    json!({"type": "function_call_output", "call_id": call_id, "output": output})
}
