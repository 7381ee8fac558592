//! Clients that mean no good, or know no better: whatever they send, they are told what is wrong, and the gateway serves
//! the next turn as if nothing had happened.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use switchyard_tests::{InProcess, Socket, create};
use tokio_tungstenite::tungstenite::Message;

use super::{PATHS, error};
use crate::api::{lab, still_serves};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_frames_are_told_what_is_wrong_and_the_socket_goes_on() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    let deep = format!(
        r#"{{"type":"response.create","model":"m","input":{}1{}}}"#,
        "[".repeat(9_999),
        "]".repeat(9_999)
    );
    let typed = |rest: &str| format!(r#"{{"type":"response.create",{rest}}}"#);
    let cases = [
        ("", "invalid_request", None),
        ("hello", "invalid_request", None),
        ("{", "invalid_request", None),
        ("[]", "invalid_request", None),
        ("null", "invalid_request", None),
        ("{}", "invalid_request", Some("type")),
        (r#"{"type":null}"#, "invalid_request", Some("type")),
        (r#"{"type":"response.cancel"}"#, "invalid_request", Some("type")),
        (r#"{"type":"session.update","session":{}}"#, "invalid_request", Some("type")),
        (&typed(r#""model":"gpt-5.5","input":"x","generate":"no""#), "invalid_request", Some("generate")),
        (&typed(r#""input":"x""#), "invalid_request", Some("model")),
        (&typed(r#""model":7,"input":"x""#), "invalid_request", Some("model")),
        (&typed(r#""model":"gpt-5.5""#), "invalid_request", Some("input")),
        (&typed(r#""model":"gpt-5.5","input":{}"#), "invalid_request", Some("input")),
        (&typed(r#""model":"gpt-5.5","input":"x","tools":{}"#), "invalid_request", Some("tools")),
        (&typed(r#""model":"gpt-5.5","input":"x","background":true"#), "invalid_request", Some("background")),
        (
            &typed(r#""model":"gpt-5.5","input":"x","previous_response_id":"resp_of_nobody""#),
            "previous_response_not_found",
            Some("previous_response_id"),
        ),
        (&deep, "", None),
    ];
    for (frame, code, param) in cases {
        let refused = socket.refused(Message::text(frame)).await.with_context(|| frame.to_owned())?;
        let (status, object) = (&refused["status"], &refused["error"]);
        ensure!(status.as_u64().is_some_and(|status| (400..500).contains(&status)), "{frame}: {refused}");
        ensure!(code.is_empty() || object["code"] == code, "{frame}: {refused}");
        ensure!(param.is_none() || object["param"].as_str() == param, "{frame}: {refused}");
    }
    let refused = socket.refused(Message::binary(create("x").to_string().into_bytes())).await?;
    assert_eq!(
        (refused["status"].as_u64(), &refused["error"]["code"]),
        (Some(400), &json!("invalid_request"))
    );
    socket.send(Message::Ping("still there?".into())).await?;
    socket.completed(&create("after all that")).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn more_turns_than_may_wait_are_refused_and_the_others_served() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    socket.say(&create("stream 200 events, pause 5 ms")).await?;
    socket.hear().await?.context("no frame")?;
    for nth in 0..20 {
        socket.say(&create(&format!("turn {nth}"))).await?;
    }
    let (mut refused, mut served) = (0, 0);
    while refused + served < 21 {
        let frame = socket.hear().await?.context("the socket was closed")?;
        match frame["type"].as_str() {
            Some("error") => {
                assert_eq!((&frame["status"], &frame["error"]["code"]), (&json!(429), &json!("saturated")));
                assert!(frame["headers"]["retry-after"].is_string());
                refused += 1;
            }
            Some("response.completed") => served += 1,
            _ => {}
        }
    }
    assert_eq!((served, refused), (5, 16));
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_too_large_is_refused_and_ends_its_socket_only() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let mut other = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    let text = format!(r#"{{"type":"response.create","input":"{}"}}"#, "x".repeat(64 * 1024 * 1024));
    // The gateway may hang up while it is still being sent.
    let sent = socket.send(Message::text(text)).await;
    if sent.is_ok() {
        let frame = socket.hear().await.ok().flatten();
        if let Some(frame) = frame {
            assert_eq!((&frame["status"], &frame["error"]["code"]), (&json!(413), &json!("body_too_large")));
        }
    }
    socket.closed().await?;
    other.completed(&create("x")).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_wrong_upgrades_get_http_answers() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let unknown = format!("Bearer {}{}", concat!("sk-", "sy-"), "nobody");
    for path in PATHS {
        for (headers, status, code) in [
            (vec![("x-forwarded-for", "192.0.2.1")], 401, "invalid_api_key"),
            (vec![("authorization", unknown.as_str())], 401, "invalid_api_key"),
            (vec![("origin", "https://evil.example")], 401, "invalid_api_key"),
        ] {
            let refused = Socket::try_open(&gateway.url, path, &headers).await?;
            let refused = refused.err().with_context(|| format!("{path} {headers:?} was opened"))?;
            assert_eq!(refused.status, status, "{path} {headers:?}: {}", refused.text());
            assert_eq!(error(&refused)?["code"], code);
        }
    }
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (headers, status) in [
        (vec![], 405),
        (vec![("upgrade", "h2c")], 405),
        (vec![("upgrade", "websocket")], 426),
        (vec![("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-version", "8"), key], 426),
        (vec![("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-version", "13")], 400),
        (vec![("upgrade", "websocket"), ("sec-websocket-version", "13"), key], 400),
        (
            vec![
                ("upgrade", "websocket"),
                ("connection", "upgrade"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "short"),
            ],
            400,
        ),
    ] {
        let mut request = gateway.http.get(format!("{}/v1/responses", gateway.url));
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        assert_eq!(answer.status(), status, "{headers:?}");
    }
    still_serves(&gateway).await?;
    gateway.stop().await
}
