//! Tokens of a gateway elsewhere, from a machine that has its address, an operator key and its password: exported, and
//! handed to the Codex CLI there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use switchyard_tests::{PASSWORD, Spawned};
use tempfile::TempDir;

use super::cli::{Ran, run};
use super::cli_accounts::Desk;

/// The gateway, and the other machine.
struct Far {
    desk: Desk,
    gateway: Spawned,
    key: String,
    folder: TempDir,
}

impl Far {
    async fn new(accounts: usize) -> Result<Self> {
        let desk = Desk::new(accounts).await?;
        let set =
            run(desk.folder.path(), &["password", "set"], &desk.environment(&[]), &format!("{PASSWORD}\n"))?;
        ensure!(set.code == Some(0), "{set:?}");
        let gateway = desk.serve()?;
        let key = desk.ok(&["key", "create", "ops", "--operator"])?.trim().to_owned();
        Ok(Self { desk, gateway, key, folder: tempfile::tempdir()? })
    }

    fn run(&self, arguments: &[&str], input: &str) -> Result<Ran> {
        let environment =
            [("SWITCHYARD_URL", self.gateway.url.as_str()), ("SWITCHYARD_KEY", self.key.as_str())];
        run(self.folder.path(), arguments, &environment, input)
    }

    /// With the password.
    fn trusted(&self, arguments: &[&str]) -> Result<Ran> {
        self.run(&[arguments, &["--password-stdin"]].concat(), &format!("{PASSWORD}\n"))
    }

    /// The account's refresh token, as its gateway has it.
    fn token(&self, name: &str) -> Result<Value> {
        let text = self.desk.ok(&["account", "export", name, "--format", "auth-json"])?;
        Ok(serde_json::from_str::<Value>(&text)?["tokens"]["refresh_token"].clone())
    }
}

fn mode(file: &Path) -> Result<u32> {
    Ok(std::fs::metadata(file)?.permissions().mode() & 0o777)
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_exported_with_the_gateways_password_and_not_without() -> Result<()> {
    let far = Far::new(2).await?;
    let all = ["account", "export", "--all", "--output", "accounts.json"];
    let file = far.folder.path().join("accounts.json");
    for (ran, code, says) in [
        (far.run(&all, "")?, 2, "--password-stdin"),
        (far.run(&[&all[..], &["--password-stdin"]].concat(), "guess\n")?, 1, "not the password"),
        (far.run(&[&all[..], &["--password-stdin"]].concat(), "\n")?, 1, "no password was given"),
        (far.trusted(&["account", "export", "nobody"])?, 3, "no account `nobody`"),
        (far.trusted(&["account", "export", "--all", "--format", "auth-json"])?, 2, "name one"),
    ] {
        assert!(ran.code == Some(code) && ran.err.contains(says), "{says}: {ran:?}");
        assert!(ran.out.is_empty() && !file.exists(), "nothing leaves: {ran:?}");
    }
    let exported = far.trusted(&all)?;
    assert!(exported.code == Some(0) && !exported.out.contains("token"), "{exported:?}");
    assert_eq!(mode(&file)?, 0o600);
    let one = far.trusted(&["account", "export", "ada@example.test", "--format", "auth-json"])?;
    let auth: Value = serde_json::from_str(&one.out).with_context(|| format!("{one:?}"))?;
    assert_eq!(auth["tokens"]["refresh_token"], far.token("ada@example.test")?);

    // What was taken out goes in again.
    let taken = run(far.folder.path(), &["account", "import", "accounts.json", "--json"], &[], "")?;
    let report: Value = serde_json::from_str(&taken.out).with_context(|| format!("{taken:?}"))?;
    assert_eq!(report["rows"].as_array().map(Vec::len), Some(2));
    assert!(!far.gateway.log_text().contains(PASSWORD));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_codex_cli_of_another_machine_is_handed_an_account_and_hands_back_what_it_renewed() -> Result<()>
{
    let far = Far::new(2).await?;
    let home = far.folder.path().join("codex");
    let (file, folder) = (home.join("auth.json"), home.to_string_lossy().into_owned());
    let base = ["account", "use", "--cli", "--codex-home", &folder, "--json"];
    let done = |arguments: &[&str]| -> Result<Value> {
        let ran = far.trusted(&[&base[..], arguments].concat())?;
        serde_json::from_str(&ran.out).with_context(|| format!("{ran:?}"))
    };
    let held = || -> Result<Value> {
        Ok(serde_json::from_slice::<Value>(&std::fs::read(&file)?)?["tokens"]["refresh_token"].clone())
    };

    let nobody = far.trusted(&[&base[..], &["--repair"]].concat())?;
    assert!(nobody.code == Some(3) && nobody.err.contains("name one"), "{nobody:?}");
    // A sign-in that the gateway does not know is kept.
    let own = far.desk.lab.issue_auth_json(2).context("no account")?.to_string();
    std::fs::write(&file, &own)?;
    let first = done(&["ada@example.test"])?;
    assert_eq!((&first["changed"], &first["name"]), (&json!(true), &json!("ada@example.test")));
    assert_eq!(std::fs::read_to_string(first["backup"].as_str().context("no backup")?)?, own);
    assert_eq!((held()?, mode(&file)?), (far.token("ada@example.test")?, 0o600));
    assert_eq!(done(&["--repair"])?["changed"], json!(false));

    // The CLI renews: the gateway has the newer tokens, and the file stays.
    let renewed = far.desk.lab.issue_auth_json(0).context("no account")?;
    std::fs::write(&file, renewed.to_string())?;
    assert_eq!(done(&["--repair"])?["changed"], json!(false));
    assert_eq!(far.token("ada@example.test")?, renewed["tokens"]["refresh_token"]);
    // The gateway renews: the file has the newer ones, and nothing old lies about.
    far.desk.ok(&["account", "refresh", "ada@example.test"])?;
    let repaired = done(&["--repair"])?;
    assert_eq!((&repaired["changed"], &repaired["backup"]), (&json!(true), &Value::Null));
    assert_eq!(held()?, far.token("ada@example.test")?);

    let without = far.run(&[&base[..], &["grace@example.test"]].concat(), "")?;
    assert!(without.code == Some(2) && without.err.contains("--password-stdin"), "{without:?}");
    assert_eq!(held()?, far.token("ada@example.test")?, "refused, it changes nothing");
    Ok(())
}
