//! Opening a socket: the upgrade, on the account's way out, and whose socket it is. Refuses to send a turn.

use gateway_core::ports::{Transport, TurnClient, UpstreamRequest, UpstreamResponse, Way};
use gateway_domain::{Failure, FailureKind};
use gateway_protocol::responses::LITE_HEADER;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::Upgraded;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::HANDSHAKE_TIME;
use crate::address::Address;
use crate::clients::{Clients, whole_answer};

const BETA: HeaderName = HeaderName::from_static("openai-beta");
/// Without it the backend speaks HTTP only (facts: codex-lb 1.2.4).
const SOCKET_BETA: &str = "responses_websockets=2026-02-06";
/// It cannot stand beside the other.
const HTTP_BETA: &str = "responses=experimental";
/// The longest frame of the backend, in bytes.
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;
/// Read and written at once; a socket costs both.
const BUFFER: usize = 16 * 1024;
/// What differs from turn to turn of one conversation; each frame says it anew.
const OF_ONE_TURN: &[&str] = &["x-codex-turn-metadata", "x-codex-window-id", "x-codex-turn-state"];

/// Whose a socket is. Only a turn with the very same may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    client: String,
    way: Way,
    address: String,
    /// Credentials included: a renewed token opens a new socket.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Identity {
    pub(super) fn new(
        client: &TurnClient,
        request: &UpstreamRequest,
        address: &Address,
        headers: &HeaderMap,
    ) -> Self {
        let mut headers: Vec<_> = headers
            .iter()
            .filter(|(name, _)| !OF_ONE_TURN.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        headers.sort_unstable_by(|a, b| (a.0.as_str(), a.1.as_bytes()).cmp(&(b.0.as_str(), b.1.as_bytes())));
        Self {
            client: client.label.to_string(),
            way: request.to.way.clone(),
            address: address.url.to_string(),
            headers,
        }
    }
}

/// The headers of an HTTP turn as those of an upgrade. Returns the one that goes along with the frame instead.
pub(super) fn for_upgrade(headers: &mut HeaderMap) -> Option<HeaderValue> {
    headers.remove(ACCEPT);
    headers.remove(CONTENT_TYPE);
    let mut tokens: Vec<String> = headers
        .get_all(BETA)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|token| token.trim().to_owned())
        .filter(|token| {
            !token.is_empty() && token != HTTP_BETA && !token.starts_with("responses_websockets=")
        })
        .collect();
    tokens.push(SOCKET_BETA.to_owned());
    if let Ok(value) = HeaderValue::try_from(tokens.join(",")) {
        headers.insert(BETA, value);
    }
    headers.remove(LITE_HEADER)
}

/// What came of an upgrade.
pub(super) enum Opened {
    /// It is open; the headers are those of the upgrade's answer.
    Socket(Box<WebSocketStream<Upgraded>>, HeaderMap),
    /// The upstream refused the account or the request.
    Refused(UpstreamResponse),
    /// The upstream speaks HTTP only.
    NotOffered,
}

/// Opens a socket.
pub(super) async fn open(
    clients: &Clients,
    way: &Way,
    address: &Address,
    mut headers: HeaderMap,
) -> Result<Opened, Failure> {
    let key = generate_key();
    let expected = derive_accept_key(key.as_bytes());
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    if let Ok(key) = HeaderValue::try_from(key) {
        headers.insert(SEC_WEBSOCKET_KEY, key);
    }
    let opening = async {
        let answer = clients.upgrade(way, address, headers).await?;
        match answer.status() {
            StatusCode::SWITCHING_PROTOCOLS => {}
            StatusCode::UPGRADE_REQUIRED
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED => return Ok(Opened::NotOffered),
            status if status.is_success() => return Ok(Opened::NotOffered),
            _ => return Ok(Opened::Refused(whole_answer(answer))),
        }
        let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if accepted != Some(expected.as_bytes()) {
            return Ok(Opened::NotOffered);
        }
        let headers = answer.headers().clone();
        let upgraded = answer.upgrade().await.map_err(|_| broken())?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(MAX_FRAME_BYTES))
            .max_frame_size(Some(MAX_FRAME_BYTES));
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
        Ok(Opened::Socket(Box::new(socket), headers))
    };
    tokio::time::timeout(HANDSHAKE_TIME, opening).await.unwrap_or_else(|_| Err(broken()))
}

/// No turn was sent yet, so any account may take it.
fn broken() -> Failure {
    Failure::upstream(FailureKind::Unreachable, "the upstream did not finish the upgrade to WebSocket")
        .retry(gateway_domain::Retry::OtherAccount)
        .dispatched(gateway_domain::Dispatch::NotSent)
}

/// An answer in the words of HTTP that came as a frame.
pub(super) fn over_socket(status: u16, headers: HeaderMap, body: bytes::Bytes) -> UpstreamResponse {
    let body = futures_util::stream::once(async move { Ok(body) });
    UpstreamResponse {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        transport: Transport::WebSocket,
        headers,
        body: Box::pin(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_says_what_the_backend_needs_and_not_what_a_frame_says() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "text/event-stream"),
            ("content-type", "application/json"),
            ("openai-beta", "responses=experimental, other=1"),
            (LITE_HEADER, "true"),
            ("session-id", "s"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        assert_eq!(for_upgrade(&mut headers).unwrap(), "true");
        assert_eq!(headers["openai-beta"], "other=1,responses_websockets=2026-02-06");
        assert_eq!(headers.len(), 2);
    }
}
