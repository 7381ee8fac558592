//! Accounts of every kind as an operator adds them: keys that are good and bad, what they may serve, what is sent in their
//! name, child gateways, loops, the pin, and the operator's order.

use anyhow::{Context, Result, ensure};
use gateway_lab::{ANTHROPIC_KEY, LabApi, LabConfig, OPENAI_KEY, Route};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, InProcess, Speaks, eventually};

use super::lab;

async fn empty() -> Result<(InProcess, Admin)> {
    with(LabApi::default()).await
}

async fn with(api: LabApi) -> Result<(InProcess, Admin)> {
    let gateway = InProcess::start_empty(LabConfig { api, ..lab(3) }, |_| {}).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    Ok((gateway, admin))
}

async fn ask(gateway: &InProcess, client: Speaks, model: &str) -> Result<Answer> {
    let body = client.question(model, "hello", false).to_string();
    Answer::read(gateway.post_to(client.path(), HeaderMap::new(), body).await?).await
}

/// Who served a request.
async fn server(gateway: &InProcess, model: &str) -> Result<String> {
    let answer = ask(gateway, Speaks::Responses, model).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    let decision = gateway.decision(&answer.headers)?;
    Ok(decision.attempts.last().context("no try")?.account_name.to_string())
}

fn openai_at(gateway: &InProcess) -> Value {
    json!({ "base_url": gateway.lab.openai_url() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_account_serves_at_once_and_its_test_lists_models_and_dialects() -> Result<()> {
    let (gateway, admin) = empty().await?;
    let base = openai_at(&gateway);
    let rows = [
        ("openai", OPENAI_KEY, json!({}), "gpt-5.5", vec!["openai-chat", "openai-responses"]),
        ("anthropic", ANTHROPIC_KEY, json!({}), "claude-lab-sonnet", vec!["anthropic-messages"]),
        (
            "openai-compatible",
            OPENAI_KEY,
            base,
            "gpt-5.5",
            vec!["anthropic-messages", "openai-chat", "openai-responses"],
        ),
    ];
    for (kind, key, settings, model, dialects) in rows {
        let id = admin.add_key(kind, &format!("my {kind}"), key, settings).await?;
        assert_eq!(server(&gateway, model).await?, format!("my {kind}"));
        let tested = admin.expect(200, Method::POST, &format!("/accounts/{id}/test"), None).await?;
        let listed = |name: &str| -> Vec<String> {
            let mut words: Vec<String> = tested[name]
                .as_array()
                .into_iter()
                .flatten()
                .map(|w| w.as_str().unwrap_or_default().into())
                .collect();
            words.sort();
            words
        };
        assert!(listed("models").iter().any(|one| one == model), "{kind}: {tested}");
        assert_eq!(listed("dialects"), dialects, "{kind}");
        let shown = admin.get(&format!("/accounts/{id}")).await?;
        assert_eq!(
            (shown["account"]["kind"].as_str(), shown["account"]["state"].as_str()),
            (Some(kind), Some("healthy"))
        );
        assert!(!shown.to_string().contains(key), "{kind}: the key is never shown");
        admin.expect(204, Method::DELETE, &format!("/accounts/{id}"), None).await?;
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_account_that_cannot_be_is_refused_with_its_field() -> Result<()> {
    let (gateway, admin) = empty().await?;
    for (kind, key, settings, field) in [
        ("codex", "sk-x", json!({}), "key"),
        ("nothing", "sk-x", json!({}), "kind"),
        ("openai", "", json!({}), "key"),
        ("openai", "sk x", json!({}), "key"),
        ("openai", "sk\nx", json!({}), "key"),
        ("anthropic", "", json!({}), "key"),
        ("openai-compatible", "sk-x", json!({}), "base_url"),
        ("openai-compatible", "sk-x", json!({ "base_url": "ftp://x" }), "base_url"),
        ("openai-compatible", "sk-x", json!({ "base_url": "http://a:b@x" }), "base_url"),
        ("gateway", "sk-x", json!({}), "base_url"),
        ("openai", "sk-x", json!({ "weight": 0 }), "weight"),
        ("openai", "sk-x", json!({ "headers": { "host": "evil" } }), "headers"),
        ("openai", "sk-x", json!({ "headers": { "x-a": "b\r\nx-evil: 1" } }), "headers"),
    ] {
        let case = format!("{kind} {key:?} {settings}");
        let body = json!({ "kind": kind, "name": "one", "key": key, "settings": settings });
        let refused =
            admin.expect(422, Method::POST, "/accounts/keys", Some(&body)).await.context(case.clone())?;
        assert_eq!(refused["field"], field, "{case}: {refused}");
    }
    assert_eq!(admin.get("/accounts").await?, json!([]));
    gateway.stop().await
}

/// A key that is not good is no reason to bother the caller while another account can serve; the account says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_sets_its_account_aside_and_says_why() -> Result<()> {
    for (kind, good, model) in
        [("openai", OPENAI_KEY, "gpt-5.5"), ("anthropic", ANTHROPIC_KEY, "claude-lab-sonnet")]
    {
        let (gateway, admin) = empty().await?;
        let wrong = admin.add_key(kind, "wrong", "sk-of-nobody", json!({ "priority": 10 })).await?;
        let tested = admin.call(Method::POST, &format!("/accounts/{wrong}/test"), None).await?;
        assert_eq!(tested.status, 502, "{kind}: {}", tested.text());
        assert_eq!(tested.json()["code"], "account_unauthorized", "{kind}: {}", tested.text());
        for id in gateway.running.gateway.accounts().keys() {
            gateway.running.gateway.clear_cooldowns(id)?;
        }
        let alone = ask(&gateway, Speaks::Responses, model).await?;
        assert_eq!((alone.status, alone.error()?.code.as_str()), (503, "account_unauthorized"), "{kind}");
        assert!(!alone.text().contains("sk-of-nobody"));

        admin.add_key(kind, "good", good, json!({})).await?;
        assert_eq!(server(&gateway, model).await?, "good", "{kind}");
        let shown = admin.get(&format!("/accounts/{wrong}")).await?;
        let account = &shown["account"];
        let told = account["state"] == "sign_in_needed" && account["state_reason"].is_string()
            || account["cooldowns"][0]["cause"] == "account_unauthorized";
        assert!(told, "{kind}: {account}");
        gateway.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn allowed_models_and_groups_are_respected() -> Result<()> {
    let (gateway, admin) = empty().await?;
    let mini = admin.add_key("openai", "mini", OPENAI_KEY, json!({ "allowed_models": ["gpt-5.4*"] })).await?;
    let big = admin
        .add_key("openai-compatible", "big", OPENAI_KEY, {
            let mut settings = openai_at(&gateway);
            settings["allowed_models"] = json!(["gpt-5.5"]);
            settings["dialects"] = json!(["openai-responses"]);
            settings
        })
        .await?;
    for _ in 0..3 {
        assert_eq!(server(&gateway, "gpt-5.4-mini").await?, "mini");
        assert_eq!(server(&gateway, "gpt-5.4").await?, "mini");
        assert_eq!(server(&gateway, "gpt-5.5").await?, "big");
    }
    let nobody = ask(&gateway, Speaks::Chat, "gpt-5.3-codex").await?;
    assert_eq!((nobody.status, nobody.error()?.code.as_str()), (404, "model_not_found"));
    let sent = gateway.lab.requests().iter().filter(|seen| seen.json()["model"] == "gpt-5.3-codex").count();
    assert_eq!(sent, 0, "nobody was asked");

    admin.patch_account(&mini, &json!({ "settings": { "groups": ["eu", "cheap"], "tags": ["a"] } })).await?;
    admin.patch_account(&big, &json!({ "settings": { "groups": ["eu"] } })).await?;
    let accounts = admin.get("/accounts").await?;
    let groups_of = |name: &str| {
        let found = accounts.as_array().into_iter().flatten().find(|one| one["name"] == name).cloned();
        found.unwrap_or_default()["groups"].clone()
    };
    assert_eq!((groups_of("mini"), groups_of("big")), (json!(["cheap", "eu"]), json!(["eu"])));
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn header_overrides_reach_the_upstream_and_win() -> Result<()> {
    let (gateway, admin) = empty().await?;
    let headers = json!({ "x-team": "blue", "user-agent": "my-team/1", "openai-organization": "org-mine" });
    let id = admin.add_key("openai", "one", OPENAI_KEY, json!({ "headers": headers })).await?;
    let sent = async || -> Result<Value> {
        let mut theirs = HeaderMap::new();
        theirs.insert("openai-organization", "org-of-the-client".parse()?);
        theirs.insert("x-team", "red".parse()?);
        let body = Speaks::Chat.question("gpt-5.5", "hello", false).to_string();
        let answer = Answer::read(gateway.post_to(Speaks::Chat.path(), theirs, body).await?).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        let seen = gateway.lab.requests().into_iter().rfind(|seen| seen.route == Route::ApiChat);
        let seen = seen.context("nothing came")?;
        let header = |name: &str| seen.header(name).map(str::to_owned);
        Ok(json!([header("x-team"), header("user-agent"), header("openai-organization")]))
    };
    assert_eq!(sent().await?, json!(["blue", "my-team/1", "org-mine"]));
    admin
        .patch_account(&id, &json!({ "settings": { "headers": { "user-agent": null, "x-team": "green" } } }))
        .await?;
    let now = sent().await?;
    assert_eq!((&now[0], &now[2]), (&json!("green"), &json!("org-mine")));
    assert!(now[1].as_str().is_some_and(|agent| agent != "my-team/1"), "{now}");
    let shown = admin.get(&format!("/accounts/{id}")).await?;
    assert_eq!(shown["settings"]["headers"], json!(["openai-organization", "x-team"]));
    assert!(!shown.to_string().contains("org-mine"), "values are never shown");
    gateway.stop().await
}

/// An account of kind `gateway` that leads to another Switchyard.
async fn child_of(parent: &Admin, name: &str, child: &InProcess) -> Result<String> {
    parent.add_key("gateway", name, "", json!({ "base_url": child.url })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_gateway_is_an_account_like_others() -> Result<()> {
    let child = InProcess::start(lab(2)).await?;
    let (parent, admin) = empty().await?;
    let id = child_of(&admin, "child", &child).await?;
    for client in Speaks::ALL {
        for stream in [true, false] {
            let body = client.question("gpt-5.5", "hello", stream).to_string();
            let answer = Answer::read(parent.post_to(client.path(), HeaderMap::new(), body).await?).await?;
            let heard = client.hear(&answer).with_context(|| format!("{client:?}, stream {stream}"))?;
            assert_eq!(heard.text, "You said: hello");
        }
    }
    assert!(parent.lab.requests().is_empty(), "the parent has nobody of its own");
    let tested = eventually("the child knows its models", async || {
        let tested = admin.expect(200, Method::POST, &format!("/accounts/{id}/test"), None).await?;
        let listed = tested["models"].as_array().is_some_and(|all| all.iter().any(|one| one == "gpt-5.5"));
        Ok(listed.then_some(tested))
    })
    .await?;
    assert_eq!(tested["dialects"].as_array().map(Vec::len), Some(3), "{tested}");

    // What the child cannot serve, it says in the client's shape.
    for client in Speaks::ALL {
        let answer = ask(&parent, client, "gpt-99").await?;
        client.error(&answer).with_context(|| format!("{client:?}"))?;
        assert_eq!(answer.status, 404, "{client:?}: {}", answer.text());
    }
    parent.stop().await?;
    child.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_that_lead_to_each_other_end_a_request_with_508() -> Result<()> {
    let (one, admin_of_one) = empty().await?;
    let (other, admin_of_other) = empty().await?;
    child_of(&admin_of_one, "other", &other).await?;
    child_of(&admin_of_other, "one", &one).await?;
    for client in Speaks::ALL {
        let answer = ask(&one, client, "gpt-5.5").await?;
        client.error(&answer).with_context(|| format!("{client:?}"))?;
        assert_eq!(answer.status, 508, "{client:?}: {}", answer.text());
    }
    // Nobody is punished for it.
    for gateway in [&one, &other] {
        let cooling = gateway.running.gateway.with_pool(|pool| {
            pool.members().filter(|slot| slot.cooldowns_at(gateway.running.gateway.now()).count() > 0).count()
        });
        assert_eq!(cooling, 0);
    }
    one.stop().await?;
    other.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_account_serves_everything_it_can_until_it_is_unpinned() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let accounts = admin.get("/accounts").await?;
    for nth in [1, 2, 0] {
        let (id, name) = (&accounts[nth]["id"], accounts[nth]["name"].as_str().context("no name")?);
        admin.expect(200, Method::PUT, "/pin", Some(&json!({ "account": id }))).await?;
        assert_eq!(admin.get("/pin").await?["account"], *id);
        for _ in 0..6 {
            assert_eq!(server(&gateway, "gpt-5.5").await?, name);
        }
    }
    // What the pinned one cannot serve, others do.
    let id = accounts[0]["id"].as_str().context("no id")?;
    admin.patch_account(id, &json!({ "paused": true })).await?;
    assert_ne!(server(&gateway, "gpt-5.5").await?, accounts[0]["name"].as_str().unwrap_or_default());
    admin.patch_account(id, &json!({ "paused": false })).await?;
    let gateway = gateway.restarted().await?;
    let admin = Admin::log_in(&gateway.http, &gateway.url).await?;
    assert_eq!(admin.get("/pin").await?["account"], id, "it survives a restart");
    admin.expect(200, Method::PUT, "/pin", Some(&json!({ "account": null }))).await?;
    assert_eq!(admin.get("/pin").await?["account"], Value::Null);
    admin.expect(404, Method::PUT, "/pin", Some(&json!({ "account": "acc_nobody" }))).await?;
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_order_goes_before_every_score() -> Result<()> {
    let gateway = InProcess::start(lab(3)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let accounts: Vec<gateway_api::AccountView> = serde_json::from_value(admin.get("/accounts").await?)?;
    let [a, b, c] = accounts.as_slice() else { anyhow::bail!("{accounts:?}") };
    let set =
        async |id: &str, settings: Value| admin.patch_account(id, &json!({ "settings": settings })).await;
    let serves = async |expected: &str, why: &str| -> Result<()> {
        for _ in 0..4 {
            let name = server(&gateway, "gpt-5.5").await?;
            ensure!(name == expected, "{why}: {name} serves, not {expected}");
        }
        Ok(())
    };
    set(&a.id, json!({ "preference": "preserve" })).await?;
    set(&b.id, json!({ "preference": "burn_first" })).await?;
    serves(&b.name, "burn first").await?;
    set(&b.id, json!({ "preference": "preserve" })).await?;
    serves(&c.name, "the others are preserved").await?;
    for id in [&a.id, &b.id] {
        set(id, json!({ "preference": "normal" })).await?;
    }
    set(&a.id, json!({ "priority": 5 })).await?;
    serves(&a.name, "priority").await?;
    set(&c.id, json!({ "priority": 6 })).await?;
    serves(&c.name, "higher priority").await?;
    set(&c.id, json!({ "priority": -6 })).await?;
    set(&a.id, json!({ "priority": 0, "preference": "preserve" })).await?;
    serves(&b.name, "neither preserved nor below").await?;
    gateway.stop().await
}
