//! One account: its page, pausing, renaming, deleting, and adding one.

use anyhow::{Context, Result};

use super::Site;
use super::page::id;

/// Opens the page of the account with this name from the overview.
async fn open(site: &Site, name: &str) -> Result<()> {
    let page = &site.page;
    page.see_count(&id("account-row"), 3).await?;
    let find = "return [...document.querySelectorAll('[data-testid=account-row]')]
        .find(row => row.innerText.includes(arguments[0]))?.dataset.accountId ?? null";
    let account = page.script(find, vec![name.into()]).await?;
    let account = account.as_str().context("no such row")?;
    page.click(&format!("[data-account-id=\"{account}\"] {}", id("account-name"))).await?;
    page.see("h1", name).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_page_shows_windows_tokens_and_what_it_served() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    // The emptiest of the pool.
    site.served("hello").await?;
    open(&site, "grace").await?;
    page.see_count(&id("window-bar"), 2).await?;
    let facts = page.see("dl.facts", "Access token ends").await?;
    assert!(facts.contains("acc-lab-grace"), "{facts}");
    assert!(facts.contains("in 59 min") || facts.contains("in 1 h"), "{facts}");
    page.see(&id("decision-row"), "gpt-5.5").await?;
    // It follows what happens.
    site.served("hello again").await?;
    page.see_count(&id("decision-row"), 2).await?;
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_account_gets_no_requests_until_it_is_resumed() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    open(&site, "grace").await?;
    page.click(&id("account-pause")).await?;
    page.see(&id("account-state"), "Paused").await?;
    page.see(&id("toast"), "Paused").await?;
    page.see(&id("account-pause"), "Resume").await?;

    let request = site.served("without grace").await?;
    page.go(&format!("/decisions/{request}")).await?;
    page.see(&id("decision-sentence"), "ada").await?;

    page.go("/").await?;
    page.see(&id("account-row"), "Paused").await?;
    open(&site, "grace").await?;
    page.click(&id("account-pause")).await?;
    page.see(&id("account-state"), "Healthy").await?;
    let request = site.served("with grace").await?;
    page.go(&format!("/decisions/{request}")).await?;
    page.see(&id("decision-sentence"), "grace").await?;
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_renamed_and_deleted() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    open(&site, "team").await?;
    page.fill(&id("settings-name"), "the team's").await?;
    page.click(&id("settings-save")).await?;
    page.see("h1", "the team's").await?;
    page.click(&id("account-more")).await?;
    page.click(&id("account-delete")).await?;
    page.see("dialog[open]", "Delete the team's?").await?;
    page.click(&format!("dialog[open] {}", id("confirm-action"))).await?;
    page.see("h1", "Accounts").await?;
    page.see_count(&id("account-row"), 2).await?;
    site.finish(&[]).await
}
