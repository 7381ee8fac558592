//! The official OpenAI SDKs for Python and JavaScript: chat completions and responses, with the same cases in both.
//! What only the Python one shows stands in `openai_python.rs`.

use anyhow::{Context, Result};
use gateway_lab::{Fault, FaultRule, RequestRecord, Route};
use serde_json::{Value, json};

use super::program::{Language, Program, SOME_KEY, patient_and_refused};
use super::{Rig, text};

fn sdk(language: Language) -> Program {
    Program::new("openai_sdk", language)
}

/// Every request went to an account of the pool, and nothing of the caller went along.
fn are_the_pools(turns: &[RequestRecord]) {
    for turn in turns {
        assert_eq!(turn.status, Some(200), "{}", text(&turn.body));
        assert!(turn.account.is_some(), "the lab does not know the token");
        assert!(!turn.headers.values().any(|value| text(value.as_bytes()).contains(SOME_KEY)));
        assert_eq!(turn.json()["stream"], true, "the backend only streams");
    }
}

/// The kinds of the items that went upstream.
fn kinds(turn: &RequestRecord) -> Vec<String> {
    let body = turn.json();
    let items = body["input"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["type"].as_str().unwrap_or("message").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_completions_work_in_every_way_the_sdk_has() -> Result<()> {
    for language in Language::ALL {
        let rig = Rig::start(1).await?;
        let said = sdk(language).run(&rig, &["chat_whole", "chat_stream", "chat_helper", "models"]).await?;
        let whole = &said["chat_whole"];
        assert_eq!(whole["text"], "You said: hello whole", "{language:?}: {said}");
        assert_eq!((&whole["finish"], &whole["model"]), (&json!("stop"), &json!("gpt-5.5")), "{said}");
        assert!(whole["total_tokens"].as_u64() > whole["prompt_tokens"].as_u64(), "{said}");
        let streamed = &said["chat_stream"];
        assert_eq!(streamed["text"], "You said: hello stream", "{said}");
        assert!(streamed["pieces"].as_u64() > Some(1), "the text came in one piece: {said}");
        assert_eq!(streamed["finish"], "stop");
        assert!(
            streamed["total_tokens"].as_u64() > Some(0),
            "the usage that was asked for is missing: {said}"
        );
        assert_eq!(said["chat_helper"], json!({ "text": "You said: hello helper", "finish": "stop" }));
        let ids = said["models"]["ids"].as_array().context("no models")?;
        assert!(ids.contains(&json!("gpt-5.5")), "{said}");
        assert_eq!(said["models"]["one"], "gpt-5.5");

        let turns = rig.turns();
        are_the_pools(&turns);
        assert_eq!(turns.len(), 3);
        let first = turns.first().context("no turn")?.json();
        assert!(first.to_string().contains("Be brief."), "the system message was lost: {first}");
        rig.finish().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_work_in_every_way_the_sdk_has() -> Result<()> {
    for language in Language::ALL {
        let rig = Rig::start(1).await?;
        let cases = ["responses_whole", "responses_stream", "responses_helper"];
        let said = sdk(language).run(&rig, &cases).await?;
        let whole = &said["responses_whole"];
        assert_eq!(whole["text"], "You said: hello whole", "{language:?}: {said}");
        assert_eq!((&whole["status"], &whole["model"]), (&json!("completed"), &json!("gpt-5.5")), "{said}");
        assert!(whole["total_tokens"].as_u64() > Some(0), "{said}");
        let streamed = &said["responses_stream"];
        assert_eq!(streamed["text"], "You said: hello stream", "{said}");
        let types = streamed["types"].as_array().context("no events")?;
        assert_eq!(types.first(), Some(&json!("response.created")), "{said}");
        assert_eq!(types.last(), Some(&json!("response.completed")), "{said}");
        assert_eq!(
            said["responses_helper"],
            json!({ "text": "You said: hello helper", "status": "completed" })
        );
        let turns = rig.turns();
        are_the_pools(&turns);
        assert_eq!(turns.first().map(|turn| turn.json()["instructions"].clone()), Some(json!("Be brief.")));
        rig.finish().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_goes_round_in_both_dialects() -> Result<()> {
    for language in Language::ALL {
        let rig = Rig::start(1).await?;
        let said = sdk(language).run(&rig, &["chat_tool", "responses_tool"]).await?;
        let calls = json!([{ "name": "add", "arguments": { "a": 19, "b": 23 } }]);
        for case in ["chat_tool", "responses_tool"] {
            assert_eq!(said[case]["calls"], calls, "{language:?}: {said}");
            assert_eq!(said[case]["text"], "The tool said: 42", "{language:?}: {said}");
        }
        assert_eq!(said["chat_tool"]["finish"], "tool_calls");

        let turns = rig.turns();
        are_the_pools(&turns);
        let [chat, chat_result, responses, responses_result] = &turns[..] else {
            panic!("{} turns, not 4", turns.len())
        };
        for turn in [chat, responses] {
            let tool = &turn.json()["tools"][0];
            assert_eq!((&tool["name"], &tool["strict"]), (&json!("add"), &json!(true)), "{language:?}");
            assert_eq!(tool["parameters"]["required"], json!(["a", "b"]));
        }
        // Chat has no place for the reasoning of the turn before.
        assert_eq!(kinds(chat_result), ["message", "function_call", "function_call_output"]);
        assert_eq!(
            kinds(responses_result),
            ["message", "reasoning", "function_call", "function_call_output"]
        );
        let body = chat_result.json();
        assert_eq!(body["input"][1]["call_id"], body["input"][2]["call_id"]);
        rig.finish().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_and_pictures_reach_the_model() -> Result<()> {
    for language in Language::ALL {
        let rig = Rig::start(1).await?;
        let cases = ["chat_structured", "responses_structured", "chat_image", "responses_image"];
        let said = sdk(language).run(&rig, &cases).await?;
        let turns = rig.turns();
        are_the_pools(&turns);
        let [schemas @ .., first_picture, second_picture] = &turns[..] else { panic!("too few turns") };
        for (case, turn) in cases.iter().zip(schemas) {
            assert_eq!(said[case], json!({ "name": "Altona", "tracks": 12 }), "{language:?} {case}: {said}");
            let format = &turn.json()["text"]["format"];
            assert_eq!((&format["type"], &format["strict"]), (&json!("json_schema"), &json!(true)), "{case}");
            assert_eq!(format["schema"]["required"], json!(["name", "tracks"]), "{case}: {format}");
        }
        for (case, turn) in cases.iter().skip(2).zip([first_picture, second_picture]) {
            assert_eq!(said[case]["text"], "You said: hello picture", "{language:?} {case}: {said}");
            let picture = &turn.json()["input"][0]["content"][0];
            assert_eq!(picture["type"], "input_image", "{case}");
            assert_eq!((&picture["image_url"], &picture["detail"]), (&said[case]["picture"], &json!("low")));
        }
        rig.finish().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_raise_the_sdks_own_errors() -> Result<()> {
    let rig = Rig::start(1).await?;
    for language in Language::ALL {
        let said = sdk(language).run(&rig, &["unknown_model", "bad_request"]).await?;
        let [unknown, bad] = [&said["unknown_model"], &said["bad_request"]];
        assert_eq!((&unknown["class"], &unknown["status"]), (&json!("NotFoundError"), &json!(404)), "{said}");
        assert_eq!(unknown["code"], "model_not_found", "{said}");
        assert!(unknown["message"].as_str().is_some_and(|told| told.contains("no-such-model")), "{said}");
        assert_eq!((&bad["class"], &bad["status"]), (&json!("BadRequestError"), &json!(400)), "{said}");
        assert_eq!((&bad["type"], &bad["param"]), (&json!("invalid_request_error"), &json!("messages")));

        let stranger = sdk(language).with_key(concat!("sk-sy", "-nobody-has-this"));
        let said = stranger.case(&rig, "refused").await?;
        assert_eq!((&said["class"], &said["status"]), (&json!("AuthenticationError"), &json!(401)), "{said}");
        assert_eq!(said["code"], "invalid_api_key", "{said}");
    }
    // Only the upstream knows which models its account has.
    let foreign = |turn: &RequestRecord| turn.json()["model"] != "no-such-model";
    assert!(!rig.turns().iter().any(foreign), "a mistake was sent on");
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_pool_says_how_long_and_a_short_wait_is_waited() -> Result<()> {
    for language in Language::ALL {
        patient_and_refused(sdk(language)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_answer_is_never_taken_for_a_whole_one() -> Result<()> {
    for language in Language::ALL {
        for fault in [Fault::CutAfterEvents(20), Fault::CleanEofAfterEvents(20)] {
            let rig = Rig::start(1).await?;
            rig.lab.script(FaultRule::new(fault.clone()).on(Route::Responses));
            let said = sdk(language).run(&rig, &["cut_chat", "cut_responses", "cut_whole"]).await?;
            let case = format!("{language:?} {fault:?}: {said}");
            let chat = &said["cut_chat"];
            assert_eq!(
                (&chat["class"], &chat["code"]),
                (&json!("APIError"), &json!("stream_incomplete")),
                "{case}"
            );
            assert!(chat["got"].as_u64().is_some_and(|got| got > 0 && got < 40), "{case}");
            judge_cut_responses(language, &said["cut_responses"], &case);
            assert_eq!(said["cut_whole"]["class"], "InternalServerError", "{case}");
            rig.finish().await?;
        }
    }
    Ok(())
}

/// The Python accumulator raises; of JavaScript the raw events are looked at.
fn judge_cut_responses(language: Language, said: &Value, case: &str) {
    match language {
        Language::Python => assert!(said["raised"].is_string(), "{case}"),
        Language::JavaScript => {
            let last = said["types"].as_array().and_then(|types| types.last());
            assert_eq!(last, Some(&json!("response.failed")), "{case}");
            assert_eq!(said["code"], "stream_incomplete", "{case}");
        }
    }
}
