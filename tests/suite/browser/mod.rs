//! The dashboard in headless Chromium, against the real binary.
//!
//! Every test has its own gateway and its own browser, and ends by looking at the browser's console: an error or a
//! violation of the content security policy fails it, whatever it was about.

mod account_list;
mod account_settings;
mod accounts;
mod appearance;
mod chromium;
mod connection;
mod decisions;
mod imports;
mod key_accounts;
mod keyboard;
mod keys;
mod lab_site;
mod overview;
mod page;
mod pool_tour;
mod proxies;
mod sign_in;
mod sign_ins;
mod tour;

use anyhow::{Result, ensure};
use page::Page;
use serde_json::{Value, json};
use switchyard_tests::{Answer, PASSWORD, Spawned};
use tempfile::TempDir;

/// A gateway with the demo's accounts, and a browser before it.
struct Site {
    gateway: Spawned,
    page: Page,
    http: reqwest::Client,
    folder: TempDir,
}

impl Site {
    /// Starts both; nobody was here before.
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let gateway = Spawned::serve(&folder.path().join("data"), &["--demo"], &[])?;
        let page = Page::open(&gateway.url).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { gateway, page, http, folder })
    }

    /// The same, with the password set and the overview shown.
    async fn signed_in() -> Result<Self> {
        let site = Self::new().await?;
        site.page.set_up(PASSWORD).await?;
        site.page.see("h1", "Overview").await?;
        Ok(site)
    }

    /// Sends a turn as a client does.
    async fn turn(&self, body: &Value, key: Option<&str>) -> Result<Answer> {
        let request = self.http.post(format!("{}/v1/responses", self.gateway.url));
        let request = key.into_iter().fold(request, |request, key| request.bearer_auth(key));
        let request = request.header("content-type", "application/json").body(body.to_string());
        Answer::read(request.send().await?).await
    }

    /// Sends a turn that is answered, and says under which request id.
    async fn served(&self, text: &str) -> Result<String> {
        let answer = self.turn(&json!({ "model": "gpt-5.5", "input": text, "stream": true }), None).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        ensure!(answer.text().contains("response.completed"), "no whole answer: {}", answer.text());
        Ok(answer.header("x-request-id").unwrap_or_default().to_owned())
    }

    /// Ends both. `expected` are parts of console messages that this test brought about on purpose.
    async fn finish(self, expected: &[&str]) -> Result<()> {
        self.page.close(expected).await
    }
}
