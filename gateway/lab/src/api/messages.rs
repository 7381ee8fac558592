//! Anthropic messages: reading the blocks, and rendering the answer as events or as one object.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Asked, ask, returned, said, text_of};
use crate::dialect::named;
use crate::script::Reply;

/// What is thought, whatever was asked.
const THOUGHT: &str = "The user wants an answer.";
/// How this API's signatures begin; the rest is opaque.
const SIGNATURE: &str = "EqLab";

/// Whether thinking was asked for.
pub(crate) fn asks_to_think(body: &Map<String, Value>) -> bool {
    let kind = body.get("thinking").and_then(|thinking| thinking.get("type")).and_then(Value::as_str);
    kind.is_some_and(|kind| kind != "disabled")
}

/// Where the first thinking is that this API did not sign.
pub(crate) fn signed_elsewhere(body: &Map<String, Value>) -> Option<String> {
    let messages = body.get("messages")?.as_array()?;
    messages.iter().enumerate().find_map(|(nth, message)| {
        let blocks = message.get("content")?.as_array()?;
        let foreign = |block: &Value| {
            let is_thinking = block.get("type").and_then(Value::as_str) == Some("thinking");
            let signature = block.get("signature").and_then(Value::as_str).unwrap_or_default();
            is_thinking && !signature.starts_with(SIGNATURE)
        };
        let at = blocks.iter().position(foreign)?;
        Some(format!("messages.{nth}.content.{at}"))
    })
}

/// Reads the messages and lets the "model" answer.
pub(crate) fn read(body: &Map<String, Value>, bytes: usize) -> Asked {
    let messages = body.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let tools = body.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let tools = tools.iter().filter_map(|tool| Some(json!({"type": "function", "name": tool.get("name")?})));
    ask(body, bytes, messages.iter().flat_map(items).collect(), tools.collect())
}

/// A message's text, then the tool results in it: what comes last is answered.
fn items(message: &Value) -> Vec<Value> {
    let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
    let content = message.get("content");
    let blocks = content.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_result = |block: &&Value| block.get("type").and_then(Value::as_str) == Some("tool_result");
    let results = blocks.iter().filter(is_result).map(|block| {
        returned(block.get("tool_use_id").unwrap_or(&Value::Null), &text_of(block.get("content")))
    });
    let text = text_of(content);
    let spoken = (!text.is_empty()).then(|| said(role, &text));
    // A client may add a remark behind its results; the results are what the model waited for.
    spoken.into_iter().chain(results).collect()
}

fn message(asked: &Asked, id: &str, content: Value, stop_reason: Option<&str>, output_tokens: u64) -> Value {
    json!({
        "id": format!("msg_{id}"),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": {
            "input_tokens": asked.usage.input - asked.usage.cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": asked.usage.cached,
            "output_tokens": output_tokens,
            "service_tier": "standard",
        },
    })
}

/// A tool's arguments as an object; freeform input has no place in this dialect but a field.
fn tool_input(reply: &Reply) -> Option<(&str, Value)> {
    match reply {
        Reply::FunctionCall { name, arguments } => {
            Some((name, serde_json::from_str(arguments).unwrap_or_else(|_| json!({}))))
        }
        Reply::CustomCall { name, input } => Some((name, json!({"input": input}))),
        Reply::Text(_) | Reply::Compaction | Reply::Image(_) => None,
    }
}

/// The events, `message_stop` last.
pub(crate) fn render(asked: &Asked, id: &str, thinks: bool) -> Vec<Bytes> {
    let event = |kind: &str, mut fields: Value| {
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("type".to_owned(), json!(kind));
        }
        named(kind, &fields)
    };
    let mut events = vec![event("message_start", json!({"message": message(asked, id, json!([]), None, 1)}))];
    let index = usize::from(thinks);
    if thinks {
        let block = json!({"type": "thinking", "thinking": "", "signature": ""});
        events.push(event("content_block_start", json!({"index": 0, "content_block": block})));
        for delta in [
            json!({"type": "thinking_delta", "thinking": THOUGHT}),
            json!({"type": "signature_delta", "signature": signature(id)}),
        ] {
            events.push(event("content_block_delta", json!({"index": 0, "delta": delta})));
        }
        events.push(event("content_block_stop", json!({"index": 0})));
    }
    let (block, deltas, stop_reason) = match tool_input(&asked.turn.reply) {
        Some((name, input)) => {
            let input = input.to_string();
            let middle = (input.len() / 2..=input.len()).find(|at| input.is_char_boundary(*at)).unwrap_or(0);
            let (head, tail) = input.split_at(middle);
            let delta = |piece: &str| json!({"type": "input_json_delta", "partial_json": piece});
            let block = json!({"type": "tool_use", "id": tool_id(id), "name": name, "input": {}});
            (block, vec![delta(""), delta(head), delta(tail)], "tool_use")
        }
        None => {
            let deltas = match &asked.turn.reply {
                Reply::Text(deltas) => deltas.as_slice(),
                _ => &[],
            };
            let delta = |text: &String| json!({"type": "text_delta", "text": text});
            (json!({"type": "text", "text": ""}), deltas.iter().map(delta).collect(), "end_turn")
        }
    };
    events.push(event("content_block_start", json!({"index": index, "content_block": block})));
    events.push(event("ping", json!({})));
    events.extend(
        deltas.into_iter().map(|delta| event("content_block_delta", json!({"index": index, "delta": delta}))),
    );
    events.push(event("content_block_stop", json!({"index": index})));
    let end = json!({
        "delta": {"stop_reason": stop_reason, "stop_sequence": null},
        "usage": {"output_tokens": asked.usage.output},
    });
    events.push(event("message_delta", end));
    events.push(event("message_stop", json!({})));
    events
}

/// The answer in one piece.
pub(crate) fn whole(asked: &Asked, id: &str, thinks: bool) -> Value {
    let (block, stop_reason) = match (tool_input(&asked.turn.reply), &asked.turn.reply) {
        (Some((name, input)), _) => {
            (json!({"type": "tool_use", "id": tool_id(id), "name": name, "input": input}), "tool_use")
        }
        (None, Reply::Text(deltas)) => (json!({"type": "text", "text": deltas.concat()}), "end_turn"),
        (None, _) => (json!({"type": "text", "text": ""}), "end_turn"),
    };
    let thought = json!({"type": "thinking", "thinking": THOUGHT, "signature": signature(id)});
    let content = if thinks { json!([thought, block]) } else { json!([block]) };
    message(asked, id, content, Some(stop_reason), asked.usage.output)
}

fn signature(id: &str) -> String {
    format!("{SIGNATURE}{id}")
}

fn tool_id(id: &str) -> String {
    format!("toolu_{id}")
}
