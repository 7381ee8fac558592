//! The model list, and single models, in the shape of who asks.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gateway_core::stage::identify;
use gateway_domain::{Dialect, Failure, FailureKind};
use gateway_protocol::models::Catalogue;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::peer::peer_of;
use crate::{AppState, rescue};

/// Every client of the Anthropic API sends it, and nobody else.
const ANTHROPIC_VERSION: &str = "anthropic-version";

/// `GET /v1/models`: the public list; Codex asks with `?client_version=` and gets its catalogue.
pub(crate) async fn by_caller(State(state): State<AppState>, request: Request) -> Response {
    let asks_as_codex = request.uri().query().is_some_and(|query| query.contains("client_version="));
    let dialect = dialect_of(request.headers());
    let list = shown(&state, &request).await.map(|catalogue| match dialect {
        Dialect::AnthropicMessages => catalogue.for_anthropic(),
        _ if asks_as_codex => catalogue.for_codex(),
        _ => catalogue.for_openai(),
    });
    answer(list, dialect)
}

/// `GET /v1/models/{id}`. Names of some servers hold slashes.
pub(crate) async fn one(State(state): State<AppState>, Path(id): Path<String>, request: Request) -> Response {
    let dialect = dialect_of(request.headers());
    let found = shown(&state, &request).await.and_then(|catalogue| {
        let model = match dialect {
            Dialect::AnthropicMessages => catalogue.one_for_anthropic(&id),
            _ => catalogue.one_for_openai(&id),
        };
        model.ok_or_else(unknown)
    });
    answer(found, dialect)
}

/// `GET /backend-api/codex/models`.
pub(crate) async fn codex(State(state): State<AppState>, request: Request) -> Response {
    let list = shown(&state, &request).await.map(|catalogue| catalogue.for_codex());
    answer(list, Dialect::OpenAiResponses)
}

fn dialect_of(headers: &HeaderMap) -> Dialect {
    if headers.contains_key(ANTHROPIC_VERSION) {
        Dialect::AnthropicMessages
    } else {
        Dialect::OpenAiResponses
    }
}

/// The name is not repeated: it is the caller's text.
fn unknown() -> Failure {
    let mut failure =
        Failure::gateway(FailureKind::UnknownModel, "there is no such model; GET /v1/models lists all");
    failure.param = Some("model");
    failure
}

/// What the caller is shown. The future does not hold the request, whose body nobody else may look at meanwhile.
fn shown(
    state: &AppState,
    request: &Request,
) -> impl Future<Output = Result<Arc<Catalogue>, Failure>> + use<> {
    let caller = identify(&state.gateway.keys(), peer_of(request), request.headers());
    let gateway = state.gateway.clone();
    async move { Ok(gateway.models_for(&caller?).await) }
}

fn answer(list: Result<Bytes, Failure>, dialect: Dialect) -> Response {
    match list {
        Ok(list) => ([(CONTENT_TYPE, "application/json")], list).into_response(),
        Err(failure) => rescue::answer(&failure, dialect, None),
    }
}
