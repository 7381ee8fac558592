//! Responses over WebSocket, the gateway as server: many turns on one socket, each accounted for by itself, and what a
//! client relies on. Hostile clients are in `hostile`.

mod hostile;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_app::Offered;
use gateway_core::ports::Transport;
use gateway_lab::{ErrorBody, Fault, FaultRule, LabConfig, RequestRecord, Route};
use serde_json::{Value, json};
use switchyard_tests::{Answer, InProcess, Socket, create, eventually, read_events, turn};

use super::{lab, still_serves};

pub(super) const PATHS: [&str; 3] = ["/v1/responses", "/responses", "/backend-api/codex/responses"];

/// The turns that the lab saw.
fn turns(gateway: &InProcess) -> Vec<RequestRecord> {
    gateway.lab.requests().into_iter().filter(|request| request.route == Route::Responses).collect()
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().filter_map(|frame| frame["type"].as_str()).collect()
}

/// What the model said.
fn said(last: &Value) -> String {
    let items = last["response"]["output"].as_array().cloned().unwrap_or_default();
    let text = items.iter().find_map(|item| item["content"][0]["text"].as_str());
    text.unwrap_or_default().to_owned()
}

fn id_of(last: &Value) -> &str {
    last["response"]["id"].as_str().unwrap_or_default()
}

/// Goes on from a response with something new.
fn going_on(from: &Value, text: &str) -> Value {
    let mut frame = create(text);
    frame["previous_response_id"] = id_of(from).into();
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn one_socket_serves_many_turns_and_each_is_accounted_for() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    for path in PATHS {
        let mut socket = Socket::open(&gateway.url, path, &[]).await?;
        for nth in 0..3 {
            let last = socket.completed(&create(&format!("turn {nth}"))).await?;
            assert_eq!(said(&last), format!("You said: turn {nth}"), "{path}");
        }
    }
    let settled = gateway.settlements(9).await?;
    assert_eq!(settled.len(), 9);
    for one in &settled {
        assert_eq!((&*one.outcome, one.status, one.attempts), ("completed", 200, 1), "{one:?}");
        assert!(one.usage.is_some_and(|usage| usage.input > 0 && usage.output > 0), "{one:?}");
        let decision = gateway.running.gateway.decisions().find(&one.request).context("no decision")?;
        let state = decision.snapshot();
        assert_eq!(state.transport, Transport::WebSocket);
        assert!(state.streaming);
    }
    assert_eq!(gateway.metrics().await?.requests("/v1/responses", "completed"), 6.0);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_the_events_that_http_gets() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let response =
        gateway.post_to("/backend-api/codex/responses", Default::default(), turn("same").to_string());
    let events = read_events(response.await?).await?;
    let mut socket = Socket::open(&gateway.url, "/backend-api/codex/responses", &[]).await?;
    let frames = socket.turn(&create("same")).await?;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(kinds(&frames), names);
    let numbers = |frames: &[Value]| -> Vec<u64> {
        frames.iter().filter_map(|frame| frame["sequence_number"].as_u64()).collect()
    };
    let of_http: Vec<Value> = events.into_iter().map(|event| event.data).collect();
    assert_eq!(numbers(&frames), numbers(&of_http));
    // What goes upstream is the same request: nothing of the socket is in it.
    let [over_http, over_socket] = &turns(&gateway)[..] else { anyhow::bail!("not two turns") };
    assert_eq!(over_http.json(), over_socket.json());
    for name in ["upgrade", "sec-websocket-key", "sec-websocket-version", "openai-beta"] {
        assert_eq!(over_socket.header(name), None, "{name}");
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_goes_on_from_the_last_one_of_its_socket() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    // It only prepares: nothing is generated, and no upstream is bothered.
    let mut prewarm = create("the base prompt");
    prewarm["generate"] = false.into();
    let frames = socket.turn(&prewarm).await?;
    assert_eq!(kinds(&frames), ["response.created", "response.completed"]);
    let prepared = frames.last().context("no frame")?;
    assert_eq!(prepared["response"]["usage"]["total_tokens"], 0);
    assert!(turns(&gateway).is_empty());

    let first = socket.completed(&going_on(prepared, "one")).await?;
    let second = socket.completed(&going_on(&first, "two")).await?;
    assert_eq!(said(&second), "You said: two");
    let third = socket.completed(&going_on(&second, "three")).await?;
    let seen = turns(&gateway);
    let last = seen.last().context("no turn")?.json();
    assert_eq!(last["previous_response_id"], Value::Null);
    let input = last["input"].to_string();
    let mut from = 0;
    for words in ["the base prompt", "\"one\"", "You said: one", "\"two\"", "You said: two", "\"three\""] {
        from += input[from..].find(words).with_context(|| format!("{words} is missing in {input}"))?;
    }
    assert!(seen.iter().all(|turn| turn.account == seen[0].account), "the conversation moved");

    // A turn that fails takes nothing away.
    gateway.lab.script(FaultRule::new(Fault::failed(("invalid_prompt", "no"))).on(Route::Responses).once());
    let failed = socket.turn(&going_on(&third, "bad")).await?;
    assert_eq!(kinds(&failed), ["error"]);
    let fourth = socket.completed(&going_on(&third, "four")).await?;
    assert_eq!(said(&fourth), "You said: four");
    assert!(!turns(&gateway).last().context("no turn")?.json()["input"].to_string().contains("bad"));
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_is_not_known_makes_the_client_send_everything() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    let first = socket.completed(&create("one")).await?;
    let second = socket.completed(&going_on(&first, "two")).await?;
    let mut elsewhere = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    // Of another socket, or older than the last one.
    for (socket, from) in [(&mut elsewhere, &second), (&mut socket, &first)] {
        let frames = socket.turn(&going_on(from, "x")).await?;
        let [refused] = &frames[..] else { anyhow::bail!("{frames:?}") };
        assert_eq!((&refused["type"], &refused["status"]), (&json!("error"), &json!(400)));
        assert_eq!(refused["error"]["code"], "previous_response_not_found");
        // The client does as it is told, on the same socket if it likes.
        socket.completed(&create("everything")).await?;
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_that_come_together_are_served_one_after_the_other() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    socket.say(&create("stream 40 events, pause 2 ms")).await?;
    for nth in 0..3 {
        socket.say(&create(&format!("turn {nth}"))).await?;
    }
    let first = socket.rest().await?;
    assert!(kinds(&first).ends_with(&["response.completed"]));
    for nth in 0..3 {
        let frames = socket.rest().await?;
        let ids: Vec<_> = frames.iter().filter_map(|frame| frame["response"]["id"].as_str()).collect();
        ensure!(ids.windows(2).all(|pair| pair[0] == pair[1]), "two turns were mixed: {ids:?}");
        assert_eq!(said(frames.last().context("no frame")?), format!("You said: turn {nth}"));
    }
    gateway.settlements(4).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_frames_that_a_client_understands() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    // Before the answer: an error frame with the status that HTTP would have, and the wait inside it.
    let wait = Fault::RateLimited429 { with_code: true, retry_after: Some(7) };
    gateway.lab.script(FaultRule::new(wait).on(Route::Responses).once());
    let frames = socket.turn(&create("x")).await?;
    let [limited] = &frames[..] else { anyhow::bail!("{frames:?}") };
    assert_eq!(limited["status"], 429);
    let seconds: u64 = limited["headers"]["retry-after"].as_str().context("no wait")?.parse()?;
    assert!((1..=7).contains(&seconds), "{limited}");
    gateway.lab.advance(Duration::from_secs(60));

    // Inside it: the answer's own last event.
    gateway.lab.script(FaultRule::new(Fault::CutAfterEvents(6)).on(Route::Responses).once());
    let frames = socket.turn(&create("cut")).await?;
    let last = frames.last().context("no frame")?;
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["error"]["code"], "stream_incomplete");

    // An error event of the upstream gets the status without which Codex would wait for minutes.
    let error = Fault::ErrorEvent {
        status: 500,
        code: "server_error".to_owned(),
        message: "oh".to_owned(),
        after_events: 6,
    };
    gateway.lab.advance(Duration::from_secs(600));
    gateway.lab.script(FaultRule::new(error).on(Route::Responses).once());
    let frames = socket.turn(&create("error")).await?;
    let last = frames.last().context("no frame")?;
    assert_eq!((&last["type"], last["status"].is_u64()), (&json!("error"), true), "{last}");
    gateway.lab.advance(Duration::from_secs(600));
    socket.completed(&create("and on it goes")).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_account_is_replaced_without_a_word() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let limit = ErrorBody::named("usage_limit_reached").context("the lab lost a row")?;
    let rule = gateway.lab.script(FaultRule::new(limit).on(Route::Responses).once());
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    let last = socket.completed(&create("are you there")).await?;
    assert_eq!(said(&last), "You said: are you there");
    assert_eq!(gateway.lab.fired(rule), 1);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_its_turn_upstream() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for polite in [true, false] {
        let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
        socket.say(&create("stream 5000 events, pause 10 ms")).await?;
        for _ in 0..6 {
            socket.hear().await?.context("no frame")?;
        }
        if polite {
            socket.send(tokio_tungstenite::tungstenite::Message::Close(None)).await?;
        }
        drop(socket);
    }
    eventually("the upstream's streams are let go", async || {
        let streams = gateway.lab.stats(0).context("no account")?.streams;
        Ok((streams.open == 0 && streams.abandoned == 2).then_some(()))
    })
    .await?;
    for one in gateway.settlements(2).await? {
        assert_eq!((&*one.outcome, one.status), ("client_gone", 499), "{one:?}");
    }
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_turn_says_of_itself_replaces_what_the_upgrade_said() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let headers = [
        ("user-agent", "codex_exec/0.169.0 (Debian)"),
        ("originator", "codex_exec"),
        ("openai-beta", "responses_websockets=2026-02-06"),
        ("session-id", "s-1"),
        ("x-codex-turn-metadata", r#"{"request_kind":"prewarm"}"#),
    ];
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &headers).await?;
    let mut frame = create("x");
    frame["store"] = false.into();
    frame["client_metadata"] = json!({
        "turn_id": "t",
        "x-codex-turn-metadata": "{\"request_kind\":\"turn\"}",
        "x-codex-ws-stream-request-start-ms": "1795226217761",
        "ws_request_header_x_openai_internal_codex_responses_lite": "true",
    });
    socket.completed(&frame).await?;
    let [turn] = &turns(&gateway)[..] else { anyhow::bail!("not one turn") };
    assert_eq!(turn.header("x-codex-turn-metadata"), Some(r#"{"request_kind":"turn"}"#));
    assert_eq!(turn.header("x-openai-internal-codex-responses-lite"), Some("true"));
    assert_eq!(turn.header("session-id"), Some("s-1"));
    assert_eq!(turn.header("openai-beta"), None);
    let metadata = &turn.json()["client_metadata"];
    assert_eq!(metadata["turn_id"], "t");
    assert!(metadata.get("x-codex-ws-stream-request-start-ms").is_none(), "{metadata}");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_end_with_the_gateway_and_running_turns_before_it() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let mut idle = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    idle.completed(&create("x")).await?;
    let mut busy = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    busy.say(&create("stream 60 events, pause 10 ms")).await?;
    busy.hear().await?.context("no frame")?;
    let stopping = tokio::spawn(gateway.stop());
    assert_eq!(idle.closed().await?, Some(1001));
    let frames = busy.rest().await?;
    assert!(kinds(&frames).ends_with(&["response.completed"]), "the running turn was not finished");
    assert_eq!(busy.closed().await?, Some(1001));
    stopping.await?
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_it_sends_clients_to_http_at_once() -> Result<()> {
    let gateway = InProcess::start_with(lab(1), |settings| settings.client_sockets = Offered::No).await?;
    for path in PATHS {
        let refused = Socket::try_open(&gateway.url, path, &[]).await?.err().context("it was opened")?;
        assert_eq!(refused.status, 426, "{path}");
        assert_eq!(error(&refused)?["code"], "websocket_not_offered");
    }
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// The error object of an answer that refuses an upgrade.
pub(super) fn error(answer: &Answer) -> Result<Value> {
    let error = answer.json()["error"].clone();
    ensure!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", answer.text());
    Ok(error)
}

/// Over HTTP Codex reads its limits in headers; a turn on a socket has none.
#[tokio::test(flavor = "multi_thread")]
async fn codex_is_told_the_quota_in_a_frame_and_others_are_not() -> Result<()> {
    for upstream in [false, true] {
        let config = LabConfig { sockets: upstream, rate_limits_event: upstream, ..lab(1) };
        let gateway = InProcess::start(config).await?;
        let codex = [("user-agent", "codex_exec/0.169.0 (Debian)"), ("originator", "codex_exec")];
        for (headers, told) in [(&codex[..], true), (&[], false)] {
            let mut socket = Socket::open(&gateway.url, "/v1/responses", headers).await?;
            for _ in 0..2 {
                let mut frame = create("x");
                frame["instructions"] = "".into();
                let frames = socket.turn(&frame).await?;
                let limits = frames.iter().find(|frame| frame["type"] == "codex.rate_limits");
                assert_eq!(limits.is_some(), told, "{upstream} {frames:?}");
                let used = limits.map(|limits| limits["rate_limits"]["primary"]["used_percent"].is_number());
                assert_ne!(used, Some(false), "{limits:?}");
            }
        }
        gateway.stop().await?;
    }
    Ok(())
}
