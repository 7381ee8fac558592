//! How fast the codecs are by themselves, on one core: bytes of a stream or a request in one dialect into another.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use gateway_domain::Dialect;
use gateway_protocol::sse::{EventLines, SseFramer};
use gateway_protocol::translate::codec;
use gateway_protocol::turn::{
    AnswerContext, BlockStart, Delta, Dropped, Started, StopReason, TurnEvent, TurnRequest, Usage,
};
use serde::Serialize;
use serde_json::json;

use crate::options::Pace;
use crate::report::say;

/// Pieces of text in a stream.
const DELTAS: usize = 2_000;
/// As a socket hands them over.
const CHUNK: usize = 4 * 1024;
/// Messages of a request.
const MESSAGES: usize = 200;
const MB: f64 = 1e6;

/// One pair.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) stream_mb_s: f64,
    pub(crate) event_us: f64,
    pub(crate) request_mb_s: f64,
}

/// Measures every pair.
pub(crate) fn run(pace: Pace) -> Result<Vec<Row>> {
    say("translators");
    let mut rows = Vec::new();
    for from in Dialect::ALL {
        let stream = stream_in(from);
        let request = request_in(from)?;
        for to in Dialect::ALL {
            let per_stream = time(pace.ranking, || carry(from, to, &stream))?;
            let per_request = time(pace.ranking, || translate(from, to, &request))?;
            rows.push(Row {
                from: from.as_str(),
                to: to.as_str(),
                stream_mb_s: stream.len() as f64 / MB / per_stream.as_secs_f64(),
                event_us: per_stream.as_secs_f64() * 1e6 / DELTAS as f64,
                request_mb_s: request.len() as f64 / MB / per_request.as_secs_f64(),
            });
        }
    }
    Ok(rows)
}

/// The time of one run, over as many as fit.
fn time(span: Duration, mut run: impl FnMut() -> Result<()>) -> Result<Duration> {
    run()?;
    let (begun, mut runs) = (Instant::now(), 0_u32);
    while begun.elapsed() < span {
        run()?;
        runs += 1;
    }
    Ok(begun.elapsed() / runs.max(1))
}

fn context() -> AnswerContext {
    AnswerContext { model: "m".into(), fallback_id: "req".into(), now: 1, include_usage: true }
}

/// An answer of many small pieces.
fn stream_in(dialect: Dialect) -> Bytes {
    let mut out = BytesMut::new();
    let mut encoder = codec(dialect).event_encoder(&context());
    let mut tell = |event: TurnEvent| encoder.encode(&event, &mut out);
    tell(TurnEvent::Started(Started { id: "resp_1".into(), model: "m".into(), ..Started::default() }));
    tell(TurnEvent::BlockStart { index: 0, block: BlockStart::Text });
    for nth in 0..DELTAS {
        tell(TurnEvent::Delta { index: 0, delta: Delta::Text(format!(" \"piece\" number {nth}\n")) });
    }
    tell(TurnEvent::BlockEnd { index: 0 });
    tell(TurnEvent::Usage(Usage { input: 1_000, output: 4_000, ..Usage::default() }));
    tell(TurnEvent::Finished(StopReason::Stop));
    out.freeze()
}

/// A conversation, in any dialect the same one.
fn request_in(dialect: Dialect) -> Result<Vec<u8>> {
    let text = "fn main() {\n    println!(\"The quick brown fox\");\n}\n".repeat(8);
    let roles = ["user", "assistant"].into_iter().cycle();
    let messages: Vec<_> = roles.take(MESSAGES).map(|role| json!({"role": role, "content": text})).collect();
    let chat = json!({"model": "m", "max_completion_tokens": 99, "messages": messages}).to_string();
    let request: TurnRequest = codec(Dialect::OpenAiChat).decode_request(chat.as_bytes())?.request;
    Ok(codec(dialect).encode_request(&request, &mut Dropped::default())?)
}

/// The same dialect on both sides is only read.
fn carry(from: Dialect, to: Dialect, stream: &Bytes) -> Result<()> {
    let (mut framer, mut decoder) = (SseFramer::default(), codec(from).event_decoder());
    let mut encoder = (from != to).then(|| codec(to).event_encoder(&context()));
    let (mut told, mut is_over) = (Vec::new(), false);
    for at in (0..stream.len()).step_by(CHUNK) {
        let mut out = BytesMut::new();
        // A copy, as a read from a socket is one.
        let chunk = Bytes::copy_from_slice(stream.get(at..stream.len().min(at + CHUNK)).unwrap_or_default());
        framer.push(chunk, |event| {
            decoder.push(EventLines::read(event), &mut told);
            for event in told.drain(..) {
                is_over |= matches!(event, TurnEvent::Finished(_));
                if let Some(encoder) = &mut encoder {
                    encoder.encode(&event, &mut out);
                }
            }
        })?;
        std::hint::black_box(out);
    }
    is_over.then_some(()).context("the stream did not end")
}

fn translate(from: Dialect, to: Dialect, request: &[u8]) -> Result<()> {
    let read = codec(from).decode_request(request)?;
    let mut dropped = read.dropped;
    std::hint::black_box(codec(to).encode_request(&read.request, &mut dropped)?);
    Ok(())
}
