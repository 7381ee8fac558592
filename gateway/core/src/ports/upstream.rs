//! Providers: sending one turn, and rotating one account's tokens.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use gateway_domain::{AccountId, AccountKind, Dialect, Failure, ProxyId, QuotaSnapshot, Secret};
use gateway_protocol::codex::Redemption;
use gateway_protocol::responses::CallerKind;
use http::{HeaderMap, Method, StatusCode};

/// Whether a conversation stays on the account that served it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continues {
    /// It does; state that the upstream bound to the account is valid.
    Here,
    /// It is new or comes from another account; such state must not go along.
    Anew,
}

/// What carries a turn, on either side of the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP, its events as server-sent events.
    #[default]
    Http,
    /// WebSocket, one event per frame.
    WebSocket,
}

impl Transport {
    /// Bounded label for metrics, decisions and settlements.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::WebSocket => "websocket",
        }
    }
}

/// Which of a provider's endpoints a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `responses`.
    Responses,
    /// `responses/compact`.
    Compact,
    /// `chat/completions`.
    ChatCompletions,
    /// `messages`.
    Messages,
    /// `messages/count_tokens`.
    CountTokens,
    /// `images/generations`.
    ImageGenerations,
    /// `images/edits`.
    ImageEdits,
    /// `audio/transcriptions`.
    Transcriptions,
    /// `embeddings`.
    Embeddings,
    /// A path of the ChatGPT backend, as [`UpstreamRequest::backend`] names it.
    Backend,
}

/// A path of the ChatGPT backend that is asked for in the client's own words. Only allow-listed ones are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendPath {
    /// How.
    pub method: Method,
    /// Below the backend's base.
    pub path: Cow<'static, str>,
    /// The client's query, as it came.
    pub query: Option<String>,
    /// The uploaded file that it is about.
    pub file: Option<String>,
}

/// How a request leaves this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Straight.
    Direct,
    /// Through a proxy; never any other way.
    Proxy {
        /// Which.
        id: ProxyId,
        /// Its address, user and password included.
        url: Secret,
    },
}

/// Where an account's requests go. Made once when the account changes, shared by its requests.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The account.
    pub account: AccountId,
    /// What it opens.
    pub kind: AccountKind,
    /// Its own address, for kinds that have one; the configured one otherwise.
    pub base_url: Option<String>,
    /// The workspace header's value, if the account has one.
    pub workspace_id: Option<String>,
    /// The dialects its upstream speaks, for kinds that differ; empty: not known yet.
    pub dialects: BTreeSet<Dialect>,
    /// The operator's headers; they win over every other.
    pub headers: HeaderMap,
    /// How its requests leave.
    pub way: Way,
}

/// One request on its way to one account.
#[derive(Debug, Clone)]
pub struct UpstreamRequest {
    /// Where it goes.
    pub to: Arc<Destination>,
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// The client's headers as they came; the adapter decides which go along.
    pub headers: Arc<HeaderMap>,
    /// Who wrote them: a Codex client's own headers are passed on, for others we speak for ourselves.
    pub caller: CallerKind,
    /// Whether the conversation was served by this account before, so that what is bound to it may go along.
    pub continues: Continues,
    /// The body as it goes out.
    pub body: Bytes,
    /// What of the ChatGPT backend is asked, for [`Endpoint::Backend`].
    pub backend: Option<BackendPath>,
    /// The account's access token or key; empty for a server that takes none.
    pub access_token: Arc<Secret>,
    /// Gateways this request already passed, ours included; a child gateway is told.
    pub hops: Hops,
}

/// Whose turn it is, as far as an adapter may need to know: what it keeps between turns is theirs alone.
#[derive(Debug, Clone)]
pub struct TurnClient {
    /// The caller's label.
    pub label: Arc<str>,
    /// How they speak.
    pub transport: Transport,
}

/// The gateways that a request passed, to end loops between gateways.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hops(pub Vec<String>);

/// The body of an answer, chunk by chunk, as it arrives.
pub type ResponseBody = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

/// What the upstream answered, whatever the status.
pub struct UpstreamResponse {
    /// HTTP status.
    pub status: StatusCode,
    /// What carried it.
    pub transport: Transport,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: ResponseBody,
}

/// What a look at an account's upstream found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inspection {
    /// The dialects it speaks, as far as it can be told without spending anything.
    pub dialects: BTreeSet<Dialect>,
    /// The models it lists.
    pub models: Vec<String>,
    /// From asking to the answer.
    pub latency: Duration,
}

/// Talks to providers. Implementations set every deadline themselves.
pub trait Upstream: Send + Sync {
    /// Sends one request. Returns once the answer's head is there, whatever its status.
    ///
    /// # Errors
    /// The provider could not be reached or did not answer in time; nothing of an answer was seen.
    fn respond(&self, request: UpstreamRequest) -> BoxFuture<'_, Result<UpstreamResponse, Failure>>;

    /// Sends one turn of a client, over whatever carries it best; a connection may be kept for this client's next turn.
    ///
    /// # Errors
    /// As [`Self::respond`]. A kept connection that broke says `SameAccount`: the account has nothing to do with it.
    fn respond_to(
        &self,
        request: UpstreamRequest,
        client: TurnClient,
    ) -> BoxFuture<'_, Result<UpstreamResponse, Failure>>;

    /// Asks for the account's quota (`wham/usage`; a child gateway's status). `Ok` and empty for kinds that have none.
    ///
    /// # Errors
    /// The provider could not be reached, refused, or answered something else.
    fn quota(
        &self,
        to: Arc<Destination>,
        access_token: Arc<Secret>,
    ) -> BoxFuture<'_, Result<QuotaSnapshot, Failure>>;

    /// Redeems one reset credit of a ChatGPT account. The same request id again is the same wish, never a second credit.
    ///
    /// # Errors
    /// The provider could not be reached, refused, or answered something else; the credit may be spent.
    fn redeem(
        &self,
        to: Arc<Destination>,
        access_token: Arc<Secret>,
        request_id: String,
    ) -> BoxFuture<'_, Result<Redemption, Failure>>;

    /// Asks for the model catalogue as Codex reads it (`codex/models`), the JSON as it came.
    ///
    /// # Errors
    /// The provider could not be reached, refused, or answered something else.
    fn models(
        &self,
        to: Arc<Destination>,
        access_token: Arc<Secret>,
        client_version: String,
    ) -> BoxFuture<'_, Result<Bytes, Failure>>;

    /// Looks at an account without spending anything: is it there, is the key good, which dialects and models.
    ///
    /// # Errors
    /// The provider could not be reached or refused.
    fn inspect(
        &self,
        to: Arc<Destination>,
        access_token: Arc<Secret>,
    ) -> BoxFuture<'_, Result<Inspection, Failure>>;
}

/// Tries a proxy: how long a connection through it to the configured upstream takes.
pub trait ProxyProbe: Send + Sync {
    /// Connects through the proxy.
    ///
    /// # Errors
    /// Why it did not work, for people; without the proxy's password.
    fn probe(&self, url: Secret) -> BoxFuture<'_, Result<Duration, String>>;
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
    /// Spends one refresh token, on the account's way out.
    fn rotate(
        &self,
        refresh_token: Secret,
        way: Way,
    ) -> BoxFuture<'_, Result<IssuedTokens, TokenIssuerError>>;
}

/// A device sign-in that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCode {
    /// The issuer's handle for polling.
    pub device_auth_id: Secret,
    /// What the person types.
    pub user_code: String,
    /// Where they type it.
    pub verification_url: String,
    /// How often the issuer may be asked.
    pub interval: Duration,
    /// How long the code lives.
    pub expires_in: Duration,
}

/// Where a device sign-in stands.
#[derive(Debug, Clone)]
pub enum DeviceAnswer {
    /// The person has not confirmed yet.
    Pending,
    /// Asked too often; wait longer between questions.
    SlowDown,
    /// Confirmed: an authorization code with the verifier that the issuer chose.
    Code {
        /// To exchange.
        code: Secret,
        /// Goes with it.
        verifier: Secret,
        /// Goes with it.
        redirect_uri: String,
    },
    /// Confirmed: the tokens themselves.
    Tokens(IssuedTokens),
}

/// Why a sign-in did not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// The issuer said no; its code.
    #[error("the sign-in was refused ({code})")]
    Refused {
        /// The issuer's error code.
        code: String,
    },
    /// The issuer does not offer this way of signing in.
    #[error("the issuer does not offer this way of signing in")]
    NotOffered,
    /// It may work later.
    #[error("the issuer failed: {0}")]
    Passing(String),
}

/// Signs people in (OAuth with PKCE, and the device flow).
pub trait SignInIssuer: Send + Sync {
    /// The address that the browser opens (PKCE S256; `challenge` is the hashed verifier).
    fn authorize_url(&self, state: &str, challenge: &str, redirect_uri: &str) -> String;

    /// Exchanges the code that came back. All three tokens must be there.
    fn exchange(
        &self,
        code: Secret,
        verifier: Secret,
        redirect_uri: String,
    ) -> BoxFuture<'_, Result<IssuedTokens, SignInError>>;

    /// Begins a device sign-in.
    fn begin_device(&self) -> BoxFuture<'_, Result<DeviceCode, SignInError>>;

    /// Asks whether it was confirmed.
    fn poll_device(&self, code: DeviceCode) -> BoxFuture<'_, Result<DeviceAnswer, SignInError>>;
}
