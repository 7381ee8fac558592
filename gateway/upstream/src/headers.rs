//! Which of the client's headers go along. A native client's own headers pass; for anybody else the gateway speaks for
//! itself. Credentials are the account's, the operator's headers win over all. Nothing is disguised.

use gateway_core::ports::{Continues, Destination, Endpoint, UpstreamRequest};
use gateway_domain::AccountKind;
use gateway_protocol::responses::CallerKind;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::anthropic;
use crate::gateway;

/// Between the client and us, or ours to set.
const DROPPED: &[&str] = &[
    "authorization",
    "x-api-key",
    "api-key",
    "cookie",
    "host",
    "content-encoding",
    "accept-encoding",
    "chatgpt-account-id",
    // They belong to the client's own key, not to the account's.
    "openai-organization",
    "openai-project",
    "forwarded",
    "x-real-ip",
    "true-client-ip",
    "via",
];
/// The same, by their beginnings.
const DROPPED_PREFIXES: &[&str] = &["proxy-", "x-forwarded-", "cf-", "sec-", "x-switchyard-"];
/// What frames a message on the wire is no operator's to set.
const FRAMING: &[&str] = &[
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
];
/// What any client of an API may say about the request itself.
const ABOUT_THE_REQUEST: &[&str] =
    &["openai-beta", "anthropic-beta", "anthropic-version", "idempotency-key", "x-client-request-id"];

const ACCOUNT_ID: HeaderName = HeaderName::from_static("chatgpt-account-id");
const ORIGINATOR: HeaderName = HeaderName::from_static("originator");
/// An opaque value that the upstream bound to the account which answered last.
const TURN_STATE: HeaderName = HeaderName::from_static(gateway_protocol::codex::TURN_STATE);
/// SDKs of OpenAI and Anthropic name themselves with this.
const SDK: HeaderName = HeaderName::from_static("x-stainless-lang");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// The body says which of both it will be.
const EITHER: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// Headers that are added to a client's own, at most.
const ROOM_FOR_OURS: usize = 6;

/// How the gateway names itself.
const OUR_NAME: HeaderValue = HeaderValue::from_static("switchyard");
const OUR_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("switchyard/", env!("CARGO_PKG_VERSION")));

/// A credential that cannot be a header value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the account's token or workspace id cannot be sent in a header; import the account again")]
pub struct BadCredential;

/// The headers of one client request.
pub(crate) fn for_turn(request: &UpstreamRequest) -> Result<HeaderMap, BadCredential> {
    let client = &*request.headers;
    let is_form =
        matches!(request.endpoint, Endpoint::ImageEdits | Endpoint::Transcriptions | Endpoint::Backend);
    // A form's boundary stands in its type, and some clients send these as JSON.
    let content_type = is_form.then(|| client.get(CONTENT_TYPE).cloned()).flatten();
    let kind = request.to.kind;
    let mut headers = if kind == AccountKind::Codex && request.endpoint == Endpoint::Transcriptions {
        for_transcription(client, request.caller)
    } else {
        let mut headers = match whose(kind, request.caller, client) {
            Voice::Clients => passed_on(client, request.continues),
            Voice::Ours => in_our_name(kind, client),
        };
        headers.insert(ACCEPT, accept(kind, request.endpoint));
        headers
    };
    if request.body.is_empty() && content_type.is_none() && request.endpoint == Endpoint::Backend {
        // A question has no body, so none is named.
        headers.remove(CONTENT_TYPE);
    } else {
        headers.insert(CONTENT_TYPE, content_type.unwrap_or(JSON));
    }
    if kind == AccountKind::Gateway {
        gateway::tell_hops(&request.hops, &mut headers);
    }
    finish(&mut headers, &request.to, request.access_token.expose())?;
    Ok(headers)
}

/// The headers of a small question that is ours, not a client's.
pub(crate) fn for_question(to: &Destination, key: &str) -> Result<HeaderMap, BadCredential> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(ACCEPT, JSON);
    headers.insert(USER_AGENT, OUR_USER_AGENT);
    finish(&mut headers, to, key)?;
    Ok(headers)
}

/// The headers of a question that belongs to no account.
pub(crate) fn for_nobody() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(ACCEPT, JSON);
    headers.insert(USER_AGENT, OUR_USER_AGENT);
    headers
}

/// In whose name a request goes out.
enum Voice {
    /// The client speaks to its own kind of upstream: its headers pass.
    Clients,
    /// The body was written for another upstream, so the gateway speaks.
    Ours,
}

fn whose(kind: AccountKind, caller: CallerKind, client: &HeaderMap) -> Voice {
    let speaks_messages = client.contains_key(anthropic::VERSION_HEADER);
    let native = match kind {
        AccountKind::Codex => caller == CallerKind::Codex,
        AccountKind::OpenAi | AccountKind::OpenAiCompatible => {
            caller == CallerKind::Codex || (client.contains_key(SDK) && !speaks_messages)
        }
        AccountKind::Anthropic => speaks_messages,
        // The child decides about its own upstreams, from what the client really sent.
        AccountKind::Gateway => true,
    };
    if native { Voice::Clients } else { Voice::Ours }
}

fn in_our_name(kind: AccountKind, client: &HeaderMap) -> HeaderMap {
    let mut ours = HeaderMap::with_capacity(12);
    ours.insert(USER_AGENT, OUR_USER_AGENT);
    if kind == AccountKind::Codex {
        ours.insert(ORIGINATOR, OUR_NAME);
        return ours;
    }
    for name in ABOUT_THE_REQUEST {
        let of_another = match kind {
            AccountKind::Anthropic => name.starts_with("openai-"),
            AccountKind::OpenAi => name.starts_with("anthropic-"),
            _ => false,
        };
        if !of_another && let Some(value) = client.get(*name) {
            ours.insert(HeaderName::from_static(name), value.clone());
        }
    }
    ours
}

/// The edge in front of this endpoint refuses what it does not expect, so only the necessary goes there.
fn for_transcription(client: &HeaderMap, caller: CallerKind) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    if caller == CallerKind::Foreign {
        headers.insert(USER_AGENT, OUR_USER_AGENT);
        return headers;
    }
    for (name, value) in client {
        let text = name.as_str();
        if *name == USER_AGENT || text.starts_with("x-openai-") || text.starts_with("x-codex-") {
            headers.append(name, value.clone());
        }
    }
    headers.remove(TURN_STATE);
    headers
}

const fn accept(kind: AccountKind, endpoint: Endpoint) -> HeaderValue {
    match (kind, endpoint) {
        (AccountKind::Codex, Endpoint::Responses) => EVENT_STREAM,
        (_, Endpoint::Responses | Endpoint::ChatCompletions | Endpoint::Messages) => EITHER,
        (
            _,
            Endpoint::ImageGenerations | Endpoint::ImageEdits | Endpoint::Transcriptions | Endpoint::Backend,
        ) => EITHER,
        (_, Endpoint::Compact | Endpoint::CountTokens | Endpoint::Embeddings) => JSON,
    }
}

/// The account's credentials, and then what the operator wants.
fn finish(headers: &mut HeaderMap, to: &Destination, key: &str) -> Result<(), BadCredential> {
    match to.kind {
        AccountKind::Anthropic => {
            headers.entry(anthropic::VERSION_HEADER).or_insert(anthropic::VERSION);
            if !key.is_empty() {
                headers.insert(anthropic::API_KEY, secret(key.to_owned())?);
            }
        }
        // Some servers take no key; an empty one would be refused by those that look.
        _ if key.is_empty() => {}
        _ => {
            headers.insert(AUTHORIZATION, secret(format!("Bearer {key}"))?);
        }
    }
    if to.kind == AccountKind::Codex
        && let Some(workspace_id) = to.workspace_id.as_deref()
    {
        headers.insert(ACCOUNT_ID, HeaderValue::try_from(workspace_id).map_err(|_| BadCredential)?);
    }
    for (name, value) in &to.headers {
        if !FRAMING.contains(&name.as_str()) {
            headers.insert(name, value.clone());
        }
    }
    Ok(())
}

fn secret(text: String) -> Result<HeaderValue, BadCredential> {
    let mut value = HeaderValue::try_from(text).map_err(|_| BadCredential)?;
    value.set_sensitive(true);
    Ok(value)
}

fn passed_on(client: &HeaderMap, continues: Continues) -> HeaderMap {
    // What the client's own connection is about, named by the client.
    let of_the_connection: Vec<&str> = client
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(',').map(str::trim))
        .collect();
    let passes = |name: &HeaderName| {
        let text = name.as_str();
        !(DROPPED.contains(&text)
            || FRAMING.contains(&text)
            || DROPPED_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
            || of_the_connection.iter().any(|named| text.eq_ignore_ascii_case(named))
            || (continues == Continues::Anew && *name == TURN_STATE))
    };
    let mut headers = HeaderMap::with_capacity(client.len() + ROOM_FOR_OURS);
    for (name, value) in client.iter().filter(|(name, _)| passes(name)) {
        headers.append(name, value.clone());
    }
    // A client without a name is no reason to have none.
    headers.entry(USER_AGENT).or_insert(OUR_USER_AGENT);
    headers
}

#[cfg(test)]
mod tests;
