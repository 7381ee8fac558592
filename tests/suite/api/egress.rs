//! Egress proxies: what is told to leave through one does so or not at all.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_lab::proxy::{LabProxy, ProxyKind};
use gateway_lab::{OPENAI_KEY, Route};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess, events_of, eventually, turn};
use tokio_util::sync::CancellationToken;

use super::{completed, lab};

/// A gateway without accounts, so that nothing leaves before its way is set.
struct World {
    gateway: InProcess,
    admin: Admin,
    stop: CancellationToken,
}

impl World {
    async fn new() -> Result<Self> {
        let gateway = InProcess::start_empty(lab(2), |_| {}).await?;
        let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
        Ok(Self { gateway, admin, stop: CancellationToken::new() })
    }

    async fn proxy(&self, kind: ProxyKind) -> Result<LabProxy> {
        Ok(LabProxy::start(kind, Some(("me", "hunter2")), self.stop.clone()).await?)
    }

    /// Makes a proxy known; returns its id.
    async fn add_proxy(&self, url: &str, groups: &Value) -> Result<String> {
        let nth = self.admin.get("/proxies").await?.as_array().map_or(0, Vec::len);
        let body = json!({ "name": format!("way out {nth}"), "url": url, "groups": groups });
        let added = self.admin.expect(201, Method::POST, "/proxies", Some(&body)).await?;
        ensure!(!added.to_string().contains("hunter2"), "the password is never shown: {added}");
        Ok(added["id"].as_str().context("no id")?.to_owned())
    }

    /// An account with a key that leaves that way.
    async fn add_account(&self, name: &str, settings: Value) -> Result<String> {
        self.admin.add_key("openai", name, OPENAI_KEY, settings).await
    }

    async fn ask(&self) -> Result<Answer> {
        self.gateway.ask(&turn("hello")).await
    }

    /// Turns that reached the lab.
    fn turns(&self) -> usize {
        self.gateway.lab.requests().iter().filter(|seen| seen.route == Route::ApiResponses).count()
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.gateway.stop().await
    }
}

fn through(proxy: &str) -> Value {
    json!({ "egress": { "via": "proxy", "proxy": proxy } })
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_an_account_leaves_through_its_proxy_with_its_credentials() -> Result<()> {
    for kind in [ProxyKind::Http, ProxyKind::Socks5] {
        let world = World::new().await?;
        let proxy = world.proxy(kind).await?;
        let id = world.add_proxy(&proxy.url(), &json!([])).await?;
        let account = world.add_account("one", through(&id)).await?;
        let answer = world.ask().await?;
        ensure!(answer.status == 200, "{kind:?}: {}", answer.text());
        completed(&events_of(&answer.text())?)?;
        world.admin.expect(200, Method::POST, &format!("/accounts/{account}/test"), None).await?;
        let lab = &world.gateway.lab;
        assert!(proxy.passed() > 0 && proxy.refused() == 0, "{kind:?}");
        assert_eq!(lab.connections_accepted(), proxy.passed(), "{kind:?}: nothing went around it");
        let names = lab.requests();
        let names = names.iter().flat_map(|seen| seen.headers.keys());
        assert_eq!(names.filter(|name| name.as_str().starts_with("proxy-")).count(), 0, "{kind:?}");
        let shown = world.admin.get("/proxies").await?;
        assert_eq!((&shown[0]["accounts"], &shown[0]["enabled"]), (&json!(1), &json!(true)));
        assert!(!shown.to_string().contains("hunter2") && !shown.to_string().contains("me:"), "{shown}");
        world.stop().await?;
    }
    Ok(())
}

/// In each of these ways a proxy does not work.
const TROUBLES: [&str; 5] = ["down", "wrong password", "refuses", "off", "deleted"];

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_http_proxy_does_not_work_is_skipped_and_never_sent_straight() -> Result<()> {
    troubles(ProxyKind::Http).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_socks_proxy_does_not_work_is_skipped_and_never_sent_straight() -> Result<()> {
    troubles(ProxyKind::Socks5).await
}

async fn troubles(kind: ProxyKind) -> Result<()> {
    let world = World::new().await?;
    for trouble in TROUBLES {
        one_trouble(&world, kind, trouble).await.with_context(|| format!("{kind:?} {trouble}"))?;
    }
    world.stop().await
}

/// An account that leaves through a proxy with this trouble; it is the only one, and the first of all.
async fn troubled(world: &World, kind: ProxyKind, trouble: &str) -> Result<String> {
    let proxy = world.proxy(kind).await?;
    let url = if trouble == "wrong password" { proxy.url_as("me", "wrong") } else { proxy.url() };
    let id = world.add_proxy(&url, &json!([])).await?;
    let path = format!("/proxies/{id}");
    proxy.set_down(trouble == "down");
    proxy.refuse_targets(trouble == "refuses");
    let mut settings = through(&id);
    settings["priority"] = json!(10);
    let account = world.add_account("proxied", settings).await?;
    match trouble {
        "off" => {
            let off = json!({ "enabled": false });
            world.admin.expect(200, Method::PATCH, &path, Some(&off)).await?;
        }
        "deleted" => {
            world.admin.expect(204, Method::DELETE, &path, None).await?;
        }
        _ => {}
    }
    Ok(account)
}

async fn one_trouble(world: &World, kind: ProxyKind, trouble: &str) -> Result<()> {
    let proxied = troubled(world, kind, trouble).await?;
    let (reached, turns) = (world.gateway.lab.connections_accepted(), world.turns());
    let answer = world.ask().await?;
    // The request finds out, or a probe was faster.
    ensure!(matches!(answer.status, 502 | 503), "{} {}", answer.status, answer.text());
    answer.error()?;
    ensure!(!answer.text().contains("hunter2"), "{}", answer.text());
    ensure!(world.gateway.lab.connections_accepted() == reached, "something went around the proxy");

    // Another account serves as if nothing were wrong.
    let straight = world.add_account("straight", json!({ "egress": { "via": "direct" } })).await?;
    let answer = world.ask().await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let decision = world.gateway.decision(&answer.headers)?;
    let last = decision.attempts.last().context("no try")?;
    ensure!(&*last.account_name == "straight" && world.turns() == turns + 1, "{decision:?}");
    for id in [proxied, straight] {
        world.admin.expect(204, Method::DELETE, &format!("/accounts/{id}"), None).await?;
    }
    Ok(())
}

/// What an account's state says, and what the proxies page says of the one proxy.
async fn told(world: &World, account: &str) -> Result<(String, Value)> {
    let shown = world.admin.get(&format!("/accounts/{account}")).await?;
    let why = shown["account"]["state_reason"].as_str().unwrap_or_default().to_owned();
    let proxies = world.admin.get("/proxies").await?;
    Ok((why, proxies[0]["health"].clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_connection_closes_the_way_until_a_probe_gets_through() -> Result<()> {
    for kind in [ProxyKind::Http, ProxyKind::Socks5] {
        closed_until_probed(kind).await.with_context(|| format!("{kind:?}"))?;
    }
    Ok(())
}

async fn closed_until_probed(kind: ProxyKind) -> Result<()> {
    let world = World::new().await?;
    let proxy = world.proxy(kind).await?;
    let id = world.add_proxy(&proxy.url(), &json!([])).await?;
    let test = format!("/proxies/{id}/test");
    let mut settings = through(&id);
    settings["priority"] = json!(10);
    let account = world.add_account("proxied", settings).await?;
    world.admin.expect(200, Method::POST, &test, None).await?;
    let (why, health) = told(&world, &account).await?;
    ensure!(why.is_empty() && health["works"] == true && health["probed_at"].is_i64(), "{why} {health}");
    ensure!(health["latency_ms"].is_u64() && health["trouble"].is_null(), "{health}");

    proxy.set_down(true);
    let answer = world.ask().await?;
    ensure!(matches!(answer.status, 502 | 503), "{}", answer.text());
    // Nobody but the job in the background looks: within a round or two the way is closed, for whichever reason.
    let (why, health) = eventually("the way is closed", async || {
        let (why, health) = told(&world, &account).await?;
        Ok((health["works"] == false && !why.is_empty()).then_some((why, health)))
    })
    .await?;
    ensure!(why.starts_with("its egress proxy way out 0 is down since 2"), "{why}");
    ensure!(health["trouble"].is_string() && !health.to_string().contains("hunter2"), "{health}");
    let answer = world.ask().await?;
    ensure!(answer.status == 503 && answer.text().contains("`way out 0` does not work"), "{}", answer.text());
    ensure!(world.gateway.lab.connections_accepted() == proxy.passed(), "nothing went around");
    let straight = world.add_account("straight", json!({ "egress": { "via": "direct" } })).await?;
    let answer = world.ask().await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let request = answer.header("x-request-id").context("no id")?.to_owned();
    let decision = world.admin.get(&format!("/decisions/{request}")).await?;
    ensure!(decision["attempts"].as_array().is_some_and(|tries| tries.len() == 1), "skipped: {decision}");
    let candidates = decision["rankings"][0]["candidates"].as_array().context("no candidates")?;
    let skipped = candidates.iter().find(|one| one["account_id"] == account).context("not named")?;
    ensure!(skipped["health"] == "blocked" && skipped["why_not"] == why, "{skipped}");
    world.admin.expect(204, Method::DELETE, &format!("/accounts/{straight}"), None).await?;

    proxy.set_down(false);
    world.gateway.lab.advance(Duration::from_secs(5));
    let why = eventually("it is probed again", async || {
        let (why, health) = told(&world, &account).await?;
        Ok((health["works"] == true && !why.contains("proxy")).then_some(why))
    });
    let why = why.await?;
    ensure!(why.is_empty(), "nothing speaks against it any more: {why}");
    let answer = world.ask().await?;
    ensure!(answer.status == 200, "{}", answer.text());
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_has_a_proxy_of_its_own() -> Result<()> {
    let world = World::new().await?;
    let (eu, us) = (world.proxy(ProxyKind::Http).await?, world.proxy(ProxyKind::Socks5).await?);
    let of_eu = world.add_proxy(&eu.url(), &json!(["eu"])).await?;
    world.add_proxy(&us.url(), &json!(["us"])).await?;
    let account = world.add_account("one", json!({ "groups": ["eu"] })).await?;
    // Which of them it left through. The one in use is probed as well.
    let ask = async |case: &str| -> Result<(bool, bool)> {
        let before = (eu.passed(), us.passed());
        // The proxies' connections are kept; a changed way must not use an old one.
        let answer = world.ask().await?;
        ensure!(answer.status == 200, "{case}: {}", answer.text());
        Ok((eu.passed() > before.0, us.passed() > before.1))
    };
    let set =
        async |settings: Value| world.admin.patch_account(&account, &json!({ "settings": settings })).await;
    assert_eq!(ask("through its group's").await?, (true, false));
    set(json!({ "groups": ["us"] })).await?;
    assert_eq!(ask("the other group's").await?, (false, true));
    set(json!({ "egress": { "via": "direct" } })).await?;
    let straight = world.gateway.lab.connections_accepted();
    assert_eq!(ask("straight, whatever its groups say").await?, (false, false));
    assert_eq!(world.gateway.lab.connections_accepted(), straight + 1);
    set(json!({ "egress": { "via": "inherit" }, "groups": ["eu"] })).await?;
    let off = json!({ "enabled": false });
    world.admin.expect(200, Method::PATCH, &format!("/proxies/{of_eu}"), Some(&off)).await?;
    let (accepted, answer) = (world.gateway.lab.connections_accepted(), world.ask().await?);
    assert!(matches!(answer.status, 502 | 503), "its group's proxy is off: {}", answer.text());
    assert_eq!(world.gateway.lab.connections_accepted(), accepted);
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_tells_the_latency_or_what_is_wrong() -> Result<()> {
    let world = World::new().await?;
    for kind in [ProxyKind::Http, ProxyKind::Socks5] {
        let proxy = world.proxy(kind).await?;
        let good = world.add_proxy(&proxy.url(), &json!([])).await?;
        let probed = world.admin.expect(200, Method::POST, &format!("/proxies/{good}/test"), None).await?;
        assert!(probed["latency_ms"].as_u64().is_some_and(|ms| ms < 5_000), "{kind:?}: {probed}");
        assert_eq!(proxy.passed(), 1, "{kind:?}: it went through");
        let wrong = world.add_proxy(&proxy.url_as("me", "wrong"), &json!([])).await?;
        proxy.set_down(true);
        for id in [&good, &wrong] {
            let refused = world.admin.expect(502, Method::POST, &format!("/proxies/{id}/test"), None).await?;
            assert_eq!(refused["code"], "proxy_failed", "{kind:?}: {refused}");
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
            proxy.set_down(false);
        }
        assert!(proxy.refused() > 0, "{kind:?}: the wrong password was refused");
    }
    for (url, id) in [("ftp://x", None), ("http://", None), ("not an address", None), ("", Some("nobody"))] {
        match id {
            None => {
                let body = json!({ "url": url });
                let refused = world.admin.expect(422, Method::POST, "/proxies", Some(&body)).await?;
                assert_eq!(refused["field"], "url", "{url}");
            }
            Some(id) => {
                world.admin.expect(404, Method::POST, &format!("/proxies/{id}/test"), None).await?;
            }
        }
    }
    world.stop().await
}

/// Not only turns: a ChatGPT account's rotations and questions leave through its proxy as well.
#[tokio::test(flavor = "multi_thread")]
async fn rotations_leave_through_the_proxy_as_well() -> Result<()> {
    let world = World::new().await?;
    let proxy = world.proxy(ProxyKind::Socks5).await?;
    let id = world.add_proxy(&proxy.url(), &json!([])).await?;
    world.gateway.import(0).await?;
    let accounts = world.admin.get("/accounts").await?;
    let account = accounts[0]["id"].as_str().context("no account")?.to_owned();
    world.admin.patch_account(&account, &json!({ "settings": through(&id) })).await?;
    assert_eq!(world.ask().await?.status, 200);
    proxy.set_down(true);
    let lab = &world.gateway.lab;
    lab.expire_access_tokens(0);
    let refused = world.admin.call(Method::POST, &format!("/accounts/{account}/refresh"), None).await?;
    assert!(refused.status >= 500, "{}: {}", refused.status, refused.text());
    assert_eq!(lab.tokens(0).context("no account")?.refreshes, 0, "nothing went around");
    proxy.set_down(false);
    // Should the job in the background have found it down meanwhile.
    world.admin.expect(200, Method::POST, &format!("/proxies/{id}/test"), None).await?;
    world.admin.expect(200, Method::POST, &format!("/accounts/{account}/refresh"), None).await?;
    assert_eq!(lab.tokens(0).context("no account")?.refreshes, 1);
    assert_eq!(world.ask().await?.status, 200);
    world.stop().await
}
