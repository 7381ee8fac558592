//! Signing in with ChatGPT: the browser that comes back, the one that cannot, the code on another device, and the ends
//! that are no success.

use anyhow::{Context, Result};
use switchyard_tests::eventually;

use super::lab_site::LabSite;
use super::page::id;

const START: &str = "/accounts/new";

/// The address behind the link to the issuer.
async fn link(site: &LabSite) -> Result<String> {
    site.page.see_count(&id("sign-in-link"), 1).await?;
    site.page.attribute(&id("sign-in-link"), "href").await?.context("no address")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_comes_back_adds_the_account() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    page.see(&id("no-accounts"), "Add your first account").await?;
    page.click("a.way[href='/accounts/new']").await?;
    page.see("h1", "Add account").await?;
    page.fill(&id("sign-in-name"), "ada at work").await?;
    page.click(&id("sign-in-browser")).await?;
    let to = site.sent_to(&link(&site).await?).await?;
    let back = site.http.get(&to).send().await?;
    assert!(back.text().await?.contains("Signed in"));
    page.see(&id("toast"), "ada at work was added").await?;
    page.see(&id("sign-in-ended"), "ada at work is in the pool").await?;
    page.click("[data-testid=sign-in-ended] a").await?;
    page.see("h1", "ada at work").await?;
    page.see("dl.facts", "acc-lab-ada").await?;
    assert_eq!(site.accounts().await?.len(), 1);
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_come_back_is_pasted() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    site.lab.sign_in_as(1);
    page.go(START).await?;
    page.click(&id("sign-in-browser")).await?;
    let to = site.sent_to(&link(&site).await?).await?;

    page.click(&id("sign-in-finish")).await?;
    page.see(".form-error", "Paste the address").await?;
    page.fill(&id("sign-in-address"), "https://auth.example.test/log-in").await?;
    page.click(&id("sign-in-finish")).await?;
    page.see(".form-error", "no state=").await?;

    // A reload in the middle loses nothing.
    page.go(START).await?;
    page.see(&id("sign-in-flow"), "Sign in with the browser").await?;
    page.fill(&id("sign-in-address"), &to).await?;
    page.click(&id("sign-in-finish")).await?;
    page.see(&id("sign-in-ended"), "grace@example.test is in the pool").await?;
    // It is good once.
    assert_eq!(site.accounts().await?.len(), 1);
    page.go("/accounts").await?;
    page.see(&id("account-row"), "grace@example.test").await?;
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_typed_on_another_device() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    page.go(START).await?;
    page.click(&id("sign-in-device")).await?;
    let code = page.see(&id("sign-in-code"), "-").await?;
    assert!(site.lab.waiting_devices().contains(&code), "{code}");
    page.see(&id("sign-in-flow"), "ends in 14 min").await?;

    page.go(START).await?;
    page.see(&id("sign-in-code"), &code).await?;
    assert!(site.lab.confirm_device(&code, 2));
    page.see(&id("sign-in-ended"), "edsger@example.test is in the pool").await?;
    // Nobody asked for it, and yet it is there.
    page.go("/accounts").await?;
    page.see(&id("account-row"), "edsger@example.test").await?;
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_and_a_cancelled_one_goes() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    page.go(START).await?;
    site.lab.deny_sign_ins();
    page.click(&id("sign-in-browser")).await?;
    let to = site.sent_to(&link(&site).await?).await?;
    page.fill(&id("sign-in-address"), &to).await?;
    page.click(&id("sign-in-finish")).await?;
    page.see(&id("sign-in-ended"), "refused (access_denied)").await?;

    page.click(&id("sign-in-device")).await?;
    let code = page.see(&id("sign-in-code"), "-").await?;
    page.click(&id("sign-in-cancel")).await?;
    page.see_gone(&id("sign-in-flow")).await?;
    let listed = site.admin.get("/sign-ins").await?;
    assert!(listed.to_string().contains("cancelled"), "{listed}");
    // Typing it now brings nobody in.
    let _typed = site.lab.confirm_device(&code, 0);
    assert!(site.accounts().await?.is_empty());
    site.finish(&["/api/admin/sign-ins/callback"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_account_says_so_and_is_signed_in_again_in_its_place() -> Result<()> {
    let site = LabSite::start(1).await?;
    let page = &site.page;
    let account = site.accounts().await?[0]["id"].as_str().context("no id")?.to_owned();
    site.lab.revoke(0);
    page.go(&format!("/accounts/{account}")).await?;
    page.click(&id("account-more")).await?;
    page.click(&id("account-refresh")).await?;
    page.see(&id("account-state"), "Sign-in needed").await?;
    page.see(&id("sign-in-again"), "As the same person and workspace").await?;

    // Somebody else cannot take its place.
    site.lab.sign_in_as(1);
    page.click(&id("sign-in-browser")).await?;
    let to = site.sent_to(&link(&site).await?).await?;
    page.fill(&id("sign-in-address"), &to).await?;
    page.click(&id("sign-in-finish")).await?;
    page.see(&id("sign-in-ended"), "another person's sign-in").await?;

    site.lab.sign_in_as(0);
    page.click(&id("sign-in-browser")).await?;
    let to = site.sent_to(&link(&site).await?).await?;
    page.fill(&id("sign-in-address"), &to).await?;
    page.click(&id("sign-in-finish")).await?;
    page.see(&id("toast"), "is signed in again").await?;
    page.see(&id("account-state"), "Healthy").await?;
    page.see_gone(&id("sign-in-again")).await?;
    eventually("the same account, healthy", async || {
        let accounts = site.accounts().await?;
        Ok((accounts.len() == 1 && accounts[0]["id"] == account.as_str()).then_some(()))
    })
    .await?;
    site.finish(&["/refresh", "/api/admin/sign-ins/callback"]).await
}
