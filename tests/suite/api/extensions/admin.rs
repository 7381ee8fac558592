//! The operator's door: extensions listed, decided, checked, taken in, taken out and rolled back over the admin API.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use switchyard_tests::{Admin, repository};

use super::*;

async fn opened() -> Result<(InProcess, Admin)> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    Ok((gateway, admin))
}

fn row<'a>(list: &'a Value, id: &str) -> Result<&'a Value> {
    let found = list.as_array().and_then(|rows| rows.iter().find(|row| row["id"] == id));
    found.with_context(|| format!("no {id} in {list}"))
}

async fn patch(admin: &Admin, status: u16, id: &str, patch: Value) -> Result<Value> {
    admin.expect(status, Method::PATCH, &format!("/extensions/{id}"), Some(&patch)).await
}

/// What a turn's prompt was when it reached the lab.
async fn sent(gateway: &InProcess, text: &str) -> Result<String> {
    let answer = ask(gateway, Speaks::Chat, &Speaks::Chat.question("gpt-5.5", text, false)).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    let seen = turns(gateway).pop().context("nothing arrived")?;
    Ok(String::from_utf8_lossy(&seen.body).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipped_one_is_switched_on_placed_and_watched() -> Result<()> {
    let (gateway, admin) = opened().await?;
    let list = admin.get("/extensions").await?;
    let off = row(&list, "wasm:redactor")?;
    assert_eq!(
        (&off["origin"], &off["enabled"], &off["trust"], &off["release"]),
        (&json!("shipped"), &json!(false), &json!("shipped"), &json!("0.1.0"))
    );
    assert_eq!(off["hooks"], json!(["filter-request", "filter-response"]));
    assert_eq!(row(&list, "rhai:header-tags")?["language"], "rhai");
    let policy = row(&list, "wasm:headroom")?;
    assert_eq!((&policy["hooks"], &policy["enabled"]), (&json!(["schedule"]), &json!(false)));
    ensure!(list.as_array().is_some_and(|rows| rows.iter().all(|row| row["language"] != "builtin")));

    let off = admin.get("/extensions/wasm:redactor").await?;
    assert_eq!(off["config_schema"]["type"], "object", "asked before it is on: {off}");
    let on = patch(&admin, 200, "wasm:redactor", json!({"enabled": true, "groups": [], "order": 3})).await?;
    assert_eq!((&on["extension"]["enabled"], &on["decided"]["order"]), (&json!(true), &json!(3)));
    ensure!(!sent(&gateway, &format!("write to {ADDRESS}")).await?.contains(ADDRESS));

    let seen = admin.get("/extensions/wasm:redactor").await?;
    let places = seen["extension"]["places"].as_array().context("no places")?;
    ensure!(places.len() == 2 && places.iter().all(|place| place["order"] == 3), "{places:?}");
    assert_eq!(seen["extension"]["breaker"]["state"], "closed");
    let calls = &seen["extension"]["calls"][0];
    assert_eq!((&calls["hook"], &calls["failures"]), (&json!("filter-request"), &json!(0)));
    ensure!(calls["calls"].as_u64() >= Some(1) && calls["mean_us"].as_f64() > Some(0.0), "{calls}");
    ensure!(seen["hits"][0]["act"]["rules"].as_array().is_some_and(|rules| !rules.is_empty()), "{seen}");
    ensure!(!seen.to_string().contains(ADDRESS), "no text of a prompt is kept");
    let hits = admin.get("/extensions/hits?id=wasm:redactor&limit=1").await?;
    assert_eq!(hits[0]["request_id"], seen["hits"][0]["request_id"]);
    assert_eq!(admin.get("/extensions/hits?id=wasm:guard").await?, json!([]));

    // Monitored, it changes nothing; given back, it does what its manifest asks.
    patch(&admin, 200, "wasm:redactor", json!({"mode": "monitor"})).await?;
    ensure!(sent(&gateway, ADDRESS).await?.contains(ADDRESS));
    let back = patch(&admin, 200, "wasm:redactor", json!({"mode": null, "order": null})).await?;
    ensure!(back["extension"]["places"][0]["order"] == 10 && back["decided"]["mode"].is_null(), "{back}");
    ensure!(!sent(&gateway, ADDRESS).await?.contains(ADDRESS));

    let gateway = gateway.restarted().await?;
    let admin = Admin::log_in(&gateway.http, &gateway.url).await?;
    ensure!(!sent(&gateway, ADDRESS).await?.contains(ADDRESS), "it is on after a restart");
    patch(&admin, 200, "wasm:redactor", json!({"enabled": false})).await?;
    ensure!(sent(&gateway, ADDRESS).await?.contains(ADDRESS));
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_and_changes_nothing() -> Result<()> {
    let (gateway, admin) = opened().await?;
    patch(&admin, 200, "wasm:redactor", json!({"enabled": true})).await?;
    for (id, change, status, code, says) in [
        ("wasm:nobody", json!({"enabled": true}), 404, "not_found", "there is no extension"),
        ("python:x", json!({"enabled": true}), 404, "not_found", "there is no extension"),
        ("wasm:redactor", json!({"mode": "loud"}), 422, "invalid_field", "enforce, monitor"),
        ("wasm:redactor", json!({"on_failure": "later"}), 422, "invalid_field", "open, closed"),
        ("wasm:redactor", json!({"routes": ["/v1/nothing"]}), 422, "invalid_field", "/v1/messages"),
        ("wasm:redactor", json!({"config": {"colour": "red"}}), 422, "not_admitted", "colour"),
        ("wasm:redactor", json!({"grants": ["filesystem"]}), 422, "not_admitted", "no capability"),
        ("wasm:redactor", json!({"http_out": ["ftp://x"]}), 422, "not_admitted", "ftp"),
        ("wasm:redactor", json!({"speed": 1}), 422, "invalid_body", "speed"),
        ("rhai:header-tags", json!({"config": {}}), 422, "not_admitted", "reaches nothing"),
        ("rhai:pin", json!({"enabled": true, "raised": false}), 422, "invalid_field", "chosen"),
    ] {
        let refused = patch(&admin, status, id, change.clone()).await?;
        assert_eq!(refused["code"], code, "{id} {change}: {refused}");
        ensure!(
            refused["message"].as_str().is_some_and(|why| why.contains(says)),
            "{id} {change}: {refused}"
        );
    }
    for (method, path, status) in [
        (Method::POST, "/extensions/wasm:redactor/rollback", 409),
        (Method::POST, "/extensions/wasm:nobody/rollback", 404),
        (Method::DELETE, "/extensions/wasm:redactor", 409),
        (Method::DELETE, "/extensions/rhai:header-tags", 409),
        (Method::DELETE, "/extensions/rhai:..%2Fx", 404),
        (Method::GET, "/extensions/wasm:nobody", 404),
    ] {
        let answer = admin.call(method.clone(), path, None).await?;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
    ensure!(!sent(&gateway, ADDRESS).await?.contains(ADDRESS), "it serves as before");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_chosen_and_let_go_of_by_the_same_door() -> Result<()> {
    let (gateway, admin) = opened().await?;
    for id in ["rhai:round-robin", "wasm:headroom"] {
        let on = patch(&admin, 200, id, json!({"enabled": true})).await?;
        assert_eq!(on["extension"]["enabled"], true, "{on}");
        sent(&gateway, "hello").await?;
        let seen = admin.get(&format!("/extensions/{id}")).await?;
        assert_eq!(seen["extension"]["calls"][0]["hook"], "schedule", "{seen}");
    }
    assert_eq!(row(&admin.get("/extensions").await?, "rhai:round-robin")?["enabled"], false);
    let refused = patch(&admin, 422, "wasm:headroom", json!({"order": 3})).await?;
    ensure!(refused["message"].as_str().is_some_and(|why| why.contains("only ranks")), "{refused}");
    // What a shipped policy is configured with is checked by it.
    patch(&admin, 422, "wasm:headroom", json!({"config": {"colour": 1}})).await?;
    patch(&admin, 200, "wasm:headroom", json!({"enabled": false})).await?;
    ensure!(gateway.running.gateway.policy().version().id().starts_with("builtin:"));
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_named_and_never_shown() -> Result<()> {
    let (gateway, admin) = opened().await?;
    let text = format!("the {} word", "magic");
    let shown =
        patch(&admin, 200, "wasm:redactor", json!({"secrets": {"TOKEN": text, "OTHER": "x"}})).await?;
    assert_eq!(shown["decided"]["lent"]["secrets"], json!(["OTHER", "TOKEN"]));
    let shown = patch(&admin, 200, "wasm:redactor", json!({"secrets": {"OTHER": null}})).await?;
    assert_eq!(shown["decided"]["lent"]["secrets"], json!(["TOKEN"]));
    for path in ["/extensions", "/extensions/wasm:redactor"] {
        ensure!(!admin.get(path).await?.to_string().contains(&text), "{path}");
    }
    gateway.stop().await
}

fn component(name: &str) -> Result<Vec<u8>> {
    Ok(fs::read(repository().join(format!("plugins/dist/{name}.wasm")))?)
}

fn upload(name: &str, bytes: &[u8]) -> Value {
    json!({"name": name, "component": BASE64.encode(bytes)})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_checked_taken_in_rolled_back_and_removed() -> Result<()> {
    let (gateway, admin) = opened().await?;
    let (redactor, guard) = (component("redactor")?, component("guard")?);
    let post =
        async |status, path: &str, body: Value| admin.expect(status, Method::POST, path, Some(&body)).await;
    let checked = post(200, "/extensions/check", upload("mine", &redactor)).await?;
    assert_eq!((&checked["passed"], &checked["trust"]), (&json!(true), &json!("unsigned")), "{checked}");
    assert_eq!((&checked["isolation"], &checked["id"]), (&json!("fresh"), &json!("wasm:mine")));
    assert_eq!(checked["steps"].as_array().map(Vec::len), Some(12), "{checked}");
    let broken = redactor.get(..redactor.len() / 2).context("short")?;
    let refused = post(200, "/extensions/check", upload("mine", broken)).await?;
    let last = refused["steps"].as_array().and_then(|steps| steps.last()).context("no step")?;
    assert_eq!((&refused["passed"], &last["outcome"]), (&json!(false), &json!("failed")), "{refused}");
    assert_eq!(admin.call(Method::GET, "/extensions/wasm:mine", None).await?.status, 404, "only looked at");

    for (body, status, says) in [
        (upload("mine", broken), 422, "was not admitted at"),
        (upload("../mine", &redactor), 422, "no name"),
        (json!({"name": "mine", "component": "%%"}), 422, "base64"),
        (json!({"name": "mine"}), 422, "one of the two"),
        (json!({"name": "mine", "source": "x", "manifest": "y"}), 422, "no manifest"),
    ] {
        let refused = post(status, "/extensions", body).await?;
        ensure!(refused["message"].as_str().is_some_and(|why| why.contains(says)), "{refused}");
    }
    ensure!(!gateway.settings.plugins_dir().join("mine.wasm").exists(), "what is refused is not written");

    // Taken in switched off, it waits; then it acts.
    let mut quiet = upload("mine", &redactor);
    quiet["enabled"] = json!(false);
    post(201, "/extensions", quiet).await?;
    ensure!(sent(&gateway, ADDRESS).await?.contains(ADDRESS));
    patch(&admin, 200, "wasm:mine", json!({"enabled": true})).await?;
    ensure!(!sent(&gateway, ADDRESS).await?.contains(ADDRESS));
    // Another version takes over, and gives way again.
    let second = post(201, "/extensions", upload("mine", &guard)).await?;
    ensure!(sent(&gateway, ADDRESS).await?.contains(ADDRESS), "the guard lets it through");
    let seen = admin.get("/extensions/wasm:mine").await?;
    assert_eq!(seen["versions"].as_array().map(Vec::len), Some(2), "{seen}");
    assert_eq!(seen["versions"][0]["digest"], second["version"]["digest"]);
    assert_eq!(
        (&seen["extension"]["trust"], &seen["extension"]["origin"]),
        (&json!("unsigned"), &json!("folder"))
    );
    let back = post(200, "/extensions/wasm:mine/rollback", json!(null)).await?;
    assert_eq!(back["version"]["digest"], seen["versions"][1]["digest"]);
    ensure!(!sent(&gateway, ADDRESS).await?.contains(ADDRESS), "the first one serves again");

    assert_eq!(admin.call(Method::DELETE, "/extensions/wasm:mine", None).await?.status, 204);
    assert_eq!(admin.call(Method::GET, "/extensions/wasm:mine", None).await?.status, 404);
    ensure!(!gateway.settings.plugins_dir().join("mine.wasm").exists());
    ensure!(sent(&gateway, ADDRESS).await?.contains(ADDRESS));
    gateway.stop().await
}

/// That the operator answers for one version says nothing about the next.
#[tokio::test(flavor = "multi_thread")]
async fn another_version_is_raised_only_when_that_is_said_again() -> Result<()> {
    let (gateway, admin) = opened().await?;
    let trust = async |bytes: &[u8], raised: bool| {
        let mut body = upload("mine", bytes);
        body["raised"] = json!(raised);
        admin.expect(201, Method::POST, "/extensions", Some(&body)).await?;
        let seen = admin.get("/extensions/wasm:mine").await?;
        anyhow::Ok(seen["extension"]["trust"].as_str().unwrap_or_default().to_owned())
    };
    let (redactor, guard) = (component("redactor")?, component("guard")?);
    assert_eq!(trust(&redactor, true).await?, "raised");
    assert_eq!(trust(&redactor, false).await?, "raised", "it is the same one");
    assert_eq!(trust(&guard, false).await?, "unsigned");
    assert_eq!(trust(&guard, true).await?, "raised");
    gateway.stop().await
}

const MOODY: &str = r#"const ON_FAILURE = "open";
fn filter_request(request, prompt) {
    if prompt.contains("fragile") { throw "it broke"; }
    prompt.insert(0, "system", "be kind");
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_script_has_a_breaker_versions_and_a_way_back() -> Result<()> {
    let (gateway, admin) = opened().await?;
    let put = async |status, source: &str| {
        let body = json!({"name": "moody", "source": source});
        admin.expect(status, Method::POST, "/extensions", Some(&body)).await
    };
    let first = put(201, MOODY).await?;
    ensure!(sent(&gateway, "hello").await?.contains("be kind"));
    for _ in 0..3 {
        ensure!(!sent(&gateway, "fragile").await?.contains("be kind"), "it fails open");
    }
    let seen = admin.get("/extensions/rhai:moody").await?;
    assert_eq!(seen["extension"]["breaker"]["failing"], 3, "{seen}");
    ensure!(seen["extension"]["breaker"]["state"] != "closed", "{seen}");
    let failed = seen["failures"].as_array().and_then(|all| all.last()).context("no failure")?;
    assert_eq!((&failed["hook"], &failed["kind"]), (&json!("filter-request"), &json!("failed")));
    assert_eq!(seen["extension"]["calls"][0]["failures"], 3, "{seen}");

    // What is not admitted changes nothing; another version begins with a closed breaker.
    let refused = put(422, "fn filter_request(request, prompt) { x }").await?;
    ensure!(refused["message"].as_str().is_some_and(|why| why.contains("compile")), "{refused}");
    put(201, &MOODY.replace("be kind", "be brief")).await?;
    ensure!(sent(&gateway, "hello").await?.contains("be brief"));
    let seen = admin.get("/extensions/rhai:moody").await?;
    assert_eq!(seen["extension"]["breaker"]["state"], "closed", "{seen}");
    assert_eq!(seen["versions"].as_array().map(Vec::len), Some(2));
    let back = admin.expect(200, Method::POST, "/extensions/rhai:moody/rollback", None).await?;
    assert_eq!(back["version"]["digest"], first["version"]["digest"]);
    patch(&admin, 200, "rhai:moody", json!({"mode": "monitor"})).await?;
    ensure!(!sent(&gateway, "hello").await?.contains("be kind"), "it only watches");
    let file = gateway.settings.policies_dir().join("moody.rhai");
    ensure!(file.exists());
    assert_eq!(admin.call(Method::DELETE, "/extensions/rhai:moody", None).await?.status, 204);
    ensure!(!file.exists());
    assert_eq!(admin.call(Method::GET, "/extensions/rhai:moody", None).await?.status, 404);
    gateway.stop().await
}

/// One's own script takes a shipped one's place, and gives it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_shipped_one_is_back_when_the_file_of_its_name_goes() -> Result<()> {
    let (gateway, admin) = opened().await?;
    let body = json!({"name": "header-tags", "source": MOODY});
    admin.expect(201, Method::POST, "/extensions", Some(&body)).await?;
    assert_eq!(admin.get("/extensions/rhai:header-tags").await?["extension"]["origin"], "folder");
    let own = upload("guard", &component("redactor")?);
    admin.expect(201, Method::POST, "/extensions", Some(&own)).await?;
    let gateway = gateway.restarted().await?;
    let admin = Admin::log_in(&gateway.http, &gateway.url).await?;
    ensure!(!sent(&gateway, ADDRESS).await?.contains(ADDRESS), "one's own serves after a restart");
    assert_eq!(admin.get("/extensions/wasm:guard").await?["extension"]["origin"], "folder");
    for id in ["rhai:header-tags", "wasm:guard"] {
        assert_eq!(admin.call(Method::DELETE, &format!("/extensions/{id}"), None).await?.status, 204, "{id}");
        let back = admin.get(&format!("/extensions/{id}")).await?;
        assert_eq!(
            (&back["extension"]["origin"], &back["extension"]["enabled"]),
            (&json!("shipped"), &json!(false))
        );
    }
    gateway.stop().await
}

/// A component that asks for a capability is refused until it is granted, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_file_that_wants_a_grant_serves_once_it_has_it() -> Result<()> {
    let (gateway, admin) = opened().await?;
    let folder = gateway.settings.plugins_dir();
    fs::create_dir_all(&folder)?;
    let from = repository().join("plugins/dist");
    fs::copy(from.join("usage-counters.toml"), folder.join("usage-counters.toml"))?;
    fs::copy(from.join("usage-counters.wasm"), folder.join("usage-counters.wasm"))?;
    let refused = switchyard_tests::eventually("it is refused", async || {
        let list = admin.get("/extensions").await?;
        Ok(row(&list, "wasm:usage-counters").ok().filter(|row| !row["refused"].is_null()).cloned())
    })
    .await?;
    ensure!(refused["refused"]["step"] == "imports", "{refused}");
    ensure!(
        refused["refused"]["message"].as_str().is_some_and(|why| why.contains("not granted")),
        "{refused}"
    );
    let on = patch(&admin, 200, "wasm:usage-counters", json!({"grants": ["metrics"]})).await?;
    ensure!(on["extension"]["refused"].is_null(), "{on}");
    assert_eq!(
        (&on["extension"]["lent"], &on["extension"]["origin"]),
        (&json!(["metrics"]), &json!("folder"))
    );
    sent(&gateway, "hello").await?;
    switchyard_tests::eventually("it counts", async || {
        let seen = admin.get("/extensions/wasm:usage-counters").await?;
        Ok(seen["counters"].as_object().is_some_and(|all| !all.is_empty()).then_some(()))
    })
    .await?;
    gateway.stop().await
}
