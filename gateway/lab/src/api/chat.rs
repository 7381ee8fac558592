//! Chat completions: reading the messages, and rendering the answer as chunks or as one object.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Asked, ask, returned, said, text_of};
use crate::dialect::unnamed;
use crate::script::Reply;

/// Reads the messages and lets the "model" answer.
pub(crate) fn read(body: &Map<String, Value>, bytes: usize) -> Asked {
    let messages = body.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let input = messages.iter().map(|message| {
        let text = text_of(message.get("content"));
        match message.get("role").and_then(Value::as_str) {
            Some("tool") => returned(message.get("tool_call_id").unwrap_or(&Value::Null), &text),
            role => said(role.unwrap_or_default(), &text),
        }
    });
    let tools = body.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let tools = tools.iter().filter_map(|tool| {
        let kind = tool.get("type")?.as_str()?;
        Some(json!({"type": kind, "name": tool.get(kind)?.get("name")?}))
    });
    ask(body, bytes, input.collect(), tools.collect())
}

/// What every chunk and the whole object say about themselves.
struct Shell<'a> {
    id: &'a str,
    created: i64,
    asked: &'a Asked,
}

impl Shell<'_> {
    fn chunk(&self, choices: Value) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.id),
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.asked.model,
            "service_tier": "default",
            "system_fingerprint": "fp_lab",
            "choices": choices,
        })
    }

    /// `delta` comes first inside its choice, so that a delta is known by its beginning.
    fn delta(&self, delta: Value, finish_reason: Option<&str>) -> Bytes {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
        unnamed(&self.chunk(json!([choice])))
    }

    fn usage(&self) -> Value {
        let usage = self.asked.usage;
        json!({
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
        })
    }
}

/// The chunks, `[DONE]` last.
pub(crate) fn render(asked: &Asked, id: &str, created: i64, with_usage: bool) -> Vec<Bytes> {
    let shell = Shell { id, created, asked };
    let mut events = vec![shell.delta(json!({"role": "assistant", "content": "", "refusal": null}), None)];
    let finish = match &asked.turn.reply {
        Reply::Text(deltas) => {
            events.extend(deltas.iter().map(|delta| shell.delta(json!({"content": delta}), None)));
            "stop"
        }
        Reply::FunctionCall { name, arguments } => {
            let call = json!({"index": 0, "id": call_id(id), "type": "function", "function": {"name": name, "arguments": ""}});
            events.push(shell.delta(json!({"tool_calls": [call]}), None));
            let piece = json!({"index": 0, "function": {"arguments": arguments}});
            events.push(shell.delta(json!({"tool_calls": [piece]}), None));
            "tool_calls"
        }
        Reply::CustomCall { name, input } => {
            let call = json!({"index": 0, "id": call_id(id), "type": "custom", "custom": {"name": name, "input": input}});
            events.push(shell.delta(json!({"tool_calls": [call]}), None));
            "tool_calls"
        }
        Reply::Compaction | Reply::Image(_) => "stop",
    };
    events.push(shell.delta(json!({}), Some(finish)));
    if with_usage {
        let mut last = shell.chunk(json!([]));
        if let Some(fields) = last.as_object_mut() {
            fields.insert("usage".to_owned(), shell.usage());
        }
        events.push(unnamed(&last));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

/// The answer in one piece.
pub(crate) fn whole(asked: &Asked, id: &str, created: i64) -> Value {
    let shell = Shell { id, created, asked };
    let (message, finish) = match &asked.turn.reply {
        Reply::Text(deltas) => (json!({"content": deltas.concat()}), "stop"),
        Reply::FunctionCall { name, arguments } => {
            let call = json!({"id": call_id(id), "type": "function", "function": {"name": name, "arguments": arguments}});
            (json!({"content": null, "tool_calls": [call]}), "tool_calls")
        }
        Reply::CustomCall { name, input } => {
            let call = json!({"id": call_id(id), "type": "custom", "custom": {"name": name, "input": input}});
            (json!({"content": null, "tool_calls": [call]}), "tool_calls")
        }
        Reply::Compaction | Reply::Image(_) => (json!({"content": ""}), "stop"),
    };
    let mut message = message;
    if let Some(fields) = message.as_object_mut() {
        fields.insert("role".to_owned(), json!("assistant"));
        fields.insert("refusal".to_owned(), Value::Null);
        fields.insert("annotations".to_owned(), json!([]));
    }
    json!({
        "id": format!("chatcmpl-{id}"),
        "object": "chat.completion",
        "created": created,
        "model": asked.model,
        "service_tier": "default",
        "system_fingerprint": "fp_lab",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "usage": shell.usage(),
    })
}

fn call_id(id: &str) -> String {
    format!("call_{id}")
}
