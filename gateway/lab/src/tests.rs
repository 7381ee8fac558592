//! The lab from outside: through its router, and over real sockets where only a socket shows the truth.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{Lab, LabAccount, LabClock, LabConfig, Lifetime, router};

mod answers;
mod api;
mod faults;
mod oauth;
mod sign_in;
mod socket;
mod turns;

const NOW: i64 = 1_800_000_000;

fn config() -> LabConfig {
    let accounts = vec![LabAccount::new("ada", "plus"), LabAccount::new("grace", "pro")];
    LabConfig::new(accounts, LabClock::fixed(NOW))
}

fn lab() -> Lab {
    Lab::new(config())
}

/// A body the backend accepts, with this text.
fn say(text: &str) -> Value {
    json!({
        "model": "gpt-5.5",
        "stream": true,
        "store": false,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}],
    })
}

fn access_token(lab: &Lab, account: usize) -> String {
    lab.login(account, Lifetime::Normal).unwrap().access_token
}

/// A turn as the given account, unanswered yet.
fn turn_request(lab: &Lab, account: usize, body: &Value) -> Request<Body> {
    Request::post("/backend-api/codex/responses")
        .header("authorization", format!("Bearer {}", access_token(lab, account)))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

async fn call(lab: &Lab, request: Request<Body>) -> Response<Body> {
    router(lab).oneshot(request).await.unwrap()
}

async fn turn(lab: &Lab, account: usize, body: &Value) -> Response<Body> {
    call(lab, turn_request(lab, account, body)).await
}

async fn get(lab: &Lab, account: usize, path: &str) -> Response<Body> {
    let bearer = format!("Bearer {}", access_token(lab, account));
    call(lab, Request::get(path).header("authorization", bearer).body(Body::empty()).unwrap()).await
}

async fn bytes(response: Response<Body>) -> Bytes {
    axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()
}

async fn body_json(response: Response<Body>) -> Value {
    serde_json::from_slice(&bytes(response).await).unwrap()
}

/// The data of every event of a stream.
fn events_of(stream: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stream).unwrap();
    let data = text.split("\n\n").filter_map(|event| event.lines().find_map(|l| l.strip_prefix("data: ")));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// The text a stream ends up with.
fn text_of(events: &[Value]) -> String {
    let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
    deltas.map(|event| event["delta"].as_str().unwrap()).collect()
}

async fn turn_events(lab: &Lab, account: usize, body: &Value) -> Vec<Value> {
    let response = turn(lab, account, body).await;
    assert_eq!(response.status(), StatusCode::OK);
    events_of(&bytes(response).await)
}

#[test]
fn the_demo_has_three_accounts_that_differ() {
    let lab = Lab::new(LabConfig::demo());
    let plans: Vec<&str> = lab.accounts().map(|account| account.plan.as_str()).collect();
    assert_eq!(plans, ["plus", "pro", "team"]);
    assert!(lab.accounts().all(|account| account.email.ends_with("@example.test")));
    let used: Vec<f64> = (0..3).map(|account| lab.windows(account)[0].used_percent).collect();
    assert!(used[0] != used[1] && used[1] != used[2], "{used:?}");
    lab.advance(Duration::from_hours(24));
    assert!((0..3).all(|account| lab.windows(account)[0].used_percent == 0.0));
}
