//! An upstream's answer as events: the stream, event by event, and the whole answer, block by block.
//!
//! Holds no more than it must: the signature of the open thinking block, and the input of a tool that the provider
//! runs, because such a block goes on as one piece. Citations have no counterpart and are left out.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::read_report;
use super::seal;
use super::usage::{Counts, read_stop};
use crate::json::Members;
use crate::sse::{EventLines, MAX_EVENT_BYTES};
use crate::turn::{
    BlockStart, Delta, Dialect, ErrorKind, ErrorReport, EventDecoder, Json, Opaque, Started, StopReason,
    ToolKind, TurnError, TurnEvent,
};

/// The most of one block that is held, in bytes.
const MAX_HELD_BYTES: usize = MAX_EVENT_BYTES;

#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// The message, as it begins in a stream and as it is as a whole.
#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_sequence: Option<String>,
}

/// The fields of all blocks we know. A block of another type is never read as this.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireBlock {
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    data: Option<String>,
    id: Option<String>,
    name: Option<String>,
    input: Option<Json>,
}

#[derive(Deserialize)]
struct Tagged<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

/// The fields of all deltas we know.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireDelta {
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    partial_json: Option<String>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

/// A block that has begun.
#[derive(Debug)]
enum Open {
    Text(u32),
    Thinking {
        index: u32,
        seal: String,
        is_redacted: bool,
    },
    /// `input` is what the block began with, for an upstream that sends it whole.
    Call {
        index: u32,
        input: Option<Json>,
        has_arguments: bool,
    },
    /// One that only this dialect has, with the input it gathers.
    Opaque {
        kind: String,
        raw: Json,
        input: String,
    },
}

/// Why an answer cannot be read on.
type Malformed = &'static str;

/// Reads an answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    is_started: bool,
    is_ended: bool,
    counts: Counts,
    stop: Option<StopReason>,
    called: bool,
    /// The index of the next block that begins.
    next: u32,
    /// Blocks by the upstream's index. It opens one at a time; nothing here depends on it.
    open: Vec<(u32, Open)>,
}

impl EventDecoder for Reader {
    fn push(&mut self, event: EventLines<'_>, out: &mut Vec<TurnEvent>) {
        let Some(data) = event.data.filter(|_| !self.is_ended) else { return };
        if let Err(why) = self.event(data, out) {
            let message = format!("the upstream's stream cannot be read: {why}");
            self.fail(ErrorReport::new(ErrorKind::Server, message), out);
        }
    }

    fn finish(&mut self, out: &mut Vec<TurnEvent>) {
        if !self.is_ended && self.stop.is_some() {
            self.end(out);
        }
    }
}

impl Reader {
    fn event(&mut self, data: &[u8], out: &mut Vec<TurnEvent>) -> Result<(), Malformed> {
        let event: WireEvent<'_> = match serde_json::from_slice(data) {
            Ok(event) => event,
            // A newer event may use our names for other things.
            Err(_) if serde_json::from_slice::<Tagged<'_>>(data).is_ok_and(|tag| !is_known(&tag.kind)) => {
                return Ok(());
            }
            Err(_) => return Err("an event is not JSON of its type"),
        };
        match &*event.kind {
            "message_start" => self.start(event.message, out)?,
            "content_block_start" => {
                self.block_start(event.index, event.content_block.ok_or("a block without content")?, out)?;
            }
            "content_block_delta" => self.delta(event.index, event.delta, out)?,
            "content_block_stop" => self.block_stop(event.index, out),
            "message_delta" => self.message_delta(event.delta, event.usage)?,
            "message_stop" => self.end(out),
            "error" => self.fail(read_report(500, data), out),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, message: Option<&RawValue>, out: &mut Vec<TurnEvent>) -> Result<(), Malformed> {
        if let Some(raw) = message {
            let message = serde_json::from_str(raw.get()).map_err(|_| "its message is not one")?;
            self.begin(&message, out);
        }
        self.ensure_started(out);
        Ok(())
    }

    fn begin(&mut self, message: &WireAnswer<'_>, out: &mut Vec<TurnEvent>) {
        if self.is_started {
            return;
        }
        self.is_started = true;
        out.push(TurnEvent::Started(Started {
            id: message.id.clone().unwrap_or_default(),
            model: message.model.clone().unwrap_or_default(),
            ..Started::default()
        }));
        if let Some(counts) = Counts::read(message.usage) {
            self.counts.update(counts);
            out.push(TurnEvent::Usage(self.counts.usage()));
        }
    }

    fn ensure_started(&mut self, out: &mut Vec<TurnEvent>) {
        if !self.is_started {
            self.is_started = true;
            out.push(TurnEvent::Started(Started::default()));
        }
    }

    fn block_start(&mut self, at: u32, raw: &RawValue, out: &mut Vec<TurnEvent>) -> Result<(), Malformed> {
        self.ensure_started(out);
        let tag: Tagged<'_> = serde_json::from_str(raw.get()).map_err(|_| "a block has no type")?;
        let kind = &*tag.kind;
        if !matches!(kind, "text" | "thinking" | "redacted_thinking" | "tool_use") {
            let held = Open::Opaque { kind: kind.to_owned(), raw: raw.to_owned(), input: String::new() };
            self.open.push((at, held));
            return Ok(());
        }
        let block: WireBlock = serde_json::from_str(raw.get()).map_err(|_| "a block is not of its type")?;
        let index = self.next;
        self.next += 1;
        let open = match kind {
            "text" => {
                out.push(TurnEvent::BlockStart { index, block: BlockStart::Text });
                say(index, block.text, Delta::Text, out);
                Open::Text(index)
            }
            "tool_use" => {
                self.called = true;
                let id = block.id.unwrap_or_default();
                let name = block.name.ok_or("a call has no name")?;
                let call = BlockStart::ToolCall { id, name, namespace: None, kind: ToolKind::Function };
                out.push(TurnEvent::BlockStart { index, block: call });
                Open::Call { index, input: block.input, has_arguments: false }
            }
            kind => {
                let is_redacted = kind == "redacted_thinking";
                let start = BlockStart::Reasoning { id: None, is_redacted };
                out.push(TurnEvent::BlockStart { index, block: start });
                say(index, block.thinking, Delta::Reasoning, out);
                let seal = if is_redacted { block.data } else { block.signature };
                Open::Thinking { index, seal: seal.unwrap_or_default(), is_redacted }
            }
        };
        self.open.push((at, open));
        Ok(())
    }

    fn delta(
        &mut self,
        at: u32,
        delta: Option<&RawValue>,
        out: &mut Vec<TurnEvent>,
    ) -> Result<(), Malformed> {
        let Some(raw) = delta else { return Ok(()) };
        let Some((_, open)) = self.open.iter_mut().find(|(index, _)| *index == at) else {
            return Err("a delta of a block that is not open");
        };
        // A delta whose fields are not ours is a newer kind.
        let Ok(delta) = serde_json::from_str::<WireDelta>(raw.get()) else { return Ok(()) };
        match open {
            Open::Text(index) => say(*index, delta.text, Delta::Text, out),
            Open::Thinking { index, seal, .. } => {
                say(*index, delta.thinking, Delta::Reasoning, out);
                hold(seal, delta.signature.as_deref())?;
            }
            Open::Call { index, has_arguments, .. } => {
                *has_arguments |= delta.partial_json.as_ref().is_some_and(|json| !json.is_empty());
                say(*index, delta.partial_json, Delta::Arguments, out);
            }
            Open::Opaque { input, .. } => hold(input, delta.partial_json.as_deref())?,
        }
        Ok(())
    }

    fn block_stop(&mut self, at: u32, out: &mut Vec<TurnEvent>) {
        let Some(nth) = self.open.iter().position(|(index, _)| *index == at) else { return };
        let (_, open) = self.open.remove(nth);
        self.close(open, out);
    }

    fn close(&mut self, open: Open, out: &mut Vec<TurnEvent>) {
        let index = match open {
            Open::Text(index) => index,
            Open::Thinking { index, seal, is_redacted } => {
                if !seal.is_empty() {
                    let seal = if is_redacted { seal::of_data(seal) } else { seal::of_signature(seal) };
                    out.push(TurnEvent::Delta { index, delta: Delta::Seal(seal) });
                }
                index
            }
            Open::Call { index, input, has_arguments } => {
                if !has_arguments {
                    let whole = input.as_deref().map_or("{}", RawValue::get);
                    let delta = Delta::Arguments(whole.to_owned());
                    out.push(TurnEvent::Delta { index, delta });
                }
                index
            }
            Open::Opaque { kind, raw, input } => {
                let index = self.next;
                self.next += 1;
                let raw = with_input(raw, &input);
                let block = BlockStart::Opaque(Opaque { dialect: Dialect::AnthropicMessages, kind, raw });
                out.push(TurnEvent::BlockStart { index, block });
                index
            }
        };
        out.push(TurnEvent::BlockEnd { index });
    }

    fn message_delta(&mut self, delta: Option<&RawValue>, usage: Option<&RawValue>) -> Result<(), Malformed> {
        if let Some(counts) = Counts::read(usage) {
            self.counts.update(counts);
        }
        let Some(raw) = delta else { return Ok(()) };
        let delta: WireDelta = serde_json::from_str(raw.get()).map_err(|_| "its end cannot be read")?;
        self.stop = read_stop(delta.stop_reason.as_deref(), delta.stop_sequence).or(self.stop.take());
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<TurnEvent>) {
        self.ensure_started(out);
        for (_, open) in std::mem::take(&mut self.open) {
            self.close(open, out);
        }
        self.is_ended = true;
        if self.counts.are_told() {
            out.push(TurnEvent::Usage(self.counts.usage()));
        }
        let unsaid = if self.called { StopReason::ToolCalls } else { StopReason::Stop };
        out.push(TurnEvent::Finished(self.stop.take().unwrap_or(unsaid)));
    }

    fn fail(&mut self, report: ErrorReport, out: &mut Vec<TurnEvent>) {
        self.is_ended = true;
        out.push(TurnEvent::Failed(report));
    }
}

/// Reads a whole answer as the events it would have streamed.
pub(super) fn read_answer(body: &[u8], out: &mut Vec<TurnEvent>) -> Result<(), TurnError> {
    let bad = |why: String| TurnError::BadAnswer(why);
    let tag: Tagged<'_> = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    let mut reader = Reader::default();
    if tag.kind == "error" {
        reader.fail(read_report(500, body), out);
        return Ok(());
    }
    let answer: WireAnswer<'_> = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    reader.begin(&answer, out);
    let content = answer.content.ok_or_else(|| bad("it has no `content`".to_owned()))?;
    for raw in content {
        reader.block_start(0, raw, out).map_err(|why| bad(why.to_owned()))?;
        reader.block_stop(0, out);
    }
    reader.stop = read_stop(answer.stop_reason.as_deref(), answer.stop_sequence);
    reader.end(out);
    Ok(())
}

fn is_known(kind: &str) -> bool {
    matches!(
        kind,
        "message_start"
            | "content_block_start"
            | "content_block_delta"
            | "content_block_stop"
            | "message_delta"
            | "message_stop"
            | "error"
    )
}

fn say(index: u32, text: Option<String>, delta: fn(String) -> Delta, out: &mut Vec<TurnEvent>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        out.push(TurnEvent::Delta { index, delta: delta(text) });
    }
}

fn hold(held: &mut String, more: Option<&str>) -> Result<(), Malformed> {
    let more = more.unwrap_or_default();
    if held.len().saturating_add(more.len()) > MAX_HELD_BYTES {
        return Err("a block is too long");
    }
    held.push_str(more);
    Ok(())
}

/// A block with the input that came after its beginning.
fn with_input(raw: Json, input: &str) -> Json {
    if serde_json::from_str::<&RawValue>(input).is_err() {
        return raw;
    }
    let Ok(mut members) = Members::read(raw.get().as_bytes()) else { return raw };
    members.set("input", input.trim());
    let text = String::from_utf8_lossy(&members.write()).into_owned();
    RawValue::from_string(text).unwrap_or(raw)
}
