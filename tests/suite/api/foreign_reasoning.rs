//! A conversation that moves between upstreams of two kinds: reasoning that one of them sealed is never sent to the
//! other, which would refuse the request, and comes back to the one that can open it as it was.

use anyhow::{Context, Result, ensure};
use gateway_lab::{ANTHROPIC_KEY, LabApi, LabConfig, Route};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess, Speaks};

use super::lab;

/// Served by the ChatGPT account.
const GPT: &str = "gpt-5.5";
/// Served by the account with a key of the other API.
const CLAUDE: &str = "claude-lab-sonnet";
/// What stands for the sealed text of another provider where a client keeps it.
const MARK: &str = "switchyard:";

/// One account of each kind; both refuse what they did not seal.
async fn both() -> Result<InProcess> {
    let api = LabApi { thinks: true, ..LabApi::default() };
    let config = LabConfig { api, bind_encrypted_content: true, reasoning: true, ..lab(1) };
    let gateway = InProcess::start(config).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    admin.add_key("anthropic", "claude", ANTHROPIC_KEY, json!({ "allowed_models": ["claude-*"] })).await?;
    Ok(gateway)
}

async fn ask(gateway: &InProcess, client: Speaks, body: &Value) -> Result<(Value, Answer)> {
    let answer =
        Answer::read(gateway.post_to(client.path(), HeaderMap::new(), body.to_string()).await?).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    Ok((answer.json(), answer))
}

/// The body of the last turn that reached the lab there.
fn received(gateway: &InProcess, route: Route) -> Result<String> {
    let seen = gateway.lab.requests().into_iter().rfind(|seen| seen.route == route);
    Ok(String::from_utf8(seen.with_context(|| format!("none on {route:?}"))?.body.to_vec())?)
}

/// What was changed on the way, as the decision tells it.
fn notes(gateway: &InProcess, answer: &Answer) -> Result<String> {
    Ok(format!("{:?}", gateway.decision(&answer.headers)?.edits))
}

fn thinking(model: &str, turns: Value) -> Value {
    json!({ "model": model, "max_tokens": 4096, "thinking": { "type": "enabled", "budget_tokens": 2048 }, "messages": turns })
}

/// A Messages client keeps what a ChatGPT account sealed in the signatures of its thinking.
#[tokio::test(flavor = "multi_thread")]
async fn a_messages_conversation_moves_from_chatgpt_to_anthropic_and_back() -> Result<()> {
    let gateway = both().await?;
    let mut turns = vec![json!({ "role": "user", "content": "one" })];
    let (first, _) = ask(&gateway, Speaks::Messages, &thinking(GPT, json!(turns))).await?;
    let signature = first["content"][0]["signature"].as_str().context("no thinking")?.to_owned();
    ensure!(signature.starts_with(MARK), "a seal of another provider is marked: {signature}");
    turns.extend([
        json!({ "role": "assistant", "content": first["content"] }),
        json!({ "role": "user", "content": "two" }),
    ]);

    let (second, answer) = ask(&gateway, Speaks::Messages, &thinking(CLAUDE, json!(turns))).await?;
    let seen = received(&gateway, Route::ApiMessages)?;
    assert!(!seen.contains(MARK) && !seen.contains("signature"), "{}", seen);
    assert!(seen.contains("You said: one"), "what was said stays: {}", seen);
    assert!(
        notes(&gateway, &answer)?.contains("thinking of another provider"),
        "{}",
        notes(&gateway, &answer)?
    );
    let own = second["content"][0]["signature"].as_str().context("no thinking")?.to_owned();
    assert!(!own.contains(MARK), "its own provider's signature goes through as it is: {own}");
    turns.extend([
        json!({ "role": "assistant", "content": second["content"] }),
        json!({ "role": "user", "content": "three" }),
    ]);

    // Each finds what it sealed, byte for byte, and nothing of the other.
    ask(&gateway, Speaks::Messages, &thinking(GPT, json!(turns))).await?;
    let seen = received(&gateway, Route::Responses)?;
    let sealed = signature.rsplit(':').next().context("no seal")?;
    assert!(seen.contains(sealed) && !seen.contains(MARK), "{}", seen);
    assert!(!seen.contains(&own), "{}", seen);
    ask(&gateway, Speaks::Messages, &thinking(CLAUDE, json!(turns))).await?;
    let seen = received(&gateway, Route::ApiMessages)?;
    assert!(seen.contains(&own) && !seen.contains(sealed), "{}", seen);
    gateway.stop().await
}

fn reasoning(model: &str, items: &[Value]) -> Value {
    json!({ "model": model, "input": items, "reasoning": { "effort": "high", "summary": "auto" }, "store": false,
        "include": ["reasoning.encrypted_content"] })
}

fn said(text: &str) -> Value {
    json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] })
}

/// A Responses client keeps what an Anthropic account signed in the encrypted content of its reasoning.
#[tokio::test(flavor = "multi_thread")]
async fn a_responses_conversation_moves_from_anthropic_to_chatgpt_and_back() -> Result<()> {
    let gateway = both().await?;
    let mut items = vec![said("one")];
    let (first, _) = ask(&gateway, Speaks::Responses, &reasoning(CLAUDE, &items)).await?;
    let thought = first["output"][0].clone();
    assert_eq!(thought["type"], "reasoning", "{first}");
    let seal = thought["encrypted_content"].as_str().context("no seal")?.to_owned();
    assert!(seal.starts_with(MARK), "{seal}");
    items.extend(first["output"].as_array().context("no output")?.iter().cloned());
    items.push(said("two"));

    let (second, answer) = ask(&gateway, Speaks::Responses, &reasoning(GPT, &items)).await?;
    let seen = received(&gateway, Route::Responses)?;
    assert!(!seen.contains(MARK) && !seen.contains(r#""type":"reasoning""#), "{}", seen);
    assert!(seen.contains("You said: one"), "{}", seen);
    assert!(
        notes(&gateway, &answer)?.contains("thinking of another provider"),
        "{}",
        notes(&gateway, &answer)?
    );
    let own = second["output"][0]["encrypted_content"].as_str().context("no seal")?.to_owned();
    assert!(!own.contains(MARK), "{own}");
    items.extend(second["output"].as_array().context("no output")?.iter().cloned());
    items.push(said("three"));

    ask(&gateway, Speaks::Responses, &reasoning(CLAUDE, &items)).await?;
    let seen = received(&gateway, Route::ApiMessages)?;
    let signature = seal.rsplit(':').next().context("no signature")?;
    assert!(seen.contains(signature) && !seen.contains(MARK), "{}", seen);
    assert!(!seen.contains(&own), "{}", seen);
    ask(&gateway, Speaks::Responses, &reasoning(GPT, &items)).await?;
    let seen = received(&gateway, Route::Responses)?;
    assert!(seen.contains(&own) && !seen.contains(signature), "{}", seen);
    gateway.stop().await
}
