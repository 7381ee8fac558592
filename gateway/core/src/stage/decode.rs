//! What is asked: the routing fields, and as much of the body as its dialect needs.

use std::sync::Arc;

use bytes::Bytes;
use gateway_domain::{Dialect, Failure, FailureKind, ModelName, RequestId, SessionKey};
use gateway_protocol::calls::files_named;
use gateway_protocol::responses::{self, CallerKind, CodexBody, RequestError, Routing};
use gateway_protocol::translate::codec;
use gateway_protocol::turn::{self, Dropped, TurnError, TurnRequest};
use gateway_scheduler::{HardTie, RequestInfo, SoftTie, Surface, Tie, TieKey};
use http::HeaderMap;

use super::call::{self, Call};
use super::sealed;
use super::{Authenticated, Caller, Route};
use crate::ports::{BackendPath, Hops, Transport};

/// The gateways that a request passed, separated by commas.
pub const HOPS_HEADER: &str = "x-switchyard-hops";
/// The most gateways in a row.
pub const MAX_HOPS: usize = 8;
/// A body larger than this is read on a thread of its own: it would hold up other requests on this one.
pub const INLINE_DECODE_BYTES: usize = 512 * 1024;

/// Uploaded files that one request may name; further ones tie it to nobody.
const MAX_FILES_NAMED: usize = 16;

/// How Codex clients name themselves, in `user-agent` or `originator` (facts: codex-lb 1.2.2, clients 2.2).
const CODEX_NAMES: &[&str] = &["codex_", "codex-tui", "codex desktop", "codex "];

/// Headers that name a conversation, in the order they are believed (facts: clients 6, codex-lb 3.3).
const SESSION_HEADERS: &[&str] = &[
    "session-id",
    "session_id",
    "x-session-affinity",
    "x-session-id",
    "x-codex-session-id",
    "x-codex-conversation-id",
];

/// A request that was understood.
#[derive(Debug)]
pub struct Decoded {
    pub(crate) id: RequestId,
    pub(crate) caller: Caller,
    pub(crate) route: Route,
    /// How its client speaks.
    pub(crate) transport: Transport,
    /// As they came; shared by all tries.
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) model: ModelName,
    pub(crate) session: Option<SessionKey>,
    /// Who wrote it decides what goes along upstream.
    pub(crate) kind: CallerKind,
    /// Whether the client reads events.
    pub(crate) wants_stream: bool,
    /// Size of the body as it came.
    pub(crate) body_bytes: usize,
    /// The body as it came, decompressed.
    pub(crate) body: Bytes,
    /// What it says.
    pub(crate) asked: Asked,
    /// The gateways it passed before this one.
    pub(crate) hops: Hops,
    /// What ties it to an account besides its session.
    pub(crate) ties: Vec<TieKey>,
    /// What a mapping wants of the account.
    pub(crate) wanted: Wanted,
    /// What a mapping wants the model to be called in the answer.
    pub(crate) reported: Option<String>,
}

/// What a mapping wants of the account; nothing unless one said so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Only accounts of this kind.
    pub(crate) provider: Option<String>,
    /// Only accounts of this group.
    pub(crate) group: Option<String>,
}

/// What a body says, read as far as its dialect's own upstreams need it.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Responses: only the routing fields were read, and the backend's body rules applied.
    Responses {
        /// The body for the Codex backend, or why it never takes it.
        for_codex: Result<CodexBody, RequestError>,
        /// The response that it goes on from.
        previous_response: Option<String>,
        /// The stored conversation that it adds to.
        conversation: Option<String>,
        /// Whether it adds to what the upstream keeps, or runs on by itself.
        lasting: bool,
    },
    /// Another dialect, read whole: most of the pool has to be asked in other words.
    Turn {
        /// In which dialect.
        dialect: Dialect,
        /// What.
        request: Box<TurnRequest>,
        /// What has no place in it.
        dropped: Dropped,
    },
    /// A call that is no turn: only what routing needs was read.
    Call {
        /// Which.
        call: Call,
        /// The backend's path, for routes that pass it on.
        backend: Option<BackendPath>,
    },
}

impl Asked {
    /// What the client speaks.
    pub(crate) const fn dialect(&self) -> Dialect {
        match self {
            Self::Responses { .. } | Self::Call { .. } => Dialect::OpenAiResponses,
            Self::Turn { dialect, .. } => *dialect,
        }
    }
}

/// A body that was read.
struct Read {
    model: ModelName,
    stream: bool,
    session: Option<SessionKey>,
    asked: Asked,
}

/// Reads the routing fields, and what else the dialect needs.
///
/// # Errors
/// `InvalidRequest` with the member that is wrong; `GatewayLoop` for a request that was here before.
pub async fn decode(authenticated: Authenticated, instance: &str) -> Result<Decoded, Failure> {
    let Authenticated { caller, id, route, transport, headers, body, backend } = authenticated;
    let hops = hops(&headers, instance)?;
    let kind = if is_codex(&headers) { CallerKind::Codex } else { CallerKind::Foreign };
    let body_bytes = body.len();
    let form = call::content_type(&headers).map(str::to_owned);
    let reading = aside(&body, move |body| match route {
        Route::Call(call) => read_call(call, form.as_deref(), backend, body),
        _ => read(route.dialect(), body, kind),
    });
    let Read { model, stream, session, asked } = reading.await?;
    let session = session.or_else(|| session_from(&headers));
    let ties = ties(&caller, &asked, &headers, &body);
    let wants_stream = route == Route::CodexResponses || stream;
    Ok(Decoded {
        id,
        caller,
        route,
        transport,
        headers: Arc::new(headers),
        kind,
        model,
        session,
        wants_stream,
        body_bytes,
        body,
        asked,
        hops,
        ties,
        wanted: Wanted::default(),
        reported: None,
    })
}

impl Decoded {
    /// What policies, mappings and filters are told of it.
    pub(crate) fn info(&self, attempt: u32) -> RequestInfo {
        RequestInfo {
            request_id: self.id.clone(),
            client: self.caller.label().to_owned(),
            session: self.session.clone(),
            model: self.model.clone(),
            surface: match self.kind {
                CallerKind::Codex => Surface::Cli,
                CallerKind::Foreign => Surface::Api,
            },
            streaming: self.wants_stream,
            body_bytes: u32::try_from(self.body_bytes).unwrap_or(u32::MAX),
            attempt,
        }
    }

    /// The same request with another body, which a mapping or a filter made of its own. Who asks, in which
    /// conversation, and in which form the answer is to come stays as it was.
    pub(crate) async fn reread(&self, body: Bytes) -> Result<Self, Failure> {
        let (dialect, kind) = (self.route.dialect(), self.kind);
        let form = call::content_type(&self.headers).map(str::to_owned);
        let known = match &self.asked {
            Asked::Call { call, backend } => Some((*call, backend.clone())),
            Asked::Responses { .. } | Asked::Turn { .. } => None,
        };
        let reading = aside(&body, move |body| match known {
            Some((call, backend)) => read_call(call, form.as_deref(), backend, body),
            None => read(dialect, body, kind),
        });
        let Read { model, asked, .. } = reading.await?;
        Ok(Self {
            id: self.id.clone(),
            caller: self.caller.clone(),
            route: self.route,
            transport: self.transport,
            headers: self.headers.clone(),
            kind: self.kind,
            model,
            session: self.session.clone(),
            wants_stream: self.wants_stream,
            body_bytes: body.len(),
            body,
            asked,
            hops: self.hops.clone(),
            ties: self.ties.clone(),
            wanted: self.wanted.clone(),
            reported: self.reported.clone(),
        })
    }
}

/// A large body is read on a thread of its own.
async fn aside(
    body: &Bytes,
    reading: impl FnOnce(&Bytes) -> Result<Read, Failure> + Send + 'static,
) -> Result<Read, Failure> {
    if body.len() <= INLINE_DECODE_BYTES {
        return reading(body);
    }
    let body = body.clone();
    tokio::task::spawn_blocking(move || reading(&body))
        .await
        .map_err(|_| Failure::gateway(FailureKind::Internal, "reading the body failed"))?
}

fn read(dialect: Dialect, body: &Bytes, caller: CallerKind) -> Result<Read, Failure> {
    if dialect == Dialect::OpenAiResponses {
        let responses::Decoded { routing, for_codex } =
            responses::decode(body.clone(), caller).map_err(|error| invalid(&error))?;
        let Routing { model, stream, session, previous_response, conversation, lasting } = routing;
        let asked = Asked::Responses { for_codex, previous_response, conversation, lasting };
        return Ok(Read { model, stream, session, asked });
    }
    let turn::Decoded { request, dropped } =
        codec(dialect).decode_request(body).map_err(|error| bad_turn(&error))?;
    let model = ModelName::parse(&request.model).map_err(|error| {
        Failure::client(FailureKind::InvalidRequest, format!("`model`: {error}")).param("model")
    })?;
    // Anthropic clients put the conversation into `metadata.user_id`.
    let session = request.prompt_cache_key.as_deref().or(request.user.as_deref());
    let session = session.and_then(|key| SessionKey::parse(key).ok());
    let stream = request.stream;
    Ok(Read { model, stream, session, asked: Asked::Turn { dialect, request: Box::new(request), dropped } })
}

fn read_call(
    call: Call,
    content_type: Option<&str>,
    backend: Option<BackendPath>,
    body: &Bytes,
) -> Result<Read, Failure> {
    let (model, stream) = call::read(call, content_type, body).map_err(|error| invalid(&error))?;
    Ok(Read { model, stream, session: None, asked: Asked::Call { call, backend } })
}

/// What ties a request to the account that made something of it.
fn ties(caller: &Caller, asked: &Asked, headers: &HeaderMap, body: &Bytes) -> Vec<TieKey> {
    let hard = |tie, value: Option<&str>| TieKey::new(Tie::Hard(tie), caller.label(), value?);
    let soft = |tie, value: Option<&str>| TieKey::new(Tie::Soft(tie), caller.label(), value?);
    let thread = headers.get("thread-id").and_then(|value| value.to_str().ok());
    let (previous, conversation, files) = match asked {
        Asked::Responses { previous_response, conversation, .. } => {
            (previous_response.as_deref(), conversation.as_deref(), files_named(body, MAX_FILES_NAMED))
        }
        Asked::Call { backend, .. } => {
            (None, None, backend.iter().filter_map(|path| path.file.clone()).collect())
        }
        Asked::Turn { .. } => (None, None, Vec::new()),
    };
    let files = files.iter().map(|file| hard(HardTie::File, Some(file)));
    let named = [
        soft(SoftTie::Thread, thread),
        hard(HardTie::Response, previous),
        hard(HardTie::Conversation, conversation),
    ];
    // The last ones are looked at when there are too many.
    let mut ties = sealed::ties(caller.label(), asked, headers, body);
    ties.extend(files.flatten());
    ties.extend(named.into_iter().flatten());
    ties
}

/// The failure that a malformed turn is.
#[must_use]
pub fn bad_turn(error: &TurnError) -> Failure {
    Failure::client(FailureKind::InvalidRequest, error.to_string()).answered(gateway_domain::Answer {
        status: 400,
        code: None,
        param: error.param().map(str::to_owned),
    })
}

/// The gateways that passed this request on, ours put last. A request that comes back to where it was would go round
/// for ever.
fn hops(headers: &HeaderMap, instance: &str) -> Result<Hops, Failure> {
    let Some(passed) = headers.get(HOPS_HEADER).and_then(|value| value.to_str().ok()) else {
        return Ok(Hops::default());
    };
    let passed: Vec<String> = passed.split(',').map(|hop| hop.trim().to_owned()).collect();
    if passed.len() >= MAX_HOPS || passed.iter().any(|hop| hop == instance) {
        return Err(Failure::client(
            FailureKind::GatewayLoop,
            "this request already passed this gateway; an account of kind `gateway` leads back to it",
        ));
    }
    Ok(Hops(passed))
}

pub(super) fn invalid(error: &RequestError) -> Failure {
    let failure = Failure::client(FailureKind::InvalidRequest, error.to_string());
    match error.param() {
        Some(param) => failure.param(param),
        None => failure,
    }
}

/// Whether a Codex client is calling: it writes what its backend takes, so nothing is added.
#[must_use]
pub fn is_codex(headers: &HeaderMap) -> bool {
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
