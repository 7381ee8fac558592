//! A stream folded back into one response object, for callers that did not ask for events.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::{EventKind, response_object};
use crate::json::Members;
use crate::sse::EventLines;

/// The most that finished items may add up to, in bytes, before the fold gives up.
pub const MAX_COLLECTED_BYTES: usize = 64 * 1024 * 1024;

/// Folds events. The last one carries the response; finished items are kept in case its `output` is empty, as the
/// backend leaves it at times.
#[derive(Debug, Default)]
pub struct Collector {
    items: Vec<(u64, Bytes)>,
    size: usize,
}

/// Items grew past [`MAX_COLLECTED_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the response is longer than {MAX_COLLECTED_BYTES} bytes; ask for a stream")]
pub struct TooLarge;

#[derive(Deserialize)]
struct ItemDone<'a> {
    #[serde(default)]
    output_index: u64,
    #[serde(borrow)]
    item: &'a RawValue,
}

impl Collector {
    /// Takes the next event as the framer showed it.
    ///
    /// # Errors
    /// The items grew too large.
    pub fn take(&mut self, event: &[u8], kind: EventKind) -> Result<(), TooLarge> {
        if kind != EventKind::ItemDone {
            return Ok(());
        }
        let Some(data) = EventLines::read(event).data else { return Ok(()) };
        let Ok(done) = serde_json::from_slice::<ItemDone<'_>>(data) else { return Ok(()) };
        self.size += done.item.get().len();
        if self.size > MAX_COLLECTED_BYTES {
            return Err(TooLarge);
        }
        self.items.push((done.output_index, Bytes::copy_from_slice(done.item.get().as_bytes())));
        Ok(())
    }

    /// The response object that the terminal event carries; its bytes as they came unless `output` must be filled.
    /// `None` when the event carries none.
    #[must_use]
    pub fn finish(mut self, terminal: &[u8]) -> Option<Bytes> {
        let response = response_object(terminal)?;
        let text = response.get().as_bytes();
        let mut members = Members::read(text).ok()?;
        let is_empty =
            members.get("output").is_none_or(|output| output.trim_matches(['[', ']', ' ']).is_empty());
        if !is_empty || self.items.is_empty() {
            return Some(Bytes::copy_from_slice(text));
        }
        self.items.sort_by_key(|(index, _)| *index);
        let mut output = BytesMut::with_capacity(self.size + self.items.len() + 2);
        output.extend_from_slice(b"[");
        for (nth, (_, item)) in self.items.iter().enumerate() {
            if nth > 0 {
                output.extend_from_slice(b",");
            }
            output.extend_from_slice(item);
        }
        output.extend_from_slice(b"]");
        members.set("output", String::from_utf8(output.to_vec()).ok()?);
        Some(members.write().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::classify_event;

    fn fold(events: &[&str]) -> Option<String> {
        let mut collector = Collector::default();
        let (last, items) = events.split_last()?;
        for event in items {
            collector.take(event.as_bytes(), classify_event(event.as_bytes())).unwrap();
        }
        collector.finish(last.as_bytes()).map(|body| String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn a_full_response_comes_out_as_it_stands() {
        let last = r#"data: {"type":"response.completed","response":{"id":"r", "output":[{"a":1.0}]}}"#;
        assert_eq!(fold(&[last]).unwrap(), r#"{"id":"r", "output":[{"a":1.0}]}"#);
    }

    #[test]
    fn an_empty_output_is_filled_in_order() {
        let second = r#"data: {"type":"response.output_item.done","output_index":1,"item":{"id":"b"}}"#;
        let first = r#"data: {"type":"response.output_item.done","output_index":0,"item":{"id":"a"}}"#;
        let last = r#"data: {"type":"response.completed","response":{"id":"r","output":[],"usage":null}}"#;
        assert_eq!(
            fold(&[second, first, last]).unwrap(),
            r#"{"id":"r","output":[{"id":"a"},{"id":"b"}],"usage":null}"#
        );
    }

    #[test]
    fn a_last_event_without_a_response_folds_into_nothing() {
        assert_eq!(fold(&[r#"data: {"type":"response.completed"}"#]), None);
    }
}
