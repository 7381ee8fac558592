//! What outlives a restart or comes from another process: ties of conversations, the pin, a wish to redeem a credit.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_core::POLICY_SETTING;
use gateway_core::operations::PINNED_SETTING;
use gateway_domain::Secret;
use gateway_lab::{Fault, FaultRule, LabAccount, LabClock, LabConfig, OPENAI_KEY, Route};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess, eventually, turn};

use super::{NOW, lab, still_serves};

/// Conversations of one test: so many that chance does not keep them apart.
const CONVERSATIONS: usize = 8;

fn session(nth: usize) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("session-id", HeaderValue::from_str(&format!("conversation-{nth}"))?);
    Ok(headers)
}

/// Deals conversations out one after the other.
const DEALS: &str = "rhai:round-robin";
/// Lets a conversation stay where it is, and deals new ones out by their name.
const STAYS: &str = "rhai:sticky";

/// Deals the conversations out, not as [`STAYS`] would; who has which.
async fn scattered(gateway: &InProcess) -> Result<Vec<String>> {
    gateway.running.gateway.choose_policy(DEALS)?;
    let homes = homes(gateway, &gateway.url).await?;
    let apart: std::collections::BTreeSet<_> = homes.iter().collect();
    ensure!(apart.len() > 2, "all on one account would prove nothing: {homes:?}");
    Ok(homes)
}

/// Who serves a turn of each conversation at this address.
async fn homes(gateway: &InProcess, url: &str) -> Result<Vec<String>> {
    let before = gateway.lab.requests().len();
    for nth in 0..CONVERSATIONS {
        let request = gateway.http.post(format!("{url}/v1/responses")).headers(session(nth)?);
        let request = request.header("content-type", "application/json").body(turn("go on").to_string());
        let answer = Answer::read(request.send().await?).await?;
        ensure!(answer.status == 200, "{}", answer.text());
    }
    let turns = gateway.lab.requests();
    let turns = turns.iter().skip(before).filter(|seen| seen.route == Route::Responses);
    Ok(turns.map(|seen| format!("{:?}", seen.account)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_stay_where_they_are_after_a_restart() -> Result<()> {
    let gateway = InProcess::start(lab(5)).await?;
    let before = scattered(&gateway).await?;
    let gateway = gateway.restarted().await?;
    gateway.running.gateway.choose_policy(STAYS)?;
    assert_eq!(homes(&gateway, &gateway.url).await?, before);
    // Ties end by age, stored or not.
    gateway.lab.advance(Duration::from_secs(2 * 3_600));
    let gateway = gateway.restarted().await?;
    let store = gateway.store().await?;
    let wanted = gateway_core::ports::TieQuery {
        saved_since: gateway_domain::Timestamp::from_millis(0),
        not_by: String::new(),
        now: gateway_domain::Timestamp::from_secs(NOW + 2 * 3_600),
        limit: 100,
    };
    assert_eq!(store.ties().ties(wanted).await?, []);
    store.close().await;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_response_is_continued_by_its_account_after_a_restart() -> Result<()> {
    let gateway = InProcess::start_empty(lab(1), |_| {}).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    for name in ["one", "two", "three", "four"] {
        admin.add_key("openai", name, OPENAI_KEY, json!({})).await?;
    }
    let body = |previous: Option<&str>| json!({ "model": "gpt-5.5", "input": "hello", "store": true, "previous_response_id": previous });
    let mut made: Vec<(String, String)> = Vec::new();
    for _ in 0..6 {
        let answer = gateway.ask(&body(None)).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        let id = answer.json()["id"].as_str().context("no id")?.to_owned();
        made.push((id, served_by(&gateway, &answer)?));
    }
    let gateway = gateway.restarted().await?;
    for (id, account) in &made {
        let answer = gateway.ask(&body(Some(id))).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        assert_eq!(served_by(&gateway, &answer)?, *account);
    }
    // Its account is set aside: the client is told to send everything again, as it would have been before.
    let admin = Admin::log_in(&gateway.http, &gateway.url).await?;
    let (id, owner) = made.first().context("none")?;
    let accounts = admin.get("/accounts").await?;
    let all = accounts.as_array().context("no accounts")?;
    let owner = all.iter().find(|one| one["name"] == *owner.as_str()).context("gone")?;
    let path = owner["id"].as_str().context("no id")?.to_owned();
    admin.patch_account(&path, &json!({ "paused": true })).await?;
    let answer = gateway.ask(&body(Some(id))).await?;
    assert_eq!((answer.status, answer.error()?.code.as_str()), (400, "previous_response_not_found"));
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_conversation_goes_on_at_its_account_or_nowhere() -> Result<()> {
    let gateway = InProcess::start_empty(lab(1), |_| {}).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let mut ids = std::collections::BTreeMap::new();
    for name in ["one", "two", "three", "four"] {
        ids.insert(name, admin.add_key("openai", name, OPENAI_KEY, json!({})).await?);
    }
    gateway.running.gateway.choose_policy(DEALS)?;
    for (nth, in_object) in [(1, true), (2, false), (3, true)] {
        let id = format!("conv_{nth}");
        let named = if in_object { json!({ "id": id }) } else { json!(id) };
        let body = json!({ "model": "gpt-5.5", "input": "hello", "conversation": named });
        let first = gateway.ask(&body).await?;
        ensure!(first.status == 200, "{}", first.text());
        let home = served_by(&gateway, &first)?;
        for _ in 0..3 {
            assert_eq!(served_by(&gateway, &gateway.ask(&body).await?)?, home);
            gateway.ask(&turn("somebody else")).await?;
        }
        let path = format!("/accounts/{}", ids.get(home.as_str()).context("who?")?);
        admin.expect(200, Method::PATCH, &path, Some(&json!({ "paused": true }))).await?;
        let lost = gateway.ask(&body).await?;
        assert_eq!((lost.status, lost.error()?.code.as_str()), (400, "previous_response_not_found"));
        admin.expect(200, Method::PATCH, &path, Some(&json!({ "paused": false }))).await?;
    }
    gateway.stop().await
}

fn served_by(gateway: &InProcess, answer: &Answer) -> Result<String> {
    let decision = gateway.decision(&answer.headers)?;
    Ok(decision.attempts.last().context("no try")?.account_name.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_the_database_learns_where_conversations_are() -> Result<()> {
    let gateway = InProcess::start(lab(5)).await?;
    let other = gateway.another().await?;
    other.gateway.choose_policy(STAYS)?;
    let url = format!("http://{}", other.address);
    let before = scattered(&gateway).await?;
    let store = gateway.store().await?;
    eventually("the ties are stored", async || {
        let wanted = gateway_core::ports::TieQuery {
            saved_since: gateway_domain::Timestamp::from_millis(0),
            not_by: String::new(),
            now: gateway_domain::Timestamp::from_secs(NOW),
            limit: 100,
        };
        Ok((store.ties().ties(wanted).await?.len() >= CONVERSATIONS).then_some(()))
    })
    .await?;
    store.close().await;
    gateway.lab.advance(Duration::from_secs(11));
    // The other one looks every few seconds; a turn before that would teach it another home.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(homes(&gateway, &url).await?, before);
    other.stop().await;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_of_another_process_counts_at_the_next_round() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let accounts = admin.get("/accounts").await?;
    let last = accounts[2]["id"].as_str().context("no account")?.to_owned();
    let store = gateway.store().await?;
    for wanted in [json!(last), Value::Null] {
        let stored = Secret::new(wanted.as_str().unwrap_or_default().to_owned());
        store.settings().put_setting(PINNED_SETTING, stored).await?;
        eventually("the pin is known", async || {
            Ok((admin.get("/pin").await?["account"] == wanted).then_some(()))
        })
        .await?;
    }
    assert_eq!(store.settings().setting(POLICY_SETTING).await?, None, "nothing else was touched");
    store.close().await;
    // What is pinned here is not undone by the round.
    admin.expect(200, Method::PUT, "/pin", Some(&json!({ "account": last }))).await?;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(admin.get("/pin").await?["account"], json!(last));
    gateway.stop().await
}

/// A gateway whose one account has used everything up and has so many reset credits.
async fn used_up(credits: u32) -> Result<(InProcess, Admin, String)> {
    let account = LabAccount { reset_credits: credits, ..LabAccount::new("ada", "plus") };
    let gateway = InProcess::start(LabConfig::new(vec![account], LabClock::fixed(NOW))).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    gateway.lab.set_window(0, 0, 100.0);
    let answer = gateway.ask(&turn("hello")).await?;
    ensure!(answer.status == 429, "{}", answer.text());
    let accounts = admin.get("/accounts").await?;
    let id = accounts[0]["id"].as_str().context("no account")?.to_owned();
    Ok((gateway, admin, format!("/accounts/{id}/redeem")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_credit_empties_the_windows_and_the_account_serves() -> Result<()> {
    let (gateway, admin, redeem) = used_up(2).await?;
    let redeemed = admin.expect(200, Method::POST, &redeem, None).await?;
    assert_eq!((&redeemed["outcome"], &redeemed["windows_reset"]), (&json!("reset"), &json!(1)));
    assert_eq!(redeemed["detail"]["reset_credits"], 1, "what is left is asked for at once");
    still_serves(&gateway).await?;
    // The turn used a little; the last credit goes, then there is none.
    let again = admin.expect(200, Method::POST, &redeem, None).await?;
    assert_eq!((&again["outcome"], &again["detail"]["reset_credits"]), (&json!("reset"), &json!(0)));
    let none = admin.expect(200, Method::POST, &redeem, None).await?;
    assert_eq!((&none["outcome"], &none["windows_reset"]), (&json!("no_credit"), &Value::Null));
    let keyed = admin.add_key("openai", "keyed", OPENAI_KEY, json!({})).await?;
    admin.expect(409, Method::POST, &format!("/accounts/{keyed}/redeem"), None).await?;
    admin.expect(404, Method::POST, "/accounts/acc_nobody/redeem", None).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_whose_answer_was_lost_spends_one_credit_however_often_it_is_made() -> Result<()> {
    let (gateway, admin, redeem) = used_up(2).await?;
    let rule = gateway.lab.script(FaultRule::new(Fault::DropAnswer).on(Route::Redeem).once());
    let lost = admin.call(Method::POST, &redeem, None).await?;
    ensure!(lost.status >= 500 && gateway.lab.fired(rule) == 1, "{}: {}", lost.status, lost.text());
    // Even by the next process.
    let gateway = gateway.restarted().await?;
    let admin = Admin::log_in(&gateway.http, &gateway.url).await?;
    let redeemed = admin.expect(200, Method::POST, &redeem, None).await?;
    let wishes: Vec<Value> = gateway
        .lab
        .requests()
        .iter()
        .filter(|seen| seen.route == Route::Redeem)
        .map(|seen| seen.json()["redeem_request_id"].clone())
        .collect();
    ensure!(wishes.len() == 2 && wishes[0] == wishes[1] && wishes[0].is_string(), "{wishes:?}");
    let outcome = redeemed["outcome"].as_str().context("no outcome")?;
    ensure!(["reset", "already_redeemed"].contains(&outcome), "{redeemed}");
    assert_eq!(redeemed["detail"]["reset_credits"], 1);
    still_serves(&gateway).await?;
    gateway.stop().await
}
