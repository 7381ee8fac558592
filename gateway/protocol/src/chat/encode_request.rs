//! A chat request from the internal language.

use serde::Serialize;
use serde_json::{Value, json};

use super::tool::{ToolOut, encode_tools, forced};
use crate::openai::{SCHEMA_NAME, SchemaOut, TOOL_FAILED, choices};
use crate::turn::{
    Dropped, File, Image, Item, Json, MediaSource, Message, OutputFormat, Part, Reasoning, Role, ToolCall,
    ToolKind, ToolOutput, ToolResult, TurnError, TurnRequest,
};

#[derive(Serialize, Default)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<MessageOut<'a>>,
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
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<FormatOut<'a>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Value>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FormatOut<'a> {
    JsonObject,
    JsonSchema { json_schema: SchemaOut<'a> },
}

#[derive(Serialize, Default)]
struct MessageOut<'a> {
    role: &'static str,
    content: Option<ContentOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ContentOut<'a> {
    Text(&'a str),
    Joined(String),
    Parts(Vec<PartOut<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PartOut<'a> {
    Text { text: &'a str },
    Refusal { refusal: &'a str },
    ImageUrl { image_url: ImageOut<'a> },
    InputAudio { input_audio: AudioOut<'a> },
    File { file: FileOut<'a> },
}

#[derive(Serialize)]
struct ImageOut<'a> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct AudioOut<'a> {
    data: &'a str,
    format: &'a str,
}

#[derive(Serialize)]
struct FileOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
}

#[derive(Serialize)]
struct CallOut<'a> {
    id: &'a str,
    #[serde(flatten)]
    body: CallBody<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum CallBody<'a> {
    Function { function: FunctionCall<'a> },
    Custom { custom: CustomCall<'a> },
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct CustomCall<'a> {
    name: &'a str,
    input: &'a str,
}

pub(super) fn encode(request: &TurnRequest, dropped: &mut Dropped) -> Result<Vec<u8>, TurnError> {
    if request.previous_response_id.is_some() {
        let why = "it keeps no answers; send the whole conversation in `input`";
        return Err(TurnError::unsupported("previous_response_id", why));
    }
    let sampling = &request.sampling;
    let stores = request.store.filter(|stores| *stores);
    let mut body = Body {
        model: &request.model,
        messages: Writer::new(dropped).write(request)?,
        tools: encode_tools(&request.tools, dropped),
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        max_completion_tokens: sampling.max_output_tokens,
        stop: &sampling.stop,
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        seed: sampling.seed,
        reasoning_effort: request.reasoning.effort.as_deref(),
        verbosity: request.output.verbosity.as_deref(),
        response_format: request.output.format.as_ref().map(format_out),
        // The API takes metadata of stored answers alone.
        metadata: request.metadata.as_ref().filter(|_| stores.is_some()),
        user: request.user.as_deref(),
        safety_identifier: request.safety_identifier.as_deref(),
        service_tier: request.service_tier.as_deref(),
        prompt_cache_key: request.prompt_cache_key.as_deref(),
        store: stores,
        stream: request.stream,
        // Usage is settled whatever the client asked for.
        stream_options: request.stream.then(|| json!({ "include_usage": true })),
        ..Body::default()
    };
    (body.tool_choice, body.parallel_tool_calls) =
        choices(request, !body.tools.is_empty(), "openai-chat", forced)?;
    note_losses(request, dropped);
    serde_json::to_vec(&body).map_err(|error| TurnError::invalid("body", error.to_string()))
}

fn note_losses(request: &TurnRequest, dropped: &mut Dropped) {
    let losses = [
        ("top_k", request.sampling.top_k.is_some()),
        ("top_logprobs", request.sampling.top_logprobs.is_some()),
        ("reasoning budget", request.reasoning.budget_tokens.is_some()),
        ("metadata", request.metadata.is_some() && request.store != Some(true)),
    ];
    for (name, is_lost) in losses {
        if is_lost {
            dropped.note(format!("{name}: no counterpart in openai-chat"));
        }
    }
}

fn format_out(format: &OutputFormat) -> FormatOut<'_> {
    match format {
        OutputFormat::JsonObject => FormatOut::JsonObject,
        OutputFormat::JsonSchema { name, description, schema, strict } => FormatOut::JsonSchema {
            json_schema: SchemaOut {
                name: name.as_deref().unwrap_or(SCHEMA_NAME),
                description: description.as_deref(),
                schema,
                strict: *strict,
            },
        },
    }
}

/// Puts items into messages: what the model said and called in one go is one message here, and pictures that a tool
/// answered with follow in a user message, for a tool's message is text.
struct Writer<'a, 'd> {
    out: Vec<MessageOut<'a>>,
    /// The model's message that may still take calls.
    open: Option<MessageOut<'a>>,
    /// Thinking that goes with the next thing the model says or calls.
    thought: Option<String>,
    /// Pictures of the tool outputs just written.
    pictures: Vec<PartOut<'a>>,
    dropped: &'d mut Dropped,
}

impl<'a, 'd> Writer<'a, 'd> {
    fn new(dropped: &'d mut Dropped) -> Self {
        Self { out: Vec::new(), open: None, thought: None, pictures: Vec::new(), dropped }
    }

    fn write(mut self, request: &'a TurnRequest) -> Result<Vec<MessageOut<'a>>, TurnError> {
        self.out.reserve(request.input.len() + 1);
        match request.instructions.as_slice() {
            [] => {}
            [one] => self.system(ContentOut::Text(one)),
            several => self.system(ContentOut::Joined(several.join("\n\n"))),
        }
        for (nth, item) in request.input.iter().enumerate() {
            match item {
                Item::Message(message) => self.message(message, nth)?,
                Item::ToolCall(call) => self.call(call),
                Item::ToolOutput(output) => self.output(output, nth)?,
                Item::Reasoning(thought) => self.thought(thought),
                Item::Opaque(item) => {
                    self.dropped.note(format!("input: `{}` has no counterpart in openai-chat", item.kind));
                }
            }
        }
        self.close();
        Ok(self.out)
    }

    fn system(&mut self, content: ContentOut<'a>) {
        self.out.push(MessageOut { role: "system", content: Some(content), ..MessageOut::default() });
    }

    /// Whatever was collected is complete.
    fn close(&mut self) {
        self.out.extend(self.open.take());
        if !self.pictures.is_empty() {
            let parts = std::mem::take(&mut self.pictures);
            let content = Some(ContentOut::Parts(parts));
            self.out.push(MessageOut { role: "user", content, ..MessageOut::default() });
        }
    }

    fn message(&mut self, message: &'a Message, nth: usize) -> Result<(), TurnError> {
        self.close();
        let role = match message.role {
            // Only OpenAI's own servers know `developer`; for them `system` says the same.
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let path = format!("input[{nth}].content");
        let content = content(&message.parts, &path, self.dropped)?;
        let mut out = MessageOut { role, content, name: message.name.as_deref(), ..MessageOut::default() };
        if message.role == Role::Assistant {
            out.reasoning_content = self.thought.take();
            self.open = Some(out);
        } else {
            self.thought = None;
            out.content = out.content.or(Some(ContentOut::Text("")));
            self.out.push(out);
        }
        Ok(())
    }

    fn call(&mut self, call: &'a ToolCall) {
        if self.open.is_none() {
            self.close();
        }
        let thought = self.thought.take();
        let open = self.open.get_or_insert_with(|| MessageOut { role: "assistant", ..MessageOut::default() });
        open.reasoning_content = open.reasoning_content.take().or(thought);
        let body = match call.kind {
            ToolKind::Function => {
                let function = FunctionCall { name: &call.name, arguments: call.json_arguments() };
                CallBody::Function { function }
            }
            ToolKind::Custom => {
                CallBody::Custom { custom: CustomCall { name: &call.name, input: &call.arguments } }
            }
        };
        open.tool_calls.push(CallOut { id: &call.id, body });
    }

    fn output(&mut self, output: &'a ToolOutput, nth: usize) -> Result<(), TurnError> {
        self.out.extend(self.open.take());
        let content = match &output.result {
            ToolResult::Text(text) if output.is_error => ContentOut::Joined(format!("{TOOL_FAILED} {text}")),
            ToolResult::Text(text) => ContentOut::Text(text),
            ToolResult::Parts(parts) => self.output_parts(parts, output, nth)?,
        };
        self.out.push(MessageOut {
            role: "tool",
            content: Some(content),
            tool_call_id: Some(&output.call_id),
            ..MessageOut::default()
        });
        Ok(())
    }

    fn output_parts(
        &mut self,
        parts: &'a [Part],
        output: &ToolOutput,
        nth: usize,
    ) -> Result<ContentOut<'a>, TurnError> {
        let call_id = &output.call_id;
        let mut texts: Vec<_> =
            output.is_error.then_some(PartOut::Text { text: TOOL_FAILED }).into_iter().collect();
        let mut is_marked = false;
        for part in parts {
            match part {
                Part::Text(text) => texts.push(PartOut::Text { text }),
                other => {
                    if let Some(part) = part_out(other, &format!("input[{nth}].output"), self.dropped)? {
                        is_marked = true;
                        self.pictures.push(part);
                    }
                }
            }
        }
        Ok(match (texts.is_empty(), is_marked) {
            (false, _) => ContentOut::Parts(texts),
            (true, true) => {
                ContentOut::Joined(format!("[output of {call_id} follows in the next user message]"))
            }
            (true, false) => ContentOut::Text(""),
        })
    }

    /// Thinking without a seal came from an upstream of this dialect and goes back to it; sealed thinking belongs to
    /// another.
    fn thought(&mut self, thought: &Reasoning) {
        let told = if thought.text.is_empty() { &thought.summary } else { &thought.text };
        if thought.sealed.is_none() && !told.is_empty() {
            self.close();
            self.thought = Some(told.join("\n\n"));
        } else {
            self.dropped.note("input: sealed `reasoning` has no counterpart in openai-chat");
        }
    }
}

fn content<'a>(
    parts: &'a [Part],
    path: &str,
    dropped: &mut Dropped,
) -> Result<Option<ContentOut<'a>>, TurnError> {
    match parts {
        [] => Ok(None),
        // Servers that are not OpenAI's often know text as a string alone.
        [Part::Text(text)] => Ok(Some(ContentOut::Text(text))),
        several => {
            let mut out = Vec::with_capacity(several.len());
            for (nth, part) in several.iter().enumerate() {
                out.extend(part_out(part, &format!("{path}[{nth}]"), dropped)?);
            }
            Ok(Some(ContentOut::Parts(out)))
        }
    }
}

fn part_out<'a>(part: &'a Part, path: &str, dropped: &mut Dropped) -> Result<Option<PartOut<'a>>, TurnError> {
    Ok(Some(match part {
        Part::Text(text) => PartOut::Text { text },
        Part::Refusal(refusal) => PartOut::Refusal { refusal },
        Part::Image(image) => PartOut::ImageUrl { image_url: image_out(image, path)? },
        Part::Audio(audio) => {
            PartOut::InputAudio { input_audio: AudioOut { data: &audio.data, format: &audio.format } }
        }
        Part::File(File { source: MediaSource::Text(text), .. }) => PartOut::Text { text },
        Part::File(file) => PartOut::File { file: file_out(file, path)? },
        Part::Opaque(part) => {
            dropped.note(format!("{path}: `{}` has no counterpart in openai-chat", part.kind));
            return Ok(None);
        }
    }))
}

fn image_out<'a>(image: &'a Image, path: &str) -> Result<ImageOut<'a>, TurnError> {
    let url = image.source.to_url();
    let url = url.ok_or_else(|| TurnError::unsupported(path, "send the image as a URL or inline"))?;
    // `original` is newer than this dialect.
    let detail = image.detail.as_deref().map(|detail| if detail == "original" { "high" } else { detail });
    Ok(ImageOut { url, detail })
}

fn file_out<'a>(file: &'a File, path: &str) -> Result<FileOut<'a>, TurnError> {
    let filename = file.name.as_deref();
    match &file.source {
        MediaSource::FileId(id) => Ok(FileOut { filename: None, file_data: None, file_id: Some(id) }),
        source @ MediaSource::Base64 { .. } => {
            Ok(FileOut { filename, file_data: source.to_url(), file_id: None })
        }
        MediaSource::Url(_) | MediaSource::Text(_) => {
            Err(TurnError::unsupported(path, "send the file inline, as `file_data`"))
        }
    }
}
