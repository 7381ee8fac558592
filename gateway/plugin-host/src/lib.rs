//! Runs WebAssembly components behind the gateway's extension traits: admission, limits, pools, grants, versions.
//!
//! A component reaches nothing that it was not lent: no WASI, no clock, no entropy, no files. What it needs arrives as
//! arguments. It cannot hold a thread beyond its deadline nor memory beyond its cap, and one that trapped is never
//! called again; a fresh instance takes its place.
//!
//! Way in: [`PluginHost::admit`] takes a component through [`admission`](mod@admission) and yields a [`Plugin`], which
//! implements the trait of every hook; [`PluginFolder`] does that for a folder, keeps versions and rolls them back.

mod admission;
mod bindings;
mod columns;
mod compile_cache;
mod conformance;
mod convert;
mod digest;
mod engine;
mod exports;
mod folder;
mod grants;
mod guest;
mod host;
mod lent;
mod limits;
mod manifest;
mod memory;
mod outbound;
mod plugin;
mod pool;
mod schema;
mod signature;
mod state;
mod ticker;

pub use admission::{AdmissionError, Outside, Package, PluginMetadata, Step, Vouching};
pub use compile_cache::CacheTally;
pub use conformance::{HookTiming, Probe, conformance, measure};
pub use engine::{Allocator, HostError};
pub use folder::{Change, Changed, FolderError, PluginFolder, PluginSet, Terms, VersionInfo};
pub use grants::{Asks, Capability, Grants, KvQuota, Trust};
pub use host::PluginHost;
pub use lent::{LogLevel, LogLine};
pub use limits::{Limits, MAX_COMPONENT_BYTES};
pub use manifest::{Attachment, Hook, Isolation, Manifest, ManifestError};
pub use outbound::{
    Destination, DestinationError, MAX_BODY_BYTES, MAX_TIMEOUT, Outbound, OutboundError, OutboundRequest,
    OutboundResponse, is_public,
};
pub use plugin::Plugin;
pub use schema::Misfit;
pub use signature::{SignatureError, SigningKey, TrustedKey, signer_of};

#[cfg(test)]
mod tests;
