//! Edits of a request: other texts, fewer or more messages, other members at the top. Bytes that no edit names stay.

use serde_json::json;

use super::prompt::{PromptTexts, Speaker, names};
use super::splice::{Splice, elements, place, quoted, spliced};
use crate::json::Members;
use crate::turn::Dialect;

/// One edit. Messages and segments are counted as they were read, before any edit.
#[derive(Debug, Clone, Copy)]
pub enum TextEdit<'a> {
    /// Another text for a segment.
    Replace {
        /// Its place among the segments.
        segment: usize,
        /// The new text.
        text: &'a str,
    },
    /// A message less.
    Remove(u32),
    /// A message more.
    Insert {
        /// The message it goes before; their number puts it at the end.
        before: u32,
        /// Who speaks.
        speaker: Speaker,
        /// What.
        text: &'a str,
    },
    /// A member at the top: other JSON, or nothing.
    Field {
        /// Its name.
        name: &'a str,
        /// Its JSON; `None` takes it out.
        value: Option<&'a str>,
    },
}

impl PromptTexts<'_> {
    /// The body with these edits. `None` when it cannot be put together, which is a mistake of ours.
    #[must_use]
    pub fn edited(&self, edits: &[TextEdit<'_>]) -> Option<Vec<u8>> {
        let mut splices: Vec<Splice> = Vec::new();
        for edit in edits {
            if let TextEdit::Replace { segment, text } = edit {
                let segment = self.segments.get(*segment)?;
                // The last one counts, as for any member.
                splices.retain(|(at, _)| *at != segment.at);
                splices.push((segment.at.clone(), quoted(text)));
            }
        }
        let is_rebuilt =
            edits.iter().any(|edit| matches!(edit, TextEdit::Remove(_) | TextEdit::Insert { .. }));
        if let Some(list) = self.list.filter(|_| is_rebuilt) {
            let at = place(self.body, list)?;
            let rebuilt = self.list_with(edits, &splices)?;
            splices.retain(|(one, _)| !(at.start <= one.start && one.end <= at.end));
            splices.push((at, rebuilt));
        }
        let body = spliced(self.body, splices);
        let tops = self.tops(edits);
        if tops.is_empty() {
            return Some(body.into_bytes());
        }
        let mut members = Members::read(body.as_bytes()).ok()?;
        for top in tops {
            match top {
                Top::Set(name, value) => members.set(name, value),
                Top::Take(name) => drop(members.remove(name)),
                Top::Before(name, text) => {
                    let joined = before_system(self.dialect, members.get(name), text);
                    members.set(name, joined);
                }
            }
        }
        Some(members.write())
    }

    /// The list of messages, with those that were put in and without those that were taken out.
    fn list_with(&self, edits: &[TextEdit<'_>], splices: &[Splice]) -> Option<String> {
        let first = u32::from(self.has_system);
        let mut out: Vec<String> = Vec::with_capacity(self.entries.len() + 4);
        let put_in = |before: u32, out: &mut Vec<String>| {
            for edit in edits {
                if let TextEdit::Insert { before: at, speaker, text } = edit
                    && (*at).max(first) == before
                    && !self.goes_outside(*at, *speaker)
                {
                    out.push(message(self.dialect, *speaker, text));
                }
            }
        };
        for (number, entry) in (first..).zip(&self.entries) {
            put_in(number, &mut out);
            if edits.iter().any(|edit| matches!(edit, TextEdit::Remove(gone) if *gone == number)) {
                continue;
            }
            let within = place(self.body, entry)?;
            let own: Vec<Splice> = splices
                .iter()
                .filter(|(at, _)| within.start <= at.start && at.end <= within.end)
                .map(|(at, new)| (at.start - within.start..at.end - within.start, new.clone()))
                .collect();
            let entry = spliced(entry, own);
            // A prompt that is one text becomes the message that it stands for.
            out.push(if entry.starts_with('"') {
                format!(r#"{{"type":"message","role":"user","content":{entry}}}"#)
            } else {
                entry
            });
        }
        put_in(self.messages().max(first), &mut out);
        Some(format!("[{}]", out.join(",")))
    }

    /// Whether a message belongs outside of the conversation.
    fn goes_outside(&self, before: u32, speaker: Speaker) -> bool {
        let is_system = matches!(speaker, Speaker::System | Speaker::Developer);
        match self.dialect {
            Dialect::OpenAiChat => false,
            Dialect::OpenAiResponses => is_system && before == 0,
            // It takes no such message anywhere else.
            Dialect::AnthropicMessages => is_system,
        }
    }

    fn tops<'e>(&self, edits: &[TextEdit<'e>]) -> Vec<Top<'e>> {
        let (system, _) = names(self.dialect);
        let mut tops = Vec::new();
        for edit in edits {
            match edit {
                TextEdit::Field { name, value: Some(value) } => tops.push(Top::Set(name, value)),
                TextEdit::Field { name, value: None } => tops.push(Top::Take(name)),
                TextEdit::Remove(0) if self.has_system => tops.push(Top::Take(system)),
                TextEdit::Insert { before, speaker, text } if self.goes_outside(*before, *speaker) => {
                    tops.push(Top::Before(system, text));
                }
                TextEdit::Replace { .. } | TextEdit::Remove(_) | TextEdit::Insert { .. } => {}
            }
        }
        tops
    }
}

/// A change of a member at the top.
enum Top<'a> {
    Set(&'a str, &'a str),
    Take(&'a str),
    /// A text goes before what stands there.
    Before(&'a str, &'a str),
}

fn before_system(dialect: Dialect, there: Option<&str>, text: &str) -> String {
    let there = there.filter(|value| !matches!(*value, "null" | "\"\""));
    match (dialect, there) {
        (_, None) => quoted(text),
        (Dialect::AnthropicMessages, Some(there)) => {
            let mut blocks = vec![json!({"type": "text", "text": text}).to_string()];
            if there.starts_with('"') {
                blocks.push(format!(r#"{{"type":"text","text":{there}}}"#));
            } else {
                blocks.extend(elements(there).into_iter().map(str::to_owned));
            }
            format!("[{}]", blocks.join(","))
        }
        (_, Some(there)) => {
            let there = super::splice::unquoted(there).unwrap_or_default();
            quoted(&format!("{text}\n\n{there}"))
        }
    }
}

fn message(dialect: Dialect, speaker: Speaker, text: &str) -> String {
    let role = match speaker {
        Speaker::System => "system",
        Speaker::Developer => "developer",
        Speaker::Assistant => "assistant",
        // A tool's result would need the call it belongs to.
        Speaker::User | Speaker::Tool => "user",
    };
    match dialect {
        Dialect::OpenAiResponses => json!({"type": "message", "role": role, "content": text}),
        Dialect::OpenAiChat | Dialect::AnthropicMessages => json!({"role": role, "content": text}),
    }
    .to_string()
}
