//! Responses over WebSocket: what a client asks with one `response.create`, the body that says the same over HTTP, and
//! what answers look like as frames. Refuses to know a socket.
//!
//! One text frame holds one event, the payload of an SSE event without its name. A client goes on from the last response
//! of its socket and sends only what is new; whoever serves it from an upstream that stores nothing puts the items of
//! before in front again.

use std::borrow::Cow;

use gateway_domain::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::error::error_object;
use super::request::RequestError;
use crate::json::{Members, kind_of, text_of};
use crate::sse::EventLines;

/// The only thing that a client says.
const CREATE: &str = "response.create";
/// A header that belongs to one turn stands in `client_metadata` behind this, its dashes as underscores
/// (facts: codex-lb 1.2.3).
const HEADER_PREFIX: &str = "ws_request_header_";
/// Metadata about the socket itself.
const SOCKET_PREFIX: &str = "x-codex-ws-";
/// Metadata that an HTTP request repeats as headers. Those of the upgrade are of another turn (facts: clients 2.4).
pub const TURN_HEADERS: &[&str] = &["x-codex-turn-metadata", "x-codex-window-id"];
/// The status of an error event that names none: a frame without one is ignored, and its client waits for minutes.
const UNKNOWN_STATUS: u16 = 500;

/// What a turn is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An answer.
    Answer,
    /// Nothing but what the next turn goes on from (`generate: false`).
    Prepare,
}

/// One `response.create` that was understood as far as the socket is concerned.
#[derive(Debug)]
pub struct Create<'a> {
    members: Members<'a>,
    /// The response that it goes on from.
    pub previous: Option<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// What an HTTP request would say in headers.
    pub headers: Vec<(String, String)>,
}

/// Reads one frame of a client.
///
/// # Errors
/// It is no `response.create`; the error names the member that is wrong.
pub fn read_create(frame: &[u8]) -> Result<Create<'_>, RequestError> {
    let mut members = Members::read(frame).map_err(|error| RequestError::NotJson(error.to_string()))?;
    let kind = members.get("type").ok_or(RequestError::Missing("type"))?;
    if text_of(kind).as_deref() != Some(CREATE) {
        let why = format!("must be `{CREATE}`; nothing else is understood here");
        return Err(RequestError::Invalid { member: "type", why });
    }
    members.remove("type");
    let purpose = match members.get("generate") {
        None | Some("null" | "true") => Purpose::Answer,
        Some("false") => Purpose::Prepare,
        Some(other) => {
            return Err(RequestError::WrongType {
                member: "generate",
                wanted: "true or false",
                got: kind_of(other),
            });
        }
    };
    members.remove("generate");
    // Everything here is a stream, whether it is said or not.
    if members.get("stream") != Some("true") {
        members.set("stream", "true");
    }
    let previous = members.get("previous_response_id").and_then(text_of);
    let headers = take_headers(&mut members);
    Ok(Create { members, previous, purpose, headers })
}

/// Takes what belongs to the socket out of `client_metadata`, and returns what HTTP says in headers.
fn take_headers(members: &mut Members<'_>) -> Vec<(String, String)> {
    let Some(metadata) = members.get("client_metadata") else { return Vec::new() };
    let Ok(mut metadata) = serde_json::from_str::<Map<String, Value>>(metadata) else { return Vec::new() };
    let mut headers = Vec::new();
    for name in TURN_HEADERS {
        if let Some(value) = metadata.get(*name).and_then(Value::as_str) {
            headers.push(((*name).to_owned(), value.to_owned()));
        }
    }
    let before = metadata.len();
    metadata.retain(|name, value| {
        if let (Some(header), Some(value)) = (name.strip_prefix(HEADER_PREFIX), value.as_str()) {
            headers.push((header.replace('_', "-"), value.to_owned()));
            return false;
        }
        !name.starts_with(SOCKET_PREFIX)
    });
    if metadata.len() < before {
        members.set("client_metadata", Value::Object(metadata).to_string());
    }
    headers
}

impl Create<'_> {
    /// The model asked for, as far as it is a text.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        self.members.get("model").and_then(text_of)
    }

    /// The items of `input` as they stand there, separated by commas.
    #[must_use]
    pub fn items(&self) -> Cow<'_, str> {
        match self.members.get("input") {
            Some(list) if list.starts_with('[') => {
                let inner = list.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
                Cow::Borrowed(inner.map_or("", str::trim))
            }
            Some(text) if text.starts_with('"') => Cow::Owned(message_of(text)),
            _ => Cow::Borrowed(""),
        }
    }

    /// The body that asks the same over HTTP. With the items of before, it goes on from no response any more.
    #[must_use]
    pub fn body(mut self, before: Option<&str>) -> Vec<u8> {
        if let Some(before) = before {
            let items = self.items();
            let between = if before.is_empty() || items.is_empty() { "" } else { "," };
            let input = format!("[{before}{between}{items}]");
            self.members.set("input", input);
            self.members.remove("previous_response_id");
        }
        self.members.write()
    }
}

/// A text input as the one item that it stands for; `text` is a JSON string.
pub(super) fn message_of(text: &str) -> String {
    format!(r#"{{"type":"message","role":"user","content":[{{"type":"input_text","text":{text}}}]}}"#)
}

/// The finished item that an event tells, as it stands there.
#[must_use]
pub fn output_item(event: &[u8]) -> Option<&str> {
    #[derive(Deserialize)]
    struct Done<'a> {
        #[serde(borrow)]
        item: &'a RawValue,
    }
    let done: Done<'_> = serde_json::from_slice(EventLines::read(event).data?).ok()?;
    Some(done.item.get())
}

/// A failure as a frame. Clients act on the status, and on a wait only where it stands in `headers`.
#[must_use]
pub fn error_frame(failure: &Failure, status: u16, retry_after: Option<u64>) -> String {
    let mut frame = json!({ "type": "error", "status": status, "error": error_object(failure) });
    if let (Some(seconds), Some(frame)) = (retry_after, frame.as_object_mut()) {
        frame.insert("headers".into(), json!({ "retry-after": seconds.to_string() }));
    }
    frame.to_string()
}

/// An error event of an upstream as a frame: `None` when it can go as it is.
#[must_use]
pub fn error_event_frame(data: &[u8]) -> Option<String> {
    let mut event: Map<String, Value> = serde_json::from_slice(data).ok()?;
    let says_status = event.get("status").is_some_and(Value::is_u64);
    if says_status && event.get("error").is_some_and(Value::is_object) {
        return None;
    }
    let status = ["status", "status_code"].iter().find_map(|name| event.get(*name)?.as_u64());
    let error = match event.remove("error") {
        Some(error) if error.is_object() => error,
        _ => {
            let mut error = Map::new();
            for name in ["code", "message", "param"] {
                error.insert(name.into(), event.remove(name).unwrap_or(Value::Null));
            }
            let kind = event.remove("error_type").unwrap_or_else(|| "server_error".into());
            error.insert("type".into(), kind);
            Value::Object(error)
        }
    };
    event.insert("status".into(), status.unwrap_or(u64::from(UNKNOWN_STATUS)).into());
    event.insert("error".into(), error);
    Some(Value::Object(event).to_string())
}

/// What a client reads after a turn that only prepares: the response that its next turn goes on from. Nothing was
/// generated and nothing was spent.
#[must_use]
pub fn prepared_frames(id: &str, model: &str, created_at: i64) -> [String; 2] {
    let frame = |nth: u32, kind: &str, status: &str, usage: Value| {
        json!({
            "type": kind,
            "sequence_number": nth,
            "response": {
                "id": id,
                "object": "response",
                "created_at": created_at,
                "status": status,
                "error": null,
                "incomplete_details": null,
                "model": model,
                "output": [],
                "store": false,
                "usage": usage,
            },
        })
        .to_string()
    };
    let usage = json!({
        "input_tokens": 0,
        "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": 0,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": 0,
    });
    [
        frame(0, "response.created", "in_progress", Value::Null),
        frame(1, "response.completed", "completed", usage),
    ]
}

/// The quota headers of an answer as the frame that Codex reads them from: a socket has no headers of its own for each
/// turn. `None` when they tell no window.
#[must_use]
pub fn rate_limits_frame<'a>(header: impl Fn(&str) -> Option<&'a str>, now: i64) -> Option<String> {
    let number = |slot: &str, name: &str| -> Option<Value> {
        let text = header(&format!("x-codex-{slot}-{name}"))?.trim();
        text.parse::<i64>().map(Value::from).ok().or_else(|| text.parse::<f64>().map(Value::from).ok())
    };
    let window = |slot: &str| -> Option<Value> {
        let used = number(slot, "used-percent")?;
        let resets_at = number(slot, "reset-at").and_then(|at| at.as_i64());
        Some(json!({
            "used_percent": used,
            "window_minutes": number(slot, "window-minutes"),
            "reset_at": resets_at,
            "reset_after_seconds": resets_at.map(|at| at.saturating_sub(now).max(0)),
        }))
    };
    let (primary, secondary) = (window("primary"), window("secondary"));
    if primary.is_none() && secondary.is_none() {
        return None;
    }
    let is_full = |window: &Option<Value>| {
        window
            .as_ref()
            .and_then(|window| window.get("used_percent")?.as_f64())
            .is_some_and(|used| used >= 100.0)
    };
    let reached = is_full(&primary) || is_full(&secondary);
    let limits = json!({
        "allowed": !reached,
        "limit_reached": reached,
        "primary": primary,
        "secondary": secondary,
    });
    let plan = header("x-codex-plan-type");
    Some(json!({ "type": "codex.rate_limits", "plan_type": plan, "rate_limits": limits }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::FailureKind;

    #[test]
    fn quota_headers_become_a_frame() {
        let told = |headers: &[(&str, &'static str)]| {
            let find = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            rate_limits_frame(find, 1_000).map(|frame| serde_json::from_str::<Value>(&frame).unwrap())
        };
        assert_eq!(told(&[("x-codex-plan-type", "plus")]), None);
        let frame = told(&[
            ("x-codex-plan-type", "plus"),
            ("x-codex-primary-used-percent", "100"),
            ("x-codex-primary-window-minutes", "300"),
            ("x-codex-primary-reset-at", "1060"),
        ])
        .unwrap();
        assert_eq!(frame["plan_type"], "plus");
        assert_eq!(
            (&frame["rate_limits"]["limit_reached"], &frame["rate_limits"]["secondary"]),
            (&json!(true), &json!(null))
        );
        assert_eq!(
            frame["rate_limits"]["primary"],
            json!({"used_percent":100,"window_minutes":300,"reset_at":1060,"reset_after_seconds":60})
        );
    }

    fn body(frame: &str, before: Option<&str>) -> String {
        String::from_utf8(read_create(frame.as_bytes()).unwrap().body(before)).unwrap()
    }

    #[test]
    fn a_frame_is_the_http_body_with_what_belongs_to_the_socket_taken_out() {
        for (frame, expected) in [
            (
                r#"{"type":"response.create","model":"m","input":"hi"}"#,
                r#"{"model":"m","input":"hi","stream":true}"#,
            ),
            (
                r#"{"model":"m", "stream":true,"input":[ 1.0 ],"type":"response.create","generate":true}"#,
                r#"{"model":"m","stream":true,"input":[ 1.0 ]}"#,
            ),
            (
                r#"{"type":"response.create","stream":false,"previous_response_id":"r","input":[]}"#,
                r#"{"stream":true,"previous_response_id":"r","input":[]}"#,
            ),
        ] {
            assert_eq!(body(frame, None), expected, "{frame}");
        }
    }

    #[test]
    fn the_items_of_before_stand_before_the_new_ones() {
        for (input, before, expected) in [
            (r#"[{"b":2}]"#, r#"{"a":1}"#, r#"[{"a":1},{"b":2}]"#),
            ("[ ]", r#"{"a":1}"#, r#"[{"a":1}]"#),
            (r#"[[1],[2]]"#, "", r#"[[1],[2]]"#),
            (
                r#""x\"""#,
                r#"{"a":1}"#,
                r#"[{"a":1},{"type":"message","role":"user","content":[{"type":"input_text","text":"x\""}]}]"#,
            ),
        ] {
            let frame = format!(r#"{{"type":"response.create","previous_response_id":"r","input":{input}}}"#);
            assert_eq!(body(&frame, Some(before)), format!(r#"{{"input":{expected},"stream":true}}"#));
        }
    }

    #[test]
    fn metadata_of_the_socket_becomes_headers() {
        let frame = r#"{"type":"response.create","input":[],"client_metadata":{"turn_id":"t",
            "ws_request_header_x_openai_internal_codex_responses_lite":"true","x-codex-window-id":"w:1",
            "x-codex-ws-stream-request-start-ms":"17"}}"#;
        let create = read_create(frame.as_bytes()).unwrap();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            create.headers,
            [header("x-codex-window-id", "w:1"), header("x-openai-internal-codex-responses-lite", "true")]
        );
        let body: Value = serde_json::from_slice(&create.body(None)).unwrap();
        assert_eq!(body["client_metadata"], json!({"turn_id":"t","x-codex-window-id":"w:1"}));
        // Metadata that needs nothing keeps its bytes.
        let untouched = r#"{"type":"response.create","stream":true,"client_metadata":{ "a" : "b" }}"#;
        assert_eq!(
            String::from_utf8(read_create(untouched.as_bytes()).unwrap().body(None)).unwrap(),
            r#"{"stream":true,"client_metadata":{ "a" : "b" }}"#
        );
    }

    #[test]
    fn what_is_no_create_is_refused_with_its_member() {
        for (frame, param) in [
            ("", None),
            ("[]", None),
            ("{", None),
            ("{}", Some("type")),
            (r#"{"type":7}"#, Some("type")),
            (r#"{"type":"response.cancel"}"#, Some("type")),
            (r#"{"type":"response.create","generate":"no"}"#, Some("generate")),
        ] {
            assert_eq!(read_create(frame.as_bytes()).unwrap_err().param(), param, "{frame}");
        }
    }

    #[test]
    fn every_error_frame_has_a_status_and_an_error() {
        let failure = Failure::gateway(FailureKind::Saturated, "busy");
        let frame: Value = serde_json::from_str(&error_frame(&failure, 429, Some(5))).unwrap();
        assert_eq!((&frame["type"], &frame["status"]), (&json!("error"), &json!(429)));
        assert_eq!(frame["headers"]["retry-after"], "5");
        assert_eq!(frame["error"]["code"], "saturated");
        for (event, status, code) in [
            (r#"{"type":"error","code":"x","message":"m"}"#, 500, "x"),
            (r#"{"type":"error","status_code":429,"error":{"code":"x"}}"#, 429, "x"),
            (r#"{"type":"error","status":"odd","error":"text"}"#, 500, ""),
        ] {
            let frame: Value = serde_json::from_str(&error_event_frame(event.as_bytes()).unwrap()).unwrap();
            assert_eq!(frame["status"], status, "{event}");
            assert_eq!(frame["error"]["code"].as_str().unwrap_or_default(), code, "{event}");
        }
        assert_eq!(error_event_frame(br#"{"type":"error","status":400,"error":{}}"#), None);
    }
}
