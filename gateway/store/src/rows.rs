//! Rows as both databases give them, and what they mean in the words of the domain.
//!
//! Refuses: SQL. A column is read by its name; a value that no version of ours writes is an error, never a guess.

use gateway_core::ports::storage::{ClientKey, SettlementRecord, StoreError, StoredAccount};
use gateway_domain::{
    Account, AccountId, AccountIdentity, AccountKind, AccountState, ClientKeyId, CredentialVersion,
    Credentials, QuotaSnapshot, RequestId, SignInReason, Timestamp, TokenUsage,
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

row! {
    /// One of `accounts`, without its seat.
    AccountRow {
        id: String,
        kind: String,
        name: String,
        workspace_id: Option<String>,
        user_id: Option<String>,
        email: Option<String>,
        plan: Option<String>,
        state: String,
        state_reason: Option<String>,
        created_at: i64,
        quota: Option<String>,
        quota_seen_at: Option<i64>,
    }
}

impl AccountRow {
    /// The account and its quota.
    pub(crate) fn stored(self) -> Result<StoredAccount, StoreError> {
        let quota = quota(self.quota.as_deref(), self.quota_seen_at);
        let account = Account {
            id: AccountId::parse(&self.id).map_err(|_| unreadable("an account's id"))?,
            kind: AccountKind::parse(&self.kind).ok_or_else(|| unreadable("an account's kind"))?,
            name: self.name,
            identity: AccountIdentity {
                workspace_id: self.workspace_id,
                user_id: self.user_id,
                email: self.email,
            },
            plan: self.plan,
            state: state(&self.state, self.state_reason).ok_or_else(|| unreadable("an account's state"))?,
            created_at: Timestamp::from_millis(self.created_at),
        };
        Ok(StoredAccount { account, quota })
    }
}

/// The accounts that this version understands. One that a newer version wrote is left out and named in the log,
/// so that it does not keep the others from serving.
pub(crate) fn stored_accounts(rows: Vec<AccountRow>) -> Vec<StoredAccount> {
    let readable = |row: AccountRow| {
        let id = row.id.clone();
        row.stored().inspect_err(|error| tracing::warn!(account = id, %error, "an account is left out")).ok()
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
    /// One of `credentials`.
    CredentialRow {
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
    pub(crate) fn open(
        self,
        keys: &KeyRing,
        id: &AccountId,
    ) -> Result<(Credentials, CredentialVersion), StoreError> {
        let sealed = Sealed { bytes: self.tokens, key_id: self.key_id };
        let expires_at = self.expires_at.map(Timestamp::from_millis);
        let refreshed_at = Timestamp::from_millis(self.refreshed_at);
        let credentials = seal::unseal_tokens(keys, id, &sealed, expires_at, refreshed_at)?;
        Ok((credentials, CredentialVersion(self.version)))
    }

    /// Until when somebody holds the right to rotate, as seen at `now`.
    pub(crate) fn claimed(&self, now: Timestamp) -> Option<Timestamp> {
        self.refresh_claimed_until.map(Timestamp::from_millis).filter(|until| *until > now)
    }
}

row! {
    /// One of `client_keys`.
    ClientKeyRow {
        id: String,
        label: String,
        hint: String,
        hash: Vec<u8>,
        created_at: i64,
    }
}

impl ClientKeyRow {
    /// The key.
    pub(crate) fn client_key(self) -> Result<ClientKey, StoreError> {
        Ok(ClientKey {
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
    /// One of `settlements`.
    SettlementRow {
        request_id: String,
        at: i64,
        client: String,
        model: String,
        account_id: Option<String>,
        outcome: String,
        status: i64,
        input_tokens: Option<i64>,
        input_cached_tokens: Option<i64>,
        output_tokens: Option<i64>,
        reasoning_tokens: Option<i64>,
        first_event_ms: Option<i64>,
        duration_ms: i64,
        attempts: i64,
    }
}

/// A batch as it is written: in the order of request ids (two writers that lock in the same order never wait for
/// one another in a circle), each request once, the first of several kept.
pub(crate) fn settlement_rows(batch: Vec<SettlementRecord>) -> Vec<SettlementRow> {
    let mut batch = batch;
    batch.sort_by(|a, b| a.request.cmp(&b.request));
    batch.dedup_by(|later, kept| later.request == kept.request);
    batch.iter().map(SettlementRow::new).collect()
}

impl SettlementRow {
    fn new(record: &SettlementRecord) -> Self {
        let tokens = |count: fn(TokenUsage) -> u64| {
            record.usage.map(|usage| i64::try_from(count(usage)).unwrap_or(i64::MAX))
        };
        Self {
            request_id: record.request.as_str().to_owned(),
            at: record.at.as_millis(),
            client: storable(&record.client).into_owned(),
            model: storable(&record.model).into_owned(),
            account_id: record.account.as_ref().map(|id| id.as_str().to_owned()),
            outcome: storable(&record.outcome).into_owned(),
            status: i64::from(record.status),
            input_tokens: tokens(|usage| usage.input),
            input_cached_tokens: tokens(|usage| usage.input_cached),
            output_tokens: tokens(|usage| usage.output),
            reasoning_tokens: tokens(|usage| usage.reasoning),
            first_event_ms: record.first_event_ms.map(i64::from),
            duration_ms: i64::from(record.duration_ms),
            attempts: i64::from(record.attempts),
        }
    }

    /// The settlement.
    pub(crate) fn record(self) -> Result<SettlementRecord, StoreError> {
        let number = || unreadable("a number of a settlement");
        let tokens = |count: Option<i64>| u64::try_from(count.unwrap_or(0)).map_err(|_| number());
        let usage = match self.input_tokens {
            None => None,
            Some(_) => Some(TokenUsage {
                input: tokens(self.input_tokens)?,
                input_cached: tokens(self.input_cached_tokens)?,
                output: tokens(self.output_tokens)?,
                reasoning: tokens(self.reasoning_tokens)?,
            }),
        };
        let account = self.account_id.as_deref().map(AccountId::parse).transpose();
        Ok(SettlementRecord {
            request: RequestId::parse(&self.request_id)
                .map_err(|_| unreadable("a settlement's request id"))?,
            at: Timestamp::from_millis(self.at),
            client: self.client,
            model: self.model,
            account: account.map_err(|_| unreadable("a settlement's account id"))?,
            outcome: self.outcome,
            status: u16::try_from(self.status).map_err(|_| number())?,
            usage,
            first_event_ms: self.first_event_ms.map(u32::try_from).transpose().map_err(|_| number())?,
            duration_ms: u32::try_from(self.duration_ms).map_err(|_| number())?,
            attempts: u32::try_from(self.attempts).map_err(|_| number())?,
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
            workspace_id: None,
            user_id: None,
            email: None,
            plan: None,
            state: state.to_owned(),
            state_reason: None,
            created_at: 1,
            quota: Some("{ cut".to_owned()),
            quota_seen_at: Some(2),
        }
    }

    #[test]
    fn an_account_of_a_newer_version_does_not_hide_the_others() {
        let rows =
            vec![row("a", "codex", "active"), row("b", "toaster", "active"), row("c", "codex", "gone")];
        let kept = stored_accounts(rows);
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
