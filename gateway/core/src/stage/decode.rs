//! What is asked: the routing fields, and the body as it will go out.

use std::borrow::Cow;

use bytes::Bytes;
use gateway_domain::{Failure, FailureKind, ModelName, RequestId, SessionKey};
use gateway_protocol::responses::{self, CallerKind, RequestError};
use http::HeaderMap;

use super::{Authenticated, Caller, Route};

/// A body larger than this is read on a thread of its own: it would hold up other requests on this one.
pub const INLINE_DECODE_BYTES: usize = 512 * 1024;

/// How Codex clients name themselves, in `user-agent` or `originator` (facts: codex-lb 1.2.2, clients 2.2).
const CODEX_NAMES: &[&str] = &["codex_", "codex-tui", "codex desktop", "codex "];

/// Headers that name a conversation, in the order they are believed (facts: clients 6).
const SESSION_HEADERS: &[&str] = &["session-id", "session_id", "x-session-affinity", "x-session-id"];

/// A request that was understood.
#[derive(Debug)]
pub struct Decoded {
    pub(crate) id: RequestId,
    pub(crate) caller: Caller,
    pub(crate) route: Route,
    pub(crate) headers: HeaderMap,
    pub(crate) model: ModelName,
    pub(crate) session: Option<SessionKey>,
    /// Who wrote it decides what goes along upstream.
    pub(crate) kind: CallerKind,
    /// Whether the client reads events.
    pub(crate) wants_stream: bool,
    /// Size of the body as it came.
    pub(crate) body_bytes: usize,
    /// The body as it goes out.
    pub(crate) body: Bytes,
    pub(crate) edits: Vec<Cow<'static, str>>,
}

/// Reads the routing fields and makes the body fit the backend.
///
/// # Errors
/// `InvalidRequest` with the member that is wrong.
pub async fn decode(authenticated: Authenticated) -> Result<Decoded, Failure> {
    let Authenticated { caller, id, route, headers, body } = authenticated;
    let kind = if is_codex(&headers) { CallerKind::Codex } else { CallerKind::Foreign };
    let body_bytes = body.len();
    let read = if body_bytes <= INLINE_DECODE_BYTES {
        responses::decode(body, kind)
    } else {
        tokio::task::spawn_blocking(move || responses::decode(body, kind))
            .await
            .map_err(|_| Failure::gateway(FailureKind::Internal, "reading the body failed"))?
    };
    let decoded = read.map_err(|error| invalid(&error))?;
    let session = decoded.routing.session.or_else(|| session_from(&headers));
    let wants_stream = route == Route::CodexResponses || decoded.routing.stream;
    Ok(Decoded {
        id,
        caller,
        route,
        headers,
        kind,
        model: decoded.routing.model,
        session,
        wants_stream,
        body_bytes,
        body: decoded.body,
        edits: decoded.edits,
    })
}

fn invalid(error: &RequestError) -> Failure {
    let failure = Failure::client(FailureKind::InvalidRequest, error.to_string());
    match error.param() {
        Some(param) => failure.param(param),
        None => failure,
    }
}

/// Whether a Codex client is calling: it writes what its backend takes, so nothing is added.
fn is_codex(headers: &HeaderMap) -> bool {
    ["originator", "user-agent"].into_iter().filter_map(|name| headers.get(name)?.to_str().ok()).any(
        |value| {
            let value = value.to_ascii_lowercase();
            CODEX_NAMES.iter().any(|name| value.starts_with(name))
        },
    )
}

fn session_from(headers: &HeaderMap) -> Option<SessionKey> {
    SESSION_HEADERS.iter().find_map(|name| SessionKey::parse(headers.get(*name)?.to_str().ok()?).ok())
}
