//! The one place where a failure becomes a status and a body in the client's dialect.

use std::any::Any;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use gateway_domain::{Dialect, Failure, FailureKind, RequestId};
use gateway_protocol::messages;
use gateway_protocol::responses::{error_body, whole_seconds};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::AppState;

/// The header that names the request in every answer.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The same for clients of the Anthropic API.
pub(crate) const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// The shape of errors where the route does not tell: most clients understand it.
const DEFAULT_DIALECT: Dialect = Dialect::OpenAiResponses;
/// How metrics call everything that is no route: the paths themselves are without bound.
const OTHER_ROUTES: &str = "other";
/// Seconds that a caller waits when nobody knows better: a 429 without this header ends a Codex turn at once.
const DEFAULT_RETRY_SECONDS: u64 = 5;
/// The longest wait that is told; two SDKs sleep for as long as they are told, however long.
const MAX_RETRY_SECONDS: u64 = 24 * 3600;

/// The table.
pub(crate) fn status_of(failure: &Failure) -> StatusCode {
    match failure.kind {
        FailureKind::InvalidRequest => StatusCode::BAD_REQUEST,
        FailureKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        FailureKind::Forbidden => StatusCode::FORBIDDEN,
        FailureKind::UnknownRoute | FailureKind::UnknownModel | FailureKind::ModelNotSupported => {
            StatusCode::NOT_FOUND
        }
        FailureKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        // The one status that makes Codex go on over HTTP at once; any other costs it seven attempts.
        FailureKind::NoWebSocket => StatusCode::UPGRADE_REQUIRED,
        FailureKind::GatewayLoop => StatusCode::LOOP_DETECTED,
        FailureKind::SlowRequest => StatusCode::REQUEST_TIMEOUT,
        FailureKind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FailureKind::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        FailureKind::RateLimited
        | FailureKind::QuotaExhausted
        | FailureKind::AllCooling
        | FailureKind::Saturated => StatusCode::TOO_MANY_REQUESTS,
        // The upstream found the request wrong, or an extension chose the status.
        FailureKind::Refused | FailureKind::ExtensionRefused => {
            let chosen = failure.answer.as_ref().and_then(|answer| StatusCode::from_u16(answer.status).ok());
            chosen.filter(|status| status.as_u16() >= 400).unwrap_or(StatusCode::BAD_REQUEST)
        }
        // The accounts' tokens are ours to mend: to the caller this is an outage, not a 401 to act on.
        FailureKind::NoAccount
        | FailureKind::AccountUnauthorized
        | FailureKind::Overloaded
        | FailureKind::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        FailureKind::UpstreamFault
        | FailureKind::Unreachable
        | FailureKind::StreamCut
        | FailureKind::Malformed => StatusCode::BAD_GATEWAY,
        FailureKind::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        FailureKind::ClientGone => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        FailureKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to a failed request of the public API.
pub(crate) fn answer(failure: &Failure, dialect: Dialect, id: Option<&RequestId>) -> Response {
    let status = status_of(failure);
    let body = match dialect {
        Dialect::OpenAiResponses | Dialect::OpenAiChat => error_body(failure),
        Dialect::AnthropicMessages => messages::error_body(failure, id.map(RequestId::as_str)),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(id) = id.and_then(|id| HeaderValue::try_from(id.as_str()).ok()) {
        headers.insert(ANTHROPIC_REQUEST_ID, id.clone());
        headers.insert(REQUEST_ID, id);
    }
    if let Some(seconds) = seconds_to_wait(failure, status) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// How long the caller is told to wait; a 429 always says it.
pub(crate) fn seconds_to_wait(failure: &Failure, status: StatusCode) -> Option<u64> {
    let wait = failure.retry_after.map(whole_seconds);
    (status == StatusCode::TOO_MANY_REQUESTS || wait.is_some())
        .then(|| wait.unwrap_or(DEFAULT_RETRY_SECONDS).clamp(1, MAX_RETRY_SECONDS))
}

/// The answer to a path that does not exist.
pub(crate) fn unknown_route(state: &AppState, request: &Request) -> Response {
    let message = format!("there is no {} {}", request.method(), request.uri().path());
    unrouted(state, &Failure::client(FailureKind::UnknownRoute, message), supposed_dialect(request))
}

/// The answer to a method that a route does not have.
pub(crate) async fn method_not_allowed(state: AppState, request: Request) -> Response {
    let message = format!("{} does not take {}", request.uri().path(), request.method());
    unrouted(&state, &Failure::client(FailureKind::MethodNotAllowed, message), supposed_dialect(&request))
}

/// What the caller of a route that is none speaks: clients of the Anthropic API say so, or ask below its path.
fn supposed_dialect(request: &Request) -> Dialect {
    let path = request.uri().path();
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let below = path.strip_prefix("/messages").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if below || request.headers().contains_key("anthropic-version") {
        Dialect::AnthropicMessages
    } else {
        DEFAULT_DIALECT
    }
}

/// No stage sees such a request, so it is counted and logged here.
fn unrouted(state: &AppState, failure: &Failure, dialect: Dialect) -> Response {
    tracing::info!(kind = failure.kind.label(), why = failure.message, "request refused");
    state.metrics.refused(OTHER_ROUTES, failure, Duration::ZERO);
    answer(failure, dialect, None)
}

/// The answer to a request whose handling panicked. What it said goes to the log only.
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let what =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(what = what.unwrap_or("unknown"), "a request's handling panicked; please report this");
    answer(
        &Failure::gateway(FailureKind::Internal, "something went wrong in the gateway"),
        DEFAULT_DIALECT,
        None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_429_always_carries_whole_seconds() {
        for (failure, seconds) in [
            (Failure::gateway(FailureKind::Saturated, "x"), "5"),
            (Failure::upstream(FailureKind::RateLimited, "x").after(Some(Duration::from_millis(1_200))), "2"),
            (Failure::upstream(FailureKind::RateLimited, "x").after(Some(Duration::ZERO)), "1"),
            (
                Failure::upstream(FailureKind::QuotaExhausted, "x")
                    .after(Some(Duration::from_secs(9_000_000))),
                "86400",
            ),
        ] {
            let response = answer(&failure, DEFAULT_DIALECT, None);
            assert_eq!(response.status(), 429);
            assert_eq!(response.headers()[RETRY_AFTER], seconds, "{failure}");
        }
    }

    #[test]
    fn the_upstreams_own_refusal_keeps_its_status() {
        let failure = Failure::upstream(FailureKind::Refused, "x").answered(gateway_domain::Answer {
            status: 422,
            code: None,
            param: None,
        });
        assert_eq!(status_of(&failure), 422);
        assert_eq!(status_of(&Failure::upstream(FailureKind::Refused, "x")), 400);
    }
}
