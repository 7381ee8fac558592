//! The three wire dialects as far as faults have to know them: which event is a delta, and what a broken, unknown, failed
//! or cut-short one looks like. Refuses to render answers; `events`, `api::chat` and `api::messages` do.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use crate::events;

/// Who speaks on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Responses: the ChatGPT backend and the OpenAI API.
    Responses,
    /// Chat completions.
    Chat,
    /// Anthropic messages.
    Messages,
}

impl Dialect {
    /// Whether an event carries a piece of the answer: pauses stand before these.
    pub(crate) fn is_delta(self, event: &[u8]) -> bool {
        match self {
            Self::Responses => event.starts_with(b"event: response.output_text.delta"),
            // The first chunk has an empty content too, beside the role.
            Self::Chat => {
                let has = |part: &[u8]| memchr::memmem::find(event, part).is_some();
                has(b"\"delta\":{\"content\"") && !has(b"\"role\"")
            }
            Self::Messages => event.starts_with(b"event: content_block_delta"),
        }
    }

    /// A delta whose data is not JSON.
    pub(crate) fn malformed(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Responses => {
                b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\n\n"
            }
            Self::Chat => b"data: {\"object\":\"chat.completion.chunk\",\"choices\":[\n\n",
            Self::Messages => b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":\n\n",
        })
    }

    /// A delta whose text ends inside a character.
    pub(crate) fn half_a_character(self) -> Bytes {
        let (head, tail): (&[u8], &[u8]) = match self {
            Self::Responses => (
                b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"",
                b"\"}\n\n",
            ),
            Self::Chat => (
                b"data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
                b"\"}}]}\n\n",
            ),
            Self::Messages => (
                b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"",
                b"\"}}\n\n",
            ),
        };
        let mut event = BytesMut::with_capacity(head.len() + tail.len() + 2);
        event.extend_from_slice(head);
        // Two of the three bytes of a euro sign.
        event.extend_from_slice(&[0xE2, 0x82]);
        event.extend_from_slice(tail);
        event.freeze()
    }

    /// An event of a kind that no client knows.
    pub(crate) fn unknown(self) -> Bytes {
        match self {
            Self::Responses => events::unknown(),
            Self::Chat => Bytes::from_static(b"data: {\"object\":\"lab.novelty\",\"choices\":[]}\n\n"),
            Self::Messages => Bytes::from_static(
                b"event: lab_novelty\ndata: {\"type\":\"lab_novelty\",\"note\":\"newer than you\"}\n\n",
            ),
        }
    }

    /// The answer failed inside the stream.
    pub(crate) fn failed(self, response_id: &str, code: &str, message: &str) -> Bytes {
        match self {
            Self::Responses => events::failed(response_id, code, message),
            _ => self.error(500, code, message),
        }
    }

    /// An error inside the stream, in the dialect's own words.
    pub(crate) fn error(self, status: u16, code: &str, message: &str) -> Bytes {
        match self {
            Self::Responses => events::error(status, code, message),
            Self::Chat => {
                let error = json!({"message": message, "type": "server_error", "param": null, "code": code});
                Bytes::from(format!("data: {}\n\n", json!({"error": error})))
            }
            Self::Messages => {
                let error = json!({"type": "error", "error": {"type": code, "message": message}});
                Bytes::from(format!("event: error\ndata: {error}\n\n"))
            }
        }
    }

    /// The events of an answer that ended before it was finished.
    pub(crate) fn incomplete(self, mut events: Vec<Bytes>, reason: &str) -> Vec<Bytes> {
        let (from, to) = match self {
            Self::Responses => {
                let terminal = events.pop().unwrap_or_default();
                events.push(events::incomplete(&terminal, reason));
                return events;
            }
            Self::Chat if reason == "content_filter" => {
                (r#""finish_reason":"stop""#, r#""finish_reason":"content_filter""#)
            }
            Self::Chat => (r#""finish_reason":"stop""#, r#""finish_reason":"length""#),
            Self::Messages => (r#""stop_reason":"end_turn""#, r#""stop_reason":"max_tokens""#),
        };
        let changed = |event: Bytes| match std::str::from_utf8(&event) {
            Ok(text) if text.contains(from) => Bytes::from(text.replace(from, to)),
            _ => event,
        };
        events.into_iter().map(changed).collect()
    }
}

/// One event of a named kind.
pub(crate) fn named(kind: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
}

/// One event without a name.
pub(crate) fn unnamed(data: &Value) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}
