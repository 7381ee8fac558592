//! Taking accounts out, tokens included. Whoever calls this has checked who asks.

use gateway_domain::{Account, AccountId, Credentials, Secret};
use gateway_protocol::codex::auth::{NoAuthJson, write_auth_json};
use gateway_protocol::codex::import::{MAX_ENTRIES, NotWritten, write_bundle};

use crate::ports::{AccountStore, Clock, StoreError};

/// Which accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// All there are.
    All,
    /// These.
    Ids(Vec<AccountId>),
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// None of that id.
    #[error("there is no account `{0}`; see the list of accounts")]
    NoSuchAccount(AccountId),
    /// None at all.
    #[error("there is no account to export")]
    Nothing,
    /// More than can be imported again.
    #[error("more than {MAX_ENTRIES} accounts cannot be exported at once; choose some")]
    TooMany,
    /// One whose tokens cannot be opened; an export without it would look complete.
    #[error("the tokens of `{name}` cannot be opened ({error}); export the others by name")]
    Unreadable {
        /// Its name.
        name: String,
        /// Why.
        error: StoreError,
    },
    /// It is not for Codex, or has nothing for it yet.
    #[error(transparent)]
    AuthJson(#[from] NoAuthJson),
    /// The text could not be made.
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
    /// Storage refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Our export of the chosen accounts, by name.
///
/// # Errors
/// One of them does not exist or cannot be opened, there is none, or storage does not answer.
pub async fn export(
    store: &dyn AccountStore,
    clock: &dyn Clock,
    chosen: Chosen,
) -> Result<Secret, ExportError> {
    let accounts = match chosen {
        Chosen::All => store.list().await?.into_iter().map(|one| one.account).collect(),
        Chosen::Ids(ids) => pick(store, &ids).await?,
    };
    if accounts.len() > MAX_ENTRIES {
        return Err(ExportError::TooMany);
    }
    if accounts.is_empty() {
        return Err(ExportError::Nothing);
    }
    Ok(write_bundle(&with_tokens(store, accounts).await?, clock.now())?)
}

/// The `auth.json` of one account.
///
/// # Errors
/// It does not exist, cannot be opened, is not for Codex, or storage does not answer.
pub async fn export_auth_json(store: &dyn AccountStore, id: &AccountId) -> Result<Secret, ExportError> {
    let accounts = pick(store, std::slice::from_ref(id)).await?;
    let (account, credentials) =
        with_tokens(store, accounts).await?.pop().ok_or_else(|| ExportError::NoSuchAccount(id.clone()))?;
    Ok(write_auth_json(&account, &credentials)?)
}

/// The accounts with these ids, each once, in the order of the list.
async fn pick(store: &dyn AccountStore, ids: &[AccountId]) -> Result<Vec<Account>, ExportError> {
    let wanted: std::collections::HashSet<&AccountId> = ids.iter().collect();
    let all = store.list().await?;
    let accounts: Vec<Account> =
        all.into_iter().map(|one| one.account).filter(|account| wanted.contains(&account.id)).collect();
    let found: std::collections::HashSet<&AccountId> = accounts.iter().map(|account| &account.id).collect();
    match ids.iter().find(|id| !found.contains(id)) {
        Some(missing) => Err(ExportError::NoSuchAccount(missing.clone())),
        None => Ok(accounts),
    }
}

async fn with_tokens(
    store: &dyn AccountStore,
    accounts: Vec<Account>,
) -> Result<Vec<(Account, Credentials)>, ExportError> {
    let ids = accounts.iter().map(|account| account.id.clone()).collect();
    let mut tokens: std::collections::HashMap<_, _> = store.credentials_of(ids).await?.into_iter().collect();
    accounts
        .into_iter()
        .map(|account| match tokens.remove(&account.id) {
            Some(Ok((credentials, _))) => Ok((account, credentials)),
            Some(Err(error)) => Err(ExportError::Unreadable { name: account.name, error }),
            None => {
                let error = StoreError::NotFound { what: "the account" };
                Err(ExportError::Unreadable { name: account.name, error })
            }
        })
        .collect()
}
