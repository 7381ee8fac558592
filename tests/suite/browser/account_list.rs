//! The list of all accounts: filters, pages, several at once.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use switchyard_tests::eventually;

use super::lab_site::LabSite;
use super::page::id;

/// Adds this many accounts, every second of them in a group, every third with a tag.
async fn fill(site: &LabSite, number: usize) -> Result<()> {
    for at in 0..number {
        let group = if at % 2 == 0 { json!(["even"]) } else { json!([]) };
        let tag = if at % 3 == 0 { json!(["third"]) } else { json!([]) };
        site.add_key(&format!("key {at}"), &json!({ "groups": group, "tags": tag })).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_and_are_kept_on_the_way_back() -> Result<()> {
    let site = LabSite::start(1).await?;
    let page = &site.page;
    fill(&site, 12).await?;
    page.click("nav a[href='/accounts']").await?;
    page.see("h1", "Accounts").await?;
    page.see_count(&id("account-row"), 13).await?;
    page.choose(&id("filter-kind"), "openai").await?;
    page.see_count(&id("account-row"), 12).await?;
    page.choose(&id("filter-group"), "even").await?;
    page.see_count(&id("account-row"), 6).await?;
    page.choose(&id("filter-tag"), "third").await?;
    page.see_count(&id("account-row"), 2).await?;
    page.fill(&id("filter-text"), "KEY 6").await?;
    page.see_count(&id("account-row"), 1).await?;

    page.click(&id("account-name")).await?;
    page.see("h1", "key 6").await?;
    page.browser.client.back().await?;
    page.see("h1", "Accounts").await?;
    page.see_count(&id("account-row"), 1).await?;
    assert_eq!(page.script("return document.querySelector('#filter-text').value", vec![]).await?, "KEY 6");

    page.fill(&id("filter-text"), "nobody").await?;
    page.see(&id("none-fits"), "No account fits").await?;
    page.click(&id("filter-clear")).await?;
    page.see_count(&id("account-row"), 13).await?;
    page.choose(&id("filter-state"), "paused").await?;
    page.see(&id("none-fits"), "No account fits").await?;
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn several_are_paused_and_resumed_together() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    fill(&site, 6).await?;
    page.go("/accounts").await?;
    page.see_count(&id("account-row"), 6).await?;
    page.choose(&id("filter-group"), "even").await?;
    page.see_count(&id("account-row"), 3).await?;
    page.click(&id("pick-page")).await?;
    page.see(&id("bulk"), "3 selected").await?;
    page.click(&id("bulk-pause")).await?;
    page.see(&id("toast"), "Paused 3 accounts").await?;
    page.choose(&id("filter-group"), "").await?;
    page.choose(&id("filter-state"), "paused").await?;
    page.see_count(&id("account-row"), 3).await?;
    // The selection outlives the filter.
    page.see(&id("bulk"), "3 selected").await?;
    page.click(&id("bulk-resume")).await?;
    page.see(&id("toast"), "Resumed 3 accounts").await?;
    page.see(&id("none-fits"), "No account fits").await?;
    eventually("everyone serves", async || {
        let accounts = site.accounts().await?;
        Ok(accounts.iter().all(|one| one["state"] == "healthy").then_some(()))
    })
    .await?;
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_shown_in_pages_and_rows_stay_the_same_elements() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    fill(&site, 103).await?;
    // The overview shows the beginning and leads to the rest.
    page.see_count(&id("account-row"), 20).await?;
    page.click(".panel-foot a[href='/accounts']").await?;
    page.see(&id("list-sum"), "1 to 100 of 103").await?;
    page.see_count(&id("account-row"), 100).await?;
    page.click(&id("page-on")).await?;
    page.see(&id("list-sum"), "101 to 103 of 103").await?;
    page.see_count(&id("account-row"), 3).await?;
    // A reload shows the same page.
    let address = page.script("return location.search", vec![]).await?;
    assert_eq!(address, "?page=2");
    page.go(&format!("/accounts{}", address.as_str().context("no text")?)).await?;
    page.see_count(&id("account-row"), 3).await?;

    let mark =
        "document.querySelectorAll('[data-testid=account-row]').forEach(one => one.dataset.mark = '1')";
    page.script(mark, vec![]).await?;
    let accounts = site.accounts().await?;
    let last = accounts.iter().find(|one| one["name"] == "key 102").context("no such account")?;
    let path = format!("/accounts/{}", last["id"].as_str().context("no id")?);
    site.call(Method::PATCH, &path, &json!({ "paused": true })).await?;
    page.see(&id("account-row"), "Paused").await?;
    page.see_count("[data-mark='1']", 3).await?;
    site.finish(&[]).await
}
