//! The proxies that accounts leave through.

use anyhow::{Context, Result};
use gateway_lab::proxy::{LabProxy, ProxyKind};
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::lab_site::LabSite;
use super::page::id;

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_added_tried_changed_and_removed() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    let account = site.import(0).await?;
    let stop = CancellationToken::new();
    let proxy = LabProxy::start(ProxyKind::Socks5, Some(("operator", "hush")), stop.clone()).await?;
    page.click("nav a[href='/proxies']").await?;
    page.see("main", "No proxies yet").await?;

    page.click(&id("proxy-add")).await?;
    page.see("#proxy-url-note .form-error", "A proxy needs its address").await?;
    page.fill(&id("proxy-url"), "ftp://10.0.0.1").await?;
    page.click(&id("proxy-add")).await?;
    page.see("#proxy-url-note .form-error", "begins with http://").await?;
    page.fill(&id("proxy-url"), &proxy.url()).await?;
    page.fill(&id("proxy-name"), "berlin").await?;
    page.fill(&id("proxy-groups"), "eu").await?;
    page.click(&id("proxy-add")).await?;
    let row = page.see(&id("proxy-row"), "berlin").await?;
    assert!(row.contains("socks5h://127.0.0.1") && row.contains("0 accounts") && row.contains("eu"), "{row}");
    page.see(&id("proxy-trial"), "works").await?;
    assert!(proxy.passed() > 0);
    let holds = "return document.documentElement.outerHTML.includes('hush')";
    assert_eq!(page.script(holds, vec![]).await?, false, "the password is on the page");

    proxy.set_down(true);
    page.click(&id("proxy-test")).await?;
    page.see(".sub.bad", "The proxy did not work").await?;

    // One account goes through it by its group.
    let settings = json!({ "settings": { "groups": ["eu"] } });
    site.call(Method::PATCH, &format!("/accounts/{account}"), &settings).await?;
    page.click(&id("proxy-edit")).await?;
    page.fill(&id("edit-name"), "hamburg").await?;
    page.click(&id("proxy-save")).await?;
    let row = page.see(&id("proxy-row"), "hamburg").await?;
    assert!(row.contains("1 account"), "{row}");
    page.click(&id("proxy-switch")).await?;
    page.see(&id("toast"), "hamburg is switched off").await?;
    page.see(&id("proxy-row"), "Off").await?;

    page.click(&id("proxy-delete")).await?;
    page.see("dialog[open]", "Delete hamburg?").await?;
    page.click(&format!("dialog[open] {}", id("confirm-action"))).await?;
    page.see("main", "No proxies yet").await?;
    stop.cancel();
    site.finish(&["/api/admin/proxies"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_sent_through_a_proxy_of_its_own() -> Result<()> {
    let site = LabSite::start(0).await?;
    let page = &site.page;
    let account = site.import(0).await?;
    let stop = CancellationToken::new();
    let proxy = LabProxy::start(ProxyKind::Http, None, stop.clone()).await?;
    let added = json!({ "name": "oslo", "url": proxy.url() });
    let added = site.call(Method::POST, "/proxies", &added).await?;
    let key = format!("proxy:{}", added["id"].as_str().context("no id")?);

    page.go(&format!("/accounts/{account}")).await?;
    page.see(&id("settings-egress"), "Through oslo").await?;
    page.choose(&id("settings-egress"), &key).await?;
    page.click(&id("settings-save")).await?;
    page.see(&id("toast"), "Saved").await?;
    page.see("dl.facts", "A proxy of its own").await?;
    let before = proxy.passed();
    page.click(&id("account-test")).await?;
    page.see(&id("test-result"), "Answered in").await?;
    assert!(proxy.passed() > before, "the test went another way");

    page.go("/proxies").await?;
    page.see(&id("proxy-row"), "1 account").await?;
    page.click(&id("proxy-delete")).await?;
    page.see("dialog[open]", "1 account leaves through it now").await?;
    page.press("\u{E00C}").await?;
    page.see_gone("dialog[open]").await?;
    stop.cancel();
    site.finish(&[]).await
}
