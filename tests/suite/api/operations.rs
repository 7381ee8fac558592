//! Going down, coming back, and what is counted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gateway_lab::{Fault, FaultRule, Route};
use serde_json::json;
use switchyard_tests::{Admin, Answer, InProcess, eventually, read_events, turn};

use super::{completed, lab};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_stream_finishes_while_the_gateway_goes_down() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let url = gateway.url.clone();
    gateway.lab.script(FaultRule::new(Fault::SlowEvents(Duration::from_millis(40))).on(Route::Responses));
    let streams =
        [gateway.post(&turn("stream 12 events")).await?, gateway.post(&turn("stream 12 events")).await?];
    let whole = gateway.http.post(format!("{url}/v1/responses")).header("content-type", "application/json");
    let whole = tokio::spawn(whole.body(json!({ "model": "gpt-5.5", "input": "x" }).to_string()).send());
    let running = gateway.running.gateway.clone();
    eventually("all three run", async || Ok((running.with_traffic(|one| one.in_flight) == 3).then_some(())))
        .await?;
    let reading = tokio::spawn(async move {
        for stream in streams {
            completed(&read_events(stream).await?)?;
        }
        anyhow::Ok(())
    });
    let late = reqwest::Client::builder().no_proxy().build()?;
    gateway.stop().await?;
    reading.await??;
    let answer = Answer::read(whole.await??).await?;
    assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("completed")));
    assert!(late.get(format!("{url}/health")).send().await.is_err(), "nothing new is taken");
    Ok(())
}

/// Beyond the grace every stream ends, with an event that says why.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_grace_streams_end_with_an_error_event() -> Result<()> {
    let grace = Duration::from_millis(300);
    let gateway = InProcess::start_with(lab(2), |settings| settings.shutdown_grace = grace).await?;
    let talking = gateway.post(&turn("stream 5000 events, pause 10 ms")).await?;
    gateway.lab.script(FaultRule::new(Fault::StallAfterEvents(6)).on(Route::Responses));
    let silent = gateway.post(&turn("x")).await?;
    let whole =
        gateway.http.post(format!("{}/v1/responses", gateway.url)).header("content-type", "application/json");
    let whole = tokio::spawn(whole.body(json!({ "model": "gpt-5.5", "input": "x" }).to_string()).send());
    let running = gateway.running.gateway.clone();
    eventually("all three run", async || Ok((running.with_traffic(|one| one.in_flight) == 3).then_some(())))
        .await?;
    let begun = Instant::now();
    let reading =
        tokio::spawn(async move { anyhow::Ok((read_events(talking).await?, read_events(silent).await?)) });
    gateway.stop().await?;
    assert!(begun.elapsed() >= grace && begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let (talking, silent) = reading.await??;
    for events in [talking, silent] {
        assert!(events.len() > 5);
        let last = events.last().context("no events")?;
        assert_eq!(last.name, "response.failed");
        assert_eq!(last.data["response"]["error"]["code"], "shutting_down");
    }
    let answer = Answer::read(whole.await??).await?;
    assert_eq!((answer.status, answer.error()?.code.as_str()), (503, "shutting_down"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_learnt_and_chosen_survives_a_restart() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    gateway.lab.set_window(0, 0, 37.0);
    let inner = gateway.running.gateway.clone();
    let used = |gateway: &gateway_core::Gateway| {
        gateway.with_pool(|pool| {
            let windows =
                pool.members().map(|slot| (slot.profile.label.clone(), slot.quota.short.map(|one| one.used)));
            windows.collect::<std::collections::BTreeMap<_, _>>()
        })
    };
    let known = eventually("the quotas are known", async || {
        let used = used(&inner);
        Ok(used.values().all(Option::is_some).then_some(used))
    });
    let known = known.await?;
    assert_eq!(known["ada@example.test"], Some(0.37));
    admin.choose_policy("rhai:usage-balanced").await?;
    gateway.ask(&turn("x")).await?;
    let settled = gateway.settlements(1).await?;

    let gateway = gateway.restarted().await?;
    assert_eq!(gateway.running.gateway.policy().version().id(), "rhai:usage-balanced");
    let now = used(&gateway.running.gateway);
    assert_eq!(now["ada@example.test"], Some(0.37), "known before anybody was asked");
    assert_eq!(gateway.settlements(1).await?, settled);
    let answer = gateway.ask(&turn("x")).await?;
    assert_eq!(gateway.decision(&answer.headers)?.rankings[0].policy.id(), "rhai:usage-balanced");
    gateway.stop().await
}

/// Everything that ends well before the gateway goes down is written before it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn no_settlement_is_lost_on_the_way_down() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let body = turn("x");
    let answers = futures_util::future::join_all((0..100).map(|_| gateway.ask(&body))).await;
    let mut sent: Vec<String> = Vec::new();
    for answer in answers {
        sent.push(answer?.header("x-request-id").context("no id")?.to_owned());
    }
    let gateway = gateway.restarted().await?;
    let mut written: Vec<String> =
        gateway.settlements(100).await?.iter().map(|one| one.request.as_str().to_owned()).collect();
    sent.sort();
    written.sort();
    assert_eq!(sent, written);
    gateway.stop().await
}

/// What the issue names: request counts, durations, time to first event, tokens, the gateway's own share.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happened() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    for _ in 0..3 {
        gateway.ask(&turn("hello")).await?;
    }
    gateway.ask(&json!({ "model": "gpt-5.5", "input": "hello" })).await?;
    gateway.ask(&json!({ "model": "gpt-5.5" })).await?;
    let request = gateway.http.get(format!("{}/metrics", gateway.url)).send().await?;
    let answer = Answer::read(request).await?;
    assert!(
        answer.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text"))
    );
    assert!(answer.text().ends_with("# EOF\n"));
    let metrics = gateway.metrics().await?;
    assert_eq!(metrics.requests("/v1/responses", "completed"), 4.0);
    assert_eq!(metrics.requests("/v1/responses", "invalid_request"), 1.0);
    for (name, count) in [
        ("switchyard_request_duration_seconds_count", 5.0),
        ("switchyard_first_event_seconds_count", 4.0),
        ("switchyard_gateway_overhead_seconds_count", 4.0),
        ("switchyard_ranking_duration_seconds_count", 4.0),
        ("switchyard_requests_in_flight", 0.0),
        ("switchyard_accounts", 2.0),
        ("switchyard_accounts_usable_ratio", 1.0),
        ("switchyard_settlements_dropped_total", 0.0),
    ] {
        assert!(metrics.has(name), "{name} is missing");
        assert_eq!(metrics.sum(name, &[]), count, "{name}");
    }
    let billed = |of: fn(&gateway_lab::AccountStats) -> u64| -> f64 {
        (0..2).filter_map(|account| gateway.lab.stats(account)).map(|stats| of(&stats) as f64).sum()
    };
    let tokens = |kind: &str| metrics.sum("switchyard_tokens_total", &[&format!("kind=\"{kind}\"")]);
    assert_eq!(tokens("input"), billed(|stats| stats.input_tokens));
    assert_eq!(tokens("output"), billed(|stats| stats.output_tokens));
    assert!(tokens("output") > tokens("reasoning") && tokens("reasoning") > 0.0);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_say_what_they_know() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let get = async |path: &str| {
        Answer::read(gateway.http.get(format!("{}{path}", gateway.url)).send().await?).await
    };
    let health = get("/health").await?;
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("ok")));
    assert!(health.json()["version"].is_string());
    let ready = get("/ready").await?;
    assert_eq!(
        (ready.status, ready.json()),
        (200, json!({ "status": "ready", "database": "ok", "stopping": false }))
    );
    gateway.stop().await
}
