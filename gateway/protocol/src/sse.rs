//! The SSE framer: bytes in, whole events out, in the same bytes.
//!
//! A chunk that ends on an event boundary passes through without a copy. Half an event is held back until its
//! rest arrives, so that whoever reads the output never sees a torn event, even when the source is cut.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// The longest event taken, in bytes (the longest that Codex takes is 16 MiB).
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// An event grew past [`MAX_EVENT_BYTES`] without ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {MAX_EVENT_BYTES} bytes")]
pub struct EventTooLong;

/// Cuts a byte stream at event boundaries. Lines end with CR, LF or CR LF; an empty line ends an event.
#[derive(Debug, Default)]
pub struct SseFramer {
    /// The beginning of an event whose end has not arrived.
    tail: BytesMut,
    /// Where the last, unfinished line of `tail` starts.
    line_start: usize,
    /// How far that line was searched for its end: an event of 16 MiB on one line comes in ten thousand pieces, and
    /// looking through all of it with each piece would be quadratic.
    searched: usize,
}

impl SseFramer {
    /// Takes the next chunk, shows each event it completes to `on_event` (without its closing empty line), and
    /// returns the bytes of all completed events, ready to be forwarded.
    ///
    /// # Errors
    /// The event that began here is too long. The framer is of no more use then.
    pub fn push(&mut self, chunk: Bytes, mut on_event: impl FnMut(&[u8])) -> Result<Bytes, EventTooLong> {
        let bytes = if self.tail.is_empty() {
            chunk
        } else {
            self.tail.extend_from_slice(&chunk);
            std::mem::take(&mut self.tail).freeze()
        };
        let mut event_start = 0;
        let mut line_start = self.line_start;
        let mut searched = self.searched;
        while let Some((line_end, next)) = line_at(&bytes, searched) {
            if line_end == line_start {
                if let Some(event) = bytes.get(event_start..line_start).filter(|event| !event.is_empty()) {
                    on_event(event);
                }
                event_start = next;
            }
            line_start = next;
            searched = next;
        }
        self.line_start = line_start - event_start;
        // A CR at the very end is looked at again with what follows.
        let looked_at = bytes.len() - usize::from(bytes.ends_with(b"\r"));
        self.searched = looked_at.max(line_start) - event_start;
        if event_start == 0 {
            // Taken back as it is, for copying a long event again with each of its pieces would be quadratic.
            self.tail = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
            return if self.tail.len() > MAX_EVENT_BYTES { Err(EventTooLong) } else { Ok(Bytes::new()) };
        }
        if event_start < bytes.len() {
            self.tail.extend_from_slice(bytes.get(event_start..).unwrap_or_default());
            if self.tail.len() > MAX_EVENT_BYTES {
                return Err(EventTooLong);
            }
        }
        Ok(bytes.slice(..event_start))
    }

    /// The stream ended: an event whose lines are complete but whose empty line never came is an event all the
    /// same (several servers end so). Half a line is dropped; it says `None`.
    #[must_use]
    pub fn finish(self) -> Option<Bytes> {
        let complete = self.tail.get(..self.line_start)?;
        let mut lines = complete;
        while let [rest @ .., b'\r' | b'\n'] = lines {
            lines = rest;
        }
        let whole = self.tail.ends_with(b"\r") || self.tail.len() == self.line_start;
        (whole && !self.tail.is_empty()).then(|| self.tail.freeze())
    }
}

/// The next end of a line from `from` on, and the start of the next one. `None` while the line is not
/// complete; a CR at the very end may be half of a CR LF, so it completes nothing yet.
fn line_at(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let end = from + memchr2(b'\n', b'\r', bytes.get(from..)?)?;
    match (bytes.get(end), bytes.get(end + 1)) {
        (Some(b'\n'), _) => Some((end, end + 1)),
        (Some(b'\r'), Some(b'\n')) => Some((end, end + 2)),
        (Some(b'\r'), Some(_)) => Some((end, end + 1)),
        _ => None,
    }
}

/// One event's name and payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventLines<'a> {
    /// The `event:` field.
    pub name: Option<&'a [u8]>,
    /// The only `data:` line. Providers of these dialects write JSON on one line; an event with several is
    /// opaque to us and passes through.
    pub data: Option<&'a [u8]>,
}

impl<'a> EventLines<'a> {
    /// Reads the fields of one event as the framer showed it.
    #[must_use]
    pub fn read(event: &'a [u8]) -> Self {
        let mut lines = Self { name: None, data: None };
        let mut several = false;
        let mut rest = event;
        while !rest.is_empty() {
            let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            if let Some(value) = field(line, b"data:") {
                several |= lines.data.replace(value).is_some();
            } else if let Some(value) = field(line, b"event:") {
                lines.name = Some(value);
            }
            rest = after.get(1..).unwrap_or_default();
        }
        if several {
            lines.data = None;
        }
        lines
    }
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// Writes one event.
#[must_use]
pub fn event(name: &str, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(name.len() + data.len() + 16);
    for part in [b"event: ".as_slice(), name.as_bytes(), b"\ndata: ", data, b"\n\n"] {
        out.extend_from_slice(part);
    }
    out.freeze()
}

#[cfg(test)]
mod tests;
