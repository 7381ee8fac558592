//! Durable state. Nothing here is called on the request path except through background jobs; what must not be
//! lost (a rotated refresh token) is awaited before it is used.
//!
//! One contract suite (`gateway-store`'s `tests/contract`) runs against every implementation.

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use gateway_domain::{
    Account, AccountId, AccountIdentity, AccountKind, AccountSettings, AccountState, ClientKeyId,
    CredentialVersion, Credentials, EgressProxy, KeyScope, ProxyId, QuotaSnapshot, RequestId, Secret,
    Timestamp, TokenUsage,
};

/// Why storage did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such row.
    #[error("{what} does not exist")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// Somebody else changed it first; nothing was written.
    #[error("{what} was changed by somebody else meanwhile")]
    Conflict {
        /// What was to be written.
        what: &'static str,
    },
    /// The name is in use.
    #[error("the name is taken; choose another")]
    NameTaken,
    /// What is stored cannot be opened with the key file at hand.
    #[error("stored secrets cannot be opened: {0}")]
    Sealed(String),
    /// The database does not answer or refuses.
    #[error("the database is not available: {0}")]
    Unavailable(String),
}

/// An account as it is to be imported.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAccount {
    /// The id it gets when its seat is not known yet.
    pub id: AccountId,
    /// What it opens.
    pub kind: AccountKind,
    /// A wish; a number is appended when it is taken.
    pub name: String,
    /// Who it is; a known seat is updated in place.
    pub identity: AccountIdentity,
    /// Its plan, if the token says.
    pub plan: Option<String>,
    /// What the operator decided; a known seat keeps its own.
    pub settings: AccountSettings,
    /// When it is added.
    pub created_at: Timestamp,
}

impl NewAccount {
    /// The account as it begins.
    #[must_use]
    pub fn into_account(self) -> Account {
        Account {
            id: self.id,
            kind: self.kind,
            name: self.name,
            identity: self.identity,
            plan: self.plan,
            state: AccountState::Active,
            settings: self.settings,
            created_at: self.created_at,
        }
    }
}

/// What an import did.
#[derive(Debug, Clone, PartialEq)]
pub enum Imported {
    /// A new account.
    Added(Account),
    /// The seat was known: its tokens were replaced, its state is active again, its name kept.
    Updated(Account),
}

/// An account with what was last seen of its quota.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAccount {
    /// The account.
    pub account: Account,
    /// Its windows when they were last stored, and when that was.
    pub quota: Option<(QuotaSnapshot, Timestamp)>,
    /// Which set of tokens it has; a reader that knows this one need not fetch them.
    pub version: CredentialVersion,
}

/// Tokens as they are stored.
pub type StoredCredentials = (Credentials, CredentialVersion);

/// The tokens of one of many accounts, or why they cannot be opened.
pub type CredentialsOf = (AccountId, Result<StoredCredentials, StoreError>);

/// Who holds a claim. Made anew for every rotation, so that a late holder cannot give back somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimHolder(pub String);

/// The right to rotate an account's tokens, held by one process at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Ours until the time asked for; these are the newest tokens.
    Granted {
        /// The tokens to spend.
        credentials: Credentials,
        /// The version a result replaces.
        version: CredentialVersion,
    },
    /// Somebody else is at it, at the latest until then.
    Busy {
        /// When the other claim ends.
        until: Timestamp,
        /// The version that the other one replaces, read together with the claim: looked up later, it may already be
        /// the new one.
        version: CredentialVersion,
    },
}

/// What tokens tell about their owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learned {
    /// Who.
    pub identity: AccountIdentity,
    /// On which plan.
    pub plan: Option<String>,
}

/// Whether the seat that tokens name fits the account they were stored for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatFit {
    /// It is the account's, it was not known before, or the tokens do not tell.
    Fits,
    /// The account's user is known to be somebody else.
    SomebodyElse,
    /// Another account has this seat.
    Taken,
}

impl SeatFit {
    /// Why an account with such tokens is set aside; `None` when it is not.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Fits => None,
            Self::SomebodyElse => Some("tokens_of_another_user"),
            Self::Taken => Some("seat_of_another_account"),
        }
    }
}

/// Rotated tokens that are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Their version.
    pub version: CredentialVersion,
    /// Whether they are the account's.
    pub seat: SeatFit,
}

/// How one rotation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// New tokens are durable.
    Refreshed,
    /// Another process held the claim; its result is what counts.
    Elsewhere,
    /// A passing failure; the old tokens are unchanged.
    Failed {
        /// For people and logs.
        message: String,
    },
    /// The tokens are dead for good; the account now says so.
    SignInNeeded {
        /// The upstream's error code.
        code: String,
    },
}

/// Accounts and their tokens.
pub trait AccountStore: Send + Sync {
    /// All accounts, by name.
    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredAccount>, StoreError>>;

    /// One account; `NotFound` when it is gone.
    fn account(&self, id: &AccountId) -> BoxFuture<'_, Result<Account, StoreError>>;

    /// Adds an account or, when its seat is known, replaces its tokens in place (and makes it active again).
    fn import(
        &self,
        account: NewAccount,
        credentials: Credentials,
    ) -> BoxFuture<'_, Result<Imported, StoreError>>;

    /// The same for many at once, each with its own result, in one transaction.
    fn import_many(
        &self,
        accounts: Vec<(NewAccount, Credentials)>,
    ) -> BoxFuture<'_, Result<Vec<Result<Imported, StoreError>>, StoreError>>;

    /// The newest tokens of many accounts at once. An account that is gone is left out; one whose tokens cannot be
    /// opened has its own error.
    fn credentials_of(&self, ids: Vec<AccountId>) -> BoxFuture<'_, Result<Vec<CredentialsOf>, StoreError>>;

    /// The newest tokens of an account.
    fn credentials(
        &self,
        id: &AccountId,
    ) -> BoxFuture<'_, Result<(Credentials, CredentialVersion), StoreError>>;

    /// Takes the right to rotate until `until`, unless somebody holds it at `now`. Durable when it returns.
    fn claim_refresh(
        &self,
        id: &AccountId,
        holder: &ClaimHolder,
        now: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'_, Result<Claim, StoreError>>;

    /// Stores rotated tokens and gives the claim back, whoever holds it: it belonged to the tokens replaced. Refuses
    /// with `Conflict` when the tokens are no longer those of `replaces`: a stale result never overwrites a newer
    /// sign-in.
    ///
    /// What the tokens tell about their owner fills in what was not known, in the same transaction. Tokens of a seat
    /// that does not fit are stored as well (those before them are spent), and the account is set aside with the reason.
    fn finish_refresh(
        &self,
        id: &AccountId,
        replaces: CredentialVersion,
        credentials: Credentials,
        learned: Option<Learned>,
    ) -> BoxFuture<'_, Result<Finished, StoreError>>;

    /// Gives the claim back without a result, if `holder` still holds it.
    fn abandon_refresh(&self, id: &AccountId, holder: &ClaimHolder) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Marks an account whose tokens are dead and ends any claim on them. `Conflict`, and nothing written, when its
    /// tokens are no longer those of `version`.
    fn bury(
        &self,
        id: &AccountId,
        version: CredentialVersion,
        state: AccountState,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Renames an account.
    fn rename(&self, id: &AccountId, name: &str) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Replaces what the operator decided about an account.
    fn put_settings(
        &self,
        id: &AccountId,
        settings: AccountSettings,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Pauses an account or makes it active.
    fn set_state(&self, id: &AccountId, state: AccountState) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Removes an account and its tokens.
    fn delete(&self, id: &AccountId) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Remembers windows (and the plan, when known) for the next start. One statement batch for all.
    fn save_quota(
        &self,
        seen: Vec<(AccountId, QuotaSnapshot, Timestamp)>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Egress proxies. Their addresses are sealed at rest: they may hold a password.
pub trait ProxyStore: Send + Sync {
    /// All of them, by name.
    fn list_proxies(&self) -> BoxFuture<'_, Result<Vec<EgressProxy>, StoreError>>;
    /// Adds one, or replaces the one with its id. `NameTaken` when another one has its name.
    fn put_proxy(&self, proxy: EgressProxy) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Removes one. Accounts that name it keep naming it, and are skipped until they are given another.
    fn delete_proxy(&self, id: &ProxyId) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// A key we handed out. Only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientKey {
    /// Its id.
    pub id: ClientKeyId,
    /// Who it is for.
    pub label: String,
    /// The first characters, to recognise it.
    pub hint: String,
    /// SHA-256 of the key; a key has 256 bits of entropy, so a slow hash would add nothing.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// The part of the pool that it may use.
    pub scope: KeyScope,
}

/// Client keys.
pub trait ClientKeyStore: Send + Sync {
    /// All keys, the oldest first.
    fn list_keys(&self) -> BoxFuture<'_, Result<Vec<ClientKey>, StoreError>>;
    /// Adds a key. `NameTaken` when its label is in use.
    fn add_key(&self, key: ClientKey) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Gives a key another part of the pool.
    fn put_scope(&self, id: &ClientKeyId, scope: KeyScope) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Removes a key.
    fn delete_key(&self, id: &ClientKeyId) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Small named values: the hash of the admin password, the chosen policy. Values are sealed at rest.
pub trait SettingStore: Send + Sync {
    /// The value, if it was ever set.
    fn setting(&self, name: &str) -> BoxFuture<'_, Result<Option<Secret>, StoreError>>;
    /// Sets a value.
    fn put_setting(&self, name: &str, value: Secret) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Sets a value only if none was set; says whether it did.
    fn put_setting_once(&self, name: &str, value: Secret) -> BoxFuture<'_, Result<bool, StoreError>>;
}

/// The accounting of one finished request.
#[derive(Debug, Clone, PartialEq)]
pub struct SettlementRecord {
    /// The request; settling it twice keeps the first.
    pub request: RequestId,
    /// When it arrived.
    pub at: Timestamp,
    /// The client key's label, or `local`.
    pub client: Arc<str>,
    /// The model asked for.
    pub model: Arc<str>,
    /// The account that served it or was tried last.
    pub account: Option<AccountId>,
    /// `completed` or the label of the failure.
    pub outcome: Cow<'static, str>,
    /// HTTP status sent.
    pub status: u16,
    /// Tokens, if the upstream told.
    pub usage: Option<TokenUsage>,
    /// From arrival to the first event, in milliseconds.
    pub first_event_ms: Option<u32>,
    /// From arrival to the end, in milliseconds.
    pub duration_ms: u32,
    /// How many accounts were tried.
    pub attempts: u32,
}

/// What ties a conversation to an account, as it is stored. What the client sent is not in it, only a digest.
#[derive(Debug, Clone, PartialEq)]
pub struct TieRecord {
    /// Which kind of tie; with the digest it is the key.
    pub kind: u8,
    /// Of the kind, the client and what it sent.
    pub digest: [u8; 16],
    /// Where it leads.
    pub account: AccountId,
    /// When it was last used.
    pub used_at: Timestamp,
    /// When it counts no more.
    pub kept_until: Timestamp,
    /// When the account last served it, if its prompt may be cached there.
    pub served_at: Option<Timestamp>,
    /// Size of the request then.
    pub body_bytes: u32,
    /// Share of the prompt that came from the cache, smoothed; `None`: the prompt is too small to be cached.
    pub hits: Option<f64>,
}

/// Which ties are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TieQuery {
    /// Saved then or later.
    pub saved_since: Timestamp,
    /// By anybody but this process.
    pub not_by: String,
    /// Only those that still count now.
    pub now: Timestamp,
    /// At most so many, those saved last.
    pub limit: u32,
}

/// What ties conversations to accounts, kept for the next start and for other replicas. Written in batches off the
/// request path.
pub trait TieStore: Send + Sync {
    /// Saves ties. One that was used later than what is to be saved stays as it is.
    fn save_ties(
        &self,
        ties: Vec<TieRecord>,
        by: &str,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Ties, those saved last in front.
    fn ties(&self, wanted: TieQuery) -> BoxFuture<'_, Result<Vec<TieRecord>, StoreError>>;
    /// Removes ties that ended by then, and those beyond the `most` that were saved last; at most `limit` of each in one
    /// go. Says how many went.
    fn prune_ties(&self, ended: Timestamp, most: u32, limit: u32) -> BoxFuture<'_, Result<u64, StoreError>>;
}

/// What one client used, over all settlements that are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientUsage {
    /// Requests, failed ones too.
    pub requests: u64,
    /// Tokens.
    pub tokens: TokenUsage,
}

/// Settlements, written in batches off the request path.
pub trait Ledger: Send + Sync {
    /// Appends; a request that is already there is left as it is. The batch stays its owner's, who tries again.
    fn append<'a>(&'a self, batch: &'a [SettlementRecord]) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Removes settlements older than `before`, at most `limit` in one go; says how many went.
    fn prune(&self, before: Timestamp, limit: u32) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// The newest settlements, at most `limit`.
    fn newest(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SettlementRecord>, StoreError>>;
    /// Adds up what a client used.
    fn used_by(&self, client: &str) -> BoxFuture<'_, Result<ClientUsage, StoreError>>;
}
