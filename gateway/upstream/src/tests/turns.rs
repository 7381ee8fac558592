//! Requests of every kind of account: where they go, what they carry, how they fail.

use gateway_domain::{FailureKind, Retry};
use gateway_lab::{Fault, FaultRule, Route, Stall};
use http::{HeaderName, HeaderValue};

use super::*;

#[tokio::test]
async fn every_kind_reaches_its_endpoints_with_its_key() {
    let world = World::new().await;
    for (kind, endpoint, body, route, end) in [
        (AccountKind::Codex, Endpoint::Responses, turn("hi"), Route::Responses, "response.completed"),
        (AccountKind::OpenAi, Endpoint::Responses, turn("hi"), Route::ApiResponses, "response.completed"),
        (AccountKind::OpenAi, Endpoint::ChatCompletions, chat("hi"), Route::ApiChat, "[DONE]"),
        (AccountKind::OpenAiCompatible, Endpoint::ChatCompletions, chat("hi"), Route::ApiChat, "[DONE]"),
        (
            AccountKind::OpenAiCompatible,
            Endpoint::Messages,
            message("hi"),
            Route::ApiMessages,
            "message_stop",
        ),
        (AccountKind::Anthropic, Endpoint::Messages, message("hi"), Route::ApiMessages, "message_stop"),
        (AccountKind::Anthropic, Endpoint::CountTokens, message("hi"), Route::ApiCountTokens, "input_tokens"),
        (AccountKind::Gateway, Endpoint::Responses, turn("hi"), Route::ApiResponses, "response.completed"),
        (AccountKind::Gateway, Endpoint::Messages, message("hi"), Route::ApiMessages, "message_stop"),
    ] {
        let response = world.respond(world.request(kind, endpoint, &body)).await.unwrap();
        assert_eq!(response.status, 200, "{} {endpoint:?}", kind.as_str());
        assert!(read(response).await.unwrap().contains(end), "{} {endpoint:?}", kind.as_str());
        let seen = world.lab.requests().pop().unwrap();
        assert_eq!((seen.route, seen.json()), (route, body), "{}", kind.as_str());
        assert!(seen.header("user-agent").unwrap().starts_with("switchyard/"));
    }
}

#[tokio::test]
async fn an_endpoint_that_a_kind_does_not_have_is_no_request() {
    let world = World::new().await;
    for (kind, endpoint) in [
        (AccountKind::Codex, Endpoint::Messages),
        (AccountKind::OpenAi, Endpoint::CountTokens),
        (AccountKind::Anthropic, Endpoint::Responses),
    ] {
        let failure = world.respond(world.request(kind, endpoint, &json!({}))).await.err().unwrap();
        assert_eq!((failure.kind, failure.retry), (FailureKind::UnknownRoute, Retry::OtherAccount));
        assert!(failure.message.contains(kind.as_str()), "{}", failure.message);
    }
    assert!(world.lab.requests().is_empty());
}

#[tokio::test]
async fn refusals_come_back_whole_whatever_their_status() {
    let world = World::new().await;
    for (kind, endpoint, body, row) in [
        (AccountKind::OpenAi, Endpoint::ChatCompletions, chat("hi"), "openai_rate_limited"),
        (AccountKind::Anthropic, Endpoint::Messages, message("hi"), "anthropic_overloaded"),
        (AccountKind::Codex, Endpoint::Responses, turn("hi"), "usage_limit_reached"),
    ] {
        let row = gateway_lab::ErrorBody::named(row).unwrap();
        world.lab.script(FaultRule::new(row).once());
        let response = world.respond(world.request(kind, endpoint, &body)).await.unwrap();
        assert_eq!(response.status, row.status);
        for (name, value) in row.headers {
            assert_eq!(response.headers[*name], *value);
        }
        assert_eq!(read(response).await.unwrap(), row.render(NOW));
    }
}

#[tokio::test]
async fn a_wrong_key_is_the_upstreams_401() {
    let world = World::new().await;
    for (kind, endpoint, body) in [
        (AccountKind::OpenAi, Endpoint::ChatCompletions, chat("hi")),
        (AccountKind::Anthropic, Endpoint::Messages, message("hi")),
        (AccountKind::Codex, Endpoint::Responses, turn("hi")),
    ] {
        let mut request = world.request(kind, endpoint, &body);
        request.access_token = Arc::new(Secret::from("wrong"));
        assert_eq!(world.respond(request).await.unwrap().status, 401, "{}", kind.as_str());
    }
}

#[tokio::test]
async fn a_child_gateway_hears_the_hops_and_keeps_its_inner_limits_to_itself() {
    let world = World::new().await;
    let mut request = world.request(AccountKind::Gateway, Endpoint::Responses, &turn("hi"));
    request.hops = Hops(vec!["edge".into(), "here".into()]);
    Arc::make_mut(&mut request.headers).insert("x-switchyard-hops", HeaderValue::from_static("forged"));
    Arc::make_mut(&mut request.headers).insert("user-agent", HeaderValue::from_static("codex_exec/0.169.0"));
    let headers = [("x-codex-primary-used-percent", "99"), ("x-codex-turn-state", "blob")];
    world.lab.script(FaultRule::new(Fault::Raw {
        status: 200,
        body: String::new(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
    }));
    let response = world.respond(request).await.unwrap();
    assert_eq!(response.headers["x-codex-turn-state"], "blob");
    assert!(!response.headers.contains_key("x-codex-primary-used-percent"));
    let seen = world.lab.requests().pop().unwrap();
    assert_eq!(seen.header("x-switchyard-hops"), Some("edge,here"));
    assert_eq!(seen.header("user-agent"), Some("codex_exec/0.169.0"));
}

#[tokio::test]
async fn the_operators_headers_arrive() {
    let world = World::new().await;
    let mut request = world.request(AccountKind::OpenAiCompatible, Endpoint::ChatCompletions, &chat("hi"));
    let to = Arc::get_mut(&mut request.to).unwrap();
    to.headers.insert(HeaderName::from_static("x-tenant"), HeaderValue::from_static("blue"));
    to.headers.insert("authorization", HeaderValue::from_static("Bearer sk-lab-openai"));
    request.access_token = Arc::new(Secret::from(""));
    assert_eq!(world.respond(request).await.unwrap().status, 200);
    assert_eq!(world.lab.requests().pop().unwrap().header("x-tenant"), Some("blue"));
}

#[tokio::test]
async fn what_breaks_is_told_by_when_it_broke() {
    let world = World::new().await;
    let request = || world.request(AccountKind::Codex, Endpoint::Responses, &turn("stream 9 events"));
    let rule = world.lab.script(FaultRule::new(Fault::RefuseConnection));
    let failure = world.respond(request()).await.err().unwrap();
    assert_eq!((failure.kind, failure.retry), (FailureKind::Unreachable, Retry::OtherAccount));
    world.lab.unscript(rule);
    let rule = world.lab.script(FaultRule::new(Fault::CutAfterEvents(3)));
    let response = world.respond(request()).await.unwrap();
    assert_eq!(read(response).await.unwrap_err().kind, FailureKind::StreamCut);
    world.lab.unscript(rule);
    let mut nowhere = request();
    Arc::get_mut(&mut nowhere.to).unwrap().base_url = Some("http://127.0.0.1:1/backend-api".into());
    let failure = world.respond(nowhere).await.err().unwrap();
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert!(failure.message.contains("could not be reached"));
    // The first tries left nothing behind that breaks the next.
    assert_eq!(world.respond(request()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let world = World::new().await;
    world.lab.script(FaultRule::new(Fault::StallBeforeHeaders(Stall::Forever)));
    let to = world.to(AccountKind::Codex);
    let address =
        crate::address::Base::parse(&world.lab.backend_url()).unwrap().at("codex/responses").unwrap();
    let outgoing = crate::clients::Outgoing::post(HeaderMap::new(), Bytes::from_static(b"{}"));
    let head_time = Duration::from_millis(50);
    let failure = world.clients.send(&to.way, &address, outgoing, head_time).await.err().unwrap();
    assert_eq!((failure.kind, failure.retry), (FailureKind::UpstreamTimeout, Retry::OtherAccount));
}
