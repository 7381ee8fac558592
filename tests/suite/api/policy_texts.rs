//! Policies as text over the admin API: source, check, earlier versions, one step back.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_tests::{Admin, InProcess, eventually};

use super::lab;

fn answering(reason: &str) -> String {
    format!("fn rank(request) {{ ranked(request.candidates.available(), \"{reason}\") }}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_have_a_source_and_a_history() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let shipped = admin.get("/policies/rhai:pin").await?;
    assert_eq!(shipped["origin"], "shipped");
    assert!(shipped["source"].as_str().is_some_and(|source| source.contains("fn rank(request)")));
    let builtin = admin.get("/policies/builtin:usage-balanced").await?;
    assert_eq!((&builtin["source"], &builtin["history"]), (&Value::Null, &json!([])));
    assert_eq!(admin.call(Method::GET, "/policies/rhai:nobody", None).await?.status, 404);
    let path = "/policies/rhai:..%2F..%2Fsecret";
    assert_eq!(admin.call(Method::GET, path, None).await?.status, 404, "only what is there has a text");

    let folder = gateway.settings.policies_dir();
    std::fs::create_dir_all(&folder)?;
    let mut digests = Vec::new();
    for reason in ["first", "second"] {
        std::fs::write(folder.join("mine.rhai"), answering(reason))?;
        let seen = eventually("the text is live", async || {
            let answer = admin.call(Method::GET, "/policies/rhai:mine", None).await?;
            let found = (answer.status == 200).then(|| answer.json());
            Ok(found.filter(|found| !digests.contains(&found["policy"]["digest"])))
        });
        let seen = tokio::time::timeout(Duration::from_secs(20), seen).await??;
        assert_eq!((&seen["origin"], &seen["source"]), (&json!("folder"), &json!(answering(reason))));
        digests.push(seen["policy"]["digest"].clone());
    }
    let mine = admin.get("/policies/rhai:mine").await?;
    assert_eq!(mine["history"], json!([digests[0]]));

    // One step back serves the first again; a second one has nowhere to go.
    let back = admin.expect(200, Method::POST, "/policies/rhai:mine/rollback", None).await?;
    assert_eq!(back["digest"], digests[0]);
    assert_eq!(admin.get("/policies/rhai:mine").await?["policy"]["digest"], digests[0]);
    let refused = admin.expect(409, Method::POST, "/policies/rhai:mine/rollback", None).await?;
    assert!(refused["message"].as_str().is_some_and(|why| why.contains("no earlier version")), "{refused}");
    let refused = admin.expect(409, Method::POST, "/policies/builtin:usage-balanced/rollback", None).await?;
    assert!(refused["message"].as_str().is_some_and(|why| why.contains("is no script")), "{refused}");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_checked_without_being_saved() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let admin = Admin::set_up(&gateway.http, &gateway.url).await?;
    let check = async |source: &str| {
        let draft = json!({ "name": "draft", "source": source });
        admin.expect(200, Method::POST, "/policies/check", Some(&draft)).await
    };
    let good = check(&answering("good")).await?;
    assert_eq!((&good["passed"], good["digest"].as_str().map(str::len)), (&json!(true), Some(16)), "{good}");
    let bad = check("fn rank(request) {\n    let x = ;\n}").await?;
    assert_eq!(bad["passed"], false);
    let step = bad["steps"].as_array().and_then(|steps| steps.last()).context("no step")?;
    assert_eq!(
        (&step["step"], &step["kind"], &step["line"]),
        (&json!("compile"), &json!("syntax"), &json!(2)),
        "{bad}"
    );
    // It never ends: the gateway does not wait for it.
    let endless = check("fn rank(request) { loop {} }").await?;
    assert!(endless.to_string().contains("ran out of"), "{endless}");
    assert!(!gateway.settings.policies_dir().join("draft.rhai").exists());
    gateway.stop().await
}
