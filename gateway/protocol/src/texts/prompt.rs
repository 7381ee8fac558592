//! The texts of a request, in the order of its conversation, whatever its dialect. What stands outside of the
//! conversation (`instructions`, `system`) is message 0 when it is there.

use std::borrow::Cow;
use std::ops::Range;

use super::splice::{elements, members, place, text_member, unquoted};
use crate::json::Members;
use crate::turn::Dialect;

/// Texts shown of one request; a body with more goes on without the rest being shown.
const MAX_SEGMENTS: usize = 100_000;
/// How deep the input of a tool is looked into.
const MAX_DEPTH: usize = 32;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
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

impl Speaker {
    pub(super) fn of(role: Option<&str>) -> Self {
        match role {
            Some("system") => Self::System,
            Some("developer") => Self::Developer,
            Some("assistant") => Self::Assistant,
            Some("tool" | "function") => Self::Tool,
            _ => Self::User,
        }
    }
}

/// One text.
#[derive(Debug, Clone)]
pub struct Segment<'a> {
    /// The message it belongs to.
    pub message: u32,
    /// Who speaks.
    pub speaker: Speaker,
    /// What.
    pub text: Cow<'a, str>,
    /// Where its JSON stands in the body.
    pub(super) at: Range<usize>,
}

/// The texts of one body.
#[derive(Debug)]
pub struct PromptTexts<'a> {
    pub(super) dialect: Dialect,
    pub(super) body: &'a str,
    /// In the order of the conversation.
    pub(super) segments: Vec<Segment<'a>>,
    /// What stands outside of the conversation is message 0.
    pub(super) has_system: bool,
    /// Where the list of messages stands.
    pub(super) list: Option<&'a str>,
    /// Its messages; the text itself when it is one.
    pub(super) entries: Vec<&'a str>,
}

impl<'a> PromptTexts<'a> {
    /// Reads a body; `None` when it is no JSON object.
    #[must_use]
    pub fn read(dialect: Dialect, body: &'a [u8]) -> Option<Self> {
        let body = std::str::from_utf8(body).ok()?;
        let top = Members::read(body.as_bytes()).ok()?;
        let mut texts =
            Self { dialect, body, segments: Vec::new(), has_system: false, list: None, entries: Vec::new() };
        let (system, list) = names(dialect);
        if let Some(value) = top.borrowed(system).filter(|value| *value != "null") {
            texts.has_system = true;
            texts.content(0, Speaker::System, value);
        }
        let first = u32::from(texts.has_system);
        texts.list = top.borrowed(list);
        if let Some(list) = texts.list {
            texts.entries = if list.starts_with('"') { vec![list] } else { elements(list) };
        }
        for (message, entry) in (first..).zip(texts.entries.clone()) {
            if entry.starts_with('"') {
                texts.add(message, Speaker::User, entry);
            } else {
                texts.entry(message, entry);
            }
        }
        Some(texts)
    }

    /// Reads the text or the list of texts in one member of a body that is no conversation; `None` when it is no JSON
    /// object.
    #[must_use]
    pub fn read_member(member: &str, body: &'a [u8]) -> Option<Self> {
        let body = std::str::from_utf8(body).ok()?;
        let top = Members::read(body.as_bytes()).ok()?;
        let value = top.borrowed(member);
        let entries = match value {
            Some(text) if text.starts_with('"') => vec![text],
            Some(list) => elements(list),
            None => Vec::new(),
        };
        // Its dialect is that of its errors; it has nothing outside of a conversation.
        let dialect = Dialect::OpenAiChat;
        let mut texts = Self { dialect, body, segments: Vec::new(), has_system: false, list: None, entries };
        for (message, entry) in (0..).zip(texts.entries.clone()) {
            texts.add(message, Speaker::User, entry);
        }
        Some(texts)
    }

    /// In the order of the conversation; their place is their handle.
    #[must_use]
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    /// How many messages there are, those without text included.
    #[must_use]
    pub fn messages(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX).saturating_add(u32::from(self.has_system))
    }

    fn entry(&mut self, message: u32, entry: &'a str) {
        let fields = members(entry);
        let kind = text_member(&fields, "type");
        match (self.dialect, kind.as_deref()) {
            (Dialect::OpenAiResponses, Some(kind)) if kind != "message" => self.item(message, kind, &fields),
            _ => {
                let speaker = Speaker::of(text_member(&fields, "role").as_deref());
                if let Some(content) = fields.borrowed("content") {
                    self.content(message, speaker, content);
                }
                self.chat_extras(message, &fields);
            }
        }
    }

    /// An item of a Responses conversation that is no message.
    fn item(&mut self, message: u32, kind: &str, fields: &Members<'a>) {
        let speaker = if kind.ends_with("_output") { Speaker::Tool } else { Speaker::Assistant };
        for name in ["arguments", "input", "output", "summary", "content"] {
            if let Some(value) = fields.borrowed(name) {
                self.content(message, speaker, value);
            }
        }
    }

    fn chat_extras(&mut self, message: u32, fields: &Members<'a>) {
        if self.dialect != Dialect::OpenAiChat {
            return;
        }
        if let Some(thought) = fields.borrowed("reasoning_content") {
            self.add(message, Speaker::Assistant, thought);
        }
        for call in fields.borrowed("tool_calls").map(elements).unwrap_or_default() {
            let call = members(call);
            for (shape, argument) in [("function", "arguments"), ("custom", "input")] {
                let inner = call.borrowed(shape).map(members).unwrap_or_default();
                if let Some(argument) = inner.borrowed(argument) {
                    self.add(message, Speaker::Assistant, argument);
                }
            }
        }
    }

    /// A text, or a list of parts.
    fn content(&mut self, message: u32, speaker: Speaker, value: &'a str) {
        if value.starts_with('"') {
            return self.add(message, speaker, value);
        }
        for part in elements(value) {
            let fields = members(part);
            match text_member(&fields, "type").as_deref() {
                Some("tool_result") => {
                    if let Some(content) = fields.borrowed("content") {
                        self.content(message, Speaker::Tool, content);
                    }
                }
                Some("tool_use") => {
                    if let Some(input) = fields.borrowed("input") {
                        self.leaves(message, input, MAX_DEPTH);
                    }
                }
                // Thinking is signed: another text would be refused.
                Some("thinking" | "redacted_thinking") => {}
                _ => {
                    for name in ["text", "refusal"] {
                        if let Some(text) = fields.borrowed(name) {
                            self.add(message, speaker, text);
                        }
                    }
                }
            }
        }
    }

    /// Every text inside a tool's input.
    fn leaves(&mut self, message: u32, value: &'a str, depth: usize) {
        if depth == 0 {
            return;
        }
        match value.as_bytes().first() {
            Some(b'"') => self.add(message, Speaker::Assistant, value),
            Some(b'[') => elements(value).into_iter().for_each(|one| self.leaves(message, one, depth - 1)),
            Some(b'{') => {
                let fields = members(value);
                let names: Vec<String> = fields.iter().map(|(name, _)| name.to_owned()).collect();
                for name in names {
                    if let Some(value) = fields.borrowed(&name) {
                        self.leaves(message, value, depth - 1);
                    }
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, message: u32, speaker: Speaker, value: &'a str) {
        if self.segments.len() >= MAX_SEGMENTS {
            return;
        }
        if let (Some(text), Some(at)) =
            (unquoted(value).filter(|text| !text.is_empty()), place(self.body, value))
        {
            self.segments.push(Segment { message, speaker, text, at });
        }
    }
}

/// What stands outside of the conversation, and the conversation.
pub(super) const fn names(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        Dialect::OpenAiResponses => ("instructions", "input"),
        // It has nothing outside; no member is called like this.
        Dialect::OpenAiChat => ("", "messages"),
        Dialect::AnthropicMessages => ("system", "messages"),
    }
}
