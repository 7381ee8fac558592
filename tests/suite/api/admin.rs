//! What the operator does: accounts, keys, and the live view of it all.

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use gateway_api::{
    AccountDetail, AccountStateView, AccountView, ClientKeyView, ImportOutcome, ImportResult, Overview,
};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess, eventually, turn};

use super::{lab, still_serves};

async fn parsed<T: serde::de::DeserializeOwned>(
    admin: &Admin,
    method: Method,
    path: &str,
    body: Option<&Value>,
    status: u16,
) -> Result<T> {
    let answer = admin.call(method, path, body).await?;
    ensure!(answer.status == status, "{path}: {} {}", answer.status, answer.text());
    serde_json::from_slice(&answer.body).with_context(|| answer.text())
}

fn refusal(answer: &Answer) -> (u16, String, String) {
    let (body, text) = (answer.json(), |value: &Value| value.as_str().unwrap_or_default().to_owned());
    (answer.status, text(&body["code"]), text(&body["field"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_imported_renewed_renamed_paused_and_removed() -> Result<()> {
    let gateway = InProcess::start_empty(lab(2), |_| {}).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let auth = gateway.lab.issue_auth_json(0).context("no account")?;
    let import = json!({ "auth_json": auth.to_string(), "name": "mine" });
    let added: ImportResult = parsed(&admin, Method::POST, "/accounts", Some(&import), 201).await?;
    assert_eq!((added.outcome, added.account.name.as_str()), (ImportOutcome::Added, "mine"));
    assert_eq!(added.account.email.as_deref(), Some("ada@example.test"));
    assert_eq!((added.account.plan.as_deref(), added.account.kind.as_str()), (Some("plus"), "codex"));

    // The same seat again: new tokens for the account that is there.
    let again = gateway.lab.issue_auth_json(0).context("no account")?;
    let import = json!({ "auth_json": again["tokens"].to_string() });
    let renewed: ImportResult = parsed(&admin, Method::POST, "/accounts", Some(&import), 200).await?;
    assert_eq!((renewed.outcome, &renewed.account.id), (ImportOutcome::Updated, &added.account.id));
    assert_eq!(renewed.account.name, "mine");
    still_serves(&gateway).await?;

    let path = format!("/accounts/{}", added.account.id);
    let detail: AccountDetail = parsed(&admin, Method::GET, &path, None, 200).await?;
    assert_eq!(detail.workspace_id.as_deref(), Some("acc-lab-ada"));
    assert!(detail.token_expires_at.is_some() && detail.refreshed_at.is_some());
    assert_eq!(
        detail.account.windows.iter().map(|window| window.seconds).collect::<Vec<_>>(),
        [18_000, 604_800]
    );
    assert_eq!((detail.recent.len(), detail.account.requests), (1, 1));
    assert!(detail.tokens.output > 0);

    let patch = json!({ "name": " renamed ", "paused": true });
    let changed: AccountDetail = parsed(&admin, Method::PATCH, &path, Some(&patch), 200).await?;
    assert_eq!((changed.account.name.as_str(), changed.account.state), ("renamed", AccountStateView::Paused));
    assert_eq!(gateway.ask(&turn("x")).await?.status, 503);
    let patch = json!({ "paused": false });
    let changed: AccountDetail = parsed(&admin, Method::PATCH, &path, Some(&patch), 200).await?;
    assert_eq!(
        (changed.account.name.as_str(), changed.account.state),
        ("renamed", AccountStateView::Healthy)
    );
    still_serves(&gateway).await?;

    assert_eq!(admin.call(Method::DELETE, &path, None).await?.status, 204);
    assert_eq!(admin.call(Method::DELETE, &path, None).await?.status, 404);
    assert_eq!(admin.get("/accounts").await?, json!([]));
    assert_eq!(gateway.ask(&turn("x")).await?.status, 503);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_account_is_refused_with_its_field() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let good = gateway.lab.issue_auth_json(0).context("no account")?.to_string();
    let large = "x".repeat(300 * 1024);
    for (body, status, code, field) in [
        (json!({ "auth_json": "hello" }), 422, "invalid_field", "auth_json"),
        (json!({ "auth_json": "{}" }), 422, "invalid_field", "auth_json"),
        (
            json!({ "auth_json": r#"{"OPENAI_API_KEY":"sk-1","tokens":null}"# }),
            422,
            "invalid_field",
            "auth_json",
        ),
        (json!({ "auth_json": r#"{"access_token":"opaque"}"# }), 422, "invalid_field", "auth_json"),
        (json!({ "auth_json": large }), 422, "invalid_field", "auth_json"),
        (json!({ "auth_json": good, "name": "" }), 422, "invalid_field", "name"),
        (json!({ "auth_json": good, "name": "a\u{7}b" }), 422, "invalid_field", "name"),
        (json!({ "auth_json": good, "name": "x".repeat(65) }), 422, "invalid_field", "name"),
        (json!({ "auth_json": good, "colour": "red" }), 422, "invalid_body", ""),
        (json!({ "auth_json": 7 }), 422, "invalid_body", ""),
        (json!([]), 422, "invalid_body", ""),
        (json!({ "auth_json": "x".repeat(600 * 1024) }), 413, "body_too_large", ""),
    ] {
        let answer = admin.call(Method::POST, "/accounts", Some(&body)).await?;
        let shown = body.to_string();
        assert_eq!(
            refusal(&answer),
            (status, code.to_owned(), field.to_owned()),
            "{shown:.80}: {}",
            answer.text()
        );
    }
    let accounts: Vec<AccountView> = serde_json::from_value(admin.get("/accounts").await?)?;
    let (one, other) = (&accounts[0], &accounts[1]);
    let path = format!("/accounts/{}", one.id);
    for (body, status, code, field) in [
        (json!({ "name": "" }), 422, "invalid_field", "name"),
        (json!({ "name": other.name }), 409, "conflict", ""),
        (json!({ "paused": "yes" }), 422, "invalid_body", ""),
        (json!({ "state": "active" }), 422, "invalid_body", ""),
    ] {
        let answer = admin.call(Method::PATCH, &path, Some(&body)).await?;
        assert_eq!(refusal(&answer), (status, code.to_owned(), field.to_owned()), "{body}");
    }
    for id in ["acc_nobody", "%00", "..", &"x".repeat(400)] {
        let answer =
            admin.call(Method::PATCH, &format!("/accounts/{id}"), Some(&json!({ "paused": true }))).await?;
        assert_eq!(answer.status / 100, 4, "{id:.20}: {}", answer.text());
    }
    still_serves(&gateway).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_shown_once_listed_and_revoked() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let made = admin.call(Method::POST, "/keys", Some(&json!({ "label": "ann's laptop" }))).await?;
    assert_eq!(made.status, 201);
    let (key, id) = (made.json()["key"].clone(), made.json()["view"]["id"].clone());
    let (key, id) = (key.as_str().context("no key")?, id.as_str().context("no id")?);
    let listed = admin.call(Method::GET, "/keys", None).await?;
    let keys: Vec<ClientKeyView> = serde_json::from_slice(&listed.body)?;
    assert_eq!((keys.len(), keys[0].label.as_str()), (1, "ann's laptop"));
    assert!(key.starts_with(&keys[0].hint) && keys[0].hint.len() <= 12);
    assert!(!listed.text().contains(key), "a key is shown once");
    for (body, status, code, field) in [
        (json!({ "label": "ann's laptop" }), 422, "invalid_field", "label"),
        (json!({ "label": " " }), 422, "invalid_field", "label"),
        (json!({ "label": "x".repeat(65) }), 422, "invalid_field", "label"),
        (json!({}), 422, "invalid_body", ""),
        (json!({ "label": 1 }), 422, "invalid_body", ""),
    ] {
        let answer = admin.call(Method::POST, "/keys", Some(&body)).await?;
        assert_eq!(refusal(&answer), (status, code.to_owned(), field.to_owned()), "{body}");
    }
    assert_eq!(admin.call(Method::DELETE, "/keys/key_nobody", None).await?.status, 404);
    assert_eq!(admin.call(Method::DELETE, &format!("/keys/{id}"), None).await?.status, 204);
    assert_eq!(admin.get("/keys").await?, json!([]));
    gateway.stop().await
}

/// Reads `overview` events until one is as wanted.
async fn overview_where(
    events: &mut (impl futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin),
    what: &str,
    wanted: impl Fn(&Overview) -> bool,
) -> Result<Overview> {
    let reading = async {
        let mut text = String::new();
        loop {
            text.push_str(std::str::from_utf8(&events.next().await.context("the stream ended")??)?);
            while let Some((event, rest)) = text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let named = event.lines().any(|line| line == "event: overview");
                let overview = data.filter(|_| named).map(serde_json::from_str::<Overview>).transpose()?;
                text = rest.to_owned();
                if let Some(overview) = overview.filter(&wanted) {
                    return Ok(overview);
                }
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(15), reading)
        .await
        .with_context(|| what.to_owned())?
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_is_live() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let request =
        gateway.http.get(format!("{}/api/admin/events", gateway.url)).header("cookie", &admin.cookie);
    let response = request.send().await?;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.bytes_stream();
    let first = overview_where(&mut events, "the first comes at once", |_| true).await?;
    assert_eq!((first.requests, first.accounts.len(), first.rate.len()), (0, 2, 60));
    assert_eq!(first.policy.id, "builtin:usage-balanced");

    let slow = gateway.post(&turn("stream 60 events, pause 20 ms")).await?;
    let busy = overview_where(&mut events, "a request runs", |view| view.in_flight == 1).await?;
    assert_eq!(busy.accounts.iter().map(|account| account.in_flight).sum::<u32>(), 1);
    assert_eq!(busy.recent.first().map(|one| one.outcome.as_str()), Some("running"));
    drop(switchyard_tests::read_events(slow).await?);
    let done =
        overview_where(&mut events, "it ended", |view| view.in_flight == 0 && view.requests == 1).await?;
    assert_eq!((done.failures, done.recent[0].outcome.as_str()), (0, "completed"));
    assert!(done.tokens.output > 0 && done.ttft_p50_ms.is_some());

    gateway.ask(&json!({ "model": "gpt-5.5" })).await?;
    overview_where(&mut events, "a failure counts", |view| view.failures == 1).await?;
    admin.choose_policy("rhai:usage-balanced").await?;
    overview_where(&mut events, "the policy changed", |view| view.policy.id == "rhai:usage-balanced").await?;
    let paused = json!({ "paused": true });
    admin.call(Method::PATCH, &format!("/accounts/{}", first.accounts[0].id), Some(&paused)).await?;
    let is_paused = |view: &Overview| view.accounts.iter().any(|one| one.state == AccountStateView::Paused);
    overview_where(&mut events, "an account is paused", is_paused).await?;

    // Signing out ends the stream.
    admin.call(Method::POST, "/logout", None).await?;
    eventually("the live view ends with its session", async || {
        Ok(tokio::time::timeout(std::time::Duration::from_secs(1), events.next())
            .await
            .is_ok_and(|one| one.is_none())
            .then_some(()))
    })
    .await?;
    gateway.stop().await
}

/// Watchers do not hold the gateway up when it goes down.
#[tokio::test(flavor = "multi_thread")]
async fn live_views_end_when_the_gateway_stops() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let mut watchers = Vec::new();
    for _ in 0..5 {
        let request =
            gateway.http.get(format!("{}/api/admin/events", gateway.url)).header("cookie", &admin.cookie);
        watchers.push(request.send().await?);
    }
    let begun = std::time::Instant::now();
    gateway.stop().await?;
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(4),
        "within the grace of 5 s: {:?}",
        begun.elapsed()
    );
    for watcher in watchers {
        watcher.bytes().await?;
    }
    Ok(())
}
