//! Output items and usage on the wire: what the stream and the whole answer share, read and written.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::super::foreign::FOREIGN_ID;
use crate::turn::{AnswerBlock, BlockStart, Dialect, Reasoning, ToolCall, ToolKind, Usage};

#[derive(Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    input_tokens: u64,
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens: u64,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        Self {
            input: wire.input_tokens,
            input_cached: wire.input_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0),
            cache_creation: 0,
            output: wire.output_tokens,
            reasoning: wire.output_tokens_details.and_then(|details| details.reasoning_tokens).unwrap_or(0),
        }
    }
}

/// Usage with every member that Codex demands when it is there at all.
pub(super) fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "input_tokens_details": { "cached_tokens": usage.input_cached },
        "output_tokens": usage.output,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.total(),
    })
}

/// An output item, as far as it is looked into.
#[derive(Deserialize, Default)]
pub(super) struct WireItem {
    #[serde(rename = "type")]
    kind: Option<String>,
    pub(super) id: Option<String>,
    call_id: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
    /// An object in items of other kinds.
    arguments: Option<Value>,
    pub(super) input: Option<String>,
    pub(super) content: Option<Vec<WirePart>>,
    pub(super) summary: Option<Vec<WirePart>>,
    pub(super) encrypted_content: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WirePart {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) text: Option<String>,
    pub(super) refusal: Option<String>,
}

/// What an item is to us.
pub(super) enum Piece<'a> {
    Message,
    Call,
    Reasoning,
    Other(&'a str),
}

impl WireItem {
    pub(super) fn of_kind(raw: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(rename = "type")]
            kind: String,
        }
        let Kind { kind } = serde_json::from_str(raw.get()).ok()?;
        Some(Self { kind: Some(kind), ..Self::default() })
    }

    pub(super) fn piece(&self) -> Piece<'_> {
        match self.kind.as_deref().unwrap_or_default() {
            "message" => Piece::Message,
            "function_call" | "custom_tool_call" => Piece::Call,
            "reasoning" => Piece::Reasoning,
            other => Piece::Other(other),
        }
    }

    pub(super) fn arguments(&self) -> Option<&str> {
        self.arguments.as_ref().and_then(Value::as_str)
    }

    /// The block that the item is, unless its parts are the blocks. `nth` names a call whose upstream did not.
    pub(super) fn start(&self, nth: u32) -> Option<BlockStart> {
        let kind = match self.kind.as_deref()? {
            "reasoning" => return Some(BlockStart::Reasoning { id: self.id.clone(), is_redacted: false }),
            "function_call" => ToolKind::Function,
            "custom_tool_call" => ToolKind::Custom,
            _ => return None,
        };
        let id = self.call_id.clone().or_else(|| self.id.clone()).unwrap_or_else(|| format!("call_{nth}"));
        let (name, namespace) = (self.name.clone().unwrap_or_default(), self.namespace.clone());
        Some(BlockStart::ToolCall { id, name, namespace, kind })
    }
}

/// The id of an item: the upstream's own where it is of this dialect, one made from the answer's otherwise.
pub(super) fn item_id(block: &AnswerBlock, answer: &str, nth: usize) -> String {
    let prefix = match block {
        AnswerBlock::Text(_) | AnswerBlock::Refusal(_) => "msg",
        AnswerBlock::Reasoning(Reasoning { id: Some(id), .. }) => return id.clone(),
        AnswerBlock::Reasoning(_) => return format!("{FOREIGN_ID}{answer}_{nth}"),
        AnswerBlock::ToolCall(ToolCall { kind: ToolKind::Function, .. }) => "fc",
        AnswerBlock::ToolCall(_) => "ctc",
        AnswerBlock::Opaque(_) => "it",
    };
    format!("{prefix}_{answer}_{nth}")
}

/// An item as it begins: named and empty.
pub(super) fn begun(block: &AnswerBlock, id: &str) -> Option<Value> {
    let mut item = match block {
        AnswerBlock::Text(_) | AnswerBlock::Refusal(_) => {
            json!({ "id": id, "type": "message", "role": "assistant", "content": [] })
        }
        AnswerBlock::Reasoning(_) => json!({ "id": id, "type": "reasoning", "summary": [] }),
        AnswerBlock::ToolCall(call) => call_item(call, id, ""),
        AnswerBlock::Opaque(item) => return opaque(&item.raw, item.dialect),
    };
    if !matches!(block, AnswerBlock::Reasoning(_)) {
        set(&mut item, "status", "in_progress");
    }
    Some(item)
}

/// An item as it ends. `None` for what this dialect does not have.
pub(super) fn done(block: &AnswerBlock, id: &str) -> Option<Value> {
    let mut item = match block {
        AnswerBlock::Text(_) | AnswerBlock::Refusal(_) => {
            json!({ "id": id, "type": "message", "role": "assistant", "content": part(block).into_iter().collect::<Vec<_>>() })
        }
        AnswerBlock::Reasoning(thought) => return Some(reasoning_item(thought, id)),
        AnswerBlock::ToolCall(call) => call_item(call, id, arguments(call)),
        AnswerBlock::Opaque(item) => return opaque(&item.raw, item.dialect),
    };
    set(&mut item, "status", "completed");
    Some(item)
}

/// The one content part of a message.
pub(super) fn part(block: &AnswerBlock) -> Option<Value> {
    match block {
        AnswerBlock::Text(text) => {
            Some(json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text }))
        }
        AnswerBlock::Refusal(refusal) => Some(json!({ "type": "refusal", "refusal": refusal })),
        _ => None,
    }
}

/// A call's arguments. Clients parse a function's as JSON, so none at all are an empty object.
pub(super) fn arguments(call: &ToolCall) -> &str {
    if call.kind == ToolKind::Function && call.arguments.is_empty() { "{}" } else { &call.arguments }
}

fn call_item(call: &ToolCall, id: &str, arguments: &str) -> Value {
    let (kind, member) = match call.kind {
        ToolKind::Function => ("function_call", "arguments"),
        ToolKind::Custom => ("custom_tool_call", "input"),
    };
    let mut item = Map::new();
    item.insert("id".into(), id.into());
    item.insert("type".into(), kind.into());
    item.insert("call_id".into(), call.id.as_str().into());
    item.insert("name".into(), call.name.as_str().into());
    if let Some(namespace) = &call.namespace {
        item.insert("namespace".into(), namespace.as_str().into());
    }
    item.insert(member.into(), arguments.into());
    Value::Object(item)
}

fn reasoning_item(thought: &Reasoning, id: &str) -> Value {
    let texts = |texts: &[String], kind: &str| -> Vec<Value> {
        texts.iter().map(|text| json!({ "type": kind, "text": text })).collect()
    };
    let mut item =
        json!({ "id": id, "type": "reasoning", "summary": texts(&thought.summary, "summary_text") });
    if !thought.text.is_empty() {
        set(&mut item, "content", texts(&thought.text, "reasoning_text"));
    }
    if let Some(seal) = &thought.sealed {
        set(&mut item, "encrypted_content", seal.write(Dialect::OpenAiResponses));
    }
    item
}

fn opaque(raw: &RawValue, dialect: Dialect) -> Option<Value> {
    if dialect == Dialect::OpenAiResponses { serde_json::from_str(raw.get()).ok() } else { None }
}

fn set(item: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(members) = item {
        members.insert(name.to_owned(), value.into());
    }
}
