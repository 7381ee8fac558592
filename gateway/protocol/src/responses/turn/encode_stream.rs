//! Events into a responses stream, with every lifecycle event that an SDK or Codex leans on.
//!
//! Each block is an output item of its own. The texts are held, for the closing events and the last one repeat them;
//! that is this dialect's price and nothing beside it is kept.

use std::collections::HashMap;

use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answer::{Status, response};
use super::output::{arguments, begun, done, item_id, part};
use crate::openai;
use crate::turn::{
    AnswerBlock, AnswerContext, BlockStart, Collector, Delta, Dialect, ErrorReport, EventEncoder, Started,
    ToolKind, TurnEvent,
};

#[derive(Debug)]
struct Item {
    id: String,
    output_index: u64,
    /// The summary part that is open.
    summary_part: Option<u64>,
    /// The chain of thought was begun.
    has_chain: bool,
}

/// Writes events.
#[derive(Debug)]
pub(super) struct Encoder {
    context: AnswerContext,
    so_far: Collector,
    has_started: bool,
    is_over: bool,
    sequence: u64,
    outputs: u64,
    items: HashMap<u32, Item>,
}

impl EventEncoder for Encoder {
    fn encode(&mut self, event: &TurnEvent, out: &mut BytesMut) {
        if self.is_over {
            return;
        }
        if let TurnEvent::BlockStart { block: BlockStart::Opaque(item), .. } = event
            && item.dialect != Dialect::OpenAiResponses
        {
            // Its place is kept, so that the indexes of the others stay what they are.
            return self.so_far.take(event);
        }
        self.so_far.take(event);
        if let Some(report) = self.so_far.answer().failure.clone() {
            return self.fail(&report, out);
        }
        match event {
            TurnEvent::Started(_) => self.start(out),
            TurnEvent::BlockStart { index, .. } => self.begin(*index, out),
            TurnEvent::Delta { index, delta } => self.delta(*index, delta, out),
            TurnEvent::BlockEnd { index } => self.end(*index, out),
            TurnEvent::Usage(_) | TurnEvent::Failed(_) => {}
            TurnEvent::Finished(_) => self.finish(out),
        }
    }
}

impl Encoder {
    pub(super) fn new(context: &AnswerContext) -> Self {
        Self {
            context: context.clone(),
            so_far: Collector::default(),
            has_started: false,
            is_over: false,
            sequence: 0,
            outputs: 0,
            items: HashMap::new(),
        }
    }

    fn start(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let mut begun =
            crate::turn::TurnAnswer { started: self.so_far.answer().started.clone(), ..Default::default() };
        if begun.started == Started::default() {
            begun.started.model.clone_from(&self.context.model);
        }
        let response = response(&begun, &self.context, &Status::InProgress);
        self.write("response.created", json!({ "response": response }), out);
        self.write("response.in_progress", json!({ "response": response }), out);
    }

    fn block(&self, index: u32) -> Option<&AnswerBlock> {
        self.so_far.answer().blocks.get(usize::try_from(index).ok()?)
    }

    fn begin(&mut self, index: u32, out: &mut BytesMut) {
        self.start(out);
        let tail = openai::id_tail(&self.so_far.answer().started.id, &self.context.fallback_id).to_owned();
        let output_index = self.outputs;
        let nth = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(block) = self.block(index) else { return };
        let id = item_id(block, &tail, nth);
        let Some(item) = begun(block, &id) else { return };
        let part = part(block);
        self.outputs += 1;
        self.write("response.output_item.added", json!({ "output_index": output_index, "item": item }), out);
        if let Some(part) = part {
            let added =
                json!({ "item_id": id, "output_index": output_index, "content_index": 0, "part": part });
            self.write("response.content_part.added", added, out);
        }
        self.items.insert(index, Item { id, output_index, summary_part: None, has_chain: false });
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut BytesMut) {
        let kind = match (self.block(index), delta) {
            (Some(AnswerBlock::Text(_)), Delta::Text(_)) => "response.output_text.delta",
            (Some(AnswerBlock::Refusal(_)), Delta::Text(_)) => "response.refusal.delta",
            (Some(AnswerBlock::ToolCall(call)), Delta::Arguments(_)) => arguments_event(call.kind),
            (Some(AnswerBlock::Reasoning(_)), _) => return self.thought(index, delta, out),
            _ => return,
        };
        let Some(item) = self.items.get(&index) else { return };
        let (Delta::Text(text) | Delta::Arguments(text)) = delta else { return };
        let is_call = matches!(delta, Delta::Arguments(_));
        let event = DeltaOut {
            kind,
            sequence_number: self.sequence,
            item_id: &item.id,
            output_index: item.output_index,
            content_index: (!is_call).then_some(0),
            summary_index: None,
            delta: text,
            logprobs: (kind == "response.output_text.delta").then_some([]),
        };
        self.sequence += 1;
        frame(kind, &event, out);
    }

    fn thought(&mut self, index: u32, delta: &Delta, out: &mut BytesMut) {
        match delta {
            Delta::ReasoningPart => self.end_summary_part(index, out),
            Delta::Reasoning(text) => {
                self.begin_summary_part(index, out);
                self.thought_delta(index, "response.reasoning_summary_text.delta", text, out);
            }
            Delta::ReasoningText(text) => {
                if let Some(item) = self.items.get_mut(&index) {
                    item.has_chain = true;
                }
                self.thought_delta(index, "response.reasoning_text.delta", text, out);
            }
            Delta::Text(_) | Delta::Seal(_) | Delta::Arguments(_) => {}
        }
    }

    fn thought_delta(&mut self, index: u32, kind: &'static str, text: &str, out: &mut BytesMut) {
        let Some(item) = self.items.get(&index) else { return };
        let is_chain = kind == "response.reasoning_text.delta";
        let event = DeltaOut {
            kind,
            sequence_number: self.sequence,
            item_id: &item.id,
            output_index: item.output_index,
            content_index: is_chain.then_some(0),
            summary_index: item.summary_part.filter(|_| !is_chain),
            delta: text,
            logprobs: None,
        };
        self.sequence += 1;
        frame(kind, &event, out);
    }

    /// The summary parts told so far.
    fn summary(&self, index: u32) -> &[String] {
        match self.block(index) {
            Some(AnswerBlock::Reasoning(thought)) => &thought.summary,
            _ => &[],
        }
    }

    fn begin_summary_part(&mut self, index: u32, out: &mut BytesMut) {
        let newest = (self.summary(index).len() as u64).saturating_sub(1);
        let Some(item) = self.items.get_mut(&index).filter(|item| item.summary_part.is_none()) else {
            return;
        };
        item.summary_part = Some(newest);
        let event = json!({
            "item_id": item.id,
            "output_index": item.output_index,
            "summary_index": newest,
            "part": { "type": "summary_text", "text": "" },
        });
        self.write("response.reasoning_summary_part.added", event, out);
    }

    fn end_summary_part(&mut self, index: u32, out: &mut BytesMut) {
        let Some(item) = self.items.get_mut(&index) else { return };
        let Some(nth) = item.summary_part.take() else { return };
        let (id, output_index) = (item.id.clone(), item.output_index);
        let at = usize::try_from(nth).unwrap_or(usize::MAX);
        let text = self.summary(index).get(at).cloned().unwrap_or_default();
        let place = json!({ "item_id": id, "output_index": output_index, "summary_index": nth });
        let done = merged(place.clone(), json!({ "text": text }));
        self.write("response.reasoning_summary_text.done", done, out);
        let part = json!({ "part": { "type": "summary_text", "text": text } });
        self.write("response.reasoning_summary_part.done", merged(place, part), out);
    }

    fn end(&mut self, index: u32, out: &mut BytesMut) {
        self.end_summary_part(index, out);
        let Some(item) = self.items.remove(&index) else { return };
        let Some(block) = self.block(index) else { return };
        let mut events = closing(block, &item);
        if let Some(done) = done(block, &item.id) {
            let event = json!({ "output_index": item.output_index, "item": done });
            events.push(("response.output_item.done", event));
        }
        for (kind, event) in events {
            self.write(kind, event, out);
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        self.start(out);
        self.is_over = true;
        let answer = self.so_far.answer();
        let status = Status::of(answer);
        let response = response(answer, &self.context, &status);
        let kind = if status == Status::Completed { "response.completed" } else { "response.incomplete" };
        self.write(kind, json!({ "response": response }), out);
    }

    fn fail(&mut self, report: &ErrorReport, out: &mut BytesMut) {
        // A client that waits for the beginning would not understand the end.
        self.start(out);
        self.is_over = true;
        let response = response(self.so_far.answer(), &self.context, &Status::Failed(report.clone()));
        self.write("response.failed", json!({ "response": response }), out);
    }

    fn write(&mut self, kind: &str, event: Value, out: &mut BytesMut) {
        let typed = json!({ "type": kind, "sequence_number": self.sequence });
        self.sequence += 1;
        frame(kind, &merged(typed, event), out);
    }
}

/// What is said at a block's end, before its item is done.
fn closing(block: &AnswerBlock, item: &Item) -> Vec<(&'static str, Value)> {
    let place = json!({ "item_id": item.id, "output_index": item.output_index });
    let in_content = merged(place.clone(), json!({ "content_index": 0 }));
    let mut events = Vec::with_capacity(3);
    match block {
        AnswerBlock::Text(text) => {
            let told = json!({ "text": text, "logprobs": [] });
            events.push(("response.output_text.done", merged(in_content.clone(), told)));
        }
        AnswerBlock::Refusal(refusal) => {
            let told = json!({ "refusal": refusal });
            events.push(("response.refusal.done", merged(in_content.clone(), told)));
        }
        AnswerBlock::ToolCall(call) if call.kind == ToolKind::Custom => {
            let told = json!({ "input": call.arguments });
            events.push(("response.custom_tool_call_input.done", merged(place, told)));
        }
        AnswerBlock::ToolCall(call) => {
            if call.arguments.is_empty() {
                let told = json!({ "delta": arguments(call) });
                events.push((arguments_event(call.kind), merged(place.clone(), told)));
            }
            let told = json!({ "arguments": arguments(call), "name": call.name });
            events.push(("response.function_call_arguments.done", merged(place, told)));
        }
        AnswerBlock::Reasoning(thought) if item.has_chain => {
            let told = json!({ "text": thought.text.concat() });
            events.push(("response.reasoning_text.done", merged(in_content.clone(), told)));
        }
        AnswerBlock::Reasoning(_) | AnswerBlock::Opaque(_) => {}
    }
    if let Some(part) = part(block) {
        events.push(("response.content_part.done", merged(in_content, json!({ "part": part }))));
    }
    events
}

/// The events that make up most of a stream, written without a map between.
#[derive(Serialize)]
struct DeltaOut<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: u64,
    item_id: &'a str,
    output_index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<u64>,
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[Value; 0]>,
}

const fn arguments_event(kind: ToolKind) -> &'static str {
    match kind {
        ToolKind::Function => "response.function_call_arguments.delta",
        ToolKind::Custom => "response.custom_tool_call_input.delta",
    }
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(members), Value::Object(more)) = (&mut one, other) {
        members.extend::<Map<String, Value>>(more);
    }
    one
}

fn frame(kind: &str, event: &impl Serialize, out: &mut BytesMut) {
    for part in [b"event: ".as_slice(), kind.as_bytes(), b"\ndata: "] {
        out.extend_from_slice(part);
    }
    // Neither the buffer nor these values can fail to be written.
    let _: Result<(), serde_json::Error> = serde_json::to_writer(out.writer(), event);
    out.extend_from_slice(b"\n\n");
}
