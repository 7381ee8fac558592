//! One open socket with a turn on it: the frame goes out, the first frames decide what it is, and the rest becomes a body of
//! events. Refuses to try again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use gateway_core::ports::ResponseBody;
use gateway_domain::{Failure, FailureKind};
use gateway_protocol::responses::{
    EventKind, FramedEvent, RefusedFrame, event_of_frame, output_item, refused_frame, response_id,
};
use reqwest::Upgraded;
use sha2::{Digest, Sha256};
use tokio::time::{timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::connect::Identity;
use super::parked::Parked;
use crate::HEAD_TIME;
use crate::clients::broken_off;

/// The longest that a frame may take to leave.
const SEND_TIME: Duration = Duration::from_secs(60);
/// Frames of the backend's own before the answer begins.
const MAX_LEADING: usize = 64;

/// An open socket.
pub(super) struct Live {
    pub(super) stream: Box<WebSocketStream<Upgraded>>,
    pub(super) identity: Identity,
    pub(super) born: Instant,
    /// What the upstream knows of the conversation on it.
    pub(super) told: Option<Told>,
    /// Whether it carried a turn before.
    pub(super) used: bool,
}

/// A conversation that the upstream keeps with its socket: the items so far, as a digest.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) response: String,
    items: Items,
    /// Everything but the items; it has to be the same for the next turn to go on.
    others: [u8; 32],
}

#[derive(Clone, Default)]
struct Items {
    digest: Sha256,
    bytes: usize,
}

impl Items {
    fn add(&mut self, items: &str) {
        if items.is_empty() {
            return;
        }
        if self.bytes > 0 {
            self.digest.update(b",");
            self.bytes += 1;
        }
        self.digest.update(items.as_bytes());
        self.bytes += items.len();
    }
}

impl Told {
    /// How many bytes of these items the upstream has: `None` when the conversation is another one.
    pub(super) fn known_of(&self, items: &str, others: &[u8; 32]) -> Option<usize> {
        let known = self.items.bytes;
        let (before, rest) = items.split_at_checked(known)?;
        let ends_there = known == 0 || rest.is_empty() || rest.trim_start().starts_with(',');
        let same = self.others == *others
            && ends_there
            && Sha256::digest(before.as_bytes()) == self.items.digest.clone().finalize();
        same.then_some(known)
    }
}

/// What a turn tells the upstream, for the turn after it.
pub(super) struct Telling {
    items: Items,
    others: [u8; 32],
}

impl Telling {
    pub(super) fn new(items: &str, others: [u8; 32]) -> Self {
        let mut all = Items::default();
        all.add(items);
        Self { items: all, others }
    }

    fn ended(self, response: String) -> Told {
        Told { response, items: self.items, others: self.others }
    }
}

/// How an answer begins.
pub(super) enum Head {
    /// With events.
    Events(VecDeque<FramedEvent>),
    /// With an error.
    Refused(RefusedFrame),
}

/// Why it does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHead {
    /// The frame did not leave whole; half a frame is none.
    NotSent,
    /// The upstream says that the frame is too large.
    TooLarge,
    /// The socket ended, and nobody knows what became of the turn.
    Broken,
    /// Nothing came in time.
    Silent,
    /// What came is not the protocol.
    Malformed,
}

impl Live {
    /// Sends a turn and waits for the first frame that says what became of it.
    pub(super) async fn ask(&mut self, frame: String) -> Result<Head, NoHead> {
        match timeout(SEND_TIME, self.stream.send(Message::text(frame))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(NoHead::NotSent),
        }
        let until = tokio::time::Instant::now() + HEAD_TIME;
        let mut events = VecDeque::new();
        loop {
            let text = match timeout_at(until, self.hear()).await {
                Err(_) => return Err(NoHead::Silent),
                Ok(heard) => heard?,
            };
            let framed = event_of_frame(&text).ok_or(NoHead::Malformed)?;
            match framed.kind {
                EventKind::Error => {
                    return refused_frame(&text).map(Head::Refused).ok_or(NoHead::Malformed);
                }
                EventKind::Quota | EventKind::Vendor if events.len() < MAX_LEADING => {
                    events.push_back(framed)
                }
                _ => {
                    events.push_back(framed);
                    return Ok(Head::Events(events));
                }
            }
        }
    }

    async fn hear(&mut self) -> Result<String, NoHead> {
        loop {
            return match self.stream.next().await {
                Some(Ok(Message::Text(text))) => Ok(text.to_string()),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Binary(_))) => Err(NoHead::Malformed),
                Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Size => {
                    Err(NoHead::TooLarge)
                }
                Some(Err(Error::Capacity(_) | Error::Protocol(_) | Error::Utf8(_))) => Err(NoHead::Malformed),
                Some(Ok(Message::Close(_)) | Err(_)) | None => Err(NoHead::Broken),
            };
        }
    }
}

/// The rest of an answer.
struct Running {
    live: Option<Live>,
    leading: VecDeque<FramedEvent>,
    telling: Option<Telling>,
    parked: Arc<Parked>,
}

/// The answer as events; the socket is parked when the last one was handed over, and closed when anything else happens.
pub(super) fn body(
    live: Live,
    leading: VecDeque<FramedEvent>,
    telling: Option<Telling>,
    parked: Arc<Parked>,
) -> ResponseBody {
    let running = Running { live: Some(live), leading, telling, parked };
    Box::pin(futures_util::stream::unfold(running, |mut running| async move {
        let next = running.next().await?;
        Some((next, running))
    }))
}

impl Running {
    async fn next(&mut self) -> Option<Result<bytes::Bytes, Failure>> {
        let live = self.live.as_mut()?;
        let framed = match self.leading.pop_front() {
            Some(framed) => framed,
            None => match live.hear().await {
                Ok(text) => match event_of_frame(&text) {
                    Some(framed) => framed,
                    None => return Some(Err(self.broke(NoHead::Malformed))),
                },
                Err(why) => return Some(Err(self.broke(why))),
            },
        };
        self.note(&framed);
        Some(Ok(framed.event))
    }

    fn broke(&mut self, why: NoHead) -> Failure {
        self.live = None;
        if why == NoHead::Malformed {
            return Failure::upstream(FailureKind::Malformed, "the upstream sent a frame that is no event");
        }
        broken_off(false)
    }

    /// Notes what the next turn can go on from, and lets the socket go at the end.
    fn note(&mut self, framed: &FramedEvent) {
        match framed.kind {
            EventKind::ItemDone => {
                if let Some(telling) = &mut self.telling {
                    telling.items.add(output_item(&framed.event).unwrap_or_default());
                }
            }
            EventKind::Completed | EventKind::Incomplete => {
                let Some(mut live) = self.live.take() else { return };
                live.told = match (self.telling.take(), response_id(&framed.event)) {
                    (Some(telling), Some(response)) => Some(telling.ended(response)),
                    _ => None,
                };
                live.used = true;
                self.parked.park(live);
            }
            // What the upstream thinks of the conversation now is its own affair.
            EventKind::Failed | EventKind::Error => self.live = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_goes_on_only_from_the_very_same_conversation() {
        let others = [7; 32];
        let mut telling = Telling::new(r#"{"a":1}"#, others);
        telling.items.add(r#"{"b":2}"#);
        let told = telling.ended("r".to_owned());
        let known = r#"{"a":1},{"b":2}"#.len();
        for (items, expected) in [
            (r#"{"a":1},{"b":2},{"c":3}"#, Some(known)),
            (r#"{"a":1},{"b":2} , {"c":3}"#, Some(known)),
            (r#"{"a":1},{"b":2}"#, Some(known)),
            (r#"{"a":1}"#, None),
            (r#"{"a":9},{"b":2},{"c":3}"#, None),
            ("", None),
        ] {
            assert_eq!(told.known_of(items, &others), expected, "{items}");
        }
        assert_eq!(told.known_of(r#"{"a":1},{"b":2}"#, &[8; 32]), None);
        assert_eq!(Telling::new("", others).ended("r".to_owned()).known_of("x", &others), Some(0));
    }
}
