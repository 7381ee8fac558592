//! What a dialect module provides, as traits. The promises behind them are told in the module above.

use std::borrow::Cow;

use bytes::BytesMut;

use super::answer::TurnAnswer;
use super::error::{ErrorReport, TurnError};
use super::event::TurnEvent;
use super::request::TurnRequest;
use crate::sse::EventLines;

/// One dialect.
pub trait Codec: Send + Sync {
    /// Reads a client's request.
    ///
    /// # Errors
    /// It is malformed; the error names the member.
    fn decode_request(&self, body: &[u8]) -> Result<Decoded, TurnError>;

    /// Writes a request for an upstream; notes what it leaves out.
    ///
    /// # Errors
    /// The request asks for something that has no counterpart and cannot be left out.
    fn encode_request(&self, request: &TurnRequest, dropped: &mut Dropped) -> Result<Vec<u8>, TurnError>;

    /// Reads an upstream's stream.
    fn event_decoder(&self) -> Box<dyn EventDecoder>;

    /// Writes a client's stream.
    fn event_encoder(&self, context: &AnswerContext) -> Box<dyn EventEncoder>;

    /// Reads an upstream's whole answer as the events it would have streamed, `Started` to `Finished` or `Failed`.
    ///
    /// # Errors
    /// The body is no answer of this dialect.
    fn decode_answer(&self, body: &[u8], out: &mut Vec<TurnEvent>) -> Result<(), TurnError>;

    /// Writes a client's whole answer. A failed one is not written here but by [`Codec::encode_error`].
    fn encode_answer(&self, answer: &TurnAnswer, context: &AnswerContext) -> Vec<u8>;

    /// Reads an upstream's error body. Never fails: a body that is no error of this dialect becomes a report by its
    /// status.
    fn decode_error(&self, status: u16, body: &[u8]) -> ErrorReport;

    /// Writes a client's error body.
    fn encode_error(&self, report: &ErrorReport) -> Vec<u8>;
}

/// A request that was understood.
#[derive(Debug)]
pub struct Decoded {
    /// It.
    pub request: TurnRequest,
    /// What was read and has no place in it.
    pub dropped: Dropped,
}

/// What a translation left out, for the decision record: `logit_bias: no counterpart in openai-responses`.
/// Names members and kinds, never values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped(Vec<Cow<'static, str>>);

/// A client that sends thousands of odd items gets the first notes, not thousands.
const MAX_NOTES: usize = 64;

impl Dropped {
    /// Notes one, once.
    pub fn note(&mut self, note: impl Into<Cow<'static, str>>) {
        let note = note.into();
        if self.0.len() < MAX_NOTES && !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// All of them.
    #[must_use]
    pub fn notes(&self) -> &[Cow<'static, str>] {
        &self.0
    }

    /// Takes another's notes too.
    pub fn extend(&mut self, other: Self) {
        for note in other.0 {
            self.note(note);
        }
    }
}

/// What an encoder of answers must know of the request, and of nothing else: there is no clock and no chance here.
#[derive(Debug, Clone, Default)]
pub struct AnswerContext {
    /// The model's name as the client asked for it; it is told back instead of the upstream's.
    pub model: String,
    /// An id to use when the upstream tells none: any unique text.
    pub fallback_id: String,
    /// Now, in seconds since 1970, to use when the upstream does not tell.
    pub now: u64,
    /// Whether a chat client asked for the usage chunk.
    pub include_usage: bool,
}

/// Reads a stream of one dialect, event by event.
pub trait EventDecoder: Send {
    /// Takes the next event as the framer showed it and adds what it means.
    fn push(&mut self, event: EventLines<'_>, out: &mut Vec<TurnEvent>);

    /// The stream ended. Adds `Finished` if everything was said and only the dialect's last mark did not come;
    /// adds nothing if it was cut.
    fn finish(&mut self, out: &mut Vec<TurnEvent>);
}

/// Writes a stream of one dialect, event by event.
pub trait EventEncoder: Send {
    /// Writes what the event means in this dialect, possibly nothing; after an end always nothing. A stream that was
    /// cut is told by `Failed`, never as an end.
    fn encode(&mut self, event: &TurnEvent, out: &mut BytesMut);
}
