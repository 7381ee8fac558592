//! The Vercel AI SDK with each of its provider packages that reach the gateway: responses, chat completions (its own and
//! the compatible one), and messages.

use anyhow::{Context, Result};
use gateway_lab::{ErrorBody, Fault, FaultRule, Route};
use serde_json::json;

use super::program::{Language, Program, SOME_KEY};
use super::{Rig, text};

const PROVIDERS: [&str; 4] = ["responses", "chat", "compatible", "anthropic"];

fn sdk() -> Program {
    Program::new("vercel_ai", Language::JavaScript)
}

#[tokio::test(flavor = "multi_thread")]
async fn text_tools_schemas_and_pictures_work_with_every_provider() -> Result<()> {
    let rig = Rig::start(1).await?;
    let said = sdk().run(&rig, &["stream", "tools", "structured", "image"]).await?;
    for provider in PROVIDERS {
        let stream = &said["stream"][provider];
        assert_eq!(stream["text"], "You said: hello stream", "{provider}: {said}");
        assert!(stream["pieces"].as_u64() > Some(1), "{provider}: the text came in one piece");
        assert_eq!((&stream["finish"], &stream["errors"]), (&json!("stop"), &json!([])), "{provider}");
        assert!(stream["output_tokens"].as_u64() > Some(0), "{provider}: {said}");
        let tools = &said["tools"][provider];
        assert_eq!(tools["calls"], json!([{ "name": "add", "input": { "a": 19, "b": 23 } }]), "{provider}");
        assert_eq!(tools["steps"], json!(["tool-calls", "stop"]), "{provider}");
        assert_eq!(tools["text"], "The tool said: 42", "{provider}");
        assert_eq!(said["structured"][provider], json!({ "name": "Altona", "tracks": 12 }), "{provider}");
        assert_eq!(said["image"][provider]["text"], "You said: hello picture", "{provider}");
    }
    let turns = rig.turns();
    assert_eq!(turns.len(), 5 * PROVIDERS.len());
    for turn in &turns {
        assert_eq!(turn.status, Some(200));
        assert!(!turn.headers.values().any(|value| text(value.as_bytes()).contains(SOME_KEY)));
    }
    let with = |what: &str| turns.iter().filter(|turn| text(&turn.body).contains(what)).count();
    assert_eq!(with("data:image/png;base64,"), PROVIDERS.len(), "a picture was lost");
    let call_outputs = turns.iter().filter(|turn| text(&turn.body).contains("function_call_output")).count();
    assert_eq!(call_outputs, PROVIDERS.len(), "a tool's result was lost");
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_is_an_error_and_a_refusal_says_what_it_is() -> Result<()> {
    // More than one: an account that fails again and again is left alone for a while.
    let rig = Rig::start(3).await?;
    let cut = rig.lab.script(FaultRule::new(Fault::CutAfterEvents(20)).on(Route::Responses));
    let said = sdk().case(&rig, "cut").await?;
    for provider in PROVIDERS {
        let cut = &said[provider];
        let errors = cut["errors"].as_array().context("no errors")?;
        assert!(!errors.is_empty(), "half an answer was taken for a whole one: {said}");
        assert!(cut["pieces"].as_u64().is_some_and(|pieces| pieces > 0 && pieces < 40), "{provider}: {said}");
        assert_eq!(cut["finish"], "error", "{provider}: {said}");
    }
    rig.lab.unscript(cut);
    rig.finish().await?;

    let rig = Rig::start(1).await?;
    let refused = sdk().with_key(concat!("sk-sy", "-nobody-has-this")).case(&rig, "refused").await?;
    for provider in PROVIDERS {
        assert_eq!(refused[provider]["status"], 401, "{refused}");
        assert_eq!(refused[provider]["retryable"], false, "{refused}");
    }
    assert!(rig.turns().is_empty());

    let pause = Fault::RateLimited429 { with_code: true, retry_after: Some(3) };
    rig.lab.script(FaultRule::new(pause).on(Route::Responses).once());
    let said = sdk().run(&rig, &["patient@chat"]).await?;
    assert_eq!(said["patient"]["chat"]["text"], "You said: hello patience");
    // By itself it would ask again after two.
    assert!(said["patient"]["chat"]["seconds"].as_f64() >= Some(3.0), "{said}");

    let limit = ErrorBody::named("usage_limit_reached").context("the lab lost a row")?;
    rig.lab.script(FaultRule::new(limit).on(Route::Responses));
    let said = sdk().case(&rig, "refused").await?;
    for provider in PROVIDERS {
        assert_eq!(said[provider]["status"], 429, "{said}");
        let wait: u64 = said[provider]["retry_after"].as_str().context("no retry-after")?.parse()?;
        assert!((3_500..=3_600).contains(&wait), "the reset is an hour away, not {wait} s");
    }
    rig.finish().await
}
