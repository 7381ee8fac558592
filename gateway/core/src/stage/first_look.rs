//! The answer's beginning, before anything of it goes to the client: an upstream that accepts and then fails at once can
//! still be replaced by another account.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use gateway_domain::{Dispatch, Failure, FailureKind, Retry};
use tokio::time::Instant;

use super::reader::Reader;
use super::settle::Settlement;
use crate::ports::ResponseBody;

/// How long the first lifecycle events are held back for what follows them. An upstream that fails at once does so
/// within this; one that thinks is let through.
pub const COMMIT_GRACE: Duration = Duration::from_millis(250);
/// The longest an answer in one piece may take.
pub const WHOLE_ANSWER_TIME: Duration = Duration::from_secs(600);
/// The longest answer in one piece, in bytes.
pub const MAX_WHOLE_BYTES: usize = 64 * 1024 * 1024;
/// The longest an accepted request may stay without any event.
pub const FIRST_EVENT_TIME: Duration = Duration::from_secs(300);

/// What the beginning of an answer shows.
pub(crate) enum FirstLook {
    /// It goes to the client.
    Go(Box<Opening>),
    /// It failed before anything was visible.
    Failed(Failure),
}

/// An answer that has begun.
pub(crate) struct Opening {
    /// Events that were held back.
    pub(crate) held: Bytes,
    /// The rest.
    pub(crate) body: ResponseBody,
    /// Reads along.
    pub(crate) reader: Reader,
}

/// Reads the first events.
pub(crate) async fn first_look(
    mut reader: Reader,
    mut body: ResponseBody,
    settlement: &mut Settlement,
) -> FirstLook {
    let mut held = BytesMut::new();
    let mut until = Instant::now() + FIRST_EVENT_TIME;
    loop {
        let chunk = match tokio::time::timeout_at(until, body.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(failure))) => return FirstLook::Failed(failure.retry(Retry::OtherAccount)),
            Ok(None) => return ended_early(reader, held, body),
            Err(_) if reader.events() > 0 => break,
            Err(_) => return FirstLook::Failed(silent()),
        };
        match reader.push(chunk) {
            Ok(forward) => held.extend_from_slice(&forward),
            Err(failure) => return FirstLook::Failed(failure),
        }
        if let Some(failure) = reader.failure_now() {
            return FirstLook::Failed(failure);
        }
        if reader.events() == 0 {
            continue;
        }
        settlement.first_event();
        if reader.content_seen() {
            break;
        }
        until = until.min(Instant::now() + COMMIT_GRACE);
    }
    FirstLook::Go(Box::new(Opening { held: held.freeze(), body, reader }))
}

/// Reads an answer that comes as one object: it goes through as it is, and is read for its tokens.
pub(crate) async fn whole(
    mut reader: Reader,
    mut body: ResponseBody,
    settlement: &mut Settlement,
) -> FirstLook {
    let mut object = BytesMut::new();
    let until = Instant::now() + WHOLE_ANSWER_TIME;
    loop {
        match tokio::time::timeout_at(until, body.next()).await {
            Ok(Some(Ok(chunk))) if object.len() + chunk.len() <= MAX_WHOLE_BYTES => {
                object.extend_from_slice(&chunk);
            }
            Ok(Some(Ok(_))) => {
                return FirstLook::Failed(Failure::upstream(
                    FailureKind::Malformed,
                    "the upstream's answer is too long; ask for a stream (`stream: true`)",
                ));
            }
            Ok(Some(Err(failure))) => return FirstLook::Failed(failure.retry(Retry::OtherAccount)),
            Ok(None) => break,
            Err(_) => return FirstLook::Failed(silent()),
        }
    }
    settlement.first_event();
    let held = object.freeze();
    if let Err(failure) = reader.push_whole(&held) {
        return FirstLook::Failed(failure);
    }
    match reader.failure_now() {
        Some(failure) => FirstLook::Failed(failure),
        None => FirstLook::Go(Box::new(Opening { held, body, reader })),
    }
}

fn silent() -> Failure {
    Failure::upstream(FailureKind::UpstreamTimeout, "the upstream accepted the request and sent nothing")
        .retry(Retry::OtherAccount)
        .dispatched(Dispatch::Ambiguous)
}

/// The stream ended within the first look: a complete short answer, or a cut one that can be tried elsewhere.
fn ended_early(mut reader: Reader, mut held: BytesMut, body: ResponseBody) -> FirstLook {
    match reader.end() {
        Ok(rest) => {
            held.extend_from_slice(&rest);
            match reader.failure_now() {
                Some(failure) => FirstLook::Failed(failure),
                None => FirstLook::Go(Box::new(Opening { held: held.freeze(), body, reader })),
            }
        }
        Err(failure) => FirstLook::Failed(failure),
    }
}
