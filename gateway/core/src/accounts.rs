//! What an operator does to accounts, and keeping the pool in step with the store (which the CLI and other processes
//! also write).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gateway_domain::{Account, AccountId, AccountState, ClientKeyId, CredentialVersion};
use gateway_protocol::codex::auth::{AuthError, SignIn, read_auth_json};
use gateway_scheduler::{Availability, Member};

use crate::ports::{AccountStore, ClientKey, Clock, Imported, NewAccount, StoreError, StoredAccount};
use crate::{Gateway, Keys};

/// The longest account name or key label, in characters.
pub const MAX_NAME_CHARS: usize = 64;

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
    let SignIn { identity, plan, credentials } = read_auth_json(text, clock.now())?;
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
        let ids: HashSet<AccountId> = stored.iter().map(|one| one.account.id.clone()).collect();
        for one in &stored {
            // An account whose tokens cannot be opened is shown with that reason instead of taking all others down.
            let state = match self.keeper.load(&one.account.id).await {
                Ok(()) => availability(&one.account.state),
                Err(StoreError::NotFound { .. }) => continue,
                Err(error @ StoreError::Sealed(_)) => Availability::SignInNeeded(error.to_string()),
                Err(error) => return Err(error),
            };
            self.keeper.set_workspace(&one.account.id, one.account.identity.workspace_id.clone());
            self.put_if_changed(one, state);
        }
        let accounts: HashMap<AccountId, Account> =
            stored.into_iter().map(|one| (one.account.id.clone(), one.account)).collect();
        if accounts != *self.accounts() {
            let accounts = Arc::new(accounts);
            self.update_live(|live| live.accounts = accounts.clone());
        }
        let gone: Vec<AccountId> = self.with_pool(|pool| {
            pool.members().map(|slot| slot.profile.id.clone()).filter(|id| !ids.contains(id)).collect()
        });
        for id in gone {
            self.pool.lock().remove(&id);
            self.keeper.forget(&id);
            self.touch();
        }
        Ok(())
    }

    fn put_if_changed(&self, stored: &StoredAccount, availability: Availability) {
        let member = member(stored, availability);
        let mut pool = self.pool.lock();
        let same = pool.find(&member.id).and_then(|account| pool.slot(account)).is_some_and(|slot| {
            slot.profile.label == member.label && slot.availability == member.availability
        });
        if !same {
            pool.put(member);
            drop(pool);
            self.touch();
        }
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
        match self.accounts.abandon_refresh(id, version, Some(state)).await {
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
        let keys = Arc::new(Keys::new(keys.into_iter().map(|key| (key.hash, Arc::from(key.label)))));
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
