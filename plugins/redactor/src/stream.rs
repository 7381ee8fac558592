//! Puts the originals back while an answer streams. A placeholder may arrive in pieces, so what may be the beginning of
//! one is held until it is complete or turns out to be something else.

use serde::{Deserialize, Serialize};
use switchyard_plugin_sdk::{BatchResult, Emission, Partial, Step, StreamEvent, TextDelta, ToolDelta};

use crate::vault::Vault;

/// What the next events must know.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Notes {
    pub(crate) vault: Vault,
    pub(crate) pending: Option<Pending>,
}

/// What is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    channel: Channel,
    text: String,
    /// That of the tool, when its first piece is held.
    name: Option<String>,
}

/// Texts that stream beside each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Channel {
    Text(u32),
    Reasoning(u32),
    Tool(u32, u32),
}

impl Notes {
    fn from_carry(carry: &[u8]) -> Option<Self> {
        serde_json::from_slice(carry).ok()
    }

    pub(crate) fn to_carry(&self) -> Vec<u8> {
        // Strings and numbers always become JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// One step for each event.
pub(crate) fn restore(carry: Vec<u8>, events: &[StreamEvent]) -> BatchResult {
    let all_pass = || events.iter().map(|_| Step::Pass).collect();
    let Some(notes) = Notes::from_carry(&carry).filter(|notes| !notes.vault.is_empty()) else {
        return BatchResult::of(all_pass(), carry);
    };
    let mut restorer = Restorer { names: notes.vault.names(), pending: notes.pending };
    let steps: Vec<Step> = events.iter().map(|event| restorer.step(event)).collect();
    let pending = restorer.pending;
    BatchResult::of(steps, Notes { vault: notes.vault, pending }.to_carry())
}

struct Restorer<'a> {
    names: Vec<(String, &'a str)>,
    pending: Option<Pending>,
}

impl Restorer<'_> {
    fn step(&mut self, event: &StreamEvent) -> Step {
        let Some((channel, text, name)) = piece(event) else {
            // Not text: what is held goes first, as it came.
            self.pending = None;
            return Step::Pass;
        };
        let (other, held) = match self.pending.take() {
            Some(held) if held.channel == channel => (None, Some(held)),
            other => (other, None),
        };
        let whole = Pending {
            text: held.as_ref().map_or("", |held| &held.text).to_owned() + text,
            name: held.and_then(|held| held.name).or_else(|| name.map(str::to_owned)),
            channel,
        };
        let cut = self.cut(&whole.text);
        if cut == 0 && other.is_none() {
            self.pending = Some(whole);
            return Step::Hold;
        }
        let (complete, rest) = whole.text.split_at_checked(cut).unwrap_or((&whole.text, ""));
        let restored = self.restored(&whole.channel, complete);
        if restored.is_none() && rest.is_empty() {
            // What is held of this text or of another one goes out before it, as it came.
            return Step::Pass;
        }
        let complete = restored.unwrap_or_else(|| complete.to_owned());
        let mut send: Vec<Emission> = other.map(Pending::into_emission).into_iter().collect();
        if rest.is_empty() {
            send.push(Pending { text: complete, ..whole }.into_emission());
            return Step::Replace(send);
        }
        let mut rest = Pending { text: rest.to_owned(), ..whole.clone() };
        if !complete.is_empty() {
            rest.name = None;
            send.push(Pending { text: complete, ..whole }.into_emission());
        }
        self.pending = Some(rest.clone());
        Step::ReplaceAndHold(Partial { send, hold: rest.into_emission() })
    }

    /// The text with originals; nothing when there is no placeholder in it.
    fn restored(&self, channel: &Channel, text: &str) -> Option<String> {
        let mut rest = text;
        let mut restored = String::new();
        while let Some(at) = rest.find("[[") {
            let (before, behind) = rest.split_at(at);
            restored.push_str(before);
            let name = self.names.iter().find(|(name, _)| behind.starts_with(name.as_str()));
            let taken = match name {
                Some((name, original)) => {
                    restored.push_str(&fitting(channel, original));
                    name.len()
                }
                None => {
                    restored.push('[');
                    1
                }
            };
            rest = behind.get(taken..).unwrap_or_default();
        }
        restored.push_str(rest);
        (restored != text).then_some(restored)
    }

    /// Where the beginning of a placeholder may stand whose end is still to come; the text's length when nowhere.
    fn cut(&self, text: &str) -> usize {
        let longest = self.names.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let may_begin = |at: &usize| {
            let end = text.as_bytes().get(*at..).unwrap_or_default();
            self.names.iter().any(|(name, _)| name.len() > end.len() && name.as_bytes().starts_with(end))
        };
        (text.len().saturating_sub(longest)..text.len()).find(may_begin).unwrap_or(text.len())
    }
}

/// Inside the JSON of a tool's arguments an original is written as JSON.
fn fitting(channel: &Channel, original: &str) -> String {
    match channel {
        Channel::Text(_) | Channel::Reasoning(_) => original.to_owned(),
        Channel::Tool(..) => {
            let quoted = serde_json::to_string(original).unwrap_or_default();
            quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned()
        }
    }
}

/// A piece of a text: of which, what, and the name of the tool.
fn piece(event: &StreamEvent) -> Option<(Channel, &str, Option<&str>)> {
    match event {
        StreamEvent::Text(delta) => Some((Channel::Text(delta.choice), &delta.text, None)),
        StreamEvent::Reasoning(delta) => Some((Channel::Reasoning(delta.choice), &delta.text, None)),
        StreamEvent::ToolCall(delta) => {
            Some((Channel::Tool(delta.choice, delta.call), &delta.arguments, delta.name.as_deref()))
        }
        StreamEvent::Start | StreamEvent::Usage(_) | StreamEvent::Stop(_) | StreamEvent::Raw(_) => None,
    }
}

impl Pending {
    fn into_emission(self) -> Emission {
        let Self { channel, text, name } = self;
        match channel {
            Channel::Text(choice) => Emission::Text(TextDelta { choice, text }),
            Channel::Reasoning(choice) => Emission::Reasoning(TextDelta { choice, text }),
            Channel::Tool(choice, call) => {
                Emission::ToolCall(ToolDelta { choice, call, name, arguments: text })
            }
        }
    }
}

#[cfg(test)]
mod tests;
