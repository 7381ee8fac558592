//! Signing ChatGPT accounts in from the dashboard: in the browser, with a pasted address, with a code on another device.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_lab::{LabConfig, Route};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_tests::{Admin, InProcess, eventually};

use super::{lab, still_serves};

async fn start(config: LabConfig) -> Result<(InProcess, Admin)> {
    let gateway = InProcess::start_empty(config, |_| {}).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    Ok((gateway, admin))
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("no {name} in {value}"))
}

async fn begin(admin: &Admin, body: Value) -> Result<Value> {
    let flow = admin.expect(201, Method::POST, "/sign-ins", Some(&body)).await?;
    ensure!(flow["stage"] == "waiting", "{flow}");
    Ok(flow)
}

async fn flow(admin: &Admin, id: &str) -> Result<Value> {
    admin.get(&format!("/sign-ins/{id}")).await
}

/// A browser that does not follow by itself.
fn browser() -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    Ok(builder.timeout(Duration::from_secs(10)).build()?)
}

/// Visits the issuer's page and returns where it sends the browser.
async fn agree(flow: &Value) -> Result<String> {
    let page = browser()?.get(text(flow, "url")?).send().await?;
    ensure!(page.status() == 302, "{}: {}", page.status(), page.text().await?);
    Ok(page.headers()["location"].to_str()?.to_owned())
}

async fn accounts(admin: &Admin) -> Result<Vec<gateway_api::AccountView>> {
    Ok(serde_json::from_value(admin.get("/accounts").await?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_comes_back_through_the_door_and_the_account_serves() -> Result<()> {
    let (gateway, admin) = start(lab(2)).await?;
    gateway.lab.sign_in_as(1);
    let begun = begin(&admin, json!({ "method": "browser", "name": "my seat" })).await?;
    assert_eq!(begun["comes_back"], true);
    let back = agree(&begun).await?;
    ensure!(back.starts_with("http://localhost:"), "{back}");
    // A page reload in between changes nothing.
    assert_eq!(admin.get("/sign-ins").await?[0]["id"], begun["id"]);
    let page = browser()?.get(back.replace("localhost", "127.0.0.1")).send().await?;
    let (status, page) = (page.status(), page.text().await?);
    assert!(status == 200 && page.contains("my seat"), "{status}: {page}");
    let done = flow(&admin, text(&begun, "id")?).await?;
    assert_eq!(
        (text(&done, "stage")?, text(&done, "name")?, &done["renewed"]),
        ("done", "my seat", &json!(false))
    );
    let all = accounts(&admin).await?;
    assert_eq!(all.len(), 1, "it is in the pool at once");
    assert_eq!((all[0].name.as_str(), all[0].id.as_str()), ("my seat", text(&done, "account")?));
    assert_eq!(gateway.lab.tokens(1).context("no account")?.logins, 1);
    still_serves(&gateway).await?;

    // The code is good once; so is the state.
    let again = browser()?.get(back.replace("localhost", "127.0.0.1")).send().await?;
    assert_eq!(again.status(), 400);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_is_taken_is_told_wherever_the_flow_is_shown() -> Result<()> {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let port = taken.local_addr()?.port();
    let gateway = InProcess::start_empty(lab(1), |settings| settings.callback_port = port).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    for (method, comes_back) in [("browser", false), ("device", true)] {
        let begun = begin(&admin, json!({ "method": method })).await?;
        assert_eq!(begun["comes_back"], comes_back, "{method}");
        let id = text(&begun, "id")?;
        assert_eq!(flow(&admin, id).await?["comes_back"], comes_back, "{method}");
        let all = admin.get("/sign-ins").await?;
        let listed =
            all.as_array().and_then(|all| all.iter().find(|one| one["id"] == id)).context("not listed")?;
        assert_eq!(listed["comes_back"], comes_back, "{method}");
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_address_does_the_same() -> Result<()> {
    let (gateway, admin) = start(lab(2)).await?;
    for (account, whole) in [(0, true), (1, false)] {
        gateway.lab.sign_in_as(account);
        let begun = begin(&admin, json!({ "method": "browser" })).await?;
        let back = agree(&begun).await?;
        let pasted = if whole { back.as_str() } else { back.split_once('?').context("no query")?.1 };
        let body = json!({ "address": format!("  {pasted}\n") });
        let done = admin.expect(200, Method::POST, "/sign-ins/callback", Some(&body)).await?;
        assert_eq!(text(&done, "stage")?, "done");
        assert_eq!(accounts(&admin).await?.len(), account + 1);
        admin.expect(404, Method::POST, "/sign-ins/callback", Some(&body)).await.context("good once")?;
    }
    for address in ["", "http://localhost:1455/auth/callback", "code=1", "state=1"] {
        let refused = admin
            .expect(422, Method::POST, "/sign-ins/callback", Some(&json!({ "address": address })))
            .await?;
        assert_eq!(refused["field"], "address", "{address:?}");
    }
    let stranger = json!({ "address": "code=stolen&state=guessed" });
    admin.expect(404, Method::POST, "/sign-ins/callback", Some(&stranger)).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_says_no_ends_the_flow_with_the_reason() -> Result<()> {
    let (gateway, admin) = start(lab(1)).await?;
    gateway.lab.deny_sign_ins();
    let begun = begin(&admin, json!({ "method": "browser" })).await?;
    let back = agree(&begun).await?;
    let refused =
        admin.expect(502, Method::POST, "/sign-ins/callback", Some(&json!({ "address": back }))).await?;
    assert_eq!(refused["code"], "sign_in_failed");
    let ended = flow(&admin, text(&begun, "id")?).await?;
    assert_eq!(text(&ended, "stage")?, "failed");
    assert!(text(&ended, "why")?.contains("access_denied"), "{ended}");
    assert!(accounts(&admin).await?.is_empty());
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_account_is_signed_in_again_in_place_and_only_by_its_own_seat() -> Result<()> {
    let (gateway, admin) = start(lab(2)).await?;
    gateway.import(0).await?;
    gateway.lab.revoke(0);
    let dead = gateway.ask(&switchyard_tests::turn("hello")).await?;
    assert_eq!(dead.status, 503, "{}", dead.text());
    let all = accounts(&admin).await?;
    assert_eq!(all[0].state, gateway_api::AccountStateView::SignInNeeded);
    let id = all[0].id.clone();
    admin.patch_account(&id, &json!({ "name": "kept", "settings": { "notes": "kept too" } })).await?;

    // Somebody else at the browser.
    gateway.lab.sign_in_as(1);
    let begun = begin(&admin, json!({ "method": "browser", "account": id })).await?;
    let address = json!({ "address": agree(&begun).await? });
    let refused = admin.expect(409, Method::POST, "/sign-ins/callback", Some(&address)).await?;
    assert!(text(&refused, "message")?.contains("kept"), "{refused}");
    assert_eq!(accounts(&admin).await?.len(), 1, "nobody was added");

    gateway.lab.sign_in_as(0);
    let begun = begin(&admin, json!({ "method": "browser", "account": id })).await?;
    let address = json!({ "address": agree(&begun).await? });
    let done = admin.expect(200, Method::POST, "/sign-ins/callback", Some(&address)).await?;
    assert_eq!((text(&done, "account")?, &done["renewed"]), (id.as_str(), &json!(true)));
    let shown = admin.get(&format!("/accounts/{id}")).await?;
    assert_eq!(
        (&shown["account"]["name"], &shown["settings"]["notes"]),
        (&json!("kept"), &json!("kept too"))
    );
    assert_eq!(shown["account"]["state"], "healthy", "{shown}");
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_are_listed_cancelled_bounded_and_end_by_themselves() -> Result<()> {
    let (gateway, admin) = start(lab(1)).await?;
    let first = begin(&admin, json!({ "method": "browser" })).await?;
    let path = format!("/sign-ins/{}", text(&first, "id")?);
    let back = agree(&first).await?;
    let cancelled = admin.expect(200, Method::DELETE, &path, None).await?;
    assert_eq!(text(&cancelled, "stage")?, "cancelled");
    admin.expect(404, Method::DELETE, &path, None).await.context("cancelled once")?;
    admin
        .expect(404, Method::POST, "/sign-ins/callback", Some(&json!({ "address": back })))
        .await
        .context("what was called off stays so")?;
    assert_eq!(gateway.lab.tokens(0).context("no account")?.logins, 0);

    for _ in 0..gateway_core::sign_in::MAX_RUNNING {
        begin(&admin, json!({ "method": "browser" })).await?;
    }
    admin.expect(409, Method::POST, "/sign-ins", Some(&json!({ "method": "browser" }))).await?;
    gateway.lab.advance(gateway_core::sign_in::FLOW_LIFETIME);
    let list = admin.get("/sign-ins").await?;
    let list = list.as_array().context("no list")?;
    assert!(list.iter().all(|one| one["stage"] == "expired" || one["stage"] == "cancelled"), "{list:?}");
    begin(&admin, json!({ "method": "browser" })).await.context("there is room again")?;

    for (body, status) in [
        (json!({ "method": "telepathy" }), 422),
        (json!({ "method": "browser", "account": "acc_of_nobody" }), 404),
        (json!({ "method": "device", "account": "" }), 422),
        (json!({ "method": "browser", "name": "" }), 422),
        (json!({ "method": "browser", "name": "x".repeat(300) }), 422),
    ] {
        admin
            .expect(status, Method::POST, "/sign-ins", Some(&body))
            .await
            .with_context(|| body.to_string())?;
    }
    gateway.stop().await
}

/// How often the issuer was asked about devices, and what it said last.
fn polls(gateway: &InProcess) -> (usize, Option<u16>) {
    let seen = gateway.lab.requests();
    let polls: Vec<_> = seen.iter().filter(|one| one.route == Route::DeviceToken).collect();
    (polls.len(), polls.last().and_then(|poll| poll.status))
}

async fn ends(admin: &Admin, id: &str) -> Result<Value> {
    eventually("the flow ends", async || {
        let now = flow(admin, id).await?;
        let running = now["stage"] == "waiting" || now["stage"] == "exchanging";
        Ok((!running).then_some(now))
    })
    .await
}

/// A lab whose issuer wants to be asked once a second.
fn quick(accounts: usize) -> LabConfig {
    LabConfig { device_interval: 1, ..lab(accounts) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_confirmed_after_it_had_to_wait() -> Result<()> {
    let (gateway, admin) = start(quick(2)).await?;
    let begun = begin(&admin, json!({ "method": "device", "name": "from my phone" })).await?;
    let code = text(&begun, "user_code")?.to_owned();
    assert!(text(&begun, "url")?.starts_with(gateway.lab.base_url()), "{begun}");
    eventually("it is asked, and waits", async || Ok((polls(&gateway) == (1, Some(403))).then_some(())))
        .await?;
    assert!(gateway.lab.confirm_device(&code, 1));
    let done = ends(&admin, text(&begun, "id")?).await?;
    assert_eq!((text(&done, "stage")?, text(&done, "name")?), ("done", "from my phone"));
    let all = accounts(&admin).await?;
    assert_eq!(all.first().map(|one| one.name.as_str()), Some("from my phone"), "it is in the pool at once");
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_denied_says_so() -> Result<()> {
    let (gateway, admin) = start(quick(1)).await?;
    let begun = begin(&admin, json!({ "method": "device" })).await?;
    assert!(gateway.lab.deny_device(text(&begun, "user_code")?));
    let ended = ends(&admin, text(&begun, "id")?).await?;
    assert_eq!(text(&ended, "stage")?, "failed");
    assert!(text(&ended, "why")?.contains("access_denied"), "{ended}");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_nobody_confirms_expires_and_is_not_asked_about_any_more() -> Result<()> {
    let (gateway, admin) = start(quick(1)).await?;
    let begun = begin(&admin, json!({ "method": "device" })).await?;
    gateway.lab.advance(Duration::from_secs(900));
    let ended = flow(&admin, text(&begun, "id")?).await?;
    assert_eq!(text(&ended, "stage")?, "expired");
    assert!(!gateway.lab.confirm_device(text(&begun, "user_code")?, 0), "too late for the issuer as well");
    let asked = polls(&gateway).0;
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_eq!(polls(&gateway).0, asked);
    gateway.stop().await
}

/// Asked too fast by its own clock, the issuer says `slow_down`: the person's effort is not given up, and the gateway
/// asks less often.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_asked_about_too_often_is_asked_less() -> Result<()> {
    let (gateway, admin) = start(LabConfig { device_slow_down: true, ..quick(1) }).await?;
    let begun = begin(&admin, json!({ "method": "device" })).await?;
    // The lab's clock stands still, so that every second question comes too early.
    eventually("it is told to slow down", async || Ok((polls(&gateway) == (2, Some(400))).then_some(())))
        .await?;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(polls(&gateway).0, 2, "not asked again as soon as before");
    let waiting = flow(&admin, text(&begun, "id")?).await?;
    assert_eq!(text(&waiting, "stage")?, "waiting");
    admin.expect(200, Method::DELETE, &format!("/sign-ins/{}", text(&begun, "id")?), None).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_without_a_device_flow_says_so() -> Result<()> {
    let (gateway, admin) = start(LabConfig { device_flow: false, ..lab(1) }).await?;
    let refused = admin.call(Method::POST, "/sign-ins", Some(&json!({ "method": "device" }))).await?;
    assert_eq!(
        (refused.status, text(&refused.json(), "code")?),
        (502, "sign_in_failed"),
        "{}",
        refused.text()
    );
    assert_eq!(admin.get("/sign-ins").await?, json!([]));
    gateway.stop().await
}
