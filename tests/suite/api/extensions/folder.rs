//! The operator's own files: dropped in, replaced under load, broken, gone.

use std::fs;

use super::*;
use switchyard_tests::{eventually, repository};

/// A shipped component's files, as an operator would copy them.
fn copy(gateway: &InProcess, name: &str, manifest: impl FnOnce(String) -> String) -> Result<()> {
    let from = repository().join("plugins/dist");
    let to = gateway.settings.plugins_dir();
    fs::create_dir_all(&to)?;
    let text = manifest(fs::read_to_string(from.join(format!("{name}.toml")))?);
    fs::write(to.join(format!("{name}.toml")), text)?;
    fs::copy(from.join(format!("{name}.wasm")), to.join(format!("{name}.wasm")))?;
    Ok(())
}

async fn until_on(gateway: &InProcess, id: &str) -> Result<()> {
    eventually("it is live", async || {
        Ok(gateway.running.gateway.extensions().find(id).filter(|one| one.enabled).map(drop))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_file_serves_and_another_version_takes_over_without_losing_anything() -> Result<()> {
    let gateway = InProcess::start(lab(2)).await?;
    copy(&gateway, "redactor", |text| text)?;
    until_on(&gateway, "wasm:redactor").await?;
    let question = Speaks::Chat.question("gpt-5.5", &format!("write to {ADDRESS}"), true);
    let swaps = async {
        for round in 0..3 {
            copy(&gateway, "redactor", |text| {
                text.replace("order = 10", &format!("order = {}", 20 + round))
            })?;
            eventually("the new version serves", async || {
                let one = gateway.running.gateway.extensions().find("wasm:redactor");
                Ok(one.filter(|one| one.attachments.iter().any(|at| at.order == 20 + round)).map(drop))
            })
            .await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let load = async {
        for _ in 0..60 {
            let answer = ask(&gateway, Speaks::Chat, &question).await?;
            let heard = Speaks::Chat.hear(&answer)?;
            assert_eq!(heard.text, format!("You said: write to {ADDRESS}"));
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::try_join!(swaps, load)?;
    for seen in turns(&gateway) {
        ensure!(!String::from_utf8_lossy(&seen.body).contains(ADDRESS), "one slipped through");
    }
    let extensions = gateway.running.gateway.extensions();
    ensure!(extensions.versions("wasm:redactor").len() > 1, "earlier versions are kept");
    gateway.running.gateway.roll_back_extension("wasm:redactor").await?;
    let orders = |one: gateway_core::extensions::ExtensionInfo| {
        one.attachments.iter().map(|at| at.order).collect::<Vec<_>>()
    };
    let back = extensions.find("wasm:redactor").map(orders).context("it is there")?;
    ensure!(back.iter().all(|order| *order == 21), "one step back: {back:?}");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_named_with_its_step_and_a_removed_one_is_gone() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    copy(&gateway, "redactor", |text| text)?;
    until_on(&gateway, "wasm:redactor").await?;
    fs::write(gateway.settings.plugins_dir().join("redactor.wasm"), b"\0asm what is this")?;
    let extensions = gateway.running.gateway.extensions();
    let rejected = eventually("it is refused", async || Ok(extensions.rejected().pop())).await?;
    ensure!(rejected.id == "wasm:redactor" && rejected.step == "parse", "{rejected:?}");
    let question = Speaks::Messages.question("gpt-5.5", &format!("write to {ADDRESS}"), true);
    let heard = Speaks::Messages.hear(&ask(&gateway, Speaks::Messages, &question).await?)?;
    assert_eq!(heard.text, format!("You said: write to {ADDRESS}"), "the version before serves");
    for ending in ["wasm", "toml"] {
        fs::remove_file(gateway.settings.plugins_dir().join(format!("redactor.{ending}")))?;
    }
    // The shipped one of its name is back, switched off as it was.
    eventually("it is gone", async || {
        Ok(extensions.find("wasm:redactor").is_none_or(|one| !one.enabled).then_some(()))
    })
    .await?;
    let origin = extensions.report("wasm:redactor").map(|report| report.origin.label());
    assert_eq!(origin, Some("shipped"));
    gateway.stop().await
}
