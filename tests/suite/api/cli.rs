//! The command line as people type it: importing accounts, listing them, and what it says about mistakes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use gateway_lab::{Lab, LabAccount, LabClock, LabConfig};
use serde_json::json;
use switchyard_tests::binary;

/// What a command did.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

/// Runs the binary on a data folder.
pub(super) fn run(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &str,
) -> Result<Ran> {
    let mut child = Command::new(binary()?)
        .args(arguments)
        .arg("--data-dir")
        .arg(folder.join("data"))
        .envs(environment.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // A command that does not read its input has left by now, maybe.
    drop(child.stdin.take().context("no stdin")?.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
}

/// Imports one of the lab's accounts with the command line.
pub(super) fn import(folder: &Path, lab: &Lab, account: usize) -> Result<()> {
    let auth = lab.issue_auth_json(account).context("the lab has no such account")?;
    let ran = run(folder, &["account", "import", "-"], &[], &auth.to_string())?;
    ensure!(ran.code == Some(0), "{ran:?}");
    Ok(())
}

/// A lab nobody calls; it only signs in.
fn issuer() -> Lab {
    let accounts = ["ada", "grace", "edsger"].map(|name| LabAccount::new(name, "plus")).into();
    Lab::new(LabConfig::new(accounts, LabClock::real()))
}

fn in_file(folder: &Path, name: &str, text: &str) -> Result<String> {
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}

#[test]
fn every_spelling_of_an_auth_json_is_imported() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let lab = issuer();
    let nested = lab.issue_auth_json(0).context("no account")?;
    let flat = lab.issue_auth_json(1).context("no account")?["tokens"].clone();
    let third = lab.issue_auth_json(2).context("no account")?["tokens"].clone();
    let camel = json!({ "tokens": {
        "idToken": third["id_token"], "accessToken": third["access_token"],
        "refreshToken": third["refresh_token"], "accountId": third["account_id"],
    } });
    let none = run(folder.path(), &["account", "list"], &[], "")?;
    assert!(none.code == Some(0) && none.out.contains("no account yet"), "{none:?}");

    let nested = in_file(folder.path(), "auth.json", &serde_json::to_string_pretty(&nested)?)?;
    let ran = run(folder.path(), &["account", "import", &nested], &[], "")?;
    assert!(ran.code == Some(0) && ran.out.starts_with("added `ada@example.test` (acc_"), "{ran:?}");
    let flat = in_file(folder.path(), "flat.json", &flat.to_string())?;
    let ran = run(folder.path(), &["account", "import", &flat, "--name", "the second"], &[], "")?;
    assert!(ran.code == Some(0) && ran.out.starts_with("added `the second`"), "{ran:?}");
    let ran = run(folder.path(), &["account", "import", "-"], &[], &camel.to_string())?;
    assert!(ran.code == Some(0) && ran.out.starts_with("added `edsger@example.test`"), "{ran:?}");

    // Known ones are renewed, not doubled.
    let ran = run(folder.path(), &["account", "import", &nested], &[], "")?;
    assert!(ran.code == Some(0) && ran.out.contains("has these tokens already"), "{ran:?}");
    let newer = lab.issue_auth_json(0).context("no account")?.to_string();
    let ran = run(folder.path(), &["account", "import", "-"], &[], &newer)?;
    assert!(ran.code == Some(0) && ran.out.contains("was known: its tokens were replaced"), "{ran:?}");
    let list = run(folder.path(), &["account", "list"], &[], "")?;
    assert_eq!(list.out.lines().count(), 1 + 3, "{list:?}");
    for part in ["ada@example.test", "the second", "edsger@example.test", "plus", "healthy"] {
        assert!(list.out.contains(part), "{part}: {list:?}");
    }
    private(&folder.path().join("data"))
}

/// Tokens are for their owner: sealed in the database, and nobody else may read the files.
fn private(data: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(data)? {
        let path = entry?.path();
        let mode = std::fs::metadata(&path)?.permissions().mode() & 0o077;
        ensure!(mode == 0, "{} is open to others", path.display());
        let bytes = std::fs::read(&path)?;
        // How every access token begins, and what is inside of it.
        for secret in ["eyJ", "rt_lab", "refresh_token\":"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            ensure!(!found, "{} holds {secret}", path.display());
        }
    }
    Ok(())
}

#[test]
fn a_file_that_is_no_sign_in_says_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good = issuer().issue_auth_json(0).context("no account")?;
    let id_token = json!({ "tokens": { "id_token": good["tokens"]["id_token"] } });
    for (what, text, says) in [
        ("text", "hello".to_owned(), "not a token"),
        ("nothing", String::new(), "holds no account"),
        ("a list", "[]".into(), "holds no account"),
        ("half of a file", "{\"tokens\":".into(), "not JSON"),
        ("an empty object", "{}".into(), "no token found"),
        ("only an id token", id_token.to_string(), "no token found"),
        ("an opaque token", json!({ "access_token": "opaque" }).to_string(), "name no workspace"),
        ("too much", "x".repeat(33 * 1024 * 1024), "larger than"),
    ] {
        let file = in_file(folder.path(), "bad.json", &text)?;
        let ran = run(folder.path(), &["account", "import", &file], &[], "")?;
        assert_eq!(ran.code, Some(1), "{what}: {ran:?}");
        assert!(ran.err.contains("error: cannot import") && ran.err.contains(says), "{what}: {ran:?}");
        assert!(ran.err.contains("bad.json") && ran.out.is_empty(), "{what}: {ran:?}");
    }
    let ran = run(folder.path(), &["account", "import", "/nowhere/auth.json"], &[], "")?;
    assert!(ran.code == Some(1) && ran.err.contains("cannot read /nowhere/auth.json"), "{ran:?}");
    let bad_name = run(folder.path(), &["account", "import", "-", "--name", " "], &[], &good.to_string())?;
    assert!(bad_name.code == Some(1) && bad_name.err.contains("1 to 64 characters"), "{bad_name:?}");
    let list = run(folder.path(), &["account", "list"], &[], "")?;
    assert!(list.out.contains("no account yet"), "nothing of it was stored: {list:?}");
    Ok(())
}

#[test]
fn mistakes_on_the_command_line_end_with_status_2() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for arguments in [&["fly"][..], &["serve", "--nonsense"], &["account"], &["account", "import"]] {
        let ran = run(folder.path(), arguments, &[], "")?;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains("Usage:"), "{arguments:?}: {ran:?}");
    }
    let help = run(folder.path(), &["--help"], &[], "")?;
    assert!(
        help.code == Some(0) && help.out.contains("serve") && !help.out.contains("rotate-tokens"),
        "{help:?}"
    );
    Ok(())
}

#[test]
fn all_mistakes_of_the_configuration_are_told_together() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = "listen = \"here\"\npolicy = \"best\"\ncolour = \"red\"\n\n[upstream]\nchatgpt_url = \"ftp://x\"\n\n[log]\nformat = \"xml\"\n";
    std::fs::write(folder.path().join("switchyard.toml"), file)?;
    let environment = [
        ("SWITCHYARD_SHUTDOWN__GRACE", "soon"),
        ("SWITCHYARD_NOTHING", "1"),
        ("SWITCHYARD_DATABASE", "mysql://me:hunter2@db/x"),
    ];
    let ran = run(folder.path(), &["serve"], &environment, "")?;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for part in [
        "8 mistakes",
        "switchyard.toml:1: `listen`",
        "switchyard.toml:2: `policy`",
        "switchyard.toml:3: there is no setting `colour`",
        "switchyard.toml:6: `upstream.chatgpt_url`",
        "switchyard.toml:9: `log.format`",
        "SWITCHYARD_SHUTDOWN__GRACE",
        "SWITCHYARD_NOTHING",
        "SWITCHYARD_DATABASE",
    ] {
        assert!(ran.err.contains(part), "`{part}` is not in\n{}", ran.err);
    }
    assert!(!ran.err.contains("hunter2"));
    // A policy that is well written but not there is found when the policies are loaded.
    std::fs::write(folder.path().join("switchyard.toml"), "policy = \"rhai:nothing\"\n")?;
    let ran = run(folder.path(), &["serve", "--listen", "127.0.0.1:0"], &[], "")?;
    assert!(ran.code == Some(1) && ran.err.contains("there is no policy `rhai:nothing`"), "{ran:?}");
    Ok(())
}

#[test]
fn a_taken_address_is_told_with_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let ran = run(folder.path(), &["serve", "--listen", &address], &[], "")?;
    assert!(ran.code == Some(1) && ran.err.contains("--listen") && ran.err.contains(&address), "{ran:?}");
    Ok(())
}

#[test]
fn settings_are_listed_with_their_variables() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ran = run(folder.path(), &["settings"], &[], "")?;
    assert_eq!(ran.code, Some(0));
    for part in ["SWITCHYARD_LISTEN", "SWITCHYARD_UPSTREAM__CHATGPT_URL", "SWITCHYARD_SHUTDOWN__GRACE"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    Ok(())
}
