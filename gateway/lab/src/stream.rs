//! Sends a body step by step: compiles events, pace and fault into steps, and carries them out.
//! Refuses to choose the fault; it gets one or none.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;

use crate::conn::ConnControl;
use crate::dialect::Dialect;
use crate::fault::Fault;
use crate::state::StreamGuard;

/// One thing the sender does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Send(Bytes),
    Pause(Duration),
    /// Lets what was sent so far reach the socket before going on.
    Flush,
    /// Half of this arrives, then the connection is reset.
    Cut(Bytes),
    /// Nothing more comes; the connection stays.
    Stall,
}

/// The steps for these events under this fault.
pub(crate) fn plan(
    events: Vec<Bytes>,
    pause: Option<Duration>,
    fault: Option<&Fault>,
    response_id: &str,
    dialect: Dialect,
) -> Vec<Step> {
    let paced = |events| paced(events, pause, dialect);
    let Some(fault) = fault else { return paced(events) };
    match fault {
        Fault::StallAfterEvents(n) => then(paced(first(events, *n)), [Step::Flush, Step::Stall]),
        Fault::CutAfterEvents(n) => {
            let next = events.get(*n).cloned().unwrap_or_else(|| Bytes::from_static(b": cut short\n\n"));
            then(paced(first(events, *n)), [Step::Flush, Step::Cut(next)])
        }
        Fault::CleanEofAfterEvents(n) | Fault::CloseSocket { after_events: n, .. } => {
            paced(first(events, *n))
        }
        Fault::MalformedEventAfter(n) => paced(insert(events, *n, dialect.malformed())),
        Fault::UnknownEventAfter(n) => paced(insert(events, *n, dialect.unknown())),
        Fault::TruncatedUtf8 => {
            let at = events.iter().position(|event| dialect.is_delta(event)).unwrap_or(events.len());
            paced(insert(events, at, dialect.half_a_character()))
        }
        Fault::Dribble(size) => dribble(&events.concat(), *size),
        Fault::SlowEvents(span) => events
            .into_iter()
            .flat_map(|event| [Step::Flush, Step::Pause(*span), Step::Send(event)])
            .collect(),
        Fault::FailedEvent { code, message, after_events } => {
            let failed = dialect.failed(response_id, code, message);
            then(paced(first(events, *after_events)), [Step::Send(failed)])
        }
        Fault::ErrorEvent { status, code, message, after_events } => {
            let error = dialect.error(*status, code, message);
            then(paced(first(events, *after_events)), [Step::Send(error)])
        }
        Fault::IncompleteEvent { reason } => paced(dialect.incomplete(events, reason)),
        Fault::DropCompleted => {
            let all_but_last = events.len().saturating_sub(1);
            paced(first(events, all_but_last))
        }
        // These act before there is a body.
        Fault::RefuseConnection
        | Fault::DropAnswer
        | Fault::Status { .. }
        | Fault::Raw { .. }
        | Fault::Unauthorized401
        | Fault::RateLimited429 { .. }
        | Fault::StallBeforeHeaders(_) => paced(events),
    }
}

fn first(mut events: Vec<Bytes>, n: usize) -> Vec<Bytes> {
    events.truncate(n);
    events
}

fn insert(mut events: Vec<Bytes>, at: usize, event: Bytes) -> Vec<Bytes> {
    events.insert(at.min(events.len()), event);
    events
}

fn then<const N: usize>(mut steps: Vec<Step>, end: [Step; N]) -> Vec<Step> {
    steps.extend(end);
    steps
}

/// Pauses stand between deltas, where a thinking model would pause.
fn paced(events: Vec<Bytes>, pause: Option<Duration>, dialect: Dialect) -> Vec<Step> {
    let Some(pause) = pause else { return events.into_iter().map(Step::Send).collect() };
    let mut steps = Vec::with_capacity(events.len() * 3);
    for event in events {
        if dialect.is_delta(&event) {
            steps.extend([Step::Flush, Step::Pause(pause)]);
        }
        steps.push(Step::Send(event));
    }
    steps
}

fn dribble(all: &[u8], size: usize) -> Vec<Step> {
    let pieces = all.chunks(size.max(1)).map(Bytes::copy_from_slice);
    pieces.flat_map(|piece| [Step::Send(piece), Step::Flush]).collect()
}

/// What sending needs to know about its surroundings.
pub(crate) struct Sender {
    steps: std::vec::IntoIter<Step>,
    control: Option<ConnControl>,
    guard: StreamGuard,
    broken: bool,
}

impl Sender {
    /// The body that carries out these steps. Without a connection a cut is an error of the body alone.
    pub(crate) fn body(steps: Vec<Step>, control: Option<ConnControl>, guard: StreamGuard) -> Body {
        let mut sender = Self { steps: steps.into_iter(), control, guard, broken: false };
        sender.note_end();
        Body::from_stream(stream::unfold(sender, |mut sender| async {
            let item = sender.next().await?;
            Some((item, sender))
        }))
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.broken {
            return match &self.control {
                // The write of the cut event breaks the connection, and this body with it; an error now would make
                // hyper drop that write.
                Some(_) => std::future::pending().await,
                None => Some(Err(reset_error())),
            };
        }
        loop {
            match self.steps.next()? {
                Step::Send(bytes) => {
                    self.note_end();
                    return Some(Ok(bytes));
                }
                Step::Pause(span) => tokio::time::sleep(span).await,
                Step::Flush => tokio::task::yield_now().await,
                Step::Stall => std::future::pending().await,
                Step::Cut(bytes) => {
                    self.broken = true;
                    self.guard.broke();
                    return Some(Ok(self.cut(bytes)));
                }
            }
        }
    }

    fn cut(&self, mut bytes: Bytes) -> Bytes {
        match &self.control {
            // The whole event goes in, so that the chunk header promises more than arrives.
            Some(control) => control.cut_next_write(),
            None => bytes.truncate(bytes.len() / 2),
        }
        bytes
    }

    /// Once the last step is handed over the turn is done; nobody has to read on to prove it.
    fn note_end(&mut self) {
        if self.steps.as_slice().iter().all(|step| *step == Step::Flush) {
            self.guard.completed();
        }
    }
}

fn reset_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the lab cut this stream")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events;

    fn events() -> Vec<Bytes> {
        let all = [
            "event: response.created\n\n",
            "event: response.output_text.delta\n\n",
            "event: response.completed\n\n",
        ];
        all.map(|text| Bytes::from_static(text.as_bytes())).to_vec()
    }

    fn sent(fault: Option<&Fault>) -> Vec<Bytes> {
        let steps = plan(events(), None, fault, "resp_1", Dialect::Responses).into_iter();
        let sends = steps.filter_map(|step| match step {
            Step::Send(bytes) => Some(bytes),
            _ => None,
        });
        sends.collect()
    }

    #[test]
    fn without_a_fault_everything_is_sent() {
        assert_eq!(sent(None), events());
        let steps = plan(events(), Some(Duration::from_millis(5)), None, "", Dialect::Responses);
        let pauses = steps.iter().filter(|s| matches!(s, Step::Pause(_))).count();
        assert_eq!(pauses, 1, "only deltas are paced");
    }

    #[test]
    fn cuts_and_stalls_end_where_they_say() {
        let steps = plan(events(), None, Some(&Fault::CutAfterEvents(1)), "", Dialect::Responses);
        assert_eq!(steps[1..], [Step::Flush, Step::Cut(events()[1].clone())]);
        let steps = plan(events(), None, Some(&Fault::CutAfterEvents(9)), "", Dialect::Responses);
        assert!(matches!(steps.last(), Some(Step::Cut(_))) && steps.len() == 5);
        let steps = plan(events(), None, Some(&Fault::StallAfterEvents(0)), "", Dialect::Responses);
        assert_eq!(steps, [Step::Flush, Step::Stall]);
        assert_eq!(sent(Some(&Fault::CleanEofAfterEvents(2))), events()[..2]);
        assert_eq!(sent(Some(&Fault::DropCompleted)), events()[..2]);
    }

    #[test]
    fn broken_events_are_really_broken() {
        let all = sent(Some(&Fault::MalformedEventAfter(1)));
        assert_eq!(all.len(), 4);
        assert!(events::data_of(&all[1]).is_null());
        let all = sent(Some(&Fault::TruncatedUtf8));
        assert!(std::str::from_utf8(&all[1]).is_err());
        assert_eq!(all[2], events()[1]);
        assert_eq!(sent(Some(&Fault::UnknownEventAfter(99))).len(), 4);
    }

    #[test]
    fn dribbled_bytes_are_the_same_bytes() {
        let pieces = sent(Some(&Fault::Dribble(5)));
        assert!(pieces.iter().all(|piece| piece.len() <= 5));
        assert_eq!(pieces.concat(), events().concat());
    }

    #[test]
    fn terminal_events_are_replaced() {
        let all = sent(Some(&Fault::failed(crate::FAILED_EVENTS[0])));
        assert_eq!(all.len(), 1);
        assert_eq!(events::data_of(&all[0])["response"]["error"]["code"], "rate_limit_exceeded");
        let reason = Fault::IncompleteEvent { reason: "content_filter".to_owned() };
        let all = sent(Some(&reason));
        assert_eq!(events::data_of(&all[2])["type"], "response.incomplete");
        let error = Fault::ErrorEvent { status: 500, code: "x".into(), message: "y".into(), after_events: 1 };
        assert_eq!(sent(Some(&error)).len(), 2);
    }
}
