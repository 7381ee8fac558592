//! Getting in and out.

use anyhow::Result;
use switchyard_tests::PASSWORD;

use super::Site;
use super::page::id;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_visitor_sets_the_password_and_comes_back_with_it() -> Result<()> {
    let site = Site::new().await?;
    let page = &site.page;
    page.see("h1", "Welcome to Switchyard").await?;
    page.fill(&id("setup-password"), "short").await?;
    page.click(&id("setup-submit")).await?;
    page.see(".form-error", "at least 8 characters").await?;
    page.fill(&id("setup-password"), PASSWORD).await?;
    page.click(&id("setup-submit")).await?;
    page.see("h1", "Overview").await?;

    // The session outlives a reload.
    page.go("/keys").await?;
    page.see("h1", "Client keys").await?;
    page.click(&id("sign-out")).await?;
    page.see("h1", "Sign in").await?;

    page.sign_in("not the password").await?;
    page.see(".form-error", "This is not the password").await?;
    page.sign_in(PASSWORD).await?;
    // Where one wanted to go.
    page.see("h1", "Client keys").await?;
    // The refused password is in the console as a failed request.
    site.finish(&["/api/admin/login"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_asked_for_without_a_session_comes_after_signing_in() -> Result<()> {
    let site = Site::signed_in().await?;
    let page = &site.page;
    page.browser.client.delete_all_cookies().await?;
    page.go("/decisions").await?;
    page.see("h1", "Sign in").await?;
    page.sign_in(PASSWORD).await?;
    page.see("h1", "Decisions").await?;
    site.finish(&[]).await
}
