//! Filters on calls that are no turns: they see the text of embeddings, images and compaction, change it and refuse it.

use std::fs;

use gateway_lab::Route;
use switchyard_tests::{Admin, eventually};

use super::super::calls::{form, post, post_form, sent, with_kinds};
use super::*;

/// Hides a word, refuses another one, and wants things that only a conversation has.
const CAREFUL: &str = r#"fn filter_request(request, prompt) {
    if prompt.contains("forbidden") { return refuse(451, "not_here", "not this"); }
    if prompt.contains("ping") { return answer("pong"); }
    for part in prompt.parts { part.replace("Ada", "somebody"); }
    prompt.insert(0, "system", "be kind");
    prompt.set_tag("seen", "yes");
}"#;

async fn careful(kinds: &[&str]) -> Result<(InProcess, Admin)> {
    let (gateway, admin) = with_kinds(kinds).await?;
    let folder = gateway.settings.policies_dir();
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("careful.rhai"), CAREFUL)?;
    eventually("it is live", async || {
        Ok(gateway.running.gateway.extensions().find("rhai:careful").filter(|one| one.enabled).map(drop))
    })
    .await?;
    Ok((gateway, admin))
}

fn body_of(gateway: &InProcess, route: Route) -> Result<String> {
    let seen = sent(gateway, route).pop().context("nothing arrived")?;
    Ok(String::from_utf8_lossy(&seen.body).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_calls_are_changed_and_refused() -> Result<()> {
    let (gateway, _) = careful(&["openai"]).await?;
    let embed = |input: Value| json!({"model": "text-embedding-3-small", "input": input, "odd": 1.50});
    for (input, out) in [
        (json!("Ada wrote"), json!("somebody wrote")),
        (json!(["one", "Ada and Ada"]), json!(["one", "somebody and somebody"])),
        (json!([[1, 2], [3]]), json!([[1, 2], [3]])),
    ] {
        let answer = post(&gateway, "/v1/embeddings", &embed(input)).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        assert_eq!(body_of(&gateway, Route::ApiEmbeddings)?, embed(out).to_string());
        let decision = gateway.decision(&answer.headers)?;
        assert_eq!(decision.tags, [("seen".to_owned(), "yes".to_owned())]);
    }
    let image = json!({"model": "gpt-image-1", "prompt": "Ada in a hat"});
    let answer = post(&gateway, "/v1/images/generations", &image).await?;
    ensure!(answer.status == 200 && body_of(&gateway, Route::ApiImages)?.contains("somebody in a hat"));
    // A form keeps every other byte.
    let edit = |prompt| form(&[("prompt", prompt), ("image[]", "PNG\0Ada"), ("size", "auto")]);
    let answer = post_form(&gateway, "/v1/images/edits", edit("Ada in a hat")).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let forms: Vec<_> = gateway.lab.requests().into_iter().map(|seen| seen.body.to_vec()).collect();
    ensure!(forms.contains(&edit("somebody in a hat")), "the form arrived with another prompt only");

    let before = turns(&gateway).len();
    for (path, body) in [
        ("/v1/embeddings", embed(json!(["x", "forbidden"]))),
        ("/v1/images/generations", json!({"prompt": "forbidden"})),
        ("/v1/responses/compact", json!({"model": "gpt-5.5", "input": "forbidden"})),
    ] {
        let answer = post(&gateway, path, &body).await?;
        assert_eq!(answer.status, 451, "{path}: {}", answer.text());
        ensure!(answer.error()?.message == "not this", "{path}: {}", answer.text());
    }
    let answer = post_form(&gateway, "/v1/images/edits", edit("forbidden")).await?;
    assert_eq!(answer.status, 451, "{}", answer.text());
    // What cannot be told in a call's own form closes the way, as the filter's failure does.
    let answer = post(&gateway, "/v1/embeddings", &embed(json!("ping"))).await?;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(turns(&gateway).len(), before, "what was refused never left");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_is_a_conversation() -> Result<()> {
    for kind in ["openai", "codex"] {
        let (gateway, _) = careful(&[kind]).await?;
        let body = json!({"model": "gpt-5.5", "input": [{"role": "user", "content": "Ada said so"}]});
        let answer = post(&gateway, "/v1/responses/compact", &body).await?;
        ensure!(answer.status == 200, "{kind}: {}", answer.text());
        let seen = turns(&gateway).pop().context("nothing arrived")?;
        let seen = String::from_utf8_lossy(&seen.body).into_owned();
        ensure!(seen.contains("somebody said so") && seen.contains("be kind"), "{kind}: {seen}");
        gateway.stop().await?;
    }
    Ok(())
}
