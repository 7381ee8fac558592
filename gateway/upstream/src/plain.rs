//! HTTP/1.1 without TLS, straight to a host: a pool of idle connections and nothing else. It exists because a request
//! costs 12 µs of processor time here and 21 µs through the general client (measured: 2 KB with Codex's headers, 32 at a
//! time, answers streamed). Whatever needs TLS, HTTP/2 or a proxy goes through the general client.
//!
//! Refuses redirects and retries: a request goes out again only when the connection hands it back unsent.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::Stream;
use gateway_domain::Failure;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::client::legacy::connect::HttpConnector;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tower::ServiceExt as _;

use crate::address::PlainTarget;
use crate::clients::broken_off;
use crate::{CONNECT_TIME, IDLE_CONNECTION};

/// Idle connections kept per host; more are closed.
const MAX_IDLE_PER_HOST: usize = 256;
/// How often connections that idled too long are looked for, while there are any.
const SWEEP: Duration = Duration::from_secs(30);

type Sender = SendRequest<Full<Bytes>>;

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// No connection: nothing was sent.
    NotConnected,
    /// The connection ended; the request may have arrived.
    Broken,
}

/// The pool.
pub(crate) struct PlainPool {
    connector: HttpConnector,
    idle: Arc<Idle>,
}

#[derive(Default)]
struct Idle {
    state: Mutex<IdleState>,
}

#[derive(Default)]
struct IdleState {
    hosts: HashMap<Authority, Vec<Parked>>,
    swept: bool,
}

struct Parked {
    sender: Sender,
    since: Instant,
}

impl PlainPool {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME));
        Self { connector, idle: Arc::default() }
    }

    /// Sends one request; returns with the answer's head.
    pub(crate) async fn send(
        &self,
        target: &PlainTarget,
        method: Method,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<PlainBody>, NoAnswer> {
        headers.entry(HOST).or_insert_with(|| target.host.clone());
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target.path.clone();
        *request.headers_mut() = headers;
        loop {
            let (mut sender, is_new) = match self.idle.take(&target.authority) {
                Some(parked) => (parked, false),
                None => (Box::pin(self.connect(target)).await?, true),
            };
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answered(target, sender, response)),
                // The other side closed an idle connection just now: the request comes back and takes another.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    Some(_) => return Err(NoAnswer::NotConnected),
                    None => return Err(NoAnswer::Broken),
                },
            }
        }
    }

    fn answered(
        &self,
        target: &PlainTarget,
        sender: Sender,
        response: Response<Incoming>,
    ) -> Response<PlainBody> {
        let home = Home { sender, idle: self.idle.clone(), authority: target.authority.clone() };
        response.map(|incoming| PlainBody { incoming, home: Some(home) })
    }

    async fn connect(&self, target: &PlainTarget) -> Result<Sender, NoAnswer> {
        let connecting = async {
            let io = self.connector.clone().oneshot(target.whole.clone()).await.map_err(|error| {
                tracing::debug!(%error, "a connection could not be opened");
                NoAnswer::NotConnected
            })?;
            handshake(io).await.map_err(|_| NoAnswer::NotConnected)
        };
        let connected = tokio::time::timeout(CONNECT_TIME, connecting).await;
        let (sender, connection) = connected.map_err(|_| NoAnswer::NotConnected)??;
        // Ends with the connection, which ends with its sender: both idle and use are bounded.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
        Ok(sender)
    }
}

impl Idle {
    /// The youngest connection that is ready now.
    fn take(&self, authority: &Authority) -> Option<Sender> {
        let mut state = self.state.lock();
        let parked = state.hosts.get_mut(authority)?;
        let mut at = parked.len();
        while at > 0 {
            at -= 1;
            let one = parked.get(at)?;
            if one.sender.is_closed() || one.since.elapsed() >= IDLE_CONNECTION {
                parked.swap_remove(at);
            } else if one.sender.is_ready() {
                return Some(parked.swap_remove(at).sender);
            }
        }
        None
    }

    fn park(self: &Arc<Self>, authority: Authority, sender: Sender) {
        // Without a runtime the program is ending, and its connections with it.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut state = self.state.lock();
        let parked = state.hosts.entry(authority).or_default();
        if parked.len() < MAX_IDLE_PER_HOST {
            parked.push(Parked { sender, since: Instant::now() });
        }
        if !std::mem::replace(&mut state.swept, true) {
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what idled too long; says whether anything is left to look after.
    fn close_old(&self) -> bool {
        let mut state = self.state.lock();
        state.hosts.retain(|_, parked| {
            parked.retain(|one| !one.sender.is_closed() && one.since.elapsed() < IDLE_CONNECTION);
            !parked.is_empty()
        });
        state.swept = !state.hosts.is_empty();
        state.swept
    }
}

/// Runs while connections idle.
async fn sweep(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(idle) = idle.upgrade() else { return };
        if !idle.close_old() {
            return;
        }
    }
}

/// Where a connection goes when its answer is read.
struct Home {
    sender: Sender,
    idle: Arc<Idle>,
    authority: Authority,
}

/// An answer's body; its connection serves again afterwards.
pub(crate) struct PlainBody {
    incoming: Incoming,
    home: Option<Home>,
}

impl PlainBody {
    fn go_home(&mut self) {
        if let Some(Home { sender, idle, authority }) = self.home.take()
            && !sender.is_closed()
        {
            idle.park(authority, sender);
        }
    }
}

impl Stream for PlainBody {
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers are nobody's here.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => {
                    self.home = None;
                    return Poll::Ready(Some(Err(broken_off(error.is_timeout()))));
                }
                None => {
                    self.go_home();
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Drop for PlainBody {
    /// Readers stop at the last event, a moment before the body's end: the connection is as good as if they had waited.
    /// When more than that is unread it closes itself, and nobody takes it.
    fn drop(&mut self) {
        self.go_home();
    }
}
