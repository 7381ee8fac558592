//! Between the gateway's failures and the reports that dialects write and read.
//!
//! What an upstream's error means is decided by the one table in `codex::classify`, whatever the dialect.

use gateway_domain::{Failure, FailureKind, Timestamp};
use serde_json::{Map, Value};

use super::{ErrorKind, ErrorReport};
use crate::codex::classify_error_object;
use crate::responses::{error_code, error_type};

impl From<&Failure> for ErrorReport {
    fn from(failure: &Failure) -> Self {
        let param = failure.param.map(str::to_owned);
        Self {
            kind: kind_of(failure),
            message: failure.message.clone(),
            code: Some(error_code(failure).to_owned()),
            type_name: Some(error_type(failure).to_owned()),
            param: param.or_else(|| failure.answer.as_ref()?.param.clone()),
        }
    }
}

/// What the report of an upstream's stream means for the request and the account.
#[must_use]
pub fn failure_of(report: &ErrorReport, now: Timestamp) -> Failure {
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<&String>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), Value::from(value.as_str()));
        }
    };
    put("code", report.code.as_ref());
    put("type", report.type_name.as_ref());
    put("message", Some(&report.message));
    put("param", report.param.as_ref());
    classify_error_object(&Value::Object(object).to_string(), now)
}

const fn kind_of(failure: &Failure) -> ErrorKind {
    match failure.kind {
        FailureKind::InvalidRequest
        | FailureKind::MethodNotAllowed
        | FailureKind::NoWebSocket
        | FailureKind::GatewayLoop
        | FailureKind::UnsupportedEncoding
        | FailureKind::Refused
        | FailureKind::ExtensionRefused => ErrorKind::InvalidRequest,
        FailureKind::BodyTooLarge => ErrorKind::TooLarge,
        FailureKind::UnknownRoute | FailureKind::UnknownModel | FailureKind::ModelNotSupported => {
            ErrorKind::NotFound
        }
        FailureKind::Unauthenticated => ErrorKind::Authentication,
        FailureKind::Forbidden => ErrorKind::Permission,
        FailureKind::QuotaExhausted
        | FailureKind::RateLimited
        | FailureKind::AllCooling
        | FailureKind::Saturated => ErrorKind::RateLimit,
        FailureKind::NoAccount
        | FailureKind::AccountUnauthorized
        | FailureKind::Overloaded
        | FailureKind::ShuttingDown => ErrorKind::Overloaded,
        FailureKind::SlowRequest | FailureKind::UpstreamTimeout => ErrorKind::Timeout,
        FailureKind::UpstreamFault
        | FailureKind::Unreachable
        | FailureKind::StreamCut
        | FailureKind::Malformed
        | FailureKind::ClientGone
        | FailureKind::Internal => ErrorKind::Server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_domain::Retry;

    #[test]
    fn a_report_of_any_dialect_is_classified_by_the_one_table() {
        for (code, type_name, kind) in [
            (Some("usage_limit_reached"), None, FailureKind::QuotaExhausted),
            (None, Some("overloaded_error"), FailureKind::Overloaded),
            (None, Some("rate_limit_error"), FailureKind::RateLimited),
            (Some("context_length_exceeded"), Some("invalid_request_error"), FailureKind::Refused),
        ] {
            let report = ErrorReport {
                code: code.map(str::to_owned),
                type_name: type_name.map(str::to_owned),
                ..ErrorReport::new(ErrorKind::Server, "x")
            };
            assert_eq!(failure_of(&report, Timestamp::from_secs(1)).kind, kind, "{code:?} {type_name:?}");
        }
    }

    #[test]
    fn a_failure_is_told_with_its_kind_and_code() {
        let failure = Failure::upstream(FailureKind::Overloaded, "busy").retry(Retry::OtherAccount);
        let report = ErrorReport::from(&failure);
        assert_eq!(report.kind, ErrorKind::Overloaded);
        assert_eq!(report.code.as_deref(), Some("server_is_overloaded"));
    }
}
