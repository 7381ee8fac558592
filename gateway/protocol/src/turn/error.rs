//! What goes wrong: a request that cannot be translated, and an upstream's error on its way to a client.

use super::Dialect;

/// A request that is malformed, or that the target cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TurnError {
    /// Not a JSON object.
    #[error("the body is not a JSON object: {0}")]
    NotJson(String),
    /// A member that must be there is not.
    #[error("`{param}` is missing")]
    Missing {
        /// Its path: `messages[2].tool_call_id`.
        param: String,
    },
    /// A member has a value that its dialect does not allow.
    #[error("`{param}`: {why}")]
    Invalid {
        /// Its path.
        param: String,
        /// What is wrong with it.
        why: String,
    },
    /// A member is fine, but the upstream chosen for the model has no counterpart.
    #[error("`{param}` cannot be sent to this model's upstream: {why}")]
    Unsupported {
        /// Its path.
        param: String,
        /// What to do about it.
        why: String,
    },
    /// An upstream's answer is not what its dialect says.
    #[error("the upstream's answer cannot be read: {0}")]
    BadAnswer(String),
}

impl TurnError {
    /// A missing member.
    pub fn missing(param: impl Into<String>) -> Self {
        Self::Missing { param: param.into() }
    }

    /// A wrong value.
    pub fn invalid(param: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid { param: param.into(), why: why.into() }
    }

    /// A value without a counterpart.
    pub fn unsupported(param: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unsupported { param: param.into(), why: why.into() }
    }

    /// An encoder names the conversation as the internal language does; its places mean nothing to a client that
    /// wrote messages.
    #[must_use]
    pub fn in_words_of(self, client: Dialect) -> Self {
        let is_items = self.param().is_some_and(|param| param == "input" || param.starts_with("input["));
        match self {
            Self::Unsupported { why, .. } if is_items && client != Dialect::OpenAiResponses => {
                Self::unsupported("messages", why)
            }
            other => other,
        }
    }

    /// The member it is about, for the error body.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::NotJson(_) | Self::BadAnswer(_) => None,
            Self::Missing { param } | Self::Invalid { param, .. } | Self::Unsupported { param, .. } => {
                Some(param)
            }
        }
    }
}

/// The kinds of error that all dialects tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong (400).
    InvalidRequest,
    /// The credential is wrong (401).
    Authentication,
    /// The account may not (403).
    Permission,
    /// No such model or thing (404).
    NotFound,
    /// The body is too large (413).
    TooLarge,
    /// Too much at once, or the quota is used up (429).
    RateLimit,
    /// No capacity just now (503, 529).
    Overloaded,
    /// It took too long (504).
    Timeout,
    /// The provider's fault (500 and the rest).
    Server,
}

impl ErrorKind {
    /// The kind that an HTTP status means.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 | 403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Server,
        }
    }
}

/// An error as one dialect told it, ready to be told in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReport {
    /// What kind.
    pub kind: ErrorKind,
    /// For people.
    pub message: String,
    /// The provider's own code (`context_length_exceeded` …).
    pub code: Option<String>,
    /// The provider's own type (`overloaded_error` …).
    pub type_name: Option<String>,
    /// The member it is about.
    pub param: Option<String>,
}

impl ErrorReport {
    /// One with a kind and a message alone.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, type_name: None, param: None }
    }
}

impl From<&TurnError> for ErrorReport {
    fn from(error: &TurnError) -> Self {
        let kind = match error {
            TurnError::BadAnswer(_) => ErrorKind::Server,
            _ => ErrorKind::InvalidRequest,
        };
        Self { param: error.param().map(str::to_owned), ..Self::new(kind, error.to_string()) }
    }
}
