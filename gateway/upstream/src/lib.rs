//! HTTP and WebSocket to providers: requests, quotas, catalogues and looks at what an address is; the rotation of tokens and the
//! sign-in; the ways out, straight or through proxies.
//!
//! Refuses: choosing accounts, retrying, reading bodies it only passes on. Every wait has a deadline here.

mod address;
mod anthropic;
mod api_key;
mod clients;
mod codex;
mod gateway;
mod headers;
mod inspect;
mod oauth;
mod providers;
mod proxy;
mod sign_in;
mod sites;
mod sockets;
mod straight;

#[cfg(test)]
mod tests;

pub use clients::{Clients, MAX_PROXIED_CLIENTS, UNUSED_CLIENT};
pub use oauth::OAuthIssuer;
pub use providers::{BaseUrls, Providers};
pub use proxy::{ProxyUrlError, check_proxy_url};
pub use sockets::{MAX_SOCKET_AGE, MAX_SOCKET_TURN_BYTES, NOT_OFFERED_TIME, SocketUse};

use std::time::Duration;

/// Opening a connection, TLS included.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);
/// An idle connection is kept this long.
pub const IDLE_CONNECTION: Duration = Duration::from_secs(90);
/// From the sent request to the head of an answer that is a stream. Models think before they answer.
pub const HEAD_TIME: Duration = Duration::from_secs(300);
/// The same for endpoints that may answer only when the whole answer is there.
pub const WHOLE_ANSWER_TIME: Duration = Duration::from_secs(600);
/// Upgrading a connection to WebSocket, opening it included.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(15);
/// A small question (quota, catalogue, rotation, sign-in), from start to end.
pub const SMALL_QUESTION_TIME: Duration = Duration::from_secs(20);
/// Trying a proxy, from start to end.
pub const PROBE_TIME: Duration = Duration::from_secs(15);
/// The largest answer to a small question, in bytes.
pub const MAX_SMALL_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Why a client or an address could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address is no URL that we can ask.
    #[error("`{url}` is not an http(s) URL that can be asked: {why}")]
    BadUrl {
        /// What was given, without a password.
        url: String,
        /// Why not.
        why: String,
    },
    /// TLS or the resolver could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Client(#[from] reqwest::Error),
    /// The system's certificates or TLS itself could not be set up.
    #[error("TLS could not be set up: {0}")]
    Tls(#[from] rustls::Error),
}
