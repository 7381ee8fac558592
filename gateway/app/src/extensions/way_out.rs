//! Carries the requests that components may send: resolves the name itself, refuses every address that is not of the
//! open internet, connects to what it checked, follows no redirect, keeps to time and size.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use futures_util::StreamExt as _;
use gateway_plugin_host::{
    MAX_BODY_BYTES, MAX_TIMEOUT, Outbound, OutboundError, OutboundRequest, OutboundResponse, is_public,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::runtime::Handle;

/// Beyond a request's own time: for the way between the threads.
const SLACK: Duration = Duration::from_millis(250);

/// A client that reaches public addresses only.
pub(super) struct WayOut {
    client: reqwest::Client,
    runtime: Handle,
}

impl WayOut {
    /// `runtime` carries the requests; whoever asks for one waits on a thread of its own.
    ///
    /// # Errors
    /// TLS cannot be set up on this machine.
    pub(super) fn new(runtime: Handle) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(PublicOnly))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { client, runtime })
    }
}

impl Outbound for WayOut {
    fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let timeout = request.timeout.min(MAX_TIMEOUT);
        let (answer, answered) = sync_channel(1);
        let client = self.client.clone();
        let task = self.runtime.spawn(async move {
            let carried = tokio::time::timeout(timeout, carry(client, request)).await;
            // Whoever asked may be gone.
            drop(answer.send(carried.unwrap_or(Err(OutboundError::TimedOut))));
        });
        answered.recv_timeout(timeout + SLACK).unwrap_or_else(|_| {
            task.abort();
            Err(OutboundError::TimedOut)
        })
    }
}

async fn carry(client: reqwest::Client, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
    let OutboundRequest { method, url, headers, body, .. } = request;
    let bad = |error: &dyn fmt::Display| OutboundError::Failed(error.to_string());
    let url = reqwest::Url::parse(&url).map_err(|error| bad(&error))?;
    // An address needs no resolver, so the resolver would not see it.
    let literal =
        url.host_str().map(|host| host.trim_matches(['[', ']'])).and_then(|host| IpAddr::from_str(host).ok());
    if literal.is_some_and(|address| !is_public(address)) {
        return Err(OutboundError::Denied(NotPublic.to_string()));
    }
    let method = reqwest::Method::from_str(&method).map_err(|error| bad(&error))?;
    let mut sending = client.request(method, url).body(body);
    for (name, value) in headers {
        sending = sending.header(name, value);
    }
    let response = sending.send().await.map_err(|error| told(&error))?;
    let status = response.status().as_u16();
    let headers = response.headers().iter();
    let headers = headers
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| told(&error))?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(OutboundError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(OutboundResponse { status, headers, body })
}

fn told(error: &reqwest::Error) -> OutboundError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if one.is::<NotPublic>() {
            return OutboundError::Denied(NotPublic.to_string());
        }
        cause = one.source();
    }
    // Without the URL: it may hold a secret that the component was lent.
    OutboundError::Failed(
        if error.is_connect() { "it cannot be reached" } else { "the exchange broke off" }.to_owned(),
    )
}

/// Resolves names to public addresses; connections go to exactly these.
struct PublicOnly;

/// A name leads to this machine or its network.
#[derive(Debug)]
struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address is not of the open internet")
    }
}

impl Error for NotPublic {}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            // One private address among public ones is a trick, not a choice.
            if found.is_empty() || found.iter().any(|address| !is_public(address.ip())) {
                return Err(Box::new(NotPublic) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn this_machine_is_not_reached_by_address_or_by_name() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way_out = Arc::new(WayOut::new(Handle::current()).unwrap());
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            let request = OutboundRequest {
                method: "GET".to_owned(),
                url: format!("http://{host}:{port}/"),
                headers: Vec::new(),
                body: Vec::new(),
                timeout: Duration::from_secs(2),
            };
            let way_out = way_out.clone();
            let answer = tokio::task::spawn_blocking(move || way_out.send(request)).await.unwrap();
            assert!(matches!(answer, Err(OutboundError::Denied(_))), "{host}: {answer:?}");
        }
        let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(nobody.is_err(), "somebody connected");
    }
}
