//! The stages and the types that pass between them.

pub(crate) mod acting;
mod authenticate;
mod call;
pub(crate) mod call_outgoing;
pub(crate) mod call_reader;
mod decode;
pub(crate) mod event_reader;
pub(crate) mod extend;
pub(crate) mod filtering;
pub(crate) mod first_look;
pub(crate) mod forward;
pub(crate) mod outgoing;
pub(crate) mod own_answer;
pub(crate) mod prompting;
pub(crate) mod reader;
pub(crate) mod relay;
pub(crate) mod schedule;
pub(crate) mod sealed;
pub(crate) mod settle;
pub(crate) mod turn_reader;

pub use authenticate::{Authenticated, Caller, KEY_PREFIX, authenticate, hash_client_key, identify};
pub use call::{CONTROL_ROUTES, Call};
pub use decode::{Decoded, INLINE_DECODE_BYTES, bad_turn, decode, is_codex};
pub use relay::{Passed, RelayStream, Reply, ReplyBody};

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gateway_domain::{Dialect, RequestId, Timestamp};
use http::HeaderMap;
use tokio::time::Instant;

use crate::ports::{BackendPath, Transport};

/// Where a request came in; decides its rules and the shape of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// `POST /v1/responses`: the public API; events only if asked for.
    Responses,
    /// `POST /backend-api/codex/responses`: the Codex backend's own route; always events.
    CodexResponses,
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/messages`.
    Messages,
    /// A call that is no turn.
    Call(Call),
}

impl Route {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let turns = [Self::Responses, Self::CodexResponses, Self::ChatCompletions, Self::Messages];
        turns.into_iter().chain(Call::ALL.into_iter().map(Self::Call))
    }

    /// Bounded label for metrics, logs and decisions.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Responses => "/v1/responses",
            Self::CodexResponses => "/backend-api/codex/responses",
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Call(call) => call.label(),
        }
    }

    /// What its clients speak.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Call(Call::CountTokens) => Dialect::AnthropicMessages,
            // Errors of all other calls have this shape.
            Self::Responses | Self::CodexResponses | Self::Call(_) => Dialect::OpenAiResponses,
            Self::ChatCompletions => Dialect::OpenAiChat,
            Self::Messages => Dialect::AnthropicMessages,
        }
    }
}

/// From where a request came, as the edge knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// From this machine, and nothing suggests that a proxy forwarded it.
    Local,
    /// From elsewhere.
    Remote,
}

/// A request as it arrived, its body decompressed and within the limit.
#[derive(Debug)]
pub struct Received {
    /// Ours; also sent back to the client.
    pub id: RequestId,
    /// On the wall clock.
    pub at: Timestamp,
    /// On the clock that measures spans.
    pub started: Instant,
    /// Where it came in.
    pub route: Route,
    /// From where.
    pub peer: Peer,
    /// How its client speaks.
    pub transport: Transport,
    /// The client's headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// The path of the ChatGPT backend that is asked for, for routes that pass it on.
    pub backend: Option<BackendPath>,
    /// What the edge wants to know early.
    pub early: Arc<Early>,
}

/// What becomes known of a request before its answer: whether and how its client is kept waiting.
#[derive(Debug, Default)]
pub struct Early(OnceLock<Bytes>);

impl Early {
    /// What keeps the client from giving up, once it is known that it reads a stream.
    #[must_use]
    pub fn keep_alive(&self) -> Option<Bytes> {
        self.0.get().cloned()
    }

    pub(crate) fn streams(&self, keep_alive: Bytes) {
        // Told once; a second time says the same.
        drop(self.0.set(keep_alive));
    }
}
