//! The answer on its way to the client: events as they come, or folded into one object. The settlement travels with
//! the stream, so that it happens whether the stream ends, fails, or is dropped by a client that left.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use gateway_domain::{Failure, FailureKind, RequestId};
use http::HeaderMap;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::first_look::Opening;
use super::forward::{AnswerForm, Forwarded};
use super::reader::Reader;
use super::settle::Settlement;
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
    settlement: Option<Settlement>,
    idle: Pin<Box<Sleep>>,
    silent_since: Instant,
    keep_alive: Bytes,
    deadline: Pin<Box<WaitForCancellationFutureOwned>>,
    done: bool,
}

/// The answer as a stream.
pub(crate) fn stream(forwarded: Forwarded, settlement: Settlement) -> Reply {
    let Forwarded { headers, opening: Opening { held, body, reader }, keep_alive, .. } = forwarded;
    let id = settlement.id().clone();
    let deadline = Box::pin(settlement.gateway().deadline.clone().cancelled_owned());
    let relay = RelayStream {
        held: Some(held),
        body,
        reader,
        settlement: Some(settlement),
        idle: Box::pin(tokio::time::sleep(KEEP_ALIVE)),
        silent_since: Instant::now(),
        keep_alive,
        deadline,
        done: false,
    };
    Reply { id, headers, body: ReplyBody::Stream(Box::new(relay)) }
}

/// The answer as one object.
pub(crate) async fn collect(forwarded: Forwarded, mut settlement: Settlement) -> Result<Reply, Failure> {
    let Forwarded { headers, opening: Opening { mut body, mut reader, .. }, form, .. } = forwarded;
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
    match reader.fold() {
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

impl Stream for RelayStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = &mut *self;
        if let Some(held) = this.held.take() {
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
                Ok(forward) => forward,
                Err(failure) => this.fail(failure),
            };
            this.settle_if_over();
            if !forward.is_empty() {
                return Poll::Ready(Some(forward));
            }
        }
    }
}

impl RelayStream {
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Failure>> {
        match self.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                // The timer is not moved for every chunk: when it fires it looks at this.
                self.silent_since = Instant::now();
                Poll::Ready(self.reader.push(chunk))
            }
            Poll::Ready(Some(Err(failure))) => Poll::Ready(Err(failure)),
            Poll::Ready(None) => Poll::Ready(self.reader.end()),
            Poll::Pending if self.deadline.as_mut().poll(cx).is_ready() => Poll::Ready(Err(going_down())),
            Poll::Pending => self.poll_silence(cx),
        }
    }

    /// Nothing came for a while: the client hears that the stream lives, up to the longest pause.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Failure>> {
        loop {
            ready!(self.idle.as_mut().poll(cx));
            let now = Instant::now();
            let silent = now - self.silent_since;
            if silent >= STREAM_IDLE {
                return Poll::Ready(Err(stalled()));
            }
            if silent >= KEEP_ALIVE {
                self.idle.as_mut().reset(now + KEEP_ALIVE);
                return Poll::Ready(Ok(self.keep_alive.clone()));
            }
            self.idle.as_mut().reset(self.silent_since + KEEP_ALIVE);
        }
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
