//! Values to store.

use gateway_core::ports::storage::{Claim, ClientKey, NewAccount, SettlementRecord, StoredAccount};
use gateway_domain::{
    AccountId, AccountIdentity, AccountKind, ClientKeyId, CredentialVersion, Credentials, RequestId, Secret,
    Timestamp, TokenUsage,
};
use gateway_store::Store;

pub fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

pub fn version(number: i64) -> CredentialVersion {
    CredentialVersion(number)
}

/// An account whose token names a seat.
pub fn seat(name: &str, workspace: &str, user: &str) -> NewAccount {
    NewAccount {
        id: AccountId::generate(),
        kind: AccountKind::Codex,
        name: name.to_owned(),
        identity: AccountIdentity {
            workspace_id: Some(workspace.to_owned()),
            user_id: Some(user.to_owned()),
            email: Some(format!("{user}@example.org")),
        },
        plan: Some("plus".to_owned()),
        created_at: at(1_700_000_000),
    }
}

/// An account whose token does not say who it is.
pub fn nameless(name: &str) -> NewAccount {
    NewAccount { identity: AccountIdentity::default(), ..seat(name, "", "") }
}

/// Tokens that carry a label.
pub fn tokens(label: &str) -> Credentials {
    Credentials {
        access_token: Secret::new(format!("access-{label}")),
        refresh_token: Some(Secret::new(format!("refresh-{label}"))),
        id_token: Some(Secret::new(format!("identity-{label}"))),
        expires_at: Some(at(1_700_003_600)),
        refreshed_at: at(1_700_000_000),
    }
}

/// Imports an account with a seat of its own.
pub async fn add(store: &Store, name: &str) -> AccountId {
    let account = seat(name, "workspace", name);
    let id = account.id.clone();
    store.accounts().import(account, tokens("first")).await.unwrap();
    id
}

/// The tokens and version of an account.
pub async fn stored(store: &Store, id: &AccountId) -> (Credentials, i64) {
    let (credentials, version) = store.accounts().credentials(id).await.unwrap();
    (credentials, version.0)
}

/// The account in the list.
pub async fn listed(store: &Store, id: &AccountId) -> StoredAccount {
    let all = store.accounts().list().await.unwrap();
    all.into_iter().find(|stored| stored.account.id == *id).unwrap()
}

/// Claims, expecting to get it.
pub async fn claim(store: &Store, id: &AccountId, now: i64, until: i64) -> CredentialVersion {
    match store.accounts().claim_refresh(id, at(now), at(until)).await.unwrap() {
        Claim::Granted { version, .. } => version,
        Claim::Busy { until } => panic!("busy until {until:?}"),
    }
}

/// Until when somebody else holds the claim, if so. Takes it otherwise.
pub async fn busy(store: &Store, id: &AccountId, now: i64) -> Option<Timestamp> {
    match store.accounts().claim_refresh(id, at(now), at(now + 1)).await.unwrap() {
        Claim::Granted { .. } => None,
        Claim::Busy { until } => Some(until),
    }
}

pub fn client_key(label: &str, created_at: i64) -> ClientKey {
    ClientKey {
        id: ClientKeyId::generate(),
        label: label.to_owned(),
        hint: "sk-sy-ab".to_owned(),
        hash: std::array::from_fn(|index| label.as_bytes()[index % label.len()].wrapping_add(index as u8)),
        created_at: at(created_at),
    }
}

pub fn settlement(request: RequestId, secs: i64) -> SettlementRecord {
    SettlementRecord {
        request,
        at: at(secs),
        client: "laptop".to_owned(),
        model: "gpt-5.5".to_owned(),
        account: Some(AccountId::generate()),
        outcome: "completed".to_owned(),
        status: 200,
        usage: Some(TokenUsage { input: 1200, input_cached: 1000, output: 80, reasoning: 30 }),
        first_event_ms: Some(410),
        duration_ms: 2300,
        attempts: 1,
    }
}
