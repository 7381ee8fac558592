//! Errors as Messages clients read them: a JSON body before the stream, `event: error` inside it.
//!
//! Status codes are the server's; this file only knows which error type belongs to a failure or to a status.

use std::borrow::Cow;

use bytes::Bytes;
use gateway_domain::{Failure, FailureKind};
use serde::Serialize;
use serde_json::Value;

use crate::sse;
use crate::turn::{ErrorKind, ErrorReport};

/// The longest message of an upstream that is read, in bytes.
const MAX_MESSAGE_BYTES: usize = 2_000;

/// The `type` of an error of this dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorType {
    /// The request is wrong.
    InvalidRequest,
    /// No or a wrong key.
    Authentication,
    /// The key pays for nothing more.
    Billing,
    /// The key may not do this.
    Permission,
    /// No such route or model.
    NotFound,
    /// The body is too large.
    RequestTooLarge,
    /// Too many requests or tokens.
    RateLimit,
    /// It took too long.
    Timeout,
    /// Too busy for now.
    Overloaded,
    /// Any other fault.
    Api,
}

impl ErrorType {
    const ALL: [Self; 10] = [
        Self::InvalidRequest,
        Self::Authentication,
        Self::Billing,
        Self::Permission,
        Self::NotFound,
        Self::RequestTooLarge,
        Self::RateLimit,
        Self::Timeout,
        Self::Overloaded,
        Self::Api,
    ];

    /// Its name on the wire.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Billing => "billing_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::RequestTooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
            Self::Timeout => "timeout_error",
            Self::Overloaded => "overloaded_error",
            Self::Api => "api_error",
        }
    }

    /// The type of a name on the wire.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label() == name)
    }

    /// The type that belongs to a status.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::RequestTooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Api,
        }
    }

    /// The type that belongs to a failure, before the stream began.
    #[must_use]
    pub fn of_failure(failure: &Failure) -> Self {
        match failure.kind {
            FailureKind::Refused | FailureKind::ExtensionRefused => refused_type(failure),
            FailureKind::InvalidRequest
            | FailureKind::MethodNotAllowed
            | FailureKind::NoWebSocket
            | FailureKind::GatewayLoop
            | FailureKind::UnsupportedEncoding => Self::InvalidRequest,
            FailureKind::Unauthenticated => Self::Authentication,
            FailureKind::Forbidden => Self::Permission,
            FailureKind::UnknownRoute | FailureKind::UnknownModel | FailureKind::ModelNotSupported => {
                Self::NotFound
            }
            FailureKind::BodyTooLarge => Self::RequestTooLarge,
            FailureKind::RateLimited
            | FailureKind::QuotaExhausted
            | FailureKind::AllCooling
            | FailureKind::Saturated => Self::RateLimit,
            FailureKind::SlowRequest | FailureKind::UpstreamTimeout => Self::Timeout,
            // The accounts' tokens are ours to mend: Claude Code asks again on this type, and gives up on others.
            FailureKind::NoAccount
            | FailureKind::AccountUnauthorized
            | FailureKind::Overloaded
            | FailureKind::ShuttingDown => Self::Overloaded,
            FailureKind::UpstreamFault
            | FailureKind::Unreachable
            | FailureKind::StreamCut
            | FailureKind::Malformed
            | FailureKind::ClientGone
            | FailureKind::Internal => Self::Api,
        }
    }

    /// The type inside a started stream. Claude Code asks the whole request again, streaming, on
    /// `overloaded_error`, but falls back to a request without a stream on `api_error` (facts: clients 4.2): a
    /// fault that another try may not meet is the former.
    fn of_failure_in_stream(failure: &Failure) -> Self {
        match failure.kind {
            FailureKind::StreamCut
            | FailureKind::Unreachable
            | FailureKind::UpstreamFault
            | FailureKind::UpstreamTimeout => Self::Overloaded,
            _ => Self::of_failure(failure),
        }
    }
}

/// A refusal keeps the upstream's type when that is one of this dialect, else the type of its status. Statuses of
/// a stream (200) and of redirects say nothing about an error.
fn refused_type(failure: &Failure) -> ErrorType {
    let Some(answer) = &failure.answer else { return ErrorType::InvalidRequest };
    if let Some(named) = answer.code.as_deref().and_then(ErrorType::named) {
        return named;
    }
    if answer.status < 400 { ErrorType::InvalidRequest } else { ErrorType::of_status(answer.status) }
}

impl ErrorType {
    /// The type for a report of another dialect. A type of this dialect stays what it is.
    #[must_use]
    pub fn of_report(report: &ErrorReport) -> Self {
        report.type_name.as_deref().and_then(Self::named).unwrap_or(match report.kind {
            ErrorKind::InvalidRequest => Self::InvalidRequest,
            ErrorKind::Authentication => Self::Authentication,
            ErrorKind::Permission => Self::Permission,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::TooLarge => Self::RequestTooLarge,
            ErrorKind::RateLimit => Self::RateLimit,
            ErrorKind::Overloaded => Self::Overloaded,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Server => Self::Api,
        })
    }

    /// The same inside a started stream; see [`Self::of_failure_in_stream`].
    fn of_report_in_stream(report: &ErrorReport) -> Self {
        let own = report.type_name.as_deref().and_then(Self::named);
        match (own, report.kind) {
            (None, ErrorKind::Server | ErrorKind::Timeout) => Self::Overloaded,
            _ => Self::of_report(report),
        }
    }

    const fn kind(self) -> ErrorKind {
        match self {
            Self::InvalidRequest => ErrorKind::InvalidRequest,
            Self::Authentication => ErrorKind::Authentication,
            Self::Billing | Self::Permission => ErrorKind::Permission,
            Self::NotFound => ErrorKind::NotFound,
            Self::RequestTooLarge => ErrorKind::TooLarge,
            Self::RateLimit => ErrorKind::RateLimit,
            Self::Timeout => ErrorKind::Timeout,
            Self::Overloaded => ErrorKind::Overloaded,
            Self::Api => ErrorKind::Server,
        }
    }
}

/// The error body: `{"type":"error","error":{"type","message"},"request_id"}`.
#[must_use]
pub fn error_body(failure: &Failure, request_id: Option<&str>) -> Bytes {
    let code = failure.answer.as_ref().and_then(|answer| answer.code.as_deref());
    Bytes::from(write(ErrorType::of_failure(failure), &message(&failure.message, code), request_id))
}

/// The event that ends a started stream when the upstream cannot. Nothing may follow it, least of all
/// `message_stop`.
#[must_use]
pub fn error_event(failure: &Failure) -> Bytes {
    let code = failure.answer.as_ref().and_then(|answer| answer.code.as_deref());
    let body = write(ErrorType::of_failure_in_stream(failure), &message(&failure.message, code), None);
    sse::event("error", &body)
}

/// The error body for a report.
pub(super) fn report_body(report: &ErrorReport) -> Vec<u8> {
    write(ErrorType::of_report(report), &message(&report.message, report.code.as_deref()), None)
}

/// The payload of the event that ends a started stream.
pub(super) fn report_in_stream(report: &ErrorReport) -> Vec<u8> {
    write(ErrorType::of_report_in_stream(report), &message(&report.message, report.code.as_deref()), None)
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    r#type: &'static str,
    error: ErrorObject<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    r#type: &'static str,
    message: &'a str,
}

fn write(kind: ErrorType, message: &str, request_id: Option<&str>) -> Vec<u8> {
    let error = ErrorObject { r#type: kind.label(), message };
    // Writing texts cannot fail.
    serde_json::to_vec(&ErrorBody { r#type: "error", error, request_id }).unwrap_or_default()
}

/// The words for a conversation that is too long. Claude Code shortens it by itself when it reads them.
const TOO_LONG: &str = "prompt is too long";
/// OpenAI's code for the same.
const TOO_LONG_CODE: &str = "context_length_exceeded";

fn message<'a>(text: &'a str, code: Option<&str>) -> Cow<'a, str> {
    if code == Some(TOO_LONG_CODE) && !text.contains(TOO_LONG) {
        return Cow::Owned(format!("{TOO_LONG}: {text}"));
    }
    Cow::Borrowed(text)
}

/// What an upstream of this dialect said in an error body or in an `error` event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamError {
    /// Its `error.type`.
    pub kind: Option<String>,
    /// Its `error.message`, shortened.
    pub message: Option<String>,
    /// Its `request_id`.
    pub request_id: Option<String>,
}

/// Reads an error body or event payload. What is not there is absent; it never fails.
#[must_use]
pub fn read_error(payload: &[u8]) -> UpstreamError {
    let value: Value = serde_json::from_slice(payload).unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(shortened);
    let error = value.get("error");
    UpstreamError {
        kind: text(error.and_then(|error| error.get("type"))),
        message: text(error.and_then(|error| error.get("message"))),
        request_id: text(value.get("request_id")),
    }
}

fn shortened(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_MESSAGE_BYTES)).unwrap_or(text).to_owned()
}

/// An upstream's error as a report. The status counts where the type is missing or newer than we know.
pub(super) fn read_report(status: u16, payload: &[u8]) -> ErrorReport {
    let said = read_error(payload);
    let named = said.kind.as_deref().and_then(ErrorType::named);
    let message = said.message.unwrap_or_else(|| match &said.kind {
        Some(kind) => format!("the upstream answered {status} ({kind})"),
        None => format!("the upstream answered {status}"),
    });
    let kind = named.map_or(ErrorKind::of_status(status), ErrorType::kind);
    let code = message.contains(TOO_LONG).then(|| TOO_LONG_CODE.to_owned());
    ErrorReport { code, type_name: said.kind, ..ErrorReport::new(kind, message) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::Answer;

    fn refused(status: u16, code: Option<&str>) -> Failure {
        Failure::upstream(FailureKind::Refused, "no").answered(Answer {
            status,
            code: code.map(str::to_owned),
            param: None,
        })
    }

    fn body_of(failure: &Failure) -> Value {
        serde_json::from_slice(&error_body(failure, Some("req_1"))).unwrap()
    }

    #[test]
    fn each_status_has_its_type() {
        for (status, label) in [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (402, "billing_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (413, "request_too_large"),
            (422, "invalid_request_error"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (502, "api_error"),
            (503, "overloaded_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ] {
            assert_eq!(ErrorType::of_status(status).label(), label, "{status}");
            assert_eq!(ErrorType::named(label).map(ErrorType::label), Some(label));
        }
    }

    #[test]
    fn a_failure_names_its_type_and_its_request() {
        for (failure, label) in [
            (Failure::client(FailureKind::Unauthenticated, "x"), "authentication_error"),
            (Failure::client(FailureKind::UnknownModel, "x"), "not_found_error"),
            (Failure::gateway(FailureKind::NoAccount, "x"), "overloaded_error"),
            (Failure::upstream(FailureKind::QuotaExhausted, "x"), "rate_limit_error"),
            (Failure::gateway(FailureKind::BodyTooLarge, "x"), "request_too_large"),
            (Failure::upstream(FailureKind::StreamCut, "x"), "api_error"),
            (refused(422, None), "invalid_request_error"),
            (refused(403, None), "permission_error"),
            (refused(400, Some("billing_error")), "billing_error"),
            (refused(200, Some("invalid_prompt")), "invalid_request_error"),
        ] {
            let body = body_of(&failure);
            assert_eq!(body["type"], "error");
            assert_eq!(body["error"]["type"], label, "{failure}");
            assert_eq!(body["request_id"], "req_1");
        }
    }

    #[test]
    fn a_cut_stream_ends_with_what_makes_claude_code_stream_again() {
        let event = error_event(&Failure::upstream(FailureKind::StreamCut, "the upstream ended early"));
        assert_eq!(
            event,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
             \"message\":\"the upstream ended early\"}}\n\n"
        );
    }

    #[test]
    fn a_prompt_that_is_too_long_says_so_in_the_words_clients_know() {
        let long = refused(400, Some("context_length_exceeded"));
        assert_eq!(body_of(&long)["error"]["message"], "prompt is too long: no");
    }

    #[test]
    fn upstream_errors_are_read_whatever_they_are() {
        let read = read_error(
            br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_9"}"#,
        );
        assert_eq!(read.kind.as_deref(), Some("overloaded_error"));
        assert_eq!(
            (read.message.as_deref(), read.request_id.as_deref()),
            (Some("Overloaded"), Some("req_9"))
        );
        for odd in [&b"<html>"[..], b"", b"[]", br#"{"error":"text"}"#, br#"{"error":{"type":1}}"#] {
            assert_eq!(read_error(odd), UpstreamError::default());
        }
        let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "é".repeat(5_000));
        assert!(read_error(long.as_bytes()).message.unwrap().len() <= MAX_MESSAGE_BYTES);
    }

    #[test]
    fn a_report_keeps_its_type_and_gains_the_code_that_others_know() {
        let body = br#"{"type":"error","error":{"type":"invalid_request_error",
            "message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#;
        let report = read_report(400, body);
        assert_eq!(report.kind, ErrorKind::InvalidRequest);
        assert_eq!(report.code.as_deref(), Some("context_length_exceeded"));
        let again: Value = serde_json::from_slice(&report_body(&report)).unwrap();
        assert_eq!(again["error"]["message"], "prompt is too long: 210000 tokens > 200000 maximum");
        assert_eq!(read_report(529, b"<html>").kind, ErrorKind::Overloaded);
        assert_eq!(
            read_report(418, br#"{"error":{"type":"teapot"}}"#).message,
            "the upstream answered 418 (teapot)"
        );
    }

    #[test]
    fn a_report_from_elsewhere_becomes_a_type_of_this_dialect() {
        for (kind, label) in [
            (ErrorKind::InvalidRequest, "invalid_request_error"),
            (ErrorKind::RateLimit, "rate_limit_error"),
            (ErrorKind::Server, "api_error"),
        ] {
            let report =
                ErrorReport { type_name: Some("server_error".into()), ..ErrorReport::new(kind, "x") };
            assert_eq!(ErrorType::of_report(&report).label(), label);
        }
        let fault = ErrorReport::new(ErrorKind::Server, "x");
        assert_eq!(ErrorType::of_report_in_stream(&fault), ErrorType::Overloaded);
        let own = ErrorReport { type_name: Some("api_error".into()), ..fault };
        assert_eq!(ErrorType::of_report_in_stream(&own), ErrorType::Api);
    }
}
