//! Runs WebAssembly components behind the gateway's extension traits: admission, limits, pools.
//!
//! A component reaches nothing: no WASI, no clock, no entropy, no files, no network. What it needs arrives as
//! arguments. It cannot hold a thread beyond its deadline nor memory beyond its cap, and one that trapped is
//! never called again; a fresh instance takes its place.
//!
//! Way in: [`PluginHost::load`] admits the bytes of a component ([`admission`](mod@admission)) and yields a
//! [`WasmPolicy`], which the caller swaps in like any other policy.

mod admission;
mod bindings;
mod breaker;
mod convert;
mod engine;
mod guest;
mod host;
mod limits;
mod memory;
mod policy;
mod pool;
mod ticker;

pub use admission::{AdmissionError, PluginMetadata, Step};
pub use engine::{Allocator, HostError};
pub use host::PluginHost;
pub use limits::Limits;
pub use policy::WasmPolicy;

#[cfg(test)]
mod tests;
