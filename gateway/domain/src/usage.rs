//! What one response cost in tokens.

use serde::{Deserialize, Serialize};

/// Token counts of one response. `input` includes `input_cached`; `output` includes `reasoning`
/// (the convention of the Responses API).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// All input tokens, cached ones included.
    pub input: u64,
    /// The part of `input` that came from the upstream's prompt cache.
    pub input_cached: u64,
    /// All output tokens, reasoning included.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
}

impl TokenUsage {
    /// Input plus output.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}
