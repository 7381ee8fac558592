//! The conversation in the order that the API demands: a user message first, roles in turns, and every call answered
//! in the message right after it.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use super::super::seal::{self, Own};
use super::parts;
use super::wire::{Block, Raw, ResultContent, WireMessage, WireRole};
use crate::turn::{
    Dialect, Dropped, Item, Message, Part, Reasoning, Role, ToolCall, ToolOutput, ToolResult, TurnError,
    TurnRequest,
};

/// Stands before a conversation that begins with the assistant.
const OPENING: &str = "(The conversation begins with the assistant's message.)";
/// Stands for the answer of a call that has none.
const NO_RESULT: &str = "No result was recorded for this call.";

#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) messages: Vec<WireMessage<'a>>,
    /// Calls of the last message that have not been answered: their ids on the wire, and their outputs.
    pending: Vec<(String, Option<&'a ToolOutput>)>,
    ids: Ids,
}

impl<'a> Conversation<'a> {
    pub(super) fn of(request: &'a TurnRequest, dropped: &mut Dropped) -> Result<Self, TurnError> {
        let mut conversation = Self::default();
        for text in &request.instructions {
            conversation.add_system(text);
        }
        let mut pairs = Pairs::of(&request.input);
        for (nth, item) in request.input.iter().enumerate() {
            conversation.item(item, nth, &mut pairs, dropped)?;
        }
        conversation.answer_calls(dropped)?;
        Ok(conversation)
    }

    pub(super) fn add_system(&mut self, text: &'a str) {
        self.system.extend(parts::text_block(text));
    }

    fn item(
        &mut self,
        item: &'a Item,
        nth: usize,
        pairs: &mut Pairs<'a>,
        dropped: &mut Dropped,
    ) -> Result<(), TurnError> {
        match item {
            Item::Message(message) => self.message(message, dropped)?,
            Item::ToolCall(call) => {
                let id = self.ids.wire(&call.id);
                self.push(WireRole::Assistant, tool_use(call, id.clone(), dropped), dropped)?;
                self.pending.push((id, pairs.output_of.remove(&nth)));
            }
            Item::ToolOutput(output) if pairs.is_orphan(nth) => {
                dropped.note("tool outputs without their call: sent as text");
                let text = format!("[Result of call {}]\n{}", output.call_id, output.result.text());
                self.push(WireRole::User, Block::Text { text: Cow::Owned(text) }, dropped)?;
            }
            // It stands beside its call. One that comes later than the message after it was written there already.
            Item::ToolOutput(_) => self.answer_calls(dropped)?,
            Item::Reasoning(reasoning) => {
                if let Some(block) = thinking(reasoning, dropped) {
                    self.push(WireRole::Assistant, block, dropped)?;
                }
            }
            Item::Opaque(opaque) if opaque.dialect == Dialect::AnthropicMessages => {
                self.push(WireRole::Assistant, Block::Opaque(&opaque.raw), dropped)?;
            }
            Item::Opaque(opaque) => {
                dropped.note(format!("`{}` items: no counterpart in anthropic-messages", opaque.kind));
            }
        }
        Ok(())
    }

    fn message(&mut self, message: &'a Message, dropped: &mut Dropped) -> Result<(), TurnError> {
        if message.name.is_some() {
            dropped.note("name: messages have no names in anthropic-messages");
        }
        let role = match message.role {
            Role::System | Role::Developer => {
                self.system_parts(&message.parts, dropped);
                return Ok(());
            }
            Role::User => WireRole::User,
            Role::Assistant => WireRole::Assistant,
        };
        for part in &message.parts {
            if let Some(block) = parts::block(part, role, dropped)? {
                self.push(role, block, dropped)?;
            }
        }
        Ok(())
    }

    /// All system text is collected outside the conversation: not every model takes it inside, and as a user's text
    /// it would lose its authority.
    fn system_parts(&mut self, parts: &'a [Part], dropped: &mut Dropped) {
        if !self.messages.is_empty() {
            dropped.note("system messages inside the conversation: moved to its beginning");
        }
        for part in parts {
            match part {
                Part::Text(text) => self.add_system(text),
                _ => dropped.note("system messages: parts that are not text"),
            }
        }
    }

    fn push(&mut self, role: WireRole, block: Block<'a>, dropped: &mut Dropped) -> Result<(), TurnError> {
        if role == WireRole::User {
            self.answer_calls(dropped)?;
        }
        self.append(role, block);
        Ok(())
    }

    fn append(&mut self, role: WireRole, block: Block<'a>) {
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.content.push(block),
            _ => self.messages.push(WireMessage { role, content: vec![block] }),
        }
    }

    /// Writes the answers of all calls that wait for one.
    fn answer_calls(&mut self, dropped: &mut Dropped) -> Result<(), TurnError> {
        for (tool_use_id, output) in std::mem::take(&mut self.pending) {
            let (content, is_error) = match output {
                Some(output) => (result(output, dropped)?, output.is_error),
                None => {
                    dropped.note("calls without an output: answered with an error");
                    (ResultContent::Text(Cow::Borrowed(NO_RESULT)), true)
                }
            };
            self.append(WireRole::User, Block::ToolResult { tool_use_id, content, is_error });
        }
        Ok(())
    }

    /// Mends what the API refuses about the conversation as a whole.
    pub(super) fn make_sendable(&mut self, dropped: &mut Dropped) -> Result<(), TurnError> {
        if self.messages.is_empty() {
            if self.system.is_empty() {
                return Err(TurnError::unsupported("input", "there is nothing to answer; send a message"));
            }
            dropped.note("system text alone: sent as the user's message");
            let content = std::mem::take(&mut self.system);
            self.messages.push(WireMessage { role: WireRole::User, content });
        }
        if self.messages.first().is_some_and(|first| first.role == WireRole::Assistant) {
            dropped.note("an assistant message first: a user message was put before it");
            let content = vec![Block::Text { text: Cow::Borrowed(OPENING) }];
            self.messages.insert(0, WireMessage { role: WireRole::User, content });
        }
        if let Some(last) = self.messages.last_mut()
            && last.role == WireRole::Assistant
            && let Some(Block::Text { text }) = last.content.last_mut()
        {
            // An answer to go on with must not end in white space.
            let end = text.trim_end().len();
            match text {
                Cow::Borrowed(borrowed) => *borrowed = borrowed.get(..end).unwrap_or(borrowed),
                Cow::Owned(owned) => owned.truncate(end),
            }
        }
        Ok(())
    }

    /// Whether the conversation ends in tool results whose calls began without thinking.
    pub(super) fn resumes_tools(&self) -> bool {
        let [.., calls, results] = self.messages.as_slice() else { return false };
        matches!(results.content.first(), Some(Block::ToolResult { .. }))
            && !matches!(calls.content.first(), Some(Block::Thinking { .. } | Block::RedactedThinking { .. }))
    }
}

fn tool_use<'a>(call: &'a ToolCall, id: String, dropped: &mut Dropped) -> Block<'a> {
    let arguments = call.json_arguments();
    let input = Raw::object(arguments).unwrap_or_else(|| {
        dropped.note("arguments that are not a JSON object: wrapped in one");
        Raw::wrapped(arguments)
    });
    Block::ToolUse { id, name: &call.name, input }
}

/// Only what this provider has sealed may go back to it.
fn thinking<'a>(reasoning: &'a Reasoning, dropped: &mut Dropped) -> Option<Block<'a>> {
    let signature = match reasoning.sealed.as_ref().and_then(seal::for_upstream) {
        Some(Own::Data(data)) => return Some(Block::RedactedThinking { data: Cow::Borrowed(data) }),
        Some(Own::Signature(signature)) => Cow::Borrowed(signature),
        None => {
            dropped.note("reasoning: not sealed by this provider");
            return None;
        }
    };
    let thinking = match reasoning.summary.as_slice() {
        [one] => Cow::Borrowed(one.as_str()),
        several => Cow::Owned(several.join("\n\n")),
    };
    Some(Block::Thinking { thinking, signature })
}

fn result<'a>(output: &'a ToolOutput, dropped: &mut Dropped) -> Result<ResultContent<'a>, TurnError> {
    Ok(match &output.result {
        ToolResult::Text(text) => ResultContent::Text(Cow::Borrowed(text)),
        ToolResult::Parts(parts) => {
            let mut blocks = Vec::with_capacity(parts.len());
            for part in parts {
                blocks.extend(parts::block(part, WireRole::User, dropped)?);
            }
            ResultContent::Blocks(blocks)
        }
    })
}

/// Which output answers which call. Ids may come again in a later turn, so each output takes the oldest open call.
struct Pairs<'a> {
    output_of: HashMap<usize, &'a ToolOutput>,
    orphans: Vec<usize>,
}

impl<'a> Pairs<'a> {
    fn of(items: &'a [Item]) -> Self {
        let mut open: HashMap<&str, VecDeque<usize>> = HashMap::new();
        let mut pairs = Self { output_of: HashMap::new(), orphans: Vec::new() };
        for (nth, item) in items.iter().enumerate() {
            match item {
                Item::ToolCall(call) => open.entry(&call.id).or_default().push_back(nth),
                Item::ToolOutput(output) => {
                    match open.get_mut(output.call_id.as_str()).and_then(VecDeque::pop_front) {
                        Some(call) => drop(pairs.output_of.insert(call, output)),
                        None => pairs.orphans.push(nth),
                    }
                }
                _ => {}
            }
        }
        pairs
    }

    fn is_orphan(&self, nth: usize) -> bool {
        self.orphans.binary_search(&nth).is_ok()
    }
}

/// Ids of calls that the API takes: letters, digits, `_` and `-`, each once.
#[derive(Debug, Default)]
struct Ids {
    used: HashMap<String, u32>,
}

impl Ids {
    fn wire(&mut self, id: &str) -> String {
        let clean = super::super::ids::tool_use_id(id);
        let times = self.used.entry(clean.clone()).or_default();
        *times += 1;
        if *times == 1 {
            return clean;
        }
        // `a` twice beside a real `a_2`: look for the next that is free.
        let mut nth = *times;
        loop {
            let next = format!("{clean}_{nth}");
            if !self.used.contains_key(&next) {
                self.used.insert(next.clone(), 1);
                self.used.insert(clean, nth);
                return next;
            }
            nth += 1;
        }
    }
}
