//! Reading a request's body: within its size, within its time, decompressed.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use gateway_domain::{Failure, FailureKind};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;

/// The largest body of a turn, after decompression.
pub(crate) const MAX_TURN_BYTES: usize = 64 * 1024 * 1024;
/// The largest body of an admin call.
pub(crate) const MAX_ADMIN_BYTES: usize = 512 * 1024;
/// The longest pause within a body.
const PAUSE: Duration = Duration::from_secs(30);
/// The longest a body may take in all.
const TOTAL: Duration = Duration::from_secs(600);
/// Of a body that is too large, this much more is taken and thrown away, for so long.
const DRAIN_BYTES: usize = 128 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Reads a body to its end.
pub(crate) async fn read(request: Request, limit: usize) -> Result<Bytes, Failure> {
    check_encoding(request.headers())?;
    if declared_length(request.headers()).is_some_and(|length| length > limit) {
        drain(request.into_body());
        return Err(too_large(limit));
    }
    tokio::time::timeout(TOTAL, collect(request, limit)).await.unwrap_or_else(|_| Err(slow()))
}

async fn collect(request: Request, limit: usize) -> Result<Bytes, Failure> {
    let expected = declared_length(request.headers()).unwrap_or(0);
    let mut body = request.into_body();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(PAUSE, body.frame()).await.map_err(|_| slow())?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| {
            Failure::client(FailureKind::InvalidRequest, "the body broke off or could not be decompressed")
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            drain(body);
            return Err(too_large(limit));
        }
        // A body in one piece, as most are, is never copied.
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(expected.max(first.len() + data.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Takes what a refused client still sends: closing its connection meanwhile would lose it the answer.
/// Bounded, and over with its connection at the latest, so nobody waits for it.
fn drain(mut body: Body) {
    tokio::spawn(tokio::time::timeout(DRAIN_TIME, async move {
        let mut left = DRAIN_BYTES;
        while left > 0
            && let Some(Ok(frame)) = body.frame().await
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        }
    }));
}

/// What the decompression layer understood is gone from the headers; what is left is not taken.
fn check_encoding(headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim()) {
        None => Ok(()),
        Some(encoding) if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") => Ok(()),
        Some(_) => Err(Failure::client(
            FailureKind::UnsupportedEncoding,
            "this content-encoding is not taken; send identity, gzip, zstd or br",
        )),
    }
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Failure {
    let mib = limit / (1024 * 1024);
    let size = if mib > 0 { format!("{mib} MiB") } else { format!("{} KiB", limit / 1024) };
    Failure::client(
        FailureKind::BodyTooLarge,
        format!("the body is larger than {size} (after decompression)"),
    )
}

fn slow() -> Failure {
    Failure::client(FailureKind::SlowRequest, "the body did not arrive in time")
}
