//! An answer as events: what every dialect's stream comes down to. The order they keep is told in the module above.

use serde::Serialize;

use super::error::ErrorReport;
use super::request::{Opaque, Sealed, ToolKind};

/// One step of an answer.
#[derive(Debug, Clone)]
pub enum TurnEvent {
    /// The upstream took the request.
    Started(Started),
    /// A block begins.
    BlockStart {
        /// Its index, counted from 0.
        index: u32,
        /// What it is.
        block: BlockStart,
    },
    /// A block goes on.
    Delta {
        /// Which block.
        index: u32,
        /// By what.
        delta: Delta,
    },
    /// A block is complete.
    BlockEnd {
        /// Which block.
        index: u32,
    },
    /// Tokens so far. The last one counts.
    Usage(Usage),
    /// The end: everything was said.
    Finished(StopReason),
    /// The end: it failed.
    Failed(ErrorReport),
}

/// Who answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Started {
    /// The upstream's id of the answer; empty when it told none.
    pub id: String,
    /// The model that answers; empty when it told none.
    pub model: String,
    /// When, in seconds since 1970.
    pub created: Option<u64>,
    /// The tier that serves it.
    pub service_tier: Option<String>,
}

/// What kind of block begins.
#[derive(Debug, Clone)]
pub enum BlockStart {
    /// Text for the user.
    Text,
    /// A refusal.
    Refusal,
    /// Thinking.
    Reasoning {
        /// The upstream's id of the item.
        id: Option<String>,
        /// It has nothing to show but its seal.
        is_redacted: bool,
    },
    /// A call of a client's tool.
    ToolCall {
        /// What the output must refer to.
        id: String,
        /// The tool.
        name: String,
        /// The namespace it is in.
        namespace: Option<String>,
        /// Its shape.
        kind: ToolKind,
    },
    /// A whole item that only one dialect has (a hosted tool's call …). Its `BlockEnd` follows at once.
    Opaque(Opaque),
}

/// How a block goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// More text, of a text or refusal block.
    Text(String),
    /// More of the visible thinking: a summary, or all of it.
    Reasoning(String),
    /// Another summary part begins; what was said of the one before is complete.
    ReasoningPart,
    /// More of the whole chain, where it is told beside the summary.
    ReasoningText(String),
    /// The seal of the thinking. Comes once, before the block's end.
    Seal(Sealed),
    /// More of a call's arguments or free text.
    Arguments(String),
}

/// Tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// All input, cached and newly cached included.
    pub input: u64,
    /// The part of `input` read from the prompt cache.
    pub input_cached: u64,
    /// The part of `input` written to the prompt cache.
    pub cache_creation: u64,
    /// All output, reasoning included.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// Input plus output.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl From<Usage> for gateway_domain::TokenUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input: usage.input,
            input_cached: usage.input_cached,
            output: usage.output,
            reasoning: usage.reasoning,
        }
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// It was complete.
    Stop,
    /// It met the most tokens allowed, or the context's end.
    Length,
    /// It waits for tools.
    ToolCalls,
    /// A filter or the model's own refusal.
    ContentFilter,
    /// It met a stop text; which one, if told.
    StopSequence(Option<String>),
    /// The provider paused a long turn; send it back to go on.
    Pause,
    /// A reason newer than we know.
    Unknown(String),
}
