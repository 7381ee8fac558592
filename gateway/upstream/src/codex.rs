//! The Codex backend of ChatGPT over HTTP.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use gateway_core::ports::{Clock, Upstream, UpstreamRequest, UpstreamResponse};
use gateway_domain::{Failure, FailureKind, QuotaSnapshot, Retry, Secret};
use gateway_protocol::codex::{classify_answer, quota_from_usage};
use http::Method;
use reqwest::{Request, Url};
use std::sync::Arc;

use crate::{BuildError, HEAD_TIME, SMALL_QUESTION_TIME, client, headers, join, read_small};

/// Talks to the Codex backend.
pub struct CodexUpstream {
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    responses: Url,
    usage: Url,
    models: Url,
}

impl CodexUpstream {
    /// For a backend at `base` (`https://chatgpt.com/backend-api` unless configured otherwise).
    ///
    /// # Errors
    /// The base is no URL, or the HTTP client cannot be set up.
    pub fn new(base: &str, clock: Arc<dyn Clock>) -> Result<Self, BuildError> {
        Ok(Self {
            client: client()?,
            clock,
            responses: join(base, "codex/responses")?,
            usage: join(base, "wham/usage")?,
            models: join(base, "codex/models")?,
        })
    }

    async fn turn(&self, mut request: UpstreamRequest) -> Result<UpstreamResponse, Failure> {
        let mut outgoing = Request::new(Method::POST, self.responses.clone());
        *outgoing.headers_mut() = headers::for_turn(&mut request).map_err(|error| bad_credential(&error))?;
        *outgoing.body_mut() = Some(request.body.into());
        let sending = tokio::time::timeout(HEAD_TIME, self.client.execute(outgoing));
        let mut response = sending.await.map_err(|_| no_answer())?.map_err(|error| not_sent(&error))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let body = response.bytes_stream().map(|chunk| chunk.map_err(|error| cut(&error)));
        Ok(UpstreamResponse { status, headers, body: Box::pin(body) })
    }

    /// Asks one of the small questions and hands back the answer's body.
    async fn question(
        &self,
        url: Url,
        token: Secret,
        workspace_id: Option<String>,
    ) -> Result<Bytes, Failure> {
        let mut outgoing = Request::new(Method::GET, url);
        *outgoing.headers_mut() = headers::for_question(token.expose(), workspace_id.as_deref())
            .map_err(|error| bad_credential(&error))?;
        let asking = async {
            let response = self.client.execute(outgoing).await.map_err(|error| not_sent(&error))?;
            let status = response.status();
            let body =
                read_small(response).await.map_err(|why| Failure::upstream(FailureKind::Malformed, why))?;
            Ok((status, body))
        };
        let (status, body) =
            tokio::time::timeout(SMALL_QUESTION_TIME, asking).await.map_err(|_| no_answer())??;
        if status.is_success() {
            return Ok(body);
        }
        Err(classify_answer(status.as_u16(), &body, None, &QuotaSnapshot::default(), self.clock.now()))
    }
}

impl Upstream for CodexUpstream {
    fn respond(&self, request: UpstreamRequest) -> BoxFuture<'_, Result<UpstreamResponse, Failure>> {
        self.turn(request).boxed()
    }

    fn quota(
        &self,
        access_token: Secret,
        workspace_id: Option<String>,
    ) -> BoxFuture<'_, Result<QuotaSnapshot, Failure>> {
        async move {
            let body = self.question(self.usage.clone(), access_token, workspace_id).await?;
            quota_from_usage(&body, self.clock.now()).ok_or_else(|| {
                Failure::upstream(FailureKind::Malformed, "wham/usage answered something else")
            })
        }
        .boxed()
    }

    fn models(
        &self,
        access_token: Secret,
        workspace_id: Option<String>,
        client_version: String,
    ) -> BoxFuture<'_, Result<Bytes, Failure>> {
        let mut url = self.models.clone();
        url.query_pairs_mut().append_pair("client_version", &client_version);
        self.question(url, access_token, workspace_id).boxed()
    }
}

fn bad_credential(error: &headers::BadCredential) -> Failure {
    Failure::gateway(FailureKind::AccountUnauthorized, error.to_string()).retry(Retry::OtherAccount)
}

fn no_answer() -> Failure {
    Failure::upstream(FailureKind::UpstreamTimeout, "the upstream did not answer in time")
        .retry(Retry::OtherAccount)
}

/// The request did not get an answer: nothing of one was seen.
fn not_sent(error: &reqwest::Error) -> Failure {
    let why = if error.is_connect() {
        "the upstream could not be reached"
    } else if error.is_timeout() {
        return no_answer();
    } else {
        "the upstream closed the connection without an answer"
    };
    Failure::upstream(FailureKind::Unreachable, why).retry(Retry::OtherAccount)
}

/// The answer broke off.
fn cut(error: &reqwest::Error) -> Failure {
    let kind = if error.is_timeout() { FailureKind::UpstreamTimeout } else { FailureKind::StreamCut };
    Failure::upstream(kind, "the upstream closed the connection before the response was complete")
}
