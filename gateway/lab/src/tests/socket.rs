//! What only a real connection shows: resets, half chunks, reuse, shutdown.

use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Fault, FaultRule, Route};

async fn listening() -> (Lab, CancellationToken) {
    let shutdown = CancellationToken::new();
    (Lab::start_local(config(), shutdown.clone()).await.unwrap(), shutdown)
}

fn post(client: &reqwest::Client, lab: &Lab, body: &Value) -> reqwest::RequestBuilder {
    client
        .post(format!("{}/codex/responses", lab.backend_url()))
        .bearer_auth(access_token(lab, 0))
        .header("content-type", "application/json")
        .body(body.to_string())
}

/// Writes a turn by hand and returns everything that arrives, and how it ended.
async fn by_hand(lab: &Lab) -> (Vec<u8>, std::io::Result<usize>) {
    let address = lab.base_url().strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let body = say("hi").to_string();
    let head = format!(
        "POST /backend-api/codex/responses HTTP/1.1\r\nhost: lab\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        access_token(lab, 0),
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let end = loop {
        match socket.read_buf(&mut received).await {
            Ok(0) => break Ok(0),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    (received, end)
}

#[tokio::test]
async fn a_connection_serves_many_turns() {
    let (lab, shutdown) = listening().await;
    let client = reqwest::Client::new();
    for n in 0..3 {
        let response = post(&client, &lab, &say(&format!("turn {n}"))).send().await.unwrap();
        let events = events_of(&response.bytes().await.unwrap());
        assert_eq!(text_of(&events), format!("You said: turn {n}"));
    }
    assert_eq!(lab.connections_accepted(), 1);
    assert_eq!(lab.connections_open(), 1);
    shutdown.cancel();
    lab.stopped().await;
    assert!(post(&client, &lab, &say("late")).send().await.is_err());
}

#[tokio::test]
async fn a_refused_connection_is_reset_without_an_answer() {
    let (lab, _shutdown) = listening().await;
    lab.script(FaultRule::new(Fault::RefuseConnection).on(Route::Responses));
    let (received, end) = by_hand(&lab).await;
    assert_eq!(received, b"");
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_cut_stream_breaks_inside_a_chunk() {
    let (lab, _shutdown) = listening().await;
    lab.script(FaultRule::new(Fault::CutAfterEvents(2)).on(Route::Responses));
    let (received, end) = by_hand(&lab).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let text = String::from_utf8(received).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"));
    assert_eq!(text.matches("\n\n").count(), 2, "two whole events:\n{text}");
    assert!(text.contains("event: response.output_item.added\ndata: {"), "half of the third:\n{text}");
    assert!(!text.ends_with("\r\n"), "no chunk end:\n{text}");
    assert_eq!(lab.stats(0).unwrap().streams.broken, 1);
}

#[tokio::test]
async fn a_client_sees_the_events_before_the_cut_and_then_an_error() {
    let (lab, _shutdown) = listening().await;
    let cut = lab.script(FaultRule::new(Fault::CutAfterEvents(4)).on(Route::Responses).once());
    let client = reqwest::Client::new();
    let response = post(&client, &lab, &say("x")).send().await.unwrap();
    let mut body = response.bytes_stream();
    let mut received = Vec::new();
    let mut failed = false;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => received.extend_from_slice(&piece),
            Err(_) => failed = true,
        }
    }
    assert!(failed, "a cut must not look like an end");
    assert_eq!(String::from_utf8(received).unwrap().matches("\n\n").count(), 4);
    assert_eq!(lab.fired(cut), 1);
    let again = post(&client, &lab, &say("y")).send().await.unwrap();
    assert_eq!(again.status(), 200);
}

#[tokio::test]
async fn leaving_a_stalled_stream_ends_it() {
    let (lab, _shutdown) = listening().await;
    lab.script(FaultRule::new(Fault::StallAfterEvents(1)).on(Route::Responses));
    let client = reqwest::Client::new();
    let mut response = post(&client, &lab, &say("x")).send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"event: response.created"));
    assert_eq!(lab.stats(0).unwrap().streams.open, 1);
    drop((response, client));
    while lab.stats(0).unwrap().streams.open > 0 || lab.connections_open() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.stats(0).unwrap().streams.abandoned, 1);
}

#[tokio::test]
async fn a_clean_end_without_terminal_is_no_transport_error() {
    let (lab, _shutdown) = listening().await;
    lab.script(FaultRule::new(Fault::DropCompleted).on(Route::Responses));
    let client = reqwest::Client::new();
    let response = post(&client, &lab, &say("x")).send().await.unwrap();
    let events = events_of(&response.bytes().await.unwrap());
    assert!(!kinds(&events).contains(&"response.completed"));
}

#[tokio::test]
async fn the_canned_path_streams_in_chunks() {
    let canned = LabConfig { canned_bench: true, request_log: 0, ..config() };
    let lab = Lab::start_local(canned, CancellationToken::new()).await.unwrap();
    let client = reqwest::Client::new();
    let response = post(&client, &lab, &say("stream 64 events")).send().await.unwrap();
    assert_eq!(response.headers()["transfer-encoding"], "chunked");
    let events = events_of(&response.bytes().await.unwrap());
    assert_eq!(kinds(&events).iter().filter(|kind| **kind == "response.output_text.delta").count(), 64);
}
