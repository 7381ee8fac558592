//! Turns a reply into the backend's event sequence: every event type, in order, numbered, framed as SSE.
//! Refuses to send anything and to decide what is said; `script` decides, `stream` sends.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::config::CompletedOutput;
use crate::routes::calls::drawn;
use crate::script::{Picture, Reply, Turn};

/// What the turn costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

/// What the events say about the turn besides the reply itself.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Makes every id of the turn unique.
    pub(crate) id: String,
    pub(crate) created_at: i64,
    pub(crate) model: String,
    pub(crate) service_tier: String,
    /// Fields of the request that the response object repeats.
    pub(crate) echo: Map<String, Value>,
    pub(crate) usage: Usage,
    /// Whether a reasoning item comes first.
    pub(crate) reasoning: bool,
    /// What the reasoning item carries when the client asked for it.
    pub(crate) encrypted_content: Option<String>,
    pub(crate) completed_output: CompletedOutput,
    /// The payload of a leading `codex.rate_limits` event.
    pub(crate) rate_limits: Option<Value>,
}

/// The request fields a response object repeats.
const ECHOED: [&str; 5] = ["prompt_cache_key", "reasoning", "text", "tool_choice", "parallel_tool_calls"];

/// The reasoning summary of every turn.
const SUMMARY: &str = "**Reading the request** and deciding what to say.";

impl Frame {
    /// The fields of a request that go back into the response object.
    pub(crate) fn echo_of(request: &Map<String, Value>) -> Map<String, Value> {
        let found = ECHOED.iter().filter_map(|key| Some(((*key).to_owned(), request.get(*key)?.clone())));
        found.collect()
    }

    pub(crate) fn response_id(&self) -> String {
        format!("resp_{}", self.id)
    }

    fn response(&self, status: &str, output: &[Value], usage: Value) -> Value {
        let done = status == "completed";
        let echo = |key: &str, or: Value| self.echo.get(key).cloned().unwrap_or(or);
        json!({
            "id": self.response_id(),
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": false,
            "completed_at": if done { Some(self.created_at) } else { None },
            "error": null,
            "incomplete_details": null,
            "instructions": null,
            "max_output_tokens": null,
            "max_tool_calls": null,
            "model": self.model,
            "output": output,
            "parallel_tool_calls": echo("parallel_tool_calls", json!(true)),
            "previous_response_id": null,
            "prompt_cache_key": echo("prompt_cache_key", Value::Null),
            "prompt_cache_retention": null,
            "reasoning": echo("reasoning", json!({"effort": null, "summary": null})),
            "safety_identifier": null,
            "service_tier": if done { self.service_tier.as_str() } else { "auto" },
            "store": false,
            "temperature": 1.0,
            "text": echo("text", json!({"format": {"type": "text"}})),
            "tool_choice": echo("tool_choice", json!("auto")),
            "tools": [],
            "top_logprobs": 0,
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": usage,
            "user": null,
            "metadata": {},
        })
    }
}

/// How many tokens a reply is worth, at four characters each.
pub(crate) fn tokens_of(reply: &Reply) -> u64 {
    let length = match reply {
        Reply::Text(deltas) => deltas.iter().map(String::len).sum(),
        Reply::FunctionCall { arguments, .. } => arguments.len(),
        Reply::CustomCall { input, .. } => input.len(),
        Reply::Compaction | Reply::Image(_) => 64,
    };
    (length as u64).div_ceil(4).max(1)
}

/// The whole sequence; the last event is the terminal one.
pub(crate) fn render(frame: &Frame, turn: &Turn) -> Vec<Bytes> {
    let mut writer = Writer::default();
    if let Some(limits) = &frame.rate_limits {
        writer.unnumbered("codex.rate_limits", limits);
    }
    let started = frame.response("in_progress", &[], Value::Null);
    writer.event("response.created", &json!({"response": started}));
    writer.event("response.in_progress", &json!({"response": started}));
    if frame.reasoning {
        reasoning(&mut writer, frame);
    }
    match &turn.reply {
        Reply::Text(deltas) => message(&mut writer, frame, deltas),
        Reply::FunctionCall { name, arguments } => call(&mut writer, frame, &FUNCTION, name, arguments),
        Reply::CustomCall { name, input } => call(&mut writer, frame, &CUSTOM, name, input),
        Reply::Compaction => compaction(&mut writer, frame),
        Reply::Image(picture) => image(&mut writer, frame, picture),
    }
    let usage = json!({
        "input_tokens": frame.usage.input,
        "input_tokens_details": {"cached_tokens": frame.usage.cached},
        "output_tokens": frame.usage.output,
        "output_tokens_details": {"reasoning_tokens": frame.usage.reasoning},
        "total_tokens": frame.usage.input + frame.usage.output,
    });
    let output = match frame.completed_output {
        CompletedOutput::Full => std::mem::take(&mut writer.output),
        CompletedOutput::Empty => Vec::new(),
    };
    let response = frame.response("completed", &output, usage);
    writer.event("response.completed", &json!({"response": response}));
    writer.events
}

/// Numbers and frames events, and keeps the finished items for the terminal one.
#[derive(Default)]
struct Writer {
    events: Vec<Bytes>,
    next: u64,
    output: Vec<Value>,
}

impl Writer {
    fn event(&mut self, kind: &str, fields: &Value) {
        let number = format!(",\"sequence_number\":{}", self.next);
        self.next += 1;
        self.events.push(sse(kind, &number, fields));
    }

    fn unnumbered(&mut self, kind: &str, fields: &Value) {
        self.events.push(sse(kind, "", fields));
    }

    fn index(&self) -> usize {
        self.output.len()
    }

    fn finish(&mut self, item: Value) {
        let index = self.index();
        self.event("response.output_item.done", &json!({"output_index": index, "item": item}));
        self.output.push(item);
    }
}

/// `type` comes first, as upstream writes it: readers that peek rely on it.
fn sse(kind: &str, number: &str, fields: &Value) -> Bytes {
    let fields = fields.to_string();
    let inner = fields.strip_prefix('{').unwrap_or_default();
    let comma = if inner == "}" { "" } else { "," };
    Bytes::from(format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{number}{comma}{inner}\n\n"))
}

fn reasoning(writer: &mut Writer, frame: &Frame) {
    let id = format!("rs_{}", frame.id);
    let index = writer.index();
    let at = |extra: Value| with(json!({"item_id": id, "output_index": index, "summary_index": 0}), extra);
    let started = json!({"id": id, "type": "reasoning", "summary": []});
    writer.event("response.output_item.added", &json!({"output_index": index, "item": started}));
    let empty = json!({"part": {"type": "summary_text", "text": ""}});
    writer.event("response.reasoning_summary_part.added", &at(empty));
    let (head, tail) = SUMMARY.split_once(" and ").unwrap_or((SUMMARY, ""));
    writer.event("response.reasoning_summary_text.delta", &at(json!({"delta": head})));
    writer.event("response.reasoning_summary_text.delta", &at(json!({"delta": format!(" and {tail}")})));
    writer.event("response.reasoning_summary_text.done", &at(json!({"text": SUMMARY})));
    let part = json!({"type": "summary_text", "text": SUMMARY});
    writer.event("response.reasoning_summary_part.done", &at(json!({"part": part})));
    let mut item = json!({"id": id, "type": "reasoning", "summary": [part]});
    if let Some(sealed) = &frame.encrypted_content {
        item = with(item, json!({"encrypted_content": sealed}));
    }
    writer.finish(item);
}

fn message(writer: &mut Writer, frame: &Frame, deltas: &[String]) {
    let id = format!("msg_{}", frame.id);
    let index = writer.index();
    let item = |status: &str, content: Value| json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content});
    let part = |text: &str| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text});
    let at = |extra: Value| with(json!({"item_id": id, "output_index": index, "content_index": 0}), extra);
    let added = json!({"output_index": index, "item": item("in_progress", json!([]))});
    writer.event("response.output_item.added", &added);
    writer.event("response.content_part.added", &at(json!({"part": part("")})));
    for delta in deltas {
        writer.event("response.output_text.delta", &at(json!({"delta": delta, "logprobs": []})));
    }
    let text = deltas.concat();
    writer.event("response.output_text.done", &at(json!({"text": text, "logprobs": []})));
    writer.event("response.content_part.done", &at(json!({"part": part(&text)})));
    writer.finish(item("completed", json!([part(&text)])));
}

/// How the two kinds of tool calls differ.
struct CallKind {
    item_type: &'static str,
    prefix: &'static str,
    field: &'static str,
    events: &'static str,
}

const FUNCTION: CallKind = CallKind {
    item_type: "function_call",
    prefix: "fc",
    field: "arguments",
    events: "response.function_call_arguments",
};

const CUSTOM: CallKind = CallKind {
    item_type: "custom_tool_call",
    prefix: "ctc",
    field: "input",
    events: "response.custom_tool_call_input",
};

fn call(writer: &mut Writer, frame: &Frame, kind: &CallKind, name: &str, payload: &str) {
    let id = format!("{}_{}", kind.prefix, frame.id);
    let index = writer.index();
    let item = |status: &str, payload: &str| {
        json!({
            "id": id,
            "type": kind.item_type,
            "status": status,
            "call_id": format!("call_{}", frame.id),
            "name": name,
            kind.field: payload,
        })
    };
    let at = |extra: Value| with(json!({"item_id": id, "output_index": index}), extra);
    let added = json!({"output_index": index, "item": item("in_progress", "")});
    writer.event("response.output_item.added", &added);
    for delta in halves(payload).into_iter().filter(|delta| !delta.is_empty()) {
        writer.event(&format!("{}.delta", kind.events), &at(json!({"delta": delta})));
    }
    writer.event(&format!("{}.done", kind.events), &at(json!({kind.field: payload})));
    writer.finish(item("completed", payload));
}

fn compaction(writer: &mut Writer, frame: &Frame) {
    let index = writer.index();
    let sealed = frame.encrypted_content.clone().unwrap_or_else(|| format!("gAAAAAlab.{}", frame.id));
    let item = json!({"id": format!("cmp_{}", frame.id), "type": "compaction", "encrypted_content": sealed});
    writer.event("response.output_item.added", &json!({"output_index": index, "item": item}));
    writer.finish(item);
}

fn image(writer: &mut Writer, frame: &Frame, picture: &Picture) {
    let id = format!("ig_{}", frame.id);
    let index = writer.index();
    let at = |extra: Value| with(json!({"item_id": id, "output_index": index}), extra);
    let started = json!({"id": id, "type": "image_generation_call", "status": "in_progress"});
    writer.event("response.output_item.added", &json!({"output_index": index, "item": started}));
    writer.event("response.image_generation_call.generating", &at(json!({})));
    for nth in 0..picture.partial_images {
        let piece = drawn(&format!("piece {nth}"));
        let told = json!({"partial_image_index": nth, "partial_image_b64": piece, "size": picture.size});
        writer.event("response.image_generation_call.partial_image", &at(told));
    }
    let prompt = if picture.inputs > 0 {
        format!("{} of {}", picture.prompt, picture.inputs)
    } else {
        picture.prompt.clone()
    };
    writer.finish(json!({
        "id": id, "type": "image_generation_call", "status": "completed", "result": drawn(&prompt),
        "revised_prompt": picture.prompt, "size": picture.size, "output_format": "png",
    }));
}

fn halves(text: &str) -> [&str; 2] {
    let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let (head, tail) = text.split_at(middle);
    [head, tail]
}

/// The first object with the fields of the second.
fn with(mut base: Value, extra: Value) -> Value {
    if let (Some(base), Value::Object(extra)) = (base.as_object_mut(), extra) {
        base.extend(extra);
    }
    base
}

/// A `response.failed` that a fault puts into the stream.
pub(crate) fn failed(response_id: &str, code: &str, message: &str) -> Bytes {
    let error = json!({"code": code, "message": message});
    let response = json!({"id": response_id, "object": "response", "status": "failed", "output": [], "usage": null, "error": error});
    sse("response.failed", "", &json!({"response": response}))
}

/// A raw `error` event that a fault puts into the stream.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Bytes {
    let error = json!({"type": "server_error", "code": code, "message": message});
    sse("error", "", &json!({"status": status, "error": error}))
}

/// An event of a type that no client knows.
pub(crate) fn unknown() -> Bytes {
    sse("codex.lab_novelty", "", &json!({"note": "newer than you"}))
}

/// The terminal event turned into `response.incomplete`.
pub(crate) fn incomplete(terminal: &Bytes, reason: &str) -> Bytes {
    let mut fields = match data_of(terminal) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    fields.remove("type");
    if let Some(response) = fields.get_mut("response") {
        let change =
            json!({"status": "incomplete", "incomplete_details": {"reason": reason}, "completed_at": null});
        *response = with(response.take(), change);
    }
    sse("response.incomplete", "", &Value::Object(fields))
}

/// The JSON of one framed event.
pub(crate) fn data_of(event: &Bytes) -> Value {
    let text = std::str::from_utf8(event).unwrap_or_default();
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
    serde_json::from_str(data).unwrap_or_default()
}

#[cfg(test)]
mod tests;
