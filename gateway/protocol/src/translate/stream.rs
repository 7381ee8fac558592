//! An upstream's stream into a client's, whatever pieces the bytes come in.

use bytes::{Bytes, BytesMut};

use super::{AnswerRoute, Stamp, codec};
use crate::sse::{EventLines, SseFramer};
use crate::turn::{ErrorReport, EventDecoder, EventEncoder, StopReason, ToolNames, TurnEvent, Usage};

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// Everything was said.
    Finished(StopReason),
    /// The upstream told an error.
    Failed(ErrorReport),
    /// It ended before its end.
    Cut,
}

/// What a client is told when its upstream was cut.
pub(super) const CUT: &str = "the upstream ended before its answer was complete; try again";

/// The upstream's half: bytes into events in the client's tool names.
pub(super) struct Source {
    framer: SseFramer,
    decoder: Box<dyn EventDecoder>,
    names: ToolNames,
    /// Between the decoder and whoever takes the events; empty between two calls.
    events: Vec<TurnEvent>,
    pub(super) usage: Option<Usage>,
    pub(super) end: Option<StreamEnd>,
    pub(super) has_content: bool,
}

impl Source {
    pub(super) fn new(route: &AnswerRoute) -> Self {
        Self {
            framer: SseFramer::default(),
            decoder: codec(route.upstream).event_decoder(),
            names: route.names.clone(),
            events: Vec::new(),
            usage: None,
            end: None,
            has_content: false,
        }
    }

    /// Takes bytes. What comes after an end is nobody's.
    pub(super) fn push(&mut self, chunk: Bytes, take: impl FnMut(&TurnEvent)) {
        if self.end.is_some() {
            return;
        }
        let (decoder, events) = (&mut self.decoder, &mut self.events);
        let framed = self.framer.push(chunk, |event| decoder.push(EventLines::read(event), events));
        self.pass(take);
        if framed.is_err() && self.end.is_none() {
            self.end = Some(StreamEnd::Cut);
        }
    }

    /// The upstream closed.
    pub(super) fn finish(&mut self, take: impl FnMut(&TurnEvent)) {
        if self.end.is_some() {
            return;
        }
        if let Some(last) = std::mem::take(&mut self.framer).finish() {
            self.decoder.push(EventLines::read(&last), &mut self.events);
        }
        self.decoder.finish(&mut self.events);
        self.pass(take);
        self.end.get_or_insert(StreamEnd::Cut);
    }

    fn pass(&mut self, mut take: impl FnMut(&TurnEvent)) {
        let (usage, end, has_content) = (&mut self.usage, &mut self.end, &mut self.has_content);
        for event in self.events.drain(..) {
            self.names.restore(event, |event| {
                match &event {
                    TurnEvent::Usage(told) => *usage = Some(*told),
                    TurnEvent::Finished(stop) => *end = Some(StreamEnd::Finished(stop.clone())),
                    TurnEvent::Failed(report) => *end = Some(StreamEnd::Failed(report.clone())),
                    TurnEvent::BlockStart { .. } => *has_content = true,
                    TurnEvent::Started(_) | TurnEvent::Delta { .. } | TurnEvent::BlockEnd { .. } => {}
                }
                take(&event);
            });
        }
    }
}

/// Translates a stream for a client that asked for one.
pub struct StreamTranslator {
    source: Source,
    encoder: Box<dyn EventEncoder>,
}

impl StreamTranslator {
    /// One for one answer.
    #[must_use]
    pub fn new(route: &AnswerRoute, stamp: &Stamp) -> Self {
        let encoder = codec(route.client).event_encoder(&route.context(stamp));
        Self { source: Source::new(route), encoder }
    }

    /// Takes the next bytes from the upstream and gives those for the client, possibly none.
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        let mut out = BytesMut::new();
        let had_ended = self.source.end.is_some();
        let encoder = &mut self.encoder;
        self.source.push(chunk, |event| encoder.encode(event, &mut out));
        if !had_ended && self.source.end == Some(StreamEnd::Cut) {
            self.encoder.finish_cut(CUT, &mut out);
        }
        out.freeze()
    }

    /// The upstream closed: gives what is left to say. An answer without its end is told as an error.
    pub fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        let encoder = &mut self.encoder;
        self.source.finish(|event| encoder.encode(event, &mut out));
        if self.source.end == Some(StreamEnd::Cut) {
            self.encoder.finish_cut(CUT, &mut out);
        }
        out.freeze()
    }

    /// The connection broke, or the pipeline gave up on it: tells why, as an error.
    pub fn finish_cut(&mut self, message: &str) -> Bytes {
        let mut out = BytesMut::new();
        self.source.end.get_or_insert(StreamEnd::Cut);
        self.encoder.finish_cut(message, &mut out);
        out.freeze()
    }

    /// Tokens told so far.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.source.usage
    }

    /// How it ended, once it has.
    #[must_use]
    pub const fn end(&self) -> Option<&StreamEnd> {
        self.source.end.as_ref()
    }

    /// Whether a part of the answer has begun. Until then another account may still serve the request.
    #[must_use]
    pub const fn has_content(&self) -> bool {
        self.source.has_content
    }
}
