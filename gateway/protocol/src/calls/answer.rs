//! Answers of calls: what they cost, where their streams end, which file they made.

use std::borrow::Cow;

use bytes::Bytes;
use gateway_domain::{Failure, TokenUsage};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::responses::error_body;
use crate::sse::{self, EventLines};

/// Usage as these answers write it: `input_tokens` (images, transcriptions) or `prompt_tokens` (embeddings).
#[derive(Deserialize, Default)]
struct WireUsage {
    #[serde(alias = "prompt_tokens")]
    input_tokens: Option<u64>,
    #[serde(alias = "completion_tokens")]
    output_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize, Default)]
struct InputDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    /// `None` for sound that is billed by the second: it has no tokens.
    fn tokens(self) -> Option<TokenUsage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        Some(TokenUsage {
            input: self.input_tokens.unwrap_or(0),
            input_cached: self.input_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0),
            output: self.output_tokens.unwrap_or(0),
            reasoning: self.output_tokens_details.and_then(|details| details.reasoning_tokens).unwrap_or(0),
        })
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// The tokens that a whole answer tells; `None` when it tells none, or is no JSON.
#[must_use]
pub fn usage_of(answer: &[u8]) -> Option<TokenUsage> {
    let answer: Answer<'_> = serde_json::from_slice(answer).ok()?;
    serde_json::from_str::<WireUsage>(answer.usage?.get()).ok()?.tokens()
}

/// What an event of a call's stream means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEvent {
    /// A part of the answer.
    Part,
    /// An answer is complete; several may come in one stream.
    Done(Option<TokenUsage>),
    /// It failed: the error object.
    Failed(String),
}

/// Reads one event as the framer showed it.
#[must_use]
pub fn read_call_event(event: &[u8]) -> CallEvent {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow, rename = "type", default)]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        usage: Option<&'a RawValue>,
        #[serde(borrow, default)]
        error: Option<&'a RawValue>,
    }
    let lines = EventLines::read(event);
    let Some(data) = lines.data else { return CallEvent::Part };
    if data == b"[DONE]" {
        return CallEvent::Done(None);
    }
    let Ok(typed) = serde_json::from_slice::<Typed<'_>>(data) else { return CallEvent::Part };
    let kind = typed.kind.as_deref().or_else(|| std::str::from_utf8(lines.name?).ok()).unwrap_or_default();
    match kind {
        "image_generation.completed" | "image_edit.completed" | "transcript.text.done" => {
            let usage = typed.usage.and_then(|raw| serde_json::from_str::<WireUsage>(raw.get()).ok());
            CallEvent::Done(usage.and_then(WireUsage::tokens))
        }
        "error" => CallEvent::Failed(typed.error.map_or("{}", RawValue::get).to_owned()),
        _ if typed.error.is_some_and(|error| error.get() != "null") => {
            CallEvent::Failed(typed.error.map_or("{}", RawValue::get).to_owned())
        }
        _ => CallEvent::Part,
    }
}

/// The last event of a stream that cannot go on: `{"error": …}` as clients of these routes read it.
#[must_use]
pub fn call_error_event(failure: &Failure) -> Bytes {
    sse::event("error", &error_body(failure))
}

/// The id of the file that an upload's answer names.
#[must_use]
pub fn uploaded_file(answer: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Upload {
        #[serde(alias = "id")]
        file_id: String,
    }
    serde_json::from_slice::<Upload>(answer).ok().map(|upload| upload.file_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_in_every_spelling() {
        let usage =
            |input, cached, output| Some(TokenUsage { input, input_cached: cached, output, reasoning: 0 });
        for (body, expected) in [
            (r#"{"data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}"#, usage(5, 0, 0)),
            (
                r#"{"usage":{"input_tokens":9,"output_tokens":4,"input_tokens_details":{"cached_tokens":3}}}"#,
                usage(9, 3, 4),
            ),
            (r#"{"usage":{"type":"duration","seconds":7}}"#, None),
            (r#"{"usage":null}"#, None),
            (r#"{"usage":{"input_tokens":"many"}}"#, None),
            ("plain text", None),
            ("", None),
        ] {
            assert_eq!(usage_of(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn streams_end_where_they_say_so() {
        let read = |event: &str| read_call_event(event.as_bytes());
        assert_eq!(
            read(r#"data: {"type":"image_generation.partial_image","b64_json":"eA=="}"#),
            CallEvent::Part
        );
        assert_eq!(read("data: [DONE]"), CallEvent::Done(None));
        assert!(matches!(
            read("event: transcript.text.done\ndata: {\"text\":\"x\",\"usage\":{\"input_tokens\":1}}"),
            CallEvent::Done(Some(_))
        ));
        assert_eq!(read(r#"data: {"error":{"code":"x"}}"#), CallEvent::Failed(r#"{"code":"x"}"#.into()));
        assert_eq!(read("event: error\ndata: {}"), CallEvent::Failed("{}".into()));
        assert_eq!(read(": comment"), CallEvent::Part);
    }
}
