//! Accounts from the command line: over the database, over the gateway that runs, and over one elsewhere with an operator
//! key; signing in from a terminal.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use gateway_lab::{Lab, LabAccount, LabClock, LabConfig};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use switchyard_tests::{Answer, Spawned, binary, eventually};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cli::{Ran, import, run};

/// A lab in the machine's time, and a folder for what the command line does with it.
pub(super) struct Desk {
    pub(super) lab: Lab,
    pub(super) folder: TempDir,
    backend: String,
    issuer: String,
    _stop: DropGuard,
}

impl Desk {
    /// With this many of the lab's accounts imported.
    pub(super) async fn new(imported: usize) -> Result<Self> {
        let account = |name| LabAccount { reset_credits: 1, ..LabAccount::new(name, "plus") };
        let accounts = ["ada", "grace", "edsger"].map(account).into();
        let stop = CancellationToken::new();
        let lab = Lab::start_local(LabConfig::new(accounts, LabClock::real()), stop.clone()).await?;
        let folder = tempfile::tempdir()?;
        for account in 0..imported {
            import(folder.path(), &lab, account)?;
        }
        let (backend, issuer) = (lab.backend_url(), lab.base_url().to_owned());
        Ok(Self { lab, folder, backend, issuer, _stop: stop.drop_guard() })
    }

    pub(super) fn environment<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = [
            ("SWITCHYARD_UPSTREAM__CHATGPT_URL", self.backend.as_str()),
            ("SWITCHYARD_UPSTREAM__OAUTH_URL", self.issuer.as_str()),
            ("SWITCHYARD_SIGN_IN__CALLBACK_PORT", "0"),
        ];
        own.into_iter().chain(more.iter().copied()).collect()
    }

    pub(super) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Ran> {
        run(self.folder.path(), arguments, &self.environment(environment), "")
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Result<Ran> {
        self.run_with(arguments, &[])
    }

    /// What a command answers that must not fail.
    pub(super) fn ok(&self, arguments: &[&str]) -> Result<String> {
        let ran = self.run(arguments)?;
        ensure!(ran.code == Some(0), "{arguments:?}: {ran:?}");
        Ok(ran.out)
    }

    pub(super) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let out = self.ok(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&out).with_context(|| out.clone())
    }

    pub(super) fn serve(&self) -> Result<Spawned> {
        Spawned::serve(&self.folder.path().join("data"), &[], &self.environment(&[]))
    }
}

fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_managed_without_a_gateway() -> Result<()> {
    let desk = Desk::new(2).await?;
    desk.ok(&["account", "rename", "ada@example.test", "work"])?;
    desk.ok(&["account", "set", "work", "weight=2", "priority=1", "groups=eu,day", "header.x-team=blue"])?;
    desk.ok(&["account", "pause", "work", "grace@example.test"])?;
    let work = desk.json(&["account", "show", "WORK"])?;
    assert_eq!((&work["account"]["name"], &work["account"]["state"]), (&json!("work"), &json!("paused")));
    assert_eq!(work["settings"]["groups"], json!(["day", "eu"]));
    assert_eq!((&work["settings"]["weight"], &work["settings"]["priority"]), (&json!(2.0), &json!(1)));
    assert_eq!(work["settings"]["headers"], json!(["x-team"]));
    let resumed = desk.json(&["account", "resume", "--all"])?;
    assert_eq!(resumed.as_array().map(Vec::len), Some(2));
    let tested = desk.json(&["account", "test", "work"])?;
    assert!(tested["latency_ms"].is_u64() && tested["name"] == "work", "{tested}");
    let refreshed = desk.run(&["account", "refresh", "--all"])?;
    assert!(refreshed.code == Some(0) && refreshed.out.lines().count() == 2, "{refreshed:?}");
    assert_eq!(desk.lab.tokens(0).context("no tokens")?.refreshes, 1);

    for (arguments, code, says) in [
        (&["account", "show", "nobody"][..], 3, "there is no account `nobody`"),
        (&["account", "rename", "work", " "], 1, "1 to 64 characters"),
        (&["account", "rename", "work", "grace@example.test"], 1, "taken"),
        (&["account", "set", "work", "weight=0"], 1, "a weight is above 0"),
        (&["account", "set", "work", "colour=red"], 2, "no field `colour`"),
        (&["account", "set", "work", "egress=lisbon"], 2, "no egress proxy `lisbon`"),
        (&["account", "pause"], 2, "required"),
        (&["account", "remove", "work"], 2, "--yes"),
        (&["account", "clear-cooldowns", "work"], 1, "running gateway"),
        (&["account", "list", "--url", "http://127.0.0.1:9"], 2, "SWITCHYARD_KEY"),
    ] {
        let ran = desk.run(arguments)?;
        assert!(ran.code == Some(code) && ran.err.contains(says), "{arguments:?}: {ran:?}");
    }
    desk.ok(&["account", "remove", "work", "--yes"])?;
    assert_eq!(desk.json(&["account", "list"])?.as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_for_accounts_come_from_standard_input() -> Result<()> {
    let desk = Desk::new(0).await?;
    let key = "sk-made-up-for-this-test";
    let add = ["account", "add-key", "--kind", "anthropic", "claude", "priority=-1"];
    let ran = run(desk.folder.path(), &add, &desk.environment(&[]), &format!("{key}\n"))?;
    assert!(ran.code == Some(0) && !ran.out.contains(key), "{ran:?}");
    let shown = desk.json(&["account", "show", "claude"])?;
    assert_eq!(
        (&shown["account"]["kind"], &shown["settings"]["priority"]),
        (&json!("anthropic"), &json!(-1))
    );
    let local = ["--kind", "openai-compatible", "local", "--base-url", "http://127.0.0.1:9/v1", "--no-key"];
    desk.ok(&[&["account", "add-key"], &local[..]].concat())?;
    for (arguments, code, says) in [
        (&["--kind", "openai", "x"][..], 1, "a key is needed"),
        (&["--kind", "gateway", "x", "--no-key"], 1, "server's address"),
        (&["--kind", "codex", "x"], 2, "possible values"),
    ] {
        let ran = desk.run(&[&["account", "add-key"], arguments].concat())?;
        assert!(ran.code == Some(code) && ran.err.contains(says), "{arguments:?}: {ran:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gateway_is_found_and_one_elsewhere_takes_an_operator_key() -> Result<()> {
    let desk = Desk::new(2).await?;
    let stored = desk.run(&["status"])?;
    assert!(stored.code == Some(0) && stored.out.contains("no gateway runs"), "{stored:?}");
    let mut gateway = desk.serve()?;
    let status = desk.ok(&["status"])?;
    assert!(status.starts_with(&gateway.url) && status.contains("ada@example.test"), "{status}");
    desk.ok(&["account", "pin", "grace@example.test"])?;
    assert_eq!(desk.ok(&["status", "--short"])?, "lb=grace@example.test reason=pinned mode=usage-balanced\n");
    let status: Value = serde_json::from_str(&desk.ok(&["status", "--json"])?)?;
    assert_eq!(status["accounts"][0]["alias"], "grace@example.test");
    assert_eq!(status["accounts"].as_array().map(Vec::len), Some(2));

    // From a machine that has nothing but the address and a key.
    let key = desk.ok(&["key", "create", "ops", "--operator"])?.trim().to_owned();
    let elsewhere = tempfile::tempdir()?;
    let far = |arguments: &[&str], key: &str| {
        let environment = [("SWITCHYARD_URL", gateway.url.as_str()), ("SWITCHYARD_KEY", key)];
        run(elsewhere.path(), arguments, &environment, "")
    };
    let list = far(&["account", "list", "--json"], &key)?;
    assert!(list.code == Some(0) && list.out.contains("grace@example.test"), "{list:?}");
    let paused = far(&["account", "pause", "ada@example.test"], &key)?;
    assert_eq!(paused.code, Some(0), "{paused:?}");
    assert!(desk.ok(&["account", "list"])?.contains("paused"));
    let auth = desk.lab.issue_auth_json(2).context("no account")?.to_string();
    std::fs::write(elsewhere.path().join("auth.json"), auth)?;
    let imported = far(&["account", "import", "auth.json", "--name", "third"], &key)?;
    assert!(imported.code == Some(0) && imported.out.starts_with("added `third`"), "{imported:?}");
    for (arguments, code, says) in [
        (&["account", "show", "nobody"][..], 3, "no account `nobody`"),
        (&["account", "export", "--all"], 2, "--password-stdin"),
        (&["key", "create", "more", "--operator"], 2, "on the gateway's machine"),
    ] {
        let ran = far(arguments, &key)?;
        assert!(ran.code == Some(code) && ran.err.contains(says), "{arguments:?}: {ran:?}");
    }
    assert!(
        !elsewhere.path().join("data/switchyard.db").exists(),
        "nothing is kept where commands are typed"
    );
    let wrong = far(&["account", "list"], "sk-sy-op-wrong")?;
    assert!(
        wrong.code == Some(1) && wrong.err.contains("not valid") && !wrong.err.contains("op-wrong"),
        "{wrong:?}"
    );

    desk.ok(&["key", "revoke", "ops"])?;
    eventually("the key is refused", async || {
        Ok((far(&["account", "list"], &key)?.code == Some(1)).then_some(()))
    })
    .await?;
    assert!(gateway.log_text().contains("ops"), "who called is logged");
    assert!(!gateway.log_text().contains(&key), "keys are not");
    gateway.terminate(Duration::from_secs(20))?;
    assert!(!desk.folder.path().join("data/running.json").exists());
    Ok(())
}

/// An operator key stands for itself: no cookie, no header of ours, and no way in without it.
#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_takes_operator_keys_and_nothing_like_them() -> Result<()> {
    let desk = Desk::new(1).await?;
    let gateway = desk.serve()?;
    let (operator, label) =
        (desk.ok(&["key", "create", "ops", "--operator"])?, desk.ok(&["key", "create", "app"])?);
    let http = client()?;
    let call = async |bearer: &str| {
        let request = http.put(format!("{}/api/admin/pin", gateway.url)).body(r#"{"account":null}"#);
        let request = request.header("content-type", "application/json").bearer_auth(bearer.trim());
        Answer::read(request.send().await?).await
    };
    assert_eq!(call(&operator).await?.status, 200);
    for (bearer, status, code) in [
        (label.as_str(), 403, "forbidden"),
        ("sk-sy-op-", 401, "unknown_key"),
        (concat!("sk-sy-op-", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 401, "unknown_key"),
    ] {
        let answer = call(bearer).await?;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (status, Some(code)),
            "{}",
            answer.text()
        );
    }
    let events =
        http.get(format!("{}/api/admin/events", gateway.url)).bearer_auth(operator.trim()).send().await?;
    let mut chunks = events.bytes_stream();
    for _ in 0..2 {
        let event = chunks.next().await.context("the events end")??;
        assert!(event.starts_with(b"event: overview"), "{event:?}");
    }
    // And it is no client key.
    let turn = http.get(format!("{}/v1/models", gateway.url)).bearer_auth(operator.trim()).send().await?;
    assert_eq!(turn.status(), 401);
    Ok(())
}

/// `account login` while it runs.
struct Login {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Login {
    fn begin(desk: &Desk, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(binary()?)
            .args(["account", "login"])
            .args(arguments)
            .arg("--data-dir")
            .arg(desk.folder.path().join("data"))
            .envs(desk.environment(&[]))
            .current_dir(desk.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self { child, out })
    }

    /// The rest of the first line that holds `before`.
    fn told(&mut self, before: &str) -> Result<String> {
        let mut line = String::new();
        while self.out.read_line(&mut line)? > 0 {
            if let Some((_, after)) = line.split_once(before) {
                return Ok(after.trim().to_owned());
            }
            line.clear();
        }
        anyhow::bail!("it never said `{before}`")
    }

    /// What it says at its good end.
    fn end(mut self) -> Result<String> {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.out, &mut rest)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}: {rest}");
        Ok(rest)
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        // Already ended is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_from_a_terminal() -> Result<()> {
    let desk = Desk::new(1).await?;
    // The browser comes back by itself.
    desk.lab.sign_in_as(1);
    let mut login = Login::begin(&desk, &["second"])?;
    let url = format!("http{}", login.told("  http")?);
    let page = client()?.get(&url).send().await?;
    assert_eq!(page.status(), 200, "{}", page.text().await?);
    assert!(login.end()?.contains("`second` (acc_"));

    // It cannot, so the address is pasted; first something else, by mistake.
    desk.lab.sign_in_as(2);
    let mut login = Login::begin(&desk, &[])?;
    let url = format!("http{}", login.told("  http")?);
    let stays = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build()?;
    let back = Answer::read(stays.get(&url).send().await?).await?;
    let back = back.header("location").context("no way back")?.to_owned();
    let mut stdin = login.child.stdin.take().context("no stdin")?;
    stdin.write_all(format!("hello\n{back}\n").as_bytes())?;
    assert!(login.end()?.contains("`edsger@example.test`"));

    // A known account is renewed, and only by its own person.
    desk.lab.sign_in_as(0);
    let mut login = Login::begin(&desk, &["--account", "ada@example.test"])?;
    let url = format!("http{}", login.told("  http")?);
    client()?.get(&url).send().await?;
    assert!(login.end()?.contains("is signed in again"));
    desk.lab.sign_in_as(2);
    let mut login = Login::begin(&desk, &["--account", "ada@example.test"])?;
    let url = format!("http{}", login.told("  http")?);
    assert_eq!(client()?.get(&url).send().await?.status(), 400);
    let refused = login.end().unwrap_err().to_string();
    assert!(refused.contains("exit status: 1"), "{refused}");
    assert_eq!(desk.json(&["account", "list"])?.as_array().map(Vec::len), Some(3));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_with_a_code() -> Result<()> {
    let desk = Desk::new(0).await?;
    let mut login = Login::begin(&desk, &["--device", "box"])?;
    let code = login.told("type this code: ")?;
    assert!(desk.lab.confirm_device(&code, 1), "the lab does not know {code}");
    assert!(login.end()?.contains("`box` (acc_"));
    assert_eq!(desk.json(&["account", "show", "box"])?["account"]["email"], "grace@example.test");
    Ok(())
}

#[test]
fn completions_are_scripts_of_their_shells() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(folder.path(), &["completions", shell], &[], "")?;
        assert!(ran.code == Some(0) && ran.out.contains("switchyard"), "{shell}: {}", ran.err);
    }
    let script = run(folder.path(), &["completions", "bash"], &[], "")?.out;
    std::fs::write(folder.path().join("script"), script)?;
    assert!(reads(&folder.path().join("script"))?, "bash does not understand its script");
    Ok(())
}

fn reads(script: &Path) -> Result<bool> {
    Ok(Command::new("bash").arg("-n").arg(script).status()?.success())
}
