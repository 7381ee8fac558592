//! The way of a request: its stages, the ports it needs, the live snapshot, and the background jobs.
//!
//! Refuses: HTTP status codes, SQL, provider clients, script and component engines. Start reading at
//! [`pipeline`].

pub mod accounts;
pub mod background;
pub mod decisions;
mod gateway;
mod keeper;
pub mod pipeline;
pub mod ports;
pub mod refresh;
pub mod stage;
pub mod traffic;

pub use gateway::{Gateway, Keys, POLICY_SETTING, Parts, PolicySet, UnknownPolicy};
pub use keeper::TokenKeeper;
