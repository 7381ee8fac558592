//! Turns of every dialect: in from HTTP, through the pipeline, out as events or as one object.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::StreamExt;
use gateway_core::pipeline;
use gateway_core::ports::{BackendPath, Transport};
use gateway_core::stage::{Early, Received, Reply, ReplyBody, Route, identify};
use gateway_domain::{Failure, RequestId};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::time::Instant;

use super::patience::{Answering, COMMIT_AFTER, begun};
use crate::AppState;
use crate::body::{self, MAX_TURN_BYTES};
use crate::peer::peer_of;
use crate::rescue::{self, REQUEST_ID};

/// Headers of the upstream that clients read, by their beginnings (facts: clients 2.2).
const PASSED_PREFIXES: &[&str] = &["x-codex-", "openai-", "x-openai-"];
/// The same, whole.
const PASSED: &[&str] = &["x-models-etag", "x-reasoning-included"];

/// `POST /v1/responses`.
pub(crate) async fn responses(State(state): State<AppState>, request: Request) -> Response {
    turn(state, Route::Responses, request).await
}

/// `POST /backend-api/codex/responses`.
pub(crate) async fn codex(State(state): State<AppState>, request: Request) -> Response {
    turn(state, Route::CodexResponses, request).await
}

/// `POST /v1/chat/completions`.
pub(crate) async fn chat(State(state): State<AppState>, request: Request) -> Response {
    turn(state, Route::ChatCompletions, request).await
}

/// `POST /v1/messages`.
pub(crate) async fn messages(State(state): State<AppState>, request: Request) -> Response {
    turn(state, Route::Messages, request).await
}

/// On the heap at once: every layer around a route moves what it is given.
async fn turn(state: AppState, route: Route, request: Request) -> Response {
    Box::pin(run(state, route, None, request)).await
}

/// One request of any route through the pipeline.
pub(super) async fn run(
    state: AppState,
    route: Route,
    backend: Option<BackendPath>,
    mut request: Request,
) -> Response {
    let id = RequestId::generate();
    let (at, started) = (state.gateway.now(), Instant::now());
    let peer = peer_of(&request);
    // Asked again by the pipeline, which lets nobody else through; asked here as well so that a stranger's body is
    // not even read.
    if let Err(failure) = identify(&state.gateway.keys(), peer, request.headers()) {
        return refuse_unread(&state, route, &failure, &id, started);
    }
    let headers = take_headers(&mut request);
    let body = match body::read(request, limit_of(route)).await {
        Ok(body) => body,
        Err(failure) => return refuse_unread(&state, route, &failure, &id, started),
    };
    let early = Arc::<Early>::default();
    let received = Received {
        id: id.clone(),
        at,
        started,
        route,
        peer,
        transport: Transport::Http,
        headers,
        body,
        backend,
        early: early.clone(),
    };
    let gateway = state.gateway.clone();
    let mut answering: Answering = Box::pin(async move { pipeline::respond(&gateway, received).await });
    let answered = match tokio::time::timeout(COMMIT_AFTER, &mut answering).await {
        Ok(answered) => answered,
        Err(_) => match early.keep_alive() {
            Some(keep_alive) => {
                let mut response = begun(answering, route, &id, keep_alive);
                dress(response.headers_mut(), HeaderValue::from_static("text/event-stream"), &id);
                return response;
            }
            None => answering.await,
        },
    };
    match answered {
        Ok(reply) => answer(reply),
        Err(failure) => rescue::answer(&failure, route.dialect(), Some(&id)),
    }
}

/// A request's headers, which travel on without a copy.
pub(super) fn take_headers(request: &mut Request) -> HeaderMap {
    let headers = std::mem::take(request.headers_mut());
    // The body's reader needs these two.
    for name in [CONTENT_LENGTH, CONTENT_ENCODING] {
        if let Some(value) = headers.get(&name) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    headers
}

/// A request whose body could not be read never reaches the pipeline: it is counted and logged here.
pub(super) fn refuse_unread(
    state: &AppState,
    route: Route,
    failure: &Failure,
    id: &RequestId,
    started: Instant,
) -> Response {
    tracing::warn!(request = %id, kind = failure.kind.label(), origin = failure.origin.label(), why = failure.message, "request refused");
    state.metrics.refused(route.label(), failure, started.elapsed());
    rescue::answer(failure, route.dialect(), Some(id))
}

const fn limit_of(route: Route) -> usize {
    match route {
        Route::Call(call) => call.max_body_bytes(),
        _ => MAX_TURN_BYTES,
    }
}

fn answer(reply: Reply) -> Response {
    let mut status = StatusCode::OK;
    let json = || HeaderValue::from_static("application/json");
    let (kind, body) = match reply.body {
        ReplyBody::Stream(events) => (
            HeaderValue::from_static("text/event-stream"),
            Body::from_stream(events.map(Ok::<_, Infallible>)),
        ),
        ReplyBody::Whole(object) => (json(), Body::from(object)),
        ReplyBody::Passed(passed) => {
            status = StatusCode::from_u16(passed.status).unwrap_or(status);
            (reply.headers.get(CONTENT_TYPE).cloned().unwrap_or_else(json), Body::from(passed.body))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    *headers = passed_on(reply.headers);
    dress(headers, kind, &reply.id);
    response
}

fn dress(headers: &mut HeaderMap, kind: HeaderValue, id: &RequestId) {
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(id) = HeaderValue::try_from(id.as_str()) {
        headers.insert(rescue::ANTHROPIC_REQUEST_ID, id.clone());
        headers.insert(REQUEST_ID, id);
    }
}

/// What goes along of the upstream's headers, with room for ours.
fn passed_on(upstream: HeaderMap) -> HeaderMap {
    let passes = |name: &HeaderName| {
        let name = name.as_str();
        PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || PASSED.contains(&name)
    };
    let mut headers = HeaderMap::with_capacity(upstream.len() + 4);
    // None of these is a list: of one that is repeated the first counts, and only it comes with its name.
    for (name, value) in upstream {
        if let Some(name) = name.filter(passes) {
            headers.insert(name, value);
        }
    }
    headers
}
