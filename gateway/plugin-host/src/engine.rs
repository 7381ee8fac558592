//! The one engine of the process: what WebAssembly may do here and where its memory comes from.
//!
//! One engine, not one per plugin: each engine keeps its own compiler caches.

use std::num::NonZeroUsize;
use std::sync::Arc;

use wasmtime::{
    CacheStore, Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmFeatures,
};

use crate::compile_cache::CompileCache;
use crate::limits::{PARTS, SLOT_BYTES};

/// Instances of all plugins together.
const MAX_INSTANCES: u32 = 64;

/// Kept warm in a slot between two instances; a small scheduler touches about this much.
const KEEP_RESIDENT: usize = 64 * 1024;

/// Why no plugin can run at all.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The machine refuses what the runtime needs.
    #[error("the WebAssembly runtime does not start here: {0}")]
    Engine(String),
    /// No folder for compiled code.
    #[error("the folder for compiled components cannot be used: {0}")]
    Cache(#[source] std::io::Error),
    /// No thread for the deadlines.
    #[error("no thread for plugin deadlines: {0}")]
    Ticker(#[from] std::io::Error),
}

/// Where instances live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allocator {
    /// In slots reserved at the start: microseconds to fill and to clear.
    Pooling,
    /// In memory mapped for each, because reserving slots was refused; slower, otherwise the same.
    OnDemand {
        /// What the machine said.
        reason: String,
    },
}

/// Starts the engine with the pool, or without when the machine refuses the reservation.
pub(crate) fn start(cache: Option<&Arc<CompileCache>>) -> Result<(Engine, Allocator), HostError> {
    let mut pooling = config(cache)?;
    pooling.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    match Engine::new(&pooling) {
        Ok(engine) => Ok((engine, Allocator::Pooling)),
        Err(refused) => {
            let reason = format!("{refused:#}");
            Engine::new(&frugal(cache)?)
                .map(|engine| (engine, Allocator::OnDemand { reason }))
                .map_err(|error| HostError::Engine(format!("{error:#}")))
        }
    }
}

fn config(cache: Option<&Arc<CompileCache>>) -> Result<Config, HostError> {
    let mut config = Config::new();
    if let Some(cache) = cache {
        let cache = Arc::clone(cache) as Arc<dyn CacheStore>;
        config
            .enable_incremental_compilation(cache)
            .map_err(|error| HostError::Engine(format!("{error:#}")))?;
    }
    config
        .cranelift_opt_level(OptLevel::Speed)
        // Every exported function is synchronous; the machinery for concurrent tasks would double a call.
        .concurrency_support(false)
        .epoch_interruption(true)
        // What no guest of ours needs is not lent: less code of the runtime is within reach.
        .wasm_features(
            WasmFeatures::MULTI_MEMORY
                | WasmFeatures::MEMORY64
                | WasmFeatures::TAIL_CALL
                | WasmFeatures::RELAXED_SIMD
                | WasmFeatures::EXCEPTIONS
                | WasmFeatures::STACK_SWITCHING
                | WasmFeatures::CM_ASYNC,
            false,
        )
        .wasm_backtrace_max_frames(NonZeroUsize::new(16))
        .memory_may_move(false);
    Ok(config)
}

/// For machines whose address space is limited. The pool reserves (never touches) 4 GiB per slot, because then
/// the hardware checks every access, which makes a ranking a sixth faster.
fn frugal(cache: Option<&Arc<CompileCache>>) -> Result<Config, HostError> {
    let mut config = config(cache)?;
    config
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .memory_reservation(SLOT_BYTES as u64)
        .memory_guard_size(64 * 1024);
    Ok(config)
}

#[cfg(test)]
pub(crate) fn start_frugal() -> Engine {
    Engine::new(&frugal(None).unwrap()).unwrap()
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES * PARTS)
        .total_memories(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES * 2)
        .max_core_instances_per_component(PARTS)
        .max_memories_per_component(1)
        .max_tables_per_component(PARTS)
        .max_memory_size(SLOT_BYTES)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(4 * 1024)
        // Use warm slots again before touching cold ones.
        .max_unused_warm_slots(4);
    pool
}
