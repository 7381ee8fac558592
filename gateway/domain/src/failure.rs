//! Everything that can go wrong with a request, as origin × kind × retry.
//!
//! A failure says what happened; it does not say which HTTP status that is. The status and the body in the
//! client's dialect are derived in one place (`gateway-server`'s `rescue`).

use std::fmt;
use std::time::Duration;

use crate::Timestamp;

/// Whose doing it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The caller sent something wrong, or left.
    Client,
    /// We could not.
    Gateway,
    /// The provider failed or refused.
    Upstream,
    /// A policy, mapping or filter failed or refused.
    Extension,
}

impl Origin {
    /// Bounded label for metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
            Self::Extension => "extension",
        }
    }
}

/// What happened. Each kind is one row of the error table in `gateway-server`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The body is not the JSON the route takes.
    InvalidRequest,
    /// No such route.
    UnknownRoute,
    /// The route exists, the method does not.
    MethodNotAllowed,
    /// The caller wants a WebSocket where only HTTP is spoken.
    NoWebSocket,
    /// The request passed this gateway before.
    GatewayLoop,
    /// No or a wrong client key.
    Unauthenticated,
    /// A valid caller that may not do this.
    Forbidden,
    /// The model is not served by any account.
    UnknownModel,
    /// The body is larger than the limit, before or after decompression.
    BodyTooLarge,
    /// A content encoding or media type that is not taken.
    UnsupportedEncoding,
    /// The body did not arrive in time.
    SlowRequest,
    /// The pool has no account that could ever serve this.
    NoAccount,
    /// Every account is cooling down or exhausted; the earliest return is known.
    AllCooling,
    /// Too many requests are already running.
    Saturated,
    /// The upstream refused this account for a quota or rate reason.
    RateLimited,
    /// The upstream's usage limit of the account is reached.
    QuotaExhausted,
    /// The upstream did not accept the account's token.
    AccountUnauthorized,
    /// The account cannot use the model.
    ModelNotSupported,
    /// The upstream says that the request itself is wrong.
    Refused,
    /// The upstream is overloaded or at capacity.
    Overloaded,
    /// The upstream answered with a fault.
    UpstreamFault,
    /// The upstream could not be reached.
    Unreachable,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// The stream ended before its terminal event.
    StreamCut,
    /// The upstream sent something that is not its protocol.
    Malformed,
    /// The caller hung up.
    ClientGone,
    /// An extension refused the request.
    ExtensionRefused,
    /// The gateway is going down.
    ShuttingDown,
    /// A bug or a broken dependency of ours.
    Internal,
}

impl FailureKind {
    /// Bounded label for metrics, logs and the error `code` in answers.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnknownRoute => "unknown_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NoWebSocket => "websocket_not_offered",
            Self::GatewayLoop => "gateway_loop",
            Self::Unauthenticated => "invalid_api_key",
            Self::Forbidden => "forbidden",
            Self::UnknownModel => "model_not_found",
            Self::BodyTooLarge => "body_too_large",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::SlowRequest => "request_timeout",
            Self::NoAccount => "no_account",
            Self::AllCooling => "all_accounts_cooling",
            Self::Saturated => "saturated",
            Self::RateLimited => "rate_limit_exceeded",
            Self::QuotaExhausted => "usage_limit_reached",
            Self::AccountUnauthorized => "account_unauthorized",
            Self::ModelNotSupported => "model_not_supported",
            Self::Refused => "upstream_refused",
            Self::Overloaded => "server_is_overloaded",
            Self::UpstreamFault => "upstream_fault",
            Self::Unreachable => "upstream_unreachable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::StreamCut => "stream_incomplete",
            Self::Malformed => "upstream_malformed",
            Self::ClientGone => "client_gone",
            Self::ExtensionRefused => "refused_by_policy",
            Self::ShuttingDown => "shutting_down",
            Self::Internal => "internal",
        }
    }
}

/// May the request be tried again, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Trying again cannot help.
    Never,
    /// The same account once more (its token was refreshed).
    SameAccount,
    /// Another account may serve it.
    OtherAccount,
}

/// How far a request had come when it failed: whether sending it once more could do its work twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dispatch {
    /// Nothing of it left, or nobody took it.
    NotSent,
    /// It may have arrived, and may be worked on.
    Ambiguous,
    /// The upstream said what became of it.
    #[default]
    Acknowledged,
}

/// One failure of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Whose doing.
    pub origin: Origin,
    /// What.
    pub kind: FailureKind,
    /// Where it may be tried again.
    pub retry: Retry,
    /// How far it had come.
    pub dispatch: Dispatch,
    /// For people: what happened and what to do next. Never a token, a body or an address.
    pub message: String,
    /// The part of the request it is about (`model`, `input` …).
    pub param: Option<&'static str>,
    /// How long the caller should wait, if anybody knows.
    pub retry_after: Option<Duration>,
    /// When the limit ends, if the upstream said so.
    pub resets_at: Option<Timestamp>,
    /// The status and code that the upstream, or an extension that refused, chose.
    pub answer: Option<Box<Answer>>,
}

/// What the upstream answered, or what an extension wants answered, kept for callers that know its codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its error code or type, lower case, if it named one.
    pub code: Option<String>,
    /// The part of the request that it found wrong, if it named one.
    pub param: Option<String>,
}

impl Failure {
    fn new(origin: Origin, kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            origin,
            kind,
            retry: Retry::Never,
            dispatch: Dispatch::Acknowledged,
            message: message.into(),
            param: None,
            retry_after: None,
            resets_at: None,
            answer: None,
        }
    }

    /// The caller's doing.
    pub fn client(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::new(Origin::Client, kind, message)
    }

    /// Our doing.
    pub fn gateway(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::new(Origin::Gateway, kind, message)
    }

    /// The provider's doing.
    pub fn upstream(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::new(Origin::Upstream, kind, message)
    }

    /// An extension's doing.
    pub fn extension(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::new(Origin::Extension, kind, message)
    }

    /// States where it may be tried again.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// States how far it had come.
    #[must_use]
    pub const fn dispatched(mut self, dispatch: Dispatch) -> Self {
        self.dispatch = dispatch;
        self
    }

    /// Names the part of the request it is about.
    #[must_use]
    pub const fn param(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }

    /// States how long to wait.
    #[must_use]
    pub const fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// States when the limit ends.
    #[must_use]
    pub const fn resets_at(mut self, at: Option<Timestamp>) -> Self {
        self.resets_at = at;
        self
    }

    /// Keeps the answer of the upstream or of the extension.
    #[must_use]
    pub fn answered(mut self, answer: Answer) -> Self {
        self.answer = Some(Box::new(answer));
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.kind.label(), self.origin.label(), self.message)
    }
}

impl std::error::Error for Failure {}
