//! LiteLLM as a client, over its `openai/` and `anthropic/` prefixes.

use anyhow::{Context, Result};
use gateway_lab::{ErrorBody, Fault, FaultRule, Route};
use serde_json::json;

use super::program::{Language, Program, SOME_KEY};
use super::{Rig, text};

const PREFIXES: [&str; 2] = ["openai", "anthropic"];

fn litellm() -> Program {
    Program::new("use_litellm", Language::Python)
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_streams_and_tools_work_with_both_prefixes() -> Result<()> {
    let rig = Rig::start(1).await?;
    let said = litellm().run(&rig, &["whole", "stream", "tool", "unknown_model"]).await?;
    for prefix in PREFIXES {
        let whole = &said["whole"][prefix];
        assert_eq!(
            (&whole["text"], &whole["finish"]),
            (&json!("You said: hello whole"), &json!("stop")),
            "{said}"
        );
        assert!(whole["total_tokens"].as_u64() > Some(0), "{said}");
        let stream = &said["stream"][prefix];
        assert_eq!((&stream["text"], &stream["finish"]), (&json!("You said: hello stream"), &json!("stop")));
        assert!(stream["pieces"].as_u64() > Some(1), "the text came in one piece: {said}");
        let tool = &said["tool"][prefix];
        assert_eq!(tool["calls"], json!([{ "name": "add", "arguments": { "a": 19, "b": 23 } }]), "{said}");
        assert_eq!(
            (&tool["finish"], &tool["text"]),
            (&json!("tool_calls"), &json!("The tool said: 42")),
            "{said}"
        );
        let unknown = &said["unknown_model"][prefix];
        assert_eq!((&unknown["class"], &unknown["status"]), (&json!("NotFoundError"), &json!(404)), "{said}");
    }
    let asked = |turn: &&gateway_lab::RequestRecord| turn.json()["model"] == "gpt-5.5";
    let turns = rig.turns();
    assert_eq!(turns.iter().filter(asked).count(), 8);
    for turn in turns.iter().filter(asked) {
        assert_eq!(turn.status, Some(200));
        assert!(!turn.headers.values().any(|value| text(value.as_bytes()).contains(SOME_KEY)));
    }
    rig.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_answer_raises_and_so_does_a_spent_pool() -> Result<()> {
    let rig = Rig::start(2).await?;
    let cut = rig.lab.script(FaultRule::new(Fault::CutAfterEvents(20)).on(Route::Responses));
    let said = litellm().case(&rig, "cut").await?;
    for prefix in PREFIXES {
        let cut = &said[prefix];
        assert!(cut["class"].is_string() && cut["status"].as_u64() >= Some(500), "{said}");
        assert!(cut["got"].as_u64().is_some_and(|got| got > 0 && got < 40), "{said}");
    }
    rig.lab.unscript(cut);

    let limit = ErrorBody::named("usage_limit_reached").context("the lab lost a row")?;
    rig.lab.script(FaultRule::new(limit).on(Route::Responses));
    let said = litellm().case(&rig, "refused").await?;
    for prefix in PREFIXES {
        assert_eq!(said[prefix]["class"], "RateLimitError", "{said}");
        assert_eq!(said[prefix]["status"], 429, "{said}");
    }
    rig.finish().await
}
