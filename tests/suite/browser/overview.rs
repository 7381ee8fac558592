//! The overview: the pool, the live figures, the policy.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use switchyard_tests::eventually;

use super::Site;
use super::page::{Page, id};

/// The first of the figures: requests since the start.
const REQUESTS: &str = ".figures .figure:first-child .figure-value";

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_shows_its_accounts_with_windows_and_states() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    page.see_count(&id("account-row"), 3).await?;
    let names = page.texts(&id("account-name")).await?;
    for name in ["ada", "grace", "team"] {
        assert!(names.iter().any(|shown| shown.contains(name)), "{name} is not among {names:?}");
    }
    // Two windows each, as soon as the upstream was asked.
    page.see_count(&id("window-bar"), 6).await?;
    let rows = page.texts(&id("account-row")).await?;
    for (name, used) in [("ada", ["62%", "35%"]), ("grace", ["8%", "21%"]), ("team", ["90%", "74%"])] {
        let row = rows.iter().find(|row| row.contains(name)).context("no row")?;
        assert!(used.iter().all(|used| row.contains(used)), "{name}: {row}");
        // Nine tenths of a window are gone: still used, but no longer at its best.
        let state = if name == "team" { "Degraded" } else { "Healthy" };
        assert!(row.contains(state), "{name}: {row}");
        assert!(row.contains("resets in"), "{name}: {row}");
    }
    let level = page.script(
        "return [...document.querySelectorAll('[role=meter]')].map(one => [one.ariaValueNow, one.dataset.level])",
        Vec::new(),
    );
    let levels = level.await?;
    assert!(levels.as_array().context("no meters")?.contains(&json!(["90", "high"])), "{levels}");
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_and_decisions_move_without_a_reload() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    page.see("p", "Point a client at this gateway").await?;
    page.see(REQUESTS, "0").await?;
    page.see(&id("rps"), "0").await?;
    page.script("window.isTheSamePage = true", Vec::new()).await?;

    let request = site.served("hello").await?;
    page.see(REQUESTS, "1").await?;
    page.see_count(&id("decision-row"), 1).await?;
    let row = page.see(&id("decision-row"), "Completed").await?;
    assert!(row.contains("gpt-5.5") && row.contains("local"), "{row}");
    assert_eq!(page.attribute(&id("decision-row"), "data-request-id").await?, Some(request));
    eventually("requests per second above zero", async || {
        let shown: f64 = page.text(&id("rps")).await?.unwrap_or_default().parse().unwrap_or(0.0);
        Ok((shown > 0.0).then_some(()))
    })
    .await?;

    for text in ["two", "three"] {
        site.served(text).await?;
    }
    page.see(REQUESTS, "3").await?;
    page.see_count(&id("decision-row"), 3).await?;
    assert_eq!(page.script("return window.isTheSamePage === true", Vec::new()).await?, Value::Bool(true));
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_runs_is_seen_running() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    let slow = json!({ "model": "gpt-5.5", "input": "stream 60 events, pause 50 ms", "stream": true });
    let (answer, seen) = tokio::join!(site.turn(&slow, None), async {
        page.see(&id("account-row"), "1 running").await?;
        page.see(&id("decision-row"), "Running").await?;
        page.see(".pulse-note", "1 running now").await
    });
    seen?;
    assert_eq!(answer?.status, 200);
    page.see(&id("decision-row"), "Completed").await?;
    page.see(".pulse-note", "0 running now").await?;
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_request_is_decided_by_the_policy_that_was_chosen() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    for (policy, name, language) in
        [("wasm:headroom", "headroom", "WASM"), ("rhai:usage-balanced", "usage-balanced", "Rhai")]
    {
        page.go("/").await?;
        // The list is asked for when the page is there.
        page.see(&id("policy-select"), name).await?;
        page.choose(&id("policy-select"), policy).await?;
        page.see(&id("toast"), &format!("{name} decides from now on")).await?;
        let request = site.served("who decides").await?;
        assert_eq!(decided_by(page, &request).await?, format!("by {name} {language}"));
        page.go("/").await?;
        page.see(".policy .tag", language).await?;
    }
    site.finish(&[]).await
}

async fn decided_by(page: &Page, request: &str) -> Result<String> {
    page.go(&format!("/decisions/{request}")).await?;
    let text = page.see(".ranking-by", "by").await?;
    // `in 12 µs` follows.
    let words: Vec<&str> = text.split_whitespace().take(3).collect();
    Ok(words.join(" "))
}
