//! Clients that leave: before the answer, inside it, and right at its end. Whatever they do, the upstream's stream is
//! let go, the place is free again, and the accounting is done once.

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use gateway_core::ports::SettlementRecord;
use gateway_lab::{Fault, FaultRule, Route, Stall};
use serde_json::json;
use switchyard_tests::{InProcess, eventually, turn};

use super::{lab, still_serves};

/// Waits until the lab saw its only account's streams end this way.
async fn abandoned(gateway: &InProcess, count: u64) -> Result<()> {
    eventually("the upstream's streams are let go", async || {
        let streams = gateway.lab.stats(0).context("no account")?.streams;
        Ok((streams.open == 0 && streams.abandoned == count).then_some(()))
    })
    .await
}

async fn idle(gateway: &InProcess) -> Result<()> {
    let inner = gateway.running.gateway.clone();
    eventually("every place is free", async || {
        let leases = inner.with_pool(gateway_scheduler::Pool::in_flight);
        let requests = inner.with_traffic(|traffic| traffic.in_flight);
        Ok((leases == 0 && requests == 0).then_some(()))
    })
    .await
}

/// The settlements, each request once.
async fn settled(gateway: &InProcess, count: usize) -> Result<Vec<SettlementRecord>> {
    let all = gateway.settlements(count).await?;
    let mut ids: Vec<_> = all.iter().map(|one| one.request.as_str().to_owned()).collect();
    ids.sort();
    ids.dedup();
    ensure!(
        ids.len() == all.len() && all.len() == count,
        "{} settlements of {} requests",
        all.len(),
        ids.len()
    );
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_inside_the_stream_frees_everything() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for _ in 0..5 {
        let response = gateway.post(&turn("stream 5000 events, pause 10 ms")).await?;
        let mut chunks = response.bytes_stream();
        chunks.next().await.context("no event")??;
        chunks.next().await.context("no further event")??;
        drop(chunks);
    }
    abandoned(&gateway, 5).await?;
    idle(&gateway).await?;
    for one in settled(&gateway, 5).await? {
        assert_eq!((&*one.outcome, one.status, one.attempts), ("client_gone", 499, 1), "{one:?}");
        assert!(one.first_event_ms.is_some() && one.account.is_some());
    }
    // It was not the account's doing.
    let failures =
        gateway.running.gateway.with_pool(|pool| pool.members().map(|slot| slot.failures).sum::<u64>());
    assert_eq!(failures, 0);
    assert_eq!(gateway.metrics().await?.requests("/v1/responses", "client_gone"), 5.0);
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// The upstream is silent; that a client left must not be found out only at its next event.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_silent_stream_is_noticed() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    gateway.lab.script(FaultRule::new(Fault::StallAfterEvents(5)).on(Route::Responses).once());
    let response = gateway.post(&turn("x")).await?;
    let mut chunks = response.bytes_stream();
    chunks.next().await.context("no event")??;
    drop(chunks);
    abandoned(&gateway, 1).await?;
    idle(&gateway).await?;
    assert_eq!(settled(&gateway, 1).await?[0].outcome, "client_gone");
    gateway.stop().await
}

/// Before anything came: while the upstream thinks, and while a whole object is being collected.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_its_answer_is_noticed() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let silent = FaultRule::new(Fault::StallBeforeHeaders(Stall::Forever)).on(Route::Responses);
    for (rule, body) in [
        (Some(silent.clone()), turn("x")),
        (Some(silent), json!({ "model": "gpt-5.5", "input": "x", "stream": false })),
        (None, json!({ "model": "gpt-5.5", "input": "stream 5000 events, pause 10 ms", "stream": false })),
    ] {
        gateway.lab.clear_faults();
        if let Some(rule) = rule {
            gateway.lab.script(rule);
        }
        let before = gateway.lab.requests().len();
        let impatient = gateway.http.clone();
        let request = impatient.post(format!("{}/v1/responses", gateway.url)).body(body.to_string());
        let asking = tokio::spawn(request.header("content-type", "application/json").send());
        eventually(
            "the turn is upstream",
            async || Ok((gateway.lab.requests().len() > before).then_some(())),
        )
        .await?;
        asking.abort();
        idle(&gateway).await?;
    }
    for one in settled(&gateway, 3).await? {
        assert_eq!((&*one.outcome, one.attempts), ("client_gone", 1), "{one:?}");
    }
    gateway.lab.clear_faults();
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// Codex hangs up on the last event without reading to the end: the turn is complete all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_on_the_last_event_was_served() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for fault in [None, Some(Fault::Dribble(16))] {
        if let Some(fault) = fault {
            gateway.lab.script(FaultRule::new(fault).on(Route::Responses).once());
        }
        let response = gateway.post(&turn("hello")).await?;
        let mut chunks = response.bytes_stream();
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains("event: response.completed\n") {
            read.extend_from_slice(&chunks.next().await.context("it ended early")??);
        }
        drop(chunks);
    }
    idle(&gateway).await?;
    for one in settled(&gateway, 2).await? {
        assert_eq!((&*one.outcome, one.status), ("completed", 200), "{one:?}");
        assert!(one.usage.is_some_and(|usage| usage.input > 0 && usage.output > 0), "{one:?}");
    }
    gateway.stop().await
}

/// Many at once, leaving at every point of the stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_leaves_at_random_leaves_nothing_behind() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let leave = async |nth: u64| -> Result<()> {
        let response = gateway.post(&turn("stream 40 events, pause 2 ms")).await?;
        ensure!(response.status() == 200, "{}", response.status());
        let mut chunks = response.bytes_stream();
        for _ in 0..nth % 45 {
            if chunks.next().await.transpose()?.is_none() {
                break;
            }
        }
        Ok(())
    };
    let crowd = futures_util::stream::iter((0..120).map(|nth| leave(nth * 7)));
    let left: Vec<Result<()>> = crowd.buffer_unordered(24).collect().await;
    left.into_iter().collect::<Result<()>>()?;
    idle(&gateway).await?;
    let settled = settled(&gateway, 120).await?;
    let gone = settled.iter().filter(|one| one.outcome == "client_gone").count();
    let done = settled.iter().filter(|one| one.outcome == "completed").count();
    assert_eq!(gone + done, 120);
    assert!(gone > 60, "{gone} left");
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// What is settled: everything once, with its account, its tokens, its times and its outcome.
#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_in_the_ledger_with_what_it_cost() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    gateway.ask(&turn("hello")).await?;
    gateway.ask(&json!({ "model": "gpt-5.5", "input": "hello" })).await?;
    gateway.ask(&json!({ "model": "gpt-5.5" })).await?;
    gateway.lab.script(FaultRule::new(Fault::CutAfterEvents(7)).on(Route::Responses).once());
    gateway.ask(&turn("cut")).await?;
    let all = settled(&gateway, 4).await?;
    let of = |outcome: &str| all.iter().filter(|one| one.outcome == outcome).collect::<Vec<_>>();
    for one in of("completed") {
        let usage = one.usage.context("no usage")?;
        assert!(usage.input > 0 && usage.output > usage.reasoning && usage.reasoning > 0, "{usage:?}");
        assert_eq!((&*one.client, &*one.model, one.status), ("local", "gpt-5.5", 200));
        assert!(one.account.is_some() && one.first_event_ms.is_some());
    }
    let [invalid] = of("invalid_request")[..] else { anyhow::bail!("{all:?}") };
    assert_eq!((invalid.status, invalid.attempts, &invalid.account), (400, 0, &None));
    let [cut] = of("stream_incomplete")[..] else { anyhow::bail!("{all:?}") };
    assert_eq!((cut.status, cut.attempts, cut.usage), (200, 1, None));
    let billed: u64 = (0..2).filter_map(|one| gateway.lab.stats(one)).map(|stats| stats.output_tokens).sum();
    let settled: u64 = all.iter().filter_map(|one| one.usage).map(|usage| usage.output).sum();
    assert!(settled > 0 && settled <= billed, "{settled} of {billed}");
    gateway.stop().await
}
