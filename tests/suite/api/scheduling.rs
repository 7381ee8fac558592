//! Who serves: the three policies, switching between them, conversations that stay where their cache is, and the record
//! of every decision.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use gateway_api::DecisionView;
use gateway_lab::{Fault, FaultRule, LabAccount, LabClock, LabConfig, LabWindow, Route};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess, events_of, turn};

use super::{NOW, completed, lab, quotas_known};

const POLICIES: [&str; 3] = ["builtin:usage-balanced", "rhai:usage-balanced", "wasm:headroom"];

/// Three accounts, the middle one with by far the most left.
fn uneven() -> LabConfig {
    let account = |name: &str, short: f64, long: f64| {
        LabAccount::new(name, "plus").with_windows([
            LabWindow::new(gateway_lab::FIVE_HOURS, short, 9_000).filling(0.1),
            LabWindow::new(gateway_lab::WEEK, long, 300_000).filling(0.05),
        ])
    };
    let accounts =
        vec![account("busy", 85.0, 60.0), account("fresh", 5.0, 10.0), account("half", 50.0, 45.0)];
    LabConfig::new(accounts, LabClock::fixed(NOW))
}

async fn decision(admin: &Admin, answer: &Answer) -> Result<DecisionView> {
    let id = answer.header("x-request-id").context("no x-request-id")?;
    Ok(serde_json::from_value(admin.get(&format!("/decisions/{id}")).await?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_picks_the_account_with_the_most_left_and_says_why() -> Result<()> {
    let gateway = InProcess::start(uneven()).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    quotas_known(&gateway).await?;
    for policy in POLICIES {
        admin.choose_policy(policy).await.context("is it built? `cargo xtask build` builds the plugins")?;
        let answer = gateway.ask(&turn("hello")).await?;
        assert_eq!(answer.status, 200, "{policy}: {}", answer.text());
        let decision = decision(&admin, &answer).await?;
        explained(&decision, policy).context(policy)?;
    }
    let listed: Vec<gateway_api::PolicyView> = serde_json::from_value(admin.get("/policies").await?)?;
    assert_eq!(listed.iter().filter(|policy| policy.active).count(), 1);
    assert!(POLICIES.iter().all(|id| listed.iter().any(|policy| policy.id == *id)), "{listed:?}");
    gateway.stop().await
}

/// The record says everything that a person needs to follow the choice.
fn explained(decision: &DecisionView, policy: &str) -> Result<()> {
    let [ranking] = &decision.rankings[..] else { anyhow::bail!("{} rankings", decision.rankings.len()) };
    let [attempt] = &decision.attempts[..] else { anyhow::bail!("{} tries", decision.attempts.len()) };
    ensure!(ranking.policy.id == policy && ranking.policy.active && !ranking.policy.digest.is_empty());
    ensure!(ranking.fallback.is_none() && ranking.action == "ranked", "{ranking:?}");
    ensure!(!ranking.reason.is_empty() && ranking.now == NOW * 1_000 && ranking.seq > 0);
    ensure!(ranking.seed.parse::<u64>().is_ok() && ranking.took_us > 0.0, "{ranking:?}");
    let ranked: Vec<_> = ranking.candidates.iter().map(|one| (one.account_name.as_str(), one.rank)).collect();
    ensure!(
        ranked
            == [
                ("fresh@example.test", Some(1)),
                ("half@example.test", Some(2)),
                ("busy@example.test", Some(3))
            ],
        "{ranked:?}"
    );
    let scores: Vec<f64> = ranking.candidates.iter().filter_map(|one| one.score).collect();
    ensure!(scores.len() == 3 && scores.is_sorted_by(|a, b| a > b), "{scores:?}");
    let fresh = &ranking.candidates[0];
    ensure!(fresh.short_window_used.is_some_and(|used| (0.04..0.07).contains(&used)), "{fresh:?}");
    ensure!(fresh.long_window_used.is_some_and(|used| (0.09..0.12).contains(&used)), "{fresh:?}");
    ensure!(fresh.short_window_resets_in_ms == Some(9_000_000) && fresh.health == "healthy", "{fresh:?}");
    ensure!(attempt.account_name == "fresh@example.test" && attempt.outcome == "completed", "{attempt:?}");
    ensure!(attempt.upstream_status == Some(200) && attempt.first_event_ms.is_some() && attempt.ranking == 0);
    let summary = &decision.summary;
    ensure!((summary.outcome.as_str(), summary.status, summary.attempts) == ("completed", Some(200), 1));
    ensure!(summary.model == "gpt-5.5" && summary.client == "local" && decision.streaming);
    ensure!(decision.usage.is_some_and(|usage| usage.input > 0) && decision.route == "/v1/responses");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_policies_under_traffic_drops_nothing() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let one = async |nth: usize| -> Result<()> {
        let answer = gateway.ask(&turn(&format!("stream {} events, pause 1 ms", 1 + nth % 7))).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        completed(&events_of(&answer.text())?)
    };
    let traffic = async {
        let answers = futures_util::stream::iter((0..400).map(one)).buffer_unordered(8);
        answers.collect::<Vec<Result<()>>>().await.into_iter().collect::<Result<Vec<()>>>()
    };
    let mut switches = 0;
    let switching = async {
        for policy in POLICIES.iter().cycle() {
            admin.choose_policy(policy).await?;
            switches += 1;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        served = traffic => assert_eq!(served?.len(), 400),
        failed = switching => failed?,
    }
    assert!(switches > 20, "{switches} switches");
    let metrics = gateway.metrics().await?;
    for language in ["builtin", "rhai", "wasm"] {
        let ranked =
            metrics.sum("switchyard_rankings_total", &[&format!("language=\"{language}\""), "fallback=\"\""]);
        assert!(ranked > 0.0, "{language} never ranked");
    }
    assert_eq!(metrics.sum("switchyard_rankings_total", &[]), 400.0, "one ranking each, none by a fallback");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_does_not_exist_is_refused_and_the_old_one_stays() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    for (body, status, code) in [
        (json!({ "id": "rhai:nothing" }), 422, "invalid_field"),
        (json!({ "id": "" }), 422, "invalid_field"),
        (json!({ "id": 7 }), 422, "invalid_body"),
        (json!({}), 422, "invalid_body"),
        (json!({ "id": "wasm:headroom", "more": 1 }), 422, "invalid_body"),
    ] {
        let answer = admin.call(Method::PUT, "/policy", Some(&body)).await?;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{body}");
    }
    assert_eq!(gateway.running.gateway.policy().version().id(), POLICIES[0]);
    gateway.stop().await
}

fn conversation(key: &str, turn_number: usize) -> Value {
    let text = format!("turn {turn_number} of {key}. {}", "What was said before stays the same. ".repeat(40));
    json!({ "model": "gpt-5.5", "input": text, "stream": true, "prompt_cache_key": key })
}

/// A conversation stays on its account, whichever policy decides, and its prompt is read from the cache there.
#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_stays_where_its_cache_is() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    quotas_known(&gateway).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    for policy in POLICIES {
        admin.choose_policy(policy).await?;
        let mut homes: HashMap<String, String> = HashMap::new();
        for number in 0..3 {
            for conversation_number in 0..9 {
                let key = format!("{policy}-{conversation_number}");
                let answer = gateway.ask(&conversation(&key, number)).await?;
                assert_eq!(answer.status, 200, "{}", answer.text());
                let decision = gateway.decision(&answer.headers)?;
                let served_by = decision.attempts[0].account_name.to_string();
                let home = homes.entry(key.clone()).or_insert_with(|| served_by.clone());
                assert_eq!(*home, served_by, "{key} moved in turn {number}");
                let cached = decision.usage.context("no usage")?.input_cached;
                assert_eq!(cached > 0, number > 0, "{key} in turn {number}: {cached} cached");
            }
        }
        let used: HashSet<&String> = homes.values().collect();
        assert_eq!(used.len(), 3, "{policy}: conversations are spread over the pool");
    }
    for account in 0..3 {
        assert!(gateway.lab.stats(account).context("no account")?.cached_tokens > 0);
    }
    gateway.stop().await
}

/// The header that a Codex client names its conversation with counts as well.
#[tokio::test(flavor = "multi_thread")]
async fn the_session_header_names_a_conversation() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    for name in ["session-id", "session_id", "x-session-id", "x-codex-session-id", "x-codex-conversation-id"]
    {
        let mut homes = HashSet::new();
        for _ in 0..4 {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static("mine"))]);
            let answer = gateway.post_to("/v1/responses", headers, turn("x").to_string()).await?;
            let answer = Answer::read(answer).await?;
            homes.insert(gateway.decision(&answer.headers)?.attempts[0].account_name.to_string());
            // Others in between, so that staying is no accident.
            gateway.ask(&turn("somebody else")).await?;
        }
        assert_eq!(homes.len(), 1, "{name}: {homes:?}");
    }
    gateway.stop().await
}

fn codex_turn(session: &str, state: Option<&str>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("originator", HeaderValue::from_static("codex_exec"));
    headers.insert("session-id", HeaderValue::from_str(session)?);
    if let Some(state) = state {
        headers.insert("x-codex-turn-state", HeaderValue::from_str(state)?);
    }
    Ok(headers)
}

/// The turn state is bound to the account that made it: it goes back there, and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn turn_state_never_reaches_another_account() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let body = json!({ "model": "gpt-5.5", "input": [], "stream": true, "store": false }).to_string();
    let ask = async |session: &str, state: Option<&str>| {
        let sent = gateway.post_to("/v1/responses", codex_turn(session, state)?, body.clone()).await?;
        let answer = Answer::read(sent).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        Ok(answer)
    };
    let mut returned = 0;
    for nth in 0..12 {
        let session = format!("session-{nth}");
        let first = ask(&session, None).await?;
        let state = first.header("x-codex-turn-state").context("no turn state")?.to_owned();
        let home = gateway.decision(&first.headers)?.attempts[0].account.clone();
        let second = ask(&session, Some(&state)).await?;
        assert_eq!(gateway.decision(&second.headers)?.attempts[0].account, home);
        returned += usize::from(second.header("x-codex-turn-state") == Some(state.as_str()));

        // Its account cannot now: another one takes over, without the state.
        let limited = Fault::RateLimited429 { with_code: true, retry_after: Some(5) };
        gateway.lab.script(FaultRule::new(limited).on(Route::Responses).once());
        let third = ask(&session, Some(&state)).await?;
        assert_eq!(gateway.decision(&third.headers)?.attempts.len(), 2);
        // A stranger's session with this state is nobody's.
        ask(&format!("stolen-{nth}"), Some(&state)).await?;
        gateway.lab.advance(Duration::from_secs(10));
    }
    assert_eq!(returned, 12, "at home it arrives");
    let foreign: u64 =
        (0..3).filter_map(|one| gateway.lab.stats(one)).map(|stats| stats.foreign_turn_states).sum();
    assert_eq!(foreign, 0);
    gateway.stop().await
}

/// Decisions are listed, filtered by account, and bounded.
#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_listed_and_filtered() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    quotas_known(&gateway).await?;
    for _ in 0..8 {
        gateway.ask(&turn("x")).await?;
    }
    let list = async |query: &str| -> Result<Vec<gateway_api::DecisionSummary>> {
        Ok(serde_json::from_value(admin.get(&format!("/decisions{query}")).await?)?)
    };
    let all = list("").await?;
    assert_eq!(all.len(), 8);
    assert_eq!(list("?limit=3").await?[..], all[..3], "the newest first");
    let account = all[0].account_id.clone().context("no account")?;
    let of_one = list(&format!("?account={account}")).await?;
    assert_eq!(
        of_one,
        all.iter().filter(|one| one.account_id.as_ref() == Some(&account)).cloned().collect::<Vec<_>>()
    );
    assert!((1..8).contains(&of_one.len()));
    for (path, status) in
        [("/decisions/req_unknown", 404), ("/decisions?limit=many", 400), ("/decisions?color=red", 400)]
    {
        assert_eq!(admin.call(Method::GET, path, None).await?.status, status, "{path}");
    }
    gateway.stop().await
}
