//! Values to store.

use gateway_core::ports::storage::{
    Claim, ClaimHolder, ClientKey, NewAccount, SettlementRecord, StoredAccount, TieRecord,
};
use gateway_domain::{
    AccountId, AccountIdentity, AccountKind, AccountSettings, ClientKeyId, CredentialVersion, Credentials,
    Egress, EgressProxy, KeyScope, ProxyId, RequestId, RoutingPreference, Secret, Timestamp, TokenUsage,
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
        settings: AccountSettings::default(),
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

/// Somebody who claims.
pub fn holder(name: &str) -> ClaimHolder {
    ClaimHolder(name.to_owned())
}

/// Claims for `me`, expecting to get it.
pub async fn claim(store: &Store, id: &AccountId, now: i64, until: i64) -> CredentialVersion {
    claim_as(store, id, "me", now, until).await
}

/// Claims, expecting to get it.
pub async fn claim_as(store: &Store, id: &AccountId, name: &str, now: i64, until: i64) -> CredentialVersion {
    match store.accounts().claim_refresh(id, &holder(name), at(now), at(until)).await.unwrap() {
        Claim::Granted { version, .. } => version,
        Claim::Busy { until, .. } => panic!("busy until {until:?}"),
    }
}

/// Until when somebody else holds the claim, if so. Takes it otherwise.
pub async fn busy(store: &Store, id: &AccountId, now: i64) -> Option<Timestamp> {
    match store.accounts().claim_refresh(id, &holder("busy?"), at(now), at(now + 1)).await.unwrap() {
        Claim::Granted { .. } => None,
        Claim::Busy { until, .. } => Some(until),
    }
}

/// Settings where nothing is left at its default.
pub fn full_settings(label: &str) -> AccountSettings {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    AccountSettings {
        notes: format!("notes of {label}, mit Umlaut ü, a\0 and a \u{1f6a2}"),
        groups: texts(&["eu", "team"]),
        tags: texts(&["spare"]),
        weight: 0.1,
        priority: -7,
        preference: RoutingPreference::Preserve,
        max_concurrency: Some(u32::MAX),
        allowed_models: texts(&["gpt-5.5", "o4*"]),
        headers: [
            ("x-api-key".to_owned(), Secret::new(format!("header-{label}"))),
            ("x-other".to_owned(), Secret::from("")),
        ]
        .into(),
        egress: Egress::Proxy { proxy: ProxyId::parse("prx_1").unwrap() },
        base_url: Some("https://upstream.example/v1".to_owned()),
        dialects: serde_json::from_str(r#"["openai-chat","anthropic-messages"]"#).unwrap(),
        co_owned: Some("/home/ann/.codex/auth.json".into()),
        warm_up: true,
    }
}

pub fn proxy(name: &str) -> EgressProxy {
    EgressProxy {
        id: ProxyId::generate(),
        name: name.to_owned(),
        url: Secret::new(format!("socks5h://ann:password-{name}@proxy.example:1080")),
        enabled: true,
        groups: ["eu".to_owned(), "t\0\"ü".to_owned()].into(),
    }
}

pub fn client_key(label: &str, created_at: i64) -> ClientKey {
    ClientKey {
        id: ClientKeyId::generate(),
        label: label.to_owned(),
        hint: "sk-sy-ab".to_owned(),
        hash: std::array::from_fn(|index| label.as_bytes()[index % label.len()].wrapping_add(index as u8)),
        created_at: at(created_at),
        scope: KeyScope::default(),
    }
}

/// A tie with this digest, used at this second and kept for an hour.
pub fn tie(digest: u8, used_at: i64) -> TieRecord {
    TieRecord {
        kind: 18,
        digest: [digest; 16],
        account: AccountId::parse("acc_tied").unwrap(),
        used_at: at(used_at),
        kept_until: at(used_at + 3_600),
        served_at: Some(at(used_at - 1)),
        body_bytes: 8_000,
        hits: Some(0.25),
    }
}

pub fn settlement(request: RequestId, secs: i64) -> SettlementRecord {
    SettlementRecord {
        request,
        at: at(secs),
        client: "laptop".into(),
        model: "gpt-5.5".into(),
        account: Some(AccountId::generate()),
        outcome: "completed".into(),
        status: 200,
        usage: Some(TokenUsage { input: 1200, input_cached: 1000, output: 80, reasoning: 30 }),
        first_event_ms: Some(410),
        duration_ms: 2300,
        attempts: 1,
    }
}
