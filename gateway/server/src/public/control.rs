//! What Codex and holders of a key ask about limits and accounts, answered with the pool's view: nobody sees one account
//! behind it, and no origin but this gateway's is named, so that no traffic passes it by.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gateway_core::stage::identify;
use gateway_domain::{Dialect, Failure, FailureKind};
use gateway_protocol::codex::{accounts_check_body, client_usage_body, usage_body};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HOST};

use crate::peer::peer_of;
use crate::{AppState, rescue};

/// How long the database may take to add up what a key used.
const LEDGER_TIME: Duration = Duration::from_secs(5);
/// The longest account id that is said back, in bytes.
const MAX_ACCOUNT_ID: usize = 256;
/// The longest name of this host that is believed, in bytes.
const MAX_HOST: usize = 255;

/// `GET /backend-api/wham/usage` and its other names: the limits that `/status` shows.
pub(crate) async fn pool_usage(State(state): State<AppState>, request: Request) -> Response {
    answer(allowed(&state, &request).map(|_| {
        let pool = state.gateway.pool_quota();
        usage_body(&pool.quota, pool.allowed, state.gateway.now())
    }))
}

/// `GET /backend-api/wham/accounts/check`: Codex does not work without it, and goes to the origin that it names.
pub(crate) async fn accounts_check(State(state): State<AppState>, request: Request) -> Response {
    answer(allowed(&state, &request).map(|_| {
        let headers = request.headers();
        let id = text(headers, "chatgpt-account-id").filter(|id| id.len() <= MAX_ACCOUNT_ID);
        let plan = state.gateway.pool_quota().quota.plan;
        accounts_check_body(id.unwrap_or("switchyard"), plan.as_deref(), own_origin(headers).as_deref())
    }))
}

/// `GET /v1/usage`: what the calling key used.
pub(crate) async fn own_usage(State(state): State<AppState>, request: Request) -> Response {
    let caller = match allowed(&state, &request) {
        Ok(caller) => caller,
        Err(failure) => return answer(Err(failure)),
    };
    let summing = tokio::time::timeout(LEDGER_TIME, state.gateway.usage_of_client(&caller));
    let summed = summing.await.ok().and_then(Result::ok);
    answer(summed.map_or_else(
        || {
            Err(Failure::gateway(
                FailureKind::Overloaded,
                "the ledger does not answer; try again in a moment",
            ))
        },
        |used| {
            Ok(client_usage_body(
                used.requests,
                used.tokens,
                &state.gateway.pool_quota().quota,
                state.gateway.now(),
            ))
        },
    ))
}

/// The label of the caller.
fn allowed(state: &AppState, request: &Request) -> Result<String, Failure> {
    let caller = identify(&state.gateway.keys(), peer_of(request), request.headers())?;
    Ok(caller.label().to_owned())
}

/// The origin at which the caller reached us, when that was over TLS: Codex takes no other.
fn own_origin(headers: &HeaderMap) -> Option<String> {
    let is_tls =
        text(headers, "x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let host = text(headers, "x-forwarded-host").or_else(|| headers.get(HOST)?.to_str().ok())?;
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    let is_plain = !host.is_empty() && host.len() <= MAX_HOST && host.bytes().all(is_host);
    (is_tls && is_plain).then(|| format!("https://{host}"))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
}

fn answer(body: Result<Bytes, Failure>) -> Response {
    match body {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(failure) => rescue::answer(&failure, Dialect::OpenAiResponses, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_origin_over_tls_is_named() {
        let origin = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            });
            own_origin(&headers.collect())
        };
        let https = ("x-forwarded-proto", "https");
        assert_eq!(origin(&[("host", "gw.test"), https]).as_deref(), Some("https://gw.test"));
        assert_eq!(
            origin(&[("host", "inner:80"), ("x-forwarded-host", "gw.test:8443"), https]).as_deref(),
            Some("https://gw.test:8443")
        );
        for headers in [
            vec![("host", "gw.test")],
            vec![("host", "gw.test"), ("x-forwarded-proto", "http")],
            vec![("host", "gw.test/evil"), https],
            vec![("host", "a@b"), https],
            vec![https],
        ] {
            assert_eq!(origin(&headers), None, "{headers:?}");
        }
    }
}
