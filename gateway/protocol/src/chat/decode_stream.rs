//! A chat stream into events.
//!
//! Holds which blocks are open and why the answer stopped, never text. The finish reason waits for the usage chunk
//! behind it; `[DONE]` or the end of the stream lets it go.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chunk::{WireUsage, stop_reason};
use crate::openai::WireError;
use crate::sse::EventLines;
use crate::turn::{
    BlockStart, Delta, ErrorKind, ErrorReport, EventDecoder, Started, ToolKind, TurnEvent, Usage,
};

#[derive(Deserialize)]
struct Chunk<'a> {
    id: Option<String>,
    model: Option<String>,
    created: Option<f64>,
    service_tier: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    delta: Option<WireDelta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
pub(super) struct WireDelta {
    pub(super) content: Option<String>,
    pub(super) refusal: Option<String>,
    pub(super) reasoning_content: Option<String>,
    /// The same under the name that other servers give it.
    pub(super) reasoning: Option<String>,
    pub(super) tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
pub(super) struct CallDelta {
    pub(super) index: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) function: Option<FunctionDelta>,
    pub(super) custom: Option<CustomDelta>,
}

#[derive(Deserialize)]
pub(super) struct FunctionDelta {
    pub(super) name: Option<String>,
    pub(super) arguments: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CustomDelta {
    pub(super) name: Option<String>,
    pub(super) input: Option<String>,
}

/// The block that is not a tool call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    Text,
    Refusal,
    Reasoning,
}

#[derive(Debug)]
struct OpenCall {
    /// The index on the wire.
    wire: u64,
    id: String,
    block: u32,
}

/// Reads chunks; a whole answer is read as one.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    has_started: bool,
    is_over: bool,
    next: u32,
    plain: Option<(Plain, u32)>,
    calls: Vec<OpenCall>,
    stop: Option<String>,
    usage: Option<Usage>,
}

impl EventDecoder for Decoder {
    fn push(&mut self, event: EventLines<'_>, out: &mut Vec<TurnEvent>) {
        let Some(data) = event.data.filter(|_| !self.is_over) else { return };
        if data == b"[DONE]" {
            return self.finish(out);
        }
        match serde_json::from_slice::<Chunk<'_>>(data) {
            Ok(chunk) => self.chunk(chunk, out),
            Err(error) => {
                let why = format!("the upstream sent a chunk that cannot be read: {error}");
                self.fail(ErrorReport::new(ErrorKind::Server, why), out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<TurnEvent>) {
        if self.is_over {
            return;
        }
        let Some(word) = self.stop.take() else { return };
        self.is_over = true;
        let has_calls = !self.calls.is_empty();
        self.close_plain(out);
        for call in self.calls.drain(..) {
            out.push(TurnEvent::BlockEnd { index: call.block });
        }
        out.extend(self.usage.map(TurnEvent::Usage));
        out.push(TurnEvent::Finished(stop_reason(&word, has_calls)));
    }
}

impl Decoder {
    fn fail(&mut self, report: ErrorReport, out: &mut Vec<TurnEvent>) {
        self.is_over = true;
        out.push(TurnEvent::Failed(report));
    }

    fn chunk(&mut self, chunk: Chunk<'_>, out: &mut Vec<TurnEvent>) {
        if let Some(error) = chunk.error.filter(|error| error.get() != "null") {
            let report = match serde_json::from_str::<WireError<'_>>(error.get()) {
                Ok(error) => error.report(None),
                Err(_) => ErrorReport::new(ErrorKind::Server, error.get().trim_matches('"')),
            };
            return self.fail(report, out);
        }
        if !self.has_started {
            self.start(&chunk, out);
        }
        for choice in chunk.choices.unwrap_or_default() {
            // Only one was asked for.
            if choice.index == 0 {
                self.delta(choice.delta.unwrap_or_default(), out);
                self.stop = choice.finish_reason.or(self.stop.take());
            }
        }
        self.usage = chunk.usage.map(Usage::from).or(self.usage);
    }

    fn start(&mut self, chunk: &Chunk<'_>, out: &mut Vec<TurnEvent>) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a saturating cast is meant"
        )]
        let created = chunk.created.filter(|at| *at > 0.0).map(|at| at as u64);
        self.started(
            Started {
                id: chunk.id.clone().unwrap_or_default(),
                model: chunk.model.clone().unwrap_or_default(),
                created,
                service_tier: chunk.service_tier.clone(),
            },
            out,
        );
    }

    pub(super) fn started(&mut self, started: Started, out: &mut Vec<TurnEvent>) {
        self.has_started = true;
        out.push(TurnEvent::Started(started));
    }

    pub(super) fn stopped(&mut self, word: String, usage: Option<Usage>) {
        self.stop = Some(word);
        self.usage = usage;
    }

    pub(super) fn delta(&mut self, delta: WireDelta, out: &mut Vec<TurnEvent>) {
        // A server that writes both names writes the same text under them.
        self.plain(Plain::Reasoning, delta.reasoning_content.or(delta.reasoning), out);
        self.plain(Plain::Text, delta.content, out);
        self.plain(Plain::Refusal, delta.refusal, out);
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call, out);
        }
    }

    fn plain(&mut self, kind: Plain, text: Option<String>, out: &mut Vec<TurnEvent>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        let index = match self.plain {
            Some((open, index)) if open == kind => index,
            _ => {
                self.close_plain(out);
                let block = match kind {
                    Plain::Text => BlockStart::Text,
                    Plain::Refusal => BlockStart::Refusal,
                    Plain::Reasoning => BlockStart::Reasoning { id: None, is_redacted: false },
                };
                let index = self.begin(block, out);
                self.plain = Some((kind, index));
                index
            }
        };
        let delta = if kind == Plain::Reasoning { Delta::Reasoning(text) } else { Delta::Text(text) };
        out.push(TurnEvent::Delta { index, delta });
    }

    fn begin(&mut self, block: BlockStart, out: &mut Vec<TurnEvent>) -> u32 {
        let index = self.next;
        self.next += 1;
        out.push(TurnEvent::BlockStart { index, block });
        index
    }

    fn close_plain(&mut self, out: &mut Vec<TurnEvent>) {
        if let Some((_, index)) = self.plain.take() {
            out.push(TurnEvent::BlockEnd { index });
        }
    }

    fn call(&mut self, call: CallDelta, out: &mut Vec<TurnEvent>) {
        self.close_plain(out);
        let (kind, name, arguments) = match (call.function, call.custom) {
            (_, Some(custom)) => (ToolKind::Custom, custom.name, custom.input),
            (Some(function), None) => (ToolKind::Function, function.name, function.arguments),
            (None, None) => (ToolKind::Function, None, None),
        };
        let id = call.id.filter(|id| !id.is_empty());
        let name = name.filter(|name| !name.is_empty());
        let index = match self.open_call(call.index, id.as_deref(), name.is_some()) {
            Some(block) => block,
            None => {
                // A server that leaves the index out sends one whole call after the other.
                let wire = call.index.unwrap_or(self.calls.len() as u64);
                let id = id.unwrap_or_else(|| format!("call_{}", self.next));
                let name = name.unwrap_or_default();
                let start = BlockStart::ToolCall { id: id.clone(), name, namespace: None, kind };
                let block = self.begin(start, out);
                self.calls.push(OpenCall { wire, id, block });
                block
            }
        };
        if let Some(arguments) = arguments.filter(|arguments| !arguments.is_empty()) {
            out.push(TurnEvent::Delta { index, delta: Delta::Arguments(arguments) });
        }
    }

    /// The call that a delta goes on with. The same index under another id and a name is another call: several servers
    /// send index 0 for each.
    fn open_call(&self, wire: Option<u64>, id: Option<&str>, is_named: bool) -> Option<u32> {
        let newest_first = || self.calls.iter().rev();
        let found = match (wire, id) {
            (Some(wire), Some(id)) if is_named => {
                newest_first().find(|call| call.wire == wire && call.id == id)
            }
            (Some(wire), _) => newest_first().find(|call| call.wire == wire),
            (None, Some(id)) => newest_first().find(|call| call.id == id),
            (None, None) if is_named => None,
            (None, None) => newest_first().next(),
        };
        found.map(|call| call.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::StopReason;

    #[test]
    fn a_cut_stream_has_no_end() {
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        let data = br#"{"id":"c","choices":[{"index":0,"delta":{"content":"hi"}}]}"#;
        decoder.push(EventLines { name: None, data: Some(data) }, &mut out);
        decoder.finish(&mut out);
        assert!(!out.iter().any(|event| matches!(event, TurnEvent::Finished(_) | TurnEvent::Failed(_))));
    }

    #[test]
    fn a_stream_without_done_ends_by_its_finish_reason() {
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        let data = br#"{"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}"#;
        decoder.push(EventLines { name: None, data: Some(data) }, &mut out);
        assert!(!out.iter().any(|event| matches!(event, TurnEvent::Finished(_))), "usage may follow");
        decoder.finish(&mut out);
        assert!(matches!(out.last(), Some(TurnEvent::Finished(StopReason::Stop))));
    }
}
