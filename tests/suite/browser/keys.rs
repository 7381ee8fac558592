//! Client keys: made, used, revoked.

use anyhow::{Context, Result};
use serde_json::json;

use super::Site;
use super::page::id;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_works_from_its_making_to_its_revoking() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    page.go("/keys").await?;
    page.see("main", "No keys yet").await?;
    page.fill(&id("key-label"), "anna's laptop").await?;
    page.click(&id("key-submit")).await?;
    let key = page.see(&id("key-created"), "sk-sy-").await?;
    page.see_count(&id("key-row"), 1).await?;

    let body = json!({ "model": "gpt-5.5", "input": "hello", "stream": true });
    assert_eq!(site.turn(&body, Some(&key)).await?.status, 200);
    page.go("/decisions").await?;
    page.see(&id("decision-row"), "anna's laptop").await?;

    page.go("/keys").await?;
    let row = page.see(&id("key-row"), "anna's laptop").await?;
    assert!(row.contains(key.get(..10).context("a short key")?), "{row}");
    assert!(!page.text("body").await?.unwrap_or_default().contains(&key), "the key is shown twice");
    page.click(&id("key-revoke")).await?;
    page.see("dialog[open]", "Revoke the key of anna's laptop?").await?;
    page.click(&format!("dialog[open] {}", id("confirm-action"))).await?;
    page.see("main", "No keys yet").await?;
    assert_eq!(site.turn(&body, Some(&key)).await?.status, 401);
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_is_asked_for_and_taken_once() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    page.go("/keys").await?;
    page.click(&id("key-submit")).await?;
    page.see(".form-error", "who the key is for").await?;
    for mistake in [None, Some("A key with this label exists")] {
        page.fill(&id("key-label"), "ci").await?;
        page.click(&id("key-submit")).await?;
        match mistake {
            None => page.see(&id("key-row"), "ci").await?,
            Some(words) => page.see(".form-error", words).await?,
        };
    }
    page.see_count(&id("key-row"), 1).await?;
    // The key that was shown must not look like the result of the try that failed.
    page.see_gone(&id("key-created")).await?;
    site.finish(&["/api/admin/keys"]).await
}
