//! The official OpenAI SDK for Python. `sdk.py` is the user's program, what it prints is judged here.

use anyhow::{Context, Result, ensure};
use gateway_lab::{ErrorBody, Fault, FaultRule, Route};
use serde_json::{Value, json};
use switchyard_tests::repository;
use tokio::process::Command;

use super::{Rig, installed, run, text};

/// A key that is none of ours: callers on this machine need none.
const SOME_KEY: &str = "sk-anything";

/// Runs a case of `sdk.py` and reads what it printed.
async fn sdk(rig: &Rig, case: &str) -> Result<Value> {
    sdk_with(rig, case, SOME_KEY).await
}

async fn sdk_with(rig: &Rig, case: &str, key: &str) -> Result<Value> {
    let mut command = Command::new(installed("venv/bin/python")?);
    command
        .arg(repository().join("tests/suite/clients/sdk.py"))
        .arg(case)
        .env("OPENAI_BASE_URL", format!("{}/v1", rig.gateway.url))
        .env("OPENAI_API_KEY", key)
        .env("NO_PROXY", "127.0.0.1");
    let output = run(command).await?;
    ensure!(output.status.success(), "sdk.py {case}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).with_context(|| format!("sdk.py {case}: {}", text(&output.stdout)))
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn streamed_turns_arrive_event_by_event() -> Result<()> {
    let rig = Rig::start(2).await?;
    let said = sdk(&rig, "stream").await?;
    assert_eq!(said["text"], "You said: hello stream");
    assert_eq!(said["final"], "You said: hello stream");
    let types = strings(&said["types"]);
    assert_eq!(types.first(), Some(&"response.created"));
    assert_eq!(types.last(), Some(&"response.completed"));
    let deltas = types.iter().filter(|kind| **kind == "response.output_text.delta").count();
    assert!(deltas > 1, "the text came in one piece: {types:?}");
    assert!(said["usage"]["output_tokens"].as_u64() > Some(0), "{said}");

    let said = sdk(&rig, "helper").await?;
    assert_eq!((&said["final"], &said["status"]), (&json!("You said: hello helper"), &json!("completed")));

    for turn in rig.turns() {
        assert_eq!(turn.status, Some(200));
        assert!(turn.account.is_some());
        assert!(!text(turn.header("authorization").unwrap_or_default().as_bytes()).contains(SOME_KEY));
        // The SDK is no Codex: the gateway names itself, and the body keeps the backend's rules.
        assert!(turn.header("user-agent").is_some_and(|agent| agent.starts_with("switchyard/")));
        assert_eq!(turn.json()["store"], false);
        assert_eq!(turn.json()["stream"], true);
    }
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_without_a_stream_comes_as_one_object() -> Result<()> {
    let rig = Rig::start(1).await?;
    let said = sdk(&rig, "whole").await?;
    assert_eq!(said["text"], "You said: hello whole");
    assert_eq!((&said["status"], &said["model"]), (&json!("completed"), &json!("gpt-5.5")));
    assert!(strings(&said["output"]).contains(&"message"), "{said}");
    assert!(said["usage"]["total_tokens"].as_u64() > Some(0), "{said}");
    let turns = rig.turns();
    assert_eq!(turns.first().map(|turn| turn.json()["instructions"].clone()), Some(json!("Be brief.")));
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_and_the_conversation_after_it_carry_their_history() -> Result<()> {
    let rig = Rig::start(1).await?;
    let said = sdk(&rig, "tool").await?;
    assert_eq!(said["calls"], json!([{ "name": "add", "arguments": { "a": 19, "b": 23 } }]));
    assert_eq!(said["second"], "The tool said: 42");
    assert_eq!(said["third"], "You said: thank you");
    let turns = rig.turns();
    let [first, second, third] = &turns[..] else { panic!("{} turns, not 3", turns.len()) };
    assert_eq!(first.json()["tools"][0]["name"], "add");
    let kinds = |turn: &gateway_lab::RequestRecord| -> Vec<String> {
        let body = turn.json();
        let items = body["input"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["type"].as_str().unwrap_or("message").to_owned()).collect()
    };
    assert_eq!(kinds(second), ["message", "reasoning", "function_call", "function_call_output"]);
    assert_eq!(third.json()["input"][2]["name"], "add");
    assert!(kinds(third).len() > kinds(second).len(), "the history was cut");
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_are_listed() -> Result<()> {
    let rig = Rig::start(1).await?;
    let said = sdk(&rig, "models").await?;
    assert!(strings(&said["ids"]).contains(&"gpt-5.5"), "{said}");
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_raise_the_sdks_own_errors() -> Result<()> {
    let rig = Rig::start(1).await?;
    let said = sdk(&rig, "unknown_model").await?;
    assert_eq!((&said["class"], &said["status"]), (&json!("NotFoundError"), &json!(404)), "{said}");
    assert!(said["message"].as_str().is_some_and(|message| message.contains("no-such-model")), "{said}");
    assert!(said["request_id"].is_string(), "{said}");

    let said = sdk(&rig, "bad_request").await?;
    assert_eq!((&said["class"], &said["status"]), (&json!("BadRequestError"), &json!(400)), "{said}");
    assert_eq!((&said["param"], &said["type"]), (&json!("input"), &json!("invalid_request_error")), "{said}");

    let said = sdk(&rig, "unknown_route").await?;
    assert_eq!((&said["class"], &said["status"]), (&json!("NotFoundError"), &json!(404)), "{said}");

    let said = sdk_with(&rig, "refused", "sk-sy-nobody-has-this").await?;
    assert_eq!((&said["class"], &said["status"]), (&json!("AuthenticationError"), &json!(401)), "{said}");
    assert_eq!(said["code"], "invalid_api_key");
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_pool_raises_a_rate_limit_that_says_how_long() -> Result<()> {
    let rig = Rig::start(2).await?;
    let limit = ErrorBody::named("usage_limit_reached").context("the lab lost a row")?;
    rig.lab.script(FaultRule::new(limit).on(Route::Responses));
    let said = sdk(&rig, "refused").await?;
    assert_eq!((&said["class"], &said["status"]), (&json!("RateLimitError"), &json!(429)), "{said}");
    let wait: u64 = said["retry_after"].as_str().context("no retry-after")?.parse()?;
    assert!((3_500..=3_600).contains(&wait), "the reset is an hour away, not {wait} s");
    assert_eq!(rig.turns().len(), 2, "every account is asked once");
    assert!(said["message"].as_str().is_some_and(|message| message.contains("all accounts")), "{said}");
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_waits_as_long_as_it_is_told_and_then_succeeds() -> Result<()> {
    let rig = Rig::start(1).await?;
    let limit = Fault::RateLimited429 { with_code: true, retry_after: Some(2) };
    rig.lab.script(FaultRule::new(limit).on(Route::Responses).once());
    let said = sdk(&rig, "patient").await?;
    assert_eq!(said["text"], "You said: hello patience");
    // Without the header it would ask again after half a second, and be refused.
    assert!(said["seconds"].as_f64() >= Some(2.0), "{said}");
    assert_eq!(rig.turns().len(), 2, "{:?}", rig.turns());
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_stream_is_not_taken_for_an_answer() -> Result<()> {
    let rig = Rig::start(2).await?;
    rig.lab.script(FaultRule::new(Fault::CutAfterEvents(8)).on(Route::Responses).once());
    let said = sdk(&rig, "broken_stream").await?;
    assert_eq!(strings(&said["types"]).last(), Some(&"response.failed"), "{said}");
    assert_eq!(said["code"], "stream_incomplete", "{said}");
    assert_eq!(rig.turns().len(), 1, "a stream that had begun was asked for again");
    rig.finish().await
}
