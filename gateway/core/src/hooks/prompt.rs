//! The hook `filter-request`: inspect or change a prompt before an account is chosen.

use std::borrow::Cow;
use std::sync::Arc;

use gateway_scheduler::Rejection;

use super::{ExtensionVersion, HookError, RequestContext};

/// How much of a prompt a filter is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum BodyView {
    /// Nothing: the prompt is not even taken apart.
    #[default]
    None,
    /// The texts, the same for every dialect.
    TextParts,
    /// The body as it came.
    RawJson,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Whoever set the conversation up.
    System,
    /// The same, in newer dialects.
    Developer,
    /// The caller.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

impl Role {
    /// The word used in scripts and dialects.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One text of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPart<'a> {
    /// The handle that edits use; valid for this call.
    pub part: u32,
    /// The message it belongs to, counted from 0.
    pub message: u32,
    /// Who speaks.
    pub role: Role,
    /// What.
    pub text: Cow<'a, str>,
}

/// A prompt as its filter asked to see it.
#[derive(Debug, Clone, Copy)]
pub enum PromptBody<'a> {
    /// Not at all.
    Absent,
    /// Its texts, and how many messages there are.
    Parts {
        /// In the order of the conversation.
        parts: &'a [TextPart<'a>],
        /// Messages without text count too.
        messages: u32,
    },
    /// Its bytes.
    RawJson(&'a [u8]),
}

/// A message to put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insertion {
    /// Counted before any edit; the number of messages puts it at the end.
    pub before_message: u32,
    /// Who speaks.
    pub role: Role,
    /// What.
    pub text: String,
}

/// One change of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Another text for a part.
    ReplaceText {
        /// Its handle.
        part: u32,
        /// The new text.
        text: String,
    },
    /// The message at this place, counted before any edit.
    RemoveMessage(u32),
    /// A new message.
    Insert(Insertion),
    /// A member at the top of the body: other JSON, or nothing.
    SetField {
        /// Its name.
        name: String,
        /// Checked JSON; `None` removes it.
        value_json: Option<String>,
    },
    /// A header for the upstream.
    SetHeader {
        /// In lower case.
        name: String,
        /// Its value.
        value: String,
    },
    /// A tag for the decision record and for policies.
    SetTag {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
}

/// What becomes of the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterVerdict {
    /// It goes on unchanged.
    Pass,
    /// It goes on with these changes.
    Edits(Vec<Edit>),
    /// It goes on as this body; only after [`BodyView::RawJson`].
    ReplaceRaw(Vec<u8>),
    /// The client gets this text; nothing goes upstream.
    Answer(String),
    /// The client is told why not.
    Refuse(Rejection),
}

/// Something a rule found. It names the rule and never holds text of a prompt or a response: it is logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// `[a-z0-9._-]`, at most 64 characters.
    pub rule: String,
    /// How sure the rule is, 0.0..=1.0.
    pub score: f64,
    /// Which part of the prompt.
    pub part: Option<u32>,
}

/// A request filter's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterOutcome {
    /// What becomes of the prompt.
    pub verdict: FilterVerdict,
    /// Handed to [`super::ResponseFilter`] of the same extension for the same request.
    pub carry: Vec<u8>,
    /// What its rules found.
    pub hits: Vec<Hit>,
}

impl FilterOutcome {
    /// Nothing to say.
    pub const PASS: Self = Self { verdict: FilterVerdict::Pass, carry: Vec::new(), hits: Vec::new() };
}

/// Filters prompts. Implemented by the Rhai host and the WASM host.
pub trait PromptFilter: Send + Sync {
    /// Which extension this is.
    fn version(&self) -> &ExtensionVersion;

    /// What it wants to see.
    fn view(&self) -> BodyView;

    /// Judges one prompt. Bounds its own time: 25 ms and 1 ms for each 64 KiB. The answer is checked
    /// ([`super::check_outcome`]).
    ///
    /// # Errors
    /// It failed, ran out of time, or gave no usable answer; the failure policy of its place decides.
    fn filter_request(
        &self,
        context: &Arc<RequestContext>,
        body: PromptBody<'_>,
    ) -> Result<FilterOutcome, HookError>;
}
