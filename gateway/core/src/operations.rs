//! What an operator does with accounts besides importing and removing them: keys, settings, tests, refreshes, cooldowns,
//! the pin, and the proxies they leave through.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gateway_domain::{
    Account, AccountId, AccountIdentity, AccountKind, AccountSettings, Credentials, EgressProxy, Failure,
    ModelName, ProxyId, Secret,
};
use gateway_scheduler::{AccountRef, Pool};

use crate::Gateway;
use crate::account_settings::{self, BadSetting};
use crate::accounts::{AccountError, check_name};
use crate::keeper::NoToken;
use crate::ports::{Imported, NewAccount, StoreError};

/// The setting that holds the id of the pinned account.
pub const PINNED_SETTING: &str = "pinned-account";
/// The longest key taken, in bytes.
pub const MAX_KEY_BYTES: usize = 16 * 1024;

/// An account that is opened by a key.
#[derive(Debug, Clone)]
pub struct KeyAccount {
    /// What it opens.
    pub kind: AccountKind,
    /// What to call it.
    pub name: String,
    /// The key; empty for a server that takes none.
    pub key: Secret,
    /// What the operator decided about it; its address among them.
    pub settings: AccountSettings,
}

/// What a connection test found.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// From asking to the answer.
    pub latency: Duration,
    /// The models it lists.
    pub models: Vec<String>,
    /// The dialects it speaks.
    pub dialects: Vec<gateway_domain::Dialect>,
}

/// Why an operation was not carried out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OperationError {
    /// A setting cannot be taken.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// The account, or its name.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// There are no good tokens.
    #[error("{0}")]
    NoToken(String),
    /// Its proxy is off or gone.
    #[error("its egress proxy is off or gone; choose another way out")]
    NoWay,
    /// The upstream refused or was not reached.
    #[error("{0}")]
    Upstream(Failure),
    /// The proxy did not work.
    #[error("the proxy did not work: {0}")]
    Proxy(String),
    /// Only ChatGPT accounts have reset credits.
    #[error("only ChatGPT accounts have reset credits")]
    NoResetCredits,
    /// Two at once would spend two credits.
    #[error("a reset credit of this account is being redeemed; look again in a moment")]
    RedeemRuns,
    /// An account that is opened by a key has nothing to refresh.
    #[error("this account is opened by a key; there is nothing to refresh")]
    NothingToRefresh,
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        Self::Account(AccountError::Store(error))
    }
}

fn gone() -> OperationError {
    StoreError::NotFound { what: "the account" }.into()
}

impl Gateway {
    /// Adds an account that is opened by a key, and lets it serve at once.
    ///
    /// # Errors
    /// A field cannot be taken, or storage refused.
    pub async fn add_key_account(&self, wanted: KeyAccount) -> Result<Account, OperationError> {
        let KeyAccount { kind, name, key, settings } = wanted;
        let name = check_name(&name)?.to_owned();
        account_settings::check(kind, &settings)?;
        check_key(kind, &key)?;
        let now = self.now();
        let account = NewAccount {
            id: AccountId::generate(),
            kind,
            name,
            identity: AccountIdentity::default(),
            plan: None,
            settings,
            created_at: now,
        };
        let credentials = Credentials {
            access_token: key,
            refresh_token: None,
            id_token: None,
            expires_at: None,
            refreshed_at: now,
        };
        let (Imported::Added(account) | Imported::Updated(account)) =
            self.accounts.import(account, credentials).await?;
        self.sync_accounts().await?;
        Ok(account)
    }

    /// Replaces what was decided about an account.
    ///
    /// # Errors
    /// A field cannot be taken, there is no such account, or storage refused.
    pub async fn put_account_settings(
        &self,
        id: &AccountId,
        settings: AccountSettings,
    ) -> Result<(), OperationError> {
        let kind = self.accounts().get(id).map(|account| account.kind).ok_or_else(gone)?;
        account_settings::check(kind, &settings)?;
        self.accounts.put_settings(id, settings).await?;
        Ok(self.sync_accounts().await?)
    }

    /// Rotates an account's tokens now.
    ///
    /// # Errors
    /// It has nothing to rotate, or the issuer did not play along.
    pub async fn refresh_account(&self, id: &AccountId) -> Result<(), OperationError> {
        let kind = self.accounts().get(id).map(|account| account.kind).ok_or_else(gone)?;
        if kind != AccountKind::Codex {
            return Err(OperationError::NothingToRefresh);
        }
        let known = self.keeper.peek(id).ok_or_else(gone)?;
        let renewed = self.keeper.renew(id, known.version).await;
        if let Err(NoToken::SignInNeeded { code }) = &renewed {
            self.sign_in_needed(id, code);
        }
        renewed.map(drop).map_err(|error| OperationError::NoToken(error.to_string()))
    }

    /// Looks at an account's upstream without spending anything. What it finds counts: a good answer ends cooldowns, and
    /// the dialects of a server that were not known are remembered.
    ///
    /// # Errors
    /// There is no way, no token, or the upstream refused.
    pub async fn test_account(&self, id: &AccountId) -> Result<Tested, OperationError> {
        let inspected = self.look_at_account(id).await;
        let result = match &inspected {
            Ok(_) => Some(Ok(None)),
            Err(OperationError::Upstream(failure)) => Some(Err(failure)),
            // Nothing was asked: that says nothing about the account's upstream.
            Err(_) => None,
        };
        // A test concerns the account, whatever model its next request wants.
        if let (Some(result), Some(known), Ok(model)) =
            (result, self.handle(id), ModelName::parse("connection-test"))
        {
            let now = self.now();
            self.pool.lock().tested(known, result, &model, now);
            self.touch();
        }
        let inspected = inspected?;
        Ok(Tested {
            latency: inspected.latency,
            models: inspected.models,
            dialects: inspected.dialects.into_iter().collect(),
        })
    }

    fn handle(&self, id: &AccountId) -> Option<AccountRef> {
        self.with_pool(|pool| pool.find(id))
    }

    /// Ends an account's cooldowns; whatever they were about may come back with the next request.
    ///
    /// # Errors
    /// There is no such account.
    pub fn clear_cooldowns(&self, id: &AccountId) -> Result<(), OperationError> {
        let account = self.handle(id).ok_or_else(gone)?;
        let now = self.now();
        self.pool.lock().clear_cooldown(account, now);
        self.touch();
        Ok(())
    }

    /// Lets one account serve everything that it can, or none again.
    ///
    /// # Errors
    /// There is no such account, or storage refused.
    pub async fn pin(&self, id: Option<&AccountId>) -> Result<(), OperationError> {
        let account = match id {
            Some(id) => Some(self.handle(id).ok_or_else(gone)?),
            None => None,
        };
        let stored = id.map_or_else(String::new, ToString::to_string);
        self.settings.put_setting(PINNED_SETTING, Secret::new(stored)).await?;
        self.pins.fetch_add(1, Ordering::Relaxed);
        pin_alone(&mut self.pool.lock(), account);
        self.touch();
        Ok(())
    }

    /// Brings the pin in step with the store.
    ///
    /// # Errors
    /// Storage refused.
    pub async fn sync_pin(&self) -> Result<(), StoreError> {
        let before = self.pins.load(Ordering::Relaxed);
        let stored = self.settings.setting(PINNED_SETTING).await?;
        let id = stored.and_then(|id| AccountId::parse(id.expose()).ok());
        let mut pool = self.pool.lock();
        // Pinned meanwhile: what was read is older.
        if self.pins.load(Ordering::Relaxed) != before {
            return Ok(());
        }
        let account = id.and_then(|id| pool.find(&id));
        let changed = pin_alone(&mut pool, account);
        drop(pool);
        if changed {
            self.touch();
        }
        Ok(())
    }

    /// Adds an egress proxy, or replaces the one with its id.
    ///
    /// # Errors
    /// A field cannot be taken, or storage refused.
    pub async fn put_egress_proxy(&self, proxy: EgressProxy) -> Result<(), OperationError> {
        check_name(&proxy.name)?;
        check_proxy_url(&proxy.url)?;
        self.proxies.put_proxy(proxy).await?;
        Ok(self.sync_accounts().await?)
    }

    /// Removes an egress proxy. Accounts that leave through it are skipped until they are given another way.
    ///
    /// # Errors
    /// There is no such proxy, or storage refused.
    pub async fn delete_egress_proxy(&self, id: &ProxyId) -> Result<(), OperationError> {
        self.proxies.delete_proxy(id).await?;
        Ok(self.sync_accounts().await?)
    }

    /// Tries an egress proxy: how long a connection through it to the upstream takes.
    ///
    /// # Errors
    /// There is no such proxy, or it did not work.
    pub async fn probe_egress_proxy(&self, id: &ProxyId) -> Result<Duration, OperationError> {
        let proxies: Arc<[EgressProxy]> = self.egress_proxies();
        let proxy = proxies.iter().find(|proxy| proxy.id == *id);
        let proxy = proxy.ok_or(StoreError::NotFound { what: "the proxy" })?;
        let found = self.proxy_probe.probe(proxy.url.clone()).await;
        self.proxy_probed(id, found.clone());
        found.map_err(OperationError::Proxy)
    }
}

/// At most one account is pinned. Says whether that changed anything.
fn pin_alone(pool: &mut Pool, account: Option<AccountRef>) -> bool {
    let pinned: Vec<AccountRef> =
        pool.members().filter(|slot| slot.settings.pinned).map(|slot| slot.profile.account).collect();
    if pinned == account.as_slice() {
        return false;
    }
    for other in pinned.into_iter().filter(|other| Some(*other) != account) {
        pool.pin(other, false);
    }
    if let Some(account) = account {
        pool.pin(account, true);
    }
    true
}

fn check_key(kind: AccountKind, key: &Secret) -> Result<(), BadSetting> {
    let refused = |why: &str| Err(BadSetting { field: "key", why: why.to_owned() });
    let text = key.expose();
    match kind {
        AccountKind::Codex => {
            return refused("ChatGPT accounts are signed in or imported, not opened by a key");
        }
        AccountKind::OpenAi | AccountKind::Anthropic if text.is_empty() => return refused("a key is needed"),
        _ => {}
    }
    if text.len() > MAX_KEY_BYTES || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refused("a key has no spaces or line breaks; paste it alone");
    }
    Ok(())
}

fn check_proxy_url(url: &Secret) -> Result<(), BadSetting> {
    let text = url.expose();
    let schemes = ["http://", "https://", "socks5://", "socks5h://"];
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let good = rest.is_some_and(|rest| !rest.is_empty())
        && text.len() <= account_settings::MAX_URL_BYTES
        && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if good {
        return Ok(());
    }
    // The address is not quoted: it may hold a password.
    let why = "a proxy's address begins with http://, https://, socks5:// or socks5h:// and names a host";
    Err(BadSetting { field: "url", why: why.to_owned() })
}
