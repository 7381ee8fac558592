//! A chat request into the internal language.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::tool::{decode_choice, decode_tools};
use crate::openai::{WireSchema, named};
use crate::turn::{
    Audio, Decoded, Dropped, File, Image, Item, MediaSource, Message, OutputFormat, Part, Reasoning, Role,
    Sampling, ToolCall, ToolKind, ToolOutput, ToolResult, TurnError, TurnRequest,
};
use crate::wire::{self, Content, Fields, Object};

/// Members that are understood and have no place in any other dialect.
const WITHOUT_COUNTERPART: &[&str] =
    &["logit_bias", "prediction", "web_search_options", "logprobs", "top_logprobs", "moderation"];

pub(super) fn decode(body: &[u8]) -> Result<Decoded, TurnError> {
    let members = wire::object(body)?;
    let mut fields = Fields::new(&members);
    let mut dropped = Dropped::default();
    refuse(&mut fields)?;
    let mut tools = fields.raw("tools").map(decode_tools).transpose()?.unwrap_or_default();
    let tool_choice = fields.raw("tool_choice").map(|text| decode_choice(text, &mut tools)).transpose()?;
    let messages: Vec<Object<WireMessage>> = match fields.raw("messages") {
        Some(text) => wire::read(text, "messages")?,
        None => return Err(TurnError::missing("messages")),
    };
    if messages.is_empty() {
        return Err(TurnError::invalid("messages", "must hold at least one message"));
    }
    let input = Conversation::default().read(messages)?;
    let mut request = TurnRequest {
        model: named(fields.get("model")?, "model")?,
        input,
        tools,
        tool_choice,
        parallel_tool_calls: fields.get("parallel_tool_calls")?,
        sampling: sampling(&mut fields)?,
        metadata: fields.json("metadata"),
        user: fields.get("user")?,
        safety_identifier: fields.get("safety_identifier")?,
        service_tier: fields.get("service_tier")?,
        stream: fields.get("stream")?.unwrap_or(false),
        prompt_cache_key: fields.get("prompt_cache_key")?,
        store: fields.get("store")?,
        ..TurnRequest::default()
    };
    request.include_usage = include_usage(&mut fields)?;
    request.reasoning.effort = fields.get("reasoning_effort")?;
    // Without asking for summaries no thinking is told at all; a caller that sets the effort wants to see it.
    request.reasoning.summary = request.reasoning.effort.as_ref().map(|_| "auto".to_owned());
    request.output.verbosity = fields.get("verbosity")?;
    request.output.format = fields.raw("response_format").map(response_format).transpose()?.flatten();
    for name in WITHOUT_COUNTERPART {
        if fields.raw(name).is_some_and(|value| value != "false") {
            dropped.note(format!("{name}: no counterpart outside openai-chat"));
        }
    }
    for name in fields.unknown() {
        dropped.note(format!("{name}: unknown to openai-chat"));
    }
    Ok(Decoded { request, dropped })
}

/// What cannot be left out without another answer than the one asked for.
fn refuse(fields: &mut Fields<'_, '_>) -> Result<(), TurnError> {
    if fields.get::<u64>("n")?.is_some_and(|n| n != 1) {
        return Err(TurnError::invalid("n", "only one choice is offered; leave it out"));
    }
    if fields.raw("functions").is_some() || fields.raw("function_call").is_some() {
        return Err(TurnError::invalid("functions", "is no longer offered; use `tools` and `tool_choice`"));
    }
    let modalities: Option<Vec<String>> = fields.get("modalities")?;
    if modalities.is_some_and(|kinds| kinds.iter().any(|kind| kind != "text"))
        || fields.raw("audio").is_some()
    {
        return Err(TurnError::unsupported("modalities", "it answers in text only"));
    }
    Ok(())
}

fn sampling(fields: &mut Fields<'_, '_>) -> Result<Sampling, TurnError> {
    let legacy = fields.get("max_tokens")?;
    let stop = match fields.get::<Content<String>>("stop")? {
        Some(Content::Text(one)) => vec![one],
        Some(Content::Parts(several)) => several,
        None => Vec::new(),
    };
    Ok(Sampling {
        temperature: fields.get("temperature")?,
        top_p: fields.get("top_p")?,
        max_output_tokens: fields.get("max_completion_tokens")?.or(legacy),
        stop,
        frequency_penalty: fields.get("frequency_penalty")?,
        presence_penalty: fields.get("presence_penalty")?,
        seed: fields.get("seed")?,
        ..Sampling::default()
    })
}

fn include_usage(fields: &mut Fields<'_, '_>) -> Result<bool, TurnError> {
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    let options: Option<Options> = fields.object("stream_options")?;
    Ok(options.and_then(|options| options.include_usage).unwrap_or(false))
}

fn response_format(text: &str) -> Result<Option<OutputFormat>, TurnError> {
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(rename = "type")]
        kind: Option<String>,
        #[serde(borrow)]
        json_schema: Option<WireSchema<'a>>,
    }
    let Object::<Format<'_>>(format) = wire::read(text, "response_format")?;
    match format.kind.as_deref() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(OutputFormat::JsonObject)),
        Some("json_schema") => {
            let path = "response_format.json_schema";
            let schema = format.json_schema.ok_or_else(|| TurnError::missing(path))?;
            schema.format(path).map(Some)
        }
        Some(_) => {
            Err(TurnError::invalid("response_format.type", "must be `text`, `json_object` or `json_schema`"))
        }
        None => Err(TurnError::missing("response_format.type")),
    }
}

#[derive(Deserialize)]
struct WireMessage {
    role: Option<String>,
    content: Option<Content<Object<WirePart>>>,
    name: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    tool_calls: Option<Vec<Object<WireCall>>>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct WirePart {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<ImageUrl>,
    input_audio: Option<WireAudio>,
    file: Option<WireFile>,
}

/// `{"url","detail"}`, or the URL alone as some clients write it.
struct ImageUrl {
    url: String,
    detail: Option<String>,
}

impl<'de> Deserialize<'de> for ImageUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object {
            url: String,
            detail: Option<String>,
        }
        let raw = <&RawValue>::deserialize(deserializer)?;
        let fault = |_| serde::de::Error::custom("expected an object with `url`");
        if raw.get().starts_with('"') {
            return Ok(Self { url: serde_json::from_str(raw.get()).map_err(fault)?, detail: None });
        }
        let Object { url, detail } = serde_json::from_str(raw.get()).map_err(fault)?;
        Ok(Self { url, detail })
    }
}

#[derive(Deserialize)]
struct WireAudio {
    data: Option<String>,
    format: Option<String>,
}

#[derive(Deserialize)]
struct WireFile {
    file_data: Option<String>,
    file_id: Option<String>,
    filename: Option<String>,
}

#[derive(Deserialize)]
struct WireCall {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    function: Option<WireFunction>,
    custom: Option<WireCustom>,
}

#[derive(Deserialize)]
struct WireFunction {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct WireCustom {
    name: Option<String>,
    input: Option<String>,
}

/// Reads messages in order. Knows the calls so far: a tool's message must answer one.
#[derive(Default)]
struct Conversation {
    items: Vec<Item>,
    calls: HashSet<String>,
    customs: HashSet<String>,
}

impl Conversation {
    fn read(mut self, messages: Vec<Object<WireMessage>>) -> Result<Vec<Item>, TurnError> {
        self.items.reserve(messages.len());
        for (nth, Object(message)) in messages.into_iter().enumerate() {
            self.message(message, &format!("messages[{nth}]"))?;
        }
        Ok(self.items)
    }

    fn message(&mut self, message: WireMessage, path: &str) -> Result<(), TurnError> {
        let role = match message.role.as_deref() {
            Some("system") => Role::System,
            Some("developer") => Role::Developer,
            Some("user") => Role::User,
            Some("assistant") => return self.assistant(message, path),
            Some("tool") => return self.tool(message, path),
            Some(_) => {
                let why = "must be `system`, `developer`, `user`, `assistant` or `tool`";
                return Err(TurnError::invalid(format!("{path}.role"), why));
            }
            None => return Err(TurnError::missing(format!("{path}.role"))),
        };
        let content = message.content.ok_or_else(|| TurnError::missing(format!("{path}.content")))?;
        let parts = parts(content, path)?;
        self.items.push(Item::Message(Message { role, parts, name: message.name }));
        Ok(())
    }

    fn assistant(&mut self, message: WireMessage, path: &str) -> Result<(), TurnError> {
        let mut said = message.content.map(|content| parts(content, path)).transpose()?.unwrap_or_default();
        // Clients repeat an answer that was nothing but calls with an empty text.
        said.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        said.extend(message.refusal.filter(|refusal| !refusal.is_empty()).map(Part::Refusal));
        let calls = message.tool_calls.unwrap_or_default();
        if let Some(thought) = message.reasoning_content.filter(|thought| !thought.is_empty()) {
            self.items.push(Item::Reasoning(Reasoning { summary: vec![thought], ..Reasoning::default() }));
        }
        if !said.is_empty() || calls.is_empty() {
            self.items.push(Item::Message(Message {
                role: Role::Assistant,
                parts: said,
                name: message.name,
            }));
        }
        for (nth, Object(call)) in calls.into_iter().enumerate() {
            let call = self.call(call, &format!("{path}.tool_calls[{nth}]"))?;
            self.items.push(Item::ToolCall(call));
        }
        Ok(())
    }

    fn call(&mut self, call: WireCall, path: &str) -> Result<ToolCall, TurnError> {
        let id = named(call.id, &format!("{path}.id"))?;
        let (kind, name, arguments) = match (call.kind.as_deref(), call.function, call.custom) {
            (None | Some("function"), Some(function), _) => {
                let name = named(function.name, &format!("{path}.function.name"))?;
                (ToolKind::Function, name, function.arguments.unwrap_or_default())
            }
            (Some("custom"), _, Some(custom)) => {
                self.customs.insert(id.clone());
                let name = named(custom.name, &format!("{path}.custom.name"))?;
                (ToolKind::Custom, name, custom.input.unwrap_or_default())
            }
            (Some("custom"), ..) => return Err(TurnError::missing(format!("{path}.custom"))),
            (None | Some("function"), ..) => return Err(TurnError::missing(format!("{path}.function"))),
            (Some(_), ..) => {
                return Err(TurnError::invalid(format!("{path}.type"), "must be `function` or `custom`"));
            }
        };
        self.calls.insert(id.clone());
        Ok(ToolCall { id, name, namespace: None, kind, arguments })
    }

    fn tool(&mut self, message: WireMessage, path: &str) -> Result<(), TurnError> {
        let id_path = format!("{path}.tool_call_id");
        let call_id = named(message.tool_call_id, &id_path)?;
        if !self.calls.contains(&call_id) {
            let why = "answers no earlier tool call; send the assistant message with that call before it";
            return Err(TurnError::invalid(id_path, why));
        }
        let result = match message.content {
            Some(Content::Text(text)) => ToolResult::Text(text),
            Some(content) => ToolResult::Parts(parts(content, path)?),
            None => return Err(TurnError::missing(format!("{path}.content"))),
        };
        let kind = if self.customs.contains(&call_id) { ToolKind::Custom } else { ToolKind::Function };
        self.items.push(Item::ToolOutput(ToolOutput { call_id, kind, result, is_error: false }));
        Ok(())
    }
}

fn parts(content: Content<Object<WirePart>>, path: &str) -> Result<Vec<Part>, TurnError> {
    match content {
        Content::Text(text) => Ok(vec![Part::Text(text)]),
        Content::Parts(parts) => parts
            .into_iter()
            .enumerate()
            .map(|(nth, Object(wire))| part(wire, &format!("{path}.content[{nth}]")))
            .collect(),
    }
}

fn part(part: WirePart, path: &str) -> Result<Part, TurnError> {
    let missing = |member: &str| TurnError::missing(format!("{path}.{member}"));
    match part.kind.as_deref() {
        Some("text") => Ok(Part::Text(part.text.ok_or_else(|| missing("text"))?)),
        Some("refusal") => Ok(Part::Refusal(part.refusal.ok_or_else(|| missing("refusal"))?)),
        Some("image_url") => {
            let ImageUrl { url, detail } = part.image_url.ok_or_else(|| missing("image_url"))?;
            Ok(Part::Image(Image { source: MediaSource::from_url(url), detail }))
        }
        Some("input_audio") => {
            let audio = part.input_audio.ok_or_else(|| missing("input_audio"))?;
            Ok(Part::Audio(Audio {
                data: audio.data.ok_or_else(|| missing("input_audio.data"))?,
                format: audio.format.ok_or_else(|| missing("input_audio.format"))?,
            }))
        }
        Some("file") => file(part.file.ok_or_else(|| missing("file"))?, path).map(Part::File),
        Some(_) => {
            let why = "must be `text`, `image_url`, `input_audio`, `file` or `refusal`";
            Err(TurnError::invalid(format!("{path}.type"), why))
        }
        None => Err(missing("type")),
    }
}

fn file(file: WireFile, path: &str) -> Result<File, TurnError> {
    let source = match (file.file_id, file.file_data) {
        (Some(id), _) => MediaSource::FileId(id),
        (None, Some(data)) if data.starts_with("data:") => MediaSource::from_url(data),
        // Bare base64: the API takes it for PDF, the only type it knows without a name.
        (None, Some(data)) => MediaSource::Base64 { media_type: "application/pdf".to_owned(), data },
        (None, None) => return Err(TurnError::missing(format!("{path}.file.file_data"))),
    };
    Ok(File { source, name: file.filename })
}
