//! Reading the few events that matter on the way through: which kind, and what the last one says.

use std::fmt;

use gateway_domain::TokenUsage;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::Name;
use crate::sse::EventLines;

/// What an event means for the pipeline. Newer kinds than we know are [`EventKind::Content`]: they pass through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The response was accepted or queued; nothing of the answer is visible yet.
    Lifecycle,
    /// A part of the answer.
    Content,
    /// A finished output item.
    ItemDone,
    /// The account's quota (`codex.rate_limits`), not part of the public dialect.
    Quota,
    /// The upstream's own keep-alive or other vendor event, not part of the public dialect.
    Vendor,
    /// The end: everything was said.
    Completed,
    /// The end: cut short on purpose (`max_output_tokens`, content filter).
    Incomplete,
    /// The end: it failed.
    Failed,
    /// A bare error event; also the end.
    Error,
}

impl EventKind {
    /// Whether nothing may follow it.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Incomplete | Self::Failed | Self::Error)
    }
}

/// Tells the kind of one event as the framer showed it. A comment is [`EventKind::Vendor`].
#[must_use]
pub fn classify_event(event: &[u8]) -> EventKind {
    let lines = EventLines::read(event);
    match (lines.name, lines.data) {
        (Some(name), _) => kind_by_name(name),
        (None, Some(data)) => kind_by_payload(data),
        (None, None) => EventKind::Vendor,
    }
}

fn kind_by_name(name: &[u8]) -> EventKind {
    match name {
        b"response.created" | b"response.in_progress" | b"response.queued" => EventKind::Lifecycle,
        b"response.output_item.done" => EventKind::ItemDone,
        // Some servers end with `response.done` (facts: codex2api 1.6).
        b"response.completed" | b"response.done" => EventKind::Completed,
        b"response.incomplete" => EventKind::Incomplete,
        b"response.failed" => EventKind::Failed,
        b"error" => EventKind::Error,
        b"codex.rate_limits" => EventKind::Quota,
        name if name.starts_with(b"codex.") => EventKind::Vendor,
        _ => EventKind::Content,
    }
}

fn kind_by_payload(data: &[u8]) -> EventKind {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow, rename = "type")]
        kind: std::borrow::Cow<'a, str>,
    }
    serde_json::from_slice::<Typed<'_>>(data)
        .map_or(EventKind::Content, |typed| kind_by_name(typed.kind.as_bytes()))
}

/// What a terminal event says.
#[derive(Debug, Default)]
pub struct Terminal<'a> {
    /// Tokens, if it told them.
    pub usage: Option<TokenUsage>,
    /// The error object of a failed one.
    pub error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TerminalEvent<'a, R> {
    response: Option<R>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ResponseParts<'a> {
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Usage on the wire. Counts that are missing are zero; counts that are no whole numbers make it unreadable.
#[derive(Deserialize, Default)]
struct WireUsage {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens: u64,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize, Default)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl From<WireUsage> for TokenUsage {
    fn from(wire: WireUsage) -> Self {
        Self {
            input: wire.input_tokens,
            input_cached: wire.input_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0),
            output: wire.output_tokens,
            reasoning: wire.output_tokens_details.and_then(|details| details.reasoning_tokens).unwrap_or(0),
        }
    }
}

/// Reads a terminal event as the framer showed it. What cannot be read is absent; it never fails.
#[must_use]
pub fn read_terminal(event: &[u8]) -> Terminal<'_> {
    let Some(data) = EventLines::read(event).data else { return Terminal::default() };
    // It is the largest event, so the usual one is gone through once; only one whose response is odd inside is gone
    // through piece by piece, for the sake of the rest.
    let read: Option<TerminalEvent<'_, ResponseParts<'_>>> =
        serde_json::from_slice(data).ok().or_else(|| read_piece_by_piece(data));
    let Some(TerminalEvent { response, error }) = read else { return Terminal::default() };
    let (usage, inner_error) = response.map_or((None, None), |parts| (parts.usage, parts.error));
    let not_null = |raw: &&RawValue| raw.get() != "null";
    Terminal {
        usage: usage.map(TokenUsage::from),
        error: error.filter(not_null).or(inner_error.filter(not_null)),
    }
}

fn read_piece_by_piece(data: &[u8]) -> Option<TerminalEvent<'_, ResponseParts<'_>>> {
    let outer: TerminalEvent<'_, &RawValue> = serde_json::from_slice(data).ok()?;
    let response = outer.response.and_then(|raw| serde_json::from_str(raw.get()).ok());
    Some(TerminalEvent { response, error: outer.error })
}

/// The response object that a terminal event carries, as it stands there.
pub(super) fn response_object(event: &[u8]) -> Option<&RawValue> {
    let event: TerminalEvent<'_, &RawValue> = serde_json::from_slice(EventLines::read(event).data?).ok()?;
    event.response
}

/// The response's id, as any lifecycle event carries it. Such an event repeats the whole request, but the id stands at
/// its beginning and nothing behind it is looked at.
#[must_use]
pub fn response_id(event: &[u8]) -> Option<String> {
    let mut id = None;
    let mut reader = serde_json::Deserializer::from_slice(EventLines::read(event).data?);
    // Stopping in the middle is an error to the reader, not to us.
    drop(IdAt { path: &["response", "id"], id: &mut id }.deserialize(&mut reader));
    id
}

/// Takes the text at a path of member names and stops there.
struct IdAt<'p, 'i> {
    path: &'p [&'static str],
    id: &'i mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for IdAt<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        if self.path.is_empty() {
            *self.id = Some(String::deserialize(reader)?);
            return Ok(());
        }
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IdAt<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((wanted, path)) = self.path.split_first() else { return Ok(()) };
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            if name == *wanted {
                return map.next_value_seed(IdAt { path, id: self.id });
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_name_or_by_payload() {
        for (event, kind) in [
            ("event: response.created\ndata: {}", EventKind::Lifecycle),
            ("data: {\"type\":\"response.in_progress\"}", EventKind::Lifecycle),
            ("event: response.output_text.delta\ndata: {}", EventKind::Content),
            ("event: response.something_new.2027\ndata: {}", EventKind::Content),
            ("event: response.output_item.done\ndata: {}", EventKind::ItemDone),
            ("event: response.completed\ndata: {}", EventKind::Completed),
            ("data: {\"type\":\"response.done\"}", EventKind::Completed),
            ("event: response.failed\ndata: {}", EventKind::Failed),
            ("event: error\ndata: {}", EventKind::Error),
            ("event: codex.rate_limits\ndata: {}", EventKind::Quota),
            ("event: codex.keepalive\ndata: {}", EventKind::Vendor),
            (": ping", EventKind::Vendor),
            ("data: not json", EventKind::Content),
        ] {
            assert_eq!(classify_event(event.as_bytes()), kind, "{event}");
        }
    }

    #[test]
    fn usage_is_read_in_every_shape_and_never_fails() {
        let usage = |usage: &str| {
            let event = format!(
                "event: response.completed\ndata: {{\"response\":{{\"id\":\"r\",\"usage\":{usage}}}}}"
            );
            read_terminal(event.as_bytes()).usage
        };
        let full = r#"{"input_tokens":1200,"input_tokens_details":{"cached_tokens":1024},"output_tokens":80,"output_tokens_details":{"reasoning_tokens":40},"total_tokens":1280}"#;
        assert_eq!(
            usage(full),
            Some(TokenUsage { input: 1200, input_cached: 1024, output: 80, reasoning: 40 })
        );
        assert_eq!(usage(r#"{"output_tokens":3}"#), Some(TokenUsage { output: 3, ..TokenUsage::default() }));
        assert_eq!(usage(r#"{"input_tokens":1,"input_tokens_details":null}"#).map(|u| u.input), Some(1));
        assert_eq!(usage("null"), None);
        assert_eq!(usage(r#"{"input_tokens":"many"}"#), None);
        assert!(read_terminal(b"event: response.completed\ndata: {").usage.is_none());
    }

    #[test]
    fn the_error_is_found_where_either_shape_has_it() {
        for event in [
            r#"data: {"type":"response.failed","response":{"error":{"code":"x"}}}"#,
            r#"data: {"type":"error","error":{"code":"x"}}"#,
        ] {
            assert_eq!(read_terminal(event.as_bytes()).error.unwrap().get(), r#"{"code":"x"}"#);
        }
        assert!(
            read_terminal(br#"data: {"type":"response.completed","response":{"error":null}}"#)
                .error
                .is_none()
        );
    }

    #[test]
    fn an_odd_response_does_not_hide_the_error_beside_it() {
        let event = br#"data: {"type":"error","response":{"usage":7},"error":{"code":"x"}}"#;
        let terminal = read_terminal(event);
        assert_eq!(terminal.error.unwrap().get(), r#"{"code":"x"}"#);
        assert_eq!(terminal.usage, None);
    }

    #[test]
    fn the_id_is_the_responses_own_wherever_it_stands() {
        for (data, id) in [
            (
                r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object""#,
                Some("resp_1"),
            ),
            (r#"{"id":"evt_1","response":{"tools":[{"id":"t"}],"id":"resp_2"}}"#, Some("resp_2")),
            (r#"{"response":{"object":"response"},"id":"evt_1"}"#, None),
            (r#"{"response":{"id":7}}"#, None),
            (r#"{"response":"resp_3"}"#, None),
            ("[]", None),
        ] {
            let event = format!("event: response.created\ndata: {data}");
            assert_eq!(response_id(event.as_bytes()).as_deref(), id, "{data}");
        }
    }
}
