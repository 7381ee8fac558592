//! A WebSocket client of the Responses API: opens, asks, reads frame by frame, and sees how it ends.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::Answer;

/// The longest that a frame may take.
const FRAME_TIME: Duration = Duration::from_secs(20);

/// A short turn as a frame.
#[must_use]
pub fn create(text: &str) -> Value {
    json!({ "type": "response.create", "model": "gpt-5.5", "input": text })
}

/// An open WebSocket.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens one at a gateway, `http://127.0.0.1:port`.
    ///
    /// # Errors
    /// The upgrade was refused, or nobody is there.
    pub async fn open(base: &str, path: &str, headers: &[(&str, &str)]) -> Result<Self> {
        match Self::try_open(base, path, headers).await? {
            Ok(socket) => Ok(socket),
            Err(answer) => bail!("the upgrade was refused: {} {}", answer.status, answer.text()),
        }
    }

    /// Opens one, or hands back the answer that refuses it.
    ///
    /// # Errors
    /// Nobody is there, or no answer came.
    pub async fn try_open(base: &str, path: &str, headers: &[(&str, &str)]) -> Result<Result<Self, Answer>> {
        let address = base.strip_prefix("http://").context("no http:// address")?;
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().append(HeaderName::try_from(*name)?, HeaderValue::try_from(*value)?);
        }
        let stream = TcpStream::connect(address).await?;
        match timeout(FRAME_TIME, client_async(request, stream)).await? {
            Ok((socket, _)) => Ok(Ok(Self(socket))),
            Err(Error::Http(response)) => {
                let (head, body) = response.into_parts();
                let body = body.unwrap_or_default().into();
                Ok(Err(Answer { status: head.status.as_u16(), headers: head.headers, body }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends any message.
    ///
    /// # Errors
    /// The socket is closed.
    pub async fn send(&mut self, message: Message) -> Result<()> {
        timeout(FRAME_TIME, self.0.send(message)).await?.context("send a frame")
    }

    /// Sends a frame of JSON.
    ///
    /// # Errors
    /// The socket is closed.
    pub async fn say(&mut self, frame: &Value) -> Result<()> {
        self.send(Message::text(frame.to_string())).await
    }

    /// The next frame; `None` when the other side closed.
    ///
    /// # Errors
    /// None came in time, the connection broke, or it is not JSON.
    pub async fn hear(&mut self) -> Result<Option<Value>> {
        loop {
            let next = timeout(FRAME_TIME, self.0.next()).await.context("no frame in time")?;
            match next.transpose().context("the socket broke")? {
                None | Some(Message::Close(_)) => return Ok(None),
                Some(Message::Text(text)) => {
                    return Ok(Some(
                        serde_json::from_str(&text).with_context(|| format!("no JSON in {text:?}"))?,
                    ));
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                Some(other) => bail!("an unexpected frame: {other:?}"),
            }
        }
    }

    /// Sends a turn and reads to its end. Every frame of it, the last one included.
    ///
    /// # Errors
    /// The socket ended before the turn did.
    pub async fn turn(&mut self, frame: &Value) -> Result<Vec<Value>> {
        self.say(frame).await?;
        self.rest().await
    }

    /// Reads the running turn to its end.
    ///
    /// # Errors
    /// As [`Self::turn`].
    pub async fn rest(&mut self) -> Result<Vec<Value>> {
        let mut frames = Vec::new();
        loop {
            let frame = self.hear().await?.context("the socket was closed inside a turn")?;
            let kind = kind_of(&frame).to_owned();
            frames.push(frame);
            if matches!(
                kind.as_str(),
                "response.completed" | "response.failed" | "response.incomplete" | "error"
            ) {
                return Ok(frames);
            }
        }
    }

    /// Sends a turn that must come to its good end; its last frame.
    ///
    /// # Errors
    /// It did not.
    pub async fn completed(&mut self, frame: &Value) -> Result<Value> {
        let last = self.turn(frame).await?.pop().context("no frame")?;
        ensure!(kind_of(&last) == "response.completed", "the turn ended with {last}");
        Ok(last)
    }

    /// Sends a frame that must be answered with an error frame; it.
    ///
    /// # Errors
    /// It was not.
    pub async fn refused(&mut self, message: Message) -> Result<Value> {
        self.send(message).await?;
        let frame = self.hear().await?.context("the socket was closed")?;
        ensure!(
            kind_of(&frame) == "error" && frame.get("status").is_some_and(Value::is_u64),
            "no error frame: {frame}"
        );
        Ok(frame)
    }

    /// Waits until the other side closes; its code, if it gave one.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn closed(&mut self) -> Result<Option<u16>> {
        loop {
            match timeout(FRAME_TIME, self.0.next()).await.context("it stays open")? {
                None | Some(Err(_)) => return Ok(None),
                Some(Ok(Message::Close(frame))) => return Ok(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
            }
        }
    }
}

/// The type of a frame; empty when it has none.
fn kind_of(frame: &Value) -> &str {
    frame.get("type").and_then(Value::as_str).unwrap_or_default()
}
