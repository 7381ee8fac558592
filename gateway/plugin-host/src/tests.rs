//! Real components against the real host: what is refused, what is survived, what is answered.

mod admission;
mod caching;
mod conforming;
mod contract;
mod cost;
mod filtering;
mod filters;
pub(crate) mod fixtures;
mod javascript;
mod lending;
mod redaction;
mod serving;
mod shipped;
mod shipped_hooks;
mod versions;
