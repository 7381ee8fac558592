//! The table of parsers. What each must keep to besides not falling over is in the modules below.

mod accounts;
mod calls;
mod dialects;
mod frames;
mod texts;

use super::Target;

/// All of them.
pub(super) fn all() -> Vec<Target> {
    let mut all = Vec::new();
    all.extend(frames::targets());
    all.extend(dialects::targets());
    all.extend(calls::targets());
    all.extend(texts::targets());
    all.extend(accounts::targets());
    all
}

/// The text of bytes that are one; a parser of texts never sees others.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Something that must be JSON.
fn must_be_json(what: &str, bytes: &[u8]) {
    let read = serde_json::from_slice::<serde::de::IgnoredAny>(bytes);
    assert!(read.is_ok(), "{what} is no JSON: {}", bytes.escape_ascii());
}

/// What was read is of no further interest: that it could be is.
fn seen<T>(_: T) {}
