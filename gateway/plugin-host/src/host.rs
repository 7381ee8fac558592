//! The way in: one host per process, one admission per component.

use std::sync::Arc;

use gateway_domain::Secret;
use wasmtime::Engine;

use crate::admission::{self, AdmissionError, Package};
use crate::compile_cache::{CacheTally, CompileCache};
use crate::engine::{self, Allocator, HostError};
use crate::guest::Runtime;
use crate::limits::{Limits, SLOT_BYTES};
use crate::outbound::Outbound;
use crate::plugin::Plugin;
use crate::signature::TrustedKey;
use crate::ticker::Ticker;

/// Runs components. Plugins keep what they need of it alive, so it may be dropped before them.
pub struct PluginHost {
    pub(crate) runtime: Arc<Runtime>,
    allocator: Allocator,
    pub(crate) limits: Limits,
    pub(crate) keys: Vec<TrustedKey>,
    pub(crate) way_out: Option<Arc<dyn Outbound>>,
}

impl std::fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginHost").field("allocator", &self.allocator).finish_non_exhaustive()
    }
}

impl PluginHost {
    /// Starts the runtime and its ticker thread.
    ///
    /// # Errors
    /// The machine refuses executable memory or a thread.
    pub fn new() -> Result<Self, HostError> {
        let (engine, allocator) = engine::start(None)?;
        Self::on(engine, allocator, None)
    }

    /// The same with compiled code kept in a folder between starts.
    ///
    /// # Errors
    /// As [`Self::new`], or the folder cannot be created.
    pub fn with_cache(
        folder: impl Into<std::path::PathBuf>,
        key: &Secret<[u8; 32]>,
    ) -> Result<Self, HostError> {
        let cache = CompileCache::open(folder, key).map_err(HostError::Cache)?;
        let (engine, allocator) = engine::start(Some(&cache))?;
        Self::on(engine, allocator, Some(cache))
    }

    fn on(engine: Engine, allocator: Allocator, cache: Option<Arc<CompileCache>>) -> Result<Self, HostError> {
        let ticker = Ticker::start(&engine)?;
        let runtime = Arc::new(Runtime { engine, ticker, cache });
        Ok(Self { runtime, allocator, limits: Limits::default(), keys: Vec::new(), way_out: None })
    }

    /// As on a machine that refused the pool.
    #[cfg(test)]
    pub(crate) fn frugal() -> Self {
        Self::on(engine::start_frugal(), Allocator::OnDemand { reason: "a test".to_owned() }, None).unwrap()
    }

    /// What plugins without a manifest may use from now on. Memory beyond what a slot reserves is not granted.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Limits { memory_bytes: limits.memory_bytes.min(SLOT_BYTES), ..limits };
        self
    }

    /// Whose signatures count.
    #[must_use]
    pub fn trusting(mut self, keys: Vec<TrustedKey>) -> Self {
        self.keys = keys;
        self
    }

    /// What carries the requests of plugins that may send some.
    #[must_use]
    pub fn with_way_out(mut self, way_out: Arc<dyn Outbound>) -> Self {
        self.way_out = Some(way_out);
        self
    }

    /// Where instances live; worth a warning when it is not the pool.
    #[must_use]
    pub fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    /// What the cache of compiled code found so far; `None` without one.
    #[must_use]
    pub fn cache(&self) -> Option<CacheTally> {
        self.runtime.cache.as_ref().map(|cache| cache.tally())
    }

    /// Admits a component that came with the gateway, without a manifest and without capabilities. `config_json` is the
    /// operator's configuration, empty for the plugin's own defaults.
    ///
    /// Blocks for as long as compiling takes (tens of milliseconds and more): call it from a thread that may
    /// block, not from the async runtime's workers.
    ///
    /// # Errors
    /// A step of the admission failed; nothing has changed.
    pub fn load(&self, name: &str, bytes: &[u8], config_json: &str) -> Result<Plugin, AdmissionError> {
        admission::admit(self, Package { config_json, ..Package::shipped(name, bytes) })
    }

    /// Admits a component with everything that is known about it. Blocks like [`Self::load`].
    ///
    /// # Errors
    /// A step of the admission failed; nothing has changed.
    pub fn admit(&self, package: Package<'_>) -> Result<Plugin, AdmissionError> {
        admission::admit(self, package)
    }
}
