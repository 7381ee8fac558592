//! A store in memory, with the contract's rules for seats. What tests of imports and of tokens do not use is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gateway_domain::{
    Account, AccountId, AccountSettings, AccountState, CredentialVersion, Credentials, QuotaSnapshot,
    Timestamp,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::ports::{
    AccountStore, Claim, ClaimHolder, Clock, Finished, Imported, Learned, NewAccount, StoreError,
    StoredAccount, StoredCredentials,
};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A clock that stands still.
pub(crate) struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// An access token of a seat; each generation ends a second later.
pub(crate) fn access_token(workspace: &str, user: &str, generation: i64) -> String {
    access_token_with(workspace, user, generation, &json!({}))
}

/// The same with more claims.
pub(super) fn access_token_with(workspace: &str, user: &str, generation: i64, more: &Value) -> String {
    let mut claims = json!({
        "exp": 1_900_000_000 + generation,
        "https://api.openai.com/auth": { "chatgpt_account_id": workspace, "chatgpt_user_id": user },
        "https://api.openai.com/profile": { "email": format!("{user}@example.test") },
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

type Row = (Account, Credentials, CredentialVersion);

#[derive(Default)]
pub(crate) struct FakeStore(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    rows: Vec<Row>,
    by_seat: std::collections::HashMap<String, usize>,
    batches: Vec<usize>,
    refused: Option<String>,
    sealed: bool,
}

impl FakeStore {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().rows.len()
    }

    pub(crate) fn accounts(&self) -> Vec<Account> {
        self.0.lock().rows.iter().map(|(account, ..)| account.clone()).collect()
    }

    pub(crate) fn tokens(&self) -> Vec<Credentials> {
        self.0.lock().rows.iter().map(|(_, credentials, _)| credentials.clone()).collect()
    }

    pub(crate) fn batches(&self) -> Vec<usize> {
        self.0.lock().batches.clone()
    }

    pub(crate) fn set_all(&self, state: &AccountState) {
        self.0.lock().rows.iter_mut().for_each(|(account, ..)| account.state = state.clone());
    }

    /// From now on an account of this name is refused.
    pub(crate) fn refuse(&self, name: &str) {
        self.0.lock().refused = Some(name.to_owned());
    }

    /// From now on no tokens can be opened.
    pub(crate) fn seal_shut(&self) {
        self.0.lock().sealed = true;
    }
}

impl Inside {
    fn import(&mut self, new: NewAccount, credentials: Credentials) -> Result<Imported, StoreError> {
        if self.refused.as_ref() == Some(&new.name) {
            return Err(StoreError::NameTaken);
        }
        let seat = new.identity.seat();
        if let Some(known) = seat.as_ref().and_then(|seat| self.by_seat.get(seat)) {
            let (account, kept, version) = &mut self.rows[*known];
            *kept = credentials;
            version.0 += 1;
            account.state = AccountState::Active;
            return Ok(Imported::Updated(account.clone()));
        }
        let account = new.into_account();
        self.by_seat.extend(seat.map(|seat| (seat, self.rows.len())));
        self.rows.push((account.clone(), credentials, CredentialVersion(1)));
        Ok(Imported::Added(account))
    }
}

fn done<T: Send + 'static>(result: Result<T, StoreError>) -> BoxFuture<'static, Result<T, StoreError>> {
    std::future::ready(result).boxed()
}

fn unused<T: Send + 'static>() -> BoxFuture<'static, Result<T, StoreError>> {
    done(Err(StoreError::Unavailable("an import does not use this".into())))
}

impl AccountStore for FakeStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredAccount>, StoreError>> {
        let stored = |(account, _, version): &Row| StoredAccount {
            account: account.clone(),
            quota: None,
            version: *version,
        };
        done(Ok(self.0.lock().rows.iter().map(stored).collect()))
    }

    fn account(&self, _: &AccountId) -> BoxFuture<'_, Result<Account, StoreError>> {
        unused()
    }

    fn import(
        &self,
        account: NewAccount,
        credentials: Credentials,
    ) -> BoxFuture<'_, Result<Imported, StoreError>> {
        done(self.0.lock().import(account, credentials))
    }

    fn import_many(
        &self,
        accounts: Vec<(NewAccount, Credentials)>,
    ) -> BoxFuture<'_, Result<Vec<Result<Imported, StoreError>>, StoreError>> {
        let mut inside = self.0.lock();
        inside.batches.push(accounts.len());
        done(Ok(accounts.into_iter().map(|(account, tokens)| inside.import(account, tokens)).collect()))
    }

    fn credentials_of(
        &self,
        ids: Vec<AccountId>,
    ) -> BoxFuture<'_, Result<Vec<(AccountId, Result<StoredCredentials, StoreError>)>, StoreError>> {
        let inside = self.0.lock();
        let ids: std::collections::HashSet<AccountId> = ids.into_iter().collect();
        let rows = inside.rows.iter().filter(|(account, ..)| ids.contains(&account.id));
        let opened = rows.map(|(account, tokens, version)| {
            let opened = match inside.sealed {
                true => Err(StoreError::Sealed("another key file".into())),
                false => Ok((tokens.clone(), *version)),
            };
            (account.id.clone(), opened)
        });
        done(Ok(opened.collect()))
    }

    fn set_state(&self, id: &AccountId, state: AccountState) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut inside = self.0.lock();
        match inside.rows.iter_mut().find(|(account, ..)| account.id == *id) {
            Some((account, ..)) => {
                account.state = state;
                done(Ok(()))
            }
            None => done(Err(StoreError::NotFound { what: "the account" })),
        }
    }

    fn credentials(
        &self,
        id: &AccountId,
    ) -> BoxFuture<'_, Result<(Credentials, CredentialVersion), StoreError>> {
        let inside = self.0.lock();
        let known = inside.rows.iter().find(|(account, ..)| account.id == *id);
        let known = known.map(|(_, tokens, version)| (tokens.clone(), *version));
        done(known.ok_or(StoreError::NotFound { what: "the account" }))
    }

    fn claim_refresh(
        &self,
        _: &AccountId,
        _: &ClaimHolder,
        _: Timestamp,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<Claim, StoreError>> {
        unused()
    }

    fn finish_refresh(
        &self,
        _: &AccountId,
        _: CredentialVersion,
        _: Credentials,
        _: Option<Learned>,
    ) -> BoxFuture<'_, Result<Finished, StoreError>> {
        unused()
    }

    fn abandon_refresh(&self, _: &AccountId, _: &ClaimHolder) -> BoxFuture<'_, Result<(), StoreError>> {
        unused()
    }

    fn bury(
        &self,
        _: &AccountId,
        _: CredentialVersion,
        _: AccountState,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        unused()
    }

    fn rename(&self, _: &AccountId, _: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        unused()
    }

    fn put_settings(&self, _: &AccountId, _: AccountSettings) -> BoxFuture<'_, Result<(), StoreError>> {
        unused()
    }

    fn delete(&self, _: &AccountId) -> BoxFuture<'_, Result<(), StoreError>> {
        unused()
    }

    fn save_quota(
        &self,
        _: Vec<(AccountId, QuotaSnapshot, Timestamp)>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        unused()
    }
}
