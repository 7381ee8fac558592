//! Who may make an admin call: a signed-in browser, and only from our own pages.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gateway_api::CSRF_HEADER;
use http::header::COOKIE;
use http::{HeaderMap, Method};

use super::error::Refusal;
use crate::AppState;

/// The cookie that holds the session's token.
pub(super) const SESSION_COOKIE: &str = "switchyard_session";

/// Lets signed-in callers through.
pub(crate) async fn signed_in(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let open = session_token(request.headers())
        .is_some_and(|token| state.sessions.is_open(token, state.gateway.now()));
    if open { next.run(request).await } else { Refusal::signed_out().into_response() }
}

/// Lets changing calls through only with our header, which a page of another origin cannot set without being asked.
pub(crate) async fn same_origin(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads || request.headers().contains_key(CSRF_HEADER) {
        return next.run(request).await;
    }
    Refusal::forbidden(format!("changing calls carry the header `{CSRF_HEADER}: 1`")).into_response()
}

/// The session's token in the cookies.
pub(super) fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(SESSION_COOKIE)?.strip_prefix('='))
}
