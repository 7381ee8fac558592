//! The client for straight ways: pooled connections with or without TLS, certificates by the system's store.
//!
//! It refuses everything a general client does on top (redirects, cookies, addresses parsed anew), because a turn pays
//! for that with more CPU time than for all else the gateway does (decision record 0009). Ways through proxies use such a
//! client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use gateway_core::ports::ResponseBody;
use http::{Request, Response, Uri};
use http_body_util::{BodyStream, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use tower::Service;

use crate::clients::broken_off;
use crate::{BuildError, CONNECT_TIME, IDLE_CONNECTION};

/// How often an idle HTTP/2 connection is asked whether it is still there, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What a connection reads ahead, and the longest head of an answer: an idle one keeps it.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// Idle connections kept per host; more are closed.
const MAX_IDLE_PER_HOST: usize = 256;

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// No connection: nothing was sent.
    NotConnected,
    /// The connection ended; the request may have arrived.
    Broken,
}

/// Sends along straight ways.
pub(crate) struct Straight(Client<Connector, Full<Bytes>>);

impl Straight {
    /// A client with no connection yet.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(crate) fn new() -> Result<Self, BuildError> {
        let mut client = Client::builder(TokioExecutor::new());
        client
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .http1_max_buf_size(MAX_BUFFER_BYTES)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE);
        Ok(Self(client.build(Connector::new()?)))
    }

    /// Sends one request; returns with the answer's head. A pooled connection that turns out to be closed before
    /// anything went out is replaced.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, NoAnswer> {
        let sent = self.0.request(request).await;
        sent.map_err(|error| if error.is_connect() { NoAnswer::NotConnected } else { NoAnswer::Broken })
    }
}

/// The chunks of a body; trailers carry nothing that anybody reads.
pub(crate) fn chunks(body: Incoming) -> ResponseBody {
    Box::pin(BodyStream::new(body).filter_map(|frame| {
        let data = frame.map(|frame| frame.into_data().ok()).map_err(|error| broken_off(error.is_timeout()));
        std::future::ready(data.transpose())
    }))
}

type ConnectError = Box<dyn std::error::Error + Send + Sync>;

/// Opens connections, TLS included, within [`CONNECT_TIME`].
#[derive(Clone)]
struct Connector(HttpsConnector<HttpConnector>);

impl Connector {
    fn new() -> Result<Self, BuildError> {
        // Named, because a process with two of them has no default.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIME));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions();
        Ok(Self(https.wrap_connector(tcp)))
    }
}

impl Service<Uri> for Connector {
    type Response = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(CONNECT_TIME, self.0.call(target));
        Box::pin(async move { connecting.await? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn post(to: &str) -> Request<Full<Bytes>> {
        Request::post(to).body(Full::new(Bytes::from("question"))).unwrap()
    }

    #[tokio::test]
    async fn a_connection_serves_again_and_a_closed_one_is_replaced() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/turn", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let mut seen = Vec::new();
            // Two requests on the first connection, which is closed then; one on the next.
            for requests in [2, 1] {
                let (mut stream, _) = listener.accept().await.unwrap();
                for _ in 0..requests {
                    let mut read = vec![0; 4096];
                    let count = stream.read(&mut read).await.unwrap();
                    seen.push(String::from_utf8(read[..count].to_vec()).unwrap());
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
                }
            }
            seen
        });
        let client = Straight::new().unwrap();
        for _ in 0..3 {
            let answer = client.send(post(&url)).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hi");
            // The pool learns of a closed connection when its task has run.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let seen = served.await.unwrap();
        assert!(seen.iter().all(|one| one.starts_with("POST /turn HTTP/1.1\r\n")), "{seen:?}");
    }

    #[tokio::test]
    async fn who_does_not_listen_was_not_sent_anything() {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let refused = Straight::new().unwrap().send(post(&format!("http://{address}/"))).await;
        assert_eq!(refused.err(), Some(NoAnswer::NotConnected));
    }
}
