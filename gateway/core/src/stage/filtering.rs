//! Response filters on one answer: events in, what the filters make of them out, in the client's dialect. Also carries
//! the model's name that a mapping wants to be told.
//!
//! The filters are those that the request began with; a reload does not reach an answer that runs.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gateway_domain::{Dialect, Failure, FailureKind, Timestamp};
use gateway_protocol::texts::{AnswerTexts, Retell, Said, Shown, Words};
use tokio::time::Instant;

use super::acting;
use crate::decisions::{Act, Decision};
use crate::extensions::Attached;
use crate::hooks::{
    AtEnd, Emission, Ending, FilteredStream, Flow, Outgoing, RawEvent, RequestContext, StreamEvent,
    TextDelta, ToolDelta, Viewed,
};

/// All that happens to one answer on its way out.
pub(crate) struct Filtering {
    dialect: Dialect,
    retell: Retell,
    filters: Vec<Filter>,
    begun: Instant,
    decision: Arc<Decision>,
}

struct Filter {
    attached: Attached,
    stream: FilteredStream<Piece>,
}

/// What passes from filter to filter.
enum Piece {
    Event(Shown),
    Words(Emission),
}

/// What became of a batch.
pub(crate) enum Filtered {
    /// These bytes go to the client.
    Goes(Bytes),
    /// These are the last, in good order; the upstream is not needed any more.
    Ended(Bytes),
    /// These go, and then the client is told this.
    Aborted(Bytes, Failure),
}

impl Viewed for Piece {
    fn view(&self) -> StreamEvent<'_> {
        match self {
            Self::Words(emission) => emission.view(),
            Self::Event(shown) => match shown.said() {
                Said::Start => StreamEvent::Start,
                Said::Text { choice, text } => StreamEvent::Text(TextDelta { choice, text }),
                Said::Thinking { choice, text } => StreamEvent::Reasoning(TextDelta { choice, text }),
                Said::Tool { choice, call, name, arguments } => {
                    StreamEvent::ToolCall(ToolDelta { choice, call, name, arguments })
                }
                Said::Usage(usage) => StreamEvent::Usage(usage),
                Said::Stop(reason) => StreamEvent::Stop(reason),
                Said::Other { event, data } => StreamEvent::Raw(RawEvent { event, data }),
            },
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Event(shown) => shown.bytes(),
            Self::Words(emission) => emission.bytes(),
        }
    }

    fn is_noise(&self) -> bool {
        match self {
            Self::Event(shown) => shown.is_noise(),
            Self::Words(_) => false,
        }
    }
}

impl Filtering {
    /// `carries` is what each filter's own request half handed over; `model` is told instead of the upstream's.
    pub(crate) fn new(
        dialect: Dialect,
        model: Option<String>,
        filters: Vec<(Attached, Vec<u8>)>,
        context: &Arc<RequestContext>,
        decision: Arc<Decision>,
    ) -> Self {
        let filter = |(attached, carry): (Attached, Vec<u8>)| {
            let filter = attached.extension.response.clone()?;
            let stream =
                FilteredStream::new(filter, context.clone(), carry, attached.at.failing, attached.at.mode);
            Some(Filter { attached, stream })
        };
        Self {
            dialect,
            retell: Retell::new(dialect, model),
            filters: filters.into_iter().filter_map(filter).collect(),
            begun: Instant::now(),
            decision,
        }
    }

    /// On a clock of its own: how long something is held has nothing to do with the time of day.
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// When [`Self::expire`] must be called, if nothing comes before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = self.filters.iter().filter_map(|filter| filter.stream.deadline()).min()?;
        Some(self.begun + Duration::from_millis(u64::try_from(first.as_millis()).unwrap_or(0)))
    }

    /// Takes whole events of the client's dialect.
    pub(crate) fn push(&mut self, events: &Bytes, at_end: AtEnd) -> Filtered {
        let pieces = self.retell.read(events).into_iter().map(Piece::Event).collect();
        if self.retell.is_too_long() {
            let why = "the answer is too long for the filters that watch it";
            return Filtered::Aborted(Bytes::new(), Failure::gateway(FailureKind::Malformed, why));
        }
        self.run(0, pieces, at_end)
    }

    /// What is held for too long is let go, as the filter's place says.
    pub(crate) fn expire(&mut self) -> Filtered {
        let now = self.now();
        let due = |filter: &Filter| filter.stream.deadline().is_some_and(|deadline| deadline <= now);
        let Some(at) = self.filters.iter().position(due) else { return Filtered::Goes(Bytes::new()) };
        let Some(filter) = self.filters.get_mut(at) else { return Filtered::Goes(Bytes::new()) };
        let flow = filter.stream.expire(now);
        let (pieces, ending) = took(&self.decision, filter, flow);
        match ending {
            Some(ending) => self.finish(at + 1, pieces, ending),
            None => self.run(at + 1, pieces, AtEnd::No),
        }
    }

    /// Carries pieces through the filters from this one on, and tells what comes out.
    fn run(&mut self, from: usize, mut pieces: Vec<Piece>, at_end: AtEnd) -> Filtered {
        let now = self.now();
        for at in from..self.filters.len() {
            let Some(filter) = self.filters.get_mut(at) else { break };
            let may_block = filter.attached.extension.may_block;
            let flow = acting::run(may_block, || filter.stream.offer(pieces, at_end, now));
            let (sent, ending) = took(&self.decision, filter, flow);
            if let Some(ending) = ending {
                return self.finish(at + 1, sent, ending);
            }
            pieces = sent;
        }
        Filtered::Goes(self.told(pieces, None))
    }

    /// A filter ended the answer: those behind it see the rest as the last they get.
    fn finish(&mut self, from: usize, pieces: Vec<Piece>, ending: Ending) -> Filtered {
        let bytes = match self.run(from, pieces, AtEnd::Yes) {
            Filtered::Goes(bytes) => bytes,
            // Another one ended it earlier still.
            ended => return ended,
        };
        match ending {
            Ending::Finish(reason) => {
                let mut out = BytesMut::from(&*bytes);
                self.retell.end(&reason, &mut out);
                Filtered::Ended(out.freeze())
            }
            Ending::Abort(rejection) => Filtered::Aborted(bytes, acting::refused(&rejection)),
        }
    }

    fn told(&mut self, pieces: Vec<Piece>, room: Option<usize>) -> Bytes {
        let mut out = BytesMut::with_capacity(room.unwrap_or(256));
        for piece in &pieces {
            match piece {
                Piece::Event(shown) => self.retell.tell(shown, &mut out),
                Piece::Words(emission) => {
                    if !self.retell.say(words(emission), &mut out) {
                        tracing::debug!("a filter wrote a text that the answer has no place for; left out");
                    }
                }
            }
        }
        self.retell.flush(&mut out);
        out.freeze()
    }

    /// Takes an answer that came as one object.
    ///
    /// # Errors
    /// A filter refuses it.
    pub(crate) fn whole(&mut self, object: Bytes) -> Result<Bytes, Failure> {
        let Some(texts) = AnswerTexts::read(self.dialect, &object) else { return Ok(object) };
        let shown = texts.shown(&mut self.retell);
        let pieces = shown.into_iter().map(Piece::Event).collect();
        if let Filtered::Aborted(_, failure) = self.run(0, pieces, AtEnd::Yes) {
            return Err(failure);
        }
        Ok(texts.retold(&self.retell).map_or_else(|| object.clone(), Bytes::from))
    }
}

/// What a filter did with a batch, noted.
fn took(decision: &Decision, filter: &Filter, flow: Flow<Piece>) -> (Vec<Piece>, Option<Ending>) {
    let Flow { send, hits, ending, failure } = flow;
    let is_changed = send.iter().any(|one| matches!(one, Outgoing::Emission(_)));
    let act = match &ending {
        Some(Ending::Abort(_)) if failure.is_none() => Act::Refused,
        Some(Ending::Finish(_)) => Act::Changed,
        _ if is_changed => Act::Changed,
        _ => Act::Passed,
    };
    if act != Act::Passed || !hits.is_empty() {
        acting::note(decision, &filter.attached, act, &hits);
    }
    if let Some(error) = failure {
        // What follows from it is in the flow already.
        drop(acting::failed(decision, &filter.attached, &error));
    }
    let piece = |one| match one {
        Outgoing::Original(piece) => piece,
        Outgoing::Emission(emission) => Piece::Words(emission),
    };
    (send.into_iter().map(piece).collect(), ending)
}

fn words(emission: &Emission) -> Words<'_> {
    match emission {
        Emission::Text { choice, text } => Words::Text { choice: *choice, text },
        Emission::Reasoning { choice, text } => Words::Thinking { choice: *choice, text },
        Emission::ToolCall { choice, call, name, arguments } => {
            Words::Tool { choice: *choice, call: *call, is_first: name.is_some(), arguments }
        }
    }
}
