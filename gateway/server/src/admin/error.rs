//! Refused admin calls: one shape, one status each.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use gateway_api::ApiError;
use gateway_core::accounts::AccountError;
use gateway_core::extensions::ExtensionError;
use gateway_core::ports::StoreError;
use gateway_domain::{Failure, FailureKind};
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde::de::DeserializeOwned;

use crate::body::{self, MAX_ADMIN_BYTES};
use crate::rescue;

/// A refused admin call.
pub(crate) struct Refusal {
    status: StatusCode,
    error: ApiError,
    retry_after: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let error = ApiError { code: code.to_owned(), message: message.into(), field: None };
        Self { status, error, retry_after: None }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    pub(crate) fn signed_out() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "signed_out", "sign in first")
    }

    pub(crate) fn unknown_key() -> Self {
        let message =
            "this operator key is not valid; make one with `switchyard key create LABEL --operator`";
        Self::new(StatusCode::UNAUTHORIZED, "unknown_key", message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        let mut refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", message);
        refusal.error.field = Some(field.to_owned());
        refusal
    }

    pub(crate) fn not_admitted(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "not_admitted", message)
    }

    pub(crate) fn too_many_tries(seconds: u64) -> Self {
        let message = format!("too many wrong passwords; try again in {seconds} s");
        let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries", message);
        refusal.retry_after = Some(seconds);
        refusal
    }

    pub(crate) fn upstream(failure: &Failure) -> Self {
        let kind = failure.kind.label();
        Self::new(StatusCode::BAD_GATEWAY, kind, failure.message.clone())
    }

    pub(crate) fn proxy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "proxy_failed", message)
    }

    pub(crate) fn issuer(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "sign_in_failed", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.error)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NotFound { .. } => Self::not_found(message),
            StoreError::Conflict { .. } | StoreError::NameTaken => Self::conflict(message),
            StoreError::Sealed(_) | StoreError::Unavailable(_) => {
                tracing::error!(error = message, "an admin call failed in storage");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage", message)
            }
        }
    }
}

impl From<ExtensionError> for Refusal {
    fn from(error: ExtensionError) -> Self {
        let message = error.to_string();
        match error {
            ExtensionError::Unknown(_) => Self::not_found(message),
            ExtensionError::Refused(_) => Self::not_admitted(message),
            ExtensionError::Store(error) => error.into(),
            ExtensionError::Lost => Self::internal(message),
        }
    }
}

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Auth(error) => Self::field("auth_json", error.to_string()),
            AccountError::BadName => Self::field("name", error.to_string()),
            AccountError::Store(error) => error.into(),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let code =
            if failure.kind == FailureKind::InvalidRequest { "invalid_body" } else { failure.kind.label() };
        Self::new(rescue::status_of(&failure), code, failure.message)
    }
}

/// A JSON body within its limit; refusals have the admin shape.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        read_json(request, MAX_ADMIN_BYTES).await.map(Self)
    }
}

/// A JSON body within a limit of its own.
pub(super) async fn read_json<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T, Refusal> {
    let bytes = body::read(request, limit).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_body",
            format!("the body does not fit: {error}"),
        )
    })
}
