//! Accounts that are opened by a key: added, tried, and refused beside the right field.

use anyhow::Result;
use gateway_lab::OPENAI_KEY;

use super::lab_site::LabSite;
use super::page::id;

const START: &str = "/accounts/new/key";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_added_and_tried_at_once() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    page.go(START).await?;
    page.fill(&id("key-name"), "platform").await?;
    page.fill(&id("key-key"), OPENAI_KEY).await?;
    page.click(&id("key-add")).await?;
    page.see(&id("key-added"), "Added platform").await?;
    let tested = page.see(&id("test-result"), "Answered in").await?;
    assert!(tested.contains("model"), "{tested}");
    // The key is kept nowhere on the page.
    assert_eq!(page.script("return document.querySelector('#key-key').value", vec![]).await?, "");

    page.fill(&id("key-name"), "platform").await?;
    page.fill(&id("key-key"), OPENAI_KEY).await?;
    page.click(&id("key-add")).await?;
    // A name may come twice; the second gets a number.
    page.see(&id("key-added"), "Added platform 2").await?;

    page.go("/accounts").await?;
    let row = page.see(&id("account-row"), "platform 2").await?;
    assert!(row.contains("OpenAI") && row.contains("No windows"), "{row}");
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_stand_beside_their_field_and_have_the_focus() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    page.go(START).await?;
    page.click(&id("key-add")).await?;
    page.see("#key-name-note .form-error", "Give it a name").await?;
    page.fill(&id("key-name"), "local").await?;
    page.click(&id("key-add")).await?;
    page.see("#key-key-note .form-error", "Paste the key").await?;
    let focused = "return document.activeElement.id";
    assert_eq!(page.script(focused, vec![]).await?, "key-key");

    page.click("label:has([data-testid=kind-openai-compatible])").await?;
    page.see_gone(".form-error").await?;
    page.click(&id("key-add")).await?;
    page.see("#key-url-note .form-error", "Say where it is").await?;
    // Only the gateway knows this one.
    page.fill(&id("key-url"), "http://user:secret@127.0.0.1:9").await?;
    page.click(&id("key-add")).await?;
    page.see("#key-url-note .form-error", "carries no password").await?;
    assert!(site.accounts().await?.is_empty());
    site.finish(&["/api/admin/accounts/keys"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_added_and_said_to_be_silent() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    page.go(START).await?;
    page.click("label:has([data-testid=kind-openai-compatible])").await?;
    page.fill(&id("key-name"), "vllm").await?;
    // The port of discarding: nobody listens there.
    page.fill(&id("key-url"), "http://127.0.0.1:9/v1").await?;
    page.click("label:has([data-testid=dialect-openai-chat])").await?;
    page.click(&id("key-add")).await?;
    page.see(&id("test-result"), "The test failed").await?;
    page.click(&format!("{} a", id("key-added"))).await?;
    page.see("h1", "vllm").await?;
    let facts = page.see("dl.facts", "http://127.0.0.1:9/v1").await?;
    assert!(facts.contains("OpenAI Chat Completions"), "{facts}");
    site.finish(&["/test"]).await
}
