//! A whole answer: the fold of its events.

use super::error::ErrorReport;
use super::event::{BlockStart, Delta, Started, StopReason, TurnEvent, Usage};
use super::request::{Opaque, Reasoning, Sealed, ToolCall};

/// The most that an answer's texts may add up to, in bytes, before the fold gives up.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// A whole answer.
#[derive(Debug, Clone, Default)]
pub struct TurnAnswer {
    /// Who answered.
    pub started: Started,
    /// What, in order of the blocks' beginnings.
    pub blocks: Vec<AnswerBlock>,
    /// Tokens, if told.
    pub usage: Option<Usage>,
    /// Why it ended. `None` while it has not.
    pub stop: Option<StopReason>,
    /// How it failed, if it did.
    pub failure: Option<ErrorReport>,
}

/// One finished block.
#[derive(Debug, Clone)]
pub enum AnswerBlock {
    /// Text.
    Text(String),
    /// A refusal.
    Refusal(String),
    /// Thinking.
    Reasoning(Reasoning),
    /// A call.
    ToolCall(ToolCall),
    /// An item of one dialect.
    Opaque(Opaque),
}

impl AnswerBlock {
    fn begin(start: &BlockStart) -> Self {
        match start {
            BlockStart::Text => Self::Text(String::new()),
            BlockStart::Refusal => Self::Refusal(String::new()),
            BlockStart::Reasoning { id, is_redacted } => Self::Reasoning(Reasoning {
                id: id.clone(),
                is_redacted: *is_redacted,
                ..Reasoning::default()
            }),
            BlockStart::ToolCall { id, name, namespace, kind } => Self::ToolCall(ToolCall {
                id: id.clone(),
                name: name.clone(),
                namespace: namespace.clone(),
                kind: *kind,
                arguments: String::new(),
            }),
            BlockStart::Opaque(item) => Self::Opaque(item.clone()),
        }
    }

    /// Adds what a delta says. One that does not fit the block is ignored.
    fn grow(&mut self, delta: &Delta) {
        match (self, delta) {
            (Self::Text(text) | Self::Refusal(text), Delta::Text(more)) => text.push_str(more),
            (Self::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(more),
            (Self::Reasoning(thought), Delta::Reasoning(more)) => match thought.summary.last_mut() {
                Some(part) => part.push_str(more),
                None => thought.summary.push(more.clone()),
            },
            (Self::Reasoning(thought), Delta::ReasoningPart) => thought.summary.push(String::new()),
            (Self::Reasoning(thought), Delta::ReasoningText(more)) => match thought.text.last_mut() {
                Some(part) => part.push_str(more),
                None => thought.text.push(more.clone()),
            },
            (Self::Reasoning(thought), Delta::Seal(seal)) => thought.sealed = Some(seal.clone()),
            _ => {}
        }
    }
}

/// Folds events into an answer.
#[derive(Debug, Default)]
pub struct Collector {
    answer: TurnAnswer,
    size: usize,
}

impl Collector {
    /// Takes the next event. An answer past [`MAX_ANSWER_BYTES`] fails, and what follows is ignored.
    pub fn take(&mut self, event: &TurnEvent) {
        if self.answer.failure.is_some() {
            return;
        }
        match event {
            TurnEvent::Started(started) => self.answer.started = started.clone(),
            TurnEvent::BlockStart { block, .. } => self.answer.blocks.push(AnswerBlock::begin(block)),
            TurnEvent::Delta { index, delta } => self.grow(*index, delta),
            TurnEvent::BlockEnd { .. } => {}
            TurnEvent::Usage(usage) => self.answer.usage = Some(*usage),
            TurnEvent::Finished(stop) => self.answer.stop = Some(stop.clone()),
            TurnEvent::Failed(report) => self.answer.failure = Some(report.clone()),
        }
    }

    fn grow(&mut self, index: u32, delta: &Delta) {
        self.size = self.size.saturating_add(delta.len());
        if self.size > MAX_ANSWER_BYTES {
            let why = format!("the answer is longer than {MAX_ANSWER_BYTES} bytes; ask for a stream");
            self.answer.failure = Some(ErrorReport::new(super::ErrorKind::Server, why));
            return;
        }
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        if let Some(block) = self.answer.blocks.get_mut(at) {
            block.grow(delta);
        }
    }

    /// What it has come to.
    #[must_use]
    pub const fn answer(&self) -> &TurnAnswer {
        &self.answer
    }

    /// The answer.
    #[must_use]
    pub fn finish(self) -> TurnAnswer {
        self.answer
    }
}

impl Delta {
    /// How many bytes of text it carries.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Reasoning(text) | Self::ReasoningText(text) | Self::Arguments(text) => {
                text.len()
            }
            Self::Seal(Sealed { text, .. }) => text.len(),
            Self::ReasoningPart => 0,
        }
    }

    /// Whether it carries no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
