//! The benchmark's fast path: the same events as ever, rendered once and sent again and again.
//! Refuses what costs time: no log, no faults, no validation, one id for all, windows that stand still.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Request, State};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, header};
use memchr::memmem::Finder;
use parking_lot::Mutex;
use serde_json::Map;

use crate::config::CompletedOutput;
use crate::dialect::Dialect;
use crate::events::{self, Frame, Usage};
use crate::exchange;
use crate::lab::Lab;
use crate::routes::backend;
use crate::script::{self, Reply, Turn};
use crate::state::{Account, StreamGuard};
use crate::stream::{Sender, plan};

/// Deltas of an answer whose prompt names no number.
const DEFAULT_DELTAS: usize = 4;
/// How far behind `stream ` the rest of the command may reach.
const COMMAND_BYTES: usize = 80;
/// Answers are kept for this many different sizes.
const KEPT_SIZES: usize = 64;

/// One answer in both forms: event by event for paced streams, in one piece for the others.
#[derive(Debug, Clone)]
struct Rendered {
    events: Vec<Bytes>,
    joined: Bytes,
}

/// What was rendered once.
#[derive(Debug)]
pub(crate) struct Canned {
    created_at: i64,
    usual: Rendered,
    by_size: Mutex<HashMap<usize, Rendered>>,
    headers: Vec<HeaderMap>,
    command: Finder<'static>,
}

impl Canned {
    pub(crate) fn new(accounts: &[Account], now: i64) -> Self {
        let headers = accounts.iter().map(|account| {
            let mut headers = HeaderMap::new();
            account.live.lock().quota.write_headers(now, &mut headers);
            headers
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
            headers.insert("openai-model", HeaderValue::from_static("gpt-5.5"));
            headers.insert("x-codex-turn-state", HeaderValue::from_static("lab-turn.canned"));
            headers
        });
        Self {
            created_at: now,
            usual: render(DEFAULT_DELTAS, now),
            by_size: Mutex::new(HashMap::new()),
            headers: headers.collect(),
            command: Finder::new(b"stream "),
        }
    }

    fn of_size(&self, deltas: usize) -> Rendered {
        let mut kept = self.by_size.lock();
        if kept.len() >= KEPT_SIZES && !kept.contains_key(&deltas) {
            kept.clear();
        }
        kept.entry(deltas).or_insert_with(|| render(deltas, self.created_at)).clone()
    }

    /// `stream N events[, pause M ms]`, wherever it stands in the body.
    fn paced(&self, body: &[u8]) -> Option<(usize, Option<std::time::Duration>)> {
        self.command.find_iter(body).find_map(|at| {
            let end = (at + COMMAND_BYTES).min(body.len());
            let near = String::from_utf8_lossy(body.get(at..end)?);
            script::paced(&near)
        })
    }
}

fn render(deltas: usize, now: i64) -> Rendered {
    let deltas: Vec<String> = (1..=deltas).map(|n| format!("tick {n} ")).collect();
    let turn = Turn::from(Reply::Text(deltas));
    let frame = Frame {
        id: "canned0000000000000000000".to_owned(),
        created_at: now,
        model: "gpt-5.5".to_owned(),
        service_tier: "default".to_owned(),
        echo: Map::new(),
        usage: Usage { input: 512, cached: 256, output: events::tokens_of(&turn.reply), reasoning: 0 },
        reasoning: false,
        encrypted_content: None,
        completed_output: CompletedOutput::Full,
        rate_limits: None,
    };
    let events = events::render(&frame, &turn);
    let joined = Bytes::from(events.concat());
    Rendered { events, joined }
}

/// `POST /codex/responses` in the benchmark.
pub(crate) async fn responses(State(lab): State<Lab>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let now = || lab.clock().now();
    let Ok(body) = axum::body::to_bytes(body, lab.shared().config.max_body_bytes).await else {
        return crate::errors::PAYLOAD_TOO_LARGE.respond(None, now());
    };
    let account = match exchange::identify(&lab, &parts) {
        Ok(account) => account,
        Err(failure) => return backend::refusal(failure).respond(None, now()),
    };
    let Some(canned) = &lab.shared().canned else {
        return crate::errors::NOT_FOUND.respond(None, now());
    };
    let body = match canned.paced(&body) {
        None => whole(&lab, account, canned.usual.joined.clone()),
        Some((size, None)) => whole(&lab, account, canned.of_size(size).joined),
        Some((size, pause)) => {
            lab.shared().live(account, |live| live.stats.turns += 1);
            let steps = plan(canned.of_size(size).events, pause, None, "", Dialect::Responses);
            Sender::body(steps, None, StreamGuard::turn(&lab, account))
        }
    };
    let mut response = Response::new(body);
    if let Some(headers) = canned.headers.get(account) {
        headers.clone_into(response.headers_mut());
    }
    response
}

/// One write, still chunked: a length in advance would not be a stream.
fn whole(lab: &Lab, account: usize, joined: Bytes) -> Body {
    lab.shared().live(account, |live| {
        live.stats.turns += 1;
        live.stats.streams.completed += 1;
    });
    Body::from_stream(stream::iter([Ok::<_, std::convert::Infallible>(joined)]))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_command_is_found_anywhere_in_the_body() {
        let canned = Canned::new(&[], 0);
        let filler = "x".repeat(10_000);
        let body = format!(r#"{{"stream":true,"a":"{filler} stream 7 events pause 2 ms","b":"{filler}"}}"#);
        assert_eq!(canned.paced(body.as_bytes()), Some((7, Some(Duration::from_millis(2)))));
        assert_eq!(canned.paced(b"{\"stream\":true}"), None);
    }

    #[test]
    fn both_forms_hold_the_same_bytes() {
        let rendered = Canned::new(&[], 0).of_size(3);
        assert_eq!(rendered.events.concat(), rendered.joined);
        let deltas = rendered.events.iter().filter(|e| e.starts_with(b"event: response.output_text.delta"));
        assert_eq!(deltas.count(), 3);
    }
}
