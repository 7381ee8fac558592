//! The real binary against the lab: what it logs, what it never logs, and how it ends.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use gateway_lab::{Fault, FaultRule, Lab, LabAccount, LabClock, LabConfig, Route};
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, PASSWORD, Spawned, eventually, read_events, turn};
use tokio_util::sync::CancellationToken;

use super::cli::import;
use super::completed;

/// A lab in the machine's time and the folder of a gateway that holds its accounts.
struct Site {
    lab: Lab,
    folder: tempfile::TempDir,
    _stop: tokio_util::sync::DropGuard,
}

impl Site {
    async fn new(accounts: usize) -> Result<Self> {
        let names = ["ada", "grace", "edsger"];
        let accounts: Vec<_> =
            names.iter().take(accounts).map(|name| LabAccount::new(name, "plus")).collect();
        let stop = CancellationToken::new();
        let lab = Lab::start_local(LabConfig::new(accounts, LabClock::real()), stop.clone()).await?;
        let folder = tempfile::tempdir()?;
        for account in 0..lab.accounts().count() {
            import(folder.path(), &lab, account)?;
        }
        Ok(Self { lab, folder, _stop: stop.drop_guard() })
    }

    fn serve(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Spawned> {
        let (backend, issuer) = (self.lab.backend_url(), self.lab.base_url());
        let mut all = vec![
            ("SWITCHYARD_UPSTREAM__CHATGPT_URL", backend.as_str()),
            ("SWITCHYARD_UPSTREAM__OAUTH_URL", issuer),
        ];
        all.extend_from_slice(environment);
        Spawned::serve(&self.folder.path().join("data"), arguments, &all)
    }
}

fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?)
}

async fn ask(http: &reqwest::Client, url: &str, body: &Value) -> Result<Answer> {
    let request = http.post(format!("{url}/v1/responses")).header("content-type", "application/json");
    Answer::read(request.body(body.to_string()).send().await?).await
}

const PROMPT: &str = "the-prompt-nobody-may-read-4711";

/// Traffic of every kind: served, refused here, refused there, cut, renewed; then the ids of what failed.
async fn traffic(site: &Site, http: &reqwest::Client, url: &str) -> Result<Vec<String>> {
    let with_prompt = json!({ "model": "gpt-5.5", "input": PROMPT, "stream": true });
    let answer = ask(http, url, &with_prompt).await?;
    completed(&switchyard_tests::events_of(&answer.text())?)?;
    let mut failed = Vec::new();
    for fault in [
        Fault::CutAfterEvents(7),
        Fault::named("context_length_exceeded").context("no such row")?,
        Fault::FailedEvent {
            code: "invalid_prompt".into(),
            message: format!("{PROMPT} is refused"),
            after_events: 7,
        },
        Fault::Raw {
            status: 400,
            body: json!({ "error": { "message": PROMPT, "code": "invalid_prompt" } }).to_string(),
            headers: Vec::new(),
        },
    ] {
        site.lab.script(FaultRule::new(fault).on(Route::Responses).once());
        let answer = ask(http, url, &with_prompt).await?;
        failed.push(answer.header("x-request-id").context("no id")?.to_owned());
    }
    for bad in [json!({ "input": PROMPT }), json!({ "model": "gpt-5.5", "input": PROMPT, "stream": PROMPT })]
    {
        let answer = ask(http, url, &bad).await?;
        assert_eq!(answer.status, 400);
        failed.push(answer.header("x-request-id").context("no id")?.to_owned());
    }
    let request = http.post(format!("{url}/v1/responses")).bearer_auth("sk-sy-wrong-and-secret-0815");
    let answer = Answer::read(request.body(with_prompt.to_string()).send().await?).await?;
    assert_eq!(answer.status, 401);
    failed.push(answer.header("x-request-id").context("no id")?.to_owned());
    // A renewed token, an account that dies, a retry on another account.
    site.lab.expire_access_tokens(0);
    site.lab.expire_access_tokens(1);
    site.lab.revoke(2);
    for _ in 0..8 {
        assert_eq!(ask(http, url, &with_prompt).await?.status, 200);
    }
    Ok(failed)
}

/// Everything that must not be in a log.
fn secrets(lab: &Lab, admin: &Admin, key: &str) -> Result<Vec<String>> {
    let mut secrets: Vec<String> =
        [PROMPT, PASSWORD, key, "sk-sy-wrong-and-secret-0815", "example.test"].map(String::from).into();
    secrets.push(admin.cookie.split_once('=').context("no cookie")?.1.to_owned());
    for account in 0..3 {
        secrets.extend(lab.tokens(account).and_then(|tokens| tokens.current_refresh_token));
    }
    for seen in lab.requests() {
        secrets.extend(
            seen.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned),
        );
        secrets.extend(seen.json()["refresh_token"].as_str().map(str::to_owned));
    }
    secrets.sort();
    secrets.dedup();
    Ok(secrets)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_json_names_every_failure_once_and_holds_no_secret() -> Result<()> {
    let site = Site::new(3).await?;
    let mut gateway = site.serve(&["--log-format", "json"], &[("SWITCHYARD_LOG__FILTER", "debug")])?;
    let http = client()?;
    let admin = Admin::set_up(&http, &gateway.url).await?;
    let made = admin.call(reqwest::Method::POST, "/keys", Some(&json!({ "label": "ann" }))).await?;
    let key = made.json()["key"].as_str().context("no key")?.to_owned();
    let failed = traffic(&site, &http, &gateway.url).await?;
    gateway.terminate(Duration::from_secs(20))?;

    let log = gateway.log_text();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}")))
        .collect::<Result<_>>()?;
    assert!(lines.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()));
    let mut told: HashMap<&str, usize> = HashMap::new();
    for line in lines.iter().filter(|line| line["level"] == "WARN") {
        if let Some(request) = line["request"].as_str() {
            *told.entry(request).or_default() += 1;
        }
    }
    for request in &failed {
        assert_eq!(told.get(request.as_str()), Some(&1), "{request} is told once");
    }
    let secrets = secrets(&site.lab, &admin, &key)?;
    assert!(secrets.len() > 10, "{}", secrets.len());
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "{secret} is in the log: {line:?}");
    }
    for message in ["serving", "tokens rotated", "going down; streams may finish", "bye"] {
        assert!(lines.iter().any(|line| line["message"] == message), "`{message}` is missing");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_lets_streams_finish_and_the_process_ends_well() -> Result<()> {
    let site = Site::new(1).await?;
    let mut gateway = site.serve(&[], &[])?;
    let http = client()?;
    let request =
        http.post(format!("{}/v1/responses", gateway.url)).header("content-type", "application/json");
    let stream = request.body(turn("stream 25 events, pause 40 ms").to_string()).send().await?;
    assert_eq!(stream.status(), 200);
    let reading = tokio::spawn(read_events(stream));
    let ending =
        tokio::task::spawn_blocking(move || gateway.terminate(Duration::from_secs(20)).map(|()| gateway));
    completed(&reading.await??)?;
    let gateway = ending.await??;
    assert!(gateway.log_text().contains("bye"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grace_that_is_over_ends_streams_with_an_event() -> Result<()> {
    let site = Site::new(1).await?;
    let mut gateway = site.serve(&[], &[("SWITCHYARD_SHUTDOWN__GRACE", "300ms")])?;
    let http = client()?;
    let request =
        http.post(format!("{}/v1/responses", gateway.url)).header("content-type", "application/json");
    let stream = request.body(turn("stream 5000 events, pause 20 ms").to_string()).send().await?;
    let reading = tokio::spawn(read_events(stream));
    let ending = tokio::task::spawn_blocking(move || gateway.terminate(Duration::from_secs(20)));
    let events = reading.await??;
    assert_eq!(
        events.last().map(|event| event.data["response"]["error"]["code"].clone()),
        Some("shutting_down".into())
    );
    ending.await?
}

/// The demo is one command: it answers at once, from made-up accounts, and says how to use it.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_serves_without_anything_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut gateway = Spawned::serve(folder.path(), &["--demo"], &[])?;
    let http = client()?;
    let answer = ask(&http, &gateway.url, &turn("hello")).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    completed(&switchyard_tests::events_of(&answer.text())?)?;
    let said = eventually("the demo says how to use it", async || {
        let said = std::fs::read_to_string(folder.path().join("switchyard.out"))?;
        Ok((said.contains("curl -N") && said.contains("Dashboard")).then_some(said))
    });
    assert!(said.await?.contains(&gateway.url));
    let admin = Admin::set_up(&http, &gateway.url).await?;
    assert_eq!(admin.get("/accounts").await?.as_array().map(Vec::len), Some(3));
    gateway.terminate(Duration::from_secs(20))?;
    // A second start finds what the first one left.
    let again = Spawned::serve(folder.path(), &["--demo"], &[])?;
    let admin = Admin::log_in(&http, &again.url).await?;
    assert_eq!(admin.get("/accounts").await?.as_array().map(Vec::len), Some(3), "none is doubled");
    assert_eq!(ask(&http, &again.url, &turn("hello")).await?.status, 200);
    Ok(())
}
