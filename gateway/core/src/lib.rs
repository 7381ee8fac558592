//! The way of a request: its stages, the ports it needs, the live snapshot, and the background jobs.
//!
//! Refuses: HTTP status codes, SQL, provider clients, script and component engines. Start reading at
//! [`pipeline`].

pub mod account_settings;
pub mod accounts;
pub mod background;
pub mod co_owned;
pub mod counting;
pub mod decisions;
pub mod destinations;
pub mod egress;
pub mod extensions;
mod gateway;
pub mod hooks;
pub mod import;
mod inspection;
mod keeper;
mod models;
pub mod operations;
pub mod operator_keys;
pub mod pipeline;
pub mod pool_view;
pub mod ports;
pub mod ranking;
mod redeem;
pub mod refresh;
pub mod replay;
mod ring;
pub mod sign_in;
pub mod stage;
pub mod trace;
pub mod traffic;
mod waiting;
mod ways;

pub use gateway::{Gateway, Keys, KnownKey, POLICY_SETTING, Parts, PolicySet, UnknownPolicy};
pub use keeper::TokenKeeper;
