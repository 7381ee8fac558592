//! Compaction at the Codex backend: its own endpoint for it is gone, so a compact call becomes a turn that ends with a
//! `compaction_trigger`, and the turn's answer becomes the one object that such a call is answered with.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::{CallerKind, CodexBody, RequestError, decode};
use crate::json::{Members, kind_of};

/// What a compact call may say that the turn must not (facts: codex-lb 1.9, codex2api 1.5).
const LEFT_OUT: &[&str] = &["text", "tools", "tool_choice", "client_metadata", "include", "type"];

const TRIGGER: &str = r#"{"type":"compaction_trigger"}"#;

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<&'a RawValue>,
}

/// The turn that a compact call is at the Codex backend.
///
/// # Errors
/// The call is malformed, or goes on from a stored response.
pub fn compact_for_codex(body: &Bytes) -> Result<CodexBody, RequestError> {
    let mut members = Members::read(body).map_err(|error| RequestError::NotJson(error.to_string()))?;
    for name in LEFT_OUT {
        members.remove(name);
    }
    let input = members.get("input").ok_or(RequestError::Missing("input"))?;
    let input = with_trigger(input)?;
    members.set("input", input);
    members.set("parallel_tool_calls", "false");
    let turn = Bytes::from(members.write());
    let CodexBody { body, mut edits } = decode(turn, CallerKind::Foreign)?.for_codex?;
    edits.push("compaction as a turn with a trigger".into());
    Ok(CodexBody { body, edits })
}

/// Exactly one trigger, at the end.
fn with_trigger(input: &str) -> Result<String, RequestError> {
    if input.starts_with('"') {
        return Ok(format!(
            r#"[{{"type":"message","role":"user","content":[{{"type":"input_text","text":{input}}}]}},{TRIGGER}]"#
        ));
    }
    let wrong =
        || RequestError::WrongType { member: "input", wanted: "a string or an array", got: kind_of(input) };
    let items: Vec<&RawValue> = serde_json::from_str(input).map_err(|_| wrong())?;
    let is_trigger = |item: &&&RawValue| {
        let kind = serde_json::from_str::<Kind<'_>>(item.get()).ok().and_then(|item| item.kind);
        kind.is_some_and(|kind| kind.get() == r#""compaction_trigger""#)
    };
    let mut kept: Vec<&str> = items.iter().filter(|item| !is_trigger(item)).map(|item| item.get()).collect();
    kept.push(TRIGGER);
    Ok(format!("[{}]", kept.join(",")))
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow, default)]
    encrypted_content: Option<&'a RawValue>,
}

/// The object that a compact call is answered with, of the response that the turn ended with. `None` when the turn made
/// neither a compaction nor a message.
#[must_use]
pub fn compaction_of(response: &[u8]) -> Option<Bytes> {
    let mut members = Members::read(response).ok()?;
    let items: Vec<&RawValue> = serde_json::from_str(members.get("output")?).ok()?;
    let output = items
        .iter()
        .rev()
        .find_map(|item| sealed(item))
        // Models without a sealed form write a summary.
        .or_else(|| items.iter().rev().find_map(|item| message(item)))?;
    let mut kept = Members::default();
    kept.set("object", r#""response.compaction""#);
    kept.set("output", format!("[{output}]"));
    members.remove("output");
    members.remove("object");
    for name in ["id", "created_at", "status", "usage", "service_tier"] {
        if let Some(value) = members.get(name) {
            kept.set(name, value.to_owned());
        }
    }
    Some(kept.write().into())
}

fn sealed(raw: &RawValue) -> Option<String> {
    let item: Item<'_> = serde_json::from_str(raw.get()).ok()?;
    if !matches!(item.kind.as_str(), "compaction" | "compaction_summary") {
        return None;
    }
    let content = item.encrypted_content.filter(|content| content.get().starts_with('"'))?.get();
    // An id of any other make is refused when the item is sent back.
    let id = item.id.filter(|id| id.starts_with("cmp_")).and_then(|id| serde_json::to_string(&id).ok());
    let id = id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
    Some(format!(r#"{{{id}"type":"compaction","encrypted_content":{content}}}"#))
}

fn message(raw: &RawValue) -> Option<String> {
    let item: Item<'_> = serde_json::from_str(raw.get()).ok()?;
    let has_text = memchr::memmem::find(raw.get().as_bytes(), br#""output_text""#).is_some();
    (item.kind == "message" && has_text).then(|| raw.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn turn(body: &Value) -> Result<Value, RequestError> {
        let made = compact_for_codex(&Bytes::from(body.to_string()))?;
        Ok(serde_json::from_slice(&made.body).unwrap())
    }

    #[test]
    fn a_call_becomes_a_turn_that_ends_with_one_trigger() {
        let made = turn(
            &json!({"model": "m", "input": [{"type": "compaction_trigger"}, {"role": "user", "content": "a"}],
            "tools": [{}], "client_metadata": {}, "instructions": "i", "prompt_cache_key": "k"}),
        )
        .unwrap();
        assert_eq!(made["input"], json!([{"role": "user", "content": "a"}, {"type": "compaction_trigger"}]));
        assert_eq!((&made["store"], &made["stream"]), (&json!(false), &json!(true)));
        assert_eq!((&made["instructions"], &made["prompt_cache_key"]), (&json!("i"), &json!("k")));
        assert!(made.get("tools").is_none() && made.get("client_metadata").is_none(), "{made}");
        let of_text = turn(&json!({"model": "m", "input": "hello"})).unwrap();
        assert_eq!(of_text["input"][0]["content"][0]["text"], "hello");
        assert_eq!(of_text["input"][1]["type"], "compaction_trigger");
    }

    #[test]
    fn a_call_that_cannot_be_a_turn_is_refused() {
        for (body, param) in [
            (json!({"model": "m"}), "input"),
            (json!({"model": "m", "input": 5}), "input"),
            (json!({"input": "x"}), "model"),
            (json!({"model": "m", "input": [], "previous_response_id": "resp_1"}), "previous_response_id"),
        ] {
            assert_eq!(turn(&body).unwrap_err().param(), Some(param), "{body}");
        }
    }

    #[test]
    fn the_answer_holds_the_compaction_alone() {
        let answer = |output: Value| {
            let response = json!({"id": "resp_1", "object": "response", "created_at": 7, "output": output,
                "usage": {"input_tokens": 1}, "tools": []});
            let made = compaction_of(response.to_string().as_bytes())?;
            Some(serde_json::from_slice::<Value>(&made).unwrap())
        };
        let message = json!({"type": "message", "content": [{"type": "output_text", "text": "sum"}]});
        let made =
            answer(json!([message, {"type": "compaction_summary", "id": "bad", "encrypted_content": "gA"}]))
                .unwrap();
        assert_eq!(made["object"], "response.compaction");
        assert_eq!(made["output"], json!([{"type": "compaction", "encrypted_content": "gA"}]));
        assert_eq!((&made["id"], &made["usage"]["input_tokens"]), (&json!("resp_1"), &json!(1)));
        assert!(made.get("tools").is_none());
        assert_eq!(answer(json!([message])).unwrap()["output"][0]["content"][0]["text"], "sum");
        assert_eq!(answer(json!([{"type": "reasoning"}])), None);
        assert_eq!(answer(json!([])), None);
    }
}
