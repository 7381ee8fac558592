//! What the two OpenAI dialects share: the error object, structured output, allowed tools, sampling ranges.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::turn::{
    ErrorKind, ErrorReport, Json, OutputFormat, Tool, ToolChoice, ToolKind, TurnError, TurnRequest,
};

/// The error object: in a body under `error`, in `response.failed` under `response.error`.
#[derive(Deserialize, Default)]
pub(crate) struct WireError<'a> {
    #[serde(default)]
    message: Option<String>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(default, rename = "type")]
    type_name: Option<String>,
    #[serde(default)]
    param: Option<String>,
}

impl WireError<'_> {
    pub(crate) fn report(self, status: Option<u16>) -> ErrorReport {
        // Some servers write the status as a number here.
        let code = self.code.and_then(|code| match serde_json::from_str::<Value>(code.get()) {
            Ok(Value::String(code)) => Some(code),
            Ok(Value::Number(code)) => Some(code.to_string()),
            _ => None,
        });
        let kind = kind(status, code.as_deref(), self.type_name.as_deref());
        let message =
            self.message.unwrap_or_else(|| "the upstream told an error without a message".to_owned());
        ErrorReport { kind, message, code, type_name: self.type_name, param: self.param }
    }
}

/// A status says most; inside a stream there is only the code or the type.
fn kind(status: Option<u16>, code: Option<&str>, type_name: Option<&str>) -> ErrorKind {
    if let Some(status) = status {
        return ErrorKind::of_status(status);
    }
    let by_word = |word: &str| {
        Some(match word {
            "rate_limit_exceeded"
            | "rate_limit_error"
            | "usage_limit_reached"
            | "insufficient_quota"
            | "429" => ErrorKind::RateLimit,
            "server_is_overloaded" | "slow_down" | "overloaded_error" | "503" => ErrorKind::Overloaded,
            "context_length_exceeded"
            | "invalid_prompt"
            | "invalid_request_error"
            | "image_parse_error"
            | "400" => ErrorKind::InvalidRequest,
            "invalid_api_key" | "authentication_error" | "401" => ErrorKind::Authentication,
            "permission_error" | "403" => ErrorKind::Permission,
            "model_not_found" | "not_found_error" | "404" => ErrorKind::NotFound,
            "timeout" | "504" => ErrorKind::Timeout,
            _ => return None,
        })
    };
    code.and_then(by_word).or_else(|| type_name.and_then(by_word)).unwrap_or(ErrorKind::Server)
}

/// Reads `{"error":{..}}`, and the two looser shapes that servers of these dialects answer with: `{"error":"text"}`
/// and `{"detail":"text"}`.
pub(crate) fn decode_error(status: u16, body: &[u8]) -> ErrorReport {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow, default)]
        error: Option<&'a RawValue>,
        #[serde(borrow, default)]
        detail: Option<&'a RawValue>,
    }
    let plain = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
    let wire = serde_json::from_slice::<Wire<'_>>(body).ok();
    if let Some(Wire { error, detail }) = wire {
        if let Some(error) = error.and_then(|raw| serde_json::from_str::<WireError<'_>>(raw.get()).ok()) {
            return error.report(Some(status));
        }
        if let Some(message) = error.and_then(plain).or_else(|| detail.and_then(plain)) {
            return ErrorReport::new(ErrorKind::of_status(status), message);
        }
    }
    ErrorReport::new(ErrorKind::of_status(status), format!("the upstream answered {status}"))
}

/// Writes `{"error":{"message","type","code","param"}}`.
pub(crate) fn encode_error(report: &ErrorReport) -> Vec<u8> {
    json!({ "error": error_object(report) }).to_string().into_bytes()
}

/// The error object as OpenAI clients read it. A code is passed on whoever made it: codes are how clients tell a
/// full context from a full pool.
pub(crate) fn error_object(report: &ErrorReport) -> Value {
    let mut error = Map::new();
    error.insert("message".into(), report.message.as_str().into());
    error.insert("type".into(), type_name(report).into());
    error.insert("code".into(), code(report).into());
    error.insert("param".into(), report.param.as_deref().into());
    Value::Object(error)
}

/// The types of a plan that is used up.
const USED_UP: [&str; 3] = ["usage_limit_reached", "usage_not_included", "insufficient_quota"];

fn type_name(report: &ErrorReport) -> &str {
    match (report.kind, report.type_name.as_deref()) {
        // Codex tells a used-up plan by these types.
        (_, Some(own)) if USED_UP.contains(&own) => own,
        (ErrorKind::InvalidRequest | ErrorKind::NotFound | ErrorKind::TooLarge, _) => "invalid_request_error",
        (ErrorKind::Authentication, _) => "authentication_error",
        (ErrorKind::Permission, _) => "permission_error",
        (ErrorKind::RateLimit, _) => "rate_limit_error",
        (ErrorKind::Overloaded | ErrorKind::Timeout | ErrorKind::Server, _) => "server_error",
    }
}

/// The code; where a dialect without codes told the error, the one that OpenAI clients know for its kind.
pub(crate) fn code(report: &ErrorReport) -> Cow<'_, str> {
    if let Some(code) = &report.code {
        return code.as_str().into();
    }
    if let Some(own) = report.type_name.as_deref().filter(|own| USED_UP.contains(own)) {
        return own.into();
    }
    // The messages dialect says it in words alone.
    if report.kind == ErrorKind::InvalidRequest && report.message.contains("prompt is too long") {
        return "context_length_exceeded".into();
    }
    match report.kind {
        ErrorKind::InvalidRequest => "invalid_request_error",
        ErrorKind::Authentication => "invalid_api_key",
        ErrorKind::Permission => "permission_denied",
        ErrorKind::NotFound => "model_not_found",
        ErrorKind::TooLarge => "body_too_large",
        ErrorKind::RateLimit => "rate_limit_exceeded",
        ErrorKind::Overloaded => "server_is_overloaded",
        ErrorKind::Timeout => "upstream_timeout",
        ErrorKind::Server => "server_error",
    }
    .into()
}

/// The code inside a stream. Codex gives up on an overload told there and asks again after any other fault of the
/// server; the answer had begun, so asking again is right.
pub(crate) fn stream_code(report: &ErrorReport) -> Cow<'_, str> {
    if report.kind == ErrorKind::Overloaded { "server_error".into() } else { code(report) }
}

/// A schema for structured output: under `json_schema` in chat, flat in responses.
#[derive(Deserialize)]
pub(crate) struct WireSchema<'a> {
    name: Option<String>,
    description: Option<String>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    strict: Option<bool>,
}

impl WireSchema<'_> {
    /// `path` is where it stands.
    pub(crate) fn format(self, path: &str) -> Result<OutputFormat, TurnError> {
        let name = self.name.ok_or_else(|| TurnError::missing(format!("{path}.name")))?;
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_fit) {
            let why = "use 1 to 64 letters, digits, `_` or `-`";
            return Err(TurnError::invalid(format!("{path}.name"), why));
        }
        let schema = self.schema.ok_or_else(|| TurnError::missing(format!("{path}.schema")))?;
        if !schema.get().starts_with('{') {
            return Err(TurnError::invalid(format!("{path}.schema"), "must be an object"));
        }
        Ok(OutputFormat::JsonSchema {
            name: Some(name),
            description: self.description,
            schema: schema.to_owned(),
            strict: self.strict,
        })
    }
}

/// A schema as both dialects write it.
#[derive(Serialize)]
pub(crate) struct SchemaOut<'a> {
    pub(crate) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<&'a str>,
    pub(crate) schema: &'a Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strict: Option<bool>,
}

/// What these dialects say instead of a mark on a failed tool's output.
pub(crate) const TOOL_FAILED: &str = "[the tool failed]";

/// The name for a schema whose dialect has none; these dialects demand one.
pub(crate) const SCHEMA_NAME: &str = "output";

/// Keeps the allowed tools alone. The others could not be called anyway, so leaving them out says the same in every
/// dialect; only the prompt cache sees the difference.
pub(crate) fn keep_allowed(tools: &mut Vec<Tool>, allowed: &[String]) {
    tools.retain(|tool| {
        let name = match tool {
            Tool::Function { name, .. } | Tool::Custom { name, .. } => name,
            Tool::Hosted(hosted) => &hosted.kind,
        };
        allowed.contains(name)
    });
}

/// Reads a `tool_choice` of one word.
pub(crate) fn choice_mode(word: &str, path: &str) -> Result<ToolChoice, TurnError> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => Err(TurnError::invalid(path, "must be `auto`, `none` or `required`")),
    }
}

/// Writes `tool_choice` and `parallel_tool_calls`, which the API takes beside tools alone. `has_tools` is whether any
/// was written; `forced` is how the dialect names the one tool that must be called.
pub(crate) fn choices(
    request: &TurnRequest,
    has_tools: bool,
    dialect: &str,
    forced: fn(ToolKind, &str) -> Value,
) -> Result<(Option<Value>, Option<bool>), TurnError> {
    let choice = request.tool_choice.as_ref();
    if !has_tools {
        if matches!(choice, Some(ToolChoice::Required)) && !request.tools.is_empty() {
            let why = "none of the tools has a counterpart; use `auto`";
            return Err(TurnError::unsupported("tool_choice", why));
        }
        return Ok((None, None));
    }
    let word = match choice {
        None => None,
        Some(ToolChoice::Auto) => Some("auto".into()),
        Some(ToolChoice::None) => Some("none".into()),
        Some(ToolChoice::Required) => Some("required".into()),
        Some(ToolChoice::Tool { kind, name }) => Some(forced(*kind, name)),
        Some(ToolChoice::Opaque(choice)) => {
            let why = format!("`{}` cannot be forced over {dialect}; use `auto`", choice.kind);
            return Err(TurnError::unsupported("tool_choice", why));
        }
    };
    Ok((word, request.parallel_tool_calls))
}

/// An answer's id in the client's dialect: the upstream's own, under the prefix that clients expect.
pub(crate) fn answer_id(prefix: &str, upstream: &str, fallback: &str) -> String {
    format!("{prefix}{}", id_tail(upstream, fallback))
}

/// The part of an id that is its own, without the prefix of its dialect.
pub(crate) fn id_tail<'a>(upstream: &'a str, fallback: &'a str) -> &'a str {
    let id = if upstream.is_empty() { fallback } else { upstream };
    ["chatcmpl-", "resp_", "msg_", "gen-"].iter().find_map(|known| id.strip_prefix(known)).unwrap_or(id)
}

/// A name, present and not empty.
pub(crate) fn named(name: Option<String>, path: &str) -> Result<String, TurnError> {
    match name {
        Some(name) if name.is_empty() => Err(TurnError::invalid(path, "must not be empty")),
        Some(name) => Ok(name),
        None => Err(TurnError::missing(path)),
    }
}
