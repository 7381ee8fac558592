//! Resident memory: idle, and with a thousand streams open at once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;

use crate::field::{Field, Kind, Target};
use crate::load::Connection;
use crate::process::Memory;
use crate::report::say;
use crate::turns::{OPEN_ANSWER, turn};

/// Streams that are open at once.
pub(crate) const STREAMS: usize = 1_000;
/// Streams that are being opened at once.
const OPENING: usize = 32;
const BODY_BYTES: usize = 2 * 1024;
/// After this nothing moves any more.
pub(crate) const SETTLE: Duration = Duration::from_millis(500);

/// What everybody held.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    /// The gateway before its first request.
    pub(crate) idle: Option<Memory>,
    /// From the gateway's start to its first healthy answer, in milliseconds.
    pub(crate) start_ms: f64,
    pub(crate) rows: Vec<Row>,
}

/// What one process held.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) target: &'static str,
    pub(crate) before: Memory,
    pub(crate) open: Memory,
    /// After the clients left.
    pub(crate) after: Memory,
    pub(crate) bytes_per_stream: f64,
}

/// Measures every process.
pub(crate) async fn run(field: &Field) -> Result<Findings> {
    say(&format!("memory, {STREAMS} open streams"));
    let mut rows = Vec::new();
    for target in field.targets.iter().filter(|target| target.kind != Kind::Direct) {
        rows.push(row(field, target).await.with_context(|| format!("measure {}", target.kind.label()))?);
    }
    Ok(Findings { idle: Some(field.idle), start_ms: field.start_time.as_secs_f64() * 1e3, rows })
}

async fn row(field: &Field, target: &Target) -> Result<Row> {
    let process = target.process.as_ref().context("it has no process")?;
    let before = process.memory()?;
    let streams: Vec<(Connection, Incoming)> = stream::iter(0..STREAMS)
        .map(|number| open(field, target, number))
        .buffer_unordered(OPENING)
        .try_collect()
        .await?;
    tokio::time::sleep(SETTLE).await;
    let open = process.memory()?;
    drop(streams);
    tokio::time::sleep(SETTLE).await;
    let grown = open.resident.saturating_sub(before.resident);
    Ok(Row {
        target: target.kind.label(),
        before,
        open,
        after: process.memory()?,
        bytes_per_stream: grown as f64 / STREAMS as f64,
    })
}

/// Starts a stream and reads its first event.
pub(crate) async fn open(field: &Field, target: &Target, number: usize) -> Result<(Connection, Incoming)> {
    let session = format!("open-{number:05}");
    let body = turn(&session, BODY_BYTES, OPEN_ANSWER);
    let mut connection = Connection::open(target.address, &field.credentials, &session, body).await?;
    let mut answer = connection.send().await?.into_body();
    let first = answer.frame().await.context("the stream ended at once")??;
    ensure!(first.data_ref().is_some_and(|data| !data.is_empty()), "the stream began without an event");
    Ok((connection, answer))
}
