//! What an open stream holds when there are thousands: over server-sent events and over WebSocket, each crowd on a gateway
//! that has served nobody else.

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::field::{Field, Target};
use crate::memory::{SETTLE, open};
use crate::process::Memory;
use crate::report::say;
use crate::turns::OPEN_ANSWER;

/// Streams that are open at once.
const CROWDS: [usize; 2] = [1_000, 5_000];
/// Streams that are being opened at once.
const OPENING: usize = 32;

/// Frames before the answer's first.
const MOST_BEFORE: usize = 4;

/// How a stream comes.
#[derive(Debug, Clone, Copy)]
enum Transport {
    Events,
    Socket,
}

impl Transport {
    const fn label(self) -> &'static str {
        match self {
            Self::Events => "SSE",
            Self::Socket => "WebSocket",
        }
    }
}

/// What one crowd held.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) transport: &'static str,
    pub(crate) streams: usize,
    pub(crate) before: Memory,
    pub(crate) open: Memory,
    pub(crate) bytes_per_stream: f64,
}

/// Measures every crowd.
pub(crate) async fn run(field: &Field) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for transport in [Transport::Events, Transport::Socket] {
        for streams in CROWDS {
            say(&format!("{streams} open streams over {}", transport.label()));
            let target = field.for_a_crowd(&format!("crowd-{}-{streams}", transport.label())).await?;
            let row = crowd(field, &target, transport, streams).await;
            rows.push(row.with_context(|| format!("{streams} streams over {}", transport.label()))?);
        }
    }
    Ok(rows)
}

async fn crowd(field: &Field, target: &Target, transport: Transport, streams: usize) -> Result<Row> {
    let process = target.process.as_ref().context("it has no process")?;
    let before = process.memory()?;
    let numbers = stream::iter(0..streams);
    let open = match transport {
        Transport::Events => {
            let opened: Vec<_> = numbers
                .map(|number| open(field, target, number))
                .buffer_unordered(OPENING)
                .try_collect()
                .await?;
            held(target, opened).await?
        }
        Transport::Socket => {
            let opened: Vec<_> = numbers
                .map(|number| socket(field, target, number))
                .buffer_unordered(OPENING)
                .try_collect()
                .await?;
            held(target, opened).await?
        }
    };
    let grown = open.resident.saturating_sub(before.resident);
    Ok(Row {
        transport: transport.label(),
        streams,
        before,
        open,
        bytes_per_stream: grown as f64 / streams as f64,
    })
}

/// What the gateway holds while these are open.
async fn held<T>(target: &Target, opened: Vec<T>) -> Result<Memory> {
    tokio::time::sleep(SETTLE).await;
    let memory = target.process.as_ref().context("it has no process")?.memory()?;
    drop(opened);
    Ok(memory)
}

/// Opens a socket, begins a turn on it and reads the first frame.
async fn socket(field: &Field, target: &Target, number: usize) -> Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{}/backend-api/codex/responses", target.address).into_client_request()?;
    let session = format!("open-{number:05}");
    for (name, value) in [
        ("authorization", format!("Bearer {}", field.credentials.token)),
        ("chatgpt-account-id", field.credentials.workspace.clone()),
        ("user-agent", "codex_exec/0.169.0 (Linux; x86_64) bench".to_owned()),
        ("originator", "codex_exec".to_owned()),
        ("session-id", session.clone()),
    ] {
        request.headers_mut().insert(name, value.parse()?);
    }
    let stream = TcpStream::connect(target.address).await?;
    let (mut socket, _) = client_async(request, stream).await.context("the upgrade was refused")?;
    let item =
        json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": OPEN_ANSWER}]});
    let turn = json!({
        "type": "response.create", "model": "gpt-5.5", "instructions": "Be brief.", "input": [item],
        "stream": true, "store": false, "prompt_cache_key": session,
    });
    socket.send(Message::text(turn.to_string())).await?;
    // What is told about limits comes before the answer.
    for _ in 0..MOST_BEFORE {
        let frame = socket.next().await.context("the socket ended at once")??;
        let text = frame.to_text().unwrap_or_default();
        ensure!(!text.contains(r#""type":"error""#), "it began with {text}");
        if text.contains("response.created") {
            return Ok(socket);
        }
    }
    bail!("no answer began")
}
