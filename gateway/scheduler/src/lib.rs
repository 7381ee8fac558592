//! Who serves a request: health, windows, cooldowns, affinity, leases and the built-in ranking.
//!
//! Pure: no clock, no IO, no async, no randomness. Everything takes `now`.

mod affinity;
mod builtin;
mod contract;
pub mod corpus;
mod health;
mod pool;
mod validate;

pub use builtin::BuiltIn;
pub use contract::{
    AccountProfile, AccountRef, Action, Candidate, Health, PolicyError, PolicyLanguage, PolicyVersion,
    RankDecision, RankInput, RankingPolicy, Rejection, RequestInfo, Roster,
};
pub use health::{Cooldown, CooldownSource};
pub use pool::{Availability, DEFAULT_MAX_CONCURRENCY, Ending, Lease, Member, Pool, Slot};
pub use validate::validate;
