//! The hook `filter-response`: inspect or change a response while it streams, event by event.

use std::sync::Arc;

use gateway_domain::TokenUsage;
use gateway_scheduler::Rejection;

use super::{ExtensionVersion, Hit, HookError, RequestContext};

/// The kinds of events a filter is shown; the others pass it by and keep their place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamInterest {
    /// Pieces of the answer's text.
    pub text: bool,
    /// Pieces of its reasoning.
    pub reasoning: bool,
    /// Pieces of tool calls.
    pub tool_calls: bool,
    /// Token counts.
    pub usage: bool,
    /// Start and stop.
    pub turns: bool,
    /// Everything else.
    pub raw: bool,
}

impl StreamInterest {
    /// Whether it wants to see any event at all.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !(self.text || self.reasoning || self.tool_calls || self.usage || self.turns || self.raw)
    }

    /// Whether it wants to see this one.
    #[must_use]
    pub const fn covers(self, event: &StreamEvent<'_>) -> bool {
        match event {
            StreamEvent::Text(_) => self.text,
            StreamEvent::Reasoning(_) => self.reasoning,
            StreamEvent::ToolCall(_) => self.tool_calls,
            StreamEvent::Usage(_) => self.usage,
            StreamEvent::Start | StreamEvent::Stop(_) => self.turns,
            StreamEvent::Raw(_) => self.raw,
        }
    }
}

/// A piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextDelta<'a> {
    /// Which of the parallel answers or output items.
    pub choice: u32,
    /// The piece.
    pub text: &'a str,
}

/// A piece of a tool call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolDelta<'a> {
    /// Which of the parallel answers or output items.
    pub choice: u32,
    /// Which call of it.
    pub call: u32,
    /// With the first piece of a call.
    pub name: Option<&'a str>,
    /// A piece of its JSON.
    pub arguments: &'a str,
}

/// An event in the words of its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// Its name.
    pub event: &'a str,
    /// Its data.
    pub data: &'a str,
}

/// One whole event, the same for every dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEvent<'a> {
    /// The response begins.
    Start,
    /// A piece of the answer.
    Text(TextDelta<'a>),
    /// A piece of the reasoning.
    Reasoning(TextDelta<'a>),
    /// A piece of a tool call.
    ToolCall(ToolDelta<'a>),
    /// Token counts: to be seen, not changed.
    Usage(TokenUsage),
    /// The response ends, for this reason.
    Stop(&'a str),
    /// Anything else.
    Raw(RawEvent<'a>),
}

/// What a filter sends instead; the pipeline puts it into the client's dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emission {
    /// A piece of the answer.
    Text {
        /// Which of the parallel answers.
        choice: u32,
        /// The piece.
        text: String,
    },
    /// A piece of the reasoning.
    Reasoning {
        /// Which of the parallel answers.
        choice: u32,
        /// The piece.
        text: String,
    },
    /// A piece of a tool call.
    ToolCall {
        /// Which of the parallel answers.
        choice: u32,
        /// Which call of it.
        call: u32,
        /// With the first piece of a call.
        name: Option<String>,
        /// A piece of its JSON.
        arguments: String,
    },
}

/// What becomes of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// What is held is sent, then this.
    Pass,
    /// It is left out; what is held stays held.
    Discard,
    /// It is kept back.
    Hold,
    /// These are sent instead of what is held and this.
    Replace(Vec<Emission>),
    /// These are sent instead of what is held, then this.
    InsteadOfHeld(Vec<Emission>),
    /// Some is sent instead of what is held and this, and the rest is held: for what was cut in the middle.
    ReplaceAndHold {
        /// What is sent.
        send: Vec<Emission>,
        /// What is held.
        hold: Emission,
    },
    /// What is held is left out and the response ends in good order, with this reason.
    Finish(String),
    /// What is held is left out, upstream is cancelled and the client told.
    Abort(Rejection),
}

/// A response filter's answer to one batch of events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// One per event in their order; behind [`Step::Finish`] or [`Step::Abort`] there may be none.
    pub steps: Vec<Step>,
    /// What it wants to know with the next batch.
    pub carry: Vec<u8>,
    /// What its rules found.
    pub hits: Vec<Hit>,
}

/// Filters responses. Implemented by the Rhai host and the WASM host. A step function: its memory travels in `carry`,
/// so any instance can serve any stream.
pub trait ResponseFilter: Send + Sync {
    /// Which extension this is.
    fn version(&self) -> &ExtensionVersion;

    /// Which events it wants to see.
    fn interest(&self) -> StreamInterest;

    /// Judges a batch of whole events; `at_end` is true exactly once per stream. Bounds its own time (10 ms). The
    /// answer is checked ([`super::check_batch`]).
    ///
    /// # Errors
    /// It failed, ran out of time, or gave no usable answer; the failure policy of its place decides.
    fn filter_events(
        &self,
        context: &Arc<RequestContext>,
        carry: &[u8],
        events: &[StreamEvent<'_>],
        at_end: bool,
    ) -> Result<Batch, HookError>;
}
