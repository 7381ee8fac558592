//! Why a request went where it went.

use anyhow::{Context, Result};
use serde_json::json;

use super::Site;
use super::page::id;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_explains_itself() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    // Known windows, so that there is a reason.
    page.see_count(&id("window-bar"), 6).await?;
    let request = site.served("why").await?;
    page.see_count(&id("decision-row"), 1).await?;
    page.click(&format!("{} a.row-link", id("decision-row"))).await?;
    page.see("h1", "Why this account").await?;
    let address = page.browser.client.current_url().await?;
    assert_eq!(address.path(), format!("/decisions/{request}"));

    let sentence = page.see(&id("decision-sentence"), "served this request").await?;
    assert!(sentence.contains("grace"), "{sentence}");
    assert!(sentence.to_lowercase().contains("best on balance"), "{sentence}");

    page.see_count(&id("candidate-row"), 3).await?;
    let rows = page.texts(&id("candidate-row")).await?;
    for ((row, rank), name) in rows.iter().zip(["1", "2", "3"]).zip(["grace", "ada", "team"]) {
        assert!(row.starts_with(rank) && row.contains(name), "rank {rank} is {name}: {row}");
    }
    let first = rows.first().context("no row")?;
    assert!(first.contains("chosen"), "{first}");
    assert!(first.contains("8%") && first.contains("21%"), "the windows are missing: {first}");
    page.see_count(&id("attempt-row"), 1).await?;
    page.see(&id("attempt-row"), "status 200").await?;
    let facts = page.see("dl.facts", "Request id").await?;
    assert!(facts.contains(&request) && facts.contains("/v1/responses"), "{facts}");
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_failed_says_so() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    let answer = site.turn(&json!({ "model": "no-such-model", "input": "x", "stream": true }), None).await?;
    assert_eq!(answer.status, 404);
    let request = answer.header("x-request-id").context("no id")?.to_owned();
    page.go("/decisions").await?;
    page.see(&id("decision-row"), "no-such-model").await?;
    page.go(&format!("/decisions/{request}")).await?;
    page.see(&id("decision-sentence"), "failed").await?;
    assert_eq!(page.attribute(&id("decision-sentence"), "data-tone").await?.as_deref(), Some("bad"));
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_can_be_narrowed_to_one_account() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    page.see_count(&id("window-bar"), 6).await?;
    for text in ["one", "two", "three"] {
        site.served(text).await?;
    }
    page.go("/decisions").await?;
    page.see_count(&id("decision-row"), 3).await?;
    let option = |name: &str| {
        let find = "return [...document.querySelectorAll('#account-filter option')]
            .find(one => one.innerText.includes(arguments[0]))?.value ?? null";
        page.script(find, vec![name.into()])
    };
    page.see("#account-filter", "team").await?;
    let (grace, team) = (option("grace").await?, option("team").await?);
    page.choose("#account-filter", team.as_str().context("no option")?).await?;
    page.see_gone(&id("decision-row")).await?;
    page.choose("#account-filter", grace.as_str().context("no option")?).await?;
    page.see_count(&id("decision-row"), 3).await?;
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_lead_nowhere_say_so() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    page.go("/no/such/page").await?;
    page.see("h1", "No such page").await?;
    page.click("main a[href='/']").await?;
    page.see("h1", "Overview").await?;
    page.go("/decisions/req_unknown").await?;
    page.see("[role=alert]", "Not found").await?;
    site.finish(&["/api/admin/decisions/req_unknown"]).await
}
