//! Values and invariants of the gateway: ids, time, secrets, accounts, windows, usage, failures.
//!
//! Refuses: IO, clocks, async, logging, wire formats. Every other crate may use this one, so it stays small
//! and dull.

mod account;
mod account_settings;
mod dialect;
mod failure;
mod id;
mod key_scope;
mod secret;
mod time;
mod usage;
mod window;

pub use account::{
    Account, AccountIdentity, AccountKind, AccountState, CredentialVersion, Credentials, SignInReason,
};
pub use account_settings::{AccountSettings, Egress, EgressProxy, RoutingPreference};
pub use dialect::Dialect;
pub use failure::{Answer, Dispatch, Failure, FailureKind, Origin, Retry};
pub use id::{AccountId, ClientKeyId, IdError, ModelName, ProxyId, RequestId, SessionKey};
pub use key_scope::KeyScope;
pub use secret::Secret;
pub use time::{Millis, Timestamp};
pub use usage::TokenUsage;
pub use window::{Credits, FeatureWindow, QuotaSnapshot, Window, WindowKind};
