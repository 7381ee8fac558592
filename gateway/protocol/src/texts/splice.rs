//! Changing a text in places and copying the rest.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use crate::json::{Members, Name};

/// One change: what stands there, and what is to stand there.
pub(super) type Splice = (Range<usize>, String);

/// Where a part stands in the text it was borrowed from.
pub(super) fn place(text: &str, part: &str) -> Option<Range<usize>> {
    // A raw value borrows from its text, so the difference of the addresses is its place.
    let at = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    (at + part.len() <= text.len()).then_some(at..at + part.len())
}

/// The text with its changes; they do not overlap.
pub(super) fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|(at, _)| at.start);
    let added: usize = splices.iter().map(|(_, new)| new.len()).sum();
    let mut out = String::with_capacity(text.len() + added);
    let mut copied = 0;
    for (at, new) in splices {
        out.push_str(text.get(copied..at.start).unwrap_or_default());
        out.push_str(&new);
        copied = at.end.max(copied);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    // Quoting a text cannot fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// A JSON text's content, borrowed when it holds no escapes; `None` for anything else.
pub(super) fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    value.starts_with('"').then(|| serde_json::from_str::<Name<'_>>(value).ok()).flatten().map(|name| name.0)
}

/// The elements of an array; none when it is something else.
pub(super) fn elements(value: &str) -> Vec<&str> {
    if !value.starts_with('[') {
        return Vec::new();
    }
    let read: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
    read.into_iter().map(RawValue::get).collect()
}

/// An object's members; none when it is something else.
pub(super) fn members(value: &str) -> Members<'_> {
    if !value.starts_with('{') {
        return Members::default();
    }
    Members::read(value.as_bytes()).unwrap_or_default()
}

/// A member's text.
pub(super) fn text_member(of: &Members<'_>, name: &str) -> Option<String> {
    of.get(name).and_then(crate::json::text_of)
}

/// A member's number.
pub(super) fn number_member(of: &Members<'_>, name: &str) -> Option<u32> {
    of.get(name)?.parse().ok()
}

/// An object as text.
pub(super) fn written(members: &Members<'_>) -> String {
    String::from_utf8(members.write()).unwrap_or_default()
}
