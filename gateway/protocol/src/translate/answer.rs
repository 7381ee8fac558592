//! Whole answers and errors, and streams folded into whole answers.

use bytes::Bytes;

use super::stream::{CUT, Source};
use super::{AnswerRoute, Dialect, Stamp, StreamEnd, codec};
use crate::openai;
use crate::turn::{AnswerContext, Collector, ErrorReport, StopReason, TurnAnswer, Usage};

/// An answer in the client's dialect.
#[derive(Debug)]
pub struct WholeAnswer {
    /// The body.
    pub body: Bytes,
    /// Tokens, if told.
    pub usage: Option<Usage>,
    /// Why it ended.
    pub stop: StopReason,
}

/// Translates an upstream's whole answer.
///
/// # Errors
/// The answer tells an error, or is none of its dialect. `error_body` writes the report for the client.
pub fn translate_answer(route: &AnswerRoute, stamp: &Stamp, body: &[u8]) -> Result<WholeAnswer, ErrorReport> {
    let mut events = Vec::new();
    codec(route.upstream).decode_answer(body, &mut events).map_err(|error| ErrorReport::from(&error))?;
    let mut names = route.names.clone();
    let mut collector = Collector::default();
    for event in events {
        names.restore(event, |event| collector.take(&event));
    }
    written(collector.finish(), route.client, &route.context(stamp))
}

fn written(answer: TurnAnswer, client: Dialect, context: &AnswerContext) -> Result<WholeAnswer, ErrorReport> {
    if let Some(report) = answer.failure {
        return Err(report);
    }
    let Some(stop) = answer.stop.clone() else { return Err(openai::cut(CUT)) };
    let body = codec(client).encode_answer(&answer, context).into();
    Ok(WholeAnswer { body, usage: answer.usage, stop })
}

/// Translates an upstream's error body. The report says what it was; the body is for the client.
#[must_use]
pub fn translate_error(upstream: Dialect, client: Dialect, status: u16, body: &[u8]) -> (ErrorReport, Bytes) {
    let report = codec(upstream).decode_error(status, body);
    let body = codec(client).encode_error(&report).into();
    (report, body)
}

/// Folds a stream into a whole answer, for a client that did not ask for events from an upstream that sends nothing
/// else. Also right when both speak the same dialect.
pub struct StreamFold {
    source: Source,
    collector: Collector,
    client: Dialect,
    context: AnswerContext,
}

impl StreamFold {
    /// One for one answer.
    #[must_use]
    pub fn new(route: &AnswerRoute, stamp: &Stamp) -> Self {
        Self {
            source: Source::new(route),
            collector: Collector::default(),
            client: route.client,
            context: route.context(stamp),
        }
    }

    /// Takes the next bytes. Says whether the answer is complete, so that nobody waits for the connection's end.
    pub fn push(&mut self, chunk: Bytes) -> FoldState {
        let collector = &mut self.collector;
        self.source.push(chunk, |event| collector.take(event));
        self.state()
    }

    fn state(&self) -> FoldState {
        if self.source.end.is_some() || self.collector.answer().failure.is_some() {
            FoldState::Ended
        } else {
            FoldState::Open
        }
    }

    /// Tokens told so far.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.source.usage
    }

    /// The answer.
    ///
    /// # Errors
    /// The upstream told an error, or was cut; `error_body` writes the report for the client.
    pub fn finish(mut self) -> Result<WholeAnswer, ErrorReport> {
        let collector = &mut self.collector;
        self.source.finish(|event| collector.take(event));
        if self.source.end == Some(StreamEnd::Cut) && self.collector.answer().failure.is_none() {
            return Err(openai::cut(CUT));
        }
        written(self.collector.finish(), self.client, &self.context)
    }
}

/// Whether a fold takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldState {
    /// It does.
    Open,
    /// Everything is there; [`StreamFold::finish`] gives it.
    Ended,
}
