//! Gateways on one database, tokens that rotate all the time, and a `kill -9` at a random moment: a thousand times on
//! SQLite, half as often on PostgreSQL. Afterwards every account still serves, and no refresh token was used twice.
//!
//! A gateway that dies leaves the process behind that rotates for it. It must finish what it began: how often it had to
//! is counted, so that a run whose deaths all fall beside the rotations proves nothing and fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use gateway_api::{AccountStateView, AccountView};
use gateway_lab::{Fault, FaultRule, Lab, LabAccount, LabClock, LabConfig, Route, Stall};
use reqwest::Method;
use serde_json::json;
use switchyard_tests::{Admin, Answer, Postgres, Spawned, eventually_within, turn};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// How often gateways die, on how many databases at once, and how many gateways share each. Four in all: while some wait
/// for the issuer, others use the machine.
#[derive(Clone, Copy)]
struct Deaths {
    kind: &'static str,
    in_all: u64,
    databases: u64,
    gateways: u64,
}

/// A thousand on one database.
const ON_SQLITE: Deaths = Deaths { kind: "SQLite", in_all: 1_000, databases: 1, gateways: 4 };
/// The same claims by another implementation: half as many, on two.
const ON_POSTGRESQL: Deaths = Deaths { kind: "PostgreSQL", in_all: 500, databases: 2, gateways: 2 };
const ACCOUNTS: usize = 4;
/// A rotation takes about this long at the issuer, so that gateways die before, inside and after one.
const ROTATION: Duration = Duration::from_millis(60);
/// The latest moment of a death, after the start and after the gateway answers.
const LATEST_MS: u64 = 200;
/// Tokens end this often.
const TOKENS_END: Duration = Duration::from_millis(90);
/// A client asks again after this.
const PAUSE: Duration = Duration::from_millis(10);
/// An account is back after this at the latest: a rotation may be worth waiting for, an account may rest for a minute.
const BACK_WITHIN: Duration = Duration::from_secs(90);
/// A turn that takes longer is asked again.
const ONE_TURN: Duration = Duration::from_secs(40);
/// Of this many deaths at least one falls into a rotation.
const INSIDE_ONE_OF: u64 = 5;

/// The same moments of death in every run (Knuth's linear congruential generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What the gateways stand on.
struct Ground {
    lab: Lab,
    stop: CancellationToken,
    folder: tempfile::TempDir,
    database: String,
    http: reqwest::Client,
    /// Deaths to come.
    left: AtomicU64,
    /// Deaths while a process of the gateway's was rotating tokens.
    inside: AtomicU64,
    over: AtomicBool,
}

impl Ground {
    /// A lab, and a database with all of its accounts in it.
    async fn new(deaths: Deaths, database: impl FnOnce(&Path) -> String) -> Result<Self> {
        let names = ["ada", "grace", "edsger", "barbara"];
        let accounts = names.map(never_used_up).into();
        let stop = CancellationToken::new();
        let config = LabConfig { request_log: 16, ..LabConfig::new(accounts, LabClock::real()) };
        let lab = Lab::start_local(config, stop.clone()).await?;
        let folder = tempfile::tempdir()?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        let database = database(folder.path());
        let (left, inside) = (AtomicU64::new(deaths.in_all / deaths.databases), AtomicU64::new(0));
        let over = AtomicBool::new(false);
        let ground = Self { lab, stop, folder, database, http, left, inside, over };
        let mut first = ground.start(0, Spawned::serve_on)?;
        let admin = Admin::set_up(&ground.http, &first.url).await?;
        for account in 0..ACCOUNTS {
            let auth = ground.lab.issue_auth_json(account).context("no account")?.to_string();
            admin.expect(201, Method::POST, "/accounts", Some(&json!({ "auth_json": auth }))).await?;
        }
        first.kill()?;
        (1..deaths.gateways).try_for_each(|place| ground.share_the_key(place))?;
        Ok(ground)
    }

    /// All open the same secrets.
    fn share_the_key(&self, place: u64) -> Result<()> {
        std::fs::create_dir_all(self.data(place))?;
        for path in std::fs::read_dir(self.data(0))?.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|end| end == "key") {
                std::fs::copy(&path, self.data(place).join(path.file_name().unwrap_or_default()))?;
            }
        }
        Ok(())
    }

    fn data(&self, place: u64) -> PathBuf {
        self.folder.path().join(format!("gateway-{place}"))
    }

    fn start(&self, place: u64, how: Start) -> Result<Spawned> {
        let (backend, issuer) = (self.lab.backend_url(), self.lab.base_url().to_owned());
        let environment = [
            ("SWITCHYARD_UPSTREAM__CHATGPT_URL", backend.as_str()),
            ("SWITCHYARD_UPSTREAM__OAUTH_URL", issuer.as_str()),
            ("SWITCHYARD_DATABASE", self.database.as_str()),
        ];
        Spawned::on_free_port(|port| how(port, &self.data(place), &[], &environment))
    }

    fn rotations(&self) -> u64 {
        (0..ACCOUNTS).filter_map(|account| self.lab.tokens(account)).map(|tokens| tokens.refreshes).sum()
    }

    /// The token is spent and the answer comes in pieces, or the issuer is slow to look at it at all.
    fn slow_rotations(&self) {
        for account in [0, 2] {
            self.lab.script(FaultRule::new(Fault::SlowEvents(ROTATION)).on(Route::Token).account(account));
        }
        let stall = Fault::StallBeforeHeaders(Stall::For(ROTATION));
        self.lab.script(FaultRule::new(stall).on(Route::Token).account(1));
    }

    async fn end_tokens(&self) {
        while !self.over.load(Ordering::Relaxed) {
            for account in 0..ACCOUNTS {
                self.lab.expire_access_tokens(account);
            }
            tokio::time::sleep(TOKENS_END).await;
        }
    }

    /// One of the gateways: started, killed, started, killed.
    fn die_again_and_again(&self, place: u64, seed: u64, clients: &Handle) -> Result<()> {
        let mut dice = Dice(4_711 + seed);
        while self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        {
            // Every fourth dies somewhere in its start.
            let is_early = dice.below(4) == 0;
            let mut gateway =
                self.start(place, if is_early { Spawned::launch } else { Spawned::serve_on })?;
            let crowd = if is_early { 0 } else { 3 };
            for _ in 0..crowd {
                // Each ends by itself when its gateway dies.
                clients.spawn(pester(self.http.clone(), format!("{}/v1/responses", gateway.url)));
            }
            std::thread::sleep(Duration::from_millis(dice.below(LATEST_MS)));
            let rotates = rotates(gateway.pid());
            gateway.kill()?;
            self.inside.fetch_add(u64::from(rotates), Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What clients use up here proves nothing, and an account without quota serves nobody.
fn never_used_up(name: &str) -> LabAccount {
    let mut account = LabAccount::new(name, "pro");
    account.windows = account.windows.into_iter().map(|window| window.filling(0.0)).collect();
    account
}

type Start = fn(u16, &Path, &[&str], &[(&str, &str)]) -> Result<Spawned>;

/// Whether a process rotates tokens for this gateway now: it has no other children. They belong to the threads that
/// started them.
fn rotates(gateway: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{gateway}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .any(|children| !children.trim().is_empty())
}

/// Asks for turns until the gateway dies; whether they are served does not matter.
async fn pester(http: reqwest::Client, url: String) {
    loop {
        let request = http.post(&url).header("content-type", "application/json").body(turn("x").to_string());
        match request.send().await {
            Ok(response) => drop(response.bytes().await),
            Err(_) => return,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// That each of the lab's accounts is there and serves alone, after its tokens were renewed once more, and that no
/// refresh token was ever used twice.
async fn nobody_is_lost(lab: &Lab, http: &reqwest::Client, gateway: &Spawned, admin: &Admin) -> Result<()> {
    for account in 0..ACCOUNTS {
        lab.expire_access_tokens(account);
    }
    let accounts: Vec<AccountView> = serde_json::from_value(admin.get("/accounts").await?)?;
    ensure!(accounts.len() == ACCOUNTS, "{} accounts", accounts.len());
    let lost: Vec<_> = accounts.iter().filter(|one| one.state == AccountStateView::SignInNeeded).collect();
    ensure!(lost.is_empty(), "lost: {lost:?}\n{}", gateway.log_text());
    for account in &accounts {
        admin.patch_account(&account.id, &json!({ "paused": true })).await?;
    }
    for account in &accounts {
        admin.patch_account(&account.id, &json!({ "paused": false })).await?;
        let served = eventually_within(BACK_WITHIN, "the account serves alone", async || {
            let request = http.post(format!("{}/v1/responses", gateway.url)).timeout(ONE_TURN);
            let request = request.header("content-type", "application/json").body(turn("x").to_string());
            let Ok(response) = request.send().await else { return Ok(None) };
            let Ok(answer) = Answer::read(response).await else { return Ok(None) };
            Ok((answer.status == 200 && answer.text().contains("response.completed")).then_some(()))
        });
        served.await.with_context(|| format!("{}\n{}", account.name, beginning(&gateway.log_text())))?;
        admin.patch_account(&account.id, &json!({ "paused": true })).await?;
    }
    for account in 0..ACCOUNTS {
        let tokens = lab.tokens(account).context("no account")?;
        ensure!(tokens.reuse_detections == 0, "account {account}: {tokens:?}");
    }
    Ok(())
}

/// Where a log says what went wrong first.
fn beginning(log: &str) -> String {
    log.lines().take(30).collect::<Vec<_>>().join("\n")
}

/// One database: its share of the deaths, and what is left afterwards. Says how many deaths fell into a rotation, and
/// how many rotations there were.
async fn torture(deaths: Deaths, nth: u64, database: impl FnOnce(&Path) -> String) -> Result<(u64, u64)> {
    let ground = Arc::new(Ground::new(deaths, database).await?);
    ground.slow_rotations();
    let ending = tokio::spawn({
        let ground = ground.clone();
        async move { ground.end_tokens().await }
    });
    let lives = (0..deaths.gateways).map(|place| {
        let (ground, clients) = (ground.clone(), Handle::current());
        tokio::task::spawn_blocking(move || {
            ground.die_again_and_again(place, deaths.gateways * nth + place, &clients)
        })
    });
    for life in lives.collect::<Vec<_>>() {
        life.await??;
    }
    ground.over.store(true, Ordering::Relaxed);
    ending.await?;
    ground.lab.clear_faults();
    let last = ground.start(0, Spawned::serve_on)?;
    let admin = Admin::log_in(&ground.http, &last.url).await?;
    nobody_is_lost(&ground.lab, &ground.http, &last, &admin).await?;
    ground.stop.cancel();
    Ok((ground.inside.load(Ordering::Relaxed), ground.rotations()))
}

/// What all databases of one kind came to.
#[expect(clippy::print_stdout, reason = "the run's record keeps what was measured")]
fn judge(deaths: Deaths, begun: Instant, ends: &[(u64, u64)]) -> Result<()> {
    let Deaths { kind, in_all, .. } = deaths;
    let (inside, rotations) = ends.iter().fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1));
    let told =
        format!("{in_all} deaths on {kind} in {:?}, {inside} inside {rotations} rotations", begun.elapsed());
    println!("{told}");
    ensure!(rotations >= in_all && inside * INSIDE_ONE_OF >= in_all, "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_on_sqlite_die_again_and_again_and_no_account_is_lost() -> Result<()> {
    let begun = Instant::now();
    let path = |folder: &Path| folder.join("shared.db").to_string_lossy().into_owned();
    let each = (0..ON_SQLITE.databases).map(|nth| torture(ON_SQLITE, nth, path));
    judge(ON_SQLITE, begun, &try_join_all(each).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_on_postgresql_die_again_and_again_and_no_account_is_lost() -> Result<()> {
    let begun = Instant::now();
    let starts =
        (0..ON_POSTGRESQL.databases).map(|_| async { tokio::task::spawn_blocking(Postgres::start).await? });
    let servers = try_join_all(starts).await?;
    let each =
        servers.iter().zip(0..).map(|(server, nth)| torture(ON_POSTGRESQL, nth, |_| server.url.clone()));
    judge(ON_POSTGRESQL, begun, &try_join_all(each).await?)
}
