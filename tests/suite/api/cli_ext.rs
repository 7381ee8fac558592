//! Extensions from the command line: over the database, and over a gateway that runs, with the real binary.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use switchyard_tests::{Spawned, repository};

use super::cli_accounts::Desk;

const ADDRESS: &str = "ada.lovelace@example.com";

/// What the upstream was sent for a prompt that holds an address.
async fn sent(desk: &Desk, gateway: &Spawned) -> Result<String> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let body = json!({"model": "gpt-5.5", "input": format!("write to {ADDRESS}"), "stream": false});
    let asked = client.post(format!("{}/v1/responses", gateway.url)).body(body.to_string());
    let answer = asked.header("content-type", "application/json").send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{status}: {text}");
    let seen = desk.lab.requests().into_iter().rfind(|seen| !seen.body.is_empty());
    Ok(String::from_utf8_lossy(&seen.context("nothing arrived")?.body).into_owned())
}

fn row<'a>(list: &'a Value, id: &str) -> Result<&'a Value> {
    let found = list.as_array().and_then(|rows| rows.iter().find(|row| row["id"] == id));
    found.with_context(|| format!("no {id} in {list}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_redactor_is_switched_on_ordered_watched_and_switched_off() -> Result<()> {
    let desk = Desk::new(1).await?;
    // Nobody runs: it is kept for the next start.
    let said = desk.run(&["ext", "enable", "redactor"])?;
    ensure!(said.code == Some(0) && said.out.contains("wasm:redactor serves"), "{said:?}");
    ensure!(said.err.contains("from the next start on"), "{said:?}");
    assert_eq!(row(&desk.json(&["ext", "list"])?, "wasm:redactor")?["enabled"], true);
    let gateway = desk.serve()?;
    ensure!(!sent(&desk, &gateway).await?.contains(ADDRESS), "it acts");
    let shown = desk.ok(&["ext", "show", "redactor"])?;
    for words in ["wasm:redactor", "filter-request: order 10, enforce, fails closed", "calls", "hit "] {
        ensure!(shown.contains(words), "{words}: {shown}");
    }
    ensure!(!shown.contains(ADDRESS), "{shown}");
    desk.ok(&["ext", "order", "wasm:redactor", "-7"])?;
    let listed = desk.ok(&["ext", "ls", "--on"])?;
    ensure!(listed.lines().any(|line| line.starts_with("wasm:redactor") && line.contains("-7")), "{listed}");
    desk.ok(&["ext", "set", "redactor", "mode=monitor", "groups=interns"])?;
    let one = desk.json(&["ext", "show", "redactor"])?;
    assert_eq!(
        (&one["decided"]["mode"], &one["decided"]["groups"]),
        (&json!("monitor"), &json!(["interns"]))
    );
    desk.ok(&["ext", "set", "redactor", "mode=asked", "groups=asked"])?;
    ensure!(!sent(&desk, &gateway).await?.contains(ADDRESS), "it acts again");
    desk.ok(&["ext", "disable", "redactor"])?;
    ensure!(sent(&desk, &gateway).await?.contains(ADDRESS), "it is off");
    desk.ok(&["ext", "enable", "rhai:round-robin"])?;
    assert_eq!(desk.json(&["ext", "show", "rhai:round-robin"])?["extension"]["enabled"], true);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_checked_uploaded_rolled_back_and_removed() -> Result<()> {
    let desk = Desk::new(1).await?;
    let gateway = desk.serve()?;
    let dist = repository().join("plugins/dist");
    let path = |name: &str| dist.join(name).to_string_lossy().into_owned();
    let (redactor, guard) = (path("redactor.wasm"), path("guard.wasm"));
    let checked = desk.ok(&["ext", "check", &redactor])?;
    for step in ["read", "imports", "probe"] {
        ensure!(checked.lines().any(|line| line.starts_with(step) && line.ends_with("ok")), "{checked}");
    }
    ensure!(checked.contains("filter-request, filter-response (unsigned, fresh)"), "{checked}");
    // Without its manifest beside it, a component may be called anything.
    for (file, copy) in [(&redactor, "one.wasm"), (&guard, "two.wasm")] {
        std::fs::copy(file, desk.folder.path().join(copy))?;
    }
    desk.ok(&["ext", "upload", "one.wasm", "--name", "mine"])?;
    ensure!(!sent(&desk, &gateway).await?.contains(ADDRESS), "it acts");
    let placed = desk.json(&["ext", "upload", "two.wasm", "--name", "mine"])?;
    assert_eq!(placed["id"], "wasm:mine");
    ensure!(sent(&desk, &gateway).await?.contains(ADDRESS), "the other version lets it through");
    let said = desk.ok(&["ext", "rollback", "mine"])?;
    ensure!(said.contains("wasm:mine serves version"), "{said}");
    ensure!(!sent(&desk, &gateway).await?.contains(ADDRESS), "one step back");
    let shown = desk.json(&["ext", "show", "mine"])?;
    assert_eq!(shown["versions"].as_array().map(Vec::len), Some(2), "{shown}");

    std::fs::write(desk.folder.path().join("bad.rhai"), "fn map_model(request) { y }")?;
    for (arguments, code, says) in [
        (&["ext", "check", "bad.rhai"][..], 1, "would not be admitted"),
        (&["ext", "upload", "bad.rhai"], 1, "not admitted at compile"),
        (&["ext", "upload", "bad.txt"], 2, "neither a component"),
        (&["ext", "show", "nobody"], 3, "there is no extension `nobody`"),
        (&["ext", "enable", "weekly-pacing"], 2, "say which"),
        (&["ext", "set", "mine", "colour=red"], 2, "no field `colour`"),
        (&["ext", "set", "mine", "secret.T=loud"], 2, "standard input"),
        (&["ext", "set", "mine", "mode=loud"], 1, "enforce, monitor"),
        (&["ext", "remove", "mine"], 2, "--yes"),
        (&["ext", "remove", "redactor", "--yes"], 1, "came with the gateway"),
    ] {
        let ran = desk.run(arguments)?;
        ensure!(ran.code == Some(code) && ran.err.contains(says), "{arguments:?}: {ran:?}");
    }
    let said = desk.ok(&["ext", "remove", "mine", "--yes"])?;
    ensure!(said.contains("wasm:mine is removed"), "{said}");
    ensure!(sent(&desk, &gateway).await?.contains(ADDRESS), "it is gone");
    // A gateway that does not run has no versions to go back to.
    drop(gateway);
    let none = desk.run(&["ext", "rollback", "redactor"])?;
    ensure!(none.code == Some(1) && none.err.contains("running gateway"), "{none:?}");
    Ok(())
}
