//! Rotating tokens in a process of its own: if the gateway dies in the middle, the child still stores what the issuer
//! gave, and no account is lost (decision record 0004).

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gateway_core::ports::{
    AccountStore, Clock, ProxyStore, RefreshOutcome, Refresher, SystemClock, TokenIssuer,
};
use gateway_core::refresh::{CLAIM_LIFETIME, Means, errand_of, rotate};
use gateway_domain::AccountId;
use gateway_store::Store;
use gateway_upstream::{Clients, OAuthIssuer};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::Settings;
use crate::run::{StartError, open_store};
use crate::shared_file::DiskFiles;

/// The hidden command that the child runs.
pub(crate) const CHILD_COMMAND: &str = "rotate-tokens";
/// The largest order or report, in bytes.
const MAX_MESSAGE_BYTES: u64 = 64 * 1024;
/// A child is given its claim's lifetime and this much more to report.
const REPORT_SLACK: Duration = Duration::from_secs(5);

/// What the child is to do. Goes through its standard input: arguments are visible to everybody on the machine, and a
/// database URL may hold a password.
#[derive(Serialize, Deserialize)]
struct Order {
    data_dir: PathBuf,
    database: String,
    oauth_url: String,
    account: AccountId,
}

/// How the child ended.
#[derive(Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Report {
    Refreshed,
    Elsewhere,
    Failed { message: String },
    SignInNeeded { code: String },
}

impl From<RefreshOutcome> for Report {
    fn from(outcome: RefreshOutcome) -> Self {
        match outcome {
            RefreshOutcome::Refreshed => Self::Refreshed,
            RefreshOutcome::Elsewhere => Self::Elsewhere,
            RefreshOutcome::Failed { message } => Self::Failed { message },
            RefreshOutcome::SignInNeeded { code } => Self::SignInNeeded { code },
        }
    }
}

impl From<Report> for RefreshOutcome {
    fn from(report: Report) -> Self {
        match report {
            Report::Refreshed => Self::Refreshed,
            Report::Elsewhere => Self::Elsewhere,
            Report::Failed { message } => Self::Failed { message },
            Report::SignInNeeded { code } => Self::SignInNeeded { code },
        }
    }
}

/// Starts a child for each rotation.
pub(crate) struct ChildRefresher {
    binary: PathBuf,
    data_dir: PathBuf,
    database: String,
    oauth_url: String,
}

impl ChildRefresher {
    pub(crate) fn new(settings: &Settings) -> Result<Self, StartError> {
        Ok(Self {
            binary: std::env::current_exe()?,
            data_dir: std::path::absolute(&settings.data_dir)?,
            database: settings.database.clone(),
            oauth_url: settings.oauth_url.clone(),
        })
    }

    fn order(&self, account: AccountId) -> Order {
        Order {
            data_dir: self.data_dir.clone(),
            database: self.database.clone(),
            oauth_url: self.oauth_url.clone(),
            account,
        }
    }
}

impl Refresher for ChildRefresher {
    fn refresh(&self, account: AccountId) -> BoxFuture<'static, RefreshOutcome> {
        let (binary, order) = (self.binary.clone(), self.order(account));
        async move {
            let failed = |message: String| RefreshOutcome::Failed { message };
            match tokio::time::timeout(CLAIM_LIFETIME + REPORT_SLACK, ask_child(binary, order)).await {
                Ok(Ok(report)) => report.into(),
                Ok(Err(error)) => failed(format!("the rotating process failed: {error}")),
                Err(_) => failed("the rotating process takes too long".to_owned()),
            }
        }
        .boxed()
    }
}

async fn ask_child(binary: PathBuf, order: Order) -> std::io::Result<Report> {
    let mut child = Command::new(binary)
        .arg(CHILD_COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Its log lines join ours.
        .stderr(Stdio::inherit())
        // A group of its own: what ends the gateway from a terminal does not reach it, and dropping it leaves it alone.
        .process_group(0)
        .kill_on_drop(false)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(&order)?).await?;
    }
    let mut report = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_MESSAGE_BYTES).read_to_end(&mut report).await?;
    }
    child.wait().await?;
    Ok(serde_json::from_slice(&report)?)
}

/// The child's work: reads the order, rotates, reports. Reporting may fail, the gateway may be gone; the result is
/// durable by then.
pub(crate) async fn run_child() -> std::io::Result<()> {
    let mut order = Vec::new();
    tokio::io::stdin().take(MAX_MESSAGE_BYTES).read_to_end(&mut order).await?;
    let order: Order = serde_json::from_slice(&order)?;
    let report = Report::from(carry_out(order).await);
    drop(tokio::io::stdout().write_all(&serde_json::to_vec(&report)?).await);
    Ok(())
}

async fn carry_out(order: Order) -> RefreshOutcome {
    let failed = |message: String| RefreshOutcome::Failed { message };
    let mut settings = Settings::for_data_dir(&order.data_dir);
    settings.database = order.database;
    let store = match open_store(&settings).await {
        Ok(store) => store,
        Err(error) => return failed(error.to_string()),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let issuer =
        Clients::new().and_then(|clients| OAuthIssuer::new(&order.oauth_url, Arc::new(clients), clock));
    let issuer = match issuer {
        Ok(issuer) => issuer,
        Err(error) => return failed(error.to_string()),
    };
    let outcome =
        rotate_one(&*store.accounts(), &*store.proxies(), &issuer, &SystemClock, &order.account).await;
    store.close().await;
    outcome
}

/// Rotates one account's tokens on the way that its requests leave by.
async fn rotate_one(
    accounts: &dyn AccountStore,
    proxies: &dyn ProxyStore,
    issuer: &dyn TokenIssuer,
    clock: &dyn Clock,
    id: &AccountId,
) -> RefreshOutcome {
    match errand_of(accounts, proxies, id).await {
        Ok(errand) => {
            let means = Means { store: accounts, issuer, clock, files: &DiskFiles };
            rotate(means, id, errand).await
        }
        Err(message) => RefreshOutcome::Failed { message },
    }
}

/// Rotates in this process.
pub(crate) struct InProcessRefresher {
    accounts: Arc<dyn AccountStore>,
    proxies: Arc<dyn ProxyStore>,
    issuer: Arc<dyn TokenIssuer>,
    clock: Arc<dyn Clock>,
}

impl InProcessRefresher {
    pub(crate) fn new(store: &Store, issuer: Arc<dyn TokenIssuer>, clock: Arc<dyn Clock>) -> Self {
        Self { accounts: store.accounts(), proxies: store.proxies(), issuer, clock }
    }
}

impl Refresher for InProcessRefresher {
    fn refresh(&self, account: AccountId) -> BoxFuture<'static, RefreshOutcome> {
        let (accounts, proxies) = (self.accounts.clone(), self.proxies.clone());
        let (issuer, clock) = (self.issuer.clone(), self.clock.clone());
        async move { rotate_one(&*accounts, &*proxies, &*issuer, &*clock, &account).await }.boxed()
    }
}
