//! Requests that no client library writes: broken heads, smuggled bodies, injected headers, senders that stop. Each is
//! refused or hung up on, and the gateway serves the next one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use switchyard_tests::InProcess;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{lab, still_serves};

/// The longest that a refusal may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is sent, and the statuses that may come back; with none, the connection may be closed without a word.
type Row = (&'static str, &'static [u16]);

const REFUSED: &[Row] = &[
    // Heads that are none.
    ("\r\n\r\n\r\n", &[]),
    ("hello\r\n\r\n", &[400]),
    ("POST\r\n\r\n", &[400]),
    ("POST /v1/messages\r\n\r\n", &[400]),
    ("POST /v1/messages HTTP/9.9\r\n\r\n", &[400, 505]),
    ("POST  /v1/messages HTTP/1.1\r\nhost: x\r\n\r\n", &[400]),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03", &[400]),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot frames at all, whatever they say", &[]),
    ("GET /v1/models HTTP/1.1\r\nhost: localhost\r\n: no name\r\n\r\n", &[400]),
    ("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nno colon\r\n\r\n", &[400]),
    ("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nsp ace: x\r\n\r\n", &[400]),
    ("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nspace-before-colon : x\r\n\r\n", &[400]),
    ("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-a: nul\u{0}byte\r\n\r\n", &[400]),
    ("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-a: b\r\n folded: c\r\n\r\n", &[400]),
    ("GET /v1/mo dels HTTP/1.1\r\nhost: localhost\r\n\r\n", &[400]),
    ("GET /v1/models\u{7f} HTTP/1.1\r\nhost: localhost\r\n\r\n", &[400, 404]),
    // Lengths that are none, and two bodies in one.
    ("POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n", &[400]),
    ("POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: ten\r\n\r\n", &[400]),
    (
        "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        &[400],
    ),
    (
        "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
        &[400],
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\n{}",
        &[400, 501],
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        &[400],
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n",
        &[400],
    ),
    // A body that is declared larger than any that is taken, before a byte of it came.
    ("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n", &[413]),
    ("POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n", &[413]),
    (
        "POST /v1/messages/count_tokens HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n",
        &[413],
    ),
    // Senders that stop in the middle and leave.
    ("POST /v1/mess", &[400]),
    ("POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-le", &[400]),
    ("POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{\"model\":\"gpt", &[400]),
    ("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n", &[400]),
    (
        "POST /v1/messages/count_tokens HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"mo",
        &[400],
    ),
];

/// Sends bytes, says that nothing more comes, and reads what comes back: a status, or nothing.
async fn sent(gateway: &InProcess, bytes: &[u8]) -> Result<(Option<u16>, String)> {
    exchange(gateway, bytes, true).await
}

async fn exchange(gateway: &InProcess, bytes: &[u8], leaves: bool) -> Result<(Option<u16>, String)> {
    let mut stream = TcpStream::connect(gateway.running.address).await?;
    // A server that hung up at the first bytes is fine.
    drop(stream.write_all(bytes).await);
    if leaves {
        drop(stream.shutdown().await);
    }
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    drop(reading.context("the connection was left open")?);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    Ok((status, answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_heads_and_bodies_are_refused_or_hung_up_on() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let mut differences = Vec::new();
    for (bytes, allowed) in REFUSED {
        let (status, answer) =
            sent(&gateway, bytes.as_bytes()).await.with_context(|| format!("{bytes:?}"))?;
        // Who leaves in the middle may find nobody to answer him either.
        if status.is_some_and(|status| !allowed.contains(&status)) {
            differences.push(format!("{bytes:?}\n    wanted {allowed:?}, found {status:?} {answer:.200}"));
        }
    }
    ensure!(differences.is_empty(), "{} rows:\n{}", differences.len(), differences.join("\n"));
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// One connection, several requests in it: what hides behind a body is a request of its own or refused, never a part of
/// the one before.
#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_second_request_is_no_part_of_the_first() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let smuggled = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 6\r\n\
                    transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /api/admin/accounts HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let (status, answer) = sent(&gateway, smuggled.as_bytes()).await?;
    ensure!(status != Some(200) && !answer.contains("200 OK"), "{answer}");
    // Who leaves at once may not be answered any more.
    let pipelined = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\nGET /v1/nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let (_, answer) = exchange(&gateway, pipelined.as_bytes(), false).await?;
    ensure!(answer.contains("HTTP/1.1 200") && answer.contains("HTTP/1.1 404"), "{answer}");
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// Values that a client chose never become headers of an answer or of the request to the upstream.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_client_says_becomes_a_header() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for body in [
        r#"{"model":"gpt-5.5","prompt_cache_key":"a\r\nx-evil: 1","messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":"gpt-5.5","user":"a\r\nx-evil: 1","messages":[{"role":"user","content":"x\r\nx-evil: 1"}]}"#,
        r#"{"model":"gpt-5.5\r\nx-evil: 1","messages":[{"role":"user","content":"x"}]}"#,
    ] {
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let (_, answer) = exchange(&gateway, request.as_bytes(), false).await?;
        let head = answer.split("\r\n\r\n").next().unwrap_or_default();
        ensure!(head.starts_with("HTTP/1.1 ") && !head.to_lowercase().contains("x-evil"), "{head}");
    }
    ensure!(gateway.lab.requests().iter().all(|seen| seen.header("x-evil").is_none()));
    gateway.stop().await
}

/// Slow senders hold nobody up: while a hundred of them dawdle, others are served.
#[tokio::test(flavor = "multi_thread")]
async fn slow_senders_hold_nobody_up() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let mut dawdlers = Vec::new();
    for nth in 0..100 {
        let mut stream = TcpStream::connect(gateway.running.address).await?;
        let whole =
            "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n{\"model\":";
        // Some stop within the head, others within the body.
        stream.write_all(&whole.as_bytes()[..whole.len() - nth % 80]).await?;
        dawdlers.push(stream);
    }
    for _ in 0..5 {
        still_serves(&gateway).await?;
    }
    drop(dawdlers);
    still_serves(&gateway).await?;
    gateway.stop().await
}
