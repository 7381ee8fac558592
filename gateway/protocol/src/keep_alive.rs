//! What keeps a client from giving up on a stream that is silent for a while (facts: clients 0).

use bytes::Bytes;
use gateway_domain::Dialect;

use crate::messages;
use crate::responses::CallerKind;

/// Whole bytes to put between two events.
///
/// Only data resets Codex's watchdog, and it ignores kinds that it does not know. Chat helpers stumble over data that is
/// no chunk, so they and unknown clients get a comment. Anthropic clients know an event for it.
#[must_use]
pub const fn keep_alive(dialect: Dialect, caller: CallerKind) -> Bytes {
    Bytes::from_static(match (dialect, caller) {
        (Dialect::OpenAiResponses, CallerKind::Codex) => {
            b"event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n"
        }
        (Dialect::OpenAiResponses, CallerKind::Foreign) | (Dialect::OpenAiChat, _) => b": keep-alive\n\n",
        (Dialect::AnthropicMessages, _) => messages::PING,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_whole_and_no_answer() {
        for dialect in Dialect::ALL {
            for caller in [CallerKind::Codex, CallerKind::Foreign] {
                let bytes = keep_alive(dialect, caller);
                assert!(bytes.ends_with(b"\n\n"), "{dialect:?}");
                let mut told = Vec::new();
                let mut decoder = crate::translate::codec(dialect).event_decoder();
                crate::sse::SseFramer::default()
                    .push(bytes, |event| decoder.push(crate::sse::EventLines::read(event), &mut told))
                    .unwrap();
                assert!(told.is_empty(), "{dialect:?} {caller:?}: {told:?}");
            }
        }
    }
}
