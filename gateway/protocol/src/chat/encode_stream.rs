//! Events into a chat stream.
//!
//! Holds the indexes of the blocks, never text. An error is a chunk `{"error":..}` without `[DONE]` behind it: a
//! client that overlooks the error must not see an end either.

use std::collections::HashMap;

use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::{Value, json};

use super::chunk::{Head, finish_reason, usage};
use crate::openai;
use crate::turn::{
    AnswerContext, BlockStart, Delta, ErrorReport, EventEncoder, Started, StopReason, ToolKind, TurnEvent,
    Usage,
};

#[derive(Debug)]
enum Block {
    Text,
    Refusal,
    Reasoning(Told),
    Call {
        nth: u64,
        kind: ToolKind,
        is_empty: bool,
    },
    /// What this dialect cannot say.
    Silent,
}

/// Which of the two forms of thinking is told. Both would be the same thought twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Summary,
    Chain,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum DeltaOut<'a> {
    Content(&'a str),
    Refusal(&'a str),
    ReasoningContent(&'a str),
    ToolCalls([Value; 1]),
}

/// Writes chunks.
#[derive(Debug)]
pub(super) struct Encoder {
    context: AnswerContext,
    /// The beginning that all chunks share, up to the list of choices. Empty before the start.
    head: Vec<u8>,
    blocks: HashMap<u32, Block>,
    calls: u64,
    usage: Option<Usage>,
    /// Thinking was told before, so another block of it begins with an empty line.
    has_thought: bool,
    is_over: bool,
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &TurnEvent, out: &mut BytesMut) {
        if self.is_over {
            return;
        }
        match event {
            TurnEvent::Started(started) => self.start(started, out),
            TurnEvent::BlockStart { index, block } => self.begin(*index, block, out),
            TurnEvent::Delta { index, delta } => self.delta(*index, delta, out),
            TurnEvent::BlockEnd { index } => self.end(*index, out),
            TurnEvent::Usage(usage) => self.usage = Some(*usage),
            TurnEvent::Finished(stop) => self.finish(stop, out),
            TurnEvent::Failed(report) => self.fail(report, out),
        }
    }
}

impl Encoder {
    pub(super) fn new(context: &AnswerContext) -> Self {
        Self {
            context: context.clone(),
            head: Vec::new(),
            blocks: HashMap::new(),
            calls: 0,
            usage: None,
            has_thought: false,
            is_over: false,
        }
    }

    fn start(&mut self, started: &Started, out: &mut BytesMut) {
        if self.head.is_empty() {
            let Head { id, created, model } = Head::new(started, &self.context);
            let object = "chat.completion.chunk";
            let mut head =
                json!({ "id": id, "created": created, "model": model, "object": object }).to_string();
            head.truncate(head.len().saturating_sub(1));
            self.head = format!("data: {head},\"choices\":[").into_bytes();
            self.chunk(&json!({ "role": "assistant", "content": "" }), None, out);
        }
    }

    fn begin(&mut self, index: u32, block: &BlockStart, out: &mut BytesMut) {
        self.start(&Started::default(), out);
        let block = match block {
            BlockStart::Text => Block::Text,
            BlockStart::Refusal => Block::Refusal,
            BlockStart::Reasoning { .. } => Block::Reasoning(Told::Nothing),
            BlockStart::ToolCall { id, name, kind, .. } => {
                let nth = self.calls;
                self.calls += 1;
                let call = match kind {
                    ToolKind::Function => {
                        let function = json!({ "name": name, "arguments": "" });
                        json!({ "index": nth, "id": id, "type": "function", "function": function })
                    }
                    ToolKind::Custom => {
                        let custom = json!({ "name": name, "input": "" });
                        json!({ "index": nth, "id": id, "type": "custom", "custom": custom })
                    }
                };
                self.chunk(&DeltaOut::ToolCalls([call]), None, out);
                Block::Call { nth, kind: *kind, is_empty: true }
            }
            BlockStart::Opaque(_) => Block::Silent,
        };
        self.blocks.insert(index, block);
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut BytesMut) {
        let Some(block) = self.blocks.get_mut(&index) else { return };
        match (block, delta) {
            (Block::Text, Delta::Text(text)) => self.chunk(&DeltaOut::Content(text), None, out),
            (Block::Refusal, Delta::Text(text)) => self.chunk(&DeltaOut::Refusal(text), None, out),
            (Block::Call { nth, kind, is_empty }, Delta::Arguments(more)) => {
                *is_empty &= more.is_empty();
                let call = call_delta(*nth, *kind, more);
                self.chunk(&call, None, out);
            }
            (Block::Reasoning(told), delta) => {
                let Some(text) = thought(told, delta, self.has_thought) else { return };
                self.has_thought = true;
                self.chunk(&DeltaOut::ReasoningContent(&text), None, out);
            }
            _ => {}
        }
    }

    fn end(&mut self, index: u32, out: &mut BytesMut) {
        if let Some(Block::Call { nth, kind: ToolKind::Function, is_empty: true }) =
            self.blocks.remove(&index)
        {
            // Clients parse the arguments as JSON.
            self.chunk(&call_delta(nth, ToolKind::Function, "{}"), None, out);
        }
    }

    fn finish(&mut self, stop: &StopReason, out: &mut BytesMut) {
        self.start(&Started::default(), out);
        self.chunk(&json!({}), Some(finish_reason(stop)), out);
        self.is_over = true;
        if let Some(told) = self.usage.filter(|_| self.context.include_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"],\"usage\":");
            write(&usage(told), out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, report: &ErrorReport, out: &mut BytesMut) {
        self.is_over = true;
        out.extend_from_slice(b"data: ");
        write(&json!({ "error": openai::error_object(report) }), out);
        out.extend_from_slice(b"\n\n");
    }

    fn chunk(&self, delta: &impl Serialize, finish_reason: Option<&str>, out: &mut BytesMut) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":0,\"delta\":");
        write(delta, out);
        out.extend_from_slice(b",\"logprobs\":null,\"finish_reason\":");
        write(&finish_reason, out);
        out.extend_from_slice(if self.context.include_usage {
            b"}],\"usage\":null}\n\n"
        } else {
            b"}]}\n\n"
        });
    }
}

fn call_delta(nth: u64, kind: ToolKind, more: &str) -> DeltaOut<'static> {
    DeltaOut::ToolCalls([match kind {
        ToolKind::Function => json!({ "index": nth, "function": { "arguments": more } }),
        ToolKind::Custom => json!({ "index": nth, "custom": { "input": more } }),
    }])
}

/// The text that a delta of thinking adds.
fn thought(told: &mut Told, delta: &Delta, has_thought: bool) -> Option<String> {
    let (form, text) = match delta {
        Delta::Reasoning(text) => (Told::Summary, text.as_str()),
        Delta::ReasoningText(text) => (Told::Chain, text.as_str()),
        Delta::ReasoningPart if *told == Told::Summary => return Some("\n\n".to_owned()),
        _ => return None,
    };
    if *told == Told::Nothing {
        *told = form;
        let gap = if has_thought { "\n\n" } else { "" };
        return Some(format!("{gap}{text}"));
    }
    (*told == form).then(|| text.to_owned())
}

fn write(value: &impl Serialize, out: &mut BytesMut) {
    // Neither the buffer nor these values can fail to be written.
    let _: Result<(), serde_json::Error> = serde_json::to_writer(out.writer(), value);
}
