//! `POST /v1/messages/count_tokens`: asked of an account whose upstream can tell, estimated for everybody else, and
//! never refused because of what an upstream did.

use anyhow::{Context, Result};
use gateway_lab::{ANTHROPIC_KEY, Fault, FaultRule, RequestRecord, Route};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess, Speaks, eventually};

use super::lab;

/// A model that only the lab's Anthropic API lists.
const CLAUDE: &str = "claude-lab-sonnet";

async fn counted(gateway: &InProcess, model: &str, text: &str) -> Result<Value> {
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": text }] }).to_string();
    let answer =
        Answer::read(gateway.post_to("/v1/messages/count_tokens", HeaderMap::new(), body).await?).await?;
    anyhow::ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    Ok(answer.json())
}

fn asked(gateway: &InProcess) -> Vec<RequestRecord> {
    gateway.lab.requests().into_iter().filter(|seen| seen.route == Route::ApiCountTokens).collect()
}

/// The number that the lab tells: a quarter of the body it was sent, rounded up.
fn lab_count(seen: &RequestRecord) -> u64 {
    seen.body.len().div_ceil(4) as u64
}

/// With an account that lists the model, whose list is known.
async fn with_claude() -> Result<(InProcess, Admin, String)> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let id = admin.add_key("anthropic", "claude", ANTHROPIC_KEY, json!({})).await?;
    eventually("the account's models are known", async || {
        let catalogue = gateway.running.gateway.catalogue();
        Ok(catalogue.listed().iter().any(|listed| listed.id == CLAUDE).then_some(()))
    })
    .await?;
    Ok((gateway, admin, id))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_lists_the_model_is_asked_and_others_get_an_estimate() -> Result<()> {
    let (gateway, admin, id) = with_claude().await?;
    let text = "twelve words or so, which an estimate would count otherwise than a quarter";
    let exact = counted(&gateway, CLAUDE, text).await?;
    let seen = asked(&gateway);
    let seen = seen.first().context("nobody was asked")?;
    assert_eq!(exact, json!({ "input_tokens": lab_count(seen) }));
    assert_eq!(seen.json()["messages"][0]["content"], text, "the client's own words");
    assert_eq!(seen.header("x-api-key"), Some(ANTHROPIC_KEY));

    // A model that ChatGPT accounts serve, and one that nobody lists, are estimated.
    for model in ["gpt-5.5", "claude-of-nobody"] {
        let estimated = counted(&gateway, model, text).await?;
        assert!(estimated["input_tokens"].as_u64().is_some_and(|tokens| tokens > 5), "{estimated}");
    }
    assert_eq!(asked(&gateway).len(), 1);

    // An account that was taken out is not asked any more, whether the list is old or new.
    admin.expect(204, reqwest::Method::DELETE, &format!("/accounts/{id}"), None).await?;
    let estimated = counted(&gateway, CLAUDE, text).await?;
    assert!(estimated["input_tokens"].as_u64().is_some_and(|tokens| tokens > 5), "{estimated}");
    assert_eq!(asked(&gateway).len(), 1);
    gateway.stop().await
}

/// Whatever the upstream does, the client has a number, and the account serves turns as before.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_upstream_refuses_is_estimated_and_says_nothing_about_the_account() -> Result<()> {
    let (gateway, ..) = with_claude().await?;
    for fault in [
        Fault::RateLimited429 { with_code: true, retry_after: Some(600) },
        Fault::named("server_error").context("no row")?,
        Fault::CutAfterEvents(0),
        Fault::RefuseConnection,
    ] {
        let case = format!("{fault:?}");
        let is_told = matches!(fault, Fault::RateLimited429 { .. } | Fault::Status { .. });
        let rule = gateway.lab.script(FaultRule::new(fault).on(Route::ApiCountTokens));
        let estimated = counted(&gateway, CLAUDE, "how many are these?").await.context(case.clone())?;
        assert!(estimated["input_tokens"].as_u64().is_some_and(|tokens| tokens < 20), "{case}: {estimated}");
        assert_eq!(gateway.lab.fired(rule), 1, "{case}");
        gateway.lab.unscript(rule);
        if is_told {
            let turn = Speaks::Messages.question(CLAUDE, "hello", false).to_string();
            let turn = gateway.post_to("/v1/messages", HeaderMap::new(), turn).await?;
            assert_eq!(turn.status(), 200, "{case}: counting has limits of its own");
        }
        for id in gateway.running.gateway.accounts().keys() {
            gateway.running.gateway.clear_cooldowns(id)?;
        }
    }
    gateway.stop().await
}
