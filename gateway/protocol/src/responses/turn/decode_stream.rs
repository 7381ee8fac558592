//! A responses stream into events.
//!
//! Holds, per open block, how much of its text was told, never the text: what only a closing event carries is made up
//! for, what was told before is not told again.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::events::{Event, Step, WireResponse};
use super::output::{Piece, WireItem, WirePart};
use crate::openai::WireError;
use crate::sse::EventLines;
use crate::turn::{
    BlockStart, Delta, Dialect, ErrorKind, ErrorReport, EventDecoder, Opaque, Sealed, Started, StopReason,
    ToolKind, TurnEvent, Usage,
};

/// Where a block stands on the wire: its item, and its part where an item has several.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    item: u64,
    part: u64,
}

/// An item of which something was told.
#[derive(Debug)]
struct Seen {
    item: u64,
    id: Option<String>,
}

#[derive(Debug)]
struct OpenBlock {
    place: Place,
    block: u32,
    /// Bytes told so far; of thinking, those of its summary.
    told: usize,
    /// Bytes told of the chain beside the summary.
    told_chain: usize,
    summary_part: u64,
}

/// Reads events; a whole answer is read as its items and its terminal event.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    has_started: bool,
    is_over: bool,
    has_calls: bool,
    next: u32,
    open: Vec<OpenBlock>,
    /// Closing events repeat what was told.
    seen: Vec<Seen>,
}

impl EventDecoder for Decoder {
    fn push(&mut self, event: EventLines<'_>, out: &mut Vec<TurnEvent>) {
        let Some(data) = event.data.filter(|data| !self.is_over && *data != b"[DONE]") else { return };
        match serde_json::from_slice::<Event<'_>>(data) {
            Ok(read) => self.event(read, event, out),
            // Newer events may use these names for other things; only those that tell the answer must be readable.
            Err(_) if !is_of_the_answer(event) => {}
            Err(error) => {
                let why = format!("the upstream sent an event that cannot be read: {error}");
                self.fail(ErrorReport::new(ErrorKind::Server, why), out);
            }
        }
    }

    fn finish(&mut self, _: &mut Vec<TurnEvent>) {}
}

/// Whether an event that cannot be read is one that the answer cannot do without.
fn is_of_the_answer(event: EventLines<'_>) -> bool {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: String,
    }
    let Some(data) = event.data else { return false };
    match serde_json::from_slice::<Typed>(data) {
        Ok(Typed { kind }) => kind.starts_with("response.") && Step::of(&kind) != Step::Other,
        Err(_) => true,
    }
}

impl Decoder {
    fn event(&mut self, event: Event<'_>, lines: EventLines<'_>, out: &mut Vec<TurnEvent>) {
        let name = lines.name.and_then(|name| std::str::from_utf8(name).ok());
        let step = Step::of(event.kind.as_deref().or(name).unwrap_or_default());
        match step {
            Step::Other => {}
            Step::Lifecycle => self.start(event.response.as_ref(), out),
            Step::Terminal => match event.response {
                Some(response) => self.terminal(response, out),
                None => self.end(StopReason::Stop, out),
            },
            Step::Failed => self.failed(event, lines, out),
            _ => {
                self.start(None, out);
                self.step(step, event, out);
            }
        }
    }

    fn step(&mut self, step: Step, mut event: Event<'_>, out: &mut Vec<TurnEvent>) {
        let place = self.place(step, &event);
        match step {
            Step::ItemAdded => {
                if let Some(item) = event.item.and_then(read_item) {
                    self.item_added(place.item, &item, out);
                }
            }
            Step::ItemDone => {
                if let Some(raw) = event.item {
                    self.item_done(place.item, raw, out);
                }
            }
            Step::PartAdded => match event.part.as_ref().and_then(|part| part.kind.as_deref()) {
                Some("output_text") => drop(self.block(&place, event.item_id, BlockStart::Text, out)),
                Some("refusal") => drop(self.block(&place, event.item_id, BlockStart::Refusal, out)),
                _ => {}
            },
            Step::PartDone => {
                if let Some(part) = &event.part {
                    self.part_done(&place, part, out);
                }
            }
            Step::Text => self.tell(&place, &mut event, BlockStart::Text, out),
            Step::Refusal => self.tell(&place, &mut event, BlockStart::Refusal, out),
            Step::TextDone => self.complete(&place, BlockStart::Text, event.text.as_deref(), out),
            Step::RefusalDone => self.complete(&place, BlockStart::Refusal, event.refusal.as_deref(), out),
            Step::Arguments | Step::ArgumentsDone => self.arguments(step, &place, event, out),
            _ => self.thinking(step, place.item, event, out),
        }
    }

    /// The place that an event is about. One without an `output_index` is found by its item's id.
    fn place(&self, step: Step, event: &Event<'_>) -> Place {
        let part = event.content_index.unwrap_or(0);
        if let Some(item) = event.output_index {
            return Place { item, part };
        }
        let of_item = || event.item.and_then(read_item).and_then(|item| item.id);
        let by_id = event.item_id.clone().or_else(of_item).and_then(|id| {
            self.seen.iter().rev().find(|seen| seen.id.as_deref() == Some(&id)).map(|seen| seen.item)
        });
        let fresh = || self.seen.iter().map(|seen| seen.item + 1).max().unwrap_or(0);
        let newest = || match step {
            Step::ItemAdded | Step::ItemDone => None,
            _ => self.open.last().map(|open| open.place.item),
        };
        Place { item: by_id.or_else(newest).unwrap_or_else(fresh), part }
    }

    fn start(&mut self, response: Option<&WireResponse<'_>>, out: &mut Vec<TurnEvent>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a saturating cast is meant"
        )]
        let started = response.map_or_else(Started::default, |response| Started {
            id: response.id.clone().unwrap_or_default(),
            model: response.model.clone().unwrap_or_default(),
            created: response.created_at.filter(|at| *at > 0.0).map(|at| at as u64),
            service_tier: response.service_tier.clone(),
        });
        out.push(TurnEvent::Started(started));
    }

    /// The open block at a place, begun now if need be.
    fn block(
        &mut self,
        place: &Place,
        item_id: Option<String>,
        start: BlockStart,
        out: &mut Vec<TurnEvent>,
    ) -> Option<&mut OpenBlock> {
        let at = match self.open.iter().position(|open| open.place == *place) {
            Some(at) => at,
            None => {
                if !self.has_seen(place.item) {
                    self.seen.push(Seen { item: place.item, id: item_id });
                }
                let block = self.next;
                self.next += 1;
                self.has_calls |= matches!(start, BlockStart::ToolCall { .. });
                out.push(TurnEvent::BlockStart { index: block, block: start });
                let place = place.clone();
                self.open.push(OpenBlock { place, block, told: 0, told_chain: 0, summary_part: 0 });
                self.open.len() - 1
            }
        };
        self.open.get_mut(at)
    }

    fn has_seen(&self, item: u64) -> bool {
        self.seen.iter().any(|seen| seen.item == item)
    }

    fn close(&mut self, place: &Place, out: &mut Vec<TurnEvent>) {
        if let Some(at) = self.open.iter().position(|open| open.place == *place) {
            out.push(TurnEvent::BlockEnd { index: self.open.remove(at).block });
        }
    }

    fn tell(&mut self, place: &Place, event: &mut Event<'_>, start: BlockStart, out: &mut Vec<TurnEvent>) {
        let Some(text) = event.delta.take().filter(|text| !text.is_empty()) else { return };
        let Some(open) = self.block(place, event.item_id.take(), start, out) else { return };
        open.told += text.len();
        out.push(TurnEvent::Delta { index: open.block, delta: Delta::Text(text) });
    }

    /// A closing event repeats the whole text: tells what was not told.
    fn complete(&mut self, place: &Place, start: BlockStart, whole: Option<&str>, out: &mut Vec<TurnEvent>) {
        let Some(whole) = whole else { return };
        let Some(open) = self.block(place, None, start, out) else { return };
        let block = open.block;
        if let Some(rest) = untold(&mut open.told, whole) {
            out.push(TurnEvent::Delta { index: block, delta: Delta::Text(rest) });
        }
    }

    fn part_done(&mut self, place: &Place, part: &WirePart, out: &mut Vec<TurnEvent>) {
        match part.kind.as_deref() {
            Some("output_text") => self.complete(place, BlockStart::Text, part.text.as_deref(), out),
            Some("refusal") => self.complete(place, BlockStart::Refusal, part.refusal.as_deref(), out),
            _ => return,
        }
        self.close(place, out);
    }

    fn arguments(&mut self, step: Step, place: &Place, event: Event<'_>, out: &mut Vec<TurnEvent>) {
        let Some(open) = self.open.iter_mut().find(|open| open.place.item == place.item) else { return };
        let more = if step == Step::Arguments {
            let more = event.delta.unwrap_or_default();
            open.told += more.len();
            Some(more).filter(|more| !more.is_empty())
        } else {
            event.arguments.or(event.input).and_then(|whole| untold(&mut open.told, &whole))
        };
        let index = open.block;
        out.extend(more.map(|more| TurnEvent::Delta { index, delta: Delta::Arguments(more) }));
    }

    fn thinking(&mut self, step: Step, item: u64, event: Event<'_>, out: &mut Vec<TurnEvent>) {
        let place = Place { item, part: 0 };
        let start = BlockStart::Reasoning { id: event.item_id.clone(), is_redacted: false };
        let Some(open) = self.block(&place, event.item_id, start, out) else { return };
        let index = open.block;
        let summary_part = event.summary_index.unwrap_or(0);
        if matches!(step, Step::SummaryPart | Step::Summary) && summary_part > open.summary_part {
            open.summary_part = summary_part;
            open.told = 0;
            out.push(TurnEvent::Delta { index, delta: Delta::ReasoningPart });
        }
        let text = event.delta.filter(|text| !text.is_empty());
        let delta = match step {
            Step::Summary => text.map(|text| {
                open.told += text.len();
                Delta::Reasoning(text)
            }),
            Step::Chain => text.map(|text| {
                open.told_chain += text.len();
                Delta::ReasoningText(text)
            }),
            // A part that is not the newest was complete when the next one began.
            Step::SummaryDone if summary_part == open.summary_part => {
                event.text.and_then(|whole| untold(&mut open.told, &whole)).map(Delta::Reasoning)
            }
            Step::ChainDone => {
                event.text.and_then(|whole| untold(&mut open.told_chain, &whole)).map(Delta::ReasoningText)
            }
            _ => None,
        };
        out.extend(delta.map(|delta| TurnEvent::Delta { index, delta }));
    }

    fn item_added(&mut self, at: u64, item: &WireItem, out: &mut Vec<TurnEvent>) {
        if let Some(start) = item.start(self.next) {
            self.block(&Place { item: at, part: 0 }, item.id.clone(), start, out);
        }
    }

    /// A finished item repeats all of it.
    fn item_done(&mut self, at: u64, raw: &RawValue, out: &mut Vec<TurnEvent>) {
        let Some(item) = read_item(raw) else { return };
        let has_open = self.open.iter().any(|open| open.place.item == at);
        match item.piece() {
            Piece::Message => self.message_done(at, &item, has_open, out),
            Piece::Call => {
                if has_open || !self.has_seen(at) {
                    self.call_done(at, &item, out);
                }
            }
            Piece::Reasoning => {
                if has_open || !self.has_seen(at) {
                    self.reasoning_done(at, item, out);
                }
            }
            Piece::Other(kind) => {
                if !self.has_seen(at) {
                    let kind = kind.to_owned();
                    let opaque = Opaque { dialect: Dialect::OpenAiResponses, kind, raw: raw.to_owned() };
                    let place = Place { item: at, part: 0 };
                    self.block(&place, None, BlockStart::Opaque(opaque), out);
                    self.close(&place, out);
                }
            }
        }
    }

    fn message_done(&mut self, at: u64, item: &WireItem, has_open: bool, out: &mut Vec<TurnEvent>) {
        // Parts are closed by their own events as a rule; then there is nothing left to say.
        if !has_open && self.has_seen(at) {
            return;
        }
        for (part, nth) in item.content.iter().flatten().zip(0..) {
            let place = Place { item: at, part: nth };
            if has_open && !self.open.iter().any(|open| open.place == place) {
                continue;
            }
            self.part_done(&place, part, out);
        }
        while let Some(place) =
            self.open.iter().find(|open| open.place.item == at).map(|open| open.place.clone())
        {
            self.close(&place, out);
        }
    }

    fn call_done(&mut self, at: u64, item: &WireItem, out: &mut Vec<TurnEvent>) {
        let place = Place { item: at, part: 0 };
        let Some(start) = item.start(self.next) else { return };
        let whole = match &start {
            BlockStart::ToolCall { kind: ToolKind::Custom, .. } => item.input.as_deref(),
            _ => item.arguments(),
        };
        let Some(open) = self.block(&place, item.id.clone(), start, out) else { return };
        let index = open.block;
        let rest = whole.and_then(|whole| untold(&mut open.told, whole));
        out.extend(rest.map(|rest| TurnEvent::Delta { index, delta: Delta::Arguments(rest) }));
        self.close(&place, out);
    }

    fn reasoning_done(&mut self, at: u64, item: WireItem, out: &mut Vec<TurnEvent>) {
        let place = Place { item: at, part: 0 };
        let Some(start) = item.start(self.next) else { return };
        let Some(open) = self.block(&place, item.id.clone(), start, out) else { return };
        let index = open.block;
        let mut deltas = Vec::new();
        if open.told == 0 && open.summary_part == 0 {
            for (part, nth) in item.summary.into_iter().flatten().zip(0..) {
                if nth > 0 {
                    deltas.push(Delta::ReasoningPart);
                }
                deltas.extend(part.text.filter(|text| !text.is_empty()).map(Delta::Reasoning));
            }
        }
        if open.told_chain == 0 {
            let chain = item.content.into_iter().flatten().filter_map(|part| part.text);
            deltas.extend(chain.filter(|text| !text.is_empty()).map(Delta::ReasoningText));
        }
        let seal = item.encrypted_content.filter(|seal| !seal.is_empty());
        deltas.extend(seal.map(|seal| Delta::Seal(Sealed::read(Dialect::OpenAiResponses, seal))));
        out.extend(deltas.into_iter().map(|delta| TurnEvent::Delta { index, delta }));
        self.close(&place, out);
    }

    /// The terminal event, or a whole answer.
    pub(super) fn terminal(&mut self, response: WireResponse<'_>, out: &mut Vec<TurnEvent>) {
        self.start(Some(&response), out);
        if let Some("failed" | "cancelled") = response.status.as_deref() {
            return self.fail(report(response.error), out);
        }
        // Some upstreams tell the items here alone. The list may leave some out, so it is of no use beside others.
        if self.seen.is_empty() {
            for (raw, at) in response.output.into_iter().flatten().zip(0..) {
                self.item_done(at, raw, out);
            }
        }
        out.extend(response.usage.map(|usage| TurnEvent::Usage(Usage::from(usage))));
        let reason = response.incomplete_details.and_then(|details| details.reason);
        let stop = match (response.status.as_deref(), reason.as_deref()) {
            (_, Some("max_output_tokens" | "max_tokens")) => StopReason::Length,
            (_, Some("content_filter")) => StopReason::ContentFilter,
            (_, Some(other)) => StopReason::Unknown(other.to_owned()),
            (Some("incomplete"), None) => StopReason::Length,
            _ if self.has_calls => StopReason::ToolCalls,
            _ => StopReason::Stop,
        };
        self.end(stop, out);
    }

    fn end(&mut self, stop: StopReason, out: &mut Vec<TurnEvent>) {
        self.is_over = true;
        let before_usage = match out.last() {
            Some(TurnEvent::Usage(_)) => out.pop(),
            _ => None,
        };
        out.extend(self.open.drain(..).map(|open| TurnEvent::BlockEnd { index: open.block }));
        out.extend(before_usage);
        out.push(TurnEvent::Finished(stop));
    }

    fn failed(&mut self, event: Event<'_>, lines: EventLines<'_>, out: &mut Vec<TurnEvent>) {
        let inner = event.response.and_then(|response| response.error);
        let not_null = |raw: &&RawValue| raw.get() != "null";
        let report = match event.error.filter(not_null).or(inner.filter(not_null)) {
            Some(error) => report(Some(error)),
            // A bare `error` event has the members of the error object beside its type.
            None => {
                let bare = lines.data.and_then(|data| serde_json::from_slice::<&RawValue>(data).ok());
                let mut told = report(bare);
                told.type_name = None;
                told
            }
        };
        self.fail(report, out);
    }

    fn fail(&mut self, report: ErrorReport, out: &mut Vec<TurnEvent>) {
        self.is_over = true;
        out.push(TurnEvent::Failed(report));
    }
}

/// Items of newer kinds may use the names of the known members for other things; their kind is enough.
fn read_item(raw: &RawValue) -> Option<WireItem> {
    serde_json::from_str(raw.get()).ok().or_else(|| WireItem::of_kind(raw))
}

fn report(error: Option<&RawValue>) -> ErrorReport {
    let error = error.and_then(|raw| serde_json::from_str::<WireError<'_>>(raw.get()).ok());
    error.unwrap_or_default().report(None)
}

/// The rest of a text of which `told` bytes are told already. A closing text that does not go on from there is
/// another opinion about what was said, and too late.
fn untold(told: &mut usize, whole: &str) -> Option<String> {
    let rest = whole.get(*told..).filter(|rest| !rest.is_empty())?;
    *told = whole.len();
    Some(rest.to_owned())
}
