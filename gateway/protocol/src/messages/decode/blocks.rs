//! The content blocks that a message or a tool's answer may hold, and where they stand for error messages.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::seal;
use crate::turn::{
    Dialect, File, Image, Json, MediaSource, Opaque, Part, Reasoning, ToolCall, ToolKind, ToolOutput,
    ToolResult, TurnError,
};
use crate::wire::{self, Content};

/// Where a value stands. It becomes text only when something is wrong there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p> {
    parent: Option<&'p Place<'p>>,
    list: &'static str,
    nth: usize,
}

impl<'p> Place<'p> {
    pub(super) const fn root(list: &'static str, nth: usize) -> Self {
        Self { parent: None, list, nth }
    }

    pub(super) const fn child(&'p self, nth: usize) -> Self {
        Self { parent: Some(self), list: "content", nth }
    }

    fn path(&self) -> String {
        let own = format!("{}[{}]", self.list, self.nth);
        self.parent.map_or_else(|| own.clone(), |parent| format!("{}.{own}", parent.path()))
    }

    pub(super) fn member(&self, name: &str) -> String {
        format!("{}.{name}", self.path())
    }

    /// A value of the type, or an error that names its place.
    pub(super) fn read<'a, T: Deserialize<'a>>(&self, raw: &'a RawValue) -> Result<T, TurnError> {
        serde_json::from_str(raw.get()).or_else(|_| wire::read(raw.get(), &self.path()))
    }
}

#[derive(Deserialize)]
struct Tagged<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

/// A block's `type`.
pub(super) fn kind<'a>(raw: &'a RawValue, place: &Place<'_>) -> Result<Cow<'a, str>, TurnError> {
    place.read::<Tagged<'_>>(raw).map(|tagged| tagged.kind)
}

#[derive(Deserialize)]
struct TextBlock {
    text: String,
}

#[derive(Deserialize)]
struct MediaBlock<'a> {
    #[serde(borrow)]
    source: Source<'a>,
    #[serde(default)]
    title: Option<String>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    file_id: Option<String>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

impl Source<'_> {
    /// `None` for a source that only this dialect has.
    fn read(self, place: &Place<'_>) -> Result<Option<MediaSource>, TurnError> {
        let missing = |name: &str| TurnError::missing(place.member(&format!("source.{name}")));
        Ok(Some(match &*self.kind {
            "base64" => MediaSource::Base64 {
                media_type: self.media_type.ok_or_else(|| missing("media_type"))?,
                data: self.data.ok_or_else(|| missing("data"))?,
            },
            "url" => MediaSource::from_url(self.url.ok_or_else(|| missing("url"))?),
            "file" => MediaSource::FileId(self.file_id.ok_or_else(|| missing("file_id"))?),
            "text" => MediaSource::Text(self.data.ok_or_else(|| missing("data"))?),
            "content" => match self.content.map(RawValue::get).and_then(crate::json::text_of) {
                Some(text) => MediaSource::Text(text),
                None => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }
}

#[derive(Deserialize)]
struct ToolReference {
    tool_name: String,
}

/// Reads a block that may stand anywhere. One that only this dialect has stays as it is.
pub(super) fn part(kind: &str, raw: &RawValue, place: &Place<'_>) -> Result<Part, TurnError> {
    Ok(match kind {
        "text" => Part::Text(place.read::<TextBlock>(raw)?.text),
        "image" => match place.read::<MediaBlock<'_>>(raw)?.source.read(place)? {
            Some(source) => Part::Image(Image { source, detail: None }),
            None => opaque(kind, raw),
        },
        "document" => {
            let block: MediaBlock<'_> = place.read(raw)?;
            match block.source.read(place)? {
                Some(source) => Part::File(File { source, name: block.title }),
                None => opaque(kind, raw),
            }
        }
        // What a client's tool search found. Its schema is among the tools; without the name the answer would be
        // empty, and the model would think that nothing was found.
        "tool_reference" => {
            Part::Text(format!("Tool loaded: {}", place.read::<ToolReference>(raw)?.tool_name))
        }
        _ => opaque(kind, raw),
    })
}

fn opaque(kind: &str, raw: &RawValue) -> Part {
    Part::Opaque(Opaque { dialect: Dialect::AnthropicMessages, kind: kind.to_owned(), raw: raw.to_owned() })
}

/// The texts of a `system` array.
pub(super) fn system_texts(blocks: &[&RawValue]) -> Result<Vec<String>, TurnError> {
    let mut texts = Vec::with_capacity(blocks.len());
    for (nth, raw) in blocks.iter().enumerate() {
        let place = Place::root("system", nth);
        if kind(raw, &place)? != "text" {
            return Err(TurnError::invalid(place.member("type"), "only `text` blocks can stand here"));
        }
        texts.push(place.read::<TextBlock>(raw)?.text);
    }
    Ok(texts)
}

#[derive(Deserialize)]
struct ThinkingBlock {
    #[serde(default)]
    thinking: String,
    #[serde(default)]
    signature: Option<String>,
}

/// Reads a `thinking` block. Its signature is its own provider's seal or one of ours that carries another's.
pub(super) fn thinking(raw: &RawValue, place: &Place<'_>) -> Result<Reasoning, TurnError> {
    let block: ThinkingBlock = place.read(raw)?;
    let signature = block.signature.filter(|signature| !signature.is_empty());
    Ok(Reasoning {
        summary: if block.thinking.is_empty() { Vec::new() } else { vec![block.thinking] },
        sealed: signature.map(seal::of_signature),
        ..Reasoning::default()
    })
}

#[derive(Deserialize)]
struct RedactedBlock {
    data: String,
}

/// Reads a `redacted_thinking` block.
pub(super) fn redacted(raw: &RawValue, place: &Place<'_>) -> Result<Reasoning, TurnError> {
    let data = place.read::<RedactedBlock>(raw)?.data;
    Ok(Reasoning { sealed: Some(seal::of_data(data)), is_redacted: true, ..Reasoning::default() })
}

#[derive(Deserialize)]
struct ToolUseBlock {
    id: String,
    name: String,
    #[serde(default)]
    input: Option<Json>,
}

/// Reads a `tool_use` block. A call without arguments has an empty object.
pub(super) fn tool_use(raw: &RawValue, place: &Place<'_>) -> Result<ToolCall, TurnError> {
    let block: ToolUseBlock = place.read(raw)?;
    for (name, value) in [("id", &block.id), ("name", &block.name)] {
        if value.is_empty() {
            return Err(TurnError::invalid(place.member(name), "must not be empty"));
        }
    }
    let arguments = block.input.as_deref().map_or("{}", RawValue::get);
    if !arguments.starts_with('{') {
        return Err(TurnError::invalid(place.member("input"), "must be an object"));
    }
    let arguments = arguments.to_owned();
    Ok(ToolCall { id: block.id, name: block.name, namespace: None, kind: ToolKind::Function, arguments })
}

#[derive(Deserialize)]
struct ToolResultBlock<'a> {
    tool_use_id: String,
    #[serde(borrow, default)]
    content: Option<Content<&'a RawValue>>,
    #[serde(default)]
    is_error: Option<bool>,
}

/// Reads a `tool_result` block.
pub(super) fn tool_result(raw: &RawValue, place: &Place<'_>) -> Result<ToolOutput, TurnError> {
    let block: ToolResultBlock<'_> = place.read(raw)?;
    let result = match block.content {
        None => ToolResult::Text(String::new()),
        Some(Content::Text(text)) => ToolResult::Text(text),
        Some(Content::Parts(blocks)) => {
            let read = |(nth, raw): (usize, &RawValue)| {
                let place = place.child(nth);
                part(&kind(raw, &place)?, raw, &place)
            };
            ToolResult::Parts(blocks.into_iter().enumerate().map(read).collect::<Result<_, _>>()?)
        }
    };
    Ok(ToolOutput {
        call_id: block.tool_use_id,
        kind: ToolKind::Function,
        result,
        is_error: block.is_error.unwrap_or(false),
    })
}
