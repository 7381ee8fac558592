//! Keys for a part of the pool, and reset credits, from the command line.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::cli_accounts::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_for_a_part_of_the_pool_and_given_another() -> Result<()> {
    let desk = Desk::new(2).await?;
    let made =
        desk.json(&["key", "create", "intern", "--group", "cheap", "--account", "ada@example.test"])?;
    let ada = made["view"]["scope"]["accounts"][0].as_str().context("no account")?.to_owned();
    assert_eq!(made["view"]["scope"]["groups"], json!(["cheap"]));
    let listed = desk.ok(&["key", "list"])?;
    ensure!(listed.contains(&format!("group cheap, {ada}")), "{listed}");
    let said = desk.ok(&["key", "scope", "intern", "--group", "eu"])?;
    ensure!(said.contains("may use group eu"), "{said}");
    let said = desk.ok(&["key", "scope", "intern"])?;
    ensure!(said.contains("may use all accounts"), "{said}");
    for (arguments, code) in [
        (&["key", "scope", "nobody"][..], 3),
        (&["key", "create", "x", "--account", "nobody"], 3),
        (&["key", "create", "x", "--operator", "--group", "eu"], 2),
    ] {
        let ran = desk.run(arguments)?;
        ensure!(ran.code == Some(code), "{arguments:?}: {ran:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_credit_is_redeemed_by_name() -> Result<()> {
    let desk = Desk::new(1).await?;
    let unused = desk.run(&["account", "redeem", "ada@example.test"])?;
    ensure!(unused.code == Some(1) && unused.err.contains("nothing to reset"), "{unused:?}");
    desk.lab.set_window(0, 0, 80.0);
    let said = desk.ok(&["account", "redeem", "ada@example.test"])?;
    ensure!(said.contains("are empty again; 0 left"), "{said}");
    assert!(desk.lab.windows(0).iter().all(|window| window.used_percent < 1.0));
    let none = desk.run(&["account", "redeem", "ada@example.test"])?;
    ensure!(none.code == Some(1) && none.err.contains("has no reset credit"), "{none:?}");
    let nobody = desk.run(&["account", "redeem", "nobody"])?;
    ensure!(nobody.code == Some(3), "{nobody:?}");
    Ok(())
}
