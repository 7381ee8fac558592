//! How an account does: what failures lead to, the record they leave, and the way back.
//!
//! The one table of consequences is in [`consequence`]. Refuses: windows and quotas, which are no faults.

pub(crate) mod consequence;
pub(crate) mod recovery;
pub(crate) mod score;

pub use consequence::{Cooldown, CooldownSource, Scope};
pub use recovery::PROBES_TO_PASS;
pub use score::Tier;
