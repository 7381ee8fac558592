//! The APIs that take keys, as SDKs meet them.

use super::*;
use crate::{ANTHROPIC_KEY, API_ERROR_BODIES, Fault, FaultRule, LabApi, OPENAI_KEY, Route};

fn post(path: &str, headers: &[(&str, &str)], body: &Value) -> Request<Body> {
    let mut request = Request::post(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_string())).unwrap()
}

async fn openai(lab: &Lab, path: &str, body: &Value) -> Response<Body> {
    call(lab, post(path, &[("authorization", &format!("Bearer {OPENAI_KEY}"))], body)).await
}

async fn anthropic(lab: &Lab, path: &str, body: &Value) -> Response<Body> {
    call(lab, post(path, &[("x-api-key", ANTHROPIC_KEY), ("anthropic-version", "2023-06-01")], body)).await
}

fn chat(text: &str, stream: bool) -> Value {
    json!({"model": "gpt-5.5", "stream": stream, "messages": [{"role": "user", "content": text}]})
}

fn message(text: &str, stream: bool) -> Value {
    json!({"model": "claude-lab-sonnet", "max_tokens": 64, "stream": stream,
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]})
}

/// The data of each event; `[DONE]` stays text.
fn chunks(stream: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stream).unwrap();
    let data =
        text.split("\n\n").filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data))).collect()
}

#[tokio::test]
async fn responses_come_whole_or_as_events() {
    let lab = lab();
    let whole = openai(&lab, "/v1/responses", &json!({"model": "gpt-5.5", "input": "hello"})).await;
    let whole = body_json(whole).await;
    assert_eq!((&whole["object"], &whole["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(whole["output"][0]["content"][0]["text"], "You said: hello");
    assert!(whole["usage"]["input_tokens"].as_u64().unwrap() > 0);
    let mut body = say("stream 3 events");
    body["temperature"] = json!(0.2);
    let stream = openai(&lab, "/v1/responses", &body).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream; charset=utf-8");
    let events = events_of(&bytes(stream).await);
    assert_eq!(kinds(&events).last(), Some(&"response.completed"));
    assert_eq!(text_of(&events), "tick 1 tick 2 tick 3 ");
}

#[tokio::test]
async fn chat_comes_whole_or_as_chunks() {
    let lab = lab();
    let whole = body_json(openai(&lab, "/v1/chat/completions", &chat("hi", false)).await).await;
    assert_eq!(whole["object"], "chat.completion");
    assert_eq!(whole["choices"][0]["message"]["content"], "You said: hi");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    let mut body = chat("stream 2 events", true);
    body["stream_options"] = json!({"include_usage": true});
    let found = chunks(&bytes(openai(&lab, "/v1/chat/completions", &body).await).await);
    assert_eq!(found.first().unwrap()["choices"][0]["delta"]["role"], "assistant");
    let text: String =
        found.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "tick 1 tick 2 ");
    let [.., finish, usage, done] = &found[..] else { panic!("{found:?}") };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert!(usage["usage"]["total_tokens"].as_u64().unwrap() > 0 && usage["choices"] == json!([]));
    assert_eq!(*done, json!("[DONE]"));
    let without = chunks(&bytes(openai(&lab, "/v1/chat/completions", &chat("x", true)).await).await);
    assert!(without.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn messages_come_whole_or_as_events() {
    let lab = lab();
    let whole = body_json(anthropic(&lab, "/v1/messages", &message("hi", false)).await).await;
    assert_eq!((&whole["type"], &whole["stop_reason"]), (&json!("message"), &json!("end_turn")));
    assert_eq!(whole["content"], json!([{"type": "text", "text": "You said: hi"}]));
    let stream = anthropic(&lab, "/v1/messages", &message("stream 2 events", true)).await;
    assert!(stream.headers().contains_key("request-id"));
    let events = events_of(&bytes(stream).await);
    assert_eq!(
        kinds(&events),
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    let counted = anthropic(&lab, "/v1/messages/count_tokens", &message("hi", false)).await;
    assert!(body_json(counted).await["input_tokens"].as_u64().unwrap() > 10);
}

#[tokio::test]
async fn tools_are_called_and_their_output_is_quoted_in_every_dialect() {
    let lab = lab();
    let mut body = chat(r#"call add {"a": 1}"#, true);
    body["tools"] = json!([{"type": "function", "function": {"name": "add", "parameters": {}}}]);
    let whole = {
        let mut body = body.clone();
        body["stream"] = json!(false);
        body_json(openai(&lab, "/v1/chat/completions", &body).await).await
    };
    let called = &whole["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(called["function"], json!({"name": "add", "arguments": r#"{"a":1}"#}));
    let found = chunks(&bytes(openai(&lab, "/v1/chat/completions", &body).await).await);
    assert!(found.iter().any(|chunk| chunk["choices"][0]["finish_reason"] == "tool_calls"));
    body["messages"] = json!([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": []},
        {"role": "tool", "tool_call_id": "call_1", "content": "two"}]);
    let stream = bytes(openai(&lab, "/v1/chat/completions", &body).await).await;
    assert!(String::from_utf8_lossy(&stream).contains("The "));

    let mut body = message(r#"call add {"a": 1}"#, false);
    body["tools"] = json!([{"name": "add", "input_schema": {}}]);
    let whole = body_json(anthropic(&lab, "/v1/messages", &body).await).await;
    assert_eq!(
        (&whole["content"][0]["input"], &whole["stop_reason"]),
        (&json!({"a": 1}), &json!("tool_use"))
    );
    body["stream"] = json!(true);
    let events = events_of(&bytes(anthropic(&lab, "/v1/messages", &body).await).await);
    let input: String = events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(input, r#"{"a":1}"#);
    body["stream"] = json!(false);
    body["messages"] = json!([{"role": "user", "content": [{"type": "text", "text": "before"},
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "two"}]}]}]);
    let whole = body_json(anthropic(&lab, "/v1/messages", &body).await).await;
    assert_eq!(whole["content"][0]["text"], "The tool said: two");
}

#[tokio::test]
async fn keys_are_checked_where_each_api_looks() {
    let lab = lab();
    for (path, headers, status) in [
        ("/v1/responses", &[][..], 401),
        ("/v1/responses", &[("authorization", "Bearer wrong")][..], 401),
        ("/v1/chat/completions", &[("x-api-key", ANTHROPIC_KEY)][..], 401),
        ("/v1/messages", &[][..], 401),
        ("/v1/messages", &[("x-api-key", OPENAI_KEY)][..], 401),
        ("/v1/messages", &[("x-api-key", ANTHROPIC_KEY)][..], 400),
        ("/v1/messages", &[("authorization", "Bearer sk-lab-openai")][..], 400),
    ] {
        let response = call(&lab, post(path, headers, &json!({}))).await;
        assert_eq!(response.status().as_u16(), status, "{path} {headers:?}");
        assert!(body_json(response).await["error"].is_object());
    }
    let open = Lab::new(LabConfig { api: LabApi { openai_keys: vec![], ..LabApi::default() }, ..config() });
    assert_eq!(call(&open, post("/v1/chat/completions", &[], &chat("x", false))).await.status(), 200);
}

#[tokio::test]
async fn wrong_requests_and_unknown_models_are_refused() {
    let lab = lab();
    let no_model = json!({"messages": [{"role": "user", "content": "x"}]});
    assert_eq!(openai(&lab, "/v1/chat/completions", &no_model).await.status(), 400);
    assert_eq!(openai(&lab, "/v1/chat/completions", &json!({"model": "gpt-5.5"})).await.status(), 400);
    let unknown = json!({"model": "gpt-nope", "input": "x"});
    let refused = openai(&lab, "/v1/responses", &unknown).await;
    assert_eq!(body_json(refused).await["error"]["code"], "model_not_found");
    let mut body = message("x", false);
    body["max_tokens"] = Value::Null;
    assert_eq!(anthropic(&lab, "/v1/messages", &body).await.status(), 400);
    body["model"] = json!("claude-nope");
    let refused = anthropic(&lab, "/v1/messages", &body).await;
    assert_eq!(body_json(refused).await["error"]["type"], "not_found_error");
}

#[tokio::test]
async fn what_is_switched_off_is_not_there() {
    let off =
        LabApi { responses: false, chat: false, messages: false, lists_models: false, ..LabApi::default() };
    let lab = Lab::new(LabConfig { api: off, ..config() });
    assert_eq!(openai(&lab, "/v1/responses", &json!({})).await.status(), 404);
    assert_eq!(openai(&lab, "/v1/chat/completions", &json!({})).await.status(), 404);
    assert_eq!(anthropic(&lab, "/v1/messages", &json!({})).await.status(), 404);
    assert_eq!(call(&lab, Request::get("/v1/models").body(Body::empty()).unwrap()).await.status(), 404);
}

#[tokio::test]
async fn models_are_listed_in_the_shape_of_whoever_asks() {
    let lab = lab();
    let list = async |headers: &[(&str, &str)]| {
        let mut request = Request::get("/v1/models");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        body_json(call(&lab, request.body(Body::empty()).unwrap()).await).await
    };
    let bearer = format!("Bearer {OPENAI_KEY}");
    let openai = list(&[("authorization", &bearer)]).await;
    assert_eq!((&openai["object"], &openai["data"][0]["id"]), (&json!("list"), &json!("gpt-5.5")));
    let claude = list(&[("x-api-key", ANTHROPIC_KEY), ("anthropic-version", "2023-06-01")]).await;
    assert_eq!(claude["data"][0]["type"], "model");
}

#[tokio::test]
async fn faults_speak_the_dialect_of_their_stream() {
    let cases: [(Route, Fault, &str); 8] = [
        (
            Route::ApiChat,
            Fault::ErrorEvent { status: 500, code: "boom".into(), message: "m".into(), after_events: 1 },
            r#"data: {"error":{"code":"boom""#,
        ),
        (
            Route::ApiChat,
            Fault::IncompleteEvent { reason: "max_output_tokens".into() },
            r#""finish_reason":"length""#,
        ),
        (Route::ApiChat, Fault::MalformedEventAfter(1), "\"choices\":[\n\n"),
        (Route::ApiChat, Fault::UnknownEventAfter(1), "lab.novelty"),
        (
            Route::ApiMessages,
            Fault::failed(("overloaded_error", "Overloaded")),
            "event: error\ndata: {\"error\":{\"message\":\"Overloaded\",\"type\":\"overloaded_error\"},\"type\":\"error\"}",
        ),
        (
            Route::ApiMessages,
            Fault::IncompleteEvent { reason: "max_output_tokens".into() },
            r#""stop_reason":"max_tokens""#,
        ),
        (Route::ApiMessages, Fault::UnknownEventAfter(2), "event: lab_novelty"),
        (Route::ApiResponses, Fault::failed(("server_error", "m")), "event: response.failed"),
    ];
    for (route, fault, expected) in cases {
        let lab = lab();
        let rule = lab.script(FaultRule::new(fault.clone()).on(route));
        let response = match route {
            Route::ApiChat => openai(&lab, "/v1/chat/completions", &chat("hi", true)).await,
            Route::ApiMessages => anthropic(&lab, "/v1/messages", &message("hi", true)).await,
            _ => openai(&lab, "/v1/responses", &say("hi")).await,
        };
        let stream = bytes(response).await;
        let text = String::from_utf8_lossy(&stream);
        assert!(text.contains(expected), "{fault:?}: {text}");
        assert_eq!(lab.fired(rule), 1);
    }
    let lab = lab();
    lab.script(FaultRule::new(Fault::TruncatedUtf8).on(Route::ApiChat));
    let stream = bytes(openai(&lab, "/v1/chat/completions", &chat("hi", true)).await).await;
    assert!(std::str::from_utf8(&stream).is_err());
    lab.clear_faults();
    lab.script(FaultRule::new(Fault::DropCompleted).on(Route::ApiChat));
    let stream = bytes(openai(&lab, "/v1/chat/completions", &chat("hi", true)).await).await;
    assert!(!String::from_utf8_lossy(&stream).contains("[DONE]"));
}

#[tokio::test]
async fn every_error_of_the_apis_can_be_named_in_json() {
    let lab = lab();
    for row in API_ERROR_BODIES {
        let rule: FaultRule = serde_json::from_value(
            json!({"route": "api_responses", "times": 1, "fault": {"status": {"body": row.name}}}),
        )
        .unwrap();
        lab.script(rule);
        let response = openai(&lab, "/v1/responses", &json!({"model": "gpt-5.5", "input": "x"})).await;
        assert_eq!(response.status().as_u16(), row.status, "{}", row.name);
    }
}
