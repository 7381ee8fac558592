//! The list of models: what mappings publish, and what a key may reach.

use std::fs;

use anyhow::{Context, Result, ensure};
use gateway_lab::ANTHROPIC_KEY;
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess, eventually};

use super::lab;

/// The models that a key is shown, in the words of a path.
async fn names(gateway: &InProcess, path: &str, key: Option<&str>, anthropic: bool) -> Result<Vec<String>> {
    let mut request = gateway.http.get(format!("{}{path}", gateway.url));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    if anthropic {
        request = request.header("anthropic-version", "2023-06-01");
    }
    let answer = Answer::read(request.send().await?).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    let list = answer.json();
    let name = |model: &Value| Some(model.get("id").or_else(|| model.get("slug"))?.as_str()?.to_owned());
    let models = list.get("data").or_else(|| list.get("models")).and_then(Value::as_array);
    Ok(models.context("no list")?.iter().filter_map(name).collect())
}

async fn all(gateway: &InProcess, key: Option<&str>) -> Result<Vec<String>> {
    names(gateway, "/v1/models", key, false).await
}

async fn has(gateway: &InProcess, path: &str, key: &str) -> Result<u16> {
    let request = gateway.http.get(format!("{}{path}", gateway.url)).bearer_auth(key);
    Ok(request.send().await?.status().as_u16())
}

/// A gateway that knows its catalogue.
async fn gateway() -> Result<(InProcess, Admin)> {
    let gateway = InProcess::start(lab(2)).await?;
    eventually("the catalogue is known", async || {
        let names = all(&gateway, None).await?;
        Ok(names.iter().any(|name| name == "gpt-5.5").then_some(()))
    })
    .await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    Ok((gateway, admin))
}

async fn key(admin: &Admin, scope: Value) -> Result<String> {
    let body = json!({"label": format!("key {scope}").replace(['"', '{', '}', ':', ',', '[', ']'], ""), "scope": scope});
    let made = admin.expect(201, Method::POST, "/keys", Some(&body)).await?;
    Ok(made["key"].as_str().context("no key")?.to_owned())
}

async fn account(admin: &Admin, at: usize) -> Result<String> {
    let accounts = admin.get("/accounts").await?;
    let list = accounts.as_array().or_else(|| accounts["accounts"].as_array()).context("no accounts")?;
    Ok(list[at]["id"].as_str().context("no id")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_what_it_may_reach() -> Result<()> {
    let (gateway, admin) = gateway().await?;
    let (one, other) = (account(&admin, 0).await?, account(&admin, 1).await?);
    admin
        .patch_account(&one, &json!({"settings": {"allowed_models": ["gpt-5.5"], "groups": ["small"]}}))
        .await?;
    let everything = all(&gateway, None).await?;
    ensure!(everything.len() > 1, "{everything:?}");
    let (small, whole) =
        (key(&admin, json!({"groups": ["small"]})).await?, key(&admin, json!({"accounts": [other]})).await?);
    let (both, nobody) = (
        key(&admin, json!({"groups": ["small"], "accounts": [other]})).await?,
        key(&admin, json!({"groups": ["empty"]})).await?,
    );
    let free = key(&admin, json!({})).await?;
    assert_eq!(all(&gateway, Some(&free)).await?, everything, "no scope, everything");
    assert_eq!(all(&gateway, Some(&small)).await?, ["gpt-5.5"]);
    ensure!(all(&gateway, Some(&whole)).await?.len() > 1);
    assert_eq!(all(&gateway, Some(&both)).await?, all(&gateway, Some(&whole)).await?);
    assert_eq!(all(&gateway, Some(&nobody)).await?, Vec::<String>::new());
    assert_eq!(names(&gateway, "/v1/models", Some(&small), true).await?, ["gpt-5.5"]);
    assert_eq!(names(&gateway, "/v1/models?client_version=1", Some(&small), false).await?, ["gpt-5.5"]);
    assert_eq!(
        names(&gateway, "/backend-api/codex/models", Some(&nobody), false).await?,
        Vec::<String>::new()
    );
    let hidden = everything.iter().find(|name| *name != "gpt-5.5").context("one model only")?;
    assert_eq!(has(&gateway, &format!("/v1/models/{hidden}"), &small).await?, 404);
    assert_eq!(has(&gateway, &format!("/v1/models/{hidden}"), &whole).await?, 200);

    // What is decided about the account shows at once.
    admin.patch_account(&one, &json!({"settings": {"allowed_models": []}})).await?;
    eventually("the list grows", async || Ok((all(&gateway, Some(&small)).await?.len() > 1).then_some(())))
        .await?;
    admin.patch_account(&one, &json!({"paused": true})).await?;
    eventually("nobody is left", async || Ok(all(&gateway, Some(&small)).await?.is_empty().then_some(())))
        .await?;
    // An account of another kind has what its upstream lists.
    admin.add_key("anthropic", "api", ANTHROPIC_KEY, json!({"groups": ["api"]})).await?;
    let api = key(&admin, json!({"groups": ["api"]})).await?;
    let listed = eventually("its models are known", async || {
        Ok(Some(all(&gateway, Some(&api)).await?).filter(|listed| !listed.is_empty()))
    })
    .await?;
    ensure!(listed.iter().all(|name| name.starts_with("claude")), "{listed:?}");
    gateway.stop().await
}

const ALIASES: &str = r#"const PUBLISHES = "fast ghost";
fn map_model(request) {
    if request.model == "fast" { return "gpt-5.5"; }
    if request.model == "ghost" { return "nobody-has-it"; }
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_mappings_publish_is_listed_where_it_is_reached() -> Result<()> {
    let (gateway, admin) = gateway().await?;
    let before = all(&gateway, None).await?;
    let folder = gateway.settings.policies_dir();
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("names.rhai"), ALIASES)?;
    eventually("the alias is listed", async || {
        Ok(all(&gateway, None).await?.contains(&"fast".to_owned()).then_some(()))
    })
    .await?;
    for anthropic in [true, false] {
        let mut expected = before.clone();
        expected.extend(["fast".to_owned(), "ghost".to_owned()]);
        assert_eq!(names(&gateway, "/v1/models", None, anthropic).await?, expected);
    }
    // Codex describes models at length, and nobody described an alias.
    let codex = names(&gateway, "/backend-api/codex/models", None, false).await?;
    ensure!(!codex.contains(&"fast".to_owned()) && codex.contains(&"gpt-5.5".to_owned()), "{codex:?}");
    // A key sees the names that lead to something it may use.
    let scoped = key(&admin, json!({"accounts": [account(&admin, 0).await?]})).await?;
    let listed = all(&gateway, Some(&scoped)).await?;
    ensure!(listed.contains(&"fast".to_owned()) && !listed.contains(&"ghost".to_owned()), "{listed:?}");
    assert_eq!(has(&gateway, "/v1/models/fast", &scoped).await?, 200);
    // For one client only, and switched off.
    let patch = json!({"clients": ["nobody"]});
    admin.expect(200, Method::PATCH, "/extensions/rhai:names", Some(&patch)).await?;
    assert_eq!(all(&gateway, None).await?, before);
    let patch = json!({"clients": null, "enabled": false});
    admin.expect(200, Method::PATCH, "/extensions/rhai:names", Some(&patch)).await?;
    assert_eq!(all(&gateway, None).await?, before);

    // A component does the same.
    let config = json!({"rules": [{"model": "quick", "targets": [{"model": "gpt-5.5"}]}]});
    let patch = json!({"enabled": true, "config": config});
    admin.expect(200, Method::PATCH, "/extensions/wasm:aliases", Some(&patch)).await?;
    let listed = all(&gateway, None).await?;
    assert_eq!(listed.last().map(String::as_str), Some("quick"), "{listed:?}");
    gateway.stop().await
}
