//! A gateway with ten thousand accounts that lives: tokens are renewed and quotas asked for in the background, an
//! operator lists and charts all of it, and turns run meanwhile. What the turns feel of it, beside a small pool that is
//! left alone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gateway_api::AccountView;
use reqwest::Client;
use serde::Serialize;
use serde_json::Value;
use switchyard_tests::{Admin, Metrics};
use tokio_util::sync::CancellationToken;

use crate::field::{auth_file, auth_folder, credentials, gateway};
use crate::load::{Connection, closed_loop, connect};
use crate::measure::{Quantiles, median, micros};
use crate::options::Pace;
use crate::process::{Process, accepts, free_address, healthy};
use crate::report::say;
use crate::turns::SHORT_ANSWER;

/// Accounts of the large pool.
pub(crate) const CROWD: usize = 10_000;
/// Accounts of the small one.
const FEW: usize = 16;
/// Tokens of the large pool end after this: every one of them is due from the first moment.
const TOKEN_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// Turns at once.
const CONCURRENCY: usize = 8;
const BODY_BYTES: usize = 2 * 1024;
/// Parts of an import, each below what one text may hold.
const IMPORT_PART: usize = 2_500;
/// What an operator's page does not ask for more often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Until the background has begun.
const QUIET: Duration = Duration::from_secs(3);
/// The longest that one look may take.
const LOOK_TIME: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    /// Turns beside nothing: a few accounts, nobody who looks.
    pub(crate) calm: Turns,
    /// Turns beside all of it.
    pub(crate) busy: Turns,
    /// Milliseconds to list all accounts over HTTP, while turns run.
    pub(crate) list_ms: f64,
    /// Milliseconds for what the charts show.
    pub(crate) chart_ms: f64,
    /// Tokens renewed meanwhile.
    pub(crate) renewed: f64,
    /// Accounts whose windows became known meanwhile.
    pub(crate) measured: usize,
}

/// What turns felt.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Turns {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// The longest one: a stall would show here.
    pub(crate) longest_ms: f64,
}

/// Measures both pools.
pub(crate) async fn run(pace: Pace) -> Result<Findings> {
    let span = pace.turn * pace.rounds * 3;
    say(&format!("{FEW} accounts, left alone"));
    let calm = Stand::start(FEW, Duration::from_hours(24)).await?;
    let calm = turns(&mut calm.connections().await?, span).await?;
    say(&format!("{CROWD} accounts, renewed, measured, listed and charted"));
    let stand = Stand::start(CROWD, TOKEN_LIFETIME).await?;
    let mut connections = stand.connections().await?;
    let before = stand.background().await?;
    // A thread of its own: whoever reads megabytes must not hold up whoever measures microseconds.
    let (stop, url) = (CancellationToken::new(), stand.url());
    let looking = std::thread::spawn({
        let (stop, cookie) = (stop.clone(), stand.admin.cookie.clone());
        move || look_on(&url, &cookie, &stop)
    });
    let busy = turns(&mut connections, span).await;
    stop.cancel();
    let looks = looking.join().map_err(|_| anyhow::anyhow!("whoever looked on is gone"))??;
    let after = stand.background().await?;
    Ok(Findings {
        calm,
        busy: busy?,
        list_ms: median(looks.lists),
        chart_ms: median(looks.charts),
        renewed: after.renewed - before.renewed,
        measured: after.measured - before.measured,
    })
}

async fn turns(connections: &mut [Connection], span: Duration) -> Result<Turns> {
    let load = closed_loop(connections, span).await?;
    let longest = load.latencies.iter().max().copied().unwrap_or_default();
    let per_second = load.latencies.len() as f64 / load.elapsed.as_secs_f64();
    let Quantiles { p50, p99 } = Quantiles::of(load.latencies)?;
    Ok(Turns { requests_per_second: per_second, p50_us: p50, p99_us: p99, longest_ms: micros(longest) / 1e3 })
}

/// A lab and a gateway with all of its accounts. Ended in the order of the fields.
struct Stand {
    _gateway: Process,
    _lab: Process,
    address: SocketAddr,
    folder: tempfile::TempDir,
    http: Client,
    admin: Admin,
}

/// What the background did so far.
struct Background {
    renewed: f64,
    measured: usize,
}

impl Stand {
    async fn start(accounts: usize, lifetime: Duration) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for the run")?;
        let (upstream, data) = (free_address()?, folder.path().join("data"));
        std::fs::create_dir_all(&data)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["lab", "--listen", &upstream.to_string(), "--accounts", &accounts.to_string()]);
        command.args(["--lifetime", &lifetime.as_secs().to_string(), "--auth-dir"]);
        std::fs::create_dir_all(auth_folder(folder.path()))?;
        command.arg(auth_folder(folder.path()));
        let lab = Process::start(command, &folder.path().join("lab.out"), || accepts(upstream))?;
        for part in (0..accounts).step_by(IMPORT_PART) {
            let list = in_one_file(folder.path(), part..accounts.min(part + IMPORT_PART))?;
            let output = gateway(upstream, &data)?.args(["account", "import"]).arg(&list).output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "importing {accounts} accounts failed: {said}");
        }
        let address = free_address()?;
        let mut command = gateway(upstream, &data)?;
        command.args(["serve", "--listen", &address.to_string()]);
        let gateway = Process::start(command, &data.join("switchyard.out"), || healthy(address))?;
        tokio::time::sleep(QUIET).await;
        let http = Client::builder().timeout(LOOK_TIME).no_proxy().build()?;
        let admin = Admin::set_up(&http, &format!("http://{address}")).await?;
        Ok(Self { _gateway: gateway, _lab: lab, address, folder, http, admin })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        let credentials = credentials(self.folder.path())?;
        connect(self.address, &credentials, CONCURRENCY, BODY_BYTES, SHORT_ANSWER).await
    }

    async fn background(&self) -> Result<Background> {
        let text = self.http.get(format!("{}/metrics", self.url())).send().await?.text().await?;
        let renewed = Metrics::read(&text)?.sum("switchyard_token_rotations_total", &[]);
        let listed: Vec<AccountView> = serde_json::from_value(self.admin.get("/accounts").await?)?;
        Ok(Background { renewed, measured: listed.iter().filter(|one| !one.windows.is_empty()).count() })
    }
}

/// Several of the lab's sign-ins as one text.
fn in_one_file(folder: &Path, accounts: std::ops::Range<usize>) -> Result<PathBuf> {
    let path = folder.join(format!("from-{}.json", accounts.start));
    let list: Vec<Value> = accounts
        .map(|index| Ok(serde_json::from_slice(&std::fs::read(auth_file(folder, index))?)?))
        .collect::<Result<_>>()?;
    std::fs::write(&path, serde_json::to_vec(&list)?)?;
    Ok(path)
}

/// How long looks took, in milliseconds.
#[derive(Default)]
struct Looks {
    lists: Vec<f64>,
    charts: Vec<f64>,
}

/// What a dashboard does that shows everything: all accounts, the overview with its charts, one account's windows.
fn look_on(url: &str, cookie: &str, stop: &CancellationToken) -> Result<Looks> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let http = Client::builder().timeout(LOOK_TIME).no_proxy().build()?;
        let read = async |path: &str| -> Result<(f64, bytes::Bytes)> {
            let begun = Instant::now();
            let sent = http.get(format!("{url}/api/admin{path}")).header("cookie", cookie).send().await?;
            let body = sent.error_for_status()?.bytes().await?;
            Ok((micros(begun.elapsed()) / 1e3, body))
        };
        let mut looks = Looks::default();
        while !stop.is_cancelled() {
            let (took, body) = read("/accounts").await?;
            let listed: Vec<AccountView> = serde_json::from_slice(&body)?;
            ensure!(listed.len() == CROWD, "{} accounts were listed", listed.len());
            looks.lists.push(took);
            let (overview, _) = read("/overview").await?;
            let one = listed.get(looks.lists.len() * 7 % CROWD).context("nobody is listed")?;
            let (detail, _) = read(&format!("/accounts/{}", one.id)).await?;
            looks.charts.push(overview + detail);
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        Ok(looks)
    })
}
