//! Two gateways on one database, tokens that rotate all the time, and a `kill -9` at a random moment, again and again:
//! afterwards every account still serves, and no refresh token was used twice.
//!
//! Starting a gateway is what takes the time: a debug build is killed [`KILLS`] times, and a thousand times (the promise)
//! with `SWITCHYARD_TORTURE=full`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_lab::{Fault, FaultRule, Lab, LabAccount, LabClock, LabConfig, Route, Stall};
use reqwest::Method;
use serde_json::json;
use switchyard_tests::{Admin, Postgres, Spawned, free_port};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::kill::{Dice, nobody_is_lost, pester};

/// Deaths in all, by default and in full.
const KILLS: u64 = 60;
const ALL_KILLS: u64 = 1_000;
const ACCOUNTS: usize = 4;
/// A rotation takes about this long at the issuer, so that gateways die before, inside and after one.
const ROTATION: Duration = Duration::from_millis(60);
/// The latest moment of a death, after the start and after the gateway answers.
const LATEST_MS: u64 = 200;
/// Tokens end this often.
const TOKENS_END: Duration = Duration::from_millis(90);

fn kills() -> u64 {
    if std::env::var_os("SWITCHYARD_TORTURE").is_some_and(|wish| wish == "full") { ALL_KILLS } else { KILLS }
}

/// What both gateways stand on.
struct Ground {
    lab: Lab,
    stop: CancellationToken,
    folder: tempfile::TempDir,
    database: String,
    http: reqwest::Client,
}

impl Ground {
    /// A lab, and a database with all of its accounts in it.
    async fn new(database: impl FnOnce(&Path) -> String) -> Result<Self> {
        let names = ["ada", "grace", "edsger", "barbara"];
        let accounts = names.map(|name| LabAccount::new(name, "pro")).into();
        let stop = CancellationToken::new();
        let config = LabConfig { request_log: 16, ..LabConfig::new(accounts, LabClock::real()) };
        let lab = Lab::start_local(config, stop.clone()).await?;
        let folder = tempfile::tempdir()?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        let database = database(folder.path());
        let ground = Self { lab, stop, folder, database, http };
        let mut first = ground.serve(0)?;
        let admin = Admin::set_up(&ground.http, &first.url).await?;
        for account in 0..ACCOUNTS {
            let auth = ground.lab.issue_auth_json(account).context("no account")?.to_string();
            admin.call(Method::POST, "/accounts", Some(&json!({ "auth_json": auth }))).await?;
        }
        first.kill()?;
        // Both open the same secrets.
        let key = std::fs::read_dir(ground.data(0))?.flatten().map(|entry| entry.path());
        std::fs::create_dir_all(ground.data(1))?;
        for path in key.filter(|path| path.extension().is_some_and(|end| end == "key")) {
            std::fs::copy(&path, ground.data(1).join(path.file_name().unwrap_or_default()))?;
        }
        Ok(ground)
    }

    fn data(&self, place: usize) -> PathBuf {
        self.folder.path().join(format!("gateway-{place}"))
    }

    fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("SWITCHYARD_UPSTREAM__CHATGPT_URL", self.lab.backend_url()),
            ("SWITCHYARD_UPSTREAM__OAUTH_URL", self.lab.base_url().to_owned()),
            ("SWITCHYARD_DATABASE", self.database.clone()),
        ]
    }

    fn start(&self, place: usize, wait: bool) -> Result<Spawned> {
        let environment = self.environment();
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (port, data) = (free_port()?, self.data(place));
        let how = if wait { Spawned::serve_on } else { Spawned::launch };
        how(port, &data, &[], &environment)
    }

    fn serve(&self, place: usize) -> Result<Spawned> {
        self.start(place, true)
    }

    fn rotations(&self) -> u64 {
        (0..ACCOUNTS).filter_map(|account| self.lab.tokens(account)).map(|tokens| tokens.refreshes).sum()
    }
}

/// One of the two gateways: started, killed, started, killed.
fn die_again_and_again(ground: &Ground, place: usize, left: &AtomicU64, clients: &Handle) -> Result<()> {
    let mut dice = Dice(4_711 + place as u64);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        // Every fourth dies somewhere in its start.
        let early = dice.below(4) == 0;
        let mut gateway = ground.start(place, !early)?;
        let url = format!("{}/v1/responses", gateway.url);
        let crowd = if early { 0 } else { 3 };
        for _ in 0..crowd {
            // Each ends by itself when its gateway dies.
            clients.spawn(pester(ground.http.clone(), url.clone()));
        }
        std::thread::sleep(Duration::from_millis(dice.below(LATEST_MS)));
        gateway.kill()?;
    }
    Ok(())
}

async fn torture(database: impl FnOnce(&Path) -> String) -> Result<()> {
    let ground = Arc::new(Ground::new(database).await?);
    let lab = &ground.lab;
    // The token is spent and the answer comes in pieces, or the issuer is slow to look at it at all.
    for account in [0, 2] {
        lab.script(FaultRule::new(Fault::SlowEvents(ROTATION)).on(Route::Token).account(account));
    }
    lab.script(FaultRule::new(Fault::StallBeforeHeaders(Stall::For(ROTATION))).on(Route::Token).account(1));
    let (left, over) = (Arc::new(AtomicU64::new(kills())), Arc::new(AtomicBool::new(false)));
    let places: Vec<_> = (0..2)
        .map(|place| {
            let (ground, left, clients) = (ground.clone(), left.clone(), Handle::current());
            tokio::task::spawn_blocking(move || die_again_and_again(&ground, place, &left, &clients))
        })
        .collect();
    let ending = tokio::spawn({
        let (lab, over) = (lab.clone(), over.clone());
        async move {
            while !over.load(Ordering::Relaxed) {
                for account in 0..ACCOUNTS {
                    lab.expire_access_tokens(account);
                }
                tokio::time::sleep(TOKENS_END).await;
            }
        }
    });
    for place in places {
        place.await??;
    }
    over.store(true, Ordering::Relaxed);
    ending.await?;
    let rotations = ground.rotations();
    ensure!(rotations >= kills(), "only {rotations} rotations in {} lives", kills());
    lab.clear_faults();
    let last = ground.serve(0)?;
    let admin = Admin::log_in(&ground.http, &last.url).await?;
    nobody_is_lost(lab, &ground.http, &last, &admin).await?;
    ground.stop.cancel();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_on_sqlite_die_again_and_again_and_no_account_is_lost() -> Result<()> {
    torture(|folder| folder.join("shared.db").to_string_lossy().into_owned()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_on_postgresql_die_again_and_again_and_no_account_is_lost() -> Result<()> {
    let server = tokio::task::spawn_blocking(Postgres::start).await??;
    torture(|_| server.url.clone()).await
}
