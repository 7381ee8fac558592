//! Words for what filters answer.

use crate::{BatchResult, Body, Edit, Emission, Hit, Outcome, Rejection, Step, TextPart, Verdict};

impl Outcome {
    /// Nothing to say.
    pub const PASS: Self = Self { verdict: Verdict::Pass, carry: Vec::new(), hits: Vec::new() };

    /// Change the prompt; nothing to change is nothing to say.
    #[must_use]
    pub fn edits(edits: Vec<Edit>) -> Self {
        let verdict = if edits.is_empty() { Verdict::Pass } else { Verdict::Edits(edits) };
        Self { verdict, ..Self::PASS }
    }

    /// Refuse it, with a code for programs and a sentence for people.
    #[must_use]
    pub fn refuse(http_status: u16, code: &str, message: &str) -> Self {
        let verdict = Verdict::Refuse(Rejection {
            http_status,
            code: code.to_owned(),
            message: message.to_owned(),
            retry_after_ms: None,
        });
        Self { verdict, ..Self::PASS }
    }

    /// The same with what the rules found.
    #[must_use]
    pub fn with_hits(self, hits: Vec<Hit>) -> Self {
        Self { hits, ..self }
    }

    /// The same with something for the response filter of the same plugin.
    #[must_use]
    pub fn carrying(self, carry: Vec<u8>) -> Self {
        Self { carry, ..self }
    }
}

impl Body {
    /// The texts of a prompt; none when it is not shown as texts.
    #[must_use]
    pub fn parts(&self) -> &[TextPart] {
        match self {
            Self::Parts(parts) => parts,
            Self::Absent | Self::RawJson(_) => &[],
        }
    }
}

impl Hit {
    /// A rule that is sure, found in a part of a prompt.
    #[must_use]
    pub fn in_part(rule: &str, score: f64, part: u32) -> Self {
        Self { rule: rule.to_owned(), score, part: Some(part) }
    }
}

impl BatchResult {
    /// These steps, and this to remember.
    #[must_use]
    pub fn of(steps: Vec<Step>, carry: Vec<u8>) -> Self {
        Self { steps, carry, hits: Vec::new() }
    }
}

impl Emission {
    /// A piece of the answer.
    #[must_use]
    pub fn text(choice: u32, text: impl Into<String>) -> Self {
        Self::Text(crate::TextDelta { choice, text: text.into() })
    }
}
