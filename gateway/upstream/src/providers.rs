//! Every kind of upstream behind one port: what an account opens decides where a request goes and what it carries.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gateway_core::ports::{
    Clock, Destination, Endpoint, Inspection, ProxyProbe, TurnClient, Upstream, UpstreamRequest,
    UpstreamResponse,
};
use gateway_domain::{AccountKind, Failure, FailureKind, QuotaSnapshot, Retry, Secret};
use gateway_protocol::codex::{Redemption, classify_answer, quota_from_usage, redeem_body, redemption};
use http::StatusCode;

use crate::address::Address;
use crate::clients::{Clients, Outgoing};
use crate::headers::BadCredential;
use crate::sites::{Site, Sites};
use crate::sockets::{MAX_SOCKET_AGE, OverSocket, SocketUse, Sockets, over_socket};
use crate::{BuildError, HEAD_TIME, WHOLE_ANSWER_TIME, codex, gateway, headers, inspect, proxy};

/// Where the providers are, unless an account has an address of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrls {
    /// The ChatGPT backend.
    pub chatgpt: String,
    /// The OpenAI API, with its version.
    pub openai: String,
    /// The Anthropic API, without its version.
    pub anthropic: String,
}

impl Default for BaseUrls {
    fn default() -> Self {
        Self {
            chatgpt: "https://chatgpt.com/backend-api".to_owned(),
            openai: "https://api.openai.com/v1".to_owned(),
            anthropic: "https://api.anthropic.com".to_owned(),
        }
    }
}

/// Talks to all kinds of providers.
pub struct Providers {
    clients: Arc<Clients>,
    clock: Arc<dyn Clock>,
    sites: Sites,
    sockets: Sockets,
}

impl Providers {
    /// For providers at these addresses.
    ///
    /// # Errors
    /// An address is no URL that can be asked.
    pub fn new(urls: &BaseUrls, clients: Arc<Clients>, clock: Arc<dyn Clock>) -> Result<Self, BuildError> {
        let sockets = Sockets::new(SocketUse::default(), MAX_SOCKET_AGE);
        Ok(Self { clients, clock, sites: Sites::new(urls)?, sockets })
    }

    /// The same with sockets used otherwise than by default, and none again that is older than this.
    #[must_use]
    pub fn with_sockets(self, when: SocketUse, max_age: Duration) -> Self {
        Self { sockets: Sockets::new(when, max_age), ..self }
    }

    async fn client_turn(
        &self,
        request: UpstreamRequest,
        client: TurnClient,
    ) -> Result<UpstreamResponse, Failure> {
        if self.sockets.carry(&request, &client) {
            let site = self.sites.of(&request.to)?;
            let (kind, endpoint) = (request.to.kind, request.endpoint);
            let address = site.endpoint(endpoint).ok_or_else(|| no_endpoint(kind, endpoint))?;
            let sent = over_socket(&self.clients, &self.sockets, address, &request, &client).await?;
            if let OverSocket::Answered(answer) = sent {
                return Ok(answer);
            }
        }
        self.turn(request).await
    }

    async fn turn(&self, request: UpstreamRequest) -> Result<UpstreamResponse, Failure> {
        let site = self.sites.of(&request.to)?;
        let (kind, endpoint) = (request.to.kind, request.endpoint);
        let own = request.backend.as_ref().and_then(|asked| site.backend(asked)).transpose();
        let own = own.map_err(|error| Failure::gateway(FailureKind::Unreachable, error.to_string()))?;
        let address = own.as_ref().filter(|_| endpoint == Endpoint::Backend);
        let address =
            address.or_else(|| site.endpoint(endpoint)).ok_or_else(|| no_endpoint(kind, endpoint))?;
        let headers = headers::for_turn(&request).map_err(bad_credential)?;
        let mut outgoing = Outgoing::post(headers, request.body);
        if let Some(asked) = request.backend.as_ref().filter(|_| endpoint == Endpoint::Backend) {
            outgoing.method = asked.method.clone();
        }
        let mut answer =
            self.clients.send(&request.to.way, address, outgoing, head_time(kind, endpoint)).await?;
        if kind == AccountKind::Gateway {
            gateway::without_inner_limits(&mut answer.headers);
        }
        Ok(answer)
    }

    async fn quota_of(&self, to: Arc<Destination>, key: Arc<Secret>) -> Result<QuotaSnapshot, Failure> {
        let site = self.sites.of(&to)?;
        let now = self.clock.now();
        let usage = match (to.kind, &site.quota) {
            (AccountKind::Gateway, _) => return gateway::quota(self, &site, &to, &key, now).await,
            (_, Some(usage)) => usage,
            (_, None) => return Ok(QuotaSnapshot::default()),
        };
        let body = self.told(&to, &key, usage).await?;
        quota_from_usage(&body, now).ok_or_else(|| malformed("wham/usage answered something else"))
    }

    async fn catalogue(
        &self,
        to: Arc<Destination>,
        key: Arc<Secret>,
        client_version: String,
    ) -> Result<Bytes, Failure> {
        let site = self.sites.of(&to)?;
        let address = match to.kind {
            AccountKind::Codex => site.models.with_query("client_version", &client_version),
            AccountKind::Gateway => site
                .base
                .at(gateway::CODEX_MODELS)
                .and_then(|address| address.with_query("client_version", &client_version)),
            _ => Ok(site.models.clone()),
        };
        let address =
            address.map_err(|error| Failure::gateway(FailureKind::Unreachable, error.to_string()))?;
        self.told(&to, &key, &address).await
    }

    async fn redeem_credit(
        &self,
        to: Arc<Destination>,
        key: Arc<Secret>,
        request_id: String,
    ) -> Result<Redemption, Failure> {
        if to.kind != AccountKind::Codex {
            return Err(malformed("only ChatGPT accounts have reset credits"));
        }
        let site = self.sites.of(&to)?;
        let address = site.base.at(codex::REDEEM).map_err(|error| malformed(&error.to_string()))?;
        let mut headers = headers::for_question(&to, key.expose()).map_err(bad_credential)?;
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        let outgoing = Outgoing::post(headers, redeem_body(&request_id));
        let (status, body) = self.clients.ask(&to.way, &address, outgoing).await?;
        // Refusals name their reason in the same shape.
        match redemption(&body) {
            Some(redemption) => Ok(redemption),
            None if status.is_success() => Err(malformed("redeeming was answered with something else")),
            None => Err(self.refused(status, &body)),
        }
    }

    async fn look(&self, to: Arc<Destination>, key: Arc<Secret>) -> Result<Inspection, Failure> {
        let site = self.sites.of(&to)?;
        inspect::inspect(self, &site, &to, &key).await
    }

    /// Asks a small question with the account's key, on its way out.
    pub(crate) async fn ask(
        &self,
        to: &Destination,
        key: &Secret,
        address: &Address,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let headers = headers::for_question(to, key.expose()).map_err(bad_credential)?;
        self.clients.ask(&to.way, address, Outgoing::get(headers)).await
    }

    /// Sends nothing to an endpoint: a server that has it misses the body, and nothing is spent.
    pub(crate) async fn knock(
        &self,
        to: &Destination,
        key: &Secret,
        address: &Address,
    ) -> Result<StatusCode, Failure> {
        let mut headers = headers::for_question(to, key.expose()).map_err(bad_credential)?;
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        let (status, _) = self.clients.ask(&to.way, address, Outgoing::post(headers, Bytes::new())).await?;
        Ok(status)
    }

    /// The body of an answer that is a success.
    pub(crate) async fn told(
        &self,
        to: &Destination,
        key: &Secret,
        address: &Address,
    ) -> Result<Bytes, Failure> {
        let (status, body) = self.ask(to, key, address).await?;
        if status.is_success() { Ok(body) } else { Err(self.refused(status, &body)) }
    }

    /// What an answer that is no success means.
    pub(crate) fn refused(&self, status: StatusCode, body: &Bytes) -> Failure {
        classify_answer(status.as_u16(), body, None, &QuotaSnapshot::default(), self.clock.now())
    }

    /// The configured ChatGPT backend, for what belongs to no account.
    pub(crate) fn codex(&self) -> &Site {
        self.sites.codex()
    }
}

impl Upstream for Providers {
    fn respond(&self, request: UpstreamRequest) -> BoxFuture<'_, Result<UpstreamResponse, Failure>> {
        self.turn(request).boxed()
    }

    fn respond_to(
        &self,
        request: UpstreamRequest,
        client: TurnClient,
    ) -> BoxFuture<'_, Result<UpstreamResponse, Failure>> {
        self.client_turn(request, client).boxed()
    }

    fn quota(
        &self,
        to: Arc<Destination>,
        access_token: Arc<Secret>,
    ) -> BoxFuture<'_, Result<QuotaSnapshot, Failure>> {
        self.quota_of(to, access_token).boxed()
    }

    fn redeem(
        &self,
        to: Arc<Destination>,
        access_token: Arc<Secret>,
        request_id: String,
    ) -> BoxFuture<'_, Result<Redemption, Failure>> {
        self.redeem_credit(to, access_token, request_id).boxed()
    }

    fn models(
        &self,
        to: Arc<Destination>,
        access_token: Arc<Secret>,
        client_version: String,
    ) -> BoxFuture<'_, Result<Bytes, Failure>> {
        self.catalogue(to, access_token, client_version).boxed()
    }

    fn inspect(
        &self,
        to: Arc<Destination>,
        access_token: Arc<Secret>,
    ) -> BoxFuture<'_, Result<Inspection, Failure>> {
        self.look(to, access_token).boxed()
    }
}

impl ProxyProbe for Providers {
    fn probe(&self, url: Secret) -> BoxFuture<'_, Result<Duration, String>> {
        async move { proxy::probe(&url, &self.codex().models).await }.boxed()
    }
}

/// A stream's head comes before the work, a whole answer's after it; the body alone says which it will be, except on the
/// Codex backend, which only streams.
const fn head_time(kind: AccountKind, endpoint: Endpoint) -> Duration {
    match (kind, endpoint) {
        (AccountKind::Codex, Endpoint::Responses) => HEAD_TIME,
        _ => WHOLE_ANSWER_TIME,
    }
}

fn no_endpoint(kind: AccountKind, endpoint: Endpoint) -> Failure {
    let why = format!("an account of kind `{}` has no endpoint for {endpoint:?}", kind.as_str());
    Failure::gateway(FailureKind::UnknownRoute, why).retry(Retry::OtherAccount)
}

pub(crate) fn bad_credential(error: BadCredential) -> Failure {
    Failure::gateway(FailureKind::AccountUnauthorized, error.to_string()).retry(Retry::OtherAccount)
}

pub(crate) fn malformed(why: &str) -> Failure {
    Failure::upstream(FailureKind::Malformed, why)
}
