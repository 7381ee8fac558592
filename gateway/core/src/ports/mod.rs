//! What the core needs from the outside, as small traits named for the need. Adapters implement them; the
//! composition root hands them in.

mod observer;
mod shared_file;
pub mod storage;
mod upstream;
mod workbench;

pub use observer::{Ended, Observer, RankingSeen};
pub use shared_file::{Replaced, SharedFiles};
pub use storage::{
    AccountStore, Claim, ClaimHolder, ClientKey, ClientKeyStore, ClientUsage, Finished, Imported, Learned,
    Ledger, NewAccount, ProxyStore, RefreshOutcome, SeatFit, SettingStore, SettlementRecord, StoreError,
    StoredAccount, StoredCredentials, TieQuery, TieRecord, TieStore,
};
pub use upstream::{
    BackendPath, Continues, Destination, DeviceAnswer, DeviceCode, Endpoint, Hops, Inspection, IssuedTokens,
    ProxyProbe, ResponseBody, SignInError, SignInIssuer, TokenIssuer, TokenIssuerError, Transport,
    TurnClient, Upstream, UpstreamRequest, UpstreamResponse, Way,
};
pub use workbench::{CheckOutcome, Checked, Mistake, PolicyText, TextOrigin, Workbench};

use futures_util::future::BoxFuture;
use gateway_domain::{AccountId, Timestamp};

/// The time. Everything that needs `now` gets it from here, so that tests own it.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    fn now(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Carries out one token rotation from claim to durable result. The process may die at any moment while it
/// runs, so the implementation that ships does it in a process of its own (decision record 0004).
pub trait Refresher: Send + Sync {
    /// Rotates the tokens of one account; returns when the result is durable.
    fn refresh(&self, account: AccountId) -> BoxFuture<'static, RefreshOutcome>;
}
