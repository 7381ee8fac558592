//! What an operator does to accounts, and keeping the pool in step with the store (which the CLI and other processes
//! also write).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use gateway_domain::{
    Account, AccountId, AccountSettings, AccountState, ClientKeyId, CredentialVersion, EgressProxy, KeyScope,
};
use gateway_protocol::codex::auth::{AuthError, SignIn, read_auth_json};
use gateway_scheduler::{Availability, Enrolment, Member, MemberSettings};

use crate::account_settings::{BadSetting, words};
use crate::destinations::{destinations, way};
use crate::ports::{AccountStore, ClientKey, Clock, Imported, NewAccount, StoreError, StoredAccount, Way};
use crate::{Gateway, Keys, KnownKey};

/// The longest account name or key label, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// The most accounts that a client key names; more belong into a group.
pub const MAX_SCOPE_ACCOUNTS: usize = 64;

/// Why an operator's wish was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The text given is no sign-in.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The name cannot be used.
    #[error("a name has 1 to {MAX_NAME_CHARS} characters and no control characters")]
    BadName,
    /// Storage refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a key was not given a part of the pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Too many are named, or a group's name cannot be one.
    #[error(transparent)]
    Bad(#[from] BadSetting),
    /// Storage refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks the part of the pool that a key may use. Groups and accounts that are not there yet may be named.
///
/// # Errors
/// What is wrong with it.
pub fn check_scope(scope: &KeyScope) -> Result<(), BadSetting> {
    words("groups", scope.groups.iter())?;
    if scope.accounts.len() > MAX_SCOPE_ACCOUNTS {
        let why = format!("at most {MAX_SCOPE_ACCOUNTS} accounts can be named; give them a group instead");
        return Err(BadSetting { field: "accounts", why });
    }
    Ok(())
}

/// Checks a name for an account or a key.
///
/// # Errors
/// It is empty, too long, or holds control characters.
pub fn check_name(name: &str) -> Result<&str, AccountError> {
    let name = name.trim();
    let good =
        !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.chars().any(char::is_control);
    if good { Ok(name) } else { Err(AccountError::BadName) }
}

/// Imports the text of an `auth.json` into a store. The CLI uses this too, with no gateway running.
///
/// # Errors
/// The text is no sign-in, the name is bad, or storage refused.
pub async fn import_auth_json(
    store: &dyn AccountStore,
    clock: &dyn Clock,
    text: &str,
    name: Option<&str>,
) -> Result<Imported, AccountError> {
    let SignIn { identity, plan, credentials, .. } = read_auth_json(text, clock.now())?;
    let fallback = identity.email.clone().unwrap_or_else(|| "account".to_owned());
    let name = match name {
        Some(name) => check_name(name)?.to_owned(),
        None => check_name(&fallback).unwrap_or("account").to_owned(),
    };
    let account = NewAccount {
        id: AccountId::generate(),
        kind: gateway_domain::AccountKind::Codex,
        name,
        identity,
        plan,
        settings: AccountSettings::default(),
        created_at: clock.now(),
    };
    Ok(store.import(account, credentials).await?)
}

impl Gateway {
    /// Brings pool and tokens in step with the store: what is new there comes in, what is gone leaves.
    ///
    /// # Errors
    /// The store does not answer; the pool stays as it is.
    pub async fn sync_accounts(&self) -> Result<(), StoreError> {
        let stored = self.accounts.list().await?;
        let proxies = self.proxies.list_proxies().await?;
        let unreadable = self.load_new_tokens(&stored).await?;
        let ids: HashSet<AccountId> = stored.iter().map(|one| one.account.id.clone()).collect();
        let changed: Vec<(Enrolment, Option<Way>)> = stored
            .iter()
            .filter_map(|one| {
                // An account whose tokens cannot be opened is shown with that reason instead of taking all others down.
                let state = match unreadable.get(&one.account.id) {
                    None => availability(&one.account.state),
                    Some(error) => Availability::SignInNeeded(error.to_string()),
                };
                self.changed_enrolment(one, state).map(|enrolment| (enrolment, way(&one.account, &proxies)))
            })
            .collect();
        if !changed.is_empty() {
            self.enrol(changed, &proxies);
            self.touch();
        }
        self.publish_accounts(stored, &proxies);
        let gone = self.pool.lock().retain(&ids);
        for id in gone {
            self.keeper.forget(&id);
            if self.listed_models.lock().remove(&id).is_some() {
                self.model_lists.listing_changed();
            }
            self.touch();
        }
        Ok(())
    }

    /// Fetches the tokens that the keeper does not have yet. What cannot be opened comes back with its reason.
    async fn load_new_tokens(
        &self,
        stored: &[StoredAccount],
    ) -> Result<HashMap<AccountId, StoreError>, StoreError> {
        let newer = |one: &&StoredAccount| {
            self.keeper.peek(&one.account.id).is_none_or(|kept| kept.version < one.version)
        };
        let wanted: Vec<AccountId> = stored.iter().filter(newer).map(|one| one.account.id.clone()).collect();
        let mut unreadable = HashMap::new();
        if wanted.is_empty() {
            return Ok(unreadable);
        }
        for (id, tokens) in self.accounts.credentials_of(wanted).await? {
            match tokens {
                Ok((credentials, version)) => self.keeper.adopt(&id, credentials, version),
                Err(error) => drop(unreadable.insert(id, error)),
            }
        }
        Ok(unreadable)
    }

    /// Makes the accounts, and where their requests go, visible to requests.
    fn publish_accounts(&self, stored: Vec<StoredAccount>, proxies: &[EgressProxy]) {
        let accounts: HashMap<AccountId, Account> =
            stored.into_iter().map(|one| (one.account.id.clone(), one.account)).collect();
        if accounts == *self.accounts() && proxies == &*self.egress_proxies() {
            return;
        }
        let destinations = Arc::new(destinations(accounts.values(), proxies));
        if proxies != &*self.egress_proxies() {
            self.forget_moved(proxies);
            self.reset_ways(&destinations, proxies);
        }
        let (accounts, proxies) = (Arc::new(accounts), Arc::<[EgressProxy]>::from(proxies));
        self.update_live(|live| {
            live.accounts = accounts.clone();
            live.destinations = destinations.clone();
            live.proxies = proxies.clone();
        });
    }

    /// What the pool has to know of an account, unless it knows it already.
    fn changed_enrolment(&self, stored: &StoredAccount, availability: Availability) -> Option<Enrolment> {
        let account = &stored.account;
        let known = self.accounts();
        let listed = self.listed_models(&account.id);
        self.with_pool(|pool| {
            let slot = pool.find(&account.id).and_then(|handle| pool.slot(handle));
            let mut settings = MemberSettings::from(&account.settings);
            settings.workspace.clone_from(&account.identity.workspace_id);
            settings.pinned = slot.is_some_and(|slot| slot.settings.pinned);
            if settings.allowed_models.is_empty()
                && let Some(listed) = listed
            {
                settings.allowed_models = listed;
            }
            let same = slot.is_some_and(|slot| {
                slot.availability == availability
                    && slot.settings.allowed_models == settings.allowed_models
                    && known.get(&account.id) == Some(account)
            });
            (!same).then(|| Enrolment { member: member(stored, availability), settings })
        })
    }

    fn enrol(&self, changed: Vec<(Enrolment, Option<Way>)>, proxies: &[EgressProxy]) {
        let mut pool = self.pool.lock();
        for (enrolment, way) in changed {
            let id = enrolment.member.id.clone();
            pool.put_all([enrolment]);
            if let Some(account) = pool.find(&id) {
                pool.set_way(account, self.open_or_not(way.as_ref(), proxies));
            }
        }
    }

    /// The models that an account's upstream lists, for kinds whose upstreams differ.
    fn listed_models(&self, id: &AccountId) -> Option<BTreeSet<String>> {
        self.listed_models.lock().get(id).cloned()
    }

    /// Imports an `auth.json` and lets it serve at once.
    ///
    /// # Errors
    /// The text is no sign-in, the name is bad, or storage refused.
    pub async fn import_account(&self, text: &str, name: Option<&str>) -> Result<Imported, AccountError> {
        let imported = import_auth_json(&*self.accounts, &*self.clock, text, name).await?;
        self.sync_accounts().await?;
        Ok(imported)
    }

    /// Renames an account.
    ///
    /// # Errors
    /// The name is bad or taken, or there is no such account.
    pub async fn rename_account(&self, id: &AccountId, name: &str) -> Result<(), AccountError> {
        self.accounts.rename(id, check_name(name)?).await?;
        Ok(self.sync_accounts().await?)
    }

    /// Sets an account aside, or takes it back.
    ///
    /// # Errors
    /// There is no such account, or storage refused.
    pub async fn set_account_state(&self, id: &AccountId, state: AccountState) -> Result<(), AccountError> {
        self.accounts.set_state(id, state).await?;
        Ok(self.sync_accounts().await?)
    }

    /// Removes an account. Requests that run on it end as they would have.
    ///
    /// # Errors
    /// There is no such account, or storage refused.
    pub async fn delete_account(&self, id: &AccountId) -> Result<(), AccountError> {
        self.accounts.delete(id).await?;
        Ok(self.sync_accounts().await?)
    }

    /// What is at hand of an account's token.
    #[must_use]
    pub const fn keeper(&self) -> &crate::TokenKeeper {
        &self.keeper
    }

    /// Marks an account that only a new sign-in can bring back. The store was marked by the rotation.
    pub(crate) fn sign_in_needed(&self, id: &AccountId, code: &str) {
        let mut pool = self.pool.lock();
        let Some(slot) = pool.find(id).and_then(|account| pool.slot(account)) else { return };
        let member = Member {
            id: id.clone(),
            label: slot.profile.label.clone(),
            provider: slot.profile.provider.clone(),
            plan: slot.profile.plan.clone(),
            availability: Availability::SignInNeeded(code.to_owned()),
            quota: None,
        };
        pool.put(member);
        drop(pool);
        self.touch();
    }

    /// Marks an account whose tokens the upstream declared dead, in the store and in the pool, unless they were
    /// replaced meanwhile.
    pub(crate) async fn bury_account(&self, id: &AccountId, version: CredentialVersion, code: &str) {
        let state = AccountState::SignInNeeded { reason: gateway_domain::SignInReason(code.to_owned()) };
        match self.accounts.bury(id, version, state).await {
            Ok(()) => {
                tracing::warn!(account.id = %id, error.code = code, "the account must be signed in again");
                self.sign_in_needed(id, code);
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => tracing::warn!(account.id = %id, %error, "the account could not be marked"),
        }
    }

    /// All client keys, the oldest first.
    ///
    /// # Errors
    /// Storage refused.
    pub async fn client_keys(&self) -> Result<Vec<ClientKey>, StoreError> {
        self.key_store.list_keys().await
    }

    /// Adds a client key, valid at once.
    ///
    /// # Errors
    /// Its label is taken, or storage refused.
    pub async fn add_client_key(&self, key: ClientKey) -> Result<(), StoreError> {
        self.key_store.add_key(key).await?;
        self.sync_keys().await
    }

    /// Gives a client key another part of the pool, at once.
    ///
    /// # Errors
    /// A group's name cannot be one, there is no such key, or storage refused.
    pub async fn scope_client_key(&self, id: &ClientKeyId, scope: KeyScope) -> Result<(), ScopeError> {
        check_scope(&scope)?;
        self.key_store.put_scope(id, scope).await?;
        Ok(self.sync_keys().await?)
    }

    /// Takes a client key back, at once.
    ///
    /// # Errors
    /// There is no such key, or storage refused.
    pub async fn delete_client_key(&self, id: &ClientKeyId) -> Result<(), StoreError> {
        self.key_store.delete_key(id).await?;
        self.sync_keys().await
    }

    /// Brings the valid keys in step with the store.
    ///
    /// # Errors
    /// Storage refused; the keys stay as they are.
    pub async fn sync_keys(&self) -> Result<(), StoreError> {
        let keys = self.key_store.list_keys().await?;
        let known = |key: ClientKey| KnownKey {
            label: Arc::from(key.label),
            scope: (!key.scope.is_everything()).then(|| Arc::new(key.scope)),
        };
        let keys = Arc::new(Keys::new(keys.into_iter().map(|key| (key.hash, known(key)))));
        if *keys != *self.keys() {
            self.update_live(|live| live.keys = keys.clone());
        }
        Ok(())
    }
}

fn availability(state: &AccountState) -> Availability {
    match state {
        AccountState::Active => Availability::Active,
        AccountState::Paused => Availability::Paused,
        AccountState::SignInNeeded { reason } => Availability::SignInNeeded(reason.0.clone()),
    }
}

fn member(stored: &StoredAccount, availability: Availability) -> Member {
    Member {
        id: stored.account.id.clone(),
        label: stored.account.name.clone(),
        provider: stored.account.kind.as_str().to_owned(),
        plan: stored.account.plan.clone().unwrap_or_default(),
        availability,
        quota: stored.quota.clone(),
    }
}
