//! The way of a request and of its answer through two codecs, in the steps that the pipeline takes, for tests of pairs.
//! It refuses to know anything of a dialect: what a test sees here is the codecs' own doing.

use bytes::{Bytes, BytesMut};

use crate::sse::{EventLines, SseFramer};
use crate::translate::codec;
use crate::turn::{
    AnswerContext, Collector, Dialect, Dropped, ErrorKind, ErrorReport, EventDecoder, EventEncoder,
    StopReason, ToolNames, TurnError, TurnEvent, Usage,
};

/// A request in the upstream's dialect.
pub(crate) struct Written {
    pub(crate) body: Bytes,
    pub(crate) dropped: Dropped,
    pub(crate) route: Route,
}

/// What the answer's way must know of the request.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) client: Dialect,
    pub(crate) upstream: Dialect,
    pub(crate) context: AnswerContext,
    pub(crate) names: ToolNames,
}

/// Reads a request in one dialect and writes it in the other.
pub(crate) fn request(
    client: Dialect,
    upstream: Dialect,
    body: &[u8],
    model: Option<&str>,
) -> Result<Written, TurnError> {
    let decoded = codec(client).decode_request(body)?;
    let (mut request, mut dropped) = (decoded.request, decoded.dropped);
    let context =
        AnswerContext { model: request.model.clone(), include_usage: request.include_usage, ..context() };
    if let Some(model) = model {
        model.clone_into(&mut request.model);
    }
    let names = match upstream {
        Dialect::OpenAiResponses => ToolNames::default(),
        _ => ToolNames::flatten(&mut request),
    };
    let body =
        codec(upstream).encode_request(&request, &mut dropped).map_err(|error| error.in_words_of(client))?;
    Ok(Written { body: body.into(), dropped, route: Route { client, upstream, context, names } })
}

pub(crate) fn context() -> AnswerContext {
    AnswerContext {
        model: "asked-1".to_owned(),
        fallback_id: "req7".to_owned(),
        now: 1_795_000_000,
        include_usage: true,
    }
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Finished(StopReason),
    Failed(ErrorReport),
    /// It ended before its end.
    Cut,
}

/// What a client is told when its upstream was cut.
const CUT: &str = "the upstream ended before its answer was complete; try again";

pub(crate) fn cut() -> ErrorReport {
    ErrorReport { code: Some("stream_incomplete".to_owned()), ..ErrorReport::new(ErrorKind::Server, CUT) }
}

/// What becomes of the events.
enum Writer {
    Encoder(Box<dyn EventEncoder>),
    Fold(Box<Collector>),
}

/// One answer on its way.
pub(crate) struct Answer {
    route: Route,
    framer: SseFramer,
    decoder: Box<dyn EventDecoder>,
    names: ToolNames,
    writer: Writer,
    pub(crate) usage: Option<Usage>,
    pub(crate) end: Option<End>,
}

/// A whole answer in the client's dialect.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) body: Vec<u8>,
    pub(crate) usage: Option<Usage>,
    pub(crate) stop: StopReason,
}

impl Answer {
    /// For a client that reads events.
    pub(crate) fn streamed(route: &Route) -> Self {
        let encoder = codec(route.client).event_encoder(&route.context);
        Self::with(route, Writer::Encoder(encoder))
    }

    /// For a client that reads one object.
    pub(crate) fn folded(route: &Route) -> Self {
        Self::with(route, Writer::Fold(Box::default()))
    }

    fn with(route: &Route, writer: Writer) -> Self {
        Self {
            route: route.clone(),
            framer: SseFramer::default(),
            decoder: codec(route.upstream).event_decoder(),
            names: route.names.clone(),
            writer,
            usage: None,
            end: None,
        }
    }

    /// Takes the next bytes from the upstream and gives those for the client.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Bytes {
        let mut out = BytesMut::new();
        if self.end.is_some() {
            return out.freeze();
        }
        let mut told = Vec::new();
        let mut framer = std::mem::take(&mut self.framer);
        let framed = framer.push(chunk, |event| {
            self.decoder.push(EventLines::read(event), &mut told);
            self.write(&mut told, &mut out);
        });
        self.framer = framer;
        if framed.is_err() {
            self.fail(&mut out);
        }
        out.freeze()
    }

    /// The upstream closed.
    pub(crate) fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        if self.end.is_some() {
            return out.freeze();
        }
        let mut told = Vec::new();
        if let Some(rest) = std::mem::take(&mut self.framer).finish() {
            self.decoder.push(EventLines::read(&rest), &mut told);
        }
        self.decoder.finish(&mut told);
        self.write(&mut told, &mut out);
        self.fail(&mut out);
        out.freeze()
    }

    /// A whole answer, as if it had been streamed.
    pub(crate) fn push_whole(&mut self, body: &[u8]) -> Result<(), TurnError> {
        let mut told = Vec::new();
        codec(self.route.upstream).decode_answer(body, &mut told)?;
        self.write(&mut told, &mut BytesMut::new());
        Ok(())
    }

    /// The answer as one object, or the error that the client is told.
    pub(crate) fn whole(self) -> Result<Whole, ErrorReport> {
        let Writer::Fold(collector) = self.writer else { panic!("it was streamed") };
        let answer = collector.finish();
        if let Some(report) = answer.failure {
            return Err(report);
        }
        let stop = answer.stop.clone().ok_or_else(cut)?;
        let body = codec(self.route.client).encode_answer(&answer, &self.route.context);
        Ok(Whole { body, usage: answer.usage, stop })
    }

    /// Tells an end that the upstream did not.
    fn fail(&mut self, out: &mut BytesMut) {
        if self.end.is_none() {
            self.end = Some(End::Cut);
            if let Writer::Encoder(encoder) = &mut self.writer {
                encoder.encode(&TurnEvent::Failed(cut()), out);
            }
        }
    }

    fn write(&mut self, told: &mut Vec<TurnEvent>, out: &mut BytesMut) {
        let Self { names, writer, usage, end, .. } = self;
        for event in told.drain(..) {
            names.restore(event, |event| {
                match &event {
                    TurnEvent::Usage(told) => *usage = Some(*told),
                    TurnEvent::Finished(stop) => *end = Some(End::Finished(stop.clone())),
                    TurnEvent::Failed(report) => *end = Some(End::Failed(report.clone())),
                    _ => {}
                }
                match writer {
                    Writer::Encoder(encoder) => encoder.encode(&event, out),
                    Writer::Fold(collector) => collector.take(&event),
                }
            });
        }
    }
}
