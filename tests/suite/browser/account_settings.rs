//! What an operator decides about an account, and does with it.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use switchyard_tests::{Answer, PASSWORD, eventually};

use super::lab_site::LabSite;
use super::page::id;

async fn open(site: &LabSite, account: &str) -> Result<()> {
    site.page.go(&format!("/accounts/{account}")).await?;
    site.page.see(&id("settings"), "Header overrides").await?;
    Ok(())
}

async fn settings(site: &LabSite, account: &str) -> Result<Value> {
    Ok(site.admin.get(&format!("/accounts/{account}")).await?["settings"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_saved_and_come_back() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    let account = site.import(0).await?;
    open(&site, &account).await?;
    for (field, text) in [
        ("settings-name", "ada the first"),
        ("settings-groups", "eu, paid"),
        ("settings-tags", "team-a"),
        ("settings-notes", "hers"),
        ("settings-weight", "2.5"),
        ("settings-priority", "-3"),
        ("settings-concurrency", "7"),
        ("settings-models", "gpt-5*, o4"),
    ] {
        page.fill(&id(field), text).await?;
    }
    page.choose(&id("settings-preference"), "burn_first").await?;
    page.choose(&id("settings-egress"), "direct").await?;
    page.click(&id("settings-warm-up")).await?;
    page.click(&id("settings-save")).await?;
    page.see(&id("toast"), "Saved").await?;
    page.see("h1", "ada the first").await?;

    let stored = settings(&site, &account).await?;
    let expected = json!({
        "notes": "hers", "groups": ["eu", "paid"], "tags": ["team-a"], "weight": 2.5, "priority": -3,
        "preference": "burn_first", "max_concurrency": 7, "allowed_models": ["gpt-5*", "o4"],
        "egress": { "via": "direct" }, "warm_up": true,
    });
    for (name, value) in expected.as_object().context("no object")? {
        assert_eq!(stored[name], *value, "{name}");
    }
    open(&site, &account).await?;
    let shown =
        "return [...document.querySelectorAll('#settings-groups, #settings-weight, #settings-egress')]
        .map(one => one.value)";
    assert_eq!(page.script(shown, vec![]).await?, json!(["eu, paid", "2.5", "direct"]));
    let is_idle = "return document.querySelector('[data-testid=settings-save]').disabled";
    assert_eq!(page.script(is_idle, vec![]).await?, true);
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_said_beside_the_name() -> Result<()> {
    let site = LabSite::start(2).await?;
    let page = &site.page;
    let [first, second] = &*site.accounts().await? else { anyhow::bail!("not two accounts") };
    open(&site, first["id"].as_str().context("no id")?).await?;
    page.fill(&id("settings-name"), second["name"].as_str().context("no name")?).await?;
    page.click(&id("settings-save")).await?;
    page.see("#settings-name-note .form-error", "taken").await?;
    assert_eq!(page.attribute(&id("settings-name"), "aria-invalid").await?.as_deref(), Some("true"));
    assert_eq!(page.script("return document.activeElement.id", vec![]).await?, "settings-name");
    site.finish(&["/api/admin/accounts/"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn header_values_go_in_and_never_come_out() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    let account = site.import(0).await?;
    open(&site, &account).await?;
    page.click(&id("header-add")).await?;
    page.fill(&id("header-name"), "x-team").await?;
    page.click(&id("settings-save")).await?;
    page.see(".form-error", "Give x-team a value").await?;
    page.fill(&id("header-value"), "blue-secret").await?;
    page.click(&id("settings-save")).await?;
    page.see(&id("toast"), "Saved").await?;
    page.see(".header-name", "x-team").await?;
    let holds = "return document.documentElement.outerHTML.includes('blue-secret')
        || [...document.querySelectorAll('input')].some(one => one.value.includes('blue-secret'))";
    assert_eq!(page.script(holds, vec![]).await?, false);
    assert_eq!(settings(&site, &account).await?["headers"], json!(["x-team"]));

    // Refused by the gateway: said where the headers are.
    page.click(&id("header-add")).await?;
    page.fill(&id("header-name"), "host").await?;
    page.fill(&format!("{}[placeholder=value]", id("header-value")), "x").await?;
    page.click(&id("settings-save")).await?;
    page.see(".form-error", "set by the transport").await?;
    page.click("[aria-label='Remove the header host']").await?;
    page.click("[aria-label='Remove the header x-team']").await?;
    page.click(&id("settings-save")).await?;
    eventually("no header", async || {
        Ok((settings(&site, &account).await?["headers"] == json!([])).then_some(()))
    })
    .await?;
    site.finish(&["/api/admin/accounts/"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_survives_the_life_around_it() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    let account = site.import(0).await?;
    open(&site, &account).await?;
    page.fill(&id("settings-weight"), "much").await?;
    page.fill(&id("settings-notes"), "half a thought").await?;
    // The account serves a request meanwhile, so the page moves.
    let body = json!({ "model": "gpt-5.5", "input": "hello", "stream": true });
    let turn = site.http.post(format!("{}/v1/responses", site.gateway.url)).body(body.to_string());
    let answer = Answer::read(turn.header("content-type", "application/json").send().await?).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    page.see_count(&id("decision-row"), 1).await?;
    let notes = "return document.querySelector('#settings-notes').value";
    assert_eq!(page.script(notes, vec![]).await?, "half a thought");
    page.click(&id("settings-save")).await?;
    page.see("#settings-weight-note .form-error", "A weight is a number").await?;
    page.click(&id("settings-discard")).await?;
    page.see_gone(".form-error").await?;
    assert_eq!(page.script(notes, vec![]).await?, "");
    site.finish(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_tried_pinned_refreshed_and_taken_out() -> Result<()> {
    let site = LabSite::start(2).await?;
    let page = &site.page;
    let account = site.accounts().await?[1]["id"].as_str().context("no id")?.to_owned();
    open(&site, &account).await?;
    page.click(&id("account-test")).await?;
    let tested = page.see(&id("test-result"), "Answered in").await?;
    assert!(tested.contains("Responses"), "{tested}");

    for (action, toast) in [("account-pin", "Pinned"), ("account-refresh", "The tokens are new")] {
        page.click(&id("account-more")).await?;
        page.click(&id(action)).await?;
        page.see(&id("toast"), toast).await?;
    }
    assert_eq!(site.admin.get("/pin").await?["account"], account.as_str());
    page.go("/accounts").await?;
    page.see(&format!("[data-account-id=\"{account}\"]"), "pinned").await?;

    open(&site, &account).await?;
    page.click(&id("account-more")).await?;
    page.click(&id("account-export")).await?;
    page.choose(&id("export-format"), "auth-json").await?;
    page.fill(&id("export-password"), "not the password").await?;
    page.click(&id("export-submit")).await?;
    page.see("dialog[open] .form-error", "This is not the password").await?;
    let downloads = site.folder.path().join("downloads");
    page.save_downloads_in(&downloads).await?;
    page.fill(&id("export-password"), PASSWORD).await?;
    page.click(&id("export-submit")).await?;
    page.see(&id("toast"), "Saved auth.json").await?;
    let text = eventually("the file", async || Ok(std::fs::read_to_string(downloads.join("auth.json")).ok()))
        .await?;
    let auth: Value = serde_json::from_str(&text)?;
    assert!(auth["tokens"]["refresh_token"].is_string(), "no tokens in the file");
    site.finish(&["/api/admin/accounts/export"]).await
}
