//! Responses over WebSocket, as server: the upgrade. Refuses whoever may not call before anything is upgraded, so that a
//! refusal is an HTTP answer; the one that sends a client to HTTP at once is 426.

mod frames;
mod kept;
mod session;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use gateway_core::stage::{Route, identify};
use gateway_domain::{Failure, FailureKind, RequestId};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::peer::peer_of;
use crate::{AppState, rescue};

/// The only version there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// A key is 16 bytes in Base64.
const KEY_CHARS: usize = 24;

/// `GET /v1/responses`.
pub(crate) async fn responses(State(state): State<AppState>, request: Request) -> Response {
    upgrade(state, Route::Responses, request).await
}

/// `GET /backend-api/codex/responses`.
pub(crate) async fn codex(State(state): State<AppState>, request: Request) -> Response {
    upgrade(state, Route::CodexResponses, request).await
}

async fn upgrade(state: AppState, route: Route, mut request: Request) -> Response {
    if !names(request.headers(), UPGRADE, "websocket") {
        return rescue::method_not_allowed(state, request).await;
    }
    let (id, started) = (RequestId::generate(), Instant::now());
    let peer = peer_of(&request);
    let refuse = |failure: &Failure| super::turns::refuse_unread(&state, route, failure, &id, started);
    if let Err(failure) = identify(&state.gateway.keys(), peer, request.headers()) {
        return refuse(&failure);
    }
    if state.gateway.stopping().is_cancelled() {
        let message = "the gateway is going down; connect again";
        return refuse(&Failure::gateway(FailureKind::ShuttingDown, message));
    }
    let Some(place) = state.sockets.place() else {
        let message = "this gateway speaks HTTP with server-sent events here; send the request with POST";
        return refuse(&Failure::client(FailureKind::NoWebSocket, message));
    };
    let (upgrade, accept) = match handshake(&mut request) {
        Ok(agreed) => agreed,
        Err(failure) => {
            let mut response = refuse(&failure);
            response.headers_mut().insert(SEC_WEBSOCKET_VERSION, VERSION);
            return response;
        }
    };
    let headers = std::mem::take(request.headers_mut());
    let caller = session::Caller { route, peer, headers: about_turns(headers) };
    state.sockets.run(session::serve(state.clone(), caller, upgrade, place));
    switched(accept, &id)
}

/// What both sides need for an upgrade.
fn handshake(request: &mut Request) -> Result<(OnUpgrade, HeaderValue), Failure> {
    let refused = |kind, why: &str| Failure::client(kind, why);
    let headers = request.headers();
    if headers.get(SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        return Err(refused(FailureKind::NoWebSocket, "`sec-websocket-version` must be 13"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == KEY_CHARS);
    let (Some(key), true) = (key, names(headers, CONNECTION, "upgrade")) else {
        let why = "an upgrade needs `connection: upgrade` and a `sec-websocket-key` of 16 bytes";
        return Err(refused(FailureKind::InvalidRequest, why));
    };
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|_| refused(FailureKind::InvalidRequest, "`sec-websocket-key` is not Base64"))?;
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| {
        refused(
            FailureKind::NoWebSocket,
            "a WebSocket needs a connection of HTTP/1.1; send the request with POST",
        )
    })?;
    Ok((upgrade, accept))
}

fn switched(accept: HeaderValue, id: &RequestId) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Ok(id) = HeaderValue::try_from(id.as_str()) {
        headers.insert(rescue::REQUEST_ID, id);
    }
    response
}

/// Whether a header that is a list names a word.
fn names(headers: &HeaderMap, name: http::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|list| list.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
}

/// The headers of the upgrade that its turns share: what is about the socket itself does not go along.
fn about_turns(mut headers: HeaderMap) -> HeaderMap {
    const BETA: &str = "openai-beta";
    let tokens: Vec<String> = headers
        .get_all(BETA)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty() && !token.starts_with("responses_websockets="))
        .collect();
    headers.remove(BETA);
    if let Some(value) = Some(tokens.join(", ")).filter(|list| !list.is_empty())
        && let Ok(value) = HeaderValue::try_from(value)
    {
        headers.insert(BETA, value);
    }
    for name in [UPGRADE, CONNECTION, http::header::SEC_WEBSOCKET_EXTENSIONS] {
        headers.remove(name);
    }
    headers.remove(SEC_WEBSOCKET_KEY);
    headers.remove(SEC_WEBSOCKET_VERSION);
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_do_not_carry_what_is_about_the_socket() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-key", "k"),
            ("openai-beta", "responses_websockets=2026-02-06, other=1"),
            ("session-id", "s"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        assert!(names(&headers, CONNECTION, "upgrade") && names(&headers, UPGRADE, "websocket"));
        assert!(!names(&headers, CONNECTION, "grade"));
        let left = about_turns(headers);
        let mut left: Vec<_> =
            left.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(left, [("openai-beta", "other=1"), ("session-id", "s")]);
    }
}
