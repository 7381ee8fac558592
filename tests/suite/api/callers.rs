//! Who may call: from this machine, from elsewhere, with a key, without one, with a wrong one.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use switchyard_tests::{Admin, Answer, InProcess, turn};

use super::{lab, still_serves};

type Headers = &'static [(&'static str, &'static str)];

/// What makes a caller remote although its connection comes from here.
const REMOTE: [Headers; 7] = [
    &[("x-forwarded-for", "203.0.113.7")],
    &[("forwarded", "for=203.0.113.7")],
    &[("x-real-ip", "203.0.113.7")],
    &[("via", "1.1 proxy")],
    &[("host", "switchyard.example")],
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
];

const LOCAL: [Headers; 5] = [
    &[],
    &[("authorization", "Bearer whatever-the-tool-was-configured-with")],
    &[("authorization", "Basic dXNlcjpwYXNz")],
    &[("authorization", "Bearer ")],
    &[("host", "localhost:1"), ("origin", "http://localhost:1")],
];

fn headers(pairs: &[(&str, &str)]) -> Result<HeaderMap> {
    let parsed =
        pairs.iter().map(|(name, value)| Ok((name.parse::<HeaderName>()?, value.parse::<HeaderValue>()?)));
    parsed.collect()
}

async fn turn_with(gateway: &InProcess, pairs: &[(&str, &str)]) -> Result<Answer> {
    let response = gateway.post_to("/v1/responses", headers(pairs)?, turn("hello").to_string()).await?;
    Answer::read(response).await
}

fn is_refused(answer: &Answer) -> Result<()> {
    ensure!(answer.status == 401, "{}: {}", answer.status, answer.text());
    let error = answer.error()?;
    ensure!(error.code == "invalid_api_key" && error.kind == "authentication_error", "{error:?}");
    ensure!(answer.header("www-authenticate") == Some("Bearer"), "{:?}", answer.headers);
    ensure!(answer.header("x-request-id").is_some(), "{:?}", answer.headers);
    Ok(())
}

async fn new_key(admin: &Admin, label: &str) -> Result<(String, String)> {
    let made = admin.call(Method::POST, "/keys", Some(&json!({ "label": label }))).await?;
    ensure!(made.status == 201, "{}: {}", made.status, made.text());
    let made = made.json();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).context("no text");
    Ok((text(&made["key"])?, text(&made["view"]["id"])?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_on_this_machine_needs_no_key() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for pairs in LOCAL {
        let answer = turn_with(&gateway, pairs).await?;
        assert_eq!(answer.status, 200, "{pairs:?}: {}", answer.text());
        assert_eq!(&*gateway.decision(&answer.headers)?.client, "local", "{pairs:?}");
    }
    // One of ours that is wrong is a mistake wherever it comes from.
    is_refused(&turn_with(&gateway, &[("authorization", "Bearer sk-sy-wrong")]).await?)?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_from_elsewhere_needs_one_of_our_keys() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let (key, id) = new_key(&admin, "ann").await?;
    assert!(key.starts_with("sk-sy-") && key.len() > 40);
    let good = format!("Bearer {key}");
    for pairs in REMOTE {
        is_refused(&turn_with(&gateway, pairs).await?).with_context(|| format!("{pairs:?}"))?;
        for wrong in ["Bearer sk-sy-wrong", "Bearer sk-proj-openai", "Bearer \u{7f}", "Basic dXNlcjpwYXNz"] {
            if let Ok(value) = HeaderValue::from_bytes(wrong.as_bytes()) {
                let mut all = headers(pairs)?;
                all.insert("authorization", value);
                let answer = gateway.post_to("/v1/responses", all, turn("hello").to_string()).await?;
                is_refused(&Answer::read(answer).await?).with_context(|| format!("{pairs:?} {wrong}"))?;
            }
        }
        let with_key: Vec<_> = pairs.iter().copied().chain([("authorization", good.as_str())]).collect();
        let answer = turn_with(&gateway, &with_key).await?;
        assert_eq!(answer.status, 200, "{pairs:?}: {}", answer.text());
        assert_eq!(&*gateway.decision(&answer.headers)?.client, "ann", "{pairs:?}");
    }
    let refusals = gateway.metrics().await?.requests("/v1/responses", "invalid_api_key");
    assert!(refusals >= REMOTE.len() as f64 * 4.0, "{refusals} are counted");

    let gone = admin.call(Method::DELETE, &format!("/keys/{id}"), None).await?;
    assert_eq!(gone.status, 204);
    is_refused(&turn_with(&gateway, &[("x-forwarded-for", "203.0.113.7"), ("authorization", &good)]).await?)?;
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_small_routes_ask_for_the_same_key_and_health_asks_for_none() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for (path, open) in [
        ("/v1/models", false),
        ("/backend-api/codex/models", false),
        ("/metrics", false),
        ("/health", true),
        ("/ready", true),
    ] {
        let ask = async |remote: bool| {
            let request = gateway.http.get(format!("{}{path}", gateway.url));
            let request = if remote { request.header("x-forwarded-for", "203.0.113.7") } else { request };
            Answer::read(request.send().await?).await
        };
        assert_eq!(ask(false).await?.status, 200, "{path} from here");
        let from_elsewhere = ask(true).await?;
        if open {
            assert_eq!(from_elsewhere.status, 200, "{path} from elsewhere");
        } else {
            assert_eq!(
                (from_elsewhere.status, from_elsewhere.error()?.code.as_str()),
                (401, "invalid_api_key")
            );
        }
    }
    gateway.stop().await
}

/// Headers that try to break out of their line cannot be sent; what can be sent comes to nothing.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_headers_change_nothing() -> Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let gateway = InProcess::start(lab(1)).await?;
    let body = turn("hello").to_string();
    for (what, lines, status) in [
        ("a bare line feed", "session-id: a\nx-evil: 1\r\n", None),
        ("a folded line", "session-id: a\r\n x-evil: 1\r\n", Some(400)),
        ("a zero byte", "session-id: a\0b\r\n", Some(400)),
        ("a name with a space", "session id: a\r\n", Some(400)),
        (
            "bytes that are no text",
            "session-id: \u{ff}\u{fe}\r\nuser-agent: codex_exec/1\u{ff}\r\n",
            Some(200),
        ),
        ("a very long value", &format!("session-id: {}\r\n", "x".repeat(9_000)), Some(200)),
        ("two lengths", "content-length: 3\r\n", Some(400)),
        ("a length and chunks", "transfer-encoding: chunked\r\n", None),
    ] {
        let mut stream = tokio::net::TcpStream::connect(gateway.running.address).await?;
        let length = body.len();
        let request = format!(
            "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{lines}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        // A server may cut a connection that speaks nonsense; what it said before counts.
        drop(
            tokio::time::timeout(std::time::Duration::from_secs(10), stream.read_to_end(&mut answer)).await?,
        );
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let got = answer.split(' ').nth(1).and_then(|word| word.parse::<u16>().ok());
        if let Some(status) = status {
            assert_eq!(got, Some(status), "{what}: {answer:.300}");
        }
        let head = answer.split("\r\n\r\n").next().unwrap_or_default();
        assert!(!head.contains("x-evil"), "{what}: {head}");
    }
    let evil = |seen: &gateway_lab::RequestRecord| seen.header("x-evil").is_some();
    assert!(!gateway.lab.requests().iter().any(evil), "nothing of it went upstream");
    still_serves(&gateway).await?;
    gateway.stop().await
}
