//! What only one account can open: it goes where it was made, and stays behind where it cannot be read. The lab refuses
//! what another account sealed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_lab::{Fault, FaultRule, LabConfig, Route};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess};

use super::lab;

fn binding(accounts: usize) -> LabConfig {
    LabConfig { bind_encrypted_content: true, ..lab(accounts) }
}

/// One conversation that is known by nothing but what its history holds.
struct Talk<'a> {
    gateway: &'a InProcess,
    history: Vec<Value>,
}

impl<'a> Talk<'a> {
    fn new(gateway: &'a InProcess) -> Self {
        Self { gateway, history: Vec::new() }
    }

    async fn try_say(&mut self, item: Value) -> Result<Answer> {
        self.history.push(item);
        let body = json!({ "model": "gpt-5.5", "input": self.history, "store": false, "stream": false,
            "include": ["reasoning.encrypted_content"] });
        self.gateway.ask(&body).await
    }

    /// Says something; what comes back becomes part of the history. Returns who answered.
    async fn say(&mut self, item: Value) -> Result<String> {
        let answer = self.try_say(item).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        let output = answer.json()["output"].as_array().cloned().context("no output")?;
        ensure!(
            output.iter().any(|item| item["encrypted_content"].is_string()),
            "nothing is sealed: {output:?}"
        );
        self.history.extend(output);
        served_by(self.gateway, &answer)
    }

    /// The accounts that sealed what it holds.
    fn sealed(&self) -> usize {
        self.history.iter().filter(|item| item["encrypted_content"].is_string()).count()
    }
}

fn served_by(gateway: &InProcess, answer: &Answer) -> Result<String> {
    let decision = gateway.decision(&answer.headers)?;
    Ok(decision.attempts.last().context("nobody tried")?.account_name.to_string())
}

fn notes(gateway: &InProcess, answer: &Answer) -> Result<String> {
    Ok(gateway.decision(&answer.headers)?.edits.join(";"))
}

fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

fn refused(gateway: &InProcess, accounts: usize) -> u64 {
    (0..accounts).filter_map(|one| gateway.lab.stats(one)).map(|stats| stats.refused).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_goes_to_the_account_that_sealed_it_and_stays_behind_elsewhere() -> Result<()> {
    let gateway = InProcess::start(binding(3)).await?;
    let mut talks: Vec<Talk<'_>> = (0..6).map(|_| Talk::new(&gateway)).collect();
    for talk in &mut talks {
        let home = talk.say(user("one")).await?;
        for text in ["two", "three"] {
            assert_eq!(talk.say(user(text)).await?, home, "its reasoning leads there");
        }
        // Its account cannot now: the conversation goes on elsewhere, without what that one could not read.
        let limited = Fault::RateLimited429 { with_code: true, retry_after: Some(5) };
        gateway.lab.script(FaultRule::new(limited).on(Route::Responses).once());
        let guest = talk.say(user("four")).await?;
        assert_ne!(guest, home);
        gateway.lab.advance(Duration::from_secs(10));
        // Nothing but the newest seal says who has it now; the guest can read that one.
        assert_eq!(talk.say(user("five")).await?, guest);
        assert_eq!(talk.sealed(), 5, "the client keeps all of it");
    }
    assert_eq!(refused(&gateway, 3), 0, "no account was sent what it cannot read");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_that_nobody_here_sealed_is_left_out_after_one_refusal() -> Result<()> {
    let gateway = InProcess::start(binding(2)).await?;
    let mut talk = Talk::new(&gateway);
    let strange = format!("gAAAA{}", "stranger".repeat(9));
    talk.history.push(json!({ "type": "reasoning", "summary": [], "encrypted_content": strange }));
    let answer = talk.try_say(user("one")).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(notes(&gateway, &answer)?.contains("only another account can read"));
    assert_eq!(gateway.decision(&answer.headers)?.attempts.len(), 1, "it is no account's fault");
    assert_eq!(refused(&gateway, 2), 1);
    for _ in 0..4 {
        talk.say(user("again")).await?;
    }
    assert_eq!(refused(&gateway, 2), 1, "it is not sent again");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_conversation_is_never_continued_by_an_account_that_cannot_read_it() -> Result<()> {
    let gateway = InProcess::start(binding(3)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let mut talk = Talk::new(&gateway);
    talk.history.push(user("a long story"));
    let home = talk.say(json!({ "type": "compaction_trigger" })).await?;
    let compacted = talk.history.pop().context("nothing was compacted")?;
    assert_eq!(compacted["type"], "compaction");
    let mut after = Talk { gateway: &gateway, history: vec![compacted] };
    // Far more is sealed after it than is looked at.
    for turn in 0..40 {
        assert_eq!(after.say(user(&format!("turn {turn}"))).await?, home);
    }
    let accounts = admin.get("/accounts").await?;
    let accounts =
        accounts.as_array().or_else(|| accounts["accounts"].as_array()).context("no list")?.clone();
    let home_id = accounts.iter().find(|one| one["name"] == home.as_str()).context("gone")?["id"].clone();
    let id = home_id.as_str().context("no id")?;
    admin.patch_account(id, &json!({ "paused": true })).await?;
    let answer = after.try_say(user("four")).await?;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "invalid_encrypted_content", "{error}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| text.contains("is paused") && text.contains("compacted"))
    );
    assert_eq!(refused(&gateway, 3), 0);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_goes_on_where_its_state_was_made_whatever_its_session_says() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let body = json!({ "model": "gpt-5.5", "input": [], "stream": true, "store": false }).to_string();
    let ask = async |state: Option<&str>| {
        let mut headers = HeaderMap::new();
        headers.insert("originator", HeaderValue::from_static("codex_exec"));
        if let Some(state) = state {
            headers.insert("x-codex-turn-state", HeaderValue::from_str(state)?);
        }
        let answer = Answer::read(gateway.post_to("/v1/responses", headers, body.clone()).await?).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        Ok(answer)
    };
    for _ in 0..6 {
        let first = ask(None).await?;
        let state = first.header("x-codex-turn-state").context("no turn state")?.to_owned();
        let home = served_by(&gateway, &first)?;
        for _ in 0..3 {
            let next = ask(Some(&state)).await?;
            assert_eq!(served_by(&gateway, &next)?, home);
            assert_eq!(next.header("x-codex-turn-state"), Some(state.as_str()), "it arrived");
        }
        let limited = Fault::RateLimited429 { with_code: true, retry_after: Some(5) };
        gateway.lab.script(FaultRule::new(limited).on(Route::Responses).once());
        let moved = ask(Some(&state)).await?;
        assert_ne!(served_by(&gateway, &moved)?, home, "the turn goes on without it");
        gateway.lab.advance(Duration::from_secs(10));
    }
    let foreign: u64 =
        (0..3).filter_map(|one| gateway.lab.stats(one)).map(|stats| stats.foreign_turn_states).sum();
    assert_eq!(foreign, 0);
    gateway.stop().await
}

/// A client of another dialect keeps the seal as its own thinking's signature.
#[tokio::test(flavor = "multi_thread")]
async fn thinking_shown_to_a_messages_client_leads_back_to_who_thought_it() -> Result<()> {
    let gateway = InProcess::start(binding(3)).await?;
    let mut messages = vec![json!({ "role": "user", "content": "one" })];
    let mut homes = Vec::new();
    for text in ["two", "three", "four"] {
        let body = json!({ "model": "gpt-5.5", "max_tokens": 9_000, "messages": messages,
            "thinking": { "type": "enabled", "budget_tokens": 4_000 } });
        let sent = gateway.post_to("/v1/messages", HeaderMap::new(), body.to_string()).await?;
        let answer = Answer::read(sent).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        let content = answer.json()["content"].clone();
        let signed = |block: &Value| {
            let signature = block["signature"].as_str().or(block["data"].as_str()).unwrap_or_default();
            signature.contains("openai-responses")
        };
        ensure!(content.as_array().is_some_and(|blocks| blocks.iter().any(signed)), "no seal: {content}");
        homes.push(served_by(&gateway, &answer)?);
        messages.push(json!({ "role": "assistant", "content": content }));
        messages.push(json!({ "role": "user", "content": text }));
    }
    assert!(homes.iter().all(|home| *home == homes[0]), "{homes:?}");
    assert_eq!(refused(&gateway, 3), 0);
    gateway.stop().await
}
