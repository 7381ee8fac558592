//! The JSON around entries: one object, lists, lists inside of an export, a map from name to entry, one object a line.

use gateway_domain::Timestamp;
use serde_json::{Map, Value};

use super::item::{At, Entry, Format, NotAToken, Unusable};
use super::{MAX_ENTRIES, ReadError, bundle, node, text};
use crate::codex::auth::place_of;

/// Members that hold the entries of an export.
const LISTS: &[&str] = &[
    "accounts",
    "items",
    "data",
    "results",
    "entries",
    "tokens",
    "refresh_tokens",
    "refreshTokens",
    "access_tokens",
    "accessTokens",
];
/// How deep such a list may lie.
const MAX_LIST_DEPTH: usize = 4;

/// Reads a text that is JSON, or one JSON value a line.
pub(super) fn read(text: &str, format: Format, now: Timestamp) -> Result<Vec<Entry>, ReadError> {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => whole(value, format, now),
        Err(error) => lines(text, format, now).unwrap_or_else(|| Err(ReadError::NotJson(place_of(&error)))),
    }
}

fn whole(value: Value, format: Format, now: Timestamp) -> Result<Vec<Entry>, ReadError> {
    if let Some(read) = bundle::read(&value, now) {
        return read;
    }
    if format == Format::Switchyard {
        return Err(ReadError::NotABundle);
    }
    match list_of(value, 0) {
        Listed::Entries(entries) if entries.len() > MAX_ENTRIES => Err(ReadError::TooMany),
        Listed::Entries(entries) => Ok((1..)
            .zip(entries)
            .map(|(number, (name, value))| entry(At::Entry(number), name, value, format, now))
            .collect()),
        Listed::One(value) => Ok(vec![entry(At::Whole, None, value, format, now)]),
    }
}

/// One JSON value a line: only when each line that is not blank is one.
fn lines(text: &str, format: Format, now: Timestamp) -> Option<Result<Vec<Entry>, ReadError>> {
    if format == Format::Switchyard {
        return None;
    }
    let mut entries = Vec::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        if entries.len() == MAX_ENTRIES {
            return Some(Err(ReadError::TooMany));
        }
        let value: Value = serde_json::from_str(text.trim()).ok()?;
        entries.push(entry(At::Line(line), None, value, format, now));
    }
    (entries.len() > 1).then_some(Ok(entries))
}

enum Listed {
    Entries(Vec<(Option<String>, Value)>),
    One(Value),
}

fn list_of(value: Value, depth: usize) -> Listed {
    match value {
        Value::Array(entries) => Listed::Entries(entries.into_iter().map(|entry| (None, entry)).collect()),
        Value::Object(object) if !node::has_token(&object) => inner_list(object, depth),
        other => Listed::One(other),
    }
}

/// The list inside of an object that is no entry itself.
fn inner_list(mut object: Map<String, Value>, depth: usize) -> Listed {
    if depth < MAX_LIST_DEPTH {
        for name in LISTS {
            match object.get(*name) {
                Some(Value::Array(_)) => {}
                Some(Value::Object(inner)) if !node::has_token(inner) => {}
                _ => continue,
            }
            if let Some(inner) = object.remove(*name) {
                return list_of(inner, depth + 1);
            }
        }
    }
    // A map from name to entry: OpenCode's from provider, others' from alias.
    let is_map = object.values().any(|value| value.as_object().is_some_and(node::has_token))
        && object.values().all(Value::is_object);
    if is_map {
        return Listed::Entries(object.into_iter().map(|(name, entry)| (Some(name), entry)).collect());
    }
    Listed::One(Value::Object(object))
}

fn entry(at: At, key: Option<String>, value: Value, format: Format, now: Timestamp) -> Entry {
    match value {
        Value::String(token) => Entry {
            at,
            name: key,
            found: text::bare(token.trim(), format, now).and_then(|found| text::alive(found, now)),
        },
        Value::Object(object) => {
            let found = node::read_entry(&object, key.as_deref(), format, now);
            // A key that names the provider is not what the account is called.
            let name = node::name(&object).or(key.filter(|key| !node::is_provider(key)));
            Entry { at, name, found: found.and_then(|found| text::alive(found, now)) }
        }
        _ => Entry { at, name: key, found: Err(Unusable::NotAToken(NotAToken::NotText)) },
    }
}
