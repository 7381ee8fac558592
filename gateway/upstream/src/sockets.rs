//! Turns over WebSocket to the Codex backend: when a turn takes one, and when it goes by HTTP after all.
//!
//! A socket belongs to one account, one client and one conversation's headers, and carries one turn at a time. Between
//! turns it is parked; it is used again before the backend would cut it off. Nothing here depends on how the client speaks.

mod connect;
mod live;
mod parked;
mod turn;

pub(crate) use turn::{OverSocket, over_socket};

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gateway_core::ports::{Endpoint, Transport, TurnClient, UpstreamRequest};
use gateway_domain::AccountKind;
use memchr::memmem;
use parking_lot::Mutex;

use crate::address::Address;
use parked::Parked;

/// The largest turn that goes over a socket, in bytes: the backend takes frames of 16 MiB (facts: codex-lb 1.5).
pub const MAX_SOCKET_TURN_BYTES: usize = 15 * 1024 * 1024;
/// A socket is not used again after this: the backend refuses turns on one that is an hour old
/// (facts: codex2api 1.6).
pub const MAX_SOCKET_AGE: Duration = Duration::from_secs(50 * 60);
/// An upstream that would not upgrade is not asked again for this long.
pub const NOT_OFFERED_TIME: Duration = Duration::from_secs(600);
/// So many upstreams are remembered as not offering it.
const MAX_REMEMBERED: usize = 256;
/// A turn with this tool goes by HTTP (facts: codex-lb 1.5).
const BY_HTTP_ONLY: &[u8] = br#""image_generation""#;

/// When turns go to the Codex backend over WebSocket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SocketUse {
    /// When their client came by WebSocket.
    #[default]
    Follow,
    /// Whenever it is possible.
    Always,
    /// Never.
    Never,
}

/// What is shared by all turns over sockets.
pub(crate) struct Sockets {
    when: SocketUse,
    parked: Arc<Parked>,
    not_offered: Mutex<HashMap<String, Instant>>,
    /// The smallest frame that the backend found too large.
    too_large: AtomicUsize,
}

impl Sockets {
    pub(crate) fn new(when: SocketUse, max_age: Duration) -> Self {
        Self {
            when,
            parked: Arc::new(Parked::new(max_age)),
            not_offered: Mutex::default(),
            too_large: AtomicUsize::new(MAX_SOCKET_TURN_BYTES),
        }
    }

    /// Whether a turn goes over a socket.
    pub(crate) fn carry(&self, request: &UpstreamRequest, client: &TurnClient) -> bool {
        let wanted = match self.when {
            SocketUse::Follow => client.transport == Transport::WebSocket,
            SocketUse::Always => true,
            SocketUse::Never => false,
        };
        wanted
            && request.to.kind == AccountKind::Codex
            && request.endpoint == Endpoint::Responses
            && request.body.len() < self.too_large.load(Ordering::Relaxed)
            && memmem::find(&request.body, BY_HTTP_ONLY).is_none()
    }

    /// Whether an upstream is worth asking for an upgrade.
    fn is_offered_at(&self, address: &Address, now: Instant) -> bool {
        let not_offered = self.not_offered.lock();
        not_offered
            .get(address.url.as_str())
            .is_none_or(|since| now.saturating_duration_since(*since) > NOT_OFFERED_TIME)
    }

    fn note_not_offered(&self, address: &Address, now: Instant) {
        let mut not_offered = self.not_offered.lock();
        if not_offered.len() >= MAX_REMEMBERED {
            not_offered.clear();
        }
        not_offered.insert(address.url.to_string(), now);
    }

    /// The backend said that a frame of this size is too large: the next ones like it go by HTTP at once.
    fn note_too_large(&self, bytes: usize) {
        self.too_large.fetch_min(bytes, Ordering::Relaxed);
    }
}
