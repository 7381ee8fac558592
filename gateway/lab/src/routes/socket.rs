//! `GET /codex/responses`, upgraded: the same turns as over HTTP, one event per frame, under the same faults. The
//! conversation lives with its socket: a turn may go on from the last response of this one and of no other.
//! Refuses several turns at once; they wait for each other.

use axum::body::Body;
use axum::extract::{Request, State};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_util::sync::CancellationToken;

use super::{backend, turn};
use crate::conn::ConnControl;
use crate::dialect::Dialect;
use crate::events;
use crate::exchange::{self, Abandon, Answer, AnswerBody, Arrived};
use crate::fault::{Fault, Route};
use crate::lab::Lab;
use crate::state::StreamGuard;
use crate::stream::{Step, plan};

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// The socket ends.
struct Over;

/// Upgrades, unless a fault or the account says otherwise.
pub(super) async fn upgrade(State(lab): State<Lab>, mut request: Request) -> Response<Body> {
    if !lab.shared().config.sockets {
        return exchange::exchange(lab, Route::Other, request, backend::upgrade).await;
    }
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let (parts, _) = request.into_parts();
    let caller = exchange::identify(&lab, &parts);
    let arrived = Arrived { parts, body: Bytes::new(), caller };
    let (seq, fault) = exchange::arrive(&lab, Route::Socket, &arrived, caller.ok());
    let mut response = match (exchange::preempt(&lab, fault.as_ref()).await, caller) {
        (Some(response), _) => response,
        (None, Err(failure)) => exchange::send(&lab, backend::refused(&lab, failure), None, None),
        (None, Ok(_)) => switched(&lab, arrived, upgrade),
    };
    exchange::finish(&lab, Route::Responses, caller.ok(), &mut response);
    exchange::answered(&lab, seq, &response);
    response
}

fn switched(lab: &Lab, arrived: Arrived, upgrade: Option<OnUpgrade>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let key = arrived.parts.headers.get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let (Some(upgrade), Some(Ok(accept))) = (upgrade, key.map(HeaderValue::try_from)) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    lab.shared().tasks.spawn(serve(lab.clone(), arrived, upgrade));
    response
}

async fn serve(lab: Lab, arrived: Arrived, upgrade: OnUpgrade) {
    let shutdown = arrived.parts.extensions.get::<CancellationToken>().cloned().unwrap_or_default();
    let speaking = async {
        let Ok(upgraded) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let mut speaker = Speaker { lab, socket, parts: arrived.parts, caller: arrived.caller, last: None };
        while speaker.turn().await.is_ok() {}
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = speaking => {}
    }
}

/// The conversation of a socket.
struct Last {
    response: String,
    items: Vec<Value>,
}

struct Speaker {
    lab: Lab,
    socket: Socket,
    parts: Parts,
    caller: Result<usize, crate::tokens::AuthFailure>,
    last: Option<Last>,
}

impl Speaker {
    /// One turn, from its frame to its last event.
    async fn turn(&mut self) -> Result<(), Over> {
        let frame = self.hear().await?;
        let arrived = Arrived { parts: self.parts.clone(), body: frame.clone(), caller: self.caller };
        let (seq, fault) = exchange::arrive(&self.lab, Route::Responses, &arrived, self.caller.ok());
        if let Some(Fault::CloseSocket { code, after_events: 0 }) = fault {
            return self.close(code).await;
        }
        if let Some(response) = exchange::preempt(&self.lab, fault.as_ref()).await {
            return self.refuse(response, seq).await;
        }
        if fault == Some(Fault::DropAnswer) {
            return self.reset();
        }
        let body = match self.whole(&frame) {
            Ok(body) => body,
            Err(error) => {
                let frame = json!({"type": "error", "status": 400, "error": error});
                return self.say(frame.to_string()).await;
            }
        };
        let input = body.get("input").and_then(Value::as_array).cloned().unwrap_or_default();
        let arrived = Arrived { body: Value::Object(body).to_string().into(), ..arrived };
        let Answer { status, headers, body } = turn::answer(&self.lab, &arrived);
        exchange::answered_with(&self.lab, seq, status);
        match body {
            AnswerBody::Whole(body) => self.error(status, &headers, &body).await,
            AnswerBody::Turn { account, events, pause, response_id, .. } => {
                self.remember(&response_id, input, &events);
                let mut guard =
                    account.map_or_else(StreamGuard::uncounted, |one| StreamGuard::turn(&self.lab, one));
                let steps = match &fault {
                    // Frames are whole by nature.
                    Some(Fault::Dribble(_)) => plan(events, pause, None, &response_id, Dialect::Responses),
                    fault => plan(events, pause, fault.as_ref(), &response_id, Dialect::Responses),
                };
                self.perform(steps, &mut guard).await?;
                guard.completed();
                self.last_words(fault).await
            }
        }
    }

    /// The body that a frame stands for: all of the conversation.
    fn whole(&self, frame: &Bytes) -> Result<Map<String, Value>, Value> {
        let wrong = |code: &str, message: &str, param: &str| json!({"type": "invalid_request_error", "code": code, "message": message, "param": param});
        let body = serde_json::from_slice::<Value>(frame).ok();
        let Some(Value::Object(mut body)) = body else {
            return Err(wrong("invalid_json", "We could not parse the frame", ""));
        };
        if body.remove("type").is_none_or(|kind| kind != "response.create") {
            return Err(wrong("invalid_type", "Expected response.create", "type"));
        }
        let Some(previous) = body.remove("previous_response_id") else { return Ok(body) };
        let Some(last) = self.last.as_ref().filter(|last| previous == last.response) else {
            let message = format!("Previous response with id {previous} not found.");
            return Err(wrong("previous_response_not_found", &message, "previous_response_id"));
        };
        let new = body.get("input").and_then(Value::as_array).cloned().unwrap_or_default();
        let all: Vec<Value> = last.items.iter().cloned().chain(new).collect();
        body.insert("input".to_owned(), all.into());
        Ok(body)
    }

    fn remember(&mut self, response: &str, mut items: Vec<Value>, events: &[Bytes]) {
        let done = events.iter().map(events::data_of);
        let done =
            done.filter(|data| data.get("type").is_some_and(|kind| kind == "response.output_item.done"));
        items.extend(done.filter_map(|data| data.get("item").cloned()));
        self.last = Some(Last { response: response.to_owned(), items });
    }

    async fn perform(&mut self, steps: Vec<Step>, guard: &mut StreamGuard) -> Result<(), Over> {
        for step in steps {
            match step {
                Step::Send(event) => self.say_event(&event).await?,
                Step::Pause(span) => self.wait(tokio::time::sleep(span)).await?,
                Step::Flush => {}
                Step::Stall => self.wait(std::future::pending()).await?,
                Step::Cut(_) => {
                    guard.broke();
                    return self.reset();
                }
            }
        }
        Ok(())
    }

    /// How a socket ends where a body would.
    async fn last_words(&mut self, fault: Option<Fault>) -> Result<(), Over> {
        match fault {
            Some(Fault::CleanEofAfterEvents(_) | Fault::DropCompleted) => self.close(1000).await,
            Some(Fault::CloseSocket { code, .. }) => self.close(code).await,
            _ => Ok(()),
        }
    }

    async fn hear(&mut self) -> Result<Bytes, Over> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return Err(Over),
            }
        }
    }

    /// Waits, and notices when the other side leaves.
    async fn wait(&mut self, until: impl Future<Output = ()>) -> Result<(), Over> {
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => return Ok(()),
                heard = self.socket.next() => match heard {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    _ => return Err(Over),
                },
            }
        }
    }

    async fn say_event(&mut self, event: &Bytes) -> Result<(), Over> {
        let text = String::from_utf8_lossy(event);
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
        self.say(data.to_owned()).await
    }

    async fn say(&mut self, frame: String) -> Result<(), Over> {
        self.socket.send(Message::text(frame)).await.map_err(|_| Over)
    }

    /// An answer that is no stream, as a frame.
    async fn error(&mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<(), Over> {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = said.get("error").cloned().unwrap_or_else(|| json!({"message": said.get("detail")}));
        let told: Map<String, Value> = headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.into())))
            .collect();
        let frame = json!({"type": "error", "status": status.as_u16(), "error": error, "headers": told});
        self.say(frame.to_string()).await
    }

    async fn refuse(&mut self, response: Response<Body>, seq: Option<u64>) -> Result<(), Over> {
        if response.extensions().get::<Abandon>().is_some() {
            return self.reset();
        }
        exchange::answered(&self.lab, seq, &response);
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Over)?;
        self.error(head.status, &head.headers, &body).await
    }

    async fn close(&mut self, code: u16) -> Result<(), Over> {
        let frame = CloseFrame { code: code.into(), reason: "the lab was told to".into() };
        // Whoever has left already needs no farewell.
        drop(self.socket.send(Message::Close(Some(frame))).await);
        Err(Over)
    }

    fn reset(&self) -> Result<(), Over> {
        if let Some(control) = self.parts.extensions.get::<ConnControl>() {
            control.reset();
        }
        Err(Over)
    }
}
