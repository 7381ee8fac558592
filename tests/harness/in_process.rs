//! The whole gateway in the test's process: real sockets, real database, the lab's clock.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_app::{Refreshing, Running, Settings};
use gateway_core::decisions::DecisionState;
use gateway_core::ports::{Clock, SettlementRecord};
use gateway_domain::{RequestId, Timestamp};
use gateway_lab::{Lab, LabClock, LabConfig};
use gateway_store::{KeyRing, Store, StoreOptions};
use reqwest::header::HeaderMap;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Answer, Metrics, eventually};

/// The lab's clock as the gateway's.
struct SharedClock(LabClock);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.now_ms())
    }
}

/// A lab with a gateway in front of it. [`InProcess::stop`] ends both and checks that nothing is left over.
pub struct InProcess {
    /// The upstream.
    pub lab: Lab,
    /// The gateway.
    pub running: Running,
    /// Where the gateway listens, `http://127.0.0.1:port`.
    pub url: String,
    /// A client without redirects and with a deadline.
    pub http: reqwest::Client,
    /// The gateway's settings.
    pub settings: Settings,
    folder: TempDir,
    lab_stop: CancellationToken,
}

impl InProcess {
    /// Starts a lab and a gateway that holds all of the lab's accounts.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start(config: LabConfig) -> Result<Self> {
        Self::start_with(config, |_| {}).await
    }

    /// The same, with the settings adjusted first.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start_with(config: LabConfig, adjust: impl FnOnce(&mut Settings)) -> Result<Self> {
        let gateway = Self::start_empty(config, adjust).await?;
        for index in 0..gateway.lab.accounts().count() {
            gateway.import(index).await?;
        }
        Ok(gateway)
    }

    /// The same, without any account.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start_empty(config: LabConfig, adjust: impl FnOnce(&mut Settings)) -> Result<Self> {
        let lab_stop = CancellationToken::new();
        let lab = Lab::start_local(config, lab_stop.clone()).await.context("start the lab")?;
        let folder = tempfile::tempdir()?;
        let mut settings = Settings::for_data_dir(&folder.path().join("data"));
        settings.chatgpt_url = lab.backend_url();
        settings.oauth_url = lab.base_url().to_owned();
        settings.openai_url = lab.openai_url();
        settings.anthropic_url = lab.base_url().to_owned();
        // Tests run beside each other, and beside a Codex CLI that signs in.
        settings.callback_port = 0;
        settings.shutdown_grace = Duration::from_secs(5);
        // The lab's clock stands still, so waiting for the end of a limit would only take time.
        settings.burst_wait = Duration::ZERO;
        adjust(&mut settings);
        let running = run(&lab, &settings).await?;
        let url = format!("http://{}", running.address);
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build()?;
        Ok(Self { lab, running, url, http, settings, folder, lab_stop })
    }

    /// Imports one of the lab's accounts, freshly signed in.
    ///
    /// # Errors
    /// The lab does not have it, or the gateway refuses it.
    pub async fn import(&self, index: usize) -> Result<()> {
        let auth = self.lab.issue_auth_json(index).context("the lab has no such account")?;
        self.running.gateway.import_account(&auth.to_string(), None).await?;
        Ok(())
    }

    /// Sends a turn to `/v1/responses`.
    ///
    /// # Errors
    /// No answer came.
    pub async fn post(&self, body: &Value) -> Result<reqwest::Response> {
        self.post_to("/v1/responses", HeaderMap::new(), body.to_string()).await
    }

    /// Sends any body to any path.
    ///
    /// # Errors
    /// No answer came.
    pub async fn post_to(
        &self,
        path: &str,
        headers: HeaderMap,
        body: impl Into<reqwest::Body>,
    ) -> Result<reqwest::Response> {
        let request =
            self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        Ok(request.headers(headers).body(body).send().await?)
    }

    /// Sends a turn to `/v1/responses` and reads the whole answer.
    ///
    /// # Errors
    /// No whole answer came.
    pub async fn ask(&self, body: &Value) -> Result<Answer> {
        Answer::read(self.post(body).await?).await
    }

    /// What was decided for the request of an answer.
    ///
    /// # Errors
    /// The answer names no request, or nothing was decided for it.
    pub fn decision(&self, headers: &HeaderMap) -> Result<DecisionState> {
        let id = headers.get("x-request-id").context("no x-request-id")?.to_str()?;
        let decision = self.running.gateway.decisions().find(&RequestId::parse(id)?);
        Ok(decision.with_context(|| format!("no decision of {id}"))?.snapshot())
    }

    /// The metrics now.
    ///
    /// # Errors
    /// They are not served, or not readable.
    pub async fn metrics(&self) -> Result<Metrics> {
        Metrics::read(&self.http.get(format!("{}/metrics", self.url)).send().await?.text().await?)
    }

    /// A further handle on this gateway's database.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn store(&self) -> Result<Store> {
        let keys = KeyRing::load_or_create(&self.settings.key_file())?;
        Ok(gateway_store::open(&self.settings.database, keys, &StoreOptions::default()).await?)
    }

    /// The settlements of the ledger, the newest first, once there are this many.
    ///
    /// # Errors
    /// They are not written in time.
    pub async fn settlements(&self, count: usize) -> Result<Vec<SettlementRecord>> {
        let store = self.store().await?;
        let ledger = store.ledger();
        let written = eventually("the settlements are in the ledger", async || {
            let newest = ledger.newest(10_000).await?;
            Ok((newest.len() >= count).then_some(newest))
        })
        .await;
        store.close().await;
        written
    }

    /// A second gateway on the same database and lab.
    ///
    /// # Errors
    /// It does not start.
    pub async fn another(&self) -> Result<Running> {
        run(&self.lab, &self.settings).await
    }

    /// Ends the gateway and starts it again on what it stored. The lab goes on.
    ///
    /// # Errors
    /// Something was left over, or it does not start again.
    pub async fn restarted(self) -> Result<Self> {
        let Self { lab, running, http, settings, folder, lab_stop, .. } = self;
        stop_and_check(running).await?;
        let running = run(&lab, &settings).await?;
        let url = format!("http://{}", running.address);
        Ok(Self { lab, running, url, http, settings, folder, lab_stop })
    }

    /// The folder of this gateway.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Ends the gateway, then the lab.
    ///
    /// # Errors
    /// A lease or a request was left over.
    pub async fn stop(self) -> Result<()> {
        let checked = stop_and_check(self.running).await;
        self.lab_stop.cancel();
        self.lab.stopped().await;
        checked
    }
}

async fn run(lab: &Lab, settings: &Settings) -> Result<Running> {
    let listener = TcpListener::bind(settings.listen).await?;
    let clock = Arc::new(SharedClock(lab.clock().clone()));
    Ok(gateway_app::start(settings, listener, clock, Refreshing::InProcess).await?)
}

async fn stop_and_check(running: Running) -> Result<()> {
    let gateway = running.gateway.clone();
    running.stop().await;
    let leases = gateway.with_pool(gateway_scheduler::Pool::in_flight);
    let requests = gateway.with_traffic(|traffic| traffic.in_flight);
    ensure!(leases == 0, "{leases} leases were never given back");
    ensure!(requests == 0, "{requests} requests were never settled");
    Ok(())
}
