//! Scripted faults as far as they show without a socket.

use super::*;
use crate::exchange::Abandon;
use crate::{API_ERROR_BODIES, ERROR_BODIES, ErrorPlace, FAILED_EVENTS, Fault, FaultRule, Route, Stall};

fn on_turns(fault: Fault) -> FaultRule {
    FaultRule::new(fault).on(Route::Responses)
}

async fn faulty(fault: Fault) -> Bytes {
    let lab = lab();
    lab.script(on_turns(fault));
    bytes(turn(&lab, 0, &say("stream 4 events")).await).await
}

#[tokio::test]
async fn every_row_of_the_table_can_be_given() {
    for row in ERROR_BODIES.iter().chain(API_ERROR_BODIES) {
        let lab = lab();
        lab.script(FaultRule::new(*row));
        let response = match row.place {
            ErrorPlace::Backend => turn(&lab, 0, &say("x")).await,
            ErrorPlace::Token => call(&lab, Request::post("/oauth/token").body(Body::empty()).unwrap()).await,
            ErrorPlace::OpenAi => {
                call(&lab, Request::post("/v1/responses").body(Body::empty()).unwrap()).await
            }
            ErrorPlace::Anthropic => {
                call(&lab, Request::post("/v1/messages").body(Body::empty()).unwrap()).await
            }
        };
        assert_eq!(response.status().as_u16(), row.status, "{}", row.name);
        for (name, value) in row.headers {
            let value = if *value == "@DATE@" { "Fri, 15 Jan 2027 08:00:09 GMT" } else { value };
            assert_eq!(response.headers()[*name], value, "{}", row.name);
        }
        if row.place == ErrorPlace::Backend {
            assert!(response.headers().contains_key("x-codex-primary-used-percent"), "{}", row.name);
        }
        assert_eq!(bytes(response).await, row.render(NOW), "{}", row.name);
        assert_eq!(lab.stats(0).unwrap().turns, 0, "a refused turn is no turn");
    }
}

#[tokio::test]
async fn rate_limits_come_with_and_without_code() {
    let lab = lab();
    lab.script(on_turns(Fault::RateLimited429 { with_code: true, retry_after: None }).once());
    lab.script(on_turns(Fault::RateLimited429 { with_code: false, retry_after: Some(7) }).once());
    let first = turn(&lab, 0, &say("x")).await;
    assert!(!first.headers().contains_key("retry-after"));
    assert_eq!(body_json(first).await["error"]["code"], "rate_limit_exceeded");
    let second = turn(&lab, 0, &say("x")).await;
    assert_eq!((second.status().as_u16(), &second.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert!(body_json(second).await.get("error").is_none());
    assert_eq!(turn(&lab, 0, &say("x")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn refusing_and_dropping_differ_in_what_was_done() {
    let lab = lab();
    lab.script(on_turns(Fault::RefuseConnection).account(0));
    lab.script(on_turns(Fault::DropAnswer).account(1));
    for account in [0, 1] {
        let response = turn(&lab, account, &say("x")).await;
        assert!(response.extensions().get::<Abandon>().is_some());
        assert_eq!(lab.requests()[account].status, None);
    }
    assert_eq!((lab.stats(0).unwrap().turns, lab.stats(1).unwrap().turns), (0, 1));
}

#[tokio::test]
async fn streams_end_early_in_the_scripted_way() {
    let whole = events_of(&faulty(Fault::CleanEofAfterEvents(5)).await);
    assert_eq!(whole.len(), 5);
    let lab = lab();
    lab.script(on_turns(Fault::CutAfterEvents(3)));
    let response = turn(&lab, 0, &say("x")).await;
    let error = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap_err();
    assert!(error.to_string().contains("cut this stream"), "{error}");
    assert_eq!(lab.stats(0).unwrap().streams.broken, 1);
    let events = events_of(&faulty(Fault::DropCompleted).await);
    assert_eq!(kinds(&events).last(), Some(&"response.output_item.done"));
}

#[tokio::test]
async fn in_stream_failures_carry_their_codes() {
    for row in FAILED_EVENTS {
        let events = events_of(&faulty(Fault::failed(*row)).await);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["response"]["error"]["code"], row.0);
        assert_eq!(events[0]["response"]["status"], "failed");
    }
    let late = Fault::FailedEvent { code: "server_error".into(), message: "no".into(), after_events: 3 };
    let events = events_of(&faulty(late).await);
    assert_eq!((events.len(), kinds(&events)[3]), (4, "response.failed"));
    assert_eq!(events[3]["response"]["id"], events[0]["response"]["id"]);
    let error = Fault::ErrorEvent { status: 503, code: "x".into(), message: "y".into(), after_events: 2 };
    assert_eq!(events_of(&faulty(error).await)[2]["error"]["code"], "x");
    let incomplete = Fault::IncompleteEvent { reason: "max_output_tokens".into() };
    let events = events_of(&faulty(incomplete).await);
    assert_eq!(kinds(&events).last(), Some(&"response.incomplete"));
}

#[tokio::test]
async fn broken_bytes_stand_among_good_ones() {
    let stream = faulty(Fault::MalformedEventAfter(2)).await;
    let text = String::from_utf8(stream.to_vec()).unwrap();
    let broken = text.split("\n\n").filter(|event| {
        let data = event.lines().find_map(|line| line.strip_prefix("data: "));
        data.is_some_and(|data| serde_json::from_str::<Value>(data).is_err())
    });
    assert_eq!(broken.count(), 1);
    assert!(text.contains("response.completed"));
    assert!(String::from_utf8(faulty(Fault::TruncatedUtf8).await.to_vec()).is_err());
    let novelty = events_of(&faulty(Fault::UnknownEventAfter(0)).await);
    assert_eq!(novelty[0]["type"], "codex.lab_novelty");
    let dribbled = events_of(&faulty(Fault::Dribble(7)).await);
    assert_eq!(text_of(&dribbled), "tick 1 tick 2 tick 3 tick 4 ");
}

/// Long enough to see that nothing comes, short enough not to be noticed.
const A_MOMENT: Duration = Duration::from_millis(10);

#[tokio::test]
async fn stalls_hold_the_answer_back() {
    let lab = lab();
    let stalled = lab.script(on_turns(Fault::StallBeforeHeaders(Stall::For(A_MOMENT))).once());
    let started = tokio::time::Instant::now();
    turn_events(&lab, 0, &say("x")).await;
    assert!(started.elapsed() >= A_MOMENT);
    assert_eq!(lab.fired(stalled), 1);
    lab.script(on_turns(Fault::StallBeforeHeaders(Stall::Forever)).once());
    assert!(tokio::time::timeout(A_MOMENT, turn(&lab, 0, &say("x"))).await.is_err());
    lab.script(on_turns(Fault::StallAfterEvents(1)).once());
    let response = turn(&lab, 0, &say("x")).await;
    assert!(tokio::time::timeout(A_MOMENT, bytes(response)).await.is_err());
    assert_eq!(lab.stats(0).unwrap().streams.abandoned, 1);
}

#[tokio::test]
async fn slow_events_pause_before_each() {
    let lab = lab();
    lab.script(on_turns(Fault::SlowEvents(Duration::from_millis(1))).once());
    let started = tokio::time::Instant::now();
    let events = turn_events(&lab, 0, &say("stream 4 events")).await;
    assert!(started.elapsed() >= Duration::from_millis(events.len() as u64));
}

#[tokio::test]
async fn faults_that_shape_bodies_work_on_any_route() {
    let lab = lab();
    lab.script(FaultRule::new(Fault::CutAfterEvents(0)).on(Route::Usage));
    let response = get(&lab, 0, "/backend-api/wham/usage").await;
    assert!(axum::body::to_bytes(response.into_body(), usize::MAX).await.is_err());
    let body = r#"{"odd":true}"#.to_owned();
    let headers = vec![("X-Odd".to_owned(), "yes".to_owned())];
    lab.script(FaultRule::new(Fault::Raw { status: 418, body, headers }).on(Route::Models));
    let response = get(&lab, 0, "/backend-api/codex/models").await;
    assert_eq!((response.status().as_u16(), &response.headers()["x-odd"]), (418, &"yes".parse().unwrap()));
    assert_eq!(body_json(response).await["odd"], true);
}
