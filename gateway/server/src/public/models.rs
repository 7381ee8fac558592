//! The model list, in the shape of who asks.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use gateway_core::stage::identify;
use gateway_domain::{Dialect, Failure};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use crate::peer::peer_of;
use crate::{AppState, rescue};

/// `GET /v1/models`: the public list; Codex asks with `?client_version=` and gets its catalogue.
pub(crate) async fn by_caller(State(state): State<AppState>, request: Request) -> Response {
    let asks_as_codex = request.uri().query().is_some_and(|query| query.contains("client_version="));
    answer(allowed(&state, &request).map(|()| {
        let catalogue = state.gateway.catalogue();
        if asks_as_codex { catalogue.for_codex() } else { catalogue.for_openai() }
    }))
}

/// `GET /backend-api/codex/models`.
pub(crate) async fn codex(State(state): State<AppState>, request: Request) -> Response {
    answer(allowed(&state, &request).map(|()| state.gateway.catalogue().for_codex()))
}

fn allowed(state: &AppState, request: &Request) -> Result<(), Failure> {
    identify(&state.gateway.keys(), peer_of(request), request.headers()).map(drop)
}

fn answer(list: Result<Bytes, Failure>) -> Response {
    match list {
        Ok(list) => {
            let mut response = Response::new(Body::from(list));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(failure) => rescue::answer(&failure, Dialect::OpenAiResponses, None),
    }
}
