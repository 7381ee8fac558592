//! The official Anthropic SDKs for Python and JavaScript, with the same cases in both: over an account of ChatGPT, which
//! speaks another dialect, and over one of Anthropic, where the bytes pass.

use anyhow::{Context, Result};
use gateway_lab::{ANTHROPIC_KEY, Fault, FaultRule, RequestRecord, Route};
use serde_json::{Value, json};

use super::program::{Language, Program, SOME_KEY, patient_and_refused};
use super::{Rig, text};

const CLAUDE: &str = "claude-lab-sonnet";

fn sdk(language: Language) -> Program {
    Program::new("anthropic_sdk", language)
}

/// What every case has to print, whoever serves it.
fn judge(said: &Value, model: &str, case: &str) {
    let whole = &said["whole"];
    assert_eq!(whole["text"], "You said: hello whole", "{case}");
    assert_eq!((&whole["stop"], &whole["model"]), (&json!("end_turn"), &json!(model)), "{case}");
    assert!(whole["input_tokens"].as_u64() > Some(0) && whole["output_tokens"].as_u64() > Some(0), "{case}");
    let types = said["stream"]["types"].as_array().cloned().unwrap_or_default();
    assert_eq!(said["stream"]["text"], "You said: hello stream", "{case}");
    assert_eq!(types.first(), Some(&json!("message_start")), "{case}");
    assert_eq!(types.last(), Some(&json!("message_stop")), "{case}");
    assert_eq!(said["helper"]["text"], "You said: hello helper", "{case}");
    assert!(said["helper"]["pieces"].as_u64() > Some(1), "the text came in one piece: {case}");
    assert_eq!(said["helper"]["stop"], "end_turn", "{case}");
    let calls = json!([{ "name": "add", "arguments": { "a": 19, "b": 23 } }]);
    assert_eq!((&said["tool"]["calls"], &said["tool"]["stop"]), (&calls, &json!("tool_use")), "{case}");
    assert_eq!(said["tool"]["text"], "The tool said: 42", "{case}");
    let [short, long] = ["short", "long"].map(|which| said["count"][which].as_u64().unwrap_or_default());
    assert!(short > 0 && long > short + 300, "{case}");
    let ids = said["models"]["ids"].as_array().cloned().unwrap_or_default();
    assert!(ids.contains(&json!(model)), "{case}");
}

const CASES: [&str; 6] = ["whole", "stream", "helper", "tool", "count", "models"];

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_served_by_an_account_of_another_dialect() -> Result<()> {
    for language in Language::ALL {
        let rig = Rig::start(1).await?;
        let cases = [&CASES[..], &["structured", "image"]].concat();
        let said = sdk(language).run(&rig, &cases).await?;
        judge(&said, "gpt-5.5", &format!("{language:?}: {said}"));
        assert_eq!(said["structured"], json!({ "name": "Altona", "tracks": 12 }));
        assert_eq!(said["image"]["text"], "You said: hello picture");

        let turns = rig.turns();
        let [whole, .., result, structured, image] = &turns[..] else { panic!("too few turns") };
        for turn in &turns {
            assert!(turn.account.is_some(), "the lab does not know the token");
            assert!(!turn.headers.values().any(|value| text(value.as_bytes()).contains(SOME_KEY)));
        }
        assert_eq!(whole.json()["instructions"], "Be brief.");
        let items = result.json()["input"].as_array().cloned().unwrap_or_default();
        let kinds: Vec<_> = items.iter().map(|item| item["type"].as_str().unwrap_or("message")).collect();
        // The thinking came back with its seal, and belongs to this upstream.
        assert_eq!(kinds, ["message", "reasoning", "function_call", "function_call_output"], "{language:?}");
        assert_eq!(structured.json()["text"]["format"]["schema"]["required"], json!(["name", "tracks"]));
        let picture = &image.json()["input"][0]["content"][0]["image_url"];
        let data = said["image"]["picture"].as_str().context("no picture")?;
        assert_eq!(picture.as_str(), Some(&*format!("data:image/png;base64,{data}")));
        rig.finish().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_pass_to_an_account_of_their_own_dialect() -> Result<()> {
    let rig = Rig::start_with_anthropic().await?;
    for language in Language::ALL {
        let said = sdk(language).asking(CLAUDE).run(&rig, &CASES).await?;
        judge(&said, CLAUDE, &format!("{language:?}: {said}"));
    }
    let turns = rig.requests_on(Route::ApiMessages);
    assert_eq!(turns.len(), 10);
    for turn in &turns {
        assert_eq!(turn.status, Some(200));
        assert_eq!(turn.header("x-api-key"), Some(ANTHROPIC_KEY));
        assert!(turn.header("authorization").is_none(), "the caller's bearer went upstream");
        assert!(turn.header("anthropic-version").is_some());
    }
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_raise_the_sdks_own_errors() -> Result<()> {
    let rig = Rig::start(1).await?;
    for language in Language::ALL {
        let said = sdk(language).run(&rig, &["unknown_model", "bad_request"]).await?;
        let stranger = sdk(language).with_key(concat!("sk-sy", "-nobody-has-this"));
        let refused = stranger.case(&rig, "refused").await?;
        for (told, class, status, kind) in [
            (&said["unknown_model"], "NotFoundError", 404, "not_found_error"),
            (&said["bad_request"], "BadRequestError", 400, "invalid_request_error"),
            (&refused, "AuthenticationError", 401, "authentication_error"),
        ] {
            assert_eq!((&told["class"], &told["status"]), (&json!(class), &json!(status)), "{told}");
            assert_eq!(told["type"], kind, "{told}");
        }
    }
    let foreign = |turn: &RequestRecord| turn.json()["model"] != "no-such-model";
    assert!(!rig.turns().iter().any(foreign), "a mistake was sent on");
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_pool_says_how_long_and_a_short_wait_is_waited() -> Result<()> {
    for language in Language::ALL {
        let refused = patient_and_refused(sdk(language)).await?;
        assert_eq!(refused["type"], "rate_limit_error", "{refused}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_answer_is_never_taken_for_a_whole_one() -> Result<()> {
    let (pool, own) = (Rig::start(1).await?, Rig::start_with_anthropic().await?);
    for (rig, route, model) in [(&pool, Route::Responses, "gpt-5.5"), (&own, Route::ApiMessages, CLAUDE)] {
        for (fault, language) in [
            (Fault::CutAfterEvents(20), Language::Python),
            (Fault::CleanEofAfterEvents(20), Language::Python),
            (Fault::CutAfterEvents(20), Language::JavaScript),
            (Fault::CleanEofAfterEvents(20), Language::JavaScript),
        ] {
            rig.lab.script(FaultRule::new(fault.clone()).on(route).once());
            let said = sdk(language).asking(model).run(rig, &["cut_stream", "whole"]).await?;
            let cut = &said["cut_stream"];
            assert!(cut["class"].is_string(), "{language:?} {model} {fault:?}: {said}");
            assert!(cut["got"].as_u64().is_some_and(|got| got > 0 && got < 40), "{said}");
            assert_eq!(said["whole"]["text"], "You said: hello whole", "{said}");
        }
    }
    // An answer in one piece is put together from the pool's events.
    for language in Language::ALL {
        pool.lab.script(FaultRule::new(Fault::CutAfterEvents(20)).on(Route::Responses).once());
        let said = sdk(language).case(&pool, "cut_whole").await?;
        assert!(said["status"].as_u64() >= Some(500), "{language:?}: {said}");
    }
    pool.finish().await?;
    own.finish().await
}
