//! The load generator: keep-alive connections, one turn at a time on each, as fast as the answers come.
//! Bounded in time; every answer is checked, because a fast wrong answer is worth nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::field::Credentials;
use crate::turns::turn;

/// The path that the lab and the gateway have in common.
const PATH: &str = "/backend-api/codex/responses";
/// What stands at the end of every complete answer.
const END: &[u8] = b"event: response.completed\n";

/// One keep-alive connection and the turn it sends.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
}

/// What a turn of load brought.
pub(crate) struct Load {
    pub(crate) latencies: Vec<Duration>,
    pub(crate) elapsed: Duration,
}

/// Opens connections, each for a conversation of its own, and proves on each that the answer is right.
pub(crate) async fn connect(
    address: SocketAddr,
    credentials: &Credentials,
    count: usize,
    size: usize,
    ask: &str,
) -> Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(count);
    for number in 0..count {
        let session = format!("bench-{number:05}");
        let mut connection =
            Connection::open(address, credentials, &session, turn(&session, size, ask)).await?;
        let mut tail = Vec::new();
        connection.exchange(|chunk| tail.extend_from_slice(chunk)).await?;
        ensure!(memchr::memmem::find(&tail, END).is_some(), "{address} answered without an end");
        connections.push(connection);
    }
    Ok(connections)
}

/// Keeps every connection busy for `span`.
pub(crate) async fn closed_loop(connections: &mut [Connection], span: Duration) -> Result<Load> {
    let begun = Instant::now();
    let loops = connections.iter_mut().map(async |connection| {
        let mut latencies = Vec::new();
        while begun.elapsed() < span {
            let sent = Instant::now();
            connection.exchange(|_| {}).await?;
            latencies.push(sent.elapsed());
        }
        Ok::<_, anyhow::Error>(latencies)
    });
    let latencies = try_join_all(loops).await?.concat();
    Ok(Load { latencies, elapsed: begun.elapsed() })
}

impl Connection {
    /// Connects, without sending anything.
    pub(crate) async fn open(
        address: SocketAddr,
        credentials: &Credentials,
        session: &str,
        body: Bytes,
    ) -> Result<Self> {
        let headers = [
            (AUTHORIZATION.as_str(), format!("Bearer {}", credentials.token)),
            (USER_AGENT.as_str(), "codex_exec/0.169.0 (Linux; x86_64) bench".to_owned()),
            (ACCEPT.as_str(), "text/event-stream".to_owned()),
            ("chatgpt-account-id", credentials.workspace.clone()),
            ("originator", "codex_exec".to_owned()),
            ("session-id", session.to_owned()),
        ];
        Self::open_at(address, PATH, &headers, body).await
    }

    /// The same at another path, for another client.
    pub(crate) async fn open_at(
        address: SocketAddr,
        path: &'static str,
        said: &[(&str, String)],
        body: Bytes,
    ) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // What breaks here is seen by whoever waits for the answer.
            drop(connection.await);
        });
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::try_from(address.to_string())?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in said {
            headers.insert(hyper::header::HeaderName::try_from(*name)?, HeaderValue::try_from(value)?);
        }
        Ok(Self { sender, headers, uri: Uri::from_static(path), body })
    }

    /// Sends the turn and waits for the answer's head.
    pub(crate) async fn send(&mut self) -> Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        self.sender.ready().await.context("the connection was closed")?;
        let response = self.sender.send_request(request).await.context("no answer")?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            anyhow::bail!("answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(response)
    }

    /// Sends the turn and reads the answer to its end.
    pub(crate) async fn exchange(&mut self, mut on_chunk: impl FnMut(&Bytes)) -> Result<()> {
        let mut body = self.send().await?.into_body();
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.context("the answer broke off")?.into_data() {
                read += data.len();
                on_chunk(&data);
            }
        }
        ensure!(read > 0, "the answer was empty");
        Ok(())
    }
}
