//! The answer's beginning, before anything of it goes to the client: an upstream that accepts and then fails at once can
//! still be replaced by another account.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use gateway_domain::{Failure, FailureKind, Retry, TokenUsage};
use gateway_protocol::codex::{classify_error_object, quota_from_event};
use gateway_protocol::responses::{Collector, EventKind, classify_event, read_terminal, response_id};
use gateway_protocol::sse::{EventLines, SseFramer};
use tokio::time::Instant;

use super::Route;
use super::settle::Settlement;
use crate::Gateway;
use crate::ports::ResponseBody;

/// How long the first lifecycle events are held back for what follows them. An upstream that fails at once does so
/// within this; one that thinks is let through.
pub const COMMIT_GRACE: Duration = Duration::from_millis(250);
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
    pub(crate) reader: EventReader,
}

/// Reads the first events.
pub(crate) async fn first_look(
    gateway: &Arc<Gateway>,
    route: Route,
    wants_stream: bool,
    mut body: ResponseBody,
    settlement: &mut Settlement,
) -> FirstLook {
    let mut reader = EventReader::new(gateway, route, wants_stream, settlement);
    let mut held = BytesMut::new();
    let mut until = Instant::now() + FIRST_EVENT_TIME;
    loop {
        let chunk = match tokio::time::timeout_at(until, body.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(failure))) => return FirstLook::Failed(failure.retry(Retry::OtherAccount)),
            Ok(None) => return ended_early(reader, held, body),
            Err(_) if reader.events > 0 => break,
            Err(_) => return FirstLook::Failed(silent()),
        };
        match reader.push(chunk) {
            Ok(forward) => held.extend_from_slice(&forward),
            Err(failure) => return FirstLook::Failed(failure),
        }
        if let Some(failure) = reader.failure_now() {
            return FirstLook::Failed(failure);
        }
        if reader.events == 0 {
            continue;
        }
        settlement.first_event();
        if reader.content_seen {
            break;
        }
        until = until.min(Instant::now() + COMMIT_GRACE);
    }
    FirstLook::Go(Box::new(Opening { held: held.freeze(), body, reader }))
}

fn silent() -> Failure {
    Failure::upstream(FailureKind::UpstreamTimeout, "the upstream accepted the request and sent nothing")
        .retry(Retry::OtherAccount)
}

/// The stream ended within the first look: a complete short answer, or a cut one that can be tried elsewhere.
fn ended_early(mut reader: EventReader, mut held: BytesMut, body: ResponseBody) -> FirstLook {
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

/// Reads along with a stream: quota, usage, the end. Hands back what goes to the client: whole events only.
pub(crate) struct EventReader {
    gateway: Arc<Gateway>,
    account: Option<gateway_scheduler::AccountRef>,
    route: Route,
    framer: SseFramer,
    seen: Seen,
    /// Events of the dialect so far.
    pub(crate) events: u64,
    /// Whether anything but lifecycle events came.
    pub(crate) content_seen: bool,
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
    kind: EventKind,
    event: Bytes,
    usage: Option<TokenUsage>,
    failure: Option<Failure>,
}

impl EventReader {
    fn new(gateway: &Arc<Gateway>, route: Route, wants_stream: bool, settlement: &Settlement) -> Self {
        Self {
            gateway: gateway.clone(),
            account: settlement.account_ref(),
            route,
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
        let Self { gateway, account, route, framer, seen, events, content_seen } = self;
        let mut hidden = false;
        let forward = framer.push(chunk, |event| {
            let kind = classify_event(event);
            match kind {
                EventKind::Quota => observe(gateway, *account, event),
                EventKind::Lifecycle | EventKind::Vendor => {}
                _ => *content_seen = true,
            }
            // The backend's own events carry no number.
            *events += u64::from(!matches!(kind, EventKind::Vendor | EventKind::Quota));
            hidden |= is_hidden(*route, kind, event);
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
        Ok(if hidden { without_hidden(self.route, &forward) } else { forward })
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
        Err(Failure::upstream(
            FailureKind::StreamCut,
            "the upstream ended the stream before the response was complete",
        )
        .retry(Retry::OtherAccount))
    }

    /// The kind of the terminal event and the tokens it told, once it came.
    pub(crate) fn terminal(&self) -> Option<(EventKind, Option<TokenUsage>)> {
        self.seen.terminal.as_ref().map(|terminal| (terminal.kind, terminal.usage))
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

    /// What an event that we add must carry to fit in: the response's id and the next sequence number.
    pub(crate) fn next_event(&self) -> (&str, u64) {
        (self.seen.response_id.as_deref().unwrap_or("resp_unknown"), self.events)
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
                kind,
                // Only the fold needs its bytes.
                event: if self.collector.is_some() { Bytes::copy_from_slice(event) } else { Bytes::new() },
                usage: said.usage,
                failure: failed.then(|| classify_error_object(error(), gateway.now())),
            });
        }
    }
}

fn observe(gateway: &Gateway, account: Option<gateway_scheduler::AccountRef>, event: &[u8]) {
    let now = gateway.now();
    let quota = EventLines::read(event).data.and_then(|data| quota_from_event(data, now));
    if let (Some(account), Some(quota)) = (account, quota) {
        gateway.pool.lock().observe_quota(account, &quota, now);
    }
}

/// Vendor events are not part of the public dialect; strict parsers there stumble over them. Comments are fine.
fn is_hidden(route: Route, kind: EventKind, event: &[u8]) -> bool {
    let vendor = matches!(kind, EventKind::Quota | EventKind::Vendor);
    route == Route::Responses && vendor && !event.starts_with(b":")
}

fn without_hidden(route: Route, events: &Bytes) -> Bytes {
    let mut kept = BytesMut::with_capacity(events.len());
    // These are whole events, so framing them again cannot fail.
    let framed = SseFramer::default().push(events.clone(), |event| {
        if !is_hidden(route, classify_event(event), event) {
            kept.extend_from_slice(event);
            kept.extend_from_slice(if event.ends_with(b"\n") { b"\n" } else { b"\n\n" });
        }
    });
    drop(framed);
    kept.freeze()
}
