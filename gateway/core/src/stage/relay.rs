//! The answer on its way to the client: events as they come, or folded into one object. The settlement travels with
//! the stream, so that it happens whether the stream ends, fails, or is dropped by a client that left.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use gateway_domain::{Failure, FailureKind, RequestId};
use http::HeaderMap;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::filtering::{Filtered, Filtering};
use super::first_look::Opening;
use super::forward::{AnswerForm, Forwarded};
use super::reader::Reader;
use super::settle::Settlement;
use crate::Gateway;
use crate::hooks::AtEnd;
use crate::ports::ResponseBody;

/// The longest pause between two pieces of a running answer. Models think long; clients give up after five minutes.
pub const STREAM_IDLE: Duration = Duration::from_secs(600);

/// A stream that is silent for this long tells its client that it still lives.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What goes back to the client.
pub struct Reply {
    /// The request.
    pub id: RequestId,
    /// The upstream's headers; the edge decides which go along.
    pub headers: HeaderMap,
    /// The answer.
    pub body: ReplyBody,
}

/// The answer in the form that was asked for.
pub enum ReplyBody {
    /// Events.
    Stream(Box<RelayStream>),
    /// One response object.
    Whole(Bytes),
    /// The answer of a call.
    Passed(Passed),
}

/// The answer of a call, in the type that the reply's headers name.
#[derive(Debug)]
pub struct Passed {
    /// The upstream's status, a success.
    pub status: u16,
    /// What it said.
    pub body: Bytes,
}

/// Events on their way. It never yields an error: a failure becomes the dialect's last event.
pub struct RelayStream {
    held: Option<Bytes>,
    body: ResponseBody,
    reader: Reader,
    filtering: Option<Box<Filtering>>,
    /// When what a filter holds must go.
    hold: Option<Pin<Box<Sleep>>>,
    settlement: Option<Settlement>,
    idle: Pin<Box<Sleep>>,
    silent_since: Instant,
    keep_alive: Bytes,
    deadline: Pin<Box<WaitForCancellationFutureOwned>>,
    done: bool,
}

/// The answer as a stream.
pub(crate) fn stream(forwarded: Forwarded, settlement: Settlement) -> Reply {
    let Forwarded { headers, opening: Opening { held, body, reader }, keep_alive, filtering, .. } = forwarded;
    let id = settlement.id().clone();
    let deadline = Box::pin(settlement.gateway().deadline.clone().cancelled_owned());
    let relay = RelayStream {
        held: Some(held),
        body,
        reader,
        filtering,
        hold: None,
        settlement: Some(settlement),
        idle: Box::pin(tokio::time::sleep(KEEP_ALIVE)),
        silent_since: Instant::now(),
        keep_alive,
        deadline,
        done: false,
    };
    Reply { id, headers, body: ReplyBody::Stream(Box::new(relay)) }
}

/// An answer that is there already, as a stream.
pub(crate) fn ready(gateway: &Gateway, events: Bytes, reader: Reader) -> RelayStream {
    RelayStream {
        held: Some(events),
        body: futures_util::stream::empty().boxed(),
        reader,
        filtering: None,
        hold: None,
        settlement: None,
        idle: Box::pin(tokio::time::sleep(KEEP_ALIVE)),
        silent_since: Instant::now(),
        keep_alive: Bytes::new(),
        deadline: Box::pin(gateway.deadline.clone().cancelled_owned()),
        done: true,
    }
}

/// The answer as one object.
pub(crate) async fn collect(forwarded: Forwarded, mut settlement: Settlement) -> Result<Reply, Failure> {
    let Forwarded { headers, opening: Opening { mut body, mut reader, .. }, form, filtering, .. } = forwarded;
    let deadline = settlement.gateway().deadline.clone();
    while reader.ended().is_none() {
        let chunk = tokio::select! {
            chunk = tokio::time::timeout(STREAM_IDLE, body.next()) => chunk.unwrap_or_else(|_| Some(Err(stalled()))),
            () = deadline.cancelled() => Some(Err(going_down())),
        };
        let taken = match chunk {
            Some(Ok(chunk)) => reader.push(chunk).map(drop),
            Some(Err(failure)) => Err(failure),
            None => reader.end().map(drop),
        };
        if let Err(failure) = taken {
            return Err(settlement.fail(failure));
        }
    }
    if let Some(failure) = reader.failure_now() {
        return Err(settlement.fail(failure));
    }
    settlement.first_event();
    let usage = reader.ended().flatten();
    let response_id = reader.response_id().map(str::to_owned);
    let whole = match (reader.fold(), filtering) {
        (Some(whole), Some(mut filtering)) => match filtering.whole(whole) {
            Ok(whole) => Some(whole),
            Err(refused) => return Err(settlement.fail(refused)),
        },
        (whole, _) => whole,
    };
    match whole {
        Some(whole) => {
            let id = settlement.id().clone();
            settlement.complete(usage, response_id.as_deref());
            let body = match form {
                AnswerForm::Passed(status) => ReplyBody::Passed(Passed { status, body: whole }),
                AnswerForm::Events | AnswerForm::Folded | AnswerForm::Object => ReplyBody::Whole(whole),
            };
            Ok(Reply { id, headers, body })
        }
        None => Err(settlement.fail(Failure::upstream(
            FailureKind::Malformed,
            "the upstream's last event carries no response",
        ))),
    }
}

/// What a poll of the source brought.
enum Source {
    /// More of the answer.
    Answer(Bytes),
    /// What is said beside it.
    Aside(Bytes),
    /// A filter held something for too long.
    Expired,
}

impl Stream for RelayStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = &mut *self;
        if let Some(held) = this.held.take() {
            let held = this.filtered(held);
            this.settle_if_over();
            if !held.is_empty() {
                return Poll::Ready(Some(held));
            }
        }
        loop {
            if this.done {
                return Poll::Ready(None);
            }
            let forward = match ready!(this.poll_source(cx)) {
                Ok(Source::Answer(forward)) => this.filtered(forward),
                Ok(Source::Aside(forward)) => forward,
                Ok(Source::Expired) => this.expired(),
                Err(failure) => this.failed(failure),
            };
            this.settle_if_over();
            if !forward.is_empty() {
                return Poll::Ready(Some(forward));
            }
        }
    }
}

impl RelayStream {
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Result<Source, Failure>> {
        match self.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                // The timer is not moved for every chunk: when it fires it looks at this.
                self.silent_since = Instant::now();
                Poll::Ready(self.reader.push(chunk).map(Source::Answer))
            }
            Poll::Ready(Some(Err(failure))) => Poll::Ready(Err(failure)),
            Poll::Ready(None) => Poll::Ready(self.reader.end().map(Source::Answer)),
            Poll::Pending if self.deadline.as_mut().poll(cx).is_ready() => Poll::Ready(Err(going_down())),
            Poll::Pending if self.hold.as_mut().is_some_and(|hold| hold.as_mut().poll(cx).is_ready()) => {
                Poll::Ready(Ok(Source::Expired))
            }
            Poll::Pending => self.poll_silence(cx),
        }
    }

    /// Nothing came for a while: the client hears that the stream lives, up to the longest pause.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Result<Source, Failure>> {
        loop {
            ready!(self.idle.as_mut().poll(cx));
            let now = Instant::now();
            let silent = now - self.silent_since;
            if silent >= STREAM_IDLE {
                return Poll::Ready(Err(stalled()));
            }
            if silent >= KEEP_ALIVE {
                self.idle.as_mut().reset(now + KEEP_ALIVE);
                return Poll::Ready(Ok(Source::Aside(self.keep_alive.clone())));
            }
            self.idle.as_mut().reset(self.silent_since + KEEP_ALIVE);
        }
    }

    /// What the filters make of it; untouched when there are none.
    fn filtered(&mut self, events: Bytes) -> Bytes {
        let Some(filtering) = &mut self.filtering else { return events };
        let at_end = if self.reader.ended().is_some() { AtEnd::Yes } else { AtEnd::No };
        if events.is_empty() && at_end == AtEnd::No {
            return events;
        }
        let filtered = filtering.push(&events, at_end);
        self.carry_out(filtered)
    }

    fn expired(&mut self) -> Bytes {
        self.hold = None;
        let Some(filtering) = &mut self.filtering else { return Bytes::new() };
        let filtered = filtering.expire();
        self.carry_out(filtered)
    }

    fn carry_out(&mut self, filtered: Filtered) -> Bytes {
        let deadline = self.filtering.as_ref().and_then(|filtering| filtering.deadline());
        self.hold = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        match filtered {
            Filtered::Goes(events) => events,
            Filtered::Ended(events) => {
                self.over();
                if let Some(settlement) = self.settlement.take() {
                    settlement.complete(self.reader.ended().flatten(), None);
                }
                events
            }
            Filtered::Aborted(events, failure) => {
                let mut out = BytesMut::from(&*events);
                out.extend_from_slice(&self.fail(failure));
                self.over();
                out.freeze()
            }
        }
    }

    /// Nothing more is read: dropping the body tells the upstream.
    fn over(&mut self) {
        self.done = true;
        self.body = futures_util::stream::empty().boxed();
    }

    /// The source failed: what the filters hold goes out before the last event.
    fn failed(&mut self, failure: Failure) -> Bytes {
        let Some(filtering) = &mut self.filtering else { return self.fail(failure) };
        let held = match filtering.push(&Bytes::new(), AtEnd::Yes) {
            Filtered::Goes(events) | Filtered::Ended(events) | Filtered::Aborted(events, _) => events,
        };
        let mut out = BytesMut::from(&*held);
        out.extend_from_slice(&self.fail(failure));
        out.freeze()
    }

    /// The end was seen: settle before the client reads it, because Codex hangs up on it.
    fn settle_if_over(&mut self) {
        let Some(usage) = self.reader.ended() else { return };
        let failure = self.reader.failure_now();
        self.done = true;
        let Some(settlement) = self.settlement.take() else { return };
        match failure {
            Some(failure) => drop(settlement.fail_in_stream(failure, usage)),
            None => settlement.complete(usage, self.reader.response_id()),
        }
    }

    /// The stream cannot go on: its last event says so.
    fn fail(&mut self, failure: Failure) -> Bytes {
        self.done = true;
        let event = self.reader.failed(&failure);
        if let Some(settlement) = self.settlement.take() {
            settlement.fail_in_stream(failure, None);
        }
        event
    }
}

fn stalled() -> Failure {
    Failure::upstream(FailureKind::UpstreamTimeout, "the upstream stopped sending")
}

fn going_down() -> Failure {
    Failure::gateway(FailureKind::ShuttingDown, "the gateway is going down; send the request again")
}
