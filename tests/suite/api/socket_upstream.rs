//! Responses over WebSocket, the gateway as client of the backend: when a turn takes a socket, whose socket it is, what is
//! said on it, and what happens when it ends. The client's transport and the upstream's are independent.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_app::SocketUse;
use gateway_core::ports::Transport;
use gateway_lab::proxy::{LabProxy, ProxyKind};
use gateway_lab::{Fault, FaultRule, LabConfig, RequestRecord, Route};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_tests::{Admin, InProcess, Socket, create, events_of, eventually, turn};
use tokio_util::sync::CancellationToken;

use super::{completed, lab, still_serves};

fn with_sockets(accounts: usize) -> LabConfig {
    LabConfig { sockets: true, ..lab(accounts) }
}

fn seen(gateway: &InProcess, route: Route) -> Vec<RequestRecord> {
    gateway.lab.requests().into_iter().filter(|request| request.route == route).collect()
}

/// How the tries of the newest decisions went upstream, the newest first.
fn transports(gateway: &InProcess, limit: usize) -> Vec<Option<Transport>> {
    let newest = gateway.running.gateway.decisions().newest(limit, |_| true);
    newest.iter().map(|one| one.snapshot().attempts.last().and_then(|attempt| attempt.transport)).collect()
}

fn going_on(from: &Value, text: &str) -> Value {
    let mut frame = create(text);
    frame["previous_response_id"] = from["response"]["id"].clone();
    frame
}

/// A turn whose items are told apart by the upstream; what is no list is said anew each time.
fn listed(text: &str) -> Value {
    let mut frame = create(text);
    frame["input"] =
        json!([{ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] }]);
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transports_of_both_sides_are_independent() -> Result<()> {
    for (when, offered, over_http, over_socket) in [
        (SocketUse::Follow, true, Transport::Http, Transport::WebSocket),
        (SocketUse::Always, true, Transport::WebSocket, Transport::WebSocket),
        (SocketUse::Never, true, Transport::Http, Transport::Http),
        // An upstream that speaks HTTP only is found out once.
        (SocketUse::Always, false, Transport::Http, Transport::Http),
    ] {
        let config = LabConfig { sockets: offered, ..lab(1) };
        let gateway = InProcess::start_with(config, |settings| settings.upstream_sockets = when).await?;
        let answer = gateway.ask(&turn("by http")).await?;
        completed(&events_of(&answer.text())?)?;
        let whole = gateway.ask(&json!({ "model": "gpt-5.5", "input": "in one piece" })).await?;
        assert!(whole.text().contains("You said: in one piece"), "{}", whole.text());
        let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
        socket.completed(&create("by socket")).await?;
        assert_eq!(
            transports(&gateway, 3),
            [over_socket, over_http, over_http].map(Some),
            "{when:?} {offered}"
        );
        let upgrades = [Route::Socket, Route::Other].map(|route| seen(&gateway, route).len());
        let upgrades: usize = upgrades.iter().sum();
        assert_eq!(upgrades, usize::from(over_socket == Transport::WebSocket || !offered), "{when:?}");
        for one in gateway.settlements(3).await? {
            assert_eq!((&*one.outcome, one.status), ("completed", 200), "{one:?}");
            assert!(one.usage.is_some_and(|usage| usage.input > 0 && usage.output > 0), "{one:?}");
        }
        gateway.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_stays_on_its_socket_and_says_only_what_is_new() -> Result<()> {
    let gateway = InProcess::start(with_sockets(2)).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    let first = socket.completed(&listed("one")).await?;
    let mut next = listed("two");
    next["previous_response_id"] = first["response"]["id"].clone();
    let second = socket.completed(&next).await?;
    socket.completed(&going_on(&second, "three")).await?;
    let [upgrade] = &seen(&gateway, Route::Socket)[..] else { anyhow::bail!("not one socket") };
    assert!(upgrade.header("openai-beta").is_some_and(|beta| beta.contains("responses_websockets=")));
    assert_ne!(upgrade.header("accept"), Some("text/event-stream"));
    let frames: Vec<Value> = seen(&gateway, Route::Responses).iter().map(RequestRecord::json).collect();
    assert_eq!(frames.len(), 3);
    for (frame, words, previous) in
        [(&frames[0], "one", false), (&frames[1], "two", true), (&frames[2], "three", true)]
    {
        assert_eq!(frame["type"], "response.create");
        assert_eq!(frame["previous_response_id"].is_string(), previous, "{frame}");
        let input = frame["input"].as_array().context("no list")?;
        assert_eq!(input.len(), 1, "more than what is new: {frame}");
        assert!(frame["input"].to_string().contains(words));
    }
    // Another conversation of the same client takes no part in it.
    let mut other = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    other.completed(&listed("else")).await?;
    assert_eq!(
        seen(&gateway, Route::Responses).last().context("none")?.json()["previous_response_id"],
        Value::Null
    );
    gateway.stop().await
}

/// A conversation outlives its upstream sockets: a young one is used again, an old one makes room, and what the client
/// sees is the same all along. The new socket is told everything, because it knows nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_age_makes_room_and_the_conversation_goes_on() -> Result<()> {
    const AGE: Duration = Duration::from_millis(700);
    let gateway =
        InProcess::start_with(with_sockets(1), |settings| settings.upstream_socket_age = AGE).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    let mut last = socket.completed(&listed("turn 0")).await?;
    let begun = std::time::Instant::now();
    let mut turns = 1;
    while seen(&gateway, Route::Socket).len() < 2 {
        ensure!(begun.elapsed() < 20 * AGE, "the socket is used for ever");
        let mut next = listed(&format!("turn {turns}"));
        next["previous_response_id"] = last["response"]["id"].clone();
        last = socket.completed(&next).await?;
        turns += 1;
    }
    assert!(begun.elapsed() >= AGE / 2, "a young one made room");
    let frames: Vec<Value> = seen(&gateway, Route::Responses).iter().map(RequestRecord::json).collect();
    assert_eq!(frames.len(), turns, "each turn was asked once");
    assert!(turns > 2, "the first socket was used again");
    let (renewed, before) = frames.split_last().context("none")?;
    assert!(before.iter().skip(1).all(|frame| frame["previous_response_id"].is_string()));
    assert_eq!(renewed["previous_response_id"], Value::Null, "the new one knows nothing: {renewed}");
    let told = renewed["input"].to_string();
    for nth in 0..turns {
        assert!(told.contains(&format!("\"turn {nth}\"")), "turn {nth} is missing");
    }
    assert!(transports(&gateway, turns).iter().all(|one| *one == Some(Transport::WebSocket)));
    for one in gateway.settlements(turns).await? {
        assert_eq!((&*one.outcome, one.attempts), ("completed", 1), "{one:?}");
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_not_shared_between_clients_conversations_or_accounts() -> Result<()> {
    let gateway = InProcess::start(with_sockets(2)).await?;
    let headers = |session: &'static str| {
        [("user-agent", "codex_exec/0.169.0 (Debian)"), ("originator", "codex_exec"), ("session-id", session)]
    };
    for session in ["s-1", "s-2", "s-1"] {
        let mut socket = Socket::open(&gateway.url, "/v1/responses", &headers(session)).await?;
        let mut frame = create("x");
        frame["store"] = false.into();
        frame["instructions"] = "".into();
        frame["prompt_cache_key"] = session.into();
        socket.completed(&frame).await?;
    }
    let upgrades = seen(&gateway, Route::Socket);
    let sessions: Vec<_> = upgrades.iter().filter_map(|one| one.header("session-id")).collect();
    assert_eq!(sessions, ["s-1", "s-2"], "each conversation has one of its own, and finds it again");
    // The keys of two clients: same headers otherwise.
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let keys = [new_key(&admin, "ann").await?, new_key(&admin, "bob").await?];
    for key in &keys {
        let bearer = format!("Bearer {key}");
        let mut socket = Socket::open(&gateway.url, "/v1/responses", &[("authorization", &bearer)]).await?;
        socket.completed(&create("x")).await?;
    }
    let accounts: Vec<_> = seen(&gateway, Route::Socket).iter().skip(2).map(|one| one.account).collect();
    assert_eq!(accounts.len(), 2, "a socket was shared between two clients");
    gateway.stop().await
}

async fn new_key(admin: &Admin, label: &str) -> Result<String> {
    let made = admin.call(Method::POST, "/keys", Some(&json!({ "label": label }))).await?;
    ensure!(made.status == 201, "{}: {}", made.status, made.text());
    Ok(made.json()["key"].as_str().context("no key")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_error_frame_says_counts_as_over_http() -> Result<()> {
    let gateway = InProcess::start(with_sockets(2)).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    // A token that is refused is renewed once, and the turn sent again.
    gateway.lab.script(FaultRule::new(Fault::Unauthorized401).on(Route::Responses).once());
    socket.completed(&create("renewed")).await?;
    assert_eq!(
        (0..2).filter_map(|one| gateway.lab.tokens(one)).map(|tokens| tokens.refreshes).sum::<u64>(),
        1
    );
    // An upgrade that is refused as well.
    gateway.lab.script(FaultRule::new(Fault::Unauthorized401).on(Route::Socket).once());
    let mut another = Socket::open(&gateway.url, "/v1/responses", &[("x-team", "blue")]).await?;
    another.completed(&create("renewed again")).await?;
    // A usage limit moves the turn to the other account, and is remembered.
    let limit = Fault::named("usage_limit_reached").context("the lab lost a row")?;
    let rule = gateway.lab.script(FaultRule::new(limit).on(Route::Responses).once());
    let last = socket.completed(&create("moved")).await?;
    assert_eq!(last["type"], "response.completed");
    assert_eq!(gateway.lab.fired(rule), 1);
    let newest = gateway.running.gateway.decisions().newest(1, |_| true);
    let attempts = newest.first().context("no decision")?.snapshot().attempts;
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].upstream_status, Some(429));
    assert_ne!(attempts[0].account, attempts[1].account);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_ends_before_anything_was_visible_is_made_good() -> Result<()> {
    let dropped = |fault: Fault| FaultRule::new(fault).on(Route::Responses).once();
    for fault in [
        Fault::RefuseConnection,
        Fault::DropAnswer,
        Fault::CutAfterEvents(0),
        Fault::CloseSocket { code: 1000, after_events: 0 },
        Fault::CloseSocket { code: 1011, after_events: 0 },
        // What the upstream says when a socket is an hour old.
        Fault::ErrorEvent {
            status: 400,
            code: "websocket_connection_limit_reached".to_owned(),
            message: "too old".to_owned(),
            after_events: 0,
        },
    ] {
        // One account: a kept socket says nothing about it, so it is asked again.
        let gateway = InProcess::start(with_sockets(1)).await?;
        let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
        socket.completed(&create("one")).await?;
        let rule = gateway.lab.script(dropped(fault.clone()));
        let last = socket.completed(&create("two")).await.with_context(|| format!("{fault:?}"))?;
        assert_eq!(last["response"]["output"].to_string().matches("You said: two").count(), 1);
        assert_eq!((gateway.lab.fired(rule), seen(&gateway, Route::Socket).len()), (1, 2), "{fault:?}");
        gateway.stop().await?;

        // A fresh one that ends is its account's fault: another takes the turn.
        let gateway = InProcess::start(with_sockets(2)).await?;
        let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
        gateway.lab.script(dropped(fault.clone()));
        let frames = socket.turn(&create("two")).await.with_context(|| format!("{fault:?}"))?;
        let is_limit = matches!(fault, Fault::ErrorEvent { .. });
        let end = frames.last().and_then(|frame| frame["type"].as_str()).unwrap_or_default();
        assert!(end == "response.completed" || is_limit, "{fault:?}: {frames:?}");
        gateway.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_may_have_changed_something_is_not_sent_twice() -> Result<()> {
    let gateway = InProcess::start(with_sockets(2)).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    socket.completed(&create("one")).await?;
    gateway.lab.script(FaultRule::new(Fault::DropAnswer).on(Route::Responses).once());
    let mut frame = create("two");
    frame["tools"] = json!([{ "type": "mcp", "server_label": "s", "server_url": "https://mcp.example" }]);
    let frames = socket.turn(&frame).await?;
    let [failed] = &frames[..] else { anyhow::bail!("{frames:?}") };
    assert_eq!((&failed["type"], &failed["error"]["code"]), (&json!("error"), &json!("stream_incomplete")));
    assert_eq!(seen(&gateway, Route::Responses).len(), 2, "it was sent again");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_inside_the_answer_is_told_and_the_socket_not_used_again() -> Result<()> {
    let gateway = InProcess::start(with_sockets(1)).await?;
    for fault in [Fault::CutAfterEvents(6), Fault::CleanEofAfterEvents(6), Fault::MalformedEventAfter(6)] {
        let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
        gateway.lab.advance(Duration::from_secs(600));
        gateway.lab.script(FaultRule::new(fault.clone()).on(Route::Responses).once());
        let frames = socket.turn(&create("x")).await?;
        let last = frames.last().context("no frame")?;
        assert_eq!(last["type"], "response.failed", "{fault:?}: {last}");
        gateway.lab.advance(Duration::from_secs(600));
        socket.completed(&create("after it")).await.with_context(|| format!("{fault:?}"))?;
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_too_large_goes_by_http_on_the_same_account() -> Result<()> {
    let gateway = InProcess::start(with_sockets(1)).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    let large = "x".repeat(200_000);
    let too_large = Fault::CloseSocket { code: 1009, after_events: 0 };
    let rule = gateway.lab.script(FaultRule::new(too_large).on(Route::Responses).once());
    for _ in 0..2 {
        socket.completed(&create(&large)).await?;
    }
    assert_eq!(gateway.lab.fired(rule), 1, "it is remembered what is too large");
    assert_eq!(transports(&gateway, 2), [Some(Transport::Http); 2]);
    socket.completed(&create("small")).await?;
    assert_eq!(transports(&gateway, 1), [Some(Transport::WebSocket)]);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_closes_the_socket_of_its_turn() -> Result<()> {
    let gateway = InProcess::start(with_sockets(1)).await?;
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    socket.say(&create("stream 5000 events, pause 10 ms")).await?;
    for _ in 0..6 {
        socket.hear().await?.context("no frame")?;
    }
    drop(socket);
    eventually("the upstream's stream is let go", async || {
        let streams = gateway.lab.stats(0).context("no account")?.streams;
        Ok((streams.open == 0 && streams.abandoned == 1).then_some(()))
    })
    .await?;
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_leaves_through_its_accounts_proxy_or_not_at_all() -> Result<()> {
    let gateway = InProcess::start(with_sockets(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let stop = CancellationToken::new();
    let proxy = LabProxy::start(ProxyKind::Socks5, Some(("me", "hunter2")), stop.clone()).await?;
    let body = json!({ "name": "way out", "url": proxy.url(), "groups": [] });
    let added = admin.expect(201, Method::POST, "/proxies", Some(&body)).await?;
    let account = admin.get("/accounts").await?[0]["id"].as_str().context("no account")?.to_owned();
    let egress = json!({ "settings": { "egress": { "via": "proxy", "proxy": added["id"] } } });
    admin.patch_account(&account, &egress).await?;
    let before = proxy.passed();
    let mut socket = Socket::open(&gateway.url, "/v1/responses", &[]).await?;
    socket.completed(&create("through it")).await?;
    assert_eq!(transports(&gateway, 1), [Some(Transport::WebSocket)]);
    assert!(proxy.passed() > before, "it went around the proxy");
    // A kept socket is of the way that it was opened on.
    stop.cancel();
    admin.patch_account(&account, &json!({ "settings": { "egress": { "via": "direct" } } })).await?;
    socket.completed(&create("straight")).await?;
    assert_eq!(seen(&gateway, Route::Socket).len(), 2, "a socket was used on another way");
    admin.patch_account(&account, &egress).await?;
    let mut other = Socket::open(&gateway.url, "/v1/responses", &[("x-team", "blue")]).await?;
    let frames = other.turn(&listed("nowhere")).await?;
    assert_eq!(frames.last().context("no frame")?["type"], "error");
    gateway.stop().await
}
