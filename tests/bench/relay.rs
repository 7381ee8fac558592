//! What a proxy costs that does next to nothing: the yardstick. The bare one copies bytes; the inspecting one also
//! reads what routing needs from the request and looks for the end of the stream, as any gateway of this kind must.
//!
//! Written as one would write it today with hyper, with nothing left out that a correct relay needs and nothing tuned.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use memchr::memchr_iter;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::options::RelayOptions;

/// The longest line that is remembered while its end has not arrived; names of events are short.
const MAX_NAME_BYTES: usize = 256;

type RelayBody = UnsyncBoxBody<Bytes, hyper::Error>;
type Upstream = Client<HttpConnector, RelayBody>;

/// What decides where a request goes.
#[derive(Deserialize)]
struct Routing {
    model: String,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    prompt_cache_key: Option<String>,
}

/// Relays until the process is ended.
pub(crate) async fn run(options: RelayOptions) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Upstream = Client::builder(TokioExecutor::new()).build(connector);
    let listener = TcpListener::bind(options.listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let client = client.clone();
        let (upstream, inspect) = (options.upstream, options.inspect);
        let service = service_fn(move |request| {
            let client = client.clone();
            async move {
                let relayed = if inspect {
                    inspecting(&client, upstream, request).await
                } else {
                    bare(&client, upstream, request).await
                };
                Ok::<_, Infallible>(relayed.unwrap_or_else(refusal))
            }
        });
        tokio::spawn(async move {
            // A connection that breaks was closed by a client that had seen enough.
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

async fn bare(
    client: &Upstream,
    upstream: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<RelayBody>, StatusCode> {
    let request = readdressed(request.map(BodyExt::boxed_unsync), upstream)?;
    let response = client.request(request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(without_hop_headers(response).map(BodyExt::boxed_unsync))
}

async fn inspecting(
    client: &Upstream,
    upstream: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<RelayBody>, StatusCode> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| StatusCode::BAD_REQUEST)?.to_bytes();
    let routing: Routing = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    // It must not be cleverer than a router: what was read has to be there.
    let known = !routing.model.is_empty() && routing.stream && routing.prompt_cache_key.is_some();
    if !known {
        return Err(StatusCode::BAD_REQUEST);
    }
    let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
    let request = readdressed(Request::from_parts(parts, body), upstream)?;
    let response = client.request(request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(without_hop_headers(response).map(|body| Watched { body, watch: EndWatch::default() }.boxed_unsync()))
}

fn readdressed(
    mut request: Request<RelayBody>,
    upstream: SocketAddr,
) -> Result<Request<RelayBody>, StatusCode> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let uri: Uri = format!("http://{upstream}{path}").parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    *request.uri_mut() = uri;
    let host = HeaderValue::try_from(upstream.to_string()).map_err(|_| StatusCode::BAD_REQUEST)?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().remove(CONNECTION);
    Ok(request)
}

fn without_hop_headers<B>(mut response: Response<B>) -> Response<B> {
    response.headers_mut().remove(CONNECTION);
    response.headers_mut().remove(TRANSFER_ENCODING);
    response
}

fn refusal(status: StatusCode) -> Response<RelayBody> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

/// A body that is read along.
struct Watched {
    body: Incoming,
    watch: EndWatch,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.watch.read(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// Looks for the last event of a Responses stream.
#[derive(Default)]
struct EndWatch {
    /// The beginning of a line whose end has not arrived.
    begun: BytesMut,
    ended: bool,
}

impl EndWatch {
    fn read(&mut self, data: &[u8]) {
        let mut start = 0;
        for end in memchr_iter(b'\n', data) {
            let line = data.get(start..end).unwrap_or_default();
            start = end + 1;
            if self.begun.is_empty() {
                self.ended |= is_terminal(line);
            } else {
                self.begun.extend_from_slice(line.get(..line.len().min(MAX_NAME_BYTES)).unwrap_or_default());
                self.ended |= is_terminal(&self.begun);
                self.begun.clear();
            }
        }
        let rest = data.get(start..).unwrap_or_default();
        let room = MAX_NAME_BYTES.saturating_sub(self.begun.len());
        self.begun.extend_from_slice(rest.get(..rest.len().min(room)).unwrap_or_default());
    }
}

fn is_terminal(line: &[u8]) -> bool {
    let name = line.strip_prefix(b"event: ".as_slice()).unwrap_or_default();
    matches!(name, b"response.completed" | b"response.failed" | b"response.incomplete" | b"error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_seen_wherever_the_stream_is_torn() {
        let stream = b"event: response.created\ndata: {}\n\nevent: response.completed\ndata: {}\n\n";
        for cut in 0..stream.len() {
            let mut watch = EndWatch::default();
            watch.read(&stream[..cut]);
            watch.read(&stream[cut..]);
            assert!(watch.ended, "torn at {cut}");
        }
        let mut watch = EndWatch::default();
        watch.read(b"data: event: response.completed\n");
        assert!(!watch.ended);
    }
}
