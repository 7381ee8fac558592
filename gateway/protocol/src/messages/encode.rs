//! A [`TurnRequest`] for an upstream of this dialect: the members around the conversation. The conversation itself is
//! put in order in [`conversation`], the shapes on the wire are in [`wire`].

mod conversation;
mod parts;
pub(super) mod wire;

use serde_json::value::RawValue;

use self::conversation::Conversation;
use self::wire::{Format, Metadata, OutputConfig, Raw, WireChoice, WireRequest, WireTool};
use super::thinking;
use crate::json::Members;
use crate::turn::{Dialect, Dropped, OutputFormat, Sampling, Tool, ToolChoice, TurnError, TurnRequest};

/// What a tool without parameters takes.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;
/// What stands for a mode that this dialect does not have.
const JSON_OBJECT: &str = "Answer with one JSON object and nothing else.";

/// Writes a body.
pub(super) fn encode(request: &TurnRequest, dropped: &mut Dropped) -> Result<Vec<u8>, TurnError> {
    if request.previous_response_id.is_some() {
        let why = "it keeps no earlier answers; send the whole conversation";
        return Err(TurnError::unsupported("previous_response_id", why));
    }
    let max_tokens =
        request.sampling.max_output_tokens.unwrap_or_else(|| thinking::default_max_tokens(&request.model));
    let mut conversation = Conversation::of(request, dropped)?;
    let format = format(request, &mut conversation, dropped);
    conversation.make_sendable(dropped)?;
    let plan = thinking::plan(request, max_tokens, conversation.resumes_tools(), dropped);
    let tools = tools(request, dropped);
    let mut body = WireRequest {
        model: &request.model,
        max_tokens,
        system: conversation.system,
        messages: conversation.messages,
        tool_choice: tool_choice(request, tools.is_empty(), dropped)?,
        tools,
        metadata: user_id(request).map(|user_id| Metadata { user_id }),
        service_tier: tier(request, dropped),
        stream: request.stream,
        ..WireRequest::default()
    };
    sampling(&request.sampling, plan.thinks(), &mut body, dropped);
    if plan.effort.is_some() || format.is_some() {
        body.output_config = Some(OutputConfig { effort: plan.effort, format });
    }
    body.thinking = plan.thinking;
    note_the_rest(request, dropped);
    serde_json::to_vec(&body).map_err(|error| TurnError::NotJson(error.to_string()))
}

fn user_id(request: &TurnRequest) -> Option<&str> {
    request.safety_identifier.as_deref().or(request.user.as_deref())
}

fn format<'a>(
    request: &'a TurnRequest,
    conversation: &mut Conversation<'a>,
    dropped: &mut Dropped,
) -> Option<Format<'a>> {
    match request.output.format.as_ref()? {
        OutputFormat::JsonSchema { schema, .. } => Some(Format { kind: "json_schema", schema }),
        OutputFormat::JsonObject => {
            dropped.note("json_object: no such mode; the model is told to write one instead");
            conversation.add_system(JSON_OBJECT);
            None
        }
    }
}

/// With thinking on, the API refuses every change of the sampling; it takes temperatures up to 1, and newer models not
/// together with `top_p`.
fn sampling<'a>(sampling: &'a Sampling, thinks: bool, body: &mut WireRequest<'a>, dropped: &mut Dropped) {
    if thinks {
        if sampling.temperature.is_some() || sampling.top_p.is_some() || sampling.top_k.is_some() {
            dropped.note("temperature, top_p, top_k: not together with thinking");
        }
    } else {
        if sampling.temperature.is_some_and(|temperature| temperature > 1.0) {
            dropped.note("temperature: lowered to 1, the most there is");
        }
        if sampling.temperature.is_some() && sampling.top_p.is_some() {
            dropped.note("top_p: not together with temperature");
        }
        body.temperature = sampling.temperature.map(|temperature| temperature.min(1.0));
        body.top_p = sampling.top_p.filter(|_| sampling.temperature.is_none());
        body.top_k = sampling.top_k;
    }
    let visible = |stop: &&str| !stop.trim().is_empty();
    body.stop_sequences = sampling.stop.iter().map(String::as_str).filter(visible).collect();
    if body.stop_sequences.len() < sampling.stop.len() {
        dropped.note("stop: texts of white space alone");
    }
    for (name, is_there) in [
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        ("top_logprobs", sampling.top_logprobs.is_some()),
    ] {
        if is_there {
            dropped.note(format!("{name}: no counterpart in anthropic-messages"));
        }
    }
}

fn tools<'a>(request: &'a TurnRequest, dropped: &mut Dropped) -> Vec<WireTool<'a>> {
    let mut tools = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        match tool {
            Tool::Function { name, description, parameters, strict, .. } => tools.push(WireTool::Client {
                name,
                description: description.as_deref(),
                input_schema: schema(parameters.as_deref()),
                strict: strict.filter(|strict| *strict),
            }),
            Tool::Hosted(hosted) if hosted.dialect == Dialect::AnthropicMessages => {
                tools.push(WireTool::Hosted(&hosted.raw));
            }
            Tool::Hosted(hosted) => {
                dropped.note(format!("tools: `{}`, which only its own provider runs", hosted.kind));
            }
            // Flattened before; one that is here has no way to be called.
            Tool::Custom { .. } => dropped.note("tools: custom tools are not known here"),
        }
    }
    tools
}

/// A schema that the API takes: an object that says so.
fn schema(parameters: Option<&RawValue>) -> Raw<'_> {
    let Some(raw) = parameters else { return Raw::text(NO_PARAMETERS) };
    match Members::read(raw.get().as_bytes()) {
        Err(_) => Raw::text(NO_PARAMETERS),
        Ok(members) if members.get("type") == Some(r#""object""#) => Raw::Borrowed(raw),
        Ok(mut members) => {
            members.set("type", r#""object""#);
            Raw::text(&String::from_utf8_lossy(&members.write()))
        }
    }
}

fn tool_choice<'a>(
    request: &'a TurnRequest,
    without_tools: bool,
    dropped: &mut Dropped,
) -> Result<Option<WireChoice<'a>>, TurnError> {
    let serial = (request.parallel_tool_calls == Some(false)).then_some(true);
    if let Some(ToolChoice::Opaque(choice)) = &request.tool_choice {
        if choice.dialect == Dialect::AnthropicMessages {
            return Ok(Some(WireChoice::Opaque(&choice.raw)));
        }
        let why = format!("`{}` is a choice of another provider; name a function", choice.kind);
        return Err(TurnError::unsupported("tool_choice", why));
    }
    if without_tools {
        if request.tool_choice.is_some() {
            dropped.note("tool_choice: there is no tool to choose");
        }
        return Ok(None);
    }
    let disable_parallel_tool_use = serial;
    Ok(match &request.tool_choice {
        None if serial.is_none() => None,
        None | Some(ToolChoice::Auto) => Some(WireChoice::Auto { disable_parallel_tool_use }),
        Some(ToolChoice::Required) => Some(WireChoice::Any { disable_parallel_tool_use }),
        Some(ToolChoice::Tool { name, .. }) => Some(WireChoice::Tool { name, disable_parallel_tool_use }),
        Some(ToolChoice::None | ToolChoice::Opaque(_)) => Some(WireChoice::None),
    })
}

fn tier(request: &TurnRequest, dropped: &mut Dropped) -> Option<&'static str> {
    match request.service_tier.as_deref()? {
        "auto" => Some("auto"),
        "default" => Some("standard_only"),
        _ => {
            dropped.note("service_tier: no counterpart in anthropic-messages");
            None
        }
    }
}

/// What has no counterpart and does not change the answer's meaning.
fn note_the_rest(request: &TurnRequest, dropped: &mut Dropped) {
    for (name, is_there) in [
        ("metadata", request.metadata.is_some()),
        ("prompt_cache_key", request.prompt_cache_key.is_some()),
        ("verbosity", request.output.verbosity.is_some()),
        ("store", request.store == Some(true)),
    ] {
        if is_there {
            dropped.note(format!("{name}: no counterpart in anthropic-messages"));
        }
    }
    for include in &request.include {
        if include != "reasoning.encrypted_content" {
            dropped.note("include: parts that anthropic-messages does not tell");
        }
    }
}
