//! Reads along with the answer of a call: one that goes through as it is, or a turn's events that are made into what the
//! call is answered with.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gateway_domain::{Answer, Dispatch, Failure, FailureKind, Retry, Timestamp, TokenUsage};
use gateway_protocol::calls::{
    CallEvent, call_error_event, read_call_event, transcript_text, uploaded_file, usage_of,
};
use gateway_protocol::codex::classify_error_object;
use gateway_protocol::images::ImageAnswer;
use gateway_protocol::responses::compaction_of;
use gateway_protocol::sse::SseFramer;

use super::call::{self, Call};
use super::call_outgoing::CallReading;
use super::decode::Decoded;
use super::event_reader::{EventReader, OwnEvents};
use super::sealed::Maker;
use crate::Gateway;

/// Reads one answer of a call.
pub(crate) enum CallReader {
    /// It goes through.
    Passed(PassedReader),
    /// It is made of a turn.
    Made(MadeReader),
}

impl CallReader {
    /// For one answer of an account.
    pub(crate) fn new(gateway: &Arc<Gateway>, decoded: &Decoded, reading: CallReading, maker: Maker) -> Self {
        let now = gateway.now();
        let (streams, call) = (decoded.wants_stream, call::of(decoded));
        let made = |collects: bool, making| {
            let events = EventReader::new(gateway, OwnEvents::Hidden, !collects, maker.clone());
            Self::Made(MadeReader { events, framer: SseFramer::default(), making })
        };
        match reading {
            CallReading::Passed => Self::Passed(PassedReader::new(call, false, now, maker)),
            CallReading::Transcript => Self::Passed(PassedReader::new(call, true, now, maker)),
            CallReading::Compaction => made(true, Making::Compaction),
            CallReading::Image(action) => {
                let created = u64::try_from(now.as_secs()).unwrap_or(0);
                made(false, Making::Image { answer: ImageAnswer::new(action, streams, created), streams })
            }
        }
    }

    /// Takes the next chunk; returns what goes on to the client.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<Bytes, Failure> {
        match self {
            Self::Passed(reader) => reader.push(chunk),
            Self::Made(reader) => reader.push(chunk),
        }
    }

    /// Takes an answer that came as one object.
    pub(crate) fn push_whole(&mut self, object: &Bytes) -> Result<(), Failure> {
        match self {
            Self::Passed(reader) => reader.push_whole(object),
            Self::Made(reader) => reader.push(object.clone()).map(drop),
        }
    }

    /// The source ended.
    pub(crate) fn end(&mut self) -> Result<Bytes, Failure> {
        match self {
            Self::Passed(reader) => reader.end(),
            Self::Made(reader) => reader.end(),
        }
    }

    /// Events so far.
    pub(crate) const fn events(&self) -> u64 {
        match self {
            Self::Passed(reader) => reader.events,
            Self::Made(reader) => reader.events.events,
        }
    }

    /// Whether anything of the answer itself came.
    pub(crate) const fn content_seen(&self) -> bool {
        match self {
            Self::Passed(reader) => reader.events > 0,
            Self::Made(reader) => reader.events.content_seen,
        }
    }

    /// The tokens that were told, once the end came.
    pub(crate) fn ended(&self) -> Option<Option<TokenUsage>> {
        match self {
            Self::Passed(reader) => reader.over.then_some(reader.usage),
            Self::Made(reader) => reader.events.ended(),
        }
    }

    /// The failure that the answer tells, if it tells one.
    pub(crate) fn failure_now(&self) -> Option<Failure> {
        match self {
            Self::Passed(reader) => reader.failure.clone(),
            Self::Made(reader) => reader.failure_now(),
        }
    }

    /// What only the account that answered knows from now on.
    pub(crate) fn response_id(&self) -> Option<&str> {
        match self {
            Self::Passed(reader) => reader.file.as_deref(),
            Self::Made(_) => None,
        }
    }

    /// The answer as one object.
    pub(crate) fn fold(self) -> Option<Bytes> {
        match self {
            Self::Passed(reader) => reader.whole,
            Self::Made(MadeReader { events, making, .. }) => match making {
                Making::Compaction => compaction_of(&events.fold()?),
                Making::Image { answer, .. } => answer.whole(),
            },
        }
    }
}

/// The client's last event, when the stream of a call cannot go on.
pub(crate) fn failed(failure: &Failure) -> Bytes {
    call_error_event(failure)
}

/// An answer that goes through.
pub(crate) struct PassedReader {
    call: Option<Call>,
    maker: Maker,
    as_text: bool,
    now: Timestamp,
    framer: SseFramer,
    events: u64,
    done: bool,
    over: bool,
    usage: Option<TokenUsage>,
    failure: Option<Failure>,
    whole: Option<Bytes>,
    file: Option<String>,
}

impl PassedReader {
    fn new(call: Option<Call>, as_text: bool, now: Timestamp, maker: Maker) -> Self {
        Self {
            call,
            maker,
            as_text,
            now,
            framer: SseFramer::default(),
            events: 0,
            done: false,
            over: false,
            usage: None,
            failure: None,
            whole: None,
            file: None,
        }
    }

    fn take(&mut self, event: &[u8]) {
        if event.starts_with(b":") {
            return;
        }
        self.events += 1;
        match read_call_event(event) {
            CallEvent::Part => {}
            CallEvent::Done(usage) => {
                self.done = true;
                // Several images in one stream each tell their own.
                self.usage = match (self.usage, usage) {
                    (Some(sum), Some(more)) => Some(added(sum, more)),
                    (sum, more) => sum.or(more),
                };
            }
            CallEvent::Failed(error) => {
                self.failure = Some(classify_error_object(&error, self.now));
                self.over = true;
            }
        }
    }

    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Failure> {
        let mut framer = std::mem::take(&mut self.framer);
        let forward = framer.push(chunk, |event| self.take(event));
        self.framer = framer;
        forward.map_err(|error| {
            Failure::upstream(FailureKind::Malformed, error.to_string()).retry(Retry::OtherAccount)
        })
    }

    fn push_whole(&mut self, object: &Bytes) -> Result<(), Failure> {
        self.usage = usage_of(object);
        match self.call {
            Some(Call::CreateFile) => self.file = uploaded_file(object),
            Some(Call::Compact | Call::CodexCompact) => self.maker.answer(object),
            _ => {}
        }
        let as_text = || {
            let malformed =
                Failure::upstream(FailureKind::Malformed, "the upstream's answer has no transcript");
            transcript_text(object).map(Bytes::from).ok_or(malformed.retry(Retry::OtherAccount))
        };
        self.whole = Some(if self.as_text { as_text()? } else { object.clone() });
        self.over = true;
        Ok(())
    }

    /// Whoever reads a stream must be able to tell its end from a cut: one without its last event is cut.
    fn end(&mut self) -> Result<Bytes, Failure> {
        let rest = std::mem::take(&mut self.framer).finish().unwrap_or_default();
        let mut forward = BytesMut::from(&*rest);
        if !rest.is_empty() {
            self.take(&rest);
            forward.extend_from_slice(b"\n");
        }
        self.over = true;
        if self.done || self.failure.is_some() {
            return Ok(forward.freeze());
        }
        Err(Failure::upstream(
            FailureKind::StreamCut,
            "the upstream ended the stream before its answer was complete",
        )
        .retry(Retry::OtherAccount)
        .dispatched(Dispatch::Ambiguous))
    }
}

const fn added(a: TokenUsage, b: TokenUsage) -> TokenUsage {
    TokenUsage {
        input: a.input.saturating_add(b.input),
        input_cached: a.input_cached.saturating_add(b.input_cached),
        output: a.output.saturating_add(b.output),
        reasoning: a.reasoning.saturating_add(b.reasoning),
    }
}

/// An answer that is made of a turn's events.
pub(crate) struct MadeReader {
    events: EventReader,
    framer: SseFramer,
    making: Making,
}

enum Making {
    Compaction,
    Image { answer: ImageAnswer, streams: bool },
}

impl MadeReader {
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, Failure> {
        let events = self.events.push(chunk)?;
        Ok(self.told(events))
    }

    fn end(&mut self) -> Result<Bytes, Failure> {
        let events = self.events.end()?;
        Ok(self.told(events))
    }

    /// What the client hears of some whole events.
    fn told(&mut self, events: Bytes) -> Bytes {
        let mut out = BytesMut::new();
        let Making::Image { answer, streams } = &mut self.making else { return Bytes::new() };
        // These are whole events, so framing them again cannot fail.
        drop(self.framer.push(events, |event| answer.take(event, &mut out)));
        if *streams && self.events.ended().is_some() {
            // Said once, whatever the source still sends.
            *streams = false;
            let failure = self.events.failure_now().unwrap_or_else(no_image);
            let end = answer.completed().filter(|_| self.events.failure_now().is_none());
            out.extend_from_slice(&end.unwrap_or_else(|| call_error_event(&failure)));
        }
        out.freeze()
    }

    fn failure_now(&self) -> Option<Failure> {
        let told = self.events.failure_now();
        let Making::Image { answer, .. } = &self.making else { return told };
        let has_none = self.events.ended().is_some() && !answer.has_image();
        told.or_else(|| has_none.then(no_image))
    }
}

/// The model chose to say something instead; asked again it would again.
fn no_image() -> Failure {
    let message = "the model did not make an image; say more plainly what it is to show";
    let answer = Answer { status: 400, code: Some("image_generation_user_error".to_owned()), param: None };
    Failure::upstream(FailureKind::Refused, message).answered(answer)
}
