//! What one plugin may use. Defaults suit a scheduler; a manifest may ask for less or, granted, for more.

use std::time::Duration;

/// The largest component taken.
pub(crate) const MAX_COMPONENT_BYTES: usize = 16 * 1024 * 1024;

/// The hard ceiling of any plugin's memory: what one slot of the pool reserves.
pub(crate) const SLOT_BYTES: usize = 16 * 1024 * 1024;

/// Bytes a guest may hand to the host in one call: a ranking of thousands of accounts with a long reason.
pub(crate) const ANSWER_BYTES: usize = 1024 * 1024;

/// Linear memories, tables and core instances of one component. Ours have one or two of each; toolchains that
/// adapt other languages add a few.
pub(crate) const PARTS: u32 = 8;

/// An instance is replaced after this many calls, so that a guest that leaks starts over.
pub(crate) const CALLS_PER_INSTANCE: u32 = 10_000;

/// How long a request waits for an instance when all are out.
pub(crate) const CHECKOUT_PATIENCE: Duration = Duration::from_millis(2);

/// Time for each step of admission that runs guest code, and for setting up an instance later. Far more than
/// honest code needs, so that a busy machine does not refuse it.
pub(crate) const SETUP_TIME: Duration = Duration::from_millis(250);

/// What one plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time for one answer.
    pub deadline: Duration,
    /// Linear memory of one instance in bytes; at most 16 MiB.
    pub memory_bytes: usize,
    /// Instances, which is answers at once.
    pub instances: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            deadline: Duration::from_millis(5),
            memory_bytes: SLOT_BYTES,
            instances: (2 * cores).clamp(4, 32),
        }
    }
}
