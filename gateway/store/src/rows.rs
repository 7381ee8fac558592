//! Rows as both databases give them, and what they mean in the words of the domain.
//!
//! Refuses: SQL. A column is read by its name; a value that no version of ours writes is an error, never a guess.

use gateway_core::ports::storage::{ClientKey, StoreError, StoredAccount, StoredCredentials};
use gateway_domain::{
    Account, AccountId, AccountIdentity, AccountKind, AccountSettings, AccountState, ClientKeyId,
    CredentialVersion, Egress, EgressProxy, KeyScope, ProxyId, QuotaSnapshot, Secret, SignInReason,
    Timestamp,
};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use crate::error::unreadable;
use crate::keyring::KeyRing;
use crate::naming::storable;
use crate::seal::{self, Sealed};

/// Declares a row whose fields are columns of the same name, readable from either database.
macro_rules! row {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty,)+ }) => {
        $(#[$doc])*
        pub(crate) struct $name { $(pub(crate) $field: $kind,)+ }

        impl<'r, R: Row> FromRow<'r, R> for $name
        where
            &'static str: ColumnIndex<R>,
            $($kind: Decode<'r, R::Database> + Type<R::Database>,)+
        {
            fn from_row(row: &'r R) -> sqlx::Result<Self> {
                Ok(Self { $($field: row.try_get(stringify!($field))?,)+ })
            }
        }
    };
}

mod settlement;
mod tie;

pub(crate) use settlement::{ClientUsageRow, NewSettlement, SettlementRow, in_order};
pub(crate) use tie::{TieRow, tie_rows};

row! {
    /// One of `accounts`, with the version of its tokens.
    AccountRow {
        id: String,
        kind: String,
        name: String,
        seat: Option<String>,
        workspace_id: Option<String>,
        user_id: Option<String>,
        email: Option<String>,
        plan: Option<String>,
        state: String,
        state_reason: Option<String>,
        created_at: i64,
        quota: Option<String>,
        quota_seen_at: Option<i64>,
        settings: Option<Vec<u8>>,
        settings_key_id: Option<String>,
        version: i64,
    }
}

/// The reason shown for an account whose settings cannot be opened. Signing in again replaces them.
const SETTINGS_UNREADABLE: &str = "settings_unreadable";

impl AccountRow {
    /// The account and its quota.
    ///
    /// An account whose settings cannot be opened is shown, so that its owner can mend it, but is not fit for use:
    /// with settings that were made up it might leave by another way than the one it was told to.
    pub(crate) fn stored(self, keys: &KeyRing) -> Result<StoredAccount, StoreError> {
        let id = self.id()?;
        let settings = self.settings(keys, &id);
        let quota = quota(self.quota.as_deref(), self.quota_seen_at);
        let version = CredentialVersion(self.version);
        let mut account = Account {
            id,
            kind: AccountKind::parse(&self.kind).ok_or_else(|| unreadable("an account's kind"))?,
            name: self.name,
            identity: AccountIdentity {
                workspace_id: self.workspace_id,
                user_id: self.user_id,
                email: self.email,
            },
            plan: self.plan,
            state: state(&self.state, self.state_reason).ok_or_else(|| unreadable("an account's state"))?,
            settings: AccountSettings::default(),
            created_at: Timestamp::from_millis(self.created_at),
        };
        match settings {
            Ok(settings) => account.settings = settings,
            Err(error) => {
                tracing::warn!(account = %account.id, %error, "an account's settings cannot be used");
                account.settings.egress = nowhere()?;
                account.state =
                    AccountState::SignInNeeded { reason: SignInReason(SETTINGS_UNREADABLE.to_owned()) };
            }
        }
        Ok(StoredAccount { account, quota, version })
    }

    /// Its id.
    pub(crate) fn id(&self) -> Result<AccountId, StoreError> {
        AccountId::parse(&self.id).map_err(|_| unreadable("an account's id"))
    }

    /// What the operator decided. Where an older version added the account, nothing was decided.
    pub(crate) fn settings(&self, keys: &KeyRing, id: &AccountId) -> Result<AccountSettings, StoreError> {
        match (&self.settings, &self.settings_key_id) {
            (Some(bytes), Some(key_id)) => {
                let sealed = Sealed { bytes: bytes.clone(), key_id: key_id.clone() };
                seal::unseal_account_settings(keys, id, &sealed)
            }
            _ => Ok(AccountSettings::default()),
        }
    }
}

/// A way out that no account can take.
fn nowhere() -> Result<Egress, StoreError> {
    let proxy = ProxyId::parse(SETTINGS_UNREADABLE).map_err(|_| unreadable("an account's proxy"))?;
    Ok(Egress::Proxy { proxy })
}

/// The accounts that this version understands. One that a newer version wrote is left out and named in the log,
/// so that it does not keep the others from serving.
pub(crate) fn stored_accounts(rows: Vec<AccountRow>, keys: &KeyRing) -> Vec<StoredAccount> {
    let readable = |row: AccountRow| {
        let id = row.id.clone();
        row.stored(keys)
            .inspect_err(|error| tracing::warn!(account = id, %error, "an account is left out"))
            .ok()
    };
    rows.into_iter().filter_map(readable).collect()
}

/// A quota is a memory of what was seen: one that cannot be read is as good as none.
fn quota(json: Option<&str>, seen_at: Option<i64>) -> Option<(QuotaSnapshot, Timestamp)> {
    Some((serde_json::from_str(json?).ok()?, Timestamp::from_millis(seen_at?)))
}

const ACTIVE: &str = "active";
const PAUSED: &str = "paused";
const SIGN_IN_NEEDED: &str = "sign_in_needed";

fn state(word: &str, reason: Option<String>) -> Option<AccountState> {
    match word {
        ACTIVE => Some(AccountState::Active),
        PAUSED => Some(AccountState::Paused),
        SIGN_IN_NEEDED => {
            Some(AccountState::SignInNeeded { reason: SignInReason(reason.unwrap_or_default()) })
        }
        _ => None,
    }
}

/// The columns `state` and `state_reason`.
pub(crate) fn state_columns(state: &AccountState) -> (&'static str, Option<String>) {
    match state {
        AccountState::Active => (ACTIVE, None),
        AccountState::Paused => (PAUSED, None),
        AccountState::SignInNeeded { reason } => (SIGN_IN_NEEDED, Some(storable(&reason.0).into_owned())),
    }
}

/// What is stored of one observation of an account's windows.
pub(crate) struct QuotaColumns {
    pub(crate) id: AccountId,
    pub(crate) quota: String,
    pub(crate) seen_at: i64,
    pub(crate) plan: Option<String>,
}

/// The newest observation of each account, in the order of their ids.
pub(crate) fn quota_columns(
    seen: Vec<(AccountId, QuotaSnapshot, Timestamp)>,
) -> Result<Vec<QuotaColumns>, StoreError> {
    let mut seen = seen;
    seen.sort_by(|(a, _, at), (b, _, bt)| a.cmp(b).then(bt.cmp(at)));
    seen.dedup_by(|(later, ..), (kept, ..)| later == kept);
    let columns = |(id, quota, at): (AccountId, QuotaSnapshot, Timestamp)| {
        let json = serde_json::to_string(&quota)
            .map_err(|_| StoreError::Unavailable("a quota cannot be written as JSON".to_owned()))?;
        let plan = quota.plan.as_deref().map(|plan| storable(plan).into_owned());
        Ok(QuotaColumns { id, quota: json, seen_at: at.as_millis(), plan })
    };
    seen.into_iter().map(columns).collect()
}

row! {
    /// The settings of one of `accounts`.
    SettingsRow {
        settings: Option<Vec<u8>>,
        settings_key_id: Option<String>,
    }
}

impl SettingsRow {
    /// As they are stored, if they were ever set.
    pub(crate) fn sealed(self) -> Option<Sealed> {
        Some(Sealed { bytes: self.settings?, key_id: self.settings_key_id? })
    }
}

row! {
    /// One of `credentials`.
    CredentialRow {
        account_id: String,
        version: i64,
        tokens: Vec<u8>,
        key_id: String,
        expires_at: Option<i64>,
        refreshed_at: i64,
        refresh_claimed_until: Option<i64>,
    }
}

impl CredentialRow {
    /// The tokens, opened.
    pub(crate) fn open(self, keys: &KeyRing, id: &AccountId) -> Result<StoredCredentials, StoreError> {
        let sealed = Sealed { bytes: self.tokens, key_id: self.key_id };
        let expires_at = self.expires_at.map(Timestamp::from_millis);
        let refreshed_at = Timestamp::from_millis(self.refreshed_at);
        let credentials = seal::unseal_tokens(keys, id, &sealed, expires_at, refreshed_at)?;
        Ok((credentials, CredentialVersion(self.version)))
    }

    /// The number of these tokens.
    pub(crate) const fn version(&self) -> CredentialVersion {
        CredentialVersion(self.version)
    }

    /// Until when somebody holds the right to rotate, as seen at `now`.
    pub(crate) fn claimed(&self, now: Timestamp) -> Option<Timestamp> {
        self.refresh_claimed_until.map(Timestamp::from_millis).filter(|until| *until > now)
    }
}

/// The tokens of many accounts, each with its own result.
pub(crate) fn opened_tokens(
    rows: Vec<CredentialRow>,
    keys: &KeyRing,
) -> Vec<(AccountId, Result<StoredCredentials, StoreError>)> {
    let open = |row: CredentialRow| {
        let id = AccountId::parse(&row.account_id).ok()?;
        let opened = row.open(keys, &id);
        Some((id, opened))
    };
    rows.into_iter().filter_map(open).collect()
}

row! {
    /// One of `client_keys`.
    ClientKeyRow {
        id: String,
        label: String,
        hint: String,
        hash: Vec<u8>,
        created_at: i64,
        scope: Option<String>,
    }
}

/// The keys that this version understands. One with a scope that a newer version wrote opens nothing, which is better
/// than everything.
pub(crate) fn client_keys(rows: Vec<ClientKeyRow>) -> Vec<ClientKey> {
    let readable = |row: ClientKeyRow| {
        let id = row.id.clone();
        let key = row.client_key();
        key.inspect_err(|error| tracing::warn!(key.id = id, %error, "a client key is left out")).ok()
    };
    rows.into_iter().filter_map(readable).collect()
}

/// The column `scope`.
pub(crate) fn scope_column(scope: &KeyScope) -> Result<Option<String>, StoreError> {
    if scope.is_everything() {
        return Ok(None);
    }
    let groups = scope.groups.iter().map(|group| storable(group).into_owned()).collect();
    let scope = KeyScope { groups, accounts: scope.accounts.clone() };
    let json = serde_json::to_string(&scope);
    json.map(Some).map_err(|_| StoreError::Unavailable("a key's scope cannot be written as JSON".to_owned()))
}

impl ClientKeyRow {
    fn client_key(self) -> Result<ClientKey, StoreError> {
        let scope = self.scope.as_deref().map(serde_json::from_str).transpose();
        Ok(ClientKey {
            scope: scope.map_err(|_| unreadable("a client key's scope"))?.unwrap_or_default(),
            id: ClientKeyId::parse(&self.id).map_err(|_| unreadable("a client key's id"))?,
            label: self.label,
            hint: self.hint,
            hash: self.hash.try_into().map_err(|_| unreadable("a client key's hash"))?,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}

row! {
    /// One of `settings`.
    SettingRow {
        value: Vec<u8>,
        key_id: String,
    }
}

row! {
    /// One of `proxies`.
    ProxyRow {
        id: String,
        name: String,
        url: Vec<u8>,
        key_id: String,
        enabled: bool,
        account_groups: String,
    }
}

impl ProxyRow {
    /// The proxy. One whose address cannot be opened is shown switched off and without it: who is to leave through
    /// it stays where it is until the address is set anew.
    pub(crate) fn proxy(self, keys: &KeyRing) -> Result<EgressProxy, StoreError> {
        let id = ProxyId::parse(&self.id).map_err(|_| unreadable("a proxy's id"))?;
        let sealed = Sealed { bytes: self.url, key_id: self.key_id };
        let (url, enabled) = match seal::unseal_proxy_url(keys, &id, &sealed) {
            Ok(url) => (url, self.enabled),
            Err(error) => {
                tracing::warn!(proxy = %id, %error, "a proxy's address cannot be used");
                (Secret::new(String::new()), false)
            }
        };
        let groups =
            serde_json::from_str(&self.account_groups).map_err(|_| unreadable("a proxy's groups"))?;
        Ok(EgressProxy { id, name: self.name, url, enabled, groups })
    }

    /// The row of a proxy.
    pub(crate) fn new(keys: &KeyRing, proxy: &EgressProxy) -> Result<Self, StoreError> {
        let sealed = seal::seal_proxy_url(keys, &proxy.id, &proxy.url)?;
        let groups = serde_json::to_string(&proxy.groups)
            .map_err(|_| StoreError::Unavailable("a proxy's groups cannot be written as JSON".to_owned()))?;
        Ok(Self {
            id: proxy.id.as_str().to_owned(),
            name: storable(&proxy.name).into_owned(),
            url: sealed.bytes,
            key_id: sealed.key_id,
            enabled: proxy.enabled,
            account_groups: groups,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, kind: &str, state: &str) -> AccountRow {
        AccountRow {
            id: id.to_owned(),
            kind: kind.to_owned(),
            name: id.to_owned(),
            seat: None,
            workspace_id: None,
            user_id: None,
            email: None,
            plan: None,
            state: state.to_owned(),
            state_reason: None,
            created_at: 1,
            quota: Some("{ cut".to_owned()),
            quota_seen_at: Some(2),
            settings: None,
            settings_key_id: None,
            version: 1,
        }
    }

    fn keys() -> KeyRing {
        KeyRing::load_or_create(&tempfile::tempdir().unwrap().path().join("key")).unwrap()
    }

    #[test]
    fn a_quota_of_an_older_version_is_read() {
        let json = r#"{"short":{"seconds":18000,"used":0.5,"resets_at":null},"long":null,"plan":"plus"}"#;
        let (read, at) = quota(Some(json), Some(2)).unwrap();
        assert_eq!(
            (read.short.unwrap().used, read.plan.as_deref(), at),
            (0.5, Some("plus"), Timestamp::from_millis(2))
        );
        assert_eq!((read.features, read.credits, read.reset_credits), (Vec::new(), None, None));
    }

    #[test]
    fn an_account_whose_settings_do_not_open_is_seen_but_not_used() {
        let sealed = AccountRow {
            settings: Some(vec![1; 80]),
            settings_key_id: Some("feedface".to_owned()),
            ..row("a", "codex", "active")
        };
        let seen = sealed.stored(&keys()).unwrap().account;
        assert!(
            matches!(&seen.state, AccountState::SignInNeeded { reason } if reason.0 == SETTINGS_UNREADABLE)
        );
        assert_eq!(seen.settings.egress, nowhere().unwrap(), "never straight");
    }

    #[test]
    fn an_account_of_a_newer_version_does_not_hide_the_others() {
        let rows =
            vec![row("a", "codex", "active"), row("b", "toaster", "active"), row("c", "codex", "gone")];
        let kept = stored_accounts(rows, &keys());
        assert_eq!(kept.iter().map(|stored| stored.account.id.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(kept[0].quota, None, "a quota that cannot be read counts as none");
    }

    #[test]
    fn states_survive_their_words() {
        for known in [
            AccountState::Active,
            AccountState::Paused,
            AccountState::SignInNeeded { reason: SignInReason("token_expired".to_owned()) },
        ] {
            let (word, reason) = state_columns(&known);
            assert_eq!(state(word, reason), Some(known));
        }
    }

    #[test]
    fn of_several_observations_the_newest_counts() {
        let id = |text| AccountId::parse(text).unwrap();
        let plan = |name: &str| QuotaSnapshot { plan: Some(name.to_owned()), ..QuotaSnapshot::default() };
        let at = Timestamp::from_secs;
        let seen =
            vec![(id("b"), plan("old"), at(1)), (id("a"), plan("one"), at(9)), (id("b"), plan("new"), at(2))];
        let columns = quota_columns(seen).unwrap();
        let kept: Vec<_> =
            columns.iter().map(|row| (row.id.as_str(), row.plan.as_deref().unwrap())).collect();
        assert_eq!(kept, [("a", "one"), ("b", "new")]);
    }
}
