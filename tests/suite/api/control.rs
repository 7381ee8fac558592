//! What Codex asks besides turns: the pool's limits, its account, uploads, and the control routes that are passed on; and
//! what a key used.

use anyhow::{Context, Result, ensure};
use gateway_lab::{Fault, FaultRule, LabAccount, LabConfig, LabWindow, OPENAI_KEY, Route};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess, eventually, turn};

use super::calls::{post, sent};
use super::{lab, still_serves};

async fn get(gateway: &InProcess, path: &str, headers: &[(&'static str, &str)]) -> Result<Answer> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
    }
    Answer::read(gateway.http.get(format!("{}{path}", gateway.url)).headers(map).send().await?).await
}

/// Two accounts of different plans: a `pro` one allows nearly seven times as much as a `plus` one.
fn uneven() -> LabConfig {
    let account = |name: &str, plan: &str, short: f64, long: f64| {
        LabAccount::new(name, plan).with_windows([
            LabWindow::new(gateway_lab::FIVE_HOURS, short, 3_600).filling(0.0),
            LabWindow::new(gateway_lab::WEEK, long, 90_000).filling(0.0),
        ])
    };
    LabConfig {
        accounts: vec![account("ada", "plus", 80.0, 40.0), account("grace", "pro", 10.0, 20.0)],
        ..lab(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_those_of_the_pool() -> Result<()> {
    let gateway = InProcess::start(uneven()).await?;
    // Both accounts are asked for their windows soon after they came.
    let body = eventually("the windows of both accounts are known", async || {
        let known = gateway.running.gateway.pool_quota().accounts == 2;
        Ok(if known { Some(get(&gateway, "/backend-api/wham/usage", &[]).await?.json()) } else { None })
    })
    .await?;
    let primary = &body["rate_limit"]["primary_window"];
    // (80 × 1 + 10 × 6.67) ÷ 7.67
    assert_eq!((&primary["used_percent"], &primary["limit_window_seconds"]), (&json!(19), &json!(18_000)));
    assert_eq!(body["rate_limit"]["secondary_window"]["used_percent"], 23);
    assert_eq!((&body["plan_type"], &body["rate_limit"]["allowed"]), (&json!("pro"), &json!(true)));
    assert!(!body.to_string().contains("example.test"), "nobody's address: {body}");
    for path in ["/wham/usage", "/api/codex/usage"] {
        assert_eq!(get(&gateway, path, &[]).await?.json(), body, "{path}");
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turns_headers_show_the_pool_not_one_account() -> Result<()> {
    let gateway = InProcess::start(uneven()).await?;
    for _ in 0..3 {
        still_serves(&gateway).await?;
    }
    let body =
        json!({ "model": "gpt-5.5", "input": [], "stream": true, "store": false, "instructions": "x" });
    // The sum is made anew once in a while only.
    let answer = eventually("a turn shows the mean of both accounts", async || {
        let answer = post(&gateway, "/backend-api/codex/responses", &body).await?;
        Ok((answer.header("x-codex-primary-used-percent") == Some("19")).then_some(answer))
    })
    .await?;
    assert_eq!(answer.header("x-codex-secondary-used-percent"), Some("23"));
    assert_eq!(answer.header("x-codex-plan-type"), Some("pro"));
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_check_names_the_caller_and_this_gateway() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for path in ["/backend-api/wham/accounts/check", "/wham/accounts/check"] {
        let body = get(&gateway, path, &[("chatgpt-account-id", "acc-mine")]).await?.json();
        let [account] = body["accounts"].as_array().context("no accounts")?.as_slice() else {
            anyhow::bail!("one account: {body}")
        };
        assert_eq!((&account["id"], &body["default_account_id"]), (&json!("acc-mine"), &json!("acc-mine")));
        assert_eq!(account["workspace_backend_origin"], "NO_CONSTRAINT");
        assert_eq!(account["account_routing_override"], "NO_CONSTRAINT");
    }
    // Behind a proxy that ends TLS, which the gateway must be told of, a key is needed.
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let key = admin.expect(201, reqwest::Method::POST, "/keys", Some(&json!({ "label": "ada" }))).await?;
    let bearer = format!("Bearer {}", key["key"].as_str().context("no key")?);
    let headers = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "gw.example.test"),
        ("authorization", &*bearer),
    ];
    let body = get(&gateway, "/backend-api/wham/accounts/check", &headers).await?.json();
    assert_eq!(body["accounts"][0]["workspace_backend_origin"], "https://gw.example.test");
    assert!(sent(&gateway, Route::AccountsCheck).is_empty(), "nobody upstream is asked");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sees_what_it_used_and_nobody_elses() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let key = admin.expect(201, reqwest::Method::POST, "/keys", Some(&json!({ "label": "ada" }))).await?;
    let bearer = format!("Bearer {}", key["key"].as_str().context("no key")?);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&bearer)?);
    for _ in 0..2 {
        let answer = gateway.post_to("/v1/responses", headers.clone(), turn("hello").to_string()).await?;
        ensure!(Answer::read(answer).await?.status == 200);
    }
    still_serves(&gateway).await?;
    let settled = gateway.settlements(3).await?;
    let tokens: u64 = settled
        .iter()
        .filter(|one| &*one.client == "ada")
        .filter_map(|one| one.usage)
        .map(|usage| usage.total())
        .sum();
    for path in ["/v1/usage", "/usage"] {
        let body = get(&gateway, path, &[("authorization", &bearer)]).await?.json();
        assert_eq!((&body["request_count"], &body["total_tokens"]), (&json!(2), &json!(tokens)), "{body}");
        assert_eq!(body["limits"], json!([]));
        assert!(body["account_pool_usage"].is_object());
    }
    assert_eq!(get(&gateway, "/v1/usage", &[]).await?.json()["request_count"], 1, "the local caller's own");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_stays_with_the_account_that_took_it() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let file = json!({ "file_name": "notes.txt", "file_size": 3, "use_case": "codex" });
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let accounts = admin.get("/accounts").await?;
    let pin = async |nth: usize| {
        admin
            .expect(200, reqwest::Method::PUT, "/pin", Some(&json!({ "account": accounts[nth]["id"] })))
            .await
    };
    for nth in 0..3 {
        pin(nth).await?;
        let made = post(&gateway, "/backend-api/files", &file).await?;
        ensure!(made.status == 200, "{}: {}", made.status, made.text());
        let id = made.json()["file_id"].as_str().context("no id")?.to_owned();
        let owner = sent(&gateway, Route::Files).last().and_then(|seen| seen.account);
        // Whoever is preferred by now: only its owner can go on.
        pin((nth + 1) % 3).await?;
        let done = post(&gateway, &format!("/backend-api/files/{id}/uploaded"), &json!({})).await?;
        ensure!(done.status == 200 && done.json()["status"] == "success", "{id}: {}", done.text());
        let input = json!([{ "type": "message", "role": "user", "content": [{ "type": "input_file", "file_id": id }] }]);
        let answer = gateway.ask(&json!({ "model": "gpt-5.5", "input": input, "stream": true })).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        ensure!(sent(&gateway, Route::Responses).last().and_then(|seen| seen.account) == owner, "{id}");
        still_serves(&gateway).await?;
        ensure!(
            sent(&gateway, Route::Responses).last().and_then(|seen| seen.account) != owner,
            "{id}: not tied"
        );
    }
    assert_eq!(sent(&gateway, Route::Files)[0].body, file.to_string());

    // Its account is gone: nobody else is asked.
    let made = post(&gateway, "/backend-api/files", &file).await?;
    let id = made.json()["file_id"].as_str().context("no id")?.to_owned();
    let account = gateway.decision(&made.headers)?.attempts.last().context("no try")?.account.clone();
    admin.patch_account(account.as_str(), &json!({ "paused": true })).await?;
    let before = gateway.lab.requests().len();
    let lost = post(&gateway, &format!("/backend-api/files/{id}/uploaded"), &json!({})).await?;
    assert_eq!((lost.status, lost.error()?.code.as_str()), (400, "file_not_found"), "{}", lost.text());
    assert_eq!(gateway.lab.requests().len(), before);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn named_control_routes_are_passed_on_and_others_do_not_exist() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let asked = get(&gateway, "/backend-api/ps/plugins/installed?limit=200", &[]).await?;
    assert_eq!(asked.json()["query"], "limit=200", "{}", asked.text());
    assert_eq!(asked.json()["workspace"], "acc-lab-ada", "in the account's name");
    let seen = sent(&gateway, Route::Control).remove(0);
    assert_eq!((seen.method.as_str(), seen.body.len()), ("GET", 0));
    assert!(seen.header("content-type").is_none());
    let goal = json!({ "thread_id": "t1", "goal": "ship" });
    let set = post(&gateway, "/backend-api/codex/thread/goal/set", &goal).await?;
    assert_eq!(set.json()["said"], goal);
    let event =
        post(&gateway, "/backend-api/codex/analytics-events/events", &json!({ "events": [] })).await?;
    assert_eq!((event.status, event.body.len()), (204, 0));
    let settings = get(&gateway, "/backend-api/wham/settings/user", &[]).await?;
    assert_eq!((settings.status, settings.json()), (200, json!({ "settings": {} })));
    for path in [
        "ps/mcp",
        "wham/apps",
        "wham/rate-limit-reset-credits/consume",
        "wham/profiles/me",
        "codex/realtime/calls",
        "me",
    ] {
        let refused = post(&gateway, &format!("/backend-api/{path}"), &json!({})).await?;
        assert_eq!((refused.status, refused.error()?.code.as_str()), (404, "unknown_route"), "{path}");
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_control_route_answers_says_nothing_about_an_accounts_turns() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for (fault, status) in [
        (Fault::Raw { status: 403, body: r#"{"detail":"not yours"}"#.into(), headers: Vec::new() }, 403),
        (Fault::RateLimited429 { with_code: true, retry_after: Some(90) }, 429),
        (Fault::Raw { status: 500, body: String::new(), headers: Vec::new() }, 500),
        (Fault::Raw { status: 404, body: r#"{"detail":"Not Found"}"#.into(), headers: Vec::new() }, 404),
    ] {
        let rule = gateway.lab.script(FaultRule::new(fault).on(Route::Control).times(1));
        let answer = get(&gateway, "/backend-api/codex/thread/goal/get", &[]).await?;
        answer.error()?;
        assert_eq!((answer.status, gateway.lab.fired(rule)), (status, 1), "{}", answer.text());
        still_serves(&gateway).await?;
    }
    // A token that ended is renewed here as well.
    gateway.lab.script(FaultRule::new(Fault::Unauthorized401).on(Route::Control).times(1));
    assert_eq!(get(&gateway, "/backend-api/codex/thread/goal/get", &[]).await?.status, 200);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_gateway_passes_the_backends_paths_on() -> Result<()> {
    let child = InProcess::start(lab(1)).await?;
    let parent = InProcess::start_empty(lab(1), |_| {}).await?;
    let admin = Admin::set_up(&parent.http, &parent.url).await?;
    admin.add_key("gateway", "child", "", json!({ "base_url": child.url })).await?;
    let goal = post(&parent, "/backend-api/codex/thread/goal/set", &json!({ "goal": 1 })).await?;
    assert_eq!(goal.json()["said"], json!({ "goal": 1 }), "{}", goal.text());
    let made = post(&parent, "/backend-api/files", &json!({ "file_name": "a", "file_size": 1 })).await?;
    let id = made.json()["file_id"].as_str().with_context(|| made.text())?.to_owned();
    let done = post(&parent, &format!("/backend-api/files/{id}/uploaded"), &json!({})).await?;
    assert_eq!(done.status, 200, "{}", done.text());
    let picture = post(&parent, "/v1/images/generations", &json!({ "prompt": "a cat" })).await?;
    assert!(picture.json()["data"][0]["b64_json"].is_string(), "{}", picture.text());
    let compact = json!({ "model": "gpt-5.5", "input": "a story" });
    let compacted = post(&parent, "/v1/responses/compact", &compact).await?;
    assert_eq!(compacted.json()["object"], "response.compaction", "{}", compacted.text());
    assert!(parent.lab.requests().is_empty());
    parent.stop().await?;
    child.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_with_a_key_are_never_asked_for_the_backends_paths() -> Result<()> {
    let gateway = InProcess::start_empty(lab(1), |_| {}).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    admin.add_key("openai", "key", OPENAI_KEY, json!({})).await?;
    let before = gateway.lab.requests().len();
    for answer in [
        get(&gateway, "/backend-api/wham/settings/user", &[]).await?,
        post(&gateway, "/backend-api/files", &json!({ "file_name": "a", "file_size": 1 })).await?,
    ] {
        assert_eq!(answer.status, 404, "{}", answer.text());
        assert!(answer.error()?.message.contains("codex or gateway"), "{}", answer.text());
    }
    assert_eq!(gateway.lab.requests().len(), before);
    let nobody: Value = get(&gateway, "/backend-api/wham/usage", &[]).await?.json();
    assert_eq!(nobody["rate_limit"]["primary_window"], Value::Null);
    gateway.stop().await
}
