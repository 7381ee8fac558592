//! The `anthropic-messages` dialect: requests, streams, whole answers and errors of `POST /v1/messages`, to and from
//! the internal turn language, and the estimate behind `count_tokens`.
//!
//! Refuses to know statuses, accounts and headers. What has no counterpart:
//!
//! | here | elsewhere |
//! |---|---|
//! | `cache_control` | dropped, noted; other providers cache without marks |
//! | `system`, `role: "system"` | instructions; system messages where they stand. Written: all collected in `system` |
//! | `thinking`, `output_config.effort` | one effort; the rules are in `thinking.rs` |
//! | `thinking` with a signature | a sealed reasoning item; only its own provider is sent the seal, others find it marked |
//! | `thinking` without a signature | plain reasoning: `openai-chat` takes it back, the others take none |
//! | `redacted_thinking` | reasoning with nothing to show |
//! | `tool_reference` | its name as text |
//! | server tools and their blocks, `search_result`, `container_upload`, newer blocks | kept raw; gone elsewhere, noted |
//! | citations | dropped |
//! | `tool_result` with `is_error` | kept; dropped elsewhere, noted |
//! | `context_management`, `mcp_servers`, `container`, unknown members | dropped, noted |
//! | `metadata.user_id` | the user; of Claude Code's JSON only the session, as the cache key |
//! | `max_tokens` | required; 32,000 is sent for a caller that named none (older models: less) |
//! | `previous_response_id`, audio, files of another provider | refused |
//! | JSON mode without a schema | said in words |
//! | penalties, seed, logprobs, verbosity, hosted tools of others | dropped, noted |

mod decode;
mod encode;
mod error;
mod estimate;
mod ids;
mod passthrough;
mod read;
mod seal;
mod thinking;
mod usage;
mod write;

pub use error::{ErrorType, UpstreamError, error_body, error_event, read_error};
pub use estimate::{count_body, estimate_input_tokens, is_count};
pub use passthrough::without_foreign_thinking;
pub use write::PING;

use crate::turn::{
    AnswerContext, Codec, Decoded, Dropped, ErrorReport, EventDecoder, EventEncoder, TurnAnswer, TurnError,
    TurnEvent, TurnRequest,
};

/// The dialect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Messages;

impl Codec for Messages {
    fn decode_request(&self, body: &[u8]) -> Result<Decoded, TurnError> {
        decode::decode(body, decode::Asks::Turn)
    }

    fn encode_request(&self, request: &TurnRequest, dropped: &mut Dropped) -> Result<Vec<u8>, TurnError> {
        encode::encode(request, dropped)
    }

    fn event_decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(read::Reader::default())
    }

    fn event_encoder(&self, context: &AnswerContext) -> Box<dyn EventEncoder> {
        Box::new(write::Writer::new(context))
    }

    fn decode_answer(&self, body: &[u8], out: &mut Vec<TurnEvent>) -> Result<(), TurnError> {
        read::read_answer(body, out)
    }

    fn encode_answer(&self, answer: &TurnAnswer, context: &AnswerContext) -> Vec<u8> {
        write::write_answer(answer, context)
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ErrorReport {
        error::read_report(status, body)
    }

    fn encode_error(&self, report: &ErrorReport) -> Vec<u8> {
        error::report_body(report)
    }
}

/// Reads the body of `count_tokens`: a request that need not say how many tokens to write.
///
/// # Errors
/// It is malformed; the error names the member.
pub fn decode_count_request(body: &[u8]) -> Result<Decoded, TurnError> {
    decode::decode(body, decode::Asks::Count)
}

#[cfg(test)]
mod tests;
