//! The process is killed again and again while tokens rotate, and no account is ever lost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gateway_lab::{Fault, FaultRule, Lab, LabAccount, LabClock, LabConfig, Route, Stall};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_tests::{Admin, Answer, Spawned, eventually, turn};
use tokio_util::sync::CancellationToken;

use super::cli::import;

const KILLS: u32 = 40;
const ACCOUNTS: usize = 4;
/// A rotation takes about this long, so that the process dies before, inside and after one.
const ROTATION: Duration = Duration::from_millis(80);
/// The latest moment of a death after the rotations were asked for.
const LATEST: u64 = 260;

/// The same points of death in every run (Knuth's linear congruential generator).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn rotations(lab: &Lab) -> u64 {
    (0..ACCOUNTS).filter_map(|account| lab.tokens(account)).map(|tokens| tokens.refreshes).sum()
}

fn slow(lab: &Lab) {
    // The token is spent, and the answer is slow: the dangerous moment.
    for account in [0, 2] {
        lab.script(FaultRule::new(Fault::SlowEvents(ROTATION)).on(Route::Token).account(account));
    }
    // The issuer is slow to look at the token at all.
    lab.script(FaultRule::new(Fault::StallBeforeHeaders(Stall::For(ROTATION))).on(Route::Token).account(1));
}

/// Asks for turns until the process dies; whether they are served does not matter.
pub(super) async fn pester(http: reqwest::Client, url: String) {
    loop {
        let request = http.post(&url).header("content-type", "application/json").body(turn("x").to_string());
        match request.send().await {
            Ok(response) => drop(response.bytes().await),
            Err(_) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_account_is_lost_however_often_the_process_dies() -> Result<()> {
    let names = ["ada", "grace", "edsger", "barbara"];
    let accounts = names.map(|name| LabAccount::new(name, "pro")).into();
    let stop = CancellationToken::new();
    let config = LabConfig { request_log: 16, ..LabConfig::new(accounts, LabClock::real()) };
    let lab = Lab::start_local(config, stop.clone()).await?;
    let folder = tempfile::tempdir()?;
    for account in 0..ACCOUNTS {
        import(folder.path(), &lab, account)?;
    }
    slow(&lab);
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    let mut dice = Dice(4711);
    let mut finished_by_a_child = 0;
    let begun = Instant::now();
    for _ in 0..KILLS {
        let mut gateway = serve(&lab, &folder.path().join("data"))?;
        for account in 0..ACCOUNTS {
            lab.expire_access_tokens(account);
        }
        let url = format!("{}/v1/responses", gateway.url);
        let clients: Vec<_> = (0..6).map(|_| tokio::spawn(pester(http.clone(), url.clone()))).collect();
        tokio::time::sleep(Duration::from_millis(dice.below(LATEST))).await;
        gateway.kill()?;
        let at_death = rotations(&lab);
        for client in clients {
            client.await?;
        }
        // Some of the next starts meet a rotation that still runs, others come after it.
        tokio::time::sleep(Duration::from_millis(dice.below(120))).await;
        finished_by_a_child += rotations(&lab) - at_death;
    }
    let done = rotations(&lab);
    assert!(done >= u64::from(KILLS), "{done} rotations in {:?}", begun.elapsed());
    assert!(
        finished_by_a_child >= 3,
        "{finished_by_a_child} rotations outlived the process that asked for them"
    );
    lab.clear_faults();
    every_account_serves(&lab, &http, &folder.path().join("data")).await?;
    stop.cancel();
    Ok(())
}

fn serve(lab: &Lab, data: &std::path::Path) -> Result<Spawned> {
    let (backend, issuer) = (lab.backend_url(), lab.base_url().to_owned());
    let environment =
        [("SWITCHYARD_UPSTREAM__CHATGPT_URL", backend.as_str()), ("SWITCHYARD_UPSTREAM__OAUTH_URL", &issuer)];
    Spawned::serve(data, &[], &environment)
}

/// At the end, with tokens that must be renewed once more, each account serves alone.
async fn every_account_serves(lab: &Lab, http: &reqwest::Client, data: &std::path::Path) -> Result<()> {
    let gateway = serve(lab, data)?;
    let admin = Admin::set_up(http, &gateway.url).await?;
    nobody_is_lost(lab, http, &gateway, &admin).await
}

/// That each of the lab's accounts is there and serves alone, after its tokens were renewed once more, and that no
/// refresh token was ever used twice.
pub(super) async fn nobody_is_lost(
    lab: &Lab,
    http: &reqwest::Client,
    gateway: &Spawned,
    admin: &Admin,
) -> Result<()> {
    let count = lab.accounts().count();
    for account in 0..count {
        lab.expire_access_tokens(account);
    }
    let accounts: Vec<gateway_api::AccountView> = serde_json::from_value(admin.get("/accounts").await?)?;
    ensure!(accounts.len() == count, "{} accounts", accounts.len());
    let lost: Vec<_> =
        accounts.iter().filter(|one| one.state == gateway_api::AccountStateView::SignInNeeded).collect();
    ensure!(lost.is_empty(), "lost: {lost:?}\n{}", gateway.log_text());
    let set = async |id: &str, paused: bool| -> Result<Value> {
        let answer =
            admin.call(Method::PATCH, &format!("/accounts/{id}"), Some(&json!({ "paused": paused }))).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(answer.json())
    };
    for account in &accounts {
        set(&account.id, true).await?;
    }
    for account in &accounts {
        set(&account.id, false).await?;
        let served = eventually("the account serves alone", async || {
            let request =
                http.post(format!("{}/v1/responses", gateway.url)).header("content-type", "application/json");
            let answer = Answer::read(request.body(turn("x").to_string()).send().await?).await?;
            Ok((answer.status == 200).then_some(()))
        });
        served.await.with_context(|| format!("{}\n{}", account.name, gateway.log_text()))?;
        set(&account.id, true).await?;
    }
    for account in 0..count {
        let tokens = lab.tokens(account).context("no account")?;
        ensure!(tokens.reuse_detections == 0, "account {account}: {tokens:?}");
    }
    Ok(())
}
