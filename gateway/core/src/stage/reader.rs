//! What reads along with an answer, whichever way it is passed on.

use bytes::Bytes;
use gateway_domain::{Dispatch, Failure, FailureKind, Retry, TokenUsage};

use super::call_reader::{self, CallReader};
use super::event_reader::EventReader;
use super::turn_reader::TurnReader;

/// Reads along with one answer and hands back what goes to the client: whole events only.
pub(crate) enum Reader {
    /// Responses events that go through as they are: the short way that most turns take.
    Events(Box<EventReader>),
    /// Every other turn, through the internal language.
    Turn(Box<TurnReader>),
    /// Calls.
    Call(Box<CallReader>),
}

impl Reader {
    /// Takes the next chunk; returns what goes on to the client.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<Bytes, Failure> {
        match self {
            Self::Events(reader) => reader.push(chunk),
            Self::Turn(reader) => reader.push(chunk),
            Self::Call(reader) => reader.push(chunk),
        }
    }

    /// Takes an answer that came as one object.
    pub(crate) fn push_whole(&mut self, object: &Bytes) -> Result<(), Failure> {
        match self {
            Self::Events(reader) => reader.push(object.clone()).map(drop),
            Self::Turn(reader) => reader.push_whole(object),
            Self::Call(reader) => reader.push_whole(object),
        }
    }

    /// The source ended.
    pub(crate) fn end(&mut self) -> Result<Bytes, Failure> {
        match self {
            Self::Events(reader) => reader.end(),
            Self::Turn(reader) => reader.end(),
            Self::Call(reader) => reader.end(),
        }
    }

    /// Events so far; those that carry nothing of the answer are not counted.
    pub(crate) fn events(&self) -> u64 {
        match self {
            Self::Events(reader) => reader.events,
            Self::Turn(reader) => reader.events,
            Self::Call(reader) => reader.events(),
        }
    }

    /// Whether anything but lifecycle events came.
    pub(crate) fn content_seen(&self) -> bool {
        match self {
            Self::Events(reader) => reader.content_seen,
            Self::Turn(reader) => reader.content_seen,
            Self::Call(reader) => reader.content_seen(),
        }
    }

    /// The tokens that were told, once the end came.
    pub(crate) fn ended(&self) -> Option<Option<TokenUsage>> {
        match self {
            Self::Events(reader) => reader.ended(),
            Self::Turn(reader) => reader.ended(),
            Self::Call(reader) => reader.ended(),
        }
    }

    /// The failure that the answer tells, if it tells one.
    pub(crate) fn failure_now(&self) -> Option<Failure> {
        match self {
            Self::Events(reader) => reader.failure_now(),
            Self::Turn(reader) => reader.failure_now(),
            Self::Call(reader) => reader.failure_now(),
        }
    }

    /// The upstream's id of the answer, once it was told.
    pub(crate) fn response_id(&self) -> Option<&str> {
        match self {
            Self::Events(reader) => reader.response_id(),
            Self::Turn(reader) => reader.response_id(),
            Self::Call(reader) => reader.response_id(),
        }
    }

    /// The answer as one object, for callers that did not ask for events.
    pub(crate) fn fold(self) -> Option<Bytes> {
        match self {
            Self::Events(reader) => reader.fold(),
            Self::Turn(reader) => reader.fold(),
            Self::Call(reader) => reader.fold(),
        }
    }

    /// The client's last event, when the stream cannot go on.
    pub(crate) fn failed(&mut self, failure: &Failure) -> Bytes {
        match self {
            Self::Events(reader) => reader.failed(failure),
            Self::Turn(reader) => reader.failed(failure),
            Self::Call(_) => call_reader::failed(failure),
        }
    }
}

/// The source ended before the answer did.
///
/// The first words are for OpenCode: of an error in a Responses stream it reads code and message alone, and goes by the
/// message whether to ask again.
pub(crate) fn ended_early() -> Failure {
    Failure::upstream(
        FailureKind::StreamCut,
        "connection lost: the upstream ended the stream before the response was complete",
    )
    .retry(Retry::OtherAccount)
    .dispatched(Dispatch::Ambiguous)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_ends_early_says_what_clients_look_for() {
        let failure = ended_early();
        assert_eq!((failure.kind, failure.retry), (FailureKind::StreamCut, Retry::OtherAccount));
        assert!(failure.message.contains("connection lost"), "{}", failure.message);
    }
}
