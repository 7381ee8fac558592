//! Turns that go well, and what they leave behind.

use super::*;
use crate::CompletedOutput;

#[tokio::test]
async fn a_turn_streams_the_whole_sequence() {
    let lab = lab();
    let response = turn(&lab, 0, &say("hello there")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(headers["openai-model"], "gpt-5.5");
    assert_eq!(headers["x-codex-plan-type"], "plus");
    assert_eq!(headers["x-codex-primary-used-percent"], "0.5");
    assert_eq!(headers["x-codex-primary-reset-at"], (NOW + 18_000).to_string().as_str());
    assert_eq!(headers["x-codex-secondary-window-minutes"], "10080");
    for name in ["x-request-id", "x-codex-turn-state", "x-models-etag", "x-codex-credits-balance"] {
        assert!(headers.contains_key(name), "{name}");
    }
    let events = events_of(&bytes(response).await);
    assert_eq!(kinds(&events)[..2], ["response.created", "response.in_progress"]);
    assert_eq!(kinds(&events).last(), Some(&"response.completed"));
    assert_eq!(text_of(&events), "You said: hello there");
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["output"][1]["content"][0]["text"], "You said: hello there");
    assert_eq!(last["output"].as_array().unwrap().len(), 2);
    assert!(last["output"][0].get("encrypted_content").is_none(), "nobody asked for it");
    let stats = lab.stats(0).unwrap();
    assert_eq!((stats.requests, stats.turns, stats.streams.completed, stats.streams.open), (1, 1, 1, 0));
    assert!(stats.input_tokens > 20 && stats.output_tokens > 16);
    assert_eq!(lab.stats(1).unwrap().turns, 0);
}

#[tokio::test]
async fn encrypted_reasoning_comes_on_request_and_is_bound_when_configured() {
    let lab = Lab::new(LabConfig { bind_encrypted_content: true, ..config() });
    let mut body = say("think");
    body["include"] = json!(["reasoning.encrypted_content"]);
    let events = turn_events(&lab, 0, &body).await;
    let item = events.last().unwrap()["response"]["output"][0].clone();
    assert!(item["encrypted_content"].as_str().unwrap().len() > 10);
    body["input"].as_array_mut().unwrap().insert(0, item);
    assert_eq!(turn(&lab, 0, &body).await.status(), StatusCode::OK);
    let foreign = turn(&lab, 1, &body).await;
    assert_eq!(foreign.status(), StatusCode::BAD_REQUEST);
    assert_eq!(body_json(foreign).await["error"]["code"], "invalid_encrypted_content");
    assert_eq!(lab.stats(1).unwrap().refused, 1);
}

#[tokio::test]
async fn a_tool_call_and_its_output_go_round() {
    let lab = lab();
    let mut body = say("use the shell: echo hi");
    body["tools"] = json!([{"type": "function", "name": "exec_command", "parameters": {}}]);
    let events = turn_events(&lab, 0, &body).await;
    let call = events.last().unwrap()["response"]["output"][1].clone();
    assert_eq!(call["type"], "function_call");
    assert_eq!(call["arguments"], r#"{"cmd":"echo hi"}"#);
    assert!(kinds(&events).contains(&"response.function_call_arguments.done"));
    let input = body["input"].as_array_mut().unwrap();
    input.push(call.clone());
    input.push(json!({"type": "function_call_output", "call_id": call["call_id"], "output": "hi\n"}));
    assert_eq!(text_of(&turn_events(&lab, 1, &body).await), "The tool said: hi\n");
}

#[tokio::test]
async fn the_prompt_cache_lives_on_the_account() {
    let lab = lab();
    let mut body = say("the same prompt again");
    body["prompt_cache_key"] = json!("thread-1");
    let cached = async |account: usize| {
        let events = turn_events(&lab, account, &body).await;
        let usage = events.last().unwrap()["response"]["usage"].clone();
        assert_eq!(
            usage["total_tokens"].as_u64().unwrap(),
            usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap()
        );
        usage["input_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(cached(0).await, 0);
    assert!(cached(0).await > 0);
    assert_eq!(cached(1).await, 0);
}

#[tokio::test]
async fn switches_change_the_stream() {
    let switched = LabConfig {
        completed_output: CompletedOutput::Empty,
        reasoning: false,
        rate_limits_event: true,
        ..config()
    };
    let lab = Lab::new(switched);
    let mut body = say("x");
    body["service_tier"] = json!("priority");
    let events = turn_events(&lab, 0, &body).await;
    assert_eq!(events[0]["type"], "codex.rate_limits");
    assert_eq!(events[0]["rate_limits"]["primary"]["used_percent"], 0.5);
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["output"], json!([]));
    assert_eq!(last["service_tier"], "priority");
    assert_eq!(last["usage"]["output_tokens_details"]["reasoning_tokens"], 0);
    assert!(!events.iter().any(|event| event["item"]["type"] == "reasoning"));
}

#[tokio::test]
async fn windows_fill_refuse_and_reset_with_the_clock() {
    let lab = lab();
    lab.set_window(0, 0, 99.8);
    assert_eq!(turn(&lab, 0, &say("last one")).await.status(), StatusCode::OK);
    let limited = turn(&lab, 0, &say("too many")).await;
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.headers()["x-codex-primary-used-percent"], "100");
    let error = body_json(limited).await["error"].clone();
    assert_eq!(error["type"], "usage_limit_reached");
    assert_eq!(error["resets_at"], NOW + 18_000);
    assert_eq!(error["resets_in_seconds"], 18_000);
    assert_eq!(
        body_json(get(&lab, 0, "/backend-api/wham/usage").await).await["rate_limit"]["allowed"],
        false
    );
    assert_eq!(turn(&lab, 1, &say("other account")).await.status(), StatusCode::OK);
    lab.advance(Duration::from_secs(18_000));
    let again = turn(&lab, 0, &say("fresh window")).await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(again.headers()["x-codex-primary-used-percent"], "0.5");
    let stats = lab.stats(0).unwrap();
    assert_eq!((stats.limited, stats.turns), (1, 2));
}

#[tokio::test]
async fn a_turn_state_of_another_account_is_noticed() {
    let lab = lab();
    let first = turn(&lab, 0, &say("x")).await;
    let state = first.headers()["x-codex-turn-state"].clone();
    let with_state = |account: usize| {
        let mut request = turn_request(&lab, account, &say("y"));
        request.headers_mut().insert("x-codex-turn-state", state.clone());
        request
    };
    let same = call(&lab, with_state(0)).await;
    assert_eq!(same.headers()["x-codex-turn-state"], state);
    let other = call(&lab, with_state(1)).await;
    assert_ne!(other.headers()["x-codex-turn-state"], state);
    assert_eq!(lab.stats(0).unwrap().foreign_turn_states, 0);
    assert_eq!(lab.stats(1).unwrap().foreign_turn_states, 1);
}

#[tokio::test]
async fn an_abandoned_stream_is_counted_as_such() {
    let lab = lab();
    let response = turn(&lab, 0, &say("stream 3 events pause 60000 ms")).await;
    assert_eq!(lab.stats(0).unwrap().streams.open, 1);
    drop(response);
    let streams = lab.stats(0).unwrap().streams;
    assert_eq!((streams.open, streams.abandoned, streams.completed), (0, 1, 0));
}

#[tokio::test]
async fn paced_streams_take_their_time() {
    let lab = lab();
    let started = tokio::time::Instant::now();
    let events = turn_events(&lab, 0, &say("stream 8 events pause 2 ms")).await;
    assert_eq!(kinds(&events).iter().filter(|kind| **kind == "response.output_text.delta").count(), 8);
    assert!(started.elapsed() >= Duration::from_millis(16));
}

#[tokio::test]
async fn the_canned_path_answers_with_the_same_shapes() {
    let lab = Lab::new(LabConfig { canned_bench: true, request_log: 0, ..config() });
    let response = turn(&lab, 1, &say("anything")).await;
    assert_eq!(response.headers()["x-codex-plan-type"], "pro");
    let events = events_of(&bytes(response).await);
    assert_eq!(kinds(&events).last(), Some(&"response.completed"));
    let many = turn_events(&lab, 1, &say("stream 64 events")).await;
    assert_eq!(kinds(&many).iter().filter(|kind| **kind == "response.output_text.delta").count(), 64);
    let normal = turn_events(&Lab::new(LabConfig { reasoning: false, ..config() }), 1, &say("x")).await;
    let unique = |events: &[Value]| -> Vec<String> {
        let mut kinds: Vec<String> = kinds(events).into_iter().map(str::to_owned).collect();
        kinds.dedup();
        kinds
    };
    assert_eq!(unique(&events), unique(&normal));
    assert!(lab.requests().is_empty());
    assert_eq!(lab.stats(1).unwrap().turns, 2);
    let stranger = Request::post("/backend-api/codex/responses").body(Body::empty()).unwrap();
    assert_eq!(call(&lab, stranger).await.status(), StatusCode::UNAUTHORIZED);
}
