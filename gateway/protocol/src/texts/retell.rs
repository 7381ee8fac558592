//! A client's stream told again: what was left alone goes out in its own bytes, what was changed in the form of the
//! event it took the place of, and the totals at the end say what was really told.

use std::collections::{BTreeMap, HashMap};

use bytes::{Bytes, BytesMut};
use gateway_domain::TokenUsage;

use super::chat_chunk;
use super::ending::EndReason;
use super::shown::{Group, Shown, What};
use super::splice::{members, number_member, quoted, spliced, text_member, written};
use super::totals::{self, literals, model_of};
use super::{Place, TextKind};
use crate::sse::{EventLines, SseFramer, event};
use crate::turn::Dialect;

/// The most that the texts of one answer may add up to; it is an answer of hours.
pub const MAX_TOLD_BYTES: usize = 64 * 1024 * 1024;

/// Something to be told instead of what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words<'a> {
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
        /// Whether it is the first piece of the call.
        is_first: bool,
        /// The piece.
        arguments: &'a str,
    },
}

/// One text of the answer.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What came of it, in bytes.
    came: usize,
    /// What was told of it.
    pub(super) sent: String,
    /// Whether some of it was written here.
    is_written: bool,
    /// The last event that carried a piece of it: the form of what takes its place.
    form: Bytes,
    /// The event that began it, when that carried a piece and more besides.
    first_form: Option<Bytes>,
}

impl Told {
    fn is_changed(&self) -> bool {
        self.is_written || self.came != self.sent.len()
    }
}

/// Reads a stream and tells it again.
#[derive(Debug)]
pub struct Retell {
    pub(super) dialect: Dialect,
    /// What the model is to be called.
    model: Option<String>,
    pub(super) texts: BTreeMap<Place, Told>,
    /// The part of each text that is being told.
    current: HashMap<(TextKind, u32), Place>,
    /// Tools whose first piece is still to come.
    names: HashMap<u32, String>,
    /// The event that began the answer, or its last chunk.
    pub(super) head: Bytes,
    /// Items or blocks that began and did not end yet, as they began.
    pub(super) open: BTreeMap<u32, String>,
    /// Items that ended, as they were told.
    pub(super) done: BTreeMap<u32, String>,
    /// The last number of an event that went out.
    pub(super) number: u64,
    /// Why the answer ended early, if it did.
    pub(super) ended: Option<EndReason>,
    told_bytes: usize,
    pending: Vec<(Group, Bytes)>,
}

impl Retell {
    /// For a stream of this dialect; `model` takes the place of the model's name.
    #[must_use]
    pub fn new(dialect: Dialect, model: Option<String>) -> Self {
        Self {
            dialect,
            model,
            texts: BTreeMap::new(),
            current: HashMap::new(),
            names: HashMap::new(),
            head: Bytes::new(),
            open: BTreeMap::new(),
            done: BTreeMap::new(),
            number: 0,
            ended: None,
            told_bytes: 0,
            pending: Vec::new(),
        }
    }

    /// Takes whole events and says what each of them says.
    pub fn read(&mut self, events: &Bytes) -> Vec<Shown> {
        let mut shown = Vec::new();
        // Whole events, so framing them again cannot fail; what is left of an odd ending is passed on as it is.
        let mut framer = SseFramer::default();
        let framed = framer.push(events.clone(), |one| {
            let mut raw = BytesMut::with_capacity(one.len() + 2);
            raw.extend_from_slice(one);
            raw.extend_from_slice(if one.ends_with(b"\n") { b"\n" } else { b"\n\n" });
            self.read_one(&raw.freeze(), &mut shown);
        });
        drop(framed);
        if let Some(rest) = framer.finish() {
            let mut raw = BytesMut::from(&*rest);
            raw.extend_from_slice(b"\n");
            self.read_one(&raw.freeze(), &mut shown);
        }
        shown
    }

    fn read_one(&mut self, raw: &Bytes, shown: &mut Vec<Shown>) {
        let lines = EventLines::read(raw);
        let data = lines.data.and_then(|data| std::str::from_utf8(data).ok());
        let name = lines.name.and_then(|name| std::str::from_utf8(name).ok());
        let Some(data) = data else { return shown.push(Shown::of(raw.clone(), What::Noise)) };
        match self.dialect {
            Dialect::OpenAiChat => {
                if data.starts_with('{') {
                    self.head = raw.clone();
                }
                chat_chunk::read(raw, data, &mut self.names, shown);
            }
            Dialect::OpenAiResponses => self.read_response(raw, name, data, shown),
            Dialect::AnthropicMessages => self.read_message(raw, name, data, shown),
        }
        for one in shown.iter().rev().take_while(|one| is_from(one, raw)) {
            self.texts_came(one);
        }
    }

    fn texts_came(&mut self, one: &Shown) {
        let What::Delta { place, text, name } = &one.what else { return };
        let told = self.texts.entry(*place).or_default();
        told.came += text.len();
        if told.form.is_empty() && name.is_some() {
            told.first_form = Some(one.raw.clone());
        }
        told.form = one.raw.clone();
        self.told_bytes += text.len();
        self.current.insert((group_of(place.kind), place.choice), *place);
    }

    fn read_response(&mut self, raw: &Bytes, name: Option<&str>, data: &str, shown: &mut Vec<Shown>) {
        let fields = members(data);
        let told_kind = text_member(&fields, "type");
        let kind = told_kind.as_deref().or(name).unwrap_or_default();
        let index = number_member(&fields, "output_index").unwrap_or(0);
        if let Some(place) = totals::delta_place(kind, index, &fields) {
            let text = text_member(&fields, "delta").unwrap_or_default();
            let what = if text.is_empty() {
                What::Other
            } else {
                let name = (place.kind == TextKind::Arguments).then(|| self.names.remove(&index)).flatten();
                What::Delta { place, name, text }
            };
            return shown.push(Shown::of(raw.clone(), what));
        }
        let what = match kind {
            "response.created" => {
                self.head = raw.clone();
                What::Start
            }
            "response.output_item.added" => {
                let item = fields.get("item").unwrap_or_default();
                if let Some(name) = text_member(&members(item), "name") {
                    self.names.insert(index, name);
                }
                self.open.insert(index, item.to_owned());
                What::Other
            }
            "response.completed" | "response.done" | "response.incomplete" | "response.failed" => {
                let response = members(fields.get("response").unwrap_or_default());
                if let Some(usage) = response.get("usage").and_then(totals::response_usage) {
                    shown.push(Shown::of(Bytes::new(), What::Usage(usage)));
                }
                What::Stop(totals::response_stop(kind, &response))
            }
            kind if kind.starts_with("codex.") || kind.is_empty() => What::Noise,
            kind if totals::repeats(kind) => What::Repeats,
            _ => What::Other,
        };
        shown.push(Shown::of(raw.clone(), what));
    }

    fn read_message(&mut self, raw: &Bytes, name: Option<&str>, data: &str, shown: &mut Vec<Shown>) {
        let fields = members(data);
        let told_kind = text_member(&fields, "type");
        let kind = told_kind.as_deref().or(name).unwrap_or_default();
        let index = number_member(&fields, "index").unwrap_or(0);
        let what = match kind {
            "message_start" => {
                self.head = raw.clone();
                What::Start
            }
            "content_block_start" => {
                let block = fields.get("content_block").unwrap_or_default();
                if let Some(name) = text_member(&members(block), "name") {
                    self.names.insert(index, name);
                }
                self.open.insert(index, block.to_owned());
                What::Other
            }
            "content_block_stop" => What::Other,
            "content_block_delta" => {
                let delta = members(fields.get("delta").unwrap_or_default());
                let found = MESSAGE_DELTAS.iter().find_map(|(member, kind)| {
                    Some((*kind, text_member(&delta, member).filter(|text| !text.is_empty())?))
                });
                match found {
                    Some((kind, text)) => {
                        let name = (kind == TextKind::Arguments).then(|| self.names.remove(&index)).flatten();
                        What::Delta { place: Place { kind, choice: index, part: 0 }, name, text }
                    }
                    None => What::Other,
                }
            }
            "message_delta" => {
                let delta = members(fields.get("delta").unwrap_or_default());
                if let Some(usage) = fields.get("usage").and_then(totals::message_usage) {
                    shown.push(Shown::of(Bytes::new(), What::Usage(usage)));
                }
                What::Stop(text_member(&delta, "stop_reason").unwrap_or_default())
            }
            "ping" => What::Noise,
            _ => What::Other,
        };
        shown.push(Shown::of(raw.clone(), what));
    }

    /// Tells an event as it came; what it repeats is told as it was told.
    pub fn tell(&mut self, shown: &Shown, out: &mut BytesMut) {
        if let What::Delta { place, text, .. } = &shown.what {
            self.texts.entry(*place).or_default().sent.push_str(text);
        }
        if let Some(group) = &shown.group {
            return self.tell_part(group, shown, out);
        }
        self.flush(out);
        self.put(&shown.raw, shown, out);
    }

    fn put(&mut self, raw: &Bytes, shown: &Shown, out: &mut BytesMut) {
        let lines = EventLines::read(raw);
        let data = lines.data.and_then(|data| std::str::from_utf8(data).ok()).unwrap_or_default();
        let splices = match shown.what {
            What::Delta { .. } | What::Other | What::Usage(_) | What::Noise
                if self.dialect != Dialect::OpenAiChat =>
            {
                Vec::new()
            }
            _ => self.corrections(data),
        };
        if splices.is_empty() {
            self.note(data);
            out.extend_from_slice(raw);
        } else {
            let data = spliced(data, splices);
            self.note(&data);
            frame(lines.name, data.as_bytes(), out);
        }
    }

    /// What an event says that is not true any more.
    fn corrections(&self, data: &str) -> Vec<super::splice::Splice> {
        let mut splices: Vec<_> = literals(self.dialect, data)
            .into_iter()
            .filter_map(|(place, literal)| {
                let told = self.texts.get(&place).filter(|told| told.is_changed())?;
                Some((super::splice::place(data, literal)?, quoted(&told.sent)))
            })
            .collect();
        if let Some(model) = &self.model
            && let Some(literal) = model_of(self.dialect, data)
            && let Some(at) = super::splice::place(data, literal)
        {
            let model = quoted(model);
            if model != literal {
                splices.push((at, model));
            }
        }
        splices
    }

    /// Keeps in mind what an ending would have to close.
    fn note(&mut self, data: &str) {
        if self.dialect == Dialect::OpenAiChat {
            return;
        }
        let fields = members(data);
        if let Some(number) = fields.get("sequence_number").and_then(|number| number.parse::<u64>().ok()) {
            self.number = self.number.max(number);
        }
        let kind = text_member(&fields, "type");
        if matches!(kind.as_deref(), Some("response.output_item.done" | "content_block_stop")) {
            let index = number_member(&fields, "output_index").or_else(|| number_member(&fields, "index"));
            let index = index.unwrap_or(0);
            self.open.remove(&index);
            if let Some(item) = fields.get("item") {
                self.done.insert(index, item.to_owned());
            }
        }
    }

    /// Tells something else. `false` when the answer has no such text, so that nothing of the kind can be told.
    pub fn say(&mut self, words: Words<'_>, out: &mut BytesMut) -> bool {
        self.flush(out);
        let (kind, choice, text, is_first) = match words {
            Words::Text { choice, text } => (TextKind::Answer, choice, text, false),
            Words::Thinking { choice, text } => (TextKind::Thinking, choice, text, false),
            Words::Tool { choice, arguments, is_first, .. } => {
                (TextKind::Arguments, choice, arguments, is_first)
            }
        };
        let place = match words {
            Words::Tool { call, .. } => Place { kind, choice, part: call },
            _ => match self.current.get(&(kind, choice)) {
                Some(place) => *place,
                None => return false,
            },
        };
        let Some(told) = self.texts.get_mut(&place) else { return false };
        told.sent.push_str(text);
        told.is_written = true;
        self.told_bytes += text.len();
        let form = told.first_form.clone().filter(|_| is_first).unwrap_or_else(|| told.form.clone());
        if text.is_empty() && !is_first {
            return true;
        }
        let lines = EventLines::read(&form);
        let Some(data) = lines.data.and_then(|data| std::str::from_utf8(data).ok()) else { return true };
        let data = self.with_text(data, place, text, is_first);
        frame(lines.name, data.as_bytes(), out);
        true
    }

    fn with_text(&mut self, data: &str, place: Place, text: &str, is_first: bool) -> String {
        let mut fields = members(data);
        match self.dialect {
            Dialect::OpenAiResponses => {
                fields.set("delta", quoted(text));
                if fields.get("sequence_number").is_some() {
                    self.number += 1;
                    fields.set("sequence_number", self.number.to_string());
                }
                fields.remove("obfuscation");
            }
            Dialect::AnthropicMessages => {
                let mut delta = members(fields.get("delta").unwrap_or_default());
                let member = MESSAGE_DELTAS.iter().find(|(_, kind)| *kind == place.kind);
                delta.set(member.map_or("text", |(member, _)| member), quoted(text));
                let delta = written(&delta);
                fields.set("delta", delta);
            }
            Dialect::OpenAiChat => {
                let choices = chat_chunk::with_text(&fields, place, text, is_first);
                fields.set("choices", choices);
                if let Some(model) = &self.model {
                    fields.set("model", quoted(model));
                }
            }
        }
        written(&fields)
    }

    /// A part of an event: told in the event's own bytes when all of its parts are, one after the other.
    fn tell_part(&mut self, group: &Group, shown: &Shown, out: &mut BytesMut) {
        let fits = self.pending.first().is_none_or(|(first, _)| first.whole.as_ptr() == group.whole.as_ptr());
        if !fits || self.pending.len() != group.at {
            self.flush(out);
        }
        if group.at != self.pending.len() {
            let raw = shown.raw.clone();
            return self.put(&raw, shown, out);
        }
        self.pending.push((group.clone(), shown.raw.clone()));
        if self.pending.len() == group.of {
            self.pending.clear();
            let whole = group.whole.clone();
            self.put(&whole, shown, out);
        }
    }

    /// Nothing more comes in this batch: parts that wait for the rest of their event go out by themselves.
    pub fn flush(&mut self, out: &mut BytesMut) {
        for (_, raw) in std::mem::take(&mut self.pending) {
            let shown = Shown::of(raw.clone(), What::Repeats);
            self.put(&raw, &shown, out);
        }
    }

    /// Whether the answer is longer than can be kept in mind.
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        self.told_bytes > MAX_TOLD_BYTES
    }

    /// Whether any text was told otherwise than it came.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.texts.values().any(Told::is_changed)
    }

    /// The text of a place when it was changed.
    pub(super) fn changed(&self, place: Place) -> Option<&str> {
        self.texts.get(&place).filter(|told| told.is_changed()).map(|told| told.sent.as_str())
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// A text of an answer that came whole, as if it had been streamed in one piece.
    pub(super) fn whole(&mut self, place: Place, name: Option<String>, text: String) -> Shown {
        let shown = Shown::of(Bytes::new(), What::Delta { place, name, text });
        self.texts_came(&shown);
        shown
    }

    /// That answer's tokens and end.
    pub(super) fn whole_end(usage: Option<TokenUsage>, reason: String) -> Vec<Shown> {
        let usage = usage.map(|usage| Shown::of(Bytes::new(), What::Usage(usage)));
        usage.into_iter().chain([Shown::of(Bytes::new(), What::Stop(reason))]).collect()
    }

    /// Its beginning.
    pub(super) fn whole_start() -> Shown {
        Shown::of(Bytes::new(), What::Start)
    }
}

/// Where a piece of each kind stands in a block's delta.
const MESSAGE_DELTAS: [(&str, TextKind); 3] =
    [("text", TextKind::Answer), ("thinking", TextKind::Thinking), ("partial_json", TextKind::Arguments)];

/// Thinking and its chain are one to whoever changes them.
const fn group_of(kind: TextKind) -> TextKind {
    match kind {
        TextKind::Chain => TextKind::Thinking,
        other => other,
    }
}

fn is_from(one: &Shown, raw: &Bytes) -> bool {
    one.group.as_ref().map_or(one.raw.as_ptr() == raw.as_ptr(), |group| group.whole.as_ptr() == raw.as_ptr())
}

pub(super) fn frame(name: Option<&[u8]>, data: &[u8], out: &mut BytesMut) {
    match name.and_then(|name| std::str::from_utf8(name).ok()) {
        Some(name) => out.extend_from_slice(&event(name, data)),
        None => {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(data);
            out.extend_from_slice(b"\n\n");
        }
    }
}
