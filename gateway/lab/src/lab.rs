//! The handle: start a lab, script it, move its clock, and look at what it saw.
//! Refuses to hold logic; every method hands on to the part that owns the matter.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::LabClock;
use crate::config::{LabAccount, LabConfig};
use crate::fault::{FaultRule, RuleId, RuleState};
use crate::log::RequestRecord;
use crate::quota::WindowView;
use crate::serve;
use crate::state::{AccountStats, Shared};
use crate::tokens::{Lifetime, TokenSet, TokenStats};

/// A running lab. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Lab(Arc<Shared>);

/// Starts a lab on this listener until the token is cancelled. Call it inside a Tokio runtime.
///
/// # Errors
/// When the listener cannot say where it listens.
pub fn start(config: LabConfig, listener: TcpListener, shutdown: CancellationToken) -> io::Result<Lab> {
    let lab = Lab::new(config);
    let address = listener.local_addr()?;
    let _ = lab.0.base_url.set(format!("http://{address}"));
    lab.0.tasks.spawn(serve::accept(lab.clone(), listener, shutdown));
    lab.0.tasks.close();
    Ok(lab)
}

impl Lab {
    /// A lab without a socket; [`crate::router`] is the way in.
    #[must_use]
    pub fn new(config: LabConfig) -> Self {
        Self(Arc::new(Shared::new(config)))
    }

    /// Starts a lab on a free local port that runs until the token is cancelled.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start_local(config: LabConfig, shutdown: CancellationToken) -> io::Result<Self> {
        start(config, TcpListener::bind("127.0.0.1:0").await?, shutdown)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    /// `http://127.0.0.1:PORT`: the issuer's URL, and the backend's is [`Lab::backend_url`]. Empty without a socket.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.0.base_url.get().map_or("", String::as_str)
    }

    /// The base URL of the backend, `…/backend-api`.
    #[must_use]
    pub fn backend_url(&self) -> String {
        format!("{}/backend-api", self.base_url())
    }

    /// The base URL of the OpenAI API, `…/v1`. The Anthropic API's is [`Lab::base_url`].
    #[must_use]
    pub fn openai_url(&self) -> String {
        format!("{}/v1", self.base_url())
    }

    /// Waits until every connection and the listener are gone; the cancellation has to come from outside.
    pub async fn stopped(&self) {
        self.0.tasks.wait().await;
    }

    /// The clock that tokens and windows follow.
    #[must_use]
    pub fn clock(&self) -> &LabClock {
        &self.0.config.clock
    }

    /// Pushes the clock forward.
    pub fn advance(&self, span: Duration) {
        self.clock().advance(span);
    }

    /// How the accounts were configured, in order.
    pub fn accounts(&self) -> impl Iterator<Item = &LabAccount> {
        self.0.accounts.iter().map(|account| &account.config)
    }

    // Tokens.

    /// Logs the account in and returns the tokens. `None` when there is no such account.
    #[must_use]
    pub fn login(&self, account: usize, lifetime: Lifetime) -> Option<TokenSet> {
        self.0.tokens.lock().login(account, lifetime, self.clock().now())
    }

    /// Logs the account in and returns a Codex `auth.json`. `None` when there is no such account.
    #[must_use]
    pub fn issue_auth_json(&self, account: usize) -> Option<Value> {
        self.issue_auth_json_living(account, Lifetime::Normal)
    }

    /// The same with an access token that lives shorter, or is dead already.
    #[must_use]
    pub fn issue_auth_json_living(&self, account: usize, lifetime: Lifetime) -> Option<Value> {
        let tokens = self.login(account, lifetime)?;
        let workspace = &self.0.accounts.get(account)?.config.workspace_id;
        Some(json!({
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": null,
            "tokens": {
                "id_token": tokens.id_token,
                "access_token": tokens.access_token,
                "refresh_token": tokens.refresh_token,
                "account_id": workspace,
            },
            "last_refresh": self.clock().rfc3339(),
        }))
    }

    /// What the issuer counted for the account.
    #[must_use]
    pub fn tokens(&self, account: usize) -> Option<TokenStats> {
        self.0.tokens.lock().stats(account)
    }

    /// From now on every access token of the account is answered `token_expired`.
    pub fn expire_access_tokens(&self, account: usize) {
        self.0.tokens.lock().expire_access(account);
    }

    /// From now on every refresh token of the account is answered `refresh_token_expired`.
    pub fn expire_refresh_tokens(&self, account: usize) {
        self.0.tokens.lock().expire_refresh(account);
    }

    /// Ends every session of the account: `token_invalidated`, `refresh_token_invalidated`.
    pub fn revoke(&self, account: usize) {
        self.0.tokens.lock().revoke_account(account);
    }

    // Sign-ins.

    /// Who sits at the browser from now on: `/oauth/authorize` signs in as this account.
    pub fn sign_in_as(&self, account: usize) {
        let mut sign_ins = self.0.sign_ins.lock();
        sign_ins.account = account;
        sign_ins.denies = false;
    }

    /// From now on the person at the browser refuses: `error=access_denied` goes back.
    pub fn deny_sign_ins(&self) {
        self.0.sign_ins.lock().denies = true;
    }

    /// The user codes of device sign-ins that nobody has decided on.
    #[must_use]
    pub fn waiting_devices(&self) -> Vec<String> {
        self.0.sign_ins.lock().waiting(self.clock().now())
    }

    /// Somebody types the user code and signs in as this account. Says whether the code was waiting.
    #[must_use]
    pub fn confirm_device(&self, user_code: &str, account: usize) -> bool {
        account < self.0.accounts.len()
            && self.0.sign_ins.lock().confirm_device(user_code, account, self.clock().now())
    }

    /// Somebody types the user code and refuses. Says whether the code was waiting.
    #[must_use]
    pub fn deny_device(&self, user_code: &str) -> bool {
        self.0.sign_ins.lock().deny_device(user_code, self.clock().now())
    }

    // Windows.

    /// The windows of the account now, primary first.
    #[must_use]
    pub fn windows(&self, account: usize) -> Vec<WindowView> {
        let now = self.clock().now();
        self.0.live(account, |live| live.quota.view(now)).unwrap_or_default()
    }

    /// Sets how full a window is (0 primary, 1 secondary).
    pub fn set_window(&self, account: usize, window: usize, used_percent: f64) {
        let now = self.clock().now();
        self.0.live(account, |live| live.quota.set_used(window, used_percent, now));
    }

    // Faults.

    /// Adds a rule; earlier rules go first.
    pub fn script(&self, rule: FaultRule) -> RuleId {
        self.0.faults.add(rule)
    }

    /// How often a rule's fault has happened.
    #[must_use]
    pub fn fired(&self, rule: RuleId) -> u32 {
        self.rules().iter().find(|state| state.id == rule).map_or(0, |state| state.fired)
    }

    /// All rules and what became of them.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleState> {
        self.0.faults.states()
    }

    /// Takes a rule back.
    pub fn unscript(&self, rule: RuleId) {
        self.0.faults.remove(rule);
    }

    /// Takes all rules back.
    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    // What happened.

    /// The requests still in the log, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.0.log.all()
    }

    /// Empties the log.
    pub fn clear_requests(&self) {
        self.0.log.clear();
    }

    /// What the account went through.
    #[must_use]
    pub fn stats(&self, account: usize) -> Option<AccountStats> {
        self.0.live(account, |live| live.stats)
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections_accepted(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// Connections open now.
    #[must_use]
    pub fn connections_open(&self) -> usize {
        // The accept loop is one of the tasks.
        self.0.tasks.len().saturating_sub(1)
    }
}
