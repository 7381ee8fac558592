//! Bodies by their wrapping: how large, how compressed, how delivered.

use std::io::Write;

use anyhow::{Context, Result};
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use serde_json::json;
use switchyard_tests::{Answer, InProcess, events_of, turn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{completed, lab, still_serves};

const MIB: usize = 1024 * 1024;
/// What the issue promises to take, after decompression.
const LIMIT: usize = 64 * MIB;

fn gzip(plain: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain)?;
    Ok(encoder.finish()?)
}

fn zstd(plain: &[u8]) -> Result<Vec<u8>> {
    Ok(zstd::encode_all(plain, 1)?)
}

fn br(plain: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 1, 22);
    encoder.write_all(plain)?;
    Ok(encoder.into_inner())
}

type Encoder = fn(&[u8]) -> Result<Vec<u8>>;
const ENCODINGS: [(&str, Encoder); 3] = [("gzip", gzip), ("zstd", zstd), ("br", br)];

fn encoded(name: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(name))])
}

/// A good turn whose text fills it up to this many bytes.
fn turn_of(bytes: usize) -> String {
    let empty = turn("").to_string().len();
    turn(&"x".repeat(bytes - empty)).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_encoding_is_taken_and_arrives_plain() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let body = turn(&"a long prompt, again and again. ".repeat(2_000)).to_string();
    for (name, encode) in ENCODINGS {
        let sent = encode(body.as_bytes())?;
        assert!(sent.len() < body.len() / 4, "{name} did compress");
        gateway.lab.clear_requests();
        let response = gateway.post_to("/v1/responses", encoded(name), sent).await?;
        let answer = Answer::read(response).await?;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        completed(&events_of(&answer.text())?)?;
        let seen = gateway.lab.requests();
        let seen = seen.iter().find(|seen| seen.path.ends_with("/codex/responses")).context("none came")?;
        assert!(seen.header("content-encoding").is_none(), "{name}");
        assert!(
            seen.json()["input"][0]["content"][0]["text"].as_str().is_some_and(|text| text.len() > 60_000)
        );
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decompressed_is_refused() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let body = turn("hello").to_string();
    let mut refused: Vec<(&str, &'static str, Vec<u8>, u16, &str)> = vec![
        ("an encoding nobody has", "snappy", body.clone().into(), 415, "unsupported_encoding"),
        ("deflate", "deflate", body.clone().into(), 415, "unsupported_encoding"),
        ("two encodings", "gzip, br", gzip(body.as_bytes())?, 415, "unsupported_encoding"),
        ("twice the same", "gzip, gzip", gzip(&gzip(body.as_bytes())?)?, 415, "unsupported_encoding"),
    ];
    for (name, encode) in ENCODINGS {
        let whole = encode(body.as_bytes())?;
        let mut torn = whole.clone();
        torn.truncate(whole.len() / 2);
        refused.push(("plain text", name, body.clone().into(), 400, "invalid_request"));
        refused.push(("half of it", name, torn, 400, "invalid_request"));
        refused.push(("nothing", name, Vec::new(), 400, "invalid_request"));
    }
    for (what, name, sent, status, code) in refused {
        let answer = Answer::read(gateway.post_to("/v1/responses", encoded(name), sent).await?).await?;
        assert_eq!(answer.status, status, "{what} as {name}: {}", answer.text());
        let error = answer.error()?;
        assert_eq!(
            (error.code.as_str(), error.kind.as_str()),
            (code, "invalid_request_error"),
            "{what} as {name}"
        );
        assert!(answer.header("x-request-id").is_some(), "{what} as {name}");
    }
    let metrics = gateway.metrics().await?;
    assert_eq!(metrics.requests("/v1/responses", "unsupported_encoding"), 4.0);
    assert_eq!(metrics.requests("/v1/responses", "invalid_request"), 9.0);
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_body_that_unpacks_beyond_the_limit_is_refused() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let bomb = turn_of(LIMIT + MIB);
    for (name, encode) in ENCODINGS {
        let sent = encode(bomb.as_bytes())?;
        assert!(sent.len() < MIB, "{name}: {} bytes", sent.len());
        let answer = Answer::read(gateway.post_to("/v1/responses", encoded(name), sent).await?).await?;
        too_large(&answer).context(name)?;
    }
    assert_eq!(gateway.metrics().await?.requests("/v1/responses", "body_too_large"), 3.0);
    still_serves(&gateway).await?;
    gateway.stop().await
}

fn too_large(answer: &Answer) -> Result<()> {
    anyhow::ensure!(answer.status == 413, "{}: {}", answer.status, answer.text());
    let error = answer.error()?;
    anyhow::ensure!(error.code == "body_too_large" && error.message.contains("64 MiB"), "{error:?}");
    Ok(())
}

/// The largest body that is promised is served. The lab answers it unread: what it reads of a body is tested elsewhere,
/// and takes its time at this size.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_at_the_limit_is_served_and_one_byte_more_is_not() -> Result<()> {
    let mut unread = lab(1);
    unread.canned_bench = true;
    let gateway = InProcess::start(unread).await?;
    let answer =
        Answer::read(gateway.post_to("/v1/responses", HeaderMap::new(), turn_of(LIMIT)).await?).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    completed(&events_of(&answer.text())?)?;
    let answer = gateway.post_to("/v1/responses", HeaderMap::new(), turn_of(LIMIT + 1)).await?;
    too_large(&Answer::read(answer).await?)?;
    gateway.stop().await
}

/// A stranger is turned away before its body is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_before_its_body_is_read() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let head = format!("x-forwarded-for: 203.0.113.7\r\ncontent-length: {}\r\n\r\n", 32 * MIB);
    let answer = raw(&gateway, head.as_bytes(), 0).await?;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("invalid_api_key"), "{answer:.200}");
    gateway.stop().await
}

/// A client that announces too much is told so before it has sent it, and one that announces nothing as soon as it is
/// too much; in both cases the answer arrives although the client is still sending.
#[tokio::test(flavor = "multi_thread")]
async fn too_large_is_said_early_and_heard() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let declared = format!("content-length: {}\r\n\r\n", LIMIT + 1);
    let answer = raw(&gateway, declared.as_bytes(), 0).await?;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:.200}");
    assert!(answer.contains("body_too_large"), "{answer}");

    let answer = raw(&gateway, b"transfer-encoding: chunked\r\n\r\n", LIMIT + 2 * MIB).await?;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:.200}");
    assert!(answer.contains("body_too_large"), "{answer}");
    assert_eq!(gateway.metrics().await?.requests("/v1/responses", "body_too_large"), 2.0);
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// Sends a head with these last lines and then up to this many bytes in chunks, until an answer comes.
async fn raw(gateway: &InProcess, head: &[u8], body: usize) -> Result<String> {
    let address = gateway.running.address;
    let mut stream = TcpStream::connect(address).await?;
    let start =
        format!("POST /v1/responses HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    stream.write_all(start.as_bytes()).await?;
    stream.write_all(head).await?;
    let (mut reads, mut writes) = stream.split();
    let chunk = [b"10000\r\n".as_slice(), &vec![b'['; 0x1_0000], b"\r\n"].concat();
    let sending = async {
        for _ in 0..body / 0x1_0000 {
            // The gateway may close its side; what it said before is what counts.
            if writes.write_all(&chunk).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let reading = async {
        let mut piece = [0; 4096];
        loop {
            match reads.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(read) => answer.extend(piece.iter().take(read)),
            }
            if answer.ends_with(b"}") {
                break;
            }
        }
    };
    tokio::select! {
        () = sending => {}
        () = reading => {}
        () = tokio::time::sleep(std::time::Duration::from_secs(20)) => {}
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A client that gives up inside its body leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_forgotten() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(gateway.running.address).await?;
        stream
            .write_all(
                b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5000\r\n\r\n{\"model\":",
            )
            .await?;
        drop(stream);
    }
    assert!(gateway.lab.requests().iter().all(|seen| !seen.path.contains("responses")), "none went upstream");
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// Bodies larger than what is read inline take another way through the gateway; it is just as good.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_native_body_arrives_byte_for_byte() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let text = "große Änderung, 漢字, \u{1F680} ".repeat(80_000);
    let item =
        json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] });
    let body =
        json!({ "model": "gpt-5.5", "input": [item], "stream": true, "store": false, "instructions": "" });
    let body = serde_json::to_string_pretty(&body)?;
    assert!(body.len() > 2 * MIB);
    let answer = gateway.post_to("/v1/responses", HeaderMap::new(), body.clone()).await?;
    assert_eq!(Answer::read(answer).await?.status, 200);
    let seen = gateway.lab.requests();
    let seen = seen.iter().find(|seen| seen.path.ends_with("/codex/responses")).context("none came")?;
    assert!(seen.body == body, "the body was changed on its way");
    gateway.stop().await
}
