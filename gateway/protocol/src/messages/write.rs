//! An answer for a client: the stream, event by event, and the whole answer.
//!
//! The order is what SDKs and Claude Code need (facts: clients 4.3): `message_start`, then blocks one at a time, each
//! with its index, start, deltas and stop, then one `message_delta` and `message_stop`. After an error nothing follows.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

use super::encode::wire::{Block, Raw};
use super::error::report_in_stream;
use super::usage::{Seen, WireStop, WireUsage, write_stop};
use super::{ids, seal};
use crate::turn::{
    AnswerBlock, AnswerContext, BlockStart, Delta, Dialect, ErrorReport, EventEncoder, Opaque, Reasoning,
    Sealed, Sequencer, Started, StopReason, TurnAnswer, TurnEvent, Usage,
};

/// The event that keeps a connection alive. Every client of this dialect takes it at any place.
pub const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// Between two parts of a summary, which are one thinking block here.
const BETWEEN_PARTS: &str = "\n\n";

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireEvent<'a> {
    MessageStart { message: WireMessage<'a> },
    ContentBlockStart { index: u32, content_block: StartBlock<'a> },
    ContentBlockDelta { index: u32, delta: WireDelta<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: WireStop<'a>, usage: WireUsage },
    MessageStop,
}

impl WireEvent<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }
}

#[derive(Serialize)]
struct WireMessage<'a> {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: Option<&'a str>,
    stop_sequence: Option<&'a str>,
    usage: WireUsage,
}

/// A block as it begins. Its fields are there and empty: SDKs append to them.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum StartBlock<'a> {
    Text {
        text: &'static str,
    },
    Thinking {
        thinking: &'static str,
        signature: &'static str,
    },
    RedactedThinking {
        data: Cow<'a, str>,
    },
    ToolUse {
        id: String,
        name: &'a str,
        input: NoInput,
    },
    #[serde(untagged)]
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
struct NoInput {}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names on the wire end so")]
enum WireDelta<'a> {
    TextDelta { text: &'a str },
    ThinkingDelta { thinking: &'a str },
    SignatureDelta { signature: Cow<'a, str> },
    InputJsonDelta { partial_json: &'a str },
}

/// The block that is open for the client.
#[derive(Debug)]
enum Open {
    Text,
    Call,
    Opaque,
    Thought(Thought),
    /// One that this dialect cannot tell.
    Skipped,
}

/// Thinking begins for the client with its first text or its seal: what turns out to have neither is not told.
#[derive(Debug)]
struct Thought {
    is_redacted: bool,
    is_told: bool,
    /// Which of the two texts is shown; the first that comes.
    shows: Option<Shows>,
    /// A part ended and the next has not begun.
    between: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Summary,
    Whole,
}

/// Writes a stream.
#[derive(Debug)]
pub(super) struct Writer {
    row: Sequencer,
    turn: Turn,
}

#[derive(Debug)]
struct Turn {
    context: AnswerContext,
    /// Who answers, held until the first block: an upstream of this dialect tells its input tokens right after, and
    /// `message_start` is where clients read them.
    held: Option<Started>,
    is_started: bool,
    is_ended: bool,
    /// The index of the open block, or of the next one.
    index: u32,
    open: Option<Open>,
    usage: Usage,
    seen: Seen,
}

impl Writer {
    pub(super) fn new(context: &AnswerContext) -> Self {
        let turn = Turn {
            context: context.clone(),
            held: None,
            is_started: false,
            is_ended: false,
            index: 0,
            open: None,
            usage: Usage::default(),
            seen: Seen::default(),
        };
        Self { row: Sequencer::default(), turn }
    }
}

impl EventEncoder for Writer {
    fn encode(&mut self, event: &TurnEvent, out: &mut BytesMut) {
        if !self.turn.is_ended {
            self.row.push(event.clone(), |event| self.turn.write(&event, out));
        }
    }
}

impl Turn {
    fn write(&mut self, event: &TurnEvent, out: &mut BytesMut) {
        if self.is_ended {
            return;
        }
        match event {
            TurnEvent::Started(started) => self.held = Some(started.clone()),
            TurnEvent::BlockStart { block, .. } => self.block_start(block, out),
            TurnEvent::Delta { delta, .. } => self.delta(delta, out),
            TurnEvent::BlockEnd { .. } => self.block_end(out),
            TurnEvent::Usage(usage) => self.usage = *usage,
            TurnEvent::Finished(stop) => self.finish(stop, out),
            TurnEvent::Failed(report) => self.fail(report, out),
        }
    }

    fn ensure_started(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        let started = self.held.take().unwrap_or_default();
        let message = WireMessage {
            id: ids::message_id(&started.id, &self.context.fallback_id),
            r#type: "message",
            role: "assistant",
            model: &self.context.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: self.usage.into(),
        };
        put(out, &WireEvent::MessageStart { message });
    }

    fn block_start(&mut self, block: &BlockStart, out: &mut BytesMut) {
        self.ensure_started(out);
        self.open = Some(match block {
            BlockStart::Text => self.tell(StartBlock::Text { text: "" }, Open::Text, out),
            BlockStart::Refusal => {
                self.seen.refusal = true;
                self.tell(StartBlock::Text { text: "" }, Open::Text, out)
            }
            BlockStart::Reasoning { is_redacted, .. } => Open::Thought(Thought {
                is_redacted: *is_redacted,
                is_told: false,
                shows: None,
                between: false,
            }),
            BlockStart::ToolCall { id, name, .. } => {
                self.seen.tool_use = true;
                let id = if id.is_empty() { format!("toolu_{}", self.index) } else { ids::tool_use_id(id) };
                self.tell(StartBlock::ToolUse { id, name, input: NoInput {} }, Open::Call, out)
            }
            BlockStart::Opaque(Opaque { dialect: Dialect::AnthropicMessages, raw, .. }) => {
                let line = one_line(raw);
                self.tell(StartBlock::Opaque(line.as_deref().unwrap_or(raw)), Open::Opaque, out)
            }
            BlockStart::Opaque(_) => Open::Skipped,
        });
    }

    /// Begins a block for the client. A ping follows the very first one, as the API does it.
    fn tell(&self, content_block: StartBlock<'_>, open: Open, out: &mut BytesMut) -> Open {
        put(out, &WireEvent::ContentBlockStart { index: self.index, content_block });
        if self.index == 0 {
            out.extend_from_slice(PING);
        }
        open
    }

    fn delta(&mut self, delta: &Delta, out: &mut BytesMut) {
        let Some(mut open) = self.open.take() else { return };
        let index = self.index;
        match (&mut open, delta) {
            (_, delta) if delta.is_empty() && *delta != Delta::ReasoningPart => {}
            (Open::Text, Delta::Text(text)) => {
                put(out, &WireEvent::ContentBlockDelta { index, delta: WireDelta::TextDelta { text } });
            }
            (Open::Call, Delta::Arguments(partial_json)) => {
                let delta = WireDelta::InputJsonDelta { partial_json };
                put(out, &WireEvent::ContentBlockDelta { index, delta });
            }
            (Open::Thought(thought), delta) => self.think(thought, delta, out),
            _ => {}
        }
        self.open = Some(open);
    }

    fn think(&self, thought: &mut Thought, delta: &Delta, out: &mut BytesMut) {
        match delta {
            Delta::Reasoning(text) => self.show(thought, Shows::Summary, text, out),
            Delta::ReasoningText(text) => self.show(thought, Shows::Whole, text, out),
            Delta::ReasoningPart => thought.between = thought.shows == Some(Shows::Summary),
            Delta::Seal(seal) => self.seal(thought, seal, out),
            Delta::Text(_) | Delta::Arguments(_) => {}
        }
    }

    fn show(&self, thought: &mut Thought, what: Shows, text: &str, out: &mut BytesMut) {
        if thought.is_redacted || *thought.shows.get_or_insert(what) != what {
            return;
        }
        self.tell_thought(thought, out);
        if std::mem::take(&mut thought.between) {
            self.put_thinking(BETWEEN_PARTS, out);
        }
        self.put_thinking(text, out);
    }

    fn put_thinking(&self, thinking: &str, out: &mut BytesMut) {
        let delta = WireDelta::ThinkingDelta { thinking };
        put(out, &WireEvent::ContentBlockDelta { index: self.index, delta });
    }

    fn tell_thought(&self, thought: &mut Thought, out: &mut BytesMut) {
        if !std::mem::replace(&mut thought.is_told, true) {
            self.tell(StartBlock::Thinking { thinking: "", signature: "" }, Open::Skipped, out);
        }
    }

    /// The seal of another provider travels marked, so that it finds its way back.
    fn seal(&self, thought: &mut Thought, seal: &Sealed, out: &mut BytesMut) {
        let text = seal::for_client(seal);
        if thought.is_redacted {
            thought.is_told = true;
            self.tell(StartBlock::RedactedThinking { data: Cow::Owned(text) }, Open::Skipped, out);
            return;
        }
        self.tell_thought(thought, out);
        let delta = WireDelta::SignatureDelta { signature: Cow::Owned(text) };
        put(out, &WireEvent::ContentBlockDelta { index: self.index, delta });
    }

    fn block_end(&mut self, out: &mut BytesMut) {
        match self.open.take() {
            None | Some(Open::Skipped | Open::Thought(Thought { is_told: false, .. })) => {}
            Some(_) => {
                put(out, &WireEvent::ContentBlockStop { index: self.index });
                self.index += 1;
            }
        }
    }

    fn finish(&mut self, stop: &StopReason, out: &mut BytesMut) {
        self.ensure_started(out);
        // Without its stop a block is lost for Claude Code, whatever the decoder promised.
        self.block_end(out);
        self.is_ended = true;
        let delta = write_stop(stop, self.seen);
        put(out, &WireEvent::MessageDelta { delta, usage: self.usage.into() });
        put(out, &WireEvent::MessageStop);
    }

    fn fail(&mut self, report: &ErrorReport, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.is_ended, true) {
            out.extend_from_slice(&crate::sse::event("error", &report_in_stream(report)));
        }
    }
}

fn put(out: &mut BytesMut, event: &WireEvent<'_>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.name().as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // Writing texts into memory cannot fail.
    serde_json::to_writer((&mut *out).writer(), event).unwrap_or_default();
    out.extend_from_slice(b"\n\n");
}

/// Raw JSON on one line, when it is not: an event is. Line ends in JSON stand between values only.
fn one_line(raw: &RawValue) -> Option<Box<RawValue>> {
    if !raw.get().contains(['\n', '\r']) {
        return None;
    }
    RawValue::from_string(raw.get().replace(['\n', '\r'], " ")).ok()
}

/// Writes a whole answer.
pub(super) fn write_answer(answer: &TurnAnswer, context: &AnswerContext) -> Vec<u8> {
    let mut seen = Seen::default();
    let content =
        answer.blocks.iter().enumerate().filter_map(|(nth, block)| whole(block, nth, &mut seen)).collect();
    let unsaid = StopReason::Stop;
    let WireStop { stop_reason, stop_sequence } = write_stop(answer.stop.as_ref().unwrap_or(&unsaid), seen);
    let message = WireMessage {
        id: ids::message_id(&answer.started.id, &context.fallback_id),
        r#type: "message",
        role: "assistant",
        model: &context.model,
        content,
        stop_reason: Some(stop_reason),
        stop_sequence,
        usage: answer.usage.unwrap_or_default().into(),
    };
    // Writing texts into memory cannot fail.
    serde_json::to_vec(&message).unwrap_or_default()
}

fn whole<'a>(block: &'a AnswerBlock, nth: usize, seen: &mut Seen) -> Option<Block<'a>> {
    match block {
        AnswerBlock::Text(text) => Some(Block::Text { text: Cow::Borrowed(text) }),
        AnswerBlock::Refusal(text) => {
            seen.refusal = true;
            Some(Block::Text { text: Cow::Borrowed(text) })
        }
        AnswerBlock::Reasoning(reasoning) => whole_thought(reasoning),
        AnswerBlock::ToolCall(call) => {
            seen.tool_use = true;
            let id = if call.id.is_empty() { format!("toolu_{nth}") } else { ids::tool_use_id(&call.id) };
            let arguments = call.json_arguments();
            let input = Raw::object(arguments).unwrap_or_else(|| Raw::wrapped(arguments));
            Some(Block::ToolUse { id, name: &call.name, input })
        }
        AnswerBlock::Opaque(opaque) => {
            (opaque.dialect == Dialect::AnthropicMessages).then_some(Block::Opaque(&opaque.raw))
        }
    }
}

fn whole_thought(reasoning: &Reasoning) -> Option<Block<'_>> {
    let seal = reasoning.sealed.as_ref().map(seal::for_client);
    if reasoning.is_redacted {
        return seal.map(|data| Block::RedactedThinking { data: Cow::Owned(data) });
    }
    let shown = if reasoning.summary.is_empty() { &reasoning.text } else { &reasoning.summary };
    let thinking = shown.join(BETWEEN_PARTS);
    if thinking.is_empty() && seal.is_none() {
        return None;
    }
    // An SDK wants the field; what is empty is not taken for a signature on its way back.
    let signature = Cow::Owned(seal.unwrap_or_default());
    Some(Block::Thinking { thinking: Cow::Owned(thinking), signature })
}
