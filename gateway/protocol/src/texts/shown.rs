//! One event of a client's stream as what it says, and its bytes.

use bytes::Bytes;
use gateway_domain::TokenUsage;

use super::{Place, TextKind};
use crate::sse::EventLines;

/// What an event says, the same for every dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// The answer begins.
    Start,
    /// A piece of the answer.
    Text {
        /// Which of the parallel answers or output items.
        choice: u32,
        /// The piece.
        text: &'a str,
    },
    /// A piece of the thinking.
    Thinking {
        /// Which of the parallel answers or output items.
        choice: u32,
        /// The piece.
        text: &'a str,
    },
    /// A piece of a tool call.
    Tool {
        /// Which of the parallel answers or output items.
        choice: u32,
        /// Which call of it.
        call: u32,
        /// With the first piece.
        name: Option<&'a str>,
        /// A piece of its arguments.
        arguments: &'a str,
    },
    /// Tokens so far.
    Usage(TokenUsage),
    /// It ends, for this reason.
    Stop(&'a str),
    /// Anything else, in the words of its dialect.
    Other {
        /// The event's name.
        event: &'a str,
        /// Its data.
        data: &'a str,
    },
}

/// One event, or one of several things that one event says.
#[derive(Debug, Clone)]
pub struct Shown {
    /// As it came, its closing empty line included; empty when another one carries the bytes.
    pub(super) raw: Bytes,
    pub(super) what: What,
    /// The event that it is a part of.
    pub(super) group: Option<Group>,
}

/// A part of an event that says several things.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// The event as it came.
    pub(super) whole: Bytes,
    pub(super) at: usize,
    pub(super) of: usize,
}

fn text(bytes: Option<&[u8]>) -> &str {
    bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Start,
    Delta {
        place: Place,
        name: Option<String>,
        text: String,
    },
    Usage(TokenUsage),
    Stop(String),
    /// It repeats texts or the model's name; both may have to be told otherwise.
    Repeats,
    Other,
    /// Keeps the connection busy; says nothing to anybody.
    Noise,
}

impl Shown {
    pub(super) fn of(raw: Bytes, what: What) -> Self {
        Self { raw, what, group: None }
    }

    /// What it says.
    #[must_use]
    pub fn said(&self) -> Said<'_> {
        match &self.what {
            What::Start => Said::Start,
            What::Delta { place, name, text } => match place.kind {
                TextKind::Answer => Said::Text { choice: place.choice, text },
                TextKind::Thinking | TextKind::Chain => Said::Thinking { choice: place.choice, text },
                TextKind::Arguments => Said::Tool {
                    choice: place.choice,
                    call: place.part,
                    name: name.as_deref(),
                    arguments: text,
                },
            },
            What::Usage(usage) => Said::Usage(*usage),
            What::Stop(reason) => Said::Stop(reason),
            What::Repeats | What::Other | What::Noise => {
                let lines = EventLines::read(&self.raw);
                Said::Other { event: text(lines.name), data: text(lines.data) }
            }
        }
    }

    /// Whether it says nothing to anybody.
    #[must_use]
    pub fn is_noise(&self) -> bool {
        self.what == What::Noise
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.raw.len()
    }
}
