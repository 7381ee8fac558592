//! Signing people in: the browser flow (OAuth with PKCE) and the device flow, from the first click to a stored account.
//!
//! Flows live in memory: they survive a page reload, not a restart, and end by themselves. A flow for an account that
//! is known only accepts the same seat. Verifiers and codes never leave this file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_domain::{
    Account, AccountId, AccountIdentity, AccountKind, AccountSettings, RequestId, Secret, Timestamp,
};
use gateway_protocol::codex::auth::{AuthError, SignIn, read_tokens};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{AccountError, check_name};
use crate::ports::{
    AccountStore, Clock, DeviceAnswer, DeviceCode, Imported, IssuedTokens, NewAccount, SignInError,
    SignInIssuer, StoreError,
};

/// A browser flow nobody finished ends after this long.
pub const FLOW_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// Flows that may run at once.
pub const MAX_RUNNING: usize = 16;
/// Ended flows that are still shown.
pub const MAX_ENDED: usize = 16;
/// The longest text taken as a callback address.
pub const MAX_CALLBACK_BYTES: usize = 16 * 1024;
/// The least time between two questions to the issuer.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);
/// What is added to it each time the issuer says that it is asked too often.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// How somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// In the browser, which comes back to this machine.
    Browser,
    /// With a code typed on any device.
    Device,
}

/// Where a flow stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The person has to go there, and to type the code if there is one.
    Waiting {
        /// What to open.
        url: String,
        /// What to type there.
        user_code: Option<String>,
    },
    /// The tokens are being fetched.
    Exchanging,
    /// Signed in.
    Done {
        /// The account.
        account: AccountId,
        /// Its name.
        name: String,
        /// Whether it was known before.
        renewed: bool,
    },
    /// It did not work.
    Failed {
        /// Why, for people.
        why: String,
    },
    /// The operator called it off.
    Cancelled,
    /// Nobody finished it in time.
    Expired,
}

impl Stage {
    const fn is_running(&self) -> bool {
        matches!(self, Self::Waiting { .. } | Self::Exchanging)
    }
}

/// One flow, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Its handle.
    pub id: String,
    /// How.
    pub method: Method,
    /// The account that is signed in again, if one was named.
    pub account: Option<AccountId>,
    /// Where it stands.
    pub stage: Stage,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// What to call a new account; its e-mail address otherwise.
    pub name: Option<String>,
    /// The known account that is to be signed in again.
    pub account: Option<AccountId>,
}

/// Why a flow could not begin or go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// There is none with this handle or state, or it has ended.
    #[error("this sign-in is not running any more; start it again")]
    NotRunning,
    /// Too many at once.
    #[error("{MAX_RUNNING} sign-ins are running already; finish or cancel one")]
    TooMany,
    /// The text is no callback address.
    #[error("this is not the address the browser ended on: it must contain `code=` and `state=`")]
    NoCallback,
    /// The issuer did not play along.
    #[error(transparent)]
    Issuer(#[from] SignInError),
    /// The browser came back with a refusal.
    #[error("the sign-in was refused ({0})")]
    Refused(String),
    /// What came is not a usable sign-in.
    #[error(transparent)]
    Tokens(#[from] AuthError),
    /// Somebody else signed in.
    #[error("this is another person's sign-in: sign in as {expected}, or add it as a new account")]
    OtherSeat {
        /// The account's name.
        expected: String,
    },
    /// The name cannot be used.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<StoreError> for FlowError {
    fn from(error: StoreError) -> Self {
        Self::Account(AccountError::Store(error))
    }
}

struct Running {
    shown: Flow,
    wish: Wish,
    proof: Option<Proof>,
}

/// What a browser flow must show when it comes back.
#[derive(Clone)]
struct Proof {
    state: String,
    verifier: Secret,
    redirect_uri: String,
}

/// All flows.
#[derive(Clone)]
pub struct SignIns {
    flows: Arc<Mutex<HashMap<String, Running>>>,
    issuer: Arc<dyn SignInIssuer>,
    store: Arc<dyn AccountStore>,
    clock: Arc<dyn Clock>,
    tracker: TaskTracker,
    stopping: CancellationToken,
}

impl SignIns {
    /// With nothing running.
    #[must_use]
    pub fn new(
        issuer: Arc<dyn SignInIssuer>,
        store: Arc<dyn AccountStore>,
        clock: Arc<dyn Clock>,
        tracker: TaskTracker,
        stopping: CancellationToken,
    ) -> Self {
        Self { flows: Arc::default(), issuer, store, clock, tracker, stopping }
    }

    /// Begins a browser flow that comes back to `redirect_uri`.
    ///
    /// # Errors
    /// Too many run, or the name is bad.
    pub fn begin_browser(&self, wish: Wish, redirect_uri: &str) -> Result<Flow, FlowError> {
        check_wish(&wish)?;
        let (state, verifier) = (random_text::<16>(), random_text::<32>());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let url = self.issuer.authorize_url(&state, &challenge, redirect_uri);
        let proof = Proof { state, verifier: Secret::new(verifier), redirect_uri: redirect_uri.to_owned() };
        let stage = Stage::Waiting { url, user_code: None };
        self.open(Method::Browser, wish, stage, FLOW_LIFETIME, Some(proof))
    }

    /// Begins a device flow, and asks the issuer from now on whether it was confirmed.
    ///
    /// # Errors
    /// Too many run, the name is bad, or the issuer does not offer it.
    pub async fn begin_device(&self, wish: Wish) -> Result<Flow, FlowError> {
        check_wish(&wish)?;
        let code = self.issuer.begin_device().await?;
        let stage =
            Stage::Waiting { url: code.verification_url.clone(), user_code: Some(code.user_code.clone()) };
        let flow = self.open(Method::Device, wish, stage, code.expires_in, None)?;
        let (flows, id) = (self.clone(), flow.id.clone());
        self.tracker.spawn(async move { flows.watch_device(&id, code).await });
        Ok(flow)
    }

    fn open(
        &self,
        method: Method,
        wish: Wish,
        stage: Stage,
        lifetime: Duration,
        proof: Option<Proof>,
    ) -> Result<Flow, FlowError> {
        let now = self.clock.now();
        let mut flows = self.flows.lock();
        tidy(&mut flows, now);
        if flows.values().filter(|flow| flow.shown.stage.is_running()).count() >= MAX_RUNNING {
            return Err(FlowError::TooMany);
        }
        let shown = Flow {
            id: RequestId::generate().as_str().replace("req_", "flow_"),
            method,
            account: wish.account.clone(),
            stage,
            begun_at: now,
            expires_at: now.plus(lifetime),
        };
        flows.insert(shown.id.clone(), Running { shown: shown.clone(), wish, proof });
        Ok(shown)
    }

    /// All flows, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<Flow> {
        let mut flows = self.flows.lock();
        tidy(&mut flows, self.clock.now());
        let mut shown: Vec<Flow> = flows.values().map(|flow| flow.shown.clone()).collect();
        shown.sort_by(|a, b| b.id.cmp(&a.id));
        shown
    }

    /// One flow.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Flow> {
        self.list().into_iter().find(|flow| flow.id == id)
    }

    /// Calls a running flow off.
    ///
    /// # Errors
    /// It is not running.
    pub fn cancel(&self, id: &str) -> Result<Flow, FlowError> {
        self.advance(id, Stage::Cancelled).ok_or(FlowError::NotRunning)
    }

    /// The browser came back, or somebody pasted the address on which it ended: `text` is that address or its query.
    ///
    /// # Errors
    /// It belongs to no running flow, tells a refusal, or the tokens are not to be had; the flow then says so too.
    pub async fn come_back(&self, text: &str) -> Result<Flow, FlowError> {
        let callback = Callback::read(text).ok_or(FlowError::NoCallback)?;
        let (id, proof) = self.proven(&callback.state)?;
        let exchanged = match callback.answer {
            Ok(code) => {
                self.advance(&id, Stage::Exchanging);
                let Proof { verifier, redirect_uri, .. } = proof;
                self.issuer.exchange(code, verifier, redirect_uri).await.map_err(FlowError::from)
            }
            Err(refusal) => Err(FlowError::Refused(refusal)),
        };
        self.finish(&id, exchanged).await
    }

    /// The flow that this state belongs to. A state is good once.
    fn proven(&self, state: &str) -> Result<(String, Proof), FlowError> {
        let now = self.clock.now();
        let mut flows = self.flows.lock();
        tidy(&mut flows, now);
        flows
            .iter_mut()
            .filter(|(_, flow)| flow.shown.stage.is_running())
            .find(|(_, flow)| flow.proof.as_ref().is_some_and(|proof| proof.state == state))
            .and_then(|(id, flow)| Some((id.clone(), flow.proof.take()?)))
            .ok_or(FlowError::NotRunning)
    }

    async fn watch_device(&self, id: &str, code: DeviceCode) {
        let mut pause = code.interval.max(LEAST_INTERVAL);
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // Nobody can finish it any more, and going down waits for its tasks.
                () = self.stopping.cancelled() => return,
            }
            if !self.find(id).is_some_and(|flow| flow.stage.is_running()) {
                return;
            }
            let exchanged = match self.issuer.poll_device(code.clone()).await {
                Ok(DeviceAnswer::Pending) => continue,
                Ok(DeviceAnswer::SlowDown) => {
                    pause += SLOW_DOWN;
                    continue;
                }
                // A passing failure of one question is no reason to give a person's effort up.
                Err(SignInError::Passing(_)) => continue,
                Ok(DeviceAnswer::Tokens(tokens)) => Ok(tokens),
                Ok(DeviceAnswer::Code { code, verifier, redirect_uri }) => {
                    self.advance(id, Stage::Exchanging);
                    self.issuer.exchange(code, verifier, redirect_uri).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = self.finish(id, exchanged.map_err(FlowError::from)).await {
                tracing::info!(%error, "a device sign-in failed");
            }
            return;
        }
    }

    /// Stores what was fetched and ends the flow, whichever way.
    async fn finish(&self, id: &str, exchanged: Result<IssuedTokens, FlowError>) -> Result<Flow, FlowError> {
        let wish = self.flows.lock().get(id).map(|flow| flow.wish.clone()).ok_or(FlowError::NotRunning)?;
        let stored = match exchanged {
            Ok(tokens) => self.store_tokens(&wish, tokens).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok((account, renewed)) => {
                tracing::info!(account.id = %account.id, renewed, "signed in");
                let done = Stage::Done { account: account.id, name: account.name, renewed };
                self.advance(id, done).ok_or(FlowError::NotRunning)
            }
            Err(error) => {
                self.advance(id, Stage::Failed { why: error.to_string() });
                Err(error)
            }
        }
    }

    async fn store_tokens(&self, wish: &Wish, tokens: IssuedTokens) -> Result<(Account, bool), FlowError> {
        let now = self.clock.now();
        let expires_in = tokens.expires_in;
        let mut sign_in = read_tokens(tokens.access_token, tokens.refresh_token, tokens.id_token, now)?;
        let stated = expires_in.map(|secs| now.plus(Duration::from_secs(secs)));
        sign_in.credentials.expires_at = sign_in.credentials.expires_at.or(stated);
        let SignIn { identity, plan, credentials, .. } = sign_in;
        if let Some(account) = &wish.account {
            self.same_seat(account, &identity).await?;
        }
        let fallback = identity.email.clone().unwrap_or_else(|| "account".to_owned());
        let name = match &wish.name {
            Some(name) => check_name(name)?.to_owned(),
            None => check_name(&fallback).unwrap_or("account").to_owned(),
        };
        let account = NewAccount {
            id: AccountId::generate(),
            kind: AccountKind::Codex,
            name,
            identity,
            plan,
            settings: AccountSettings::default(),
            created_at: now,
        };
        Ok(match self.store.import(account, credentials).await? {
            Imported::Added(account) => (account, false),
            Imported::Updated(account) => (account, true),
        })
    }

    /// A sign-in for a known account must not quietly become somebody else's.
    async fn same_seat(&self, id: &AccountId, identity: &AccountIdentity) -> Result<(), FlowError> {
        let known = self.store.list().await?.into_iter().find(|one| one.account.id == *id);
        let known = known.ok_or(StoreError::NotFound { what: "the account" })?.account;
        if known.identity.seat() == identity.seat() {
            return Ok(());
        }
        Err(FlowError::OtherSeat { expected: known.name })
    }

    /// Moves a running flow on.
    fn advance(&self, id: &str, stage: Stage) -> Option<Flow> {
        let mut flows = self.flows.lock();
        let flow = flows.get_mut(id).filter(|flow| flow.shown.stage.is_running())?;
        flow.shown.stage = stage;
        Some(flow.shown.clone())
    }
}

/// Ends what is over and forgets the oldest ended ones.
fn tidy(flows: &mut HashMap<String, Running>, now: Timestamp) {
    for flow in flows.values_mut() {
        if flow.shown.stage.is_running() && flow.shown.expires_at <= now {
            flow.shown.stage = Stage::Expired;
        }
    }
    let mut ended: Vec<String> =
        flows.iter().filter(|(_, flow)| !flow.shown.stage.is_running()).map(|(id, _)| id.clone()).collect();
    ended.sort();
    let surplus = ended.len().saturating_sub(MAX_ENDED);
    for id in ended.into_iter().take(surplus) {
        flows.remove(&id);
    }
}

fn check_wish(wish: &Wish) -> Result<(), FlowError> {
    if let Some(name) = &wish.name {
        check_name(name)?;
    }
    Ok(())
}

/// Random bytes as text that may stand in an address.
fn random_text<const N: usize>() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; N]>())
}

/// What the browser brought back.
struct Callback {
    state: String,
    answer: Result<Secret, String>,
}

impl Callback {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > MAX_CALLBACK_BYTES {
            return None;
        }
        let query = text.split_once('?').map_or(text, |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        let value = |wanted: &str| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| unescaped(value))
        };
        let state = value("state")?;
        let answer = match (value("code"), value("error")) {
            (Some(code), _) => Ok(Secret::new(code)),
            (None, Some(error)) => Err(error.chars().filter(|c| !c.is_control()).take(100).collect()),
            (None, None) => return None,
        };
        Some(Self { state, answer })
    }
}

/// Undoes `%xx` and `+`.
fn unescaped(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let value = escaped
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = match value {
            Some(value) => {
                out.push(value);
                after.get(2..).unwrap_or_default()
            }
            None => {
                out.push(if *first == b'+' { b' ' } else { *first });
                after
            }
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_are_read_from_an_address_or_a_query() {
        for (text, state, answer) in [
            ("http://localhost:1455/auth/callback?code=c1&state=s1", "s1", Ok("c1")),
            ("  code=c%2B1&state=s%201&scope=x  ", "s 1", Ok("c+1")),
            ("https://h/x?state=s&error=access_denied&error_description=no", "s", Err("access_denied")),
            ("?state=s&code=%zz%", "s", Ok("%zz%")),
        ] {
            let callback = Callback::read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(callback.state, state, "{text}");
            let got = callback.answer.as_ref().map(|code| code.expose().as_str()).map_err(String::as_str);
            assert_eq!(got, answer, "{text}");
        }
        for text in ["", "https://example.test/", "code=1", "state=1", "http://x/?state=1&coder=2"] {
            assert!(Callback::read(text).is_none(), "{text}");
        }
        assert!(Callback::read(&format!("state=1&code={}", "x".repeat(MAX_CALLBACK_BYTES))).is_none());
    }
}
