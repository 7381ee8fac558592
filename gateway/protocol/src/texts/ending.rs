//! A good end before the upstream's own: what a filter asks for when it has heard enough.

use bytes::BytesMut;
use serde_json::{Value, json};

use super::TextKind;
use super::retell::{Retell, frame};
use super::splice::{elements, members, quoted, written};
use crate::sse::EventLines;
use crate::turn::Dialect;

/// Why an answer ends early; each dialect has words of its own for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndReason {
    /// It is complete.
    Stop,
    /// It is long enough.
    Length,
    /// What would follow is not shown.
    Filtered,
}

impl EndReason {
    /// The word of any dialect; one that nobody knows is a plain end.
    pub(super) fn read(word: &str) -> Self {
        match word {
            "length" | "max_tokens" | "max_output_tokens" => Self::Length,
            "content_filter" | "refusal" => Self::Filtered,
            _ => Self::Stop,
        }
    }

    pub(super) const fn in_chat(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Filtered => "content_filter",
        }
    }

    pub(super) const fn in_messages(self) -> &'static str {
        match self {
            Self::Stop => "end_turn",
            Self::Length => "max_tokens",
            Self::Filtered => "refusal",
        }
    }

    /// Why a response is incomplete; `None` when it is complete.
    pub(super) const fn in_responses(self) -> Option<&'static str> {
        match self {
            Self::Stop => None,
            Self::Length => Some("max_output_tokens"),
            Self::Filtered => Some("content_filter"),
        }
    }
}

impl Retell {
    /// Ends the answer in good order, for this reason, in the words of its dialect.
    pub fn end(&mut self, reason: &str, out: &mut BytesMut) {
        self.flush(out);
        let reason = EndReason::read(reason);
        self.ended = Some(reason);
        match self.dialect {
            Dialect::OpenAiChat => self.end_chat(reason, out),
            Dialect::AnthropicMessages => self.end_message(reason, out),
            Dialect::OpenAiResponses => self.end_response(reason, out),
        }
    }

    fn end_chat(&self, reason: EndReason, out: &mut BytesMut) {
        let head = self.head.clone();
        let data = EventLines::read(&head).data.and_then(|data| std::str::from_utf8(data).ok());
        let mut fields = members(data.unwrap_or_default());
        let choices = json!([{"index": 0, "delta": {}, "finish_reason": reason.in_chat()}]).to_string();
        fields.set("choices", choices);
        fields.remove("usage");
        if let Some(model) = self.model() {
            let model = quoted(model);
            fields.set("model", model);
        }
        frame(None, written(&fields).as_bytes(), out);
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn end_message(&self, reason: EndReason, out: &mut BytesMut) {
        let mut put = |data: Value| {
            let name = data.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            frame(Some(name.as_bytes()), data.to_string().as_bytes(), out);
        };
        for index in self.open.keys() {
            put(json!({"type": "content_block_stop", "index": index}));
        }
        put(json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason.in_messages(), "stop_sequence": null},
            "usage": {"output_tokens": 0},
        }));
        put(json!({"type": "message_stop"}));
    }

    fn end_response(&mut self, reason: EndReason, out: &mut BytesMut) {
        let (kind, status) = match reason.in_responses() {
            Some(_) => ("response.incomplete", "incomplete"),
            None => ("response.completed", "completed"),
        };
        let open: Vec<(u32, String)> = std::mem::take(&mut self.open).into_iter().collect();
        for (index, item) in &open {
            let item = self.closed_item(*index, item, status);
            self.number += 1;
            let data = format!(
                r#"{{"type":"response.output_item.done","sequence_number":{},"output_index":{index},"item":{item}}}"#,
                self.number
            );
            frame(Some(b"response.output_item.done"), data.as_bytes(), out);
        }
        let head = self.head.clone();
        let data = EventLines::read(&head).data.and_then(|data| std::str::from_utf8(data).ok());
        let fields = members(data.unwrap_or_default());
        let mut response = members(fields.get("response").unwrap_or_default());
        response.set("status", quoted(status));
        let items: Vec<String> = self.all_items(&open, status);
        response.set("output", format!("[{}]", items.join(",")));
        if let Some(why) = reason.in_responses() {
            response.set("incomplete_details", json!({ "reason": why }).to_string());
        }
        if let Some(model) = self.model().map(quoted) {
            response.set("model", model);
        }
        self.number += 1;
        let data = format!(
            r#"{{"type":"{kind}","sequence_number":{},"response":{}}}"#,
            self.number,
            written(&response)
        );
        frame(Some(kind.as_bytes()), data.as_bytes(), out);
    }

    /// What was told so far, item by item. Of those that had ended only the texts are known here.
    fn all_items(&self, open: &[(u32, String)], status: &str) -> Vec<String> {
        let mut indexes: Vec<u32> = self.texts.keys().map(|place| place.choice).collect();
        indexes.extend(open.iter().map(|(index, _)| *index));
        indexes.sort_unstable();
        indexes.dedup();
        indexes
            .into_iter()
            .filter_map(|index| match open.iter().find(|(at, _)| *at == index) {
                Some((_, item)) => Some(self.closed_item(index, item, status)),
                None => self.done.get(&index).cloned(),
            })
            .collect()
    }

    fn closed_item(&self, index: u32, item: &str, status: &str) -> String {
        let mut fields = members(item);
        let text = |kind: TextKind| -> Vec<&str> {
            let of = self.texts.iter().filter(|(place, _)| place.choice == index && place.kind == kind);
            of.map(|(_, told)| told.sent.as_str()).collect()
        };
        let answers = text(TextKind::Answer);
        if fields.get("content").map(elements).is_some_and(|content| content.is_empty())
            && !answers.is_empty()
        {
            let parts: Vec<Value> = answers
                .iter()
                .map(|text| json!({"type": "output_text", "text": text, "annotations": []}))
                .collect();
            fields.set("content", Value::from(parts).to_string());
        }
        let arguments = text(TextKind::Arguments).concat();
        for name in ["arguments", "input"] {
            if fields.get(name).is_some() && !arguments.is_empty() {
                fields.set(name, quoted(&arguments));
            }
        }
        if fields.get("status").is_some() {
            fields.set("status", quoted(status));
        }
        written(&fields)
    }
}
