//! A responses request from the internal language. What comes out also fits the Codex backend once its body rules have
//! been applied (`responses::decode`): instructions, system roles, refused members.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::tool::{ToolOut, encode_tools, forced};
use crate::openai::{SCHEMA_NAME, SchemaOut, TOOL_FAILED, choices};
use crate::turn::{
    Dialect, Dropped, File, Image, Item, Json, MediaSource, Message, OutputFormat, Part, Reasoning, Role,
    ToolCall, ToolKind, ToolOutput, ToolResult, TurnError, TurnRequest,
};

#[derive(Serialize, Default)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    input: Vec<ItemOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<ReasoningOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextOut<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    include: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_identifier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    store: bool,
    stream: bool,
}

#[derive(Serialize)]
struct ReasoningOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
}

#[derive(Serialize)]
struct TextOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<FormatOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FormatOut<'a> {
    JsonObject,
    JsonSchema(SchemaOut<'a>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OwnItem<'a> {
    Message {
        role: &'static str,
        content: Vec<PartOut<'a>>,
    },
    FunctionCall {
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    CustomToolCall {
        call_id: &'a str,
        name: &'a str,
        input: &'a str,
    },
    FunctionCallOutput {
        call_id: &'a str,
        output: OutputOut<'a>,
    },
    CustomToolCallOutput {
        call_id: &'a str,
        output: OutputOut<'a>,
    },
    Reasoning {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        summary: Vec<Value>,
        encrypted_content: &'a str,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum ItemOut<'a> {
    Own(OwnItem<'a>),
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutputOut<'a> {
    Text(&'a str),
    Failed(String),
    Parts(Vec<PartOut<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PartOut<'a> {
    InputText {
        text: &'a str,
    },
    OutputText {
        text: &'a str,
    },
    Refusal {
        refusal: &'a str,
    },
    InputImage {
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
    },
}

const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

pub(super) fn encode(request: &TurnRequest, dropped: &mut Dropped) -> Result<Vec<u8>, TurnError> {
    if request.previous_response_id.is_some() {
        let why = "it keeps no answers; send the whole conversation";
        return Err(TurnError::unsupported("previous_response_id", why));
    }
    let no_parameters = RawValue::from_string(NO_PARAMETERS.to_owned())
        .map_err(|error| TurnError::invalid("tools", error.to_string()))?;
    let effort = request.reasoning.effort.as_deref();
    let summary = request.reasoning.summary.as_deref();
    let format = request.output.format.as_ref().map(format_out);
    let verbosity = request.output.verbosity.as_deref();
    let mut body = Body {
        model: &request.model,
        instructions: (!request.instructions.is_empty()).then(|| request.instructions.join("\n\n")),
        input: items(request, dropped)?,
        tools: encode_tools(&request.tools, &no_parameters, dropped),
        temperature: request.sampling.temperature,
        top_p: request.sampling.top_p,
        max_output_tokens: request.sampling.max_output_tokens,
        reasoning: (effort.is_some() || summary.is_some()).then_some(ReasoningOut { effort, summary }),
        text: (format.is_some() || verbosity.is_some()).then_some(TextOut { format, verbosity }),
        include: &request.include,
        metadata: request.metadata.as_ref(),
        user: request.user.as_deref(),
        safety_identifier: request.safety_identifier.as_deref(),
        service_tier: request.service_tier.as_deref(),
        prompt_cache_key: request.prompt_cache_key.as_deref(),
        // Nobody on the other side could ask for a stored answer.
        store: false,
        stream: request.stream,
        ..Body::default()
    };
    (body.tool_choice, body.parallel_tool_calls) =
        choices(request, !body.tools.is_empty(), "openai-responses", forced)?;
    note_losses(request, dropped);
    serde_json::to_vec(&body).map_err(|error| TurnError::invalid("body", error.to_string()))
}

fn note_losses(request: &TurnRequest, dropped: &mut Dropped) {
    let sampling = &request.sampling;
    let losses = [
        ("stop", !sampling.stop.is_empty()),
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("top_k", sampling.top_k.is_some()),
        ("top_logprobs", sampling.top_logprobs.is_some()),
        ("store", request.store == Some(true)),
    ];
    for (name, is_lost) in losses {
        if is_lost {
            dropped.note(format!("{name}: no counterpart in openai-responses"));
        }
    }
}

fn format_out(format: &OutputFormat) -> FormatOut<'_> {
    match format {
        OutputFormat::JsonObject => FormatOut::JsonObject,
        OutputFormat::JsonSchema { name, description, schema, strict } => FormatOut::JsonSchema(SchemaOut {
            name: name.as_deref().unwrap_or(SCHEMA_NAME),
            description: description.as_deref(),
            schema,
            strict: *strict,
        }),
    }
}

fn items<'a>(request: &'a TurnRequest, dropped: &mut Dropped) -> Result<Vec<ItemOut<'a>>, TurnError> {
    let mut out = Vec::with_capacity(request.input.len());
    for (nth, item) in request.input.iter().enumerate() {
        out.push(match item {
            Item::Message(message) => ItemOut::Own(message_out(message, nth, dropped)?),
            Item::ToolCall(call) => ItemOut::Own(call_out(call)),
            Item::ToolOutput(output) => ItemOut::Own(output_out(output, nth, dropped)?),
            Item::Reasoning(thought) => match thought_out(thought) {
                Some(thought) => ItemOut::Own(thought),
                None => {
                    dropped.note("input: `reasoning` that openai-responses did not seal");
                    continue;
                }
            },
            Item::Opaque(item) if item.dialect == Dialect::OpenAiResponses => ItemOut::Opaque(&item.raw),
            Item::Opaque(item) => {
                dropped.note(format!("input: `{}` has no counterpart in openai-responses", item.kind));
                continue;
            }
        });
    }
    Ok(out)
}

fn message_out<'a>(
    message: &'a Message,
    nth: usize,
    dropped: &mut Dropped,
) -> Result<OwnItem<'a>, TurnError> {
    let role = match message.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    if message.name.is_some() {
        dropped.note("name: no counterpart in openai-responses");
    }
    let path = format!("input[{nth}].content");
    let content = parts(&message.parts, message.role == Role::Assistant, &path, dropped)?;
    Ok(OwnItem::Message { role, content })
}

fn call_out(call: &ToolCall) -> OwnItem<'_> {
    let (call_id, name) = (call.id.as_str(), call.name.as_str());
    match call.kind {
        ToolKind::Function => OwnItem::FunctionCall { call_id, name, arguments: call.json_arguments() },
        ToolKind::Custom => OwnItem::CustomToolCall { call_id, name, input: &call.arguments },
    }
}

fn output_out<'a>(
    output: &'a ToolOutput,
    nth: usize,
    dropped: &mut Dropped,
) -> Result<OwnItem<'a>, TurnError> {
    let call_id = output.call_id.as_str();
    let result = match &output.result {
        ToolResult::Text(text) if output.is_error => OutputOut::Failed(format!("{TOOL_FAILED} {text}")),
        ToolResult::Text(text) => OutputOut::Text(text),
        ToolResult::Parts(list) => {
            let mut list = parts(list, false, &format!("input[{nth}].output"), dropped)?;
            if output.is_error {
                list.insert(0, PartOut::InputText { text: TOOL_FAILED });
            }
            OutputOut::Parts(list)
        }
    };
    Ok(match output.kind {
        ToolKind::Function => OwnItem::FunctionCallOutput { call_id, output: result },
        ToolKind::Custom => OwnItem::CustomToolCallOutput { call_id, output: result },
    })
}

/// Without its seal a thought means nothing here, and the API takes no foreign one.
fn thought_out(thought: &Reasoning) -> Option<OwnItem<'_>> {
    let encrypted_content = thought.sealed.as_ref()?.for_upstream(Dialect::OpenAiResponses)?;
    let summary =
        thought.summary.iter().map(|text| json!({ "type": "summary_text", "text": text })).collect();
    Some(OwnItem::Reasoning { id: thought.id.as_deref(), summary, encrypted_content })
}

fn parts<'a>(
    parts: &'a [Part],
    is_answer: bool,
    path: &str,
    dropped: &mut Dropped,
) -> Result<Vec<PartOut<'a>>, TurnError> {
    let mut out = Vec::with_capacity(parts.len());
    for (nth, part) in parts.iter().enumerate() {
        out.push(match part {
            Part::Text(text) if is_answer => PartOut::OutputText { text },
            Part::Text(text) => PartOut::InputText { text },
            Part::Refusal(refusal) if is_answer => PartOut::Refusal { refusal },
            Part::Refusal(text) => PartOut::InputText { text },
            Part::Image(Image { source: MediaSource::FileId(id), .. })
            | Part::File(File { source: MediaSource::FileId(id), .. })
                if !id.starts_with("file-") =>
            {
                let why = "the file is at another provider; send it inline";
                return Err(TurnError::unsupported(format!("{path}[{nth}]"), why));
            }
            Part::Image(image) => image_out(image),
            Part::File(File { source: MediaSource::Text(text), .. }) => PartOut::InputText { text },
            Part::File(file) => file_out(file),
            Part::Audio(_) => {
                let why = "openai-responses takes no recordings; send a transcript";
                return Err(TurnError::unsupported(format!("{path}[{nth}]"), why));
            }
            Part::Opaque(part) => {
                dropped.note(format!("content: `{}` has no counterpart in openai-responses", part.kind));
                continue;
            }
        });
    }
    Ok(out)
}

fn image_out(image: &Image) -> PartOut<'_> {
    let file_id = if let MediaSource::FileId(id) = &image.source { Some(id.as_str()) } else { None };
    PartOut::InputImage { image_url: image.source.to_url(), file_id, detail: image.detail.as_deref() }
}

fn file_out(file: &File) -> PartOut<'_> {
    let filename = file.name.as_deref();
    let (file_data, file_url, file_id) = match &file.source {
        MediaSource::Url(url) => (None, Some(url.as_str()), None),
        source @ MediaSource::Base64 { .. } => (source.to_url(), None, None),
        MediaSource::FileId(id) => (None, None, Some(id.as_str())),
        MediaSource::Text(_) => (None, None, None),
    };
    PartOut::InputFile { filename: filename.filter(|_| file_id.is_none()), file_data, file_url, file_id }
}
