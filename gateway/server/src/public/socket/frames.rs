//! Whole SSE events as text frames, one event each, in the same bytes. Refuses to read what they say, but for the items
//! and the end that the socket remembers.

use bytes::Bytes;
use gateway_protocol::responses::{EventKind, classify_event, error_event_frame, output_item, response_id};
use gateway_protocol::sse::{EventLines, SseFramer};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::kept::Kept;

/// The events of one chunk as frames; what they say of the conversation is noted.
pub(super) fn frames_of(chunk: &Bytes, kept: &mut Kept) -> Vec<Message> {
    let mut frames = Vec::new();
    // These are whole events, so framing them again cannot fail.
    let framed = SseFramer::default().push(chunk.clone(), |event| {
        let kind = classify_event(event);
        match kind {
            EventKind::ItemDone => kept.add(output_item(event).unwrap_or_default()),
            EventKind::Completed | EventKind::Incomplete => kept.end(response_id(event)),
            EventKind::Failed | EventKind::Error => kept.take_back(),
            _ => {}
        }
        frames.extend(frame_of(chunk, event, kind).map(Message::Text));
    });
    drop(framed);
    frames
}

/// One event as the text of a frame; a comment is none.
fn frame_of(chunk: &Bytes, event: &[u8], kind: EventKind) -> Option<Utf8Bytes> {
    let Some(data) = EventLines::read(event).data else { return joined(event).map(Utf8Bytes::from) };
    if kind == EventKind::Error
        && let Some(frame) = error_event_frame(data)
    {
        return Some(frame.into());
    }
    let shared = part_of(chunk, data).unwrap_or_else(|| Bytes::copy_from_slice(data));
    // A frame that is no text would cost the client its socket.
    Some(Utf8Bytes::try_from(shared).unwrap_or_else(|_| String::from_utf8_lossy(data).into_owned().into()))
}

/// The data of an event that stands on several lines.
fn joined(event: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(event);
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data:")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// A slice of the chunk without a copy; `None` when it is not one.
fn part_of(chunk: &Bytes, part: &[u8]) -> Option<Bytes> {
    let start = (part.as_ptr() as usize).checked_sub(chunk.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= chunk.len()).then(|| chunk.slice(start..end))
}

#[cfg(test)]
mod tests {
    use super::super::kept::Before;
    use super::*;
    use crate::sockets::Sockets;

    #[test]
    fn each_event_is_one_frame_and_comments_are_none() {
        let mut kept = Kept::new(Sockets::default().allowance());
        kept.begin(None, "1");
        let chunk = Bytes::from_static(
            b": keep-alive\n\nevent: response.created\ndata: {\"type\":\"response.created\"}\n\n\
              event: response.output_item.done\ndata: {\"item\":{\"a\": 1}}\n\n\
              data: {\"type\":\ndata: \"x\"}\n\n\
              event: response.completed\ndata: {\"response\":{\"id\":\"r\"}}\n\n",
        );
        let texts: Vec<String> =
            frames_of(&chunk, &mut kept).into_iter().map(|frame| frame.to_string()).collect();
        assert_eq!(
            texts,
            [
                r#"{"type":"response.created"}"#,
                r#"{"item":{"a": 1}}"#,
                " {\"type\":\n \"x\"}",
                r#"{"response":{"id":"r"}}"#
            ]
        );
        assert_eq!(kept.before(Some("r")), Before::Items(r#"1,{"a": 1}"#));
    }

    #[test]
    fn frames_are_text_and_errors_have_a_status() {
        let mut kept = Kept::new(Sockets::default().allowance());
        let chunk =
            Bytes::from_static(b"data: {\"a\":\"\xe2\x82\"}\n\nevent: error\ndata: {\"code\":\"x\"}\n\n");
        let frames = frames_of(&chunk, &mut kept);
        assert_eq!(frames[0].to_text().unwrap(), "{\"a\":\"\u{fffd}\"}");
        let error: serde_json::Value = serde_json::from_str(frames[1].to_text().unwrap()).unwrap();
        assert_eq!((&error["status"], &error["error"]["code"]), (&500.into(), &"x".into()));
    }
}
