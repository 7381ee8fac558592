//! The HTTP clients: one for straight ways, one for each proxy. A request with a proxy leaves through that proxy or not
//! at all; a straight one minds the proxies that the machine's environment names (`HTTPS_PROXY`, `NO_PROXY` …), as every
//! tool does. Refuses redirects: a token is not carried elsewhere.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use gateway_core::ports::{ResponseBody, Transport, UpstreamResponse, Way};
use gateway_domain::{Dispatch, Failure, FailureKind, ProxyId, Retry, Secret};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::Full;
use hyper_util::client::proxy::matcher::Matcher;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::address::Address;
use crate::proxy::{self, ProxyUrlError};
use crate::straight::{NoAnswer, Straight, chunks};
use crate::{BuildError, CONNECT_TIME, IDLE_CONNECTION, MAX_SMALL_ANSWER_BYTES, SMALL_QUESTION_TIME};

/// Clients for this many proxies are kept; beyond it the one that was used least recently goes.
pub const MAX_PROXIED_CLIENTS: usize = 256;
/// A proxy's client that was not used for this long goes.
pub const UNUSED_CLIENT: Duration = Duration::from_secs(300);

/// What goes out.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Outgoing {
    pub(crate) const fn get(headers: HeaderMap) -> Self {
        Self { method: Method::GET, headers, body: Bytes::new() }
    }

    pub(crate) const fn post(headers: HeaderMap, body: Bytes) -> Self {
        Self { method: Method::POST, headers, body }
    }
}

/// All clients; shared by everything that sends.
pub struct Clients {
    straight: Straight,
    /// The machine's own proxies; what they are for goes through the general client, which knows them.
    environment: Matcher,
    direct: reqwest::Client,
    proxied: Mutex<HashMap<ProxyId, Proxied>>,
    /// For upgrades, which only HTTP/1.1 has; made when the first one is wanted.
    upgrading: OnceCell<reqwest::Client>,
    upgrading_proxied: Mutex<HashMap<ProxyId, Proxied>>,
}

struct Proxied {
    /// The address it was made for: another one means another client.
    url: Secret,
    client: reqwest::Client,
    used: Instant,
}

impl Clients {
    /// The client for straight ways; those for proxies are made when they are first used.
    ///
    /// # Errors
    /// TLS or the resolver cannot be set up.
    pub fn new() -> Result<Self, BuildError> {
        Ok(Self {
            straight: Straight::new()?,
            environment: Matcher::from_env(),
            direct: settings().build()?,
            proxied: Mutex::default(),
            upgrading: OnceCell::new(),
            upgrading_proxied: Mutex::default(),
        })
    }

    /// Sends and returns with the answer's head, whatever its status.
    pub(crate) async fn send(
        &self,
        way: &Way,
        address: &Address,
        outgoing: Outgoing,
        head_time: Duration,
    ) -> Result<UpstreamResponse, Failure> {
        match way {
            Way::Direct if self.environment.intercept(&address.uri).is_none() => {
                self.send_straight(address, outgoing, head_time).await
            }
            Way::Direct => {
                send(&self.direct, address, outgoing, head_time).await.map_err(Unanswered::straight)
            }
            Way::Proxy { id, url } => {
                let client = through(&self.proxied, id, url, settings)
                    .await
                    .map_err(|error| unreachable(error.to_string()))?;
                let answer =
                    send(&client, address, outgoing, head_time).await.map_err(Unanswered::through_proxy)?;
                if answer.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                    return Err(proxy_refused());
                }
                Ok(answer)
            }
        }
    }

    async fn send_straight(
        &self,
        address: &Address,
        outgoing: Outgoing,
        head_time: Duration,
    ) -> Result<UpstreamResponse, Failure> {
        let Outgoing { method, headers, body } = outgoing;
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = address.uri.clone();
        *request.headers_mut() = headers;
        let sending = self.straight.send(request);
        let answered = tokio::time::timeout(head_time, sending).await.map_err(|_| no_answer())?;
        let response = answered.map_err(|error| match error {
            NoAnswer::NotConnected => Unanswered::NotConnected.straight(),
            NoAnswer::Broken => Unanswered::Broken.straight(),
        })?;
        let (head, body) = response.into_parts();
        Ok(over_http(head.status, head.headers, chunks(body)))
    }

    /// Asks a small question: the whole answer, within its time and size.
    pub(crate) async fn ask(
        &self,
        way: &Way,
        address: &Address,
        outgoing: Outgoing,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let asking = async {
            let answer = self.send(way, address, outgoing, SMALL_QUESTION_TIME).await?;
            Ok((answer.status, read_small(answer.body).await?))
        };
        tokio::time::timeout(SMALL_QUESTION_TIME, asking).await.map_err(|_| no_answer())?
    }

    /// Asks for an upgrade; the caller bounds the wait. No turn was sent when it fails.
    pub(crate) async fn upgrade(
        &self,
        way: &Way,
        address: &Address,
        headers: HeaderMap,
    ) -> Result<reqwest::Response, Failure> {
        let outgoing = Outgoing::get(headers);
        let answer = match way {
            // The machine's own proxies are minded by every client that is made of settings.
            Way::Direct => {
                let client = self.upgrading.get_or_try_init(straight_upgrader).await?;
                client
                    .execute(request(address, outgoing))
                    .await
                    .map_err(|error| Unanswered::because(&error).straight())
            }
            Way::Proxy { id, url } => {
                let client = through(&self.upgrading_proxied, id, url, upgrades).await;
                let client = client.map_err(|error| unreachable(error.to_string()))?;
                let answer = client.execute(request(address, outgoing)).await;
                answer.map_err(|error| Unanswered::because(&error).through_proxy())
            }
        };
        let answer = answer.map_err(|failure| failure.dispatched(Dispatch::NotSent))?;
        if answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(proxy_refused());
        }
        Ok(answer)
    }

    /// As if the machine's environment named this proxy for plain HTTP, except for `localhost`.
    #[cfg(test)]
    pub(crate) fn in_environment(proxy: &str) -> Self {
        let named = reqwest::Proxy::http(proxy).unwrap();
        Self {
            straight: Straight::new().unwrap(),
            environment: Matcher::builder().http(proxy.to_owned()).no("localhost").build(),
            direct: settings().proxy(named).build().unwrap(),
            proxied: Mutex::default(),
            upgrading: OnceCell::new(),
            upgrading_proxied: Mutex::default(),
        }
    }

    /// How many proxies have a client now.
    #[cfg(test)]
    pub(crate) fn proxied(&self) -> usize {
        self.proxied.lock().len()
    }
}

/// The client of one proxy.
async fn through(
    clients: &Mutex<HashMap<ProxyId, Proxied>>,
    id: &ProxyId,
    url: &Secret,
    settings: fn() -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, ProxyUrlError> {
    let now = Instant::now();
    if let Some(known) = clients.lock().get_mut(id).filter(|known| known.url == *url) {
        known.used = now;
        return Ok(known.client.clone());
    }
    // Certificates are read from disk, which takes up to 20 ms: not under the lock, not on this thread.
    let to_make = url.clone();
    let making = tokio::task::spawn_blocking(move || client_through(&to_make, settings()));
    let client = making.await.map_err(|_| ProxyUrlError::NoClient)??;
    let made = Proxied { url: url.clone(), client: client.clone(), used: now };
    let mut clients = clients.lock();
    forget_unused(&mut clients, now);
    clients.insert(id.clone(), made);
    Ok(client)
}

async fn straight_upgrader() -> Result<reqwest::Client, Failure> {
    let making = tokio::task::spawn_blocking(|| upgrades().build());
    match making.await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(_)) | Err(_) => Err(unreachable("the client for WebSockets could not be set up".to_owned())),
    }
}

/// Makes room: what was not used lately goes, and the oldest when there are too many. Running requests keep theirs.
fn forget_unused(proxied: &mut HashMap<ProxyId, Proxied>, now: Instant) {
    proxied.retain(|_, one| now.saturating_duration_since(one.used) < UNUSED_CLIENT);
    while proxied.len() >= MAX_PROXIED_CLIENTS {
        let Some(oldest) = proxied.iter().min_by_key(|(_, one)| one.used).map(|(id, _)| id.clone()) else {
            return;
        };
        proxied.remove(&oldest);
    }
}

/// A client that sends everything through one proxy.
pub(crate) fn proxied_client(url: &Secret) -> Result<reqwest::Client, ProxyUrlError> {
    client_through(url, settings())
}

fn client_through(url: &Secret, settings: reqwest::ClientBuilder) -> Result<reqwest::Client, ProxyUrlError> {
    let proxy = reqwest::Proxy::all(proxy::checked(url)?).map_err(|_| ProxyUrlError::NotAUrl)?;
    settings.proxy(proxy).build().map_err(|_| ProxyUrlError::NoClient)
}

/// Settings for connections that are upgraded: each is used for one socket.
fn upgrades() -> reqwest::ClientBuilder {
    settings().http1_only().pool_max_idle_per_host(0)
}

fn settings() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIME)
        .pool_idle_timeout(IDLE_CONNECTION)
        .tcp_nodelay(true)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(Duration::from_secs(15))
        .http2_keep_alive_timeout(Duration::from_secs(15))
        .redirect(reqwest::redirect::Policy::none())
}

async fn send(
    client: &reqwest::Client,
    address: &Address,
    outgoing: Outgoing,
    head_time: Duration,
) -> Result<UpstreamResponse, Unanswered> {
    let sending = tokio::time::timeout(head_time, client.execute(request(address, outgoing)));
    let response =
        sending.await.map_err(|_| Unanswered::TimedOut)?.map_err(|error| Unanswered::because(&error))?;
    Ok(whole_answer(response))
}

fn request(address: &Address, outgoing: Outgoing) -> reqwest::Request {
    let mut request = reqwest::Request::new(outgoing.method, address.url.clone());
    *request.headers_mut() = outgoing.headers;
    if !outgoing.body.is_empty() || request.method() == Method::POST {
        *request.body_mut() = Some(outgoing.body.into());
    }
    request
}

/// An answer as it comes.
pub(crate) fn whole_answer(mut response: reqwest::Response) -> UpstreamResponse {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let body = response.bytes_stream().map(|chunk| chunk.map_err(|error| broken_off(error.is_timeout())));
    over_http(status, headers, Box::pin(body))
}

const fn over_http(status: StatusCode, headers: HeaderMap, body: ResponseBody) -> UpstreamResponse {
    UpstreamResponse { status, transport: Transport::Http, headers, body }
}

/// Why nothing of an answer was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unanswered {
    NotConnected,
    Broken,
    TimedOut,
}

impl Unanswered {
    fn because(error: &reqwest::Error) -> Self {
        if error.is_connect() {
            Self::NotConnected
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Broken
        }
    }

    fn straight(self) -> Failure {
        match self {
            Self::NotConnected => unreachable("the upstream could not be reached".to_owned()),
            Self::Broken => unreachable("the upstream closed the connection without an answer".to_owned())
                .dispatched(Dispatch::Ambiguous),
            Self::TimedOut => no_answer(),
        }
    }

    fn through_proxy(self) -> Failure {
        match self {
            Self::NotConnected => unreachable(
                "the egress proxy could not be reached or would not connect to the upstream".to_owned(),
            ),
            Self::Broken => unreachable(
                "the egress proxy or the upstream closed the connection without an answer".to_owned(),
            )
            .dispatched(Dispatch::Ambiguous),
            Self::TimedOut => no_answer(),
        }
    }
}

fn unreachable(why: String) -> Failure {
    Failure::upstream(FailureKind::Unreachable, why).retry(Retry::OtherAccount).dispatched(Dispatch::NotSent)
}

/// Only a proxy says 407: the upstream did not see the request.
fn proxy_refused() -> Failure {
    unreachable("the egress proxy refused its user name and password".to_owned())
}

pub(crate) fn no_answer() -> Failure {
    Failure::upstream(FailureKind::UpstreamTimeout, "the upstream did not answer in time")
        .retry(Retry::OtherAccount)
        .dispatched(Dispatch::Ambiguous)
}

/// The answer broke off. Its first words make a client that goes by the message ask again (OpenCode does).
pub(crate) fn broken_off(timed_out: bool) -> Failure {
    let kind = if timed_out { FailureKind::UpstreamTimeout } else { FailureKind::StreamCut };
    let message = "connection lost: the upstream closed it before the response was complete";
    Failure::upstream(kind, message).dispatched(Dispatch::Ambiguous)
}

/// Reads a small answer to its end, within its limit.
async fn read_small(mut body: ResponseBody) -> Result<Bytes, Failure> {
    let mut read = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if read.len() + chunk.len() > MAX_SMALL_ANSWER_BYTES {
            let why = format!("the answer is larger than {MAX_SMALL_ANSWER_BYTES} bytes");
            return Err(Failure::upstream(FailureKind::Malformed, why));
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(id: usize) -> (ProxyId, Secret) {
        (ProxyId::parse(&format!("prx_{id}")).unwrap(), Secret::new(format!("http://127.0.0.1:{}", id + 1)))
    }

    #[tokio::test]
    async fn each_proxy_has_one_client_until_its_address_changes() {
        let clients = Clients::new().unwrap();
        let (id, url) = proxy(1);
        let ask = async |url: &Secret| through(&clients.proxied, &id, url, settings).await;
        ask(&url).await.unwrap();
        ask(&url).await.unwrap();
        assert_eq!(clients.proxied(), 1);
        let before = clients.proxied.lock()[&id].url.clone();
        ask(&Secret::from("socks5h://u:p@127.0.0.1:9")).await.unwrap();
        assert_eq!(clients.proxied(), 1);
        assert_ne!(clients.proxied.lock()[&id].url, before);
        assert_eq!(ask(&Secret::from("gopher://x")).await.unwrap_err(), ProxyUrlError::WrongScheme);
    }

    #[test]
    fn unused_clients_go_and_there_are_never_too_many() {
        let now = Instant::now();
        let client = settings().no_proxy().build().unwrap();
        let entry = |used: Instant| Proxied { url: Secret::from("http://h"), client: client.clone(), used };
        let mut proxied = HashMap::new();
        for id in 0..MAX_PROXIED_CLIENTS {
            proxied.insert(proxy(id).0, entry(now + Duration::from_millis(id as u64)));
        }
        forget_unused(&mut proxied, now + Duration::from_secs(1));
        assert_eq!(proxied.len(), MAX_PROXIED_CLIENTS - 1);
        assert!(!proxied.contains_key(&proxy(0).0), "the one used least recently");
        forget_unused(&mut proxied, now + UNUSED_CLIENT + Duration::from_millis(100));
        assert_eq!(proxied.len(), MAX_PROXIED_CLIENTS - 101);
    }
}
