//! What one plugin may use. Defaults suit a scheduler; a manifest may ask for less or, granted, for more.

use std::time::Duration;

use crate::manifest::Hook;

/// The largest component taken.
pub const MAX_COMPONENT_BYTES: usize = 16 * 1024 * 1024;

/// The hard ceiling of any plugin's memory: what one slot of the pool reserves.
pub(crate) const SLOT_BYTES: usize = 64 * 1024 * 1024;

/// What a policy or a mapping needs at most.
const SMALL_BYTES: usize = 16 * 1024 * 1024;

/// Bytes a guest may hand to the host in one call: a ranking of thousands of accounts with a long reason.
pub(crate) const ANSWER_BYTES: usize = 1024 * 1024;

/// The same for filters, which may hand back a whole prompt.
pub(crate) const FILTER_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A filter gets another millisecond for each of these.
pub(crate) const BYTES_PER_EXTRA_MS: usize = 64 * 1024;

/// The most a metadata text may have, and a schema.
pub(crate) const MAX_TEXT_BYTES: usize = 512;
pub(crate) const MAX_SCHEMA_BYTES: usize = 64 * 1024;

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
    /// Time for one ranking, or one mapping.
    pub deadline: Duration,
    /// Time to judge one prompt; large ones get more.
    pub filter_deadline: Duration,
    /// Time to judge one batch of a response's events.
    pub events_deadline: Duration,
    /// Time to watch one batch of settled requests.
    pub observer_deadline: Duration,
    /// Linear memory of one instance in bytes; at most 64 MiB.
    pub memory_bytes: usize,
    /// Bytes a guest may hand to the host in one call.
    pub answer_bytes: usize,
    /// Instances, which is answers at once.
    pub instances: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            deadline: Duration::from_millis(5),
            filter_deadline: Duration::from_millis(25),
            events_deadline: Duration::from_millis(10),
            observer_deadline: Duration::from_millis(250),
            memory_bytes: SMALL_BYTES,
            answer_bytes: ANSWER_BYTES,
            instances: (2 * cores).clamp(4, 32),
        }
    }
}

impl Limits {
    /// What a plugin with these hooks needs.
    #[must_use]
    pub fn for_hooks<'a>(hooks: impl IntoIterator<Item = &'a Hook>) -> Self {
        let small = |hook: &Hook| matches!(hook, Hook::Schedule | Hook::MapModel);
        if hooks.into_iter().all(small) {
            return Self::default();
        }
        Self { memory_bytes: SLOT_BYTES, answer_bytes: FILTER_ANSWER_BYTES, ..Self::default() }
    }

    /// The same time for every hook.
    #[must_use]
    pub const fn with_deadline(self, deadline: Duration) -> Self {
        Self {
            deadline,
            filter_deadline: deadline,
            events_deadline: deadline,
            observer_deadline: deadline,
            ..self
        }
    }
}
