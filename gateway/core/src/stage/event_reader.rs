//! Reads along with Responses events that go through as they are: quota, usage, the end.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gateway_domain::{Failure, FailureKind, Retry, TokenUsage};
use gateway_protocol::codex::{classify_error_object, quota_from_event};
use gateway_protocol::responses::{
    Collector, EventKind, classify_event, failed_event, read_terminal, response_id,
};
use gateway_protocol::sse::{EventLines, SseFramer};
use gateway_scheduler::AccountRef;

use super::sealed::Maker;
use crate::Gateway;

/// Reads along with a stream: quota, usage, the end. Hands back what goes to the client: whole events only.
pub(crate) struct EventReader {
    gateway: Arc<Gateway>,
    maker: Maker,
    own_events: OwnEvents,
    framer: SseFramer,
    seen: Seen,
    /// Events of the dialect so far.
    pub(crate) events: u64,
    /// Whether anything but lifecycle events came.
    pub(crate) content_seen: bool,
}

/// What becomes of the backend's own events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnEvents {
    /// They go along.
    Shown,
    /// They go along, but for the limits of the account.
    WithoutLimits,
    /// They are taken out.
    Hidden,
}

/// What the events said.
#[derive(Default)]
struct Seen {
    collector: Option<Collector>,
    terminal: Option<Terminal>,
    response_id: Option<String>,
    overflow: bool,
}

/// The last event and what it said, read once.
struct Terminal {
    event: Bytes,
    usage: Option<TokenUsage>,
    failure: Option<Failure>,
}

impl EventReader {
    pub(crate) fn new(
        gateway: &Arc<Gateway>,
        own_events: OwnEvents,
        wants_stream: bool,
        maker: Maker,
    ) -> Self {
        Self {
            gateway: gateway.clone(),
            maker,
            own_events,
            framer: SseFramer::default(),
            seen: Seen { collector: (!wants_stream).then(Collector::default), ..Seen::default() },
            events: 0,
            content_seen: false,
        }
    }

    /// Takes the next chunk; returns the events that go on to the client.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<Bytes, Failure> {
        if self.seen.terminal.is_some() {
            // Nothing may follow the end.
            return Ok(Bytes::new());
        }
        let Self { gateway, maker, own_events, framer, seen, events, content_seen } = self;
        let mut hidden = false;
        let forward = framer.push(chunk, |event| {
            let kind = classify_event(event);
            match kind {
                EventKind::Quota => observe(gateway, maker.account(), event),
                EventKind::Lifecycle | EventKind::Vendor => {}
                EventKind::ItemDone => {
                    maker.item(event);
                    *content_seen = true;
                }
                _ => *content_seen = true,
            }
            // The backend's own events carry no number.
            *events += u64::from(!matches!(kind, EventKind::Vendor | EventKind::Quota));
            hidden |= is_hidden(*own_events, kind, event);
            seen.take(event, kind, gateway);
        });
        let forward = forward.map_err(|error| {
            Failure::upstream(FailureKind::Malformed, error.to_string()).retry(Retry::OtherAccount)
        })?;
        if self.seen.overflow {
            return Err(Failure::gateway(
                FailureKind::Malformed,
                "the response is too long to be collected; ask for a stream (`stream: true`)",
            ));
        }
        Ok(if hidden { without_hidden(self.own_events, &forward) } else { forward })
    }

    /// The source ended. A last event without its empty line counts; anything else before the end is a cut.
    pub(crate) fn end(&mut self) -> Result<Bytes, Failure> {
        let rest = std::mem::take(&mut self.framer).finish().unwrap_or_default();
        let mut forward = BytesMut::from(&*rest);
        if !rest.is_empty() {
            let kind = classify_event(&rest);
            self.seen.take(&rest, kind, &self.gateway);
            forward.extend_from_slice(b"\n");
        }
        if self.seen.terminal.is_some() {
            return Ok(forward.freeze());
        }
        Err(super::reader::ended_early())
    }

    /// The tokens that the terminal event told, once it came.
    pub(crate) fn ended(&self) -> Option<Option<TokenUsage>> {
        self.seen.terminal.as_ref().map(|terminal| terminal.usage)
    }

    /// The failure that the terminal event tells, if it tells one.
    pub(crate) fn failure_now(&self) -> Option<Failure> {
        self.seen.terminal.as_ref()?.failure.clone()
    }

    /// The folded response, for callers that did not ask for events.
    pub(crate) fn fold(self) -> Option<Bytes> {
        let terminal = self.seen.terminal?;
        self.seen.collector?.finish(&terminal.event)
    }

    /// The client's last event, when the stream cannot go on: with the response's id and the next sequence number.
    pub(crate) fn failed(&self, failure: &Failure) -> Bytes {
        failed_event(failure, self.response_id().unwrap_or("resp_unknown"), self.events)
    }

    /// The upstream's id of the answer.
    pub(crate) fn response_id(&self) -> Option<&str> {
        self.seen.response_id.as_deref()
    }
}

impl Seen {
    fn take(&mut self, event: &[u8], kind: EventKind, gateway: &Gateway) {
        if kind == EventKind::Lifecycle && self.response_id.is_none() {
            self.response_id = response_id(event);
        }
        if let Some(collector) = &mut self.collector {
            self.overflow |= collector.take(event, kind).is_err();
        }
        if kind.is_terminal() && self.terminal.is_none() {
            let said = read_terminal(event);
            let failed = matches!(kind, EventKind::Failed | EventKind::Error);
            let error = || said.error.map_or("{}", |error| error.get());
            self.terminal = Some(Terminal {
                // Only the fold needs its bytes.
                event: if self.collector.is_some() { Bytes::copy_from_slice(event) } else { Bytes::new() },
                usage: said.usage,
                failure: failed.then(|| classify_error_object(error(), gateway.now())),
            });
        }
    }
}

/// Takes in the quota that an event of the backend's own tells.
pub(crate) fn observe(gateway: &Gateway, account: Option<AccountRef>, event: &[u8]) {
    let now = gateway.now();
    let quota = EventLines::read(event).data.and_then(|data| quota_from_event(data, now));
    if let (Some(account), Some(quota)) = (account, quota) {
        gateway.pool.lock().observe_quota(account, &quota, now);
    }
}

/// Vendor events are not part of the public dialect; strict parsers there stumble over them. Comments are fine. The limits
/// of one account say nothing of a pool: its own are told in the answer's headers.
fn is_hidden(own_events: OwnEvents, kind: EventKind, event: &[u8]) -> bool {
    match own_events {
        OwnEvents::Shown => false,
        OwnEvents::WithoutLimits => kind == EventKind::Quota,
        OwnEvents::Hidden => matches!(kind, EventKind::Quota | EventKind::Vendor) && !event.starts_with(b":"),
    }
}

fn without_hidden(own_events: OwnEvents, events: &Bytes) -> Bytes {
    let mut kept = BytesMut::with_capacity(events.len());
    // These are whole events, so framing them again cannot fail.
    let framed = SseFramer::default().push(events.clone(), |event| {
        if !is_hidden(own_events, classify_event(event), event) {
            kept.extend_from_slice(event);
            kept.extend_from_slice(if event.ends_with(b"\n") { b"\n" } else { b"\n\n" });
        }
    });
    drop(framed);
    kept.freeze()
}
