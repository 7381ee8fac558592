//! Client keys that may use a part of the pool only.

use anyhow::{Context, Result, ensure};
use gateway_lab::OPENAI_KEY;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess, turn};

use super::lab;

struct World {
    gateway: InProcess,
    admin: Admin,
    /// Ids of `cheap`, `dear` and `other`.
    accounts: [String; 3],
}

impl World {
    async fn new() -> Result<Self> {
        let gateway = InProcess::start_empty(lab(1), |_| {}).await?;
        let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
        let add = async |name: &str, settings| admin.add_key("openai", name, OPENAI_KEY, settings).await;
        let accounts = [
            add("cheap", json!({ "groups": ["cheap"] })).await?,
            // It would be asked first.
            add("dear", json!({ "groups": ["dear"], "priority": 10 })).await?,
            add("other", json!({})).await?,
        ];
        Ok(Self { gateway, admin, accounts })
    }

    async fn key(&self, label: &str, scope: Value) -> Result<(String, String)> {
        let body = json!({ "label": label, "scope": scope });
        let made = self.admin.expect(201, Method::POST, "/keys", Some(&body)).await?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
        Ok((text(&made["key"])?, text(&made["view"]["id"])?))
    }

    async fn ask(&self, key: &str) -> Result<Answer> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}"))?);
        Answer::read(self.gateway.post_to("/v1/responses", headers, turn("hello").to_string()).await?).await
    }

    /// Who serves a turn with this key, five times.
    async fn served_by(&self, key: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for _ in 0..5 {
            let answer = self.ask(key).await?;
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
            let decision = self.gateway.decision(&answer.headers)?;
            names.push(decision.attempts.last().context("no try")?.account_name.to_string());
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_uses_its_groups_and_accounts_only() -> Result<()> {
    let world = World::new().await?;
    let [cheap, _, other] = &world.accounts;
    let (everything, _) = world.key("everything", json!({})).await?;
    assert_eq!(world.served_by(&everything).await?, ["dear"]);
    let (grouped, id) = world.key("grouped", json!({ "groups": ["cheap"] })).await?;
    assert_eq!(world.served_by(&grouped).await?, ["cheap"]);
    let (named, _) = world.key("named", json!({ "accounts": [other] })).await?;
    assert_eq!(world.served_by(&named).await?, ["other"]);

    // The decision says who was out of reach and why.
    let answer = world.ask(&grouped).await?;
    let request = answer.header("x-request-id").context("no id")?.to_owned();
    let decision = world.admin.get(&format!("/decisions/{request}")).await?;
    let candidates = decision["rankings"][0]["candidates"].as_array().context("no candidates")?;
    for candidate in candidates {
        let outside = candidate["why_not"].as_str().is_some_and(|why| why.contains("the client's key"));
        ensure!(outside == (candidate["account_name"] != "cheap"), "{candidate}");
    }

    // Nobody is left: said so, and nobody else serves.
    world.admin.patch_account(cheap, &json!({ "paused": true })).await?;
    let refused = world.ask(&grouped).await?;
    ensure!(refused.status == 503 && refused.text().contains("this key may use"), "{}", refused.text());
    assert_eq!(world.served_by(&everything).await?, ["dear"]);

    // Another part of the pool, at once; then all of it.
    let path = format!("/keys/{id}/scope");
    let wider = json!({ "groups": ["cheap"], "accounts": [other] });
    let changed = world.admin.expect(200, Method::PUT, &path, Some(&wider)).await?;
    assert_eq!(changed["scope"], wider);
    assert_eq!(world.served_by(&grouped).await?, ["other"]);
    world.admin.expect(200, Method::PUT, &path, Some(&json!({}))).await?;
    assert_eq!(world.served_by(&grouped).await?, ["dear"]);

    let keys = world.admin.get("/keys").await?;
    let scopes: Vec<&Value> = keys.as_array().context("no keys")?.iter().map(|key| &key["scope"]).collect();
    let all = json!({ "groups": [], "accounts": [] });
    assert_eq!(scopes, [&all, &all, &json!({ "groups": [], "accounts": [other] })]);
    world.gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_scope_is_refused_with_its_field() -> Result<()> {
    let world = World::new().await?;
    let (_, id) = world.key("one", json!({})).await?;
    let many: Vec<String> = (0..65).map(|n| format!("acc_{n}")).collect();
    for (scope, field) in [
        (json!({ "groups": [" spaced "] }), "groups"),
        (json!({ "groups": [""] }), "groups"),
        (json!({ "accounts": [""] }), "accounts"),
        (json!({ "accounts": many }), "accounts"),
    ] {
        let body = json!({ "label": "two", "scope": scope });
        let refused = world.admin.expect(422, Method::POST, "/keys", Some(&body)).await?;
        assert_eq!(refused["field"], field, "{scope}");
        let refused =
            world.admin.expect(422, Method::PUT, &format!("/keys/{id}/scope"), Some(&scope)).await?;
        assert_eq!(refused["field"], field, "{scope}");
    }
    world.admin.expect(404, Method::PUT, "/keys/key_nobody/scope", Some(&json!({}))).await?;
    assert_eq!(world.admin.get("/keys").await?.as_array().map(Vec::len), Some(1));
    world.gateway.stop().await
}
