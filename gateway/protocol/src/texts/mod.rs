//! The texts inside requests and answers of every dialect, for those that inspect or change them: read by handle,
//! changed in place. What is not changed keeps its bytes.
//!
//! - [`PromptTexts`]: the texts of a request body and edits of it.
//! - [`Retell`]: a client's stream as what it says, event by event, and the same stream again when texts of it were
//!   changed, so that its totals agree.
//! - [`AnswerTexts`]: the texts of a whole answer.
//!
//! Refuses: judging a text, and everything that is not a text of the conversation (pictures, schemas, sealed thinking).

mod answer;
mod chat_chunk;
mod edit;
mod ending;
mod prompt;
mod retarget;
mod retell;
mod shown;
mod splice;
mod totals;
mod wishes;

pub use answer::AnswerTexts;
pub use edit::TextEdit;
pub use prompt::{PromptTexts, Segment, Speaker};
pub use retarget::retarget;
pub use retell::{MAX_TOLD_BYTES, Retell, Words};
pub use shown::{Said, Shown};
pub use wishes::Wishes;

/// Which of an answer's texts: what kind, of which item or parallel answer, and which part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) kind: TextKind,
    /// Which of the parallel answers or output items.
    pub(crate) choice: u32,
    /// Which call of it, or which part.
    pub(crate) part: u32,
}

/// The kinds of texts of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum TextKind {
    /// For the user.
    Answer,
    /// A summary of the thinking, or all of it.
    Thinking,
    /// The whole chain of the thinking, where it is told beside the summary.
    Chain,
    /// What a tool is called with.
    Arguments,
}

#[cfg(test)]
mod tests;
