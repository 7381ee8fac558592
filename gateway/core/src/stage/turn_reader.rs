//! Reads along with an answer through the internal language: for upstreams that do not speak Responses, and for clients
//! that do not.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gateway_domain::{Dialect, Failure, FailureKind, Retry, TokenUsage};
use gateway_protocol::responses::{EventKind, classify_event};
use gateway_protocol::sse::{EventLines, SseFramer};
use gateway_protocol::translate::codec;
use gateway_protocol::turn::{
    AnswerContext, Collector, ErrorReport, EventDecoder, EventEncoder, ToolNames, TurnEvent, Usage,
    failure_of,
};

use super::event_reader::observe;
use super::sealed::Maker;
use crate::Gateway;

/// Reads one answer.
pub(crate) struct TurnReader {
    gateway: Arc<Gateway>,
    maker: Maker,
    from: Dialect,
    to: Dialect,
    context: AnswerContext,
    framer: SseFramer,
    decoder: Box<dyn EventDecoder>,
    names: ToolNames,
    writer: Writer,
    seen: Seen,
    /// Steps of the answer so far.
    pub(crate) events: u64,
    /// Whether anything of the answer itself came.
    pub(crate) content_seen: bool,
}

/// What becomes of the events.
enum Writer {
    /// It came as one object, which goes through as it came.
    Whole(Bytes),
    /// They go through as they came.
    Through,
    /// They are told in the client's dialect.
    Encoder(Box<dyn EventEncoder>),
    /// They are folded into one object.
    Fold(Box<Collector>),
}

#[derive(Default)]
struct Seen {
    usage: Option<TokenUsage>,
    ended: bool,
    failure: Option<Failure>,
    response_id: Option<String>,
}

/// What a reader must know of the request.
pub(crate) struct TurnReading {
    /// What the upstream speaks.
    pub(crate) from: Dialect,
    /// What the client speaks.
    pub(crate) to: Dialect,
    pub(crate) wants_stream: bool,
    pub(crate) context: AnswerContext,
    pub(crate) names: ToolNames,
}

impl TurnReader {
    pub(crate) fn new(gateway: &Arc<Gateway>, maker: Maker, reading: TurnReading) -> Self {
        let TurnReading { from, to, wants_stream, context, names } = reading;
        let writer = match (wants_stream, from == to) {
            (false, _) => Writer::Fold(Box::default()),
            (true, true) => Writer::Through,
            (true, false) => Writer::Encoder(codec(to).event_encoder(&context)),
        };
        Self {
            gateway: gateway.clone(),
            maker,
            from,
            to,
            context,
            framer: SseFramer::default(),
            decoder: codec(from).event_decoder(),
            names,
            writer,
            seen: Seen::default(),
            events: 0,
            content_seen: false,
        }
    }

    /// Takes the next chunk; returns what goes on to the client.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<Bytes, Failure> {
        if self.seen.ended {
            return Ok(Bytes::new());
        }
        let mut out = BytesMut::new();
        let mut told = Vec::new();
        let mut framer = std::mem::take(&mut self.framer);
        let framed = framer.push(chunk, |event| {
            // Quota travels in events of its own, which no dialect but the backend's has.
            if self.from == Dialect::OpenAiResponses {
                observe(&self.gateway, self.maker.account(), event);
                if classify_event(event) == EventKind::ItemDone {
                    self.maker.item(event);
                }
            }
            self.decoder.push(EventLines::read(event), &mut told);
            self.write(&mut told, &mut out);
        });
        self.framer = framer;
        let through = framed.map_err(|error| {
            Failure::upstream(FailureKind::Malformed, error.to_string()).retry(Retry::OtherAccount)
        })?;
        Ok(if matches!(self.writer, Writer::Through) { through } else { out.freeze() })
    }

    /// Takes a whole answer, as if it had been streamed.
    pub(crate) fn push_whole(&mut self, body: &Bytes) -> Result<(), Failure> {
        let mut told = Vec::new();
        codec(self.from).decode_answer(body, &mut told).map_err(|error| {
            Failure::upstream(FailureKind::Malformed, error.to_string()).retry(Retry::OtherAccount)
        })?;
        if self.from == Dialect::OpenAiResponses {
            self.maker.answer(body);
        }
        self.writer = Writer::Whole(body.clone());
        self.write(&mut told, &mut BytesMut::new());
        Ok(())
    }

    /// The source ended.
    pub(crate) fn end(&mut self) -> Result<Bytes, Failure> {
        let mut out = BytesMut::new();
        let mut told = Vec::new();
        let rest = std::mem::take(&mut self.framer).finish().unwrap_or_default();
        if !rest.is_empty() {
            self.decoder.push(EventLines::read(&rest), &mut told);
        }
        self.decoder.finish(&mut told);
        self.write(&mut told, &mut out);
        if self.seen.ended {
            let mut through = BytesMut::from(&*rest);
            through.extend_from_slice(if rest.is_empty() { b"" } else { b"\n" });
            return Ok(if matches!(self.writer, Writer::Through) { through.freeze() } else { out.freeze() });
        }
        Err(super::reader::ended_early())
    }

    fn write(&mut self, told: &mut Vec<TurnEvent>, out: &mut BytesMut) {
        let Self { names, writer, seen, gateway, events, content_seen, .. } = self;
        for event in told.drain(..) {
            names.restore(event, |event| {
                *events += 1;
                *content_seen |= matches!(event, TurnEvent::BlockStart { .. } | TurnEvent::Delta { .. });
                seen.take(&event, gateway);
                match writer {
                    Writer::Through | Writer::Whole(_) => {}
                    Writer::Encoder(encoder) => encoder.encode(&event, out),
                    Writer::Fold(collector) => collector.take(&event),
                }
            });
        }
    }

    /// The tokens that were told, once the end came.
    pub(crate) fn ended(&self) -> Option<Option<TokenUsage>> {
        self.seen.ended.then_some(self.seen.usage)
    }

    /// The failure that the answer tells, if it tells one.
    pub(crate) fn failure_now(&self) -> Option<Failure> {
        self.seen.failure.clone()
    }

    /// The upstream's id of the answer.
    pub(crate) fn response_id(&self) -> Option<&str> {
        self.seen.response_id.as_deref()
    }

    /// The answer as one object.
    pub(crate) fn fold(self) -> Option<Bytes> {
        match self.writer {
            Writer::Whole(object) => Some(object),
            Writer::Fold(collector) => {
                let answer = collector.finish();
                answer.stop.as_ref()?;
                Some(Bytes::from(codec(self.to).encode_answer(&answer, &self.context)))
            }
            Writer::Through | Writer::Encoder(_) => None,
        }
    }

    /// The client's last event, when the stream cannot go on.
    pub(crate) fn failed(&mut self, failure: &Failure) -> Bytes {
        let mut out = BytesMut::new();
        let event = TurnEvent::Failed(ErrorReport::from(failure));
        match &mut self.writer {
            Writer::Encoder(encoder) => encoder.encode(&event, &mut out),
            Writer::Through | Writer::Whole(_) | Writer::Fold(_) => {
                codec(self.to).event_encoder(&self.context).encode(&event, &mut out);
            }
        }
        out.freeze()
    }
}

impl Seen {
    fn take(&mut self, event: &TurnEvent, gateway: &Gateway) {
        match event {
            TurnEvent::Started(started) if !started.id.is_empty() => {
                self.response_id = Some(started.id.clone());
            }
            TurnEvent::Usage(usage) => self.usage = Some(tokens(*usage)),
            TurnEvent::Finished(_) => self.ended = true,
            TurnEvent::Failed(report) => {
                self.ended = true;
                self.failure = Some(failure_of(report, gateway.now()));
            }
            _ => {}
        }
    }
}

const fn tokens(usage: Usage) -> TokenUsage {
    TokenUsage {
        input: usage.input,
        input_cached: usage.input_cached,
        output: usage.output,
        reasoning: usage.reasoning,
    }
}
