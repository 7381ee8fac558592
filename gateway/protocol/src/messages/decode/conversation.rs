//! The conversation: messages as items. A message with tool calls or their results becomes several items in the
//! order of its blocks.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::blocks::{self, Place};
use crate::turn::{Item, Message, Part, Role, TurnError};
use crate::wire::{Content, Fields, Object};

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<Content<&'a RawValue>>,
    #[serde(default)]
    output_config: Option<TurnConfig>,
}

/// What a message may say about the turn it begins.
#[derive(Deserialize)]
struct TurnConfig {
    #[serde(default)]
    effort: Option<String>,
}

/// The conversation read.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) items: Vec<Item>,
    /// The effort that the turn in progress was asked with. One that stands before an answer belonged to that answer.
    pub(super) effort: Option<String>,
    /// The calls so far, for the results that refer to them.
    calls: HashSet<String>,
}

impl Conversation {
    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Self, TurnError> {
        let messages: Vec<Object<WireMessage<'_>>> =
            fields.get("messages")?.ok_or_else(|| TurnError::missing("messages"))?;
        if messages.is_empty() {
            return Err(TurnError::invalid("messages", "at least one message is required"));
        }
        let mut conversation = Self::default();
        let last = messages.len() - 1;
        for (nth, Object(message)) in messages.into_iter().enumerate() {
            conversation.message(message, nth, nth == last)?;
        }
        Ok(conversation)
    }

    fn message(&mut self, message: WireMessage<'_>, nth: usize, last: bool) -> Result<(), TurnError> {
        let place = Place::root("messages", nth);
        let role = match &*message.role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(TurnError::invalid(place.member("role"), "use `user`, `assistant` or `system`")),
        };
        let content = message.content.ok_or_else(|| TurnError::missing(place.member("content")))?;
        let empty = match &content {
            Content::Text(text) => text.is_empty(),
            Content::Parts(parts) => parts.is_empty(),
        };
        // Claude Code sends system messages that say nothing; an answer in progress may be empty too.
        if empty && role != Role::System && !(last && role == Role::Assistant) {
            return Err(TurnError::invalid(place.member("content"), "must not be empty"));
        }
        if role == Role::Assistant {
            self.effort = None;
        }
        if let Some(effort) = message.output_config.and_then(|config| config.effort) {
            self.effort = Some(effort);
        }
        match content {
            Content::Text(text) => {
                self.flush(role, &mut Vec::from_iter((!empty).then_some(Part::Text(text))))
            }
            Content::Parts(parts) => self.parts(role, &parts, &place)?,
        }
        Ok(())
    }

    fn parts(&mut self, role: Role, parts: &[&RawValue], place: &Place<'_>) -> Result<(), TurnError> {
        let mut open = Vec::new();
        for (nth, raw) in parts.iter().enumerate() {
            let place = place.child(nth);
            let kind = blocks::kind(raw, &place)?;
            let item = match (&*kind, role) {
                ("tool_result", Role::User) => {
                    let output = blocks::tool_result(raw, &place)?;
                    if !self.calls.contains(&output.call_id) {
                        let why = "no earlier `tool_use` block has this id; send the whole conversation";
                        return Err(TurnError::invalid(place.member("tool_use_id"), why));
                    }
                    Item::ToolOutput(output)
                }
                ("tool_use", Role::Assistant) => {
                    let call = blocks::tool_use(raw, &place)?;
                    self.calls.insert(call.id.clone());
                    Item::ToolCall(call)
                }
                ("thinking", Role::Assistant) => Item::Reasoning(blocks::thinking(raw, &place)?),
                ("redacted_thinking", Role::Assistant) => Item::Reasoning(blocks::redacted(raw, &place)?),
                ("tool_result" | "tool_use" | "thinking" | "redacted_thinking", _) => {
                    let why = format!("a `{kind}` block cannot stand in a message of this role");
                    return Err(TurnError::invalid(place.member("type"), why));
                }
                _ => {
                    open.push(blocks::part(&kind, raw, &place)?);
                    continue;
                }
            };
            self.flush(role, &mut open);
            self.items.push(item);
        }
        self.flush(role, &mut open);
        Ok(())
    }

    fn flush(&mut self, role: Role, open: &mut Vec<Part>) {
        if !open.is_empty() {
            let parts = std::mem::take(open);
            self.items.push(Item::Message(Message { role, parts, name: None }));
        }
    }
}
