//! Errors as clients of this dialect read them: a JSON body before the stream, `response.failed` inside it.

use bytes::Bytes;
use gateway_domain::{Failure, FailureKind};
use serde_json::{Map, Value, json};

use crate::sse;

/// The error body: `{"error":{"message","type","code","param"}}`, with the reset time where there is one: Codex
/// shows it for `usage_limit_reached` (facts: clients 2.6).
#[must_use]
pub fn error_body(failure: &Failure) -> Bytes {
    Bytes::from(json!({ "error": error_object(failure) }).to_string())
}

/// The event that ends a started stream when the upstream cannot. `sequence_number` goes on from the last one seen.
#[must_use]
pub fn failed_event(failure: &Failure, response_id: &str, sequence_number: u64) -> Bytes {
    let payload = json!({
        "type": "response.failed",
        "sequence_number": sequence_number,
        "response": {
            "id": response_id,
            "object": "response",
            "status": "failed",
            "output": [],
            "error": error_object(failure),
        },
    });
    sse::event("response.failed", payload.to_string().as_bytes())
}

pub(super) fn error_object(failure: &Failure) -> Value {
    let mut error = Map::new();
    error.insert("message".into(), failure.message.as_str().into());
    error.insert("type".into(), error_type(failure).into());
    error.insert("code".into(), error_code(failure).into());
    let named = failure.param.or_else(|| failure.answer.as_ref()?.param.as_deref());
    let param = named.or_else(|| is_about_model(failure.kind).then_some("model"));
    error.insert("param".into(), param.into());
    if let Some(at) = failure.resets_at {
        error.insert("resets_at".into(), at.as_secs().into());
    }
    if let Some(wait) = failure.retry_after {
        error.insert("resets_in_seconds".into(), whole_seconds(wait).into());
    }
    Value::Object(error)
}

/// Whole seconds, rounded up: a client that comes back early is refused again.
#[must_use]
pub fn whole_seconds(wait: std::time::Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The upstream's own code is kept, clients know it; so is an extension's. Ours otherwise.
pub(crate) fn error_code(failure: &Failure) -> &str {
    match (&failure.answer, failure.kind) {
        (Some(answer), FailureKind::Refused | FailureKind::ExtensionRefused) => {
            answer.code.as_deref().unwrap_or("invalid_request_error")
        }
        // Whether nobody or only no account here has the model: clients know one code for both.
        (_, kind) if is_about_model(kind) => FailureKind::UnknownModel.label(),
        _ => failure.kind.label(),
    }
}

const fn is_about_model(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::UnknownModel | FailureKind::ModelNotSupported)
}

pub(crate) fn error_type(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::InvalidRequest
        | FailureKind::UnknownRoute
        | FailureKind::MethodNotAllowed
        | FailureKind::NoWebSocket
        | FailureKind::GatewayLoop
        | FailureKind::UnknownModel
        | FailureKind::ModelNotSupported
        | FailureKind::BodyTooLarge
        | FailureKind::UnsupportedEncoding
        | FailureKind::SlowRequest
        | FailureKind::Refused
        | FailureKind::ExtensionRefused => "invalid_request_error",
        FailureKind::Unauthenticated => "authentication_error",
        FailureKind::Forbidden => "permission_error",
        // Codex tells a usage limit by `type`, not by `code`.
        FailureKind::QuotaExhausted => "usage_limit_reached",
        FailureKind::RateLimited | FailureKind::AllCooling | FailureKind::Saturated => "rate_limit_error",
        FailureKind::NoAccount
        | FailureKind::AccountUnauthorized
        | FailureKind::Overloaded
        | FailureKind::UpstreamFault
        | FailureKind::Unreachable
        | FailureKind::UpstreamTimeout
        | FailureKind::StreamCut
        | FailureKind::Malformed
        | FailureKind::ClientGone
        | FailureKind::ShuttingDown
        | FailureKind::Internal => "server_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::Timestamp;
    use std::time::Duration;

    #[test]
    fn a_usage_limit_says_what_codex_reads() {
        let failure = Failure::upstream(FailureKind::QuotaExhausted, "all accounts are exhausted")
            .resets_at(Some(Timestamp::from_secs(1_795_000_000)))
            .after(Some(Duration::from_millis(1_500)));
        let body: Value = serde_json::from_slice(&error_body(&failure)).unwrap();
        assert_eq!(body["error"]["type"], "usage_limit_reached");
        assert_eq!(body["error"]["resets_at"], 1_795_000_000);
        assert_eq!(body["error"]["resets_in_seconds"], 2);
    }

    #[test]
    fn the_failed_event_is_one_whole_event() {
        let failure = Failure::upstream(FailureKind::StreamCut, "the upstream\nended");
        let event = failed_event(&failure, "resp_1", 12);
        let mut framer = sse::SseFramer::default();
        let mut seen = Vec::new();
        framer.push(event.clone(), |event| seen.push(super::super::classify_event(event))).unwrap();
        assert_eq!(seen, [super::super::EventKind::Failed]);
        assert!(String::from_utf8_lossy(&event).contains(r#""sequence_number":12"#));
    }
}
