//! Who serves a request: health, windows, cooldowns, affinity, leases and the built-in ranking.
//!
//! Pure: no clock, no IO, no async, no randomness. Everything takes `now`.

pub mod admission;
mod affinity;
mod builtin;
mod capacity;
mod contract;
pub mod corpus;
mod elapsed;
mod features;
mod health;
mod layout;
mod member;
mod order;
mod pool;
mod sketch;
mod slot;
mod validate;
mod windows;

pub use affinity::{
    HardTie, KeptCache, KeptTie, MAX_HARD_TIES, MAX_LEFT_TIES, MAX_SOFT_TIES, SoftTie, Tie, TieKey, Whose,
};
pub use builtin::BuiltIn;
pub use contract::{
    AccountProfile, AccountRef, Action, Candidate, Health, PolicyError, PolicyLanguage, PolicyVersion,
    Preference, RankDecision, RankInput, RankingPolicy, Rejection, RequestInfo, Roster, Surface,
};
pub use health::{Cooldown, CooldownSource, PROBES_TO_PASS, Scope, Tier};
pub use layout::Needs;
pub use member::{Availability, DEFAULT_MAX_CONCURRENCY, DownProxy, Enrolment, Member, MemberSettings, Way};
pub use order::apply_operator_order;
pub use pool::{
    Ask, Asked, ClosedWays, Ending, Lease, Loss, MAX_CANDIDATES, Nobody, PROBE_PATIENCE, Pool, Standing,
    Verdict,
};
pub use slot::Slot;
pub use validate::validate;
pub use windows::Reading;
