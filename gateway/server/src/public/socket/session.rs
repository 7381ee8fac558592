//! One WebSocket of a client: each `response.create` becomes one turn of the pipeline, one at a time and in their order,
//! and its events go back one per frame. Every turn is accounted for by itself.
//!
//! The socket is read while a turn runs, so that a client who leaves ends its turn upstream; a client who reads slowly
//! slows its turn down. Refuses binary frames, frames that are too large, and more than a few turns ahead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use gateway_core::pipeline;
use gateway_core::ports::Transport;
use gateway_core::stage::{
    Early, INLINE_DECODE_BYTES, Peer, Received, RelayStream, ReplyBody, Route, identify, is_codex,
};
use gateway_domain::{Failure, FailureKind, RequestId};
use gateway_protocol::responses::{
    Purpose, RequestError, error_frame, prepared_frames, rate_limits_frame, read_create,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::super::patience::Answering;
use super::frames::frames_of;
use super::kept::{Before, Kept};
use crate::body::MAX_TURN_BYTES;
use crate::{AppState, rescue};

/// The longest that an upgrade may take once it was promised.
const UPGRADE_TIME: Duration = Duration::from_secs(10);
/// A socket without a turn is closed after this; its client opens another one with its next turn.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// The pause between two pings: shorter than what is between us forgets silent connections.
const PING: Duration = Duration::from_secs(30);
/// The longest that a client may leave what is sent to it unread.
const SEND_TIME: Duration = Duration::from_secs(120);
/// Turns that may wait for the one that runs, and their size.
const MAX_WAITING: usize = 4;
const MAX_WAITING_BYTES: usize = MAX_TURN_BYTES;
/// Frames shorter than this are gathered before they are written, and as much is read at once: a socket costs both.
const BUFFER: usize = 8 * 1024;
/// The client opens another socket, or goes on over HTTP, elsewhere.
const GOING_DOWN: &str = "the gateway is going down";

/// Who opened the socket, and how.
pub(super) struct Caller {
    pub(super) route: Route,
    pub(super) peer: Peer,
    /// Of the upgrade; all turns share them.
    pub(super) headers: HeaderMap,
}

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// The client left, or does not read any more.
struct Gone;

/// What the client gets instead of a turn.
enum Begun {
    Turn(Answering, Arc<Early>),
    Frames(Vec<Message>),
}

/// The turn that runs.
enum Turn {
    None,
    /// Its answer has not begun.
    Asking(Answering, Arc<Early>),
    Streaming(Box<RelayStream>),
}

/// A piece of a turn.
enum Piece {
    Begun(HeaderMap, Box<RelayStream>),
    Whole(Bytes),
    Failed(Failure),
    Events(Bytes),
    Over,
}

impl Turn {
    /// The next piece; waits for ever while no turn runs.
    async fn next(&mut self) -> Piece {
        match self {
            Self::None => std::future::pending().await,
            Self::Asking(answering, _) => match answering.await {
                Ok(reply) => match reply.body {
                    ReplyBody::Stream(events) => Piece::Begun(reply.headers, events),
                    ReplyBody::Whole(object) => Piece::Whole(object),
                    ReplyBody::Passed(passed) => Piece::Whole(passed.body),
                },
                Err(failure) => Piece::Failed(failure),
            },
            Self::Streaming(events) => events.next().await.map_or(Piece::Over, Piece::Events),
        }
    }

    const fn runs(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// Frames that wait for the turn before them.
#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl Waiting {
    fn push(&mut self, frame: Bytes) -> Result<(), Failure> {
        if self.frames.len() >= MAX_WAITING || self.bytes + frame.len() > MAX_WAITING_BYTES {
            let why = "too many turns wait on this socket; wait for `response.completed` before the next one";
            return Err(Failure::client(FailureKind::Saturated, why));
        }
        self.bytes += frame.len();
        self.frames.push_back(frame);
        Ok(())
    }

    fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }
}

struct Session {
    state: AppState,
    caller: Caller,
    out: SplitSink<Stream, Message>,
    kept: Kept,
    turn: Turn,
    waiting: Waiting,
    /// When it is closed, unless a turn runs.
    idle_until: Instant,
}

/// Speaks on a socket until it ends.
pub(super) async fn serve(state: AppState, caller: Caller, upgrade: OnUpgrade, place: OwnedSemaphorePermit) {
    let Ok(Ok(upgraded)) = tokio::time::timeout(UPGRADE_TIME, upgrade).await else { return };
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(MAX_TURN_BYTES))
        .max_frame_size(Some(MAX_TURN_BYTES));
    let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (out, heard) = stream.split();
    let session = Session {
        kept: Kept::new(state.sockets.allowance()),
        state,
        caller,
        out,
        turn: Turn::None,
        waiting: Waiting::default(),
        idle_until: Instant::now() + IDLE,
    };
    // Who left is told nothing; what ran for them is dropped, and settles itself.
    drop(session.run(heard).await);
    drop(place);
}

impl Session {
    async fn run(mut self, mut heard: SplitStream<Stream>) -> Result<(), Gone> {
        let stopping = self.state.gateway.stopping();
        let mut ping = Instant::now() + PING;
        loop {
            let running = self.turn.runs();
            tokio::select! {
                message = heard.next() => {
                    let Some(message) = message else { return Err(Gone) };
                    self.hear(message).await?;
                }
                piece = self.turn.next() => self.pass_on(piece).await?,
                () = sleep_until(ping) => {
                    ping = Instant::now() + PING;
                    self.sign_of_life().await?;
                }
                () = sleep_until(self.idle_until), if !running => {
                    return self.close(CloseCode::Normal, "nothing was asked for a while").await;
                }
                () = stopping.cancelled(), if !running => {
                    return self.close(CloseCode::Away, GOING_DOWN).await;
                }
            }
            while !self.turn.runs()
                && let Some(frame) = self.waiting.pop()
            {
                if stopping.is_cancelled() {
                    return self.close(CloseCode::Away, GOING_DOWN).await;
                }
                self.begin(frame).await?;
            }
        }
    }

    /// Takes one message of the client.
    async fn hear(&mut self, message: Result<Message, Error>) -> Result<(), Gone> {
        match message {
            Ok(Message::Text(text)) => {
                if let Err(failure) = self.waiting.push(text.into()) {
                    return self.refuse(&failure).await;
                }
                Ok(())
            }
            Ok(Message::Binary(_)) => {
                let why = "a binary frame; send `response.create` as a text frame";
                self.refuse(&Failure::client(FailureKind::InvalidRequest, why)).await
            }
            // Answered, or nothing to answer.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(()),
            Ok(Message::Close(_)) => Err(Gone),
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                let why = format!("the frame is larger than {} MiB", MAX_TURN_BYTES / (1024 * 1024));
                self.refuse(&Failure::client(FailureKind::BodyTooLarge, why)).await?;
                self.close(CloseCode::Size, "the frame is too large").await?;
                Err(Gone)
            }
            Err(Error::Utf8(_)) => {
                self.close(CloseCode::Invalid, "a text frame must be UTF-8").await?;
                Err(Gone)
            }
            Err(Error::Protocol(_)) => {
                self.close(CloseCode::Protocol, "this is not the WebSocket protocol").await?;
                Err(Gone)
            }
            Err(_) => Err(Gone),
        }
    }

    /// Begins the turn that a frame asks for, or says why not.
    async fn begin(&mut self, frame: Bytes) -> Result<(), Gone> {
        let started = Instant::now();
        let begun = match self.prepared(frame, started).await {
            Ok(begun) => begun,
            Err(failure) => return self.refuse(&failure).await,
        };
        match begun {
            Begun::Turn(answering, early) => {
                self.turn = Turn::Asking(answering, early);
                Ok(())
            }
            Begun::Frames(frames) => self.send(frames).await,
        }
    }

    async fn prepared(&mut self, frame: Bytes, started: Instant) -> Result<Begun, Failure> {
        // Keys are taken back while sockets live: every turn asks again.
        let (route, peer) = (self.caller.route, self.caller.peer);
        identify(&self.state.gateway.keys(), peer, &self.caller.headers)?;
        let asked = if frame.len() + self.kept.bytes() <= INLINE_DECODE_BYTES {
            read(&frame, &mut self.kept)
        } else {
            let mut kept = std::mem::replace(&mut self.kept, Kept::new(self.state.sockets.allowance()));
            let read = tokio::task::spawn_blocking(move || (read(&frame, &mut kept), kept)).await;
            let (asked, kept) =
                read.map_err(|_| Failure::gateway(FailureKind::Internal, "reading the frame failed"))?;
            self.kept = kept;
            asked
        };
        let asked = asked.map_err(|error| invalid(&error))?;
        if asked.purpose == Purpose::Prepare {
            let id = RequestId::generate().as_str().replacen("req_", "resp_", 1);
            let frames = prepared_frames(&id, &asked.model, self.state.gateway.now().as_secs());
            self.kept.end(Some(id));
            return Ok(Begun::Frames(frames.map(|frame| Message::Text(frame.into())).into()));
        }
        let early = Arc::<Early>::default();
        let received = Received {
            id: RequestId::generate(),
            at: self.state.gateway.now(),
            started,
            route,
            peer,
            transport: Transport::WebSocket,
            headers: with_turns_own(&self.caller.headers, asked.headers),
            body: asked.body.into(),
            backend: None,
            early: early.clone(),
        };
        let gateway = self.state.gateway.clone();
        Ok(Begun::Turn(Box::pin(async move { pipeline::respond(&gateway, received).await }), early))
    }

    /// Keeps the connection open, and a client from giving up on a turn that has not begun: some mind data only.
    async fn sign_of_life(&mut self) -> Result<(), Gone> {
        let mut frames = vec![Message::Ping(Bytes::new())];
        if let Turn::Asking(_, early) = &self.turn
            && let Some(keep_alive) = early.keep_alive()
        {
            frames.extend(frames_of(&keep_alive, &mut self.kept));
        }
        self.send(frames).await
    }

    /// Passes a piece of the running turn on.
    async fn pass_on(&mut self, piece: Piece) -> Result<(), Gone> {
        match piece {
            Piece::Begun(headers, events) => {
                self.turn = Turn::Streaming(events);
                if is_codex(&self.caller.headers) {
                    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
                    let frame = rate_limits_frame(header, self.state.gateway.now().as_secs());
                    self.send(frame.map(|frame| Message::Text(frame.into())).into_iter().collect()).await?;
                }
            }
            Piece::Events(chunk) => {
                let frames = frames_of(&chunk, &mut self.kept);
                self.send(frames).await?;
            }
            Piece::Over => self.over(),
            // A turn that asks for events gets events; whoever answers otherwise is not left without an end.
            Piece::Whole(object) => {
                self.kept.take_back();
                let object = String::from_utf8_lossy(&object);
                let frame = format!(r#"{{"type":"response.completed","response":{object}}}"#);
                self.over();
                self.send(vec![Message::Text(frame.into())]).await?;
            }
            Piece::Failed(failure) => {
                self.kept.take_back();
                self.over();
                self.send(vec![failed(&failure)]).await?;
            }
        }
        Ok(())
    }

    fn over(&mut self) {
        self.turn = Turn::None;
        self.idle_until = Instant::now() + IDLE;
    }

    /// A frame that never became a turn: counted and logged here, because no stage sees it.
    async fn refuse(&mut self, failure: &Failure) -> Result<(), Gone> {
        let (kind, origin) = (failure.kind.label(), failure.origin.label());
        tracing::warn!(kind, origin, why = failure.message, "frame refused");
        self.state.metrics.refused_frame(self.caller.route.label(), failure);
        self.send(vec![failed(failure)]).await
    }

    async fn send(&mut self, frames: Vec<Message>) -> Result<(), Gone> {
        let sending = async {
            for frame in frames {
                self.out.feed(frame).await?;
            }
            self.out.flush().await
        };
        match tokio::time::timeout(SEND_TIME, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    async fn close(&mut self, code: CloseCode, reason: &'static str) -> Result<(), Gone> {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        self.send(vec![Message::Close(Some(frame))]).await
    }
}

/// What a frame asks, with the items that it goes on from.
struct Asked {
    purpose: Purpose,
    model: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn read(frame: &[u8], kept: &mut Kept) -> Result<Asked, RequestError> {
    let mut create = read_create(frame)?;
    let headers = std::mem::take(&mut create.headers);
    let (purpose, model) = (create.purpose, create.model().unwrap_or_default());
    let previous = create.previous.clone();
    let items = create.items().into_owned();
    let body = match kept.before(previous.as_deref()) {
        _ if purpose == Purpose::Prepare => Vec::new(),
        // Nothing to put in front: the frame says it all.
        Before::Items("") if previous.is_none() => create.body(None),
        Before::Items(before) => create.body(Some(before)),
        Before::Elsewhere => create.body(None),
    };
    kept.begin(previous.as_deref(), &items);
    Ok(Asked { purpose, model, headers, body })
}

/// The headers of the upgrade, with those that a turn brought itself in their place.
fn with_turns_own(shared: &HeaderMap, own: Vec<(String, String)>) -> HeaderMap {
    let mut headers = shared.clone();
    for (name, value) in own {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers
}

fn invalid(error: &RequestError) -> Failure {
    let failure = Failure::client(FailureKind::InvalidRequest, error.to_string());
    match error.param() {
        Some(param) => failure.param(param),
        None => failure,
    }
}

fn failed(failure: &Failure) -> Message {
    let status = rescue::status_of(failure);
    let frame = error_frame(failure, status.as_u16(), rescue::seconds_to_wait(failure, status));
    Message::Text(frame.into())
}
