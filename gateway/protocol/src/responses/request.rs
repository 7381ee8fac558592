//! A Responses request: the fields that routing needs, and the body rules of the Codex backend.
//!
//! The rules change only what the backend refuses; a body that already fits leaves as the bytes it came in.

use std::borrow::Cow;

use bytes::Bytes;
use gateway_domain::{ModelName, SessionKey};
use serde::Deserialize;

use super::socket::message_of;
use crate::json::{Members, kind_of, text_of};

/// Members that the Codex backend answers with 400, though the public API takes them
/// (facts: codex-lb 1.3, codex2api 1.5).
const REFUSED_MEMBERS: &[&str] = &[
    "max_output_tokens",
    "max_tokens",
    "max_completion_tokens",
    "max_tool_calls",
    "temperature",
    "top_p",
    "top_logprobs",
    "logprobs",
    "frequency_penalty",
    "presence_penalty",
    "n",
    "seed",
    "stop",
    "logit_bias",
    "response_format",
    "stream_options",
    "metadata",
    "user",
    "truncation",
    "context_management",
    "safety_identifier",
    "prompt_cache_retention",
    "prompt_cache_options",
    "background",
];

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not a JSON object.
    #[error("the body is not a JSON object: {0}")]
    NotJson(String),
    /// Not the form that the route takes.
    #[error("the body is not a form: {0}")]
    NotAForm(String),
    /// A member that must be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member has a value of the wrong type.
    #[error("`{member}` must be {wanted}, not {got}")]
    WrongType {
        /// Which.
        member: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        got: &'static str,
    },
    /// A member's text is not acceptable.
    #[error("`{member}`: {why}")]
    Invalid {
        /// Which.
        member: &'static str,
        /// Why.
        why: String,
    },
    /// The upstream stores nothing, so there is nothing to continue from.
    #[error("`previous_response_id` is not known here; send the whole conversation in `input`")]
    PreviousResponse,
    /// A mode that no account offers.
    #[error("`background: true` is not offered; leave it out")]
    Background,
}

impl RequestError {
    /// The member it is about, for the error body.
    #[must_use]
    pub const fn param(&self) -> Option<&'static str> {
        match self {
            Self::NotJson(_) | Self::NotAForm(_) => None,
            Self::Missing(member) | Self::WrongType { member, .. } | Self::Invalid { member, .. } => {
                Some(member)
            }
            Self::PreviousResponse => Some("previous_response_id"),
            Self::Background => Some("background"),
        }
    }
}

/// The fields that routing needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// The model asked for.
    pub model: ModelName,
    /// Whether the client wants events.
    pub stream: bool,
    /// `prompt_cache_key`, if it is one we can use.
    pub session: Option<SessionKey>,
    /// `previous_response_id`: only the account that made it can go on from it.
    pub previous_response: Option<String>,
    /// `conversation`: only the account that keeps it can go on with it.
    pub conversation: Option<String>,
    /// Whether it adds to a stored conversation or runs in the background: sent twice, it is done twice.
    pub lasting: bool,
}

/// Who is calling decides which rules apply: Codex writes exactly what its backend takes, newer than we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    /// A Codex client: nothing is added.
    Codex,
    /// Any other client: what the backend demands is filled in.
    Foreign,
}

/// A request that was understood.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// For routing.
    pub routing: Routing,
    /// The body as the Codex backend takes it, or why it never would. Other upstreams get the body as it came.
    pub for_codex: Result<CodexBody, RequestError>,
}

/// A body that fits the Codex backend.
#[derive(Debug, Clone)]
pub struct CodexBody {
    /// The very bytes that came in when no rule applied.
    pub body: Bytes,
    /// The rules that changed something, for the decision record.
    pub edits: Vec<Cow<'static, str>>,
}

/// Reads a request and applies the body rules of the Codex backend.
///
/// # Errors
/// The body is not a Responses request; the error names the member and what it should be.
pub fn decode(body: Bytes, caller: CallerKind) -> Result<Decoded, RequestError> {
    let members = Members::read(&body).map_err(|error| RequestError::NotJson(error.to_string()))?;
    let routing = routing(&members)?;
    check(&members)?;
    let edited = codex_only(&members).and_then(|()| apply(members, caller));
    let for_codex = edited.map(|(edited, edits)| CodexBody { body: edited.map_or(body, Bytes::from), edits });
    Ok(Decoded { routing, for_codex })
}

fn routing(members: &Members<'_>) -> Result<Routing, RequestError> {
    let model = members.get("model").ok_or(RequestError::Missing("model"))?;
    let model = text_of(model).ok_or(RequestError::WrongType {
        member: "model",
        wanted: "a string",
        got: kind_of(model),
    })?;
    let model = ModelName::parse(&model)
        .map_err(|error| RequestError::Invalid { member: "model", why: error.to_string() })?;
    let stream = boolean(members, "stream")?.unwrap_or(false);
    let session =
        members.get("prompt_cache_key").and_then(text_of).and_then(|key| SessionKey::parse(&key).ok());
    let previous_response = members.get("previous_response_id").and_then(text_of);
    let stored = members.get("conversation").filter(|conversation| *conversation != "null");
    let lasting = boolean(members, "background")?.unwrap_or(false) || stored.is_some();
    let conversation = stored.and_then(conversation_id);
    Ok(Routing { model, stream, session, previous_response, conversation, lasting })
}

/// A conversation is named by its id, bare or in an object.
fn conversation_id(value: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: String,
    }
    text_of(value).or_else(|| serde_json::from_str(value).ok().map(|named: Named| named.id))
}

fn boolean(members: &Members<'_>, member: &'static str) -> Result<Option<bool>, RequestError> {
    match members.get(member) {
        None | Some("null") => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => Err(RequestError::WrongType { member, wanted: "true or false", got: kind_of(other) }),
    }
}

fn check(members: &Members<'_>) -> Result<(), RequestError> {
    boolean(members, "store")?;
    boolean(members, "background")?;
    let wrong =
        |member, wanted, value: &str| Err(RequestError::WrongType { member, wanted, got: kind_of(value) });
    match members.get("input") {
        None => return Err(RequestError::Missing("input")),
        Some(input) if !input.starts_with(['"', '[']) => {
            return wrong("input", "a string or an array", input);
        }
        Some(_) => {}
    }
    if let Some(tools) = members.get("tools").filter(|tools| !tools.starts_with('[') && *tools != "null") {
        return wrong("tools", "an array", tools);
    }
    match members.get("instructions") {
        Some(value) if !value.starts_with('"') && value != "null" => wrong("instructions", "a string", value),
        _ => Ok(()),
    }
}

/// What the public API offers and the Codex backend does not.
fn codex_only(members: &Members<'_>) -> Result<(), RequestError> {
    if boolean(members, "background")? == Some(true) {
        return Err(RequestError::Background);
    }
    if members.get("previous_response_id").is_some_and(|id| id != "null") {
        return Err(RequestError::PreviousResponse);
    }
    Ok(())
}

type Edited = (Option<Vec<u8>>, Vec<Cow<'static, str>>);

fn apply(mut members: Members<'_>, caller: CallerKind) -> Result<Edited, RequestError> {
    let mut edits: Vec<Cow<'static, str>> = Vec::new();
    for name in REFUSED_MEMBERS {
        if members.remove(name) {
            edits.push(Cow::Owned(format!("{name} left out")));
        }
    }
    // SDKs write what is not set as null; the backend refuses the member whatever it holds.
    for name in ["previous_response_id", "conversation"] {
        if members.get(name) == Some("null") && members.remove(name) {
            edits.push(Cow::Owned(format!("{name} left out")));
        }
    }
    if members.get("stream") != Some("true") {
        members.set("stream", "true");
        edits.push("stream on".into());
    }
    if members.get("store") != Some("false") {
        members.set("store", "false");
        edits.push("store off".into());
    }
    if let Some(text) = members.get("input").filter(|input| input.starts_with('"')) {
        let list = format!("[{}]", message_of(text));
        members.set("input", list);
        edits.push("input as list".into());
    }
    match members.get("service_tier").and_then(text_of).as_deref() {
        Some("fast") => {
            members.set("service_tier", r#""priority""#);
            edits.push("service_tier fast as priority".into());
        }
        Some("auto" | "default") => {
            members.remove("service_tier");
            edits.push("service_tier left out".into());
        }
        _ => {}
    }
    if caller == CallerKind::Foreign {
        foreign(&mut members, &mut edits)?;
    }
    let edited = (!edits.is_empty()).then(|| members.write());
    Ok((edited, edits))
}

/// What the backend demands of callers that are not Codex.
fn foreign(members: &mut Members<'_>, edits: &mut Vec<Cow<'static, str>>) -> Result<(), RequestError> {
    if members.get("instructions").is_none_or(|value| value == "null") {
        members.set("instructions", r#""""#);
        edits.push("instructions added".into());
    }
    if let Some(input) = members.get("input").and_then(system_as_developer).transpose()? {
        members.set("input", input);
        edits.push("role system as developer".into());
    }
    Ok(())
}

/// The backend refuses system messages in `input`; developer messages say the same. Only the role's own bytes
/// change. `None` when no item is concerned.
fn system_as_developer(input: &str) -> Option<Result<String, RequestError>> {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow, default)]
        role: Option<&'a serde_json::value::RawValue>,
    }
    // No item can have the role without the word; nearly every body stops here.
    memchr::memmem::find(input.as_bytes(), br#""system""#)?;
    let items: Vec<&serde_json::value::RawValue> = match serde_json::from_str(input) {
        Ok(items) => items,
        Err(error) => return Some(Err(RequestError::Invalid { member: "input", why: error.to_string() })),
    };
    let mut out = String::with_capacity(input.len() + 64);
    let mut copied = 0;
    for item in items {
        let Ok(Item { role: Some(role) }) = serde_json::from_str::<Item<'_>>(item.get()) else { continue };
        if role.get() != r#""system""# {
            continue;
        }
        // The raw value borrows from `input`, so the difference of the addresses is its place.
        let at = (role.get().as_ptr() as usize).checked_sub(input.as_ptr() as usize)?;
        out.push_str(input.get(copied..at)?);
        out.push_str(r#""developer""#);
        copied = at + role.get().len();
    }
    if copied == 0 {
        return None;
    }
    out.push_str(input.get(copied..)?);
    Some(Ok(out))
}

#[cfg(test)]
mod tests;
