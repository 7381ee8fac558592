//! The pages about accounts and proxies in both themes and all widths: none may scroll sideways. As in `tour`, the
//! pictures are kept for people to look at.

use anyhow::{Context, Result};
use gateway_lab::{ErrorBody, Fault, FaultRule, Route};
use reqwest::Method;
use serde_json::json;

use super::lab_site::LabSite;
use super::page::id;
use super::tour::Tour;

/// A pool with everything that a row can show.
async fn furnish(site: &LabSite) -> Result<String> {
    let settings = json!({
        "groups": ["eu", "paid", "a-group-with-a-rather-long-name"],
        "tags": ["team-a", "needs-review", "night"],
        "notes": "Shared with the team; ask before burning the weekly window.",
        "allowed_models": ["gpt-5*", "o4-mini"],
        "headers": { "x-team": "blue" },
    });
    let accounts = site.accounts().await?;
    let first = accounts.first().and_then(|one| one["id"].as_str()).context("nobody")?.to_owned();
    site.call(Method::PATCH, &format!("/accounts/{first}"), &json!({ "settings": settings })).await?;
    site.call(Method::PUT, "/pin", &json!({ "account": first })).await?;
    site.add_key("platform key with a long name that has to break somewhere", &json!({})).await?;
    let long = "socks5h://operator:hush@proxy-with-a-long-name.internal.example.test:1080";
    for (name, url) in [("berlin", "http://10.0.0.5:3128"), ("the long way round", long)] {
        site.call(Method::POST, "/proxies", &json!({ "name": name, "url": url, "groups": ["eu"] })).await?;
    }
    let limit = ErrorBody::named("usage_limit_reached").context("the lab lost a row")?;
    site.lab.script(FaultRule::new(limit).on(Route::Responses).once());
    site.lab.script(FaultRule::new(Fault::CutAfterEvents(6)).on(Route::Responses).skip(1).once());
    for text in ["moved", "broken", "served"] {
        let body = json!({ "model": "gpt-5.5", "input": text, "stream": true });
        let turn = site.http.post(format!("{}/v1/responses", site.gateway.url)).body(body.to_string());
        // A broken one breaks here.
        drop(turn.header("content-type", "application/json").send().await?.bytes().await);
    }
    Ok(first)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_about_the_pool_fits_every_screen() -> Result<()> {
    let mut site = LabSite::start(0).await?;
    site.page.see(&id("no-accounts"), "Add your first account").await?;
    for account in 0..3 {
        site.import(account).await?;
    }
    let first = furnish(&site).await?;
    let page = site.page;
    let tour = Tour::new(page)?;
    tour.visit("accounts", "/accounts", (&id("account-row"), "Cooling")).await?;
    tour.page.click(&id("pick-page")).await?;
    tour.look("accounts-picked", (&id("bulk"), "4 selected")).await?;
    tour.visit("accounts-none", "/accounts?q=nobody", (&id("none-fits"), "No account fits")).await?;
    tour.visit("account-settings", &format!("/accounts/{first}"), (&id("settings"), "Header overrides"))
        .await?;
    tour.page.click(&id("account-more")).await?;
    tour.look("account-menu", (&id("account-export"), "Export")).await?;

    tour.visit("add-account", "/accounts/new", ("h1", "Add account")).await?;
    tour.page.click(&id("sign-in-browser")).await?;
    tour.page.see_count(&id("sign-in-flow"), 1).await?;
    tour.page.click(&id("sign-in-device")).await?;
    tour.page.see_count(&id("sign-in-flow"), 2).await?;
    tour.look("add-account-waiting", (&id("sign-in-code"), "-")).await?;
    tour.visit("add-key", "/accounts/new/key", (&id("key-add"), "Add account")).await?;
    tour.page.click("label:has([data-testid=kind-openai-compatible])").await?;
    tour.page.click(&id("key-add")).await?;
    tour.look("add-key-mistake", (".form-error", "Give it a name")).await?;
    tour.visit("import", "/accounts/new/import", (&id("import-preview"), "Preview")).await?;
    let known = site.lab.issue_auth_json(0).context("no account")?;
    tour.page.fill(&id("import-text"), &format!("[{known},{{\"tokens\":{{}}}},{known}]")).await?;
    tour.page.click(&id("import-preview")).await?;
    tour.look("import-preview", (&id("import-row"), "skipped")).await?;
    tour.visit("proxies", "/proxies", (&id("proxy-row"), "berlin")).await?;
    tour.page.click(&id("proxy-edit")).await?;
    tour.look("proxies-edit", ("dialog[open]", "Edit")).await?;
    site.page = tour.page;
    site.finish(&[]).await
}
