//! A dashboard before a lab that the test holds: it can sign people in, refuse them, and answer for keys. The pool
//! begins empty, or with as many of the lab's accounts as asked for.

use anyhow::{Context, Result, ensure};
use gateway_lab::{Lab, LabAccount, LabClock, LabConfig, OPENAI_KEY};
use reqwest::Method;
use serde_json::{Value, json};
use switchyard_tests::{Admin, PASSWORD, Spawned};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::page::Page;

/// A lab, the real binary in front of it, and a browser that is signed in.
pub(super) struct LabSite {
    pub(super) lab: Lab,
    pub(super) gateway: Spawned,
    pub(super) page: Page,
    pub(super) admin: Admin,
    pub(super) http: reqwest::Client,
    pub(super) folder: TempDir,
    stop: CancellationToken,
}

impl LabSite {
    /// With this many accounts in the pool; the lab has three.
    pub(super) async fn start(imported: usize) -> Result<Self> {
        let stop = CancellationToken::new();
        let names = [("ada", "plus"), ("grace", "pro"), ("edsger", "team")];
        let accounts = names.map(|(name, plan)| LabAccount::new(name, plan)).to_vec();
        let lab = Lab::start_local(LabConfig::new(accounts, LabClock::real()), stop.clone()).await?;
        let folder = tempfile::tempdir()?;
        let (chatgpt, issuer, openai) = (lab.backend_url(), lab.base_url().to_owned(), lab.openai_url());
        let environment = [
            ("SWITCHYARD_UPSTREAM__CHATGPT_URL", &*chatgpt),
            ("SWITCHYARD_UPSTREAM__OAUTH_URL", &*issuer),
            ("SWITCHYARD_UPSTREAM__OPENAI_URL", &*openai),
            // Tests run beside each other, and beside a Codex CLI that signs in.
            ("SWITCHYARD_SIGN_IN__CALLBACK_PORT", "0"),
        ];
        let gateway = Spawned::serve(&folder.path().join("data"), &[], &environment)?;
        let http =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let admin = Admin::set_up(&http, &gateway.url).await?;
        let page = Page::open(&gateway.url).await?;
        let site = Self { lab, gateway, page, admin, http, folder, stop };
        for account in 0..imported {
            site.import(account).await?;
        }
        site.page.sign_in(PASSWORD).await?;
        site.page.see("h1", "Overview").await?;
        Ok(site)
    }

    /// Puts one of the lab's accounts into the pool; its id.
    pub(super) async fn import(&self, account: usize) -> Result<String> {
        let auth = self.lab.issue_auth_json(account).context("the lab has no such account")?;
        let added = self.call(Method::POST, "/accounts", &json!({ "auth_json": auth.to_string() })).await?;
        Ok(added["account"]["id"].as_str().context("no id")?.to_owned())
    }

    /// Adds an account that is opened by the lab's key; its id.
    pub(super) async fn add_key(&self, name: &str, settings: &Value) -> Result<String> {
        let body = json!({ "kind": "openai", "name": name, "key": OPENAI_KEY, "settings": settings });
        let added = self.call(Method::POST, "/accounts/keys", &body).await?;
        Ok(added["account"]["id"].as_str().context("no id")?.to_owned())
    }

    /// Calls the admin API; it must work.
    pub(super) async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let answer = self.admin.call(method, path, Some(body)).await?;
        ensure!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        Ok(answer.json())
    }

    /// The pool, as the admin API tells it.
    pub(super) async fn accounts(&self) -> Result<Vec<Value>> {
        self.admin.get("/accounts").await?.as_array().cloned().context("no list")
    }

    /// Where the issuer sends a browser that opens this address.
    pub(super) async fn sent_to(&self, url: &str) -> Result<String> {
        let answer = self.http.get(url).send().await?;
        let to = answer.headers().get("location").context("the issuer sends nobody anywhere")?;
        Ok(to.to_str()?.to_owned())
    }

    /// Ends all of it. `expected` are parts of console messages that this test brought about on purpose.
    pub(super) async fn finish(self, expected: &[&str]) -> Result<()> {
        let Self { page, lab, stop, gateway, .. } = self;
        page.close(expected).await?;
        drop(gateway);
        stop.cancel();
        lab.stopped().await;
        Ok(())
    }
}
