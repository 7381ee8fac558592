//! The command line and the Codex CLI: running it through the gateway, and handing it an account.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use switchyard_tests::Spawned;

use super::cli::run;
use super::cli_accounts::Desk;

/// Stands for Codex: says what it was given, and ends with 7.
const CODEX: &str = r#"#!/bin/sh
echo "home=$CODEX_HOME key=$CODEX_GATEWAY_KEY openai=$OPENAI_API_KEY operator=$SWITCHYARD_KEY"
for argument in "$@"; do echo "argument=$argument"; done
echo "said=$(cat)"
exit 7
"#;

fn fake_codex(folder: &Path) -> Result<String> {
    let path = folder.join("codex-stand-in");
    std::fs::write(&path, CODEX)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path.to_string_lossy().into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_runs_through_the_gateway_with_a_home_and_a_key_of_its_own() -> Result<()> {
    let desk = Desk::new(1).await?;
    let folder = desk.folder.path();
    let (codex, user) = (fake_codex(folder)?, folder.join("user"));
    std::fs::create_dir_all(user.join(".codex"))?;
    std::fs::write(user.join(".codex/config.toml"), "model = \"mine\"\n")?;
    std::fs::write(user.join(".codex/auth.json"), "{\"tokens\":\"the user's\"}")?;
    let user = user.to_string_lossy().into_owned();
    let data = folder.join("data").to_string_lossy().into_owned();
    let environment = [
        ("HOME", user.as_str()),
        ("CODEX_HOME", ""),
        ("OPENAI_API_KEY", "sk-of-the-user"),
        ("SWITCHYARD_LISTEN", "127.0.0.1:9"),
        // Everything behind `--` is for Codex, and the harness names the folder there.
        ("SWITCHYARD_DATA_DIR", data.as_str()),
    ];
    let arguments = ["run", "--codex-bin", &codex, "--", "exec", "--json", "say hi"];

    let nobody = run(folder, &arguments, &environment, "")?;
    assert!(nobody.code == Some(1) && nobody.err.contains("switchyard serve"), "{nobody:?}");
    let gateway = desk.serve()?;
    let ran = run(folder, &arguments, &environment, "input")?;
    assert_eq!(ran.code, Some(7), "{ran:?}");
    let home = folder.join("data/codex-home");
    let first = format!("home={} key=none-needed-on-this-machine openai= operator=", home.display());
    assert_eq!(ran.out.lines().next(), Some(first.as_str()), "{ran:?}");
    for part in [&format!("base_url=\"{}/v1\"", gateway.url), "argument=say hi", "said=input"] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    assert_eq!(std::fs::read_to_string(home.join("config.toml"))?, "model = \"mine\"\n");
    assert!(!home.join("auth.json").exists(), "no real sign-in goes there");

    // Elsewhere a client key is made, once.
    let operator = desk.ok(&["key", "create", "ops", "--operator"])?;
    let (first, again) =
        (far(&gateway, &codex, &operator, folder)?, far(&gateway, &codex, &operator, folder)?);
    assert!(first.starts_with("sk-sy-") && !first.starts_with("sk-sy-op-"), "{first}");
    assert_eq!(first, again);
    let keys = desk.json(&["key", "list"])?;
    assert_eq!(keys["client"].as_array().map(Vec::len), Some(1), "{keys}");

    std::fs::write(home.join("auth.json"), "{}")?;
    let refused = run(folder, &arguments, &environment, "")?;
    assert!(
        refused.code == Some(1) && refused.err.contains("real tokens do not belong there"),
        "{refused:?}"
    );
    Ok(())
}

/// The key that Codex is given on another machine.
fn far(gateway: &Spawned, codex: &str, operator: &str, folder: &Path) -> Result<String> {
    let far = folder.join("far");
    std::fs::create_dir_all(&far)?;
    let home = far.to_string_lossy().into_owned();
    // Its data folder is the usual one.
    let environment = [
        ("SWITCHYARD_URL", gateway.url.as_str()),
        ("SWITCHYARD_KEY", operator.trim()),
        ("HOME", home.as_str()),
    ];
    let ran = run(&far, &["run", "--codex-bin", codex], &environment, "")?;
    let said = ran.out.split_once("key=").and_then(|(_, rest)| rest.split(' ').next()).map(str::to_owned);
    said.with_context(|| format!("{ran:?}"))
}

/// A home of the Codex CLI.
struct CodexHome(PathBuf);

impl CodexHome {
    fn file(&self) -> PathBuf {
        self.0.join("auth.json")
    }

    fn tokens(&self) -> Result<Value> {
        Ok(serde_json::from_slice::<Value>(&std::fs::read(self.file())?)?["tokens"].clone())
    }

    fn put(&self, text: &str) -> Result<()> {
        std::fs::create_dir_all(&self.0)?;
        Ok(std::fs::write(self.file(), text)?)
    }

    /// What other files there are.
    fn beside(&self) -> Result<Vec<PathBuf>> {
        let paths = std::fs::read_dir(&self.0)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        Ok(paths.into_iter().filter(|path| *path != self.file()).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_codex_cli_is_handed_an_account_and_nothing_is_lost() -> Result<()> {
    let desk = Desk::new(2).await?;
    let home = CodexHome(desk.folder.path().join("codex"));
    let folder = home.0.to_string_lossy().into_owned();
    let give = |arguments: &[&str]| {
        desk.run(&[&["account", "use", "--cli", "--codex-home", &folder, "--json"], arguments].concat())
    };
    let done = |arguments: &[&str]| -> Result<Value> {
        let ran = give(arguments)?;
        serde_json::from_str(&ran.out).with_context(|| format!("{ran:?}"))
    };
    let exported = |name: &str| -> Result<Value> {
        let text = desk.ok(&["account", "export", name, "--format", "auth-json"])?;
        Ok(serde_json::from_str::<Value>(&text)?["tokens"].clone())
    };
    let shares = |name: &str| -> Result<Value> {
        Ok(desk.json(&["account", "show", name])?["settings"]["co_owned"].clone())
    };

    // A sign-in that the pool does not know is kept.
    let own = desk.lab.issue_auth_json(2).context("no account")?.to_string();
    home.put(&own)?;
    let first = done(&["ada@example.test"])?;
    let backup = first["backup"].as_str().context("no backup")?;
    assert_eq!(std::fs::read_to_string(backup)?, own);
    for file in [home.file(), PathBuf::from(backup)] {
        assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    assert_eq!(home.tokens()?, exported("ada@example.test")?);
    assert_eq!(shares("ada@example.test")?, json!(home.file()));

    // The CLI renews them; then it is given another account. What it had renewed is in the pool.
    let renewed = desk.lab.issue_auth_json(0).context("no account")?;
    home.put(&renewed.to_string())?;
    let second = done(&["grace@example.test"])?;
    assert_eq!(second["backup"], Value::Null, "what is in the pool is not left lying about");
    assert_eq!(exported("ada@example.test")?["refresh_token"], renewed["tokens"]["refresh_token"]);
    assert_eq!(
        (shares("ada@example.test")?, shares("grace@example.test")?),
        (Value::Null, json!(home.file()))
    );

    // Repairing: nothing to do, a broken file, no file, somebody else's.
    assert_eq!(done(&["--repair"])?["changed"], json!(false));
    home.put("{\"tokens\":")?;
    let repaired = done(&["--repair"])?;
    assert_eq!((&repaired["changed"], &repaired["name"]), (&json!(true), &json!("grace@example.test")));
    assert_eq!(std::fs::read_to_string(repaired["backup"].as_str().context("no backup")?)?, "{\"tokens\":");
    std::fs::remove_file(home.file())?;
    assert_eq!(done(&["--repair"])?["changed"], json!(true));
    home.put(&renewed.to_string())?;
    done(&["--repair"])?;
    assert_eq!(home.tokens()?, exported("grace@example.test")?);
    assert_eq!(home.beside()?.len(), 2, "two backups and nothing half written");

    let unshared = CodexHome(desk.folder.path().join("other"));
    let other = unshared.0.to_string_lossy().into_owned();
    for (arguments, code, says) in [
        (&["account", "use", "--cli", "--repair", "--codex-home", &other][..], 3, "no account shares"),
        (&["account", "use", "--cli", "--codex-home", &other, "nobody"], 3, "no account `nobody`"),
        (&["account", "use", "ada@example.test"], 2, "--cli"),
    ] {
        let ran = desk.run(arguments)?;
        assert!(ran.code == Some(code) && ran.err.contains(says), "{arguments:?}: {ran:?}");
    }
    Ok(())
}
