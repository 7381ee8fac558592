//! A client's request as a [`TurnRequest`]: the members around the conversation. The conversation itself is read in
//! [`conversation`], its blocks in [`blocks`].

mod blocks;
mod conversation;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use self::conversation::Conversation;
use super::thinking::{self, ThinkingIn};
use crate::json::Members;
use crate::turn::{
    Decoded, Dialect, Dropped, Opaque, OutputFormat, Tool, ToolChoice, ToolKind, TurnError, TurnRequest,
};
use crate::wire::{self, Content, Fields};

/// What Claude Code puts before the system text for its provider's books. It differs from conversation to
/// conversation, so that an upstream's prompt cache would begin with a difference.
const BILLING_LINE: &str = "x-anthropic-billing-header:";
/// The longest member name that a note repeats, in bytes.
const MAX_NOTED_NAME: usize = 64;

/// Whether the body must say how many tokens to write: a turn must, a count of its tokens does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    Turn,
    Count,
}

/// Reads a body.
pub(super) fn decode(body: &[u8], asks: Asks) -> Result<Decoded, TurnError> {
    let members = wire::object(body)?;
    let mut fields = Fields::new(&members);
    let mut dropped = Dropped::default();
    if memchr::memmem::find(body, br#""cache_control""#).is_some() {
        dropped.note("cache_control: only anthropic-messages has it");
    }
    let mut request = TurnRequest {
        model: required_text(&mut fields, "model")?,
        instructions: system(&mut fields, &mut dropped)?,
        tools: tools(&mut fields)?,
        stream: fields.get("stream")?.unwrap_or(false),
        // This dialect knows no kept answers: what reasoning there is travels with the conversation.
        store: Some(false),
        ..TurnRequest::default()
    };
    sampling(&mut fields, asks, &mut request)?;
    tool_choice(&mut fields, &mut request)?;
    let conversation = Conversation::read(&mut fields)?;
    request.input = conversation.items;
    output(&mut fields, conversation.effort, &mut request, &mut dropped)?;
    caller(&mut fields, &mut request, &mut dropped)?;
    tier(&mut fields, &mut request, &mut dropped)?;
    note_unknown(&fields, &mut dropped);
    Ok(Decoded { request, dropped })
}

fn note_unknown(fields: &Fields<'_, '_>, dropped: &mut Dropped) {
    for name in fields.unknown() {
        let name = name.get(..name.floor_char_boundary(MAX_NOTED_NAME)).unwrap_or_default();
        dropped.note(format!("{name}: no counterpart"));
    }
}

fn required_text(fields: &mut Fields<'_, '_>, name: &'static str) -> Result<String, TurnError> {
    let text: String = fields.get(name)?.ok_or_else(|| TurnError::missing(name))?;
    if text.trim().is_empty() { Err(TurnError::invalid(name, "must not be empty")) } else { Ok(text) }
}

fn system(fields: &mut Fields<'_, '_>, dropped: &mut Dropped) -> Result<Vec<String>, TurnError> {
    let texts = match fields.get::<Content<&RawValue>>("system")? {
        None => return Ok(Vec::new()),
        Some(Content::Text(text)) => vec![text],
        Some(Content::Parts(parts)) => blocks::system_texts(&parts)?,
    };
    let before = texts.len();
    let texts: Vec<String> = texts.into_iter().filter(|text| !text.starts_with(BILLING_LINE)).collect();
    if texts.len() < before {
        dropped.note("system: the billing line, which only its own provider reads");
    }
    Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
}

fn sampling(fields: &mut Fields<'_, '_>, asks: Asks, request: &mut TurnRequest) -> Result<(), TurnError> {
    let sampling = &mut request.sampling;
    sampling.max_output_tokens = fields.get("max_tokens")?;
    if sampling.max_output_tokens.is_none() && asks == Asks::Turn {
        return Err(TurnError::missing("max_tokens"));
    }
    sampling.temperature = fields.get("temperature")?;
    sampling.top_p = fields.get("top_p")?;
    sampling.top_k = fields.get("top_k")?;
    sampling.stop = fields.get("stop_sequences")?.unwrap_or_default();
    for (name, value) in [("temperature", sampling.temperature), ("top_p", sampling.top_p)] {
        if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            return Err(TurnError::invalid(name, "must be between 0 and 1"));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct ToolTag<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ClientTool<'a> {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(borrow)]
    input_schema: &'a RawValue,
    #[serde(default)]
    strict: Option<bool>,
}

fn tools(fields: &mut Fields<'_, '_>) -> Result<Vec<Tool>, TurnError> {
    let tools: Vec<&RawValue> = fields.get("tools")?.unwrap_or_default();
    let read = |(nth, raw)| {
        let place = blocks::Place::root("tools", nth);
        tool(raw, &place)
    };
    tools.into_iter().enumerate().map(read).collect()
}

fn tool(raw: &RawValue, place: &blocks::Place<'_>) -> Result<Tool, TurnError> {
    let tag: ToolTag<'_> = place.read(raw)?;
    if let Some(kind) = tag.kind.as_deref().filter(|kind| *kind != "custom") {
        return Ok(Tool::Hosted(Opaque {
            dialect: Dialect::AnthropicMessages,
            kind: kind.to_owned(),
            raw: raw.to_owned(),
        }));
    }
    let tool: ClientTool<'_> = place.read(raw)?;
    if tool.name.is_empty() {
        return Err(TurnError::invalid(place.member("name"), "must not be empty"));
    }
    if !tool.input_schema.get().starts_with('{') {
        return Err(TurnError::invalid(place.member("input_schema"), "must be an object"));
    }
    Ok(Tool::Function {
        name: tool.name,
        namespace: None,
        description: tool.description,
        parameters: Some(tool.input_schema.to_owned()),
        // Not strict unless asked for: that is the default here, and the opposite of it in openai-responses.
        strict: Some(tool.strict.unwrap_or(false)),
    })
}

#[derive(Deserialize)]
struct WireChoice {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    disable_parallel_tool_use: Option<bool>,
}

fn tool_choice(fields: &mut Fields<'_, '_>, request: &mut TurnRequest) -> Result<(), TurnError> {
    let Some(choice) = fields.get::<WireChoice>("tool_choice")? else { return Ok(()) };
    request.parallel_tool_calls = choice.disable_parallel_tool_use.map(|disabled| !disabled);
    request.tool_choice = Some(match (choice.kind.as_str(), choice.name) {
        ("auto", _) => ToolChoice::Auto,
        ("any", _) => ToolChoice::Required,
        ("none", _) => ToolChoice::None,
        ("tool", Some(name)) => ToolChoice::Tool { kind: ToolKind::Function, name },
        ("tool", None) => return Err(TurnError::missing("tool_choice.name")),
        _ => return Err(TurnError::invalid("tool_choice.type", "use `auto`, `any`, `tool` or `none`")),
    });
    Ok(())
}

#[derive(Deserialize)]
struct OutputConfig<'a> {
    #[serde(default)]
    effort: Option<String>,
    #[serde(borrow, default)]
    format: Option<Format<'a>>,
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
}

/// How much to think, and the form of the answer. `turn_effort` was named for this turn alone and wins.
fn output(
    fields: &mut Fields<'_, '_>,
    turn_effort: Option<String>,
    request: &mut TurnRequest,
    dropped: &mut Dropped,
) -> Result<(), TurnError> {
    let config: Option<OutputConfig<'_>> = fields.get("output_config")?;
    let (effort, format) = config.map_or((None, None), |config| (config.effort, config.format));
    let thinking: Option<ThinkingIn> = fields.get("thinking")?;
    request.reasoning = thinking::read(thinking, turn_effort.or(effort))?;
    if request.reasoning.summary.is_some() {
        // The next turn brings the thinking back, which takes its sealed form.
        request.include.push("reasoning.encrypted_content".to_owned());
    }
    // The older name of the same.
    let older: Option<Format<'_>> = fields.get("output_format")?;
    let Some(format) = format.or(older) else { return Ok(()) };
    match (&*format.kind, format.schema) {
        ("json_schema", Some(schema)) => {
            request.output.format = Some(OutputFormat::JsonSchema {
                name: None,
                description: None,
                schema: schema.to_owned(),
                strict: Some(true),
            });
        }
        ("json_schema", None) => return Err(TurnError::missing("output_config.format.schema")),
        ("text", _) => {}
        _ => dropped.note("output_config.format: a type that is not known"),
    }
    Ok(())
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    user_id: Option<String>,
}

/// Claude Code writes a JSON object into `user_id`. Its session ties the conversation together; the device and the
/// account in it are nobody else's business.
fn caller(
    fields: &mut Fields<'_, '_>,
    request: &mut TurnRequest,
    dropped: &mut Dropped,
) -> Result<(), TurnError> {
    let user = fields.get::<Metadata>("metadata")?.and_then(|metadata| metadata.user_id);
    let Some(user) = user.filter(|user| !user.is_empty()) else { return Ok(()) };
    match Members::read(user.as_bytes()) {
        Ok(inner) => {
            request.prompt_cache_key = inner.get("session_id").and_then(crate::json::text_of);
            dropped.note("metadata.user_id: only its session is passed on");
        }
        Err(_) => request.user = Some(user),
    }
    Ok(())
}

fn tier(
    fields: &mut Fields<'_, '_>,
    request: &mut TurnRequest,
    dropped: &mut Dropped,
) -> Result<(), TurnError> {
    let tier: Option<String> = fields.get("service_tier")?;
    let speed: Option<String> = fields.get("speed")?;
    request.service_tier = match (tier.as_deref(), speed.as_deref()) {
        (_, Some("fast")) => Some("priority".to_owned()),
        (Some("auto"), _) => Some("auto".to_owned()),
        (Some("standard_only"), _) => Some("default".to_owned()),
        (Some(_), _) => {
            dropped.note("service_tier: a value that is not known");
            None
        }
        (None, _) => None,
    };
    Ok(())
}
