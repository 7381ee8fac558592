//! A responses request into the internal language.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::foreign::FOREIGN_ID;
use super::tool::{decode_choice, decode_tools};
use crate::openai::{WireSchema, named};
use crate::turn::{
    Audio, Decoded, Dialect, Dropped, File, Image, Item, MediaSource, Message, Opaque, OutputFormat,
    OutputOptions, Part, Reasoning, ReasoningOptions, Role, Sampling, Sealed, Tool, ToolCall, ToolKind,
    ToolOutput, ToolResult, TurnError, TurnRequest,
};
use crate::wire::{self, Content, Fields, Object};

/// Members that are understood and change nothing that another dialect could do.
const WITHOUT_COUNTERPART: &[&str] = &[
    "truncation",
    "max_tool_calls",
    "context_management",
    "prompt_cache_retention",
    "prompt_cache_options",
    "stream_options",
    "moderation",
];

/// Members that Codex writes about itself; nothing is lost without them.
const ABOUT_THE_CLIENT: &[&str] = &["client_metadata", "generate"];

pub(super) fn decode(body: &[u8]) -> Result<Decoded, TurnError> {
    let members = wire::object(body)?;
    let mut fields = Fields::new(&members);
    let mut dropped = Dropped::default();
    refuse(&mut fields)?;
    let mut tools = Vec::new();
    if let Some(text) = fields.raw("tools") {
        decode_tools(text, "tools", &mut tools)?;
    }
    let input = match fields.raw("input") {
        Some(text) => items(text, &mut tools)?,
        None => return Err(TurnError::missing("input")),
    };
    let tool_choice = fields.raw("tool_choice").map(|text| decode_choice(text, &mut tools)).transpose()?;
    let request = TurnRequest {
        model: named(fields.get("model")?, "model")?,
        instructions: fields
            .get("instructions")?
            .filter(|text: &String| !text.is_empty())
            .into_iter()
            .collect(),
        input,
        tools,
        tool_choice,
        parallel_tool_calls: fields.get("parallel_tool_calls")?,
        sampling: Sampling {
            temperature: fields.get("temperature")?,
            top_p: fields.get("top_p")?,
            max_output_tokens: fields.get("max_output_tokens")?,
            top_logprobs: fields.get("top_logprobs")?.filter(|count| *count > 0),
            ..Sampling::default()
        },
        reasoning: reasoning(&mut fields)?,
        output: output(&mut fields)?,
        metadata: fields.json("metadata"),
        user: fields.get("user")?,
        safety_identifier: fields.get("safety_identifier")?,
        service_tier: fields.get("service_tier")?,
        stream: fields.get("stream")?.unwrap_or(false),
        include_usage: true,
        prompt_cache_key: fields.get("prompt_cache_key")?,
        store: fields.get("store")?,
        previous_response_id: fields.get("previous_response_id")?,
        include: fields.get("include")?.unwrap_or_default(),
    };
    for name in WITHOUT_COUNTERPART {
        if fields.raw(name).is_some() {
            dropped.note(format!("{name}: no counterpart outside openai-responses"));
        }
    }
    for name in ABOUT_THE_CLIENT {
        fields.raw(name);
    }
    for name in fields.unknown() {
        dropped.note(format!("{name}: unknown to openai-responses"));
    }
    Ok(Decoded { request, dropped })
}

/// What the answer depends on and only this dialect's own upstream holds.
fn refuse(fields: &mut Fields<'_, '_>) -> Result<(), TurnError> {
    if fields.get::<bool>("background")? == Some(true) {
        return Err(TurnError::unsupported("background", "answers are not kept; leave it out"));
    }
    for name in ["conversation", "prompt"] {
        if fields.raw(name).is_some() {
            return Err(TurnError::unsupported(
                name,
                "it is kept elsewhere; send the text itself in `input`",
            ));
        }
    }
    Ok(())
}

fn reasoning(fields: &mut Fields<'_, '_>) -> Result<ReasoningOptions, TurnError> {
    #[derive(Deserialize, Default)]
    struct Wire {
        effort: Option<String>,
        summary: Option<String>,
        /// The older name of `summary`.
        generate_summary: Option<String>,
    }
    let wire: Wire = fields.object("reasoning")?.unwrap_or_default();
    Ok(ReasoningOptions {
        effort: wire.effort,
        summary: wire.summary.or(wire.generate_summary),
        budget_tokens: None,
    })
}

fn output(fields: &mut Fields<'_, '_>) -> Result<OutputOptions, TurnError> {
    #[derive(Deserialize)]
    struct Text<'a> {
        #[serde(borrow)]
        format: Option<&'a RawValue>,
        verbosity: Option<String>,
    }
    #[derive(Deserialize)]
    struct Format {
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    let Some(Text { format, verbosity }) = fields.object("text")? else {
        return Ok(OutputOptions::default());
    };
    let path = "text.format";
    let format = match format.filter(|format| format.get() != "null") {
        None => None,
        Some(raw) => match wire::read::<Format>(raw.get(), path)?.kind.as_deref() {
            Some("text") => None,
            Some("json_object") => Some(OutputFormat::JsonObject),
            Some("json_schema") => Some(wire::read::<WireSchema<'_>>(raw.get(), path)?.format(path)?),
            Some(_) => {
                let why = "must be `text`, `json_object` or `json_schema`";
                return Err(TurnError::invalid("text.format.type", why));
            }
            None => return Err(TurnError::missing("text.format.type")),
        },
    };
    Ok(OutputOptions { format, verbosity })
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: Option<String>,
    role: Option<String>,
}

#[derive(Deserialize)]
struct WireMessage {
    content: Option<Content<Object<WirePart>>>,
}

#[derive(Deserialize)]
struct WirePart {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<String>,
    detail: Option<String>,
    file_id: Option<String>,
    file_data: Option<String>,
    file_url: Option<String>,
    filename: Option<String>,
    input_audio: Option<WireAudio>,
}

#[derive(Deserialize)]
struct WireAudio {
    data: Option<String>,
    format: Option<String>,
}

#[derive(Deserialize)]
struct WireCall {
    call_id: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
    arguments: Option<String>,
    input: Option<String>,
}

#[derive(Deserialize)]
struct WireOutput {
    call_id: Option<String>,
    output: Option<Content<Object<WirePart>>>,
}

#[derive(Deserialize)]
struct WireReasoning {
    id: Option<String>,
    summary: Option<Vec<Object<WirePart>>>,
    content: Option<Vec<Object<WirePart>>>,
    encrypted_content: Option<String>,
}

#[derive(Deserialize)]
struct AdditionalTools<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
}

/// Reads `input`. Tools that travel inside it, as the newer Codex models have them, are added to the tools.
fn items(text: &str, tools: &mut Vec<Tool>) -> Result<Vec<Item>, TurnError> {
    if text.starts_with('"') {
        let text = wire::read(text, "input")?;
        return Ok(vec![Item::Message(Message {
            role: Role::User,
            parts: vec![Part::Text(text)],
            name: None,
        })]);
    }
    if !text.starts_with('[') {
        return Err(TurnError::invalid("input", "must be a string or an array of items"));
    }
    let raws: Vec<&RawValue> = wire::read(text, "input")?;
    let mut items = Vec::with_capacity(raws.len());
    for (nth, raw) in raws.into_iter().enumerate() {
        items.extend(item(raw, &format!("input[{nth}]"), tools)?);
    }
    Ok(items)
}

fn item(raw: &RawValue, path: &str, tools: &mut Vec<Tool>) -> Result<Option<Item>, TurnError> {
    let text = raw.get();
    let Object(Kind { kind, role }) = wire::read(text, path)?;
    Ok(Some(match kind.as_deref() {
        None | Some("message") => Item::Message(message(text, role.as_deref(), path)?),
        Some("function_call") => Item::ToolCall(call(text, ToolKind::Function, path)?),
        Some("custom_tool_call") => Item::ToolCall(call(text, ToolKind::Custom, path)?),
        Some("function_call_output") => Item::ToolOutput(call_output(text, ToolKind::Function, path)?),
        Some("custom_tool_call_output") => Item::ToolOutput(call_output(text, ToolKind::Custom, path)?),
        Some("reasoning") => Item::Reasoning(thought(text, path)?),
        Some("additional_tools") => {
            let AdditionalTools { tools: more } = wire::read(text, path)?;
            if let Some(more) = more {
                decode_tools(more.get(), &format!("{path}.tools"), tools)?;
            }
            return Ok(None);
        }
        // What these stand for only the upstream that made them knows; without it the conversation has a hole.
        Some(kind @ ("compaction" | "compaction_summary" | "compaction_trigger" | "item_reference")) => {
            let why = format!(
                "`{kind}` is understood by openai-responses upstreams alone; send the items themselves"
            );
            return Err(TurnError::unsupported(format!("{path}.type"), why));
        }
        Some(kind) => Item::Opaque(Opaque {
            dialect: Dialect::OpenAiResponses,
            kind: kind.to_owned(),
            raw: raw.to_owned(),
        }),
    }))
}

fn message(text: &str, role: Option<&str>, path: &str) -> Result<Message, TurnError> {
    let role = match role {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("developer") => Role::Developer,
        Some("system") => Role::System,
        Some(_) => {
            let why = "must be `user`, `assistant`, `developer` or `system`";
            return Err(TurnError::invalid(format!("{path}.role"), why));
        }
        None => return Err(TurnError::missing(format!("{path}.role"))),
    };
    let WireMessage { content } = wire::read(text, path)?;
    let content = content.ok_or_else(|| TurnError::missing(format!("{path}.content")))?;
    Ok(Message { role, parts: parts(content, &format!("{path}.content"))?, name: None })
}

fn call(text: &str, kind: ToolKind, path: &str) -> Result<ToolCall, TurnError> {
    let wire: WireCall = wire::read(text, path)?;
    let (arguments, member) = match kind {
        ToolKind::Function => (wire.arguments, "arguments"),
        ToolKind::Custom => (wire.input, "input"),
    };
    Ok(ToolCall {
        id: named(wire.call_id, &format!("{path}.call_id"))?,
        name: named(wire.name, &format!("{path}.name"))?,
        namespace: wire.namespace.filter(|name| !name.is_empty()),
        kind,
        arguments: arguments.ok_or_else(|| TurnError::missing(format!("{path}.{member}")))?,
    })
}

fn call_output(text: &str, kind: ToolKind, path: &str) -> Result<ToolOutput, TurnError> {
    let wire: WireOutput = wire::read(text, path)?;
    let result = match wire.output {
        Some(Content::Text(text)) => ToolResult::Text(text),
        Some(content) => ToolResult::Parts(parts(content, &format!("{path}.output"))?),
        None => return Err(TurnError::missing(format!("{path}.output"))),
    };
    Ok(ToolOutput {
        call_id: named(wire.call_id, &format!("{path}.call_id"))?,
        kind,
        result,
        is_error: false,
    })
}

fn thought(text: &str, path: &str) -> Result<Reasoning, TurnError> {
    let wire: WireReasoning = wire::read(text, path)?;
    let texts = |parts: Option<Vec<Object<WirePart>>>| -> Vec<String> {
        parts.unwrap_or_default().into_iter().filter_map(|Object(part)| part.text).collect()
    };
    let sealed = wire.encrypted_content.filter(|seal| !seal.is_empty());
    Ok(Reasoning {
        // An id that we made up means nothing to anybody.
        id: wire.id.filter(|id| !id.starts_with(FOREIGN_ID)),
        summary: texts(wire.summary),
        text: texts(wire.content),
        sealed: sealed.map(|seal| Sealed::read(Dialect::OpenAiResponses, seal)),
        is_redacted: false,
    })
}

fn parts(content: Content<Object<WirePart>>, path: &str) -> Result<Vec<Part>, TurnError> {
    match content {
        Content::Text(text) => Ok(vec![Part::Text(text)]),
        Content::Parts(parts) => {
            parts.into_iter().enumerate().map(|(nth, wire)| part(wire.0, &format!("{path}[{nth}]"))).collect()
        }
    }
}

fn part(part: WirePart, path: &str) -> Result<Part, TurnError> {
    let missing = |member: &str| TurnError::missing(format!("{path}.{member}"));
    match part.kind.as_deref() {
        Some("input_text" | "output_text" | "text") => {
            Ok(Part::Text(part.text.ok_or_else(|| missing("text"))?))
        }
        Some("refusal") => Ok(Part::Refusal(part.refusal.ok_or_else(|| missing("refusal"))?)),
        Some("input_image") => {
            let source = match (part.image_url, part.file_id) {
                (Some(url), _) => MediaSource::from_url(url),
                (None, Some(id)) => MediaSource::FileId(id),
                (None, None) => return Err(missing("image_url")),
            };
            Ok(Part::Image(Image { source, detail: part.detail }))
        }
        Some("input_file") => {
            let source = match (part.file_data, part.file_url, part.file_id) {
                (Some(data), ..) if data.starts_with("data:") => MediaSource::from_url(data),
                (Some(data), ..) => MediaSource::Base64 { media_type: "application/pdf".to_owned(), data },
                (None, Some(url), _) => MediaSource::from_url(url),
                (None, None, Some(id)) => MediaSource::FileId(id),
                (None, None, None) => return Err(missing("file_data")),
            };
            Ok(Part::File(File { source, name: part.filename }))
        }
        Some("input_audio") => {
            let audio = part.input_audio.ok_or_else(|| missing("input_audio"))?;
            Ok(Part::Audio(Audio {
                data: audio.data.ok_or_else(|| missing("input_audio.data"))?,
                format: audio.format.ok_or_else(|| missing("input_audio.format"))?,
            }))
        }
        Some(kind) => {
            let why = format!(
                "`{kind}` is not known; use `input_text`, `input_image`, `input_file` or `output_text`"
            );
            Err(TurnError::invalid(format!("{path}.type"), why))
        }
        None => Err(missing("type")),
    }
}
