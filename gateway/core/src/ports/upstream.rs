//! Providers: sending one turn, and rotating one account's tokens.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use gateway_domain::{Failure, QuotaSnapshot, Secret};
use gateway_protocol::responses::CallerKind;
use http::{HeaderMap, StatusCode};

/// Whether a conversation stays on the account that served it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continues {
    /// It does; state that the upstream bound to the account is valid.
    Here,
    /// It is new or comes from another account; such state must not go along.
    Anew,
}

/// One turn on its way to one account.
#[derive(Debug, Clone)]
pub struct UpstreamRequest {
    /// The client's headers as they came; the adapter decides which go along.
    pub headers: HeaderMap,
    /// Who wrote them: a Codex client's own headers are passed on, for others we speak for ourselves.
    pub caller: CallerKind,
    /// Whether the conversation was served by this account before, so that what is bound to it may go along.
    pub continues: Continues,
    /// The body as it goes out.
    pub body: Bytes,
    /// The account's access token.
    pub access_token: Secret,
    /// The workspace header's value, if the account has one.
    pub workspace_id: Option<String>,
}

/// The body of an answer, chunk by chunk, as it arrives.
pub type ResponseBody = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

/// What the upstream answered, whatever the status.
pub struct UpstreamResponse {
    /// HTTP status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: ResponseBody,
}

/// Talks to the provider of one account kind. Implementations set every deadline themselves.
pub trait Upstream: Send + Sync {
    /// Sends one Responses turn. Returns once the answer's head is there, whatever its status.
    ///
    /// # Errors
    /// The provider could not be reached or did not answer in time; nothing of an answer was seen.
    fn respond(&self, request: UpstreamRequest) -> BoxFuture<'_, Result<UpstreamResponse, Failure>>;

    /// Asks for the account's quota (`wham/usage`).
    ///
    /// # Errors
    /// The provider could not be reached, refused, or answered something else.
    fn quota(
        &self,
        access_token: Secret,
        workspace_id: Option<String>,
    ) -> BoxFuture<'_, Result<QuotaSnapshot, Failure>>;

    /// Asks for the model catalogue as Codex reads it (`codex/models`), the JSON as it came.
    ///
    /// # Errors
    /// The provider could not be reached, refused, or answered something else.
    fn models(
        &self,
        access_token: Secret,
        workspace_id: Option<String>,
        client_version: String,
    ) -> BoxFuture<'_, Result<Bytes, Failure>>;
}

/// Why a rotation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenIssuerError {
    /// The refresh token is dead for good.
    #[error("the sign-in is no longer valid ({code})")]
    Dead {
        /// The issuer's error code.
        code: String,
    },
    /// It may work later; the token may or may not have been spent.
    #[error("the token issuer failed: {0}")]
    Passing(String),
}

/// The tokens an issuer gave.
#[derive(Debug, Clone)]
pub struct IssuedTokens {
    /// The new access token.
    pub access_token: Secret,
    /// The next refresh token, if it rotated.
    pub refresh_token: Option<Secret>,
    /// The new id token, if one came.
    pub id_token: Option<Secret>,
    /// Its lifetime in seconds, if stated outside the token.
    pub expires_in: Option<u64>,
}

/// Spends refresh tokens.
pub trait TokenIssuer: Send + Sync {
    /// Spends one refresh token.
    fn rotate(&self, refresh_token: Secret) -> BoxFuture<'_, Result<IssuedTokens, TokenIssuerError>>;
}
