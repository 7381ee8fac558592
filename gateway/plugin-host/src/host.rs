//! The way in: one host per process, one `load` per component.

use std::sync::Arc;

use wasmtime::Engine;

use crate::admission::{self, AdmissionError};
use crate::engine::{self, Allocator, HostError};
use crate::guest::Runtime;
use crate::limits::{Limits, SLOT_BYTES};
use crate::policy::WasmPolicy;
use crate::ticker::Ticker;

/// Runs components. Policies keep what they need of it alive, so it may be dropped before them.
#[derive(Debug)]
pub struct PluginHost {
    runtime: Arc<Runtime>,
    allocator: Allocator,
    limits: Limits,
}

impl PluginHost {
    /// Starts the runtime and its ticker thread.
    ///
    /// # Errors
    /// The machine refuses executable memory or a thread.
    pub fn new() -> Result<Self, HostError> {
        let (engine, allocator) = engine::start()?;
        Self::on(engine, allocator)
    }

    fn on(engine: Engine, allocator: Allocator) -> Result<Self, HostError> {
        let ticker = Ticker::start(&engine)?;
        Ok(Self { runtime: Arc::new(Runtime { engine, ticker }), allocator, limits: Limits::default() })
    }

    /// As on a machine that refused the pool.
    #[cfg(test)]
    pub(crate) fn frugal() -> Self {
        Self::on(engine::start_frugal(), Allocator::OnDemand { reason: "a test".to_owned() }).unwrap()
    }

    /// What plugins loaded from now on may use. Memory beyond what a slot reserves is not granted.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Limits { memory_bytes: limits.memory_bytes.min(SLOT_BYTES), ..limits };
        self
    }

    /// Where instances live; worth a warning when it is not the pool.
    #[must_use]
    pub fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    /// Admits a component as a ranking policy. `config_json` is the operator's configuration, empty for the
    /// plugin's own defaults.
    ///
    /// Blocks for as long as compiling takes (tens of milliseconds and more): call it from a thread that may
    /// block, not from the async runtime's workers.
    ///
    /// # Errors
    /// A step of the admission failed; nothing has changed.
    pub fn load(&self, name: &str, bytes: &[u8], config_json: &str) -> Result<WasmPolicy, AdmissionError> {
        admission::admit(&self.runtime, self.limits, name, bytes, config_json)
    }
}
