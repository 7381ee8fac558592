//! A turn on a WebSocket to an upstream: the body as a frame, and the frames that come back as events. Refuses to know a
//! socket, and which turn came before; whoever keeps the socket knows both.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::event::{EventKind, classify_event};
use super::request::RequestError;
use crate::json::Members;

/// Where `client_metadata` carries a header that belongs to one turn (facts: codex-lb 1.2.3).
const LITE_METADATA: &str = "ws_request_header_x_openai_internal_codex_responses_lite";
/// The header that it stands for.
pub const LITE_HEADER: &str = "x-openai-internal-codex-responses-lite";

/// A body that fits the backend, on its way to a socket.
#[derive(Debug)]
pub struct SocketBody<'a>(Members<'a>);

/// From where a frame goes on, instead of saying everything again.
#[derive(Debug, Clone, Copy)]
pub struct GoingOn<'a> {
    /// The last response of the socket.
    pub response: &'a str,
    /// How many bytes of the items it already has.
    pub known: usize,
}

impl<'a> SocketBody<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// It is not a JSON object.
    pub fn read(body: &'a [u8]) -> Result<Self, RequestError> {
        Members::read(body).map(Self).map_err(|error| RequestError::NotJson(error.to_string()))
    }

    /// The items of `input` as they stand there, separated by commas; empty when it is no list.
    #[must_use]
    pub fn items(&self) -> &str {
        let inner = self.0.get("input").and_then(|list| list.strip_prefix('[')?.strip_suffix(']'));
        inner.map_or("", str::trim)
    }

    /// Everything that must be the same for a turn to go on from the one before: what is not said again and again anyway.
    pub fn frame_members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter(|(name, _)| !matches!(*name, "input" | "client_metadata"))
    }

    /// The turn as one frame. `lite` is the value of [`LITE_HEADER`].
    #[must_use]
    pub fn frame(&self, going_on: Option<GoingOn<'_>>, lite: Option<&str>) -> Vec<u8> {
        let mut members = self.0.clone();
        if let Some(GoingOn { response, known }) = going_on {
            let rest = self.items().get(known..).unwrap_or_default().trim_start();
            let input = format!("[{}]", rest.strip_prefix(',').unwrap_or(rest));
            members.set("input", input);
            members.set("previous_response_id", Value::from(response).to_string());
        }
        if let Some(lite) = lite {
            let metadata = members.get("client_metadata").and_then(|text| serde_json::from_str(text).ok());
            let mut metadata: Map<String, Value> = metadata.unwrap_or_default();
            metadata.insert(LITE_METADATA.to_owned(), lite.into());
            members.set("client_metadata", Value::Object(metadata).to_string());
        }
        members.set("type", r#""response.create""#);
        members.write()
    }
}

/// A frame of the upstream as an event.
#[derive(Debug)]
pub struct FramedEvent {
    /// What it means.
    pub kind: EventKind,
    /// The event, whole.
    pub event: Bytes,
}

/// Puts a frame into the form of an event; `None` when it is no JSON object with a type.
#[must_use]
pub fn event_of_frame(frame: &str) -> Option<FramedEvent> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    let name = serde_json::from_str::<Typed<'_>>(frame).ok()?.kind;
    if name.contains(['\r', '\n']) {
        return None;
    }
    let mut event = BytesMut::with_capacity(name.len() + frame.len() + 16);
    for part in ["event: ", &name, "\ndata: "] {
        event.extend_from_slice(part.as_bytes());
    }
    // JSON may be laid out on several lines; none of its texts holds a bare line end.
    if memchr::memchr2(b'\r', b'\n', frame.as_bytes()).is_some() {
        event.extend_from_slice(frame.replace(['\r', '\n'], " ").as_bytes());
    } else {
        event.extend_from_slice(frame.as_bytes());
    }
    event.extend_from_slice(b"\n\n");
    let event = event.freeze();
    let kind = classify_event(event.strip_suffix(b"\n\n").unwrap_or(&event));
    Some(FramedEvent { kind, event })
}

/// What an error frame says, in the words of an HTTP answer.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedFrame {
    /// The status.
    pub status: u16,
    /// The error's code or type, if it has one.
    pub code: Option<String>,
    /// The headers inside the frame.
    pub headers: Vec<(String, String)>,
    /// The body, `{"error":{..}}`.
    pub body: Bytes,
}

/// Reads an error frame, in all shapes that were seen (facts: codex-lb 1.5).
#[must_use]
pub fn refused_frame(frame: &str) -> Option<RefusedFrame> {
    let frame: Map<String, Value> = serde_json::from_str(frame).ok()?;
    let status = ["status", "status_code"].iter().find_map(|name| frame.get(*name)?.as_u64());
    let status = status.and_then(|status| u16::try_from(status).ok()).filter(|status| *status >= 400);
    let error = match frame.get("error") {
        Some(Value::Object(error)) => error.clone(),
        // The members stand in the frame itself; its own type is no error's.
        _ => {
            let mut error: Map<String, Value> = frame
                .iter()
                .filter(|(name, _)| matches!(name.as_str(), "code" | "message" | "param"))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            if let Some(kind) = frame.get("error_type") {
                error.insert("type".to_owned(), kind.clone());
            }
            error
        }
    };
    let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_lowercase);
    let headers = frame.get("headers").and_then(Value::as_object).into_iter().flatten();
    let headers = headers.map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.to_lowercase(), value)
    });
    Some(RefusedFrame {
        status: status.unwrap_or(500),
        code: text("code").or_else(|| text("type")),
        headers: headers.collect(),
        body: serde_json::json!({ "error": error }).to_string().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn frame(body: &str, going_on: Option<GoingOn<'_>>, lite: Option<&str>) -> Value {
        let frame = SocketBody::read(body.as_bytes()).unwrap().frame(going_on, lite);
        serde_json::from_slice(&frame).unwrap()
    }

    #[test]
    fn a_frame_says_all_of_it_or_only_what_is_new() {
        let body = r#"{"model":"m","input":[ {"a":1}, {"b":2},{"c":3} ],"stream":true}"#;
        assert_eq!(
            frame(body, None, None),
            json!({"type":"response.create","model":"m","input":[{"a":1},{"b":2},{"c":3}],"stream":true})
        );
        let known = r#"{"a":1}, {"b":2}"#.len();
        let going_on = GoingOn { response: "r", known };
        let only_new = frame(body, Some(going_on), Some("true"));
        assert_eq!(only_new["input"], json!([{"c":3}]));
        assert_eq!(only_new["previous_response_id"], "r");
        assert_eq!(only_new["client_metadata"][LITE_METADATA], "true");
        let all = SocketBody::read(body.as_bytes()).unwrap().items().len();
        assert_eq!(frame(body, Some(GoingOn { response: "r", known: all }), None)["input"], json!([]));
    }

    #[test]
    fn frames_become_events_in_one_line() {
        let framed =
            event_of_frame("{\"type\":\"response.completed\",\n \"response\":{\"id\":\"r\"}}").unwrap();
        assert_eq!(framed.kind, EventKind::Completed);
        assert_eq!(
            &framed.event[..],
            b"event: response.completed\ndata: {\"type\":\"response.completed\",  \"response\":{\"id\":\"r\"}}\n\n"
        );
        assert_eq!(event_of_frame(r#"{"type":"codex.rate_limits"}"#).unwrap().kind, EventKind::Quota);
        for nonsense in ["", "[]", "{}", r#"{"type":7}"#, r#"{"type":"a\nb"}"#, "data: x"] {
            assert!(event_of_frame(nonsense).is_none(), "{nonsense}");
        }
    }

    #[test]
    fn error_frames_are_read_in_every_shape() {
        for (frame, status, code) in [
            (
                r#"{"type":"error","status":429,"error":{"type":"usage_limit_reached"},"headers":{"Retry-After":"7"}}"#,
                429,
                Some("usage_limit_reached"),
            ),
            (r#"{"type":"error","status_code":400,"code":"X","message":"m"}"#, 400, Some("x")),
            (r#"{"type":"error","error_type":"server_error"}"#, 500, Some("server_error")),
            (r#"{"type":"error"}"#, 500, None),
        ] {
            let refused = refused_frame(frame).unwrap();
            assert_eq!((refused.status, refused.code.as_deref()), (status, code), "{frame}");
            let body: Value = serde_json::from_slice(&refused.body).unwrap();
            assert_ne!(body["error"]["type"], "error", "{frame}");
        }
        let headers = refused_frame(r#"{"headers":{"Retry-After":7}}"#).unwrap().headers;
        assert_eq!(headers, [("retry-after".to_owned(), "7".to_owned())]);
    }
}
