//! What an answer of the admin API means. The browser's part, sending and receiving, is in `api.rs`.

use gateway_api::ApiError;
use serde::de::DeserializeOwned;

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No answer: the gateway is down, or the network is.
    Unreachable,
    /// The session ended; the sign-in page follows.
    SignedOut,
    /// The gateway said no and why.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its own words.
        error: ApiError,
    },
    /// Something answered that does not speak our language (a proxy, another version).
    Garbled {
        /// The HTTP status.
        status: u16,
    },
}

impl Problem {
    /// For people: what happened and what to do next.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Unreachable => "The gateway does not answer. Check that it is running.".to_owned(),
            Self::SignedOut => "Your session has ended. Sign in again.".to_owned(),
            Self::Refused { error, .. } => super::decisions::full_sentence(&error.message),
            Self::Garbled { status } => format!(
                "The answer (status {status}) is not one of this dashboard's. Reload the page; if a proxy stands in \
                 between, check it."
            ),
        }
    }

    /// The field it is about, by its name on the wire.
    pub(crate) fn field(&self) -> Option<&str> {
        match self {
            Self::Refused { error, .. } => error.field.as_deref(),
            _ => None,
        }
    }

    /// Whether something else has it already.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }

    /// Whether what was asked for does not exist.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

/// Reads an answer that carries a value.
pub(crate) fn value<T: DeserializeOwned>(status: u16, body: &str) -> Result<T, Problem> {
    succeed(status, body)?;
    serde_json::from_str(body).map_err(|_| Problem::Garbled { status })
}

/// Reads an answer whose body does not matter (`204`).
pub(crate) fn succeed(status: u16, body: &str) -> Result<(), Problem> {
    if (200..300).contains(&status) {
        return Ok(());
    }
    match serde_json::from_str::<ApiError>(body) {
        Ok(error) if status == 401 && error.code == "signed_out" => Err(Problem::SignedOut),
        Ok(error) => Err(Problem::Refused { status, error }),
        Err(_) => Err(Problem::Garbled { status }),
    }
}

/// One part of a path, escaped: everything but the unreserved characters.
pub(crate) fn path_part(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use gateway_api::{SessionState, SessionView};

    use super::*;

    const GONE: &str = r#"{"code":"signed_out","message":"sign in first"}"#;

    #[test]
    fn good_answers_are_read() {
        let view: SessionView = value(200, r#"{"state":"signed_in","version":"0.1.0"}"#).unwrap();
        assert_eq!(view.state, SessionState::SignedIn);
        assert_eq!(succeed(204, ""), Ok(()));
    }

    #[test]
    fn refusals_keep_the_gateways_words() {
        assert_eq!(value::<SessionView>(401, GONE), Err(Problem::SignedOut));
        let wrong = r#"{"code":"wrong_password","message":"the password is wrong"}"#;
        let problem = value::<SessionView>(401, wrong).unwrap_err();
        assert_eq!(problem.message(), "The password is wrong.");
        assert!(!problem.is_missing());
        let missing = r#"{"code":"not_found","message":"no such account"}"#;
        assert!(succeed(404, missing).unwrap_err().is_missing());
        let weight = r#"{"code":"invalid_field","message":"a weight is above 0","field":"weight"}"#;
        assert_eq!(succeed(422, weight).unwrap_err().field(), Some("weight"));
        let taken = r#"{"code":"conflict","message":"the name is taken"}"#;
        assert!(succeed(409, taken).unwrap_err().is_conflict());
    }

    #[test]
    fn foreign_answers_are_told_apart() {
        assert_eq!(value::<SessionView>(502, "<html>"), Err(Problem::Garbled { status: 502 }));
        assert_eq!(value::<SessionView>(200, "{}"), Err(Problem::Garbled { status: 200 }));
        assert!(Problem::Garbled { status: 502 }.message().contains("502"));
    }

    #[test]
    fn path_parts_cannot_leave_their_place() {
        assert_eq!(path_part("req_1.2~a-b"), "req_1.2~a-b");
        assert_eq!(path_part("../a b?c=ü"), "..%2Fa%20b%3Fc%3D%C3%BC");
    }
}
