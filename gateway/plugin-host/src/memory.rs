//! Caps what one store allocates, and remembers that it did, so that the trap that follows is explained.

use wasmtime::ResourceLimiter;

use crate::limits::PARTS;

/// Entries of one table; Rust guests have a few hundred functions.
const TABLE_ELEMENTS: usize = 20_000;

/// The data of a store: nothing but its caps.
#[derive(Debug)]
pub(crate) struct MemoryCap {
    bytes: usize,
    refused: bool,
}

impl MemoryCap {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { bytes, refused: false }
    }

    /// The cap in MiB if the guest ran into it.
    pub(crate) fn refused_at_mib(&self) -> Option<usize> {
        self.refused.then_some(self.bytes / (1024 * 1024))
    }
}

impl ResourceLimiter for MemoryCap {
    fn memory_growing(&mut self, _now: usize, wanted: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let granted = wanted <= self.bytes;
        self.refused |= !granted;
        Ok(granted)
    }

    fn table_growing(&mut self, _now: usize, wanted: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        Ok(wanted <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        PARTS as usize
    }

    fn tables(&self) -> usize {
        PARTS as usize
    }

    fn memories(&self) -> usize {
        1
    }
}
