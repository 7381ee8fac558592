//! Who may make an admin call: a signed-in browser, and only from our own pages, or the holder of an operator key.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gateway_api::CSRF_HEADER;
use gateway_core::operator_keys::OPERATOR_KEY_PREFIX;
use gateway_core::stage::hash_client_key;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, Method};

use super::error::Refusal;
use crate::AppState;

/// The cookie that holds the session's token.
pub(super) const SESSION_COOKIE: &str = "switchyard_session";

/// Lets signed-in callers and operators through.
pub(crate) async fn signed_in(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if let Some(key) = operator_key(request.headers()) {
        // Whoever shows a key is judged by it alone, whatever cookies came along.
        let Some(operator) = state.gateway.operator(&hash_client_key(key)).await else {
            return Refusal::unknown_key().into_response();
        };
        tell(&operator, &request);
        return next.run(request).await;
    }
    let open = session_token(request.headers())
        .is_some_and(|token| state.sessions.is_open(token, state.gateway.now()));
    if open { next.run(request).await } else { Refusal::signed_out().into_response() }
}

/// Lets changing calls through only with our header, which a page of another origin cannot set without being asked.
pub(crate) async fn same_origin(request: Request, next: Next) -> Response {
    // Another origin's page cannot set `Authorization` either.
    let keyed = operator_key(request.headers()).is_some();
    if reads(&request) || keyed || request.headers().contains_key(CSRF_HEADER) {
        return next.run(request).await;
    }
    Refusal::forbidden(format!("changing calls carry the header `{CSRF_HEADER}: 1`")).into_response()
}

fn reads(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

fn tell(operator: &str, request: &Request) {
    let (method, path) = (request.method(), request.uri().path());
    if reads(request) {
        tracing::debug!(operator, %method, path, "admin call");
    } else {
        tracing::info!(operator, %method, path, "admin call");
    }
}

/// The operator key that a caller shows, whether it is valid or not.
pub(super) fn operator_key(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && key.starts_with(OPERATOR_KEY_PREFIX)).then_some(key)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_that_looks_like_an_operator_key_is_one() {
        for (value, key) in [
            ("Bearer sk-sy-op-abc", Some("sk-sy-op-abc")),
            ("bearer  sk-sy-op-abc ", Some("sk-sy-op-abc")),
            ("Bearer sk-sy-abc", None),
            ("Basic sk-sy-op-abc", None),
            ("sk-sy-op-abc", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(operator_key(&headers), key, "{value}");
        }
        assert_eq!(operator_key(&HeaderMap::new()), None);
    }
}
