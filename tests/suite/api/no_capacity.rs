//! Nobody can serve: no account, all paused, all cooling, all exhausted, the upstream away.

use std::time::Duration;

use anyhow::{Context, Result};
use gateway_domain::AccountState;
use gateway_lab::{Fault, FaultRule, Route};
use reqwest::Method;
use serde_json::json;
use switchyard_tests::{Admin, Answer, InProcess, OpenAiError, turn};

use super::{NOW, lab, still_serves};

/// Asks in both forms and expects the same refusal.
async fn refused(gateway: &InProcess, status: u16, code: &str) -> Result<(Answer, OpenAiError)> {
    let mut last = None;
    for stream in [true, false] {
        let answer = gateway.ask(&json!({ "model": "gpt-5.5", "input": "x", "stream": stream })).await?;
        let error = answer.error()?;
        assert_eq!((answer.status, error.code.as_str()), (status, code), "{error:?}");
        assert!(answer.header("x-request-id").is_some());
        last = Some((answer, error));
    }
    last.context("unreachable")
}

fn whole_seconds(answer: &Answer) -> Result<u64> {
    answer.header("retry-after").context("no retry-after")?.parse().context("retry-after is no whole number")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_account_the_answer_says_how_to_add_one() -> Result<()> {
    let gateway = InProcess::start_empty(lab(1), |_| {}).await?;
    let (_, error) = refused(&gateway, 503, "no_account").await?;
    assert_eq!(error.kind, "server_error");
    assert!(error.message.contains("switchyard account import"), "{}", error.message);
    assert_eq!(gateway.metrics().await?.requests("/v1/responses", "no_account"), 2.0);
    // The model lists are there, and empty.
    let list = gateway.http.get(format!("{}/v1/models", gateway.url)).send().await?;
    assert_eq!(Answer::read(list).await?.json(), json!({ "object": "list", "data": [] }));
    gateway.import(0).await?;
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_accounts_serve_nobody() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let inner = gateway.running.gateway.clone();
    for id in inner.accounts().keys() {
        inner.set_account_state(id, AccountState::Paused).await?;
    }
    refused(&gateway, 503, "no_account").await?;
    let one = inner.accounts().keys().next().cloned().context("no account")?;
    inner.set_account_state(&one, AccountState::Active).await?;
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn exhausted_accounts_say_when_they_reset() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    for account in 0..2 {
        gateway.lab.set_window(account, 0, 100.0);
    }
    // The first answer is the upstream's own; from then on the gateway knows.
    let (answer, _) = refused(&gateway, 429, "usage_limit_reached").await?;
    assert_eq!(whole_seconds(&answer)?, 18_000);
    let (answer, error) = refused(&gateway, 429, "usage_limit_reached").await?;
    assert_eq!(error.kind, "usage_limit_reached", "Codex reads the type");
    assert_eq!(error.object["resets_at"], NOW + 18_000);
    assert_eq!(error.object["resets_in_seconds"], 18_000);
    assert_eq!(whole_seconds(&answer)?, 18_000);
    assert_eq!(gateway.decision(&answer.headers)?.attempts.len(), 0, "nobody was asked again");
    // When the window opens, they are back.
    gateway.lab.advance(Duration::from_secs(18_001));
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn cooling_accounts_say_how_long() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let limited = Fault::RateLimited429 { with_code: true, retry_after: Some(40) };
    let rule = gateway.lab.script(FaultRule::new(limited).on(Route::Responses));
    let answer = gateway.ask(&turn("x")).await?;
    assert_eq!((answer.status, answer.error()?.code.as_str()), (429, "rate_limit_exceeded"));
    assert_eq!(whole_seconds(&answer)?, 40);
    assert_eq!(gateway.lab.fired(rule), 3, "all were tried once");
    gateway.lab.advance(Duration::from_secs(10));
    let (answer, error) = refused(&gateway, 429, "all_accounts_cooling").await?;
    assert_eq!(error.kind, "rate_limit_error");
    assert_eq!(whole_seconds(&answer)?, 30);
    assert_eq!(error.object["resets_at"], NOW + 40);
    assert!(error.message.contains("in 30 s"), "{}", error.message);
    assert_eq!(gateway.lab.fired(rule), 3, "nobody was asked while they cool");
    gateway.lab.clear_faults();
    gateway.lab.advance(Duration::from_secs(31));
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_away_is_a_bad_gateway() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    for fault in [Fault::RefuseConnection, Fault::DropAnswer] {
        let rule = gateway.lab.script(FaultRule::new(fault.clone()).on(Route::Responses));
        let (answer, error) = refused(&gateway, 502, "upstream_unreachable").await?;
        assert_eq!(error.kind, "server_error");
        let tried = gateway.decision(&answer.headers)?.attempts;
        assert_eq!(tried.len(), 3, "{fault:?}: every account was tried");
        assert!(tried.iter().all(|one| one.outcome.label() == "upstream_unreachable"), "{tried:?}");
        assert_eq!(gateway.lab.fired(rule), 6, "{fault:?}");
        gateway.lab.clear_faults();
        // The network's fault is no account's fault: they serve at once.
        still_serves(&gateway).await?;
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_listen_is_a_bad_gateway() -> Result<()> {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let gateway = InProcess::start_with(lab(2), |settings| {
        settings.chatgpt_url = format!("http://{closed}/backend-api");
    });
    let gateway = gateway.await?;
    let (_, error) = refused(&gateway, 502, "upstream_unreachable").await?;
    assert!(!error.message.contains("127.0.0.1"), "addresses are nobody's business: {}", error.message);
    gateway.stop().await
}

/// More requests at once than all places together: the surplus is told to come back, and nothing is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_says_come_back() -> Result<()> {
    let short = |settings: &mut gateway_app::Settings| settings.queue_wait = Duration::from_millis(50);
    let gateway = InProcess::start_with(lab(1), short).await?;
    let places = gateway_scheduler::DEFAULT_MAX_CONCURRENCY as usize;
    let slow = turn("stream 8 events, pause 60 ms");
    let mut held = Vec::new();
    for _ in 0..places {
        held.push(gateway.post(&slow).await?);
    }
    assert!(held.iter().all(|response| response.status() == 200));
    let answer = gateway.ask(&turn("x")).await?;
    assert_eq!((answer.status, answer.error()?.code.as_str()), (429, "saturated"));
    assert!(whole_seconds(&answer)? >= 1);
    for response in held {
        super::completed(&switchyard_tests::read_events(response).await?)?;
    }
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// Who finds a full house waits for a place, and is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_is_waited_for() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let places = gateway_scheduler::DEFAULT_MAX_CONCURRENCY as usize;
    let slow = turn("stream 8 events, pause 60 ms");
    let crowd = futures_util::future::join_all((0..places + 40).map(|_| gateway.post(&slow))).await;
    for response in crowd {
        super::completed(&switchyard_tests::read_events(response?).await?)?;
    }
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// A burst limit is over in a second, and many clients cannot wait by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_limit_is_waited_for() -> Result<()> {
    let patient = |settings: &mut gateway_app::Settings| settings.burst_wait = Duration::from_secs(5);
    let gateway = InProcess::start_with(lab(1), patient).await?;
    let row = Fault::named("rate_limit_exceeded").context("no such row")?;
    gateway.lab.script(FaultRule::new(row).on(Route::Responses).once());
    let request = turn("x");
    let asking = gateway.ask(&request);
    let passing = async {
        while gateway.lab.requests().iter().all(|seen| !seen.path.contains("responses")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        gateway.lab.advance(Duration::from_secs(60));
    };
    let (answer, ()) = tokio::join!(asking, passing);
    assert_eq!(answer?.status, 200);
    gateway.stop().await
}

/// The operator sees why an account is left alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_cooling_account_shows_its_cause_and_end() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let row = Fault::named("usage_limit_reached").context("no such row")?;
    gateway.lab.script(FaultRule::new(row).on(Route::Responses).once());
    assert_eq!(gateway.ask(&turn("x")).await?.status, 429);
    let accounts = admin.get("/accounts").await?;
    let account = &accounts[0];
    assert_eq!(account["state"], "cooling");
    assert_eq!(account["cooldowns"][0]["cause"], "usage_limit_reached");
    assert_eq!(account["cooldowns"][0]["source"], "upstream reset");
    assert_eq!(account["cooldowns"][0]["until"], (NOW + 3_600) * 1_000);
    let unknown = admin.call(Method::GET, "/accounts/acc_unknown", None).await?;
    assert_eq!(unknown.status, 404);
    gateway.stop().await
}
