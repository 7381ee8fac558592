//! What an upstream sealed for itself in a Responses conversation (`encrypted_content`): finding it without reading the
//! body, and taking reasoning out that an account cannot open.
//!
//! Refuses: knowing who sealed what, and opening it. A compacted history is never taken out: nothing else holds what it
//! stands for.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Members;

/// Of a seal so much is compared. It begins with its time and a random vector, so this tells any two apart.
const SEAL_BYTES: usize = 160;
/// The member that holds a seal.
const MEMBER: &[u8] = b"\"encrypted_content\"";
/// How a seal of this dialect is marked in a conversation of another one.
const MARK: &[u8] = b"\"switchyard:openai-responses:";
/// How the types of compacted histories begin.
const COMPACTED: &[u8] = b"\"compaction";

/// What was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SealKind {
    /// What the model thought: without it the conversation is whole.
    Reasoning,
    /// The conversation itself, compacted.
    Compaction,
}

/// The seals of a body of this dialect, as they stand in it: the first, and so many of the newest that there are `most`.
/// The first tells whether a long conversation began elsewhere.
#[must_use]
pub fn seals_in(body: &[u8], most: usize) -> Vec<&str> {
    let at = |place: usize| {
        let rest = body.get(place + MEMBER.len()..)?.trim_ascii_start().strip_prefix(b":")?;
        seal_at(rest.trim_ascii_start().strip_prefix(b"\"")?)
    };
    few(memchr::memmem::find_iter(body, MEMBER).collect(), most).into_iter().filter_map(at).collect()
}

/// The same for a body of another dialect, where they are marked.
#[must_use]
pub fn marked_seals_in(body: &[u8], most: usize) -> Vec<&str> {
    let at = |place: usize| seal_at(body.get(place + MARK.len()..)?);
    few(memchr::memmem::find_iter(body, MARK).collect(), most).into_iter().filter_map(at).collect()
}

/// Whether a body may hold a compacted history. It does not miss one; a text that speaks of one looks alike.
#[must_use]
pub fn may_hold_compaction(body: &[u8]) -> bool {
    memchr::memmem::find(body, COMPACTED).is_some()
}

/// The first, and the last of the rest.
fn few(mut places: Vec<usize>, most: usize) -> Vec<usize> {
    if places.len() > most {
        let newest = places.split_off(places.len() - most.saturating_sub(1));
        places.truncate(most.min(1));
        places.extend(newest);
    }
    places
}

/// The seal that begins here. One of another dialect is none.
fn seal_at(text: &[u8]) -> Option<&str> {
    let text = text.strip_prefix(MARK.get(1..).unwrap_or_default()).unwrap_or(text);
    let text = text.get(..SEAL_BYTES).unwrap_or(text);
    let end = memchr::memchr2(b'"', b'\\', text).unwrap_or(text.len());
    let seal = std::str::from_utf8(text.get(..end)?).ok()?;
    (!seal.is_empty() && !seal.starts_with("switchyard:")).then_some(seal)
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    encrypted_content: Option<std::borrow::Cow<'a, str>>,
}

impl Item<'_> {
    fn seal(&self) -> Option<(SealKind, &str)> {
        let kind = match self.kind.as_deref()? {
            "reasoning" => SealKind::Reasoning,
            kind if kind.starts_with("compaction") => SealKind::Compaction,
            _ => return None,
        };
        Some((kind, seal_at(self.encrypted_content.as_deref()?.as_bytes())?))
    }
}

/// What a finished item of an answer sealed, from the data of its event.
#[must_use]
pub fn sealed_item(data: &[u8]) -> Option<(SealKind, String)> {
    #[derive(Deserialize)]
    struct Done<'a> {
        #[serde(borrow)]
        item: Item<'a>,
    }
    memchr::memmem::find(data, MEMBER)?;
    let done: Done<'_> = serde_json::from_slice(data).ok()?;
    done.item.seal().map(|(kind, seal)| (kind, seal.to_owned()))
}

/// What the items of a whole answer sealed.
#[must_use]
pub fn sealed_items(answer: &[u8]) -> Vec<(SealKind, String)> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        output: Vec<&'a RawValue>,
    }
    if memchr::memmem::find(answer, MEMBER).is_none() {
        return Vec::new();
    }
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(answer) else { return Vec::new() };
    let sealed = |raw: &&RawValue| {
        let item: Item<'_> = serde_json::from_str(raw.get()).ok()?;
        item.seal().map(|(kind, seal)| (kind, seal.to_owned()))
    };
    answer.output.iter().filter_map(sealed).collect()
}

/// Takes reasoning out of `input` that is sealed and not wanted. `None` when all of it stays, or when the body cannot be
/// read; then it goes as it is.
#[must_use]
pub fn without_reasoning(body: &[u8], wanted: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let mut members = Members::read(body).ok()?;
    let items: Vec<&RawValue> = serde_json::from_str(members.get("input")?).ok()?;
    let stays = |raw: &&&RawValue| {
        if memchr::memmem::find(raw.get().as_bytes(), MEMBER).is_none() {
            return true;
        }
        let Ok(item) = serde_json::from_str::<Item<'_>>(raw.get()) else { return true };
        !matches!(item.seal(), Some((SealKind::Reasoning, seal)) if !wanted(seal))
    };
    let kept: Vec<&str> = items.iter().filter(stays).map(|raw| raw.get()).collect();
    if kept.len() == items.len() {
        return None;
    }
    let input = format!("[{}]", kept.join(","));
    members.set("input", input);
    Some(members.write())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"input":[{"type":"reasoning","encrypted_content" : "gAAA1"},
        {"type":"message","content":"say \"encrypted_content\":\"no\""},
        {"type":"reasoning","summary":[],"encrypted_content":null},
        {"type":"compaction","encrypted_content":"gAAAc"},
        {"type":"reasoning","encrypted_content":"switchyard:anthropic-messages:EqQB"},
        {"type":"reasoning","encrypted_content":"gAAA2"},{"type":"reasoning","encrypted_content":"gAAA3"}],"n":1.50}"#;

    #[test]
    fn seals_are_found_without_reading_the_body() {
        assert_eq!(seals_in(BODY.as_bytes(), 16), ["gAAA1", "gAAAc", "gAAA2", "gAAA3"]);
        assert_eq!(seals_in(BODY.as_bytes(), 3), ["gAAA1", "gAAA2", "gAAA3"]);
        assert_eq!(seals_in(BODY.as_bytes(), 1), ["gAAA1"]);
        assert!(seals_in(BODY.as_bytes(), 0).is_empty());
        assert!(
            may_hold_compaction(BODY.as_bytes()) && !may_hold_compaction(b"{\"input\":\"no compaction\"}")
        );
        let long = format!(r#"{{"encrypted_content":"{}"}}"#, "x".repeat(9_000));
        assert_eq!(seals_in(long.as_bytes(), 1), ["x".repeat(SEAL_BYTES)]);
        for none in [
            "",
            "\"encrypted_content\"",
            "\"encrypted_content\":",
            "{\"encrypted_content\":\"\"}",
            "\"encrypted_content\":7",
        ] {
            assert!(seals_in(none.as_bytes(), 9).is_empty(), "{none}");
        }
        let messages = br#"{"signature":"switchyard:openai-responses:gAAA1"},{"signature":"EqQB"}"#;
        assert_eq!(marked_seals_in(messages, 9), ["gAAA1"]);
    }

    #[test]
    fn an_answers_seals_are_those_that_come_back() {
        let item = |kind: &str| {
            format!(
                r#"{{"type":"response.output_item.done","item":{{"id":"x","type":"{kind}","encrypted_content":"gAAA1"}}}}"#
            )
        };
        let sealed = |kind| sealed_item(item(kind).as_bytes());
        assert_eq!(sealed("reasoning"), Some((SealKind::Reasoning, "gAAA1".to_owned())));
        assert_eq!(sealed("compaction_summary"), Some((SealKind::Compaction, "gAAA1".to_owned())));
        assert_eq!((sealed("message"), sealed_item(b"{")), (None, None));
        let answer = br#"{"output":[{"type":"reasoning","encrypted_content":"a"},{"type":"message"},{"type":"compaction","encrypted_content":"b"}]}"#;
        let expect = [(SealKind::Reasoning, "a".to_owned()), (SealKind::Compaction, "b".to_owned())];
        assert_eq!(sealed_items(answer), expect);
    }

    #[test]
    fn only_reasoning_that_is_not_wanted_goes() {
        let left = without_reasoning(BODY.as_bytes(), |seal| seal == "gAAA2").unwrap();
        let left = String::from_utf8(left).unwrap();
        for (part, stays) in [
            ("gAAA1", false),
            ("gAAA2", true),
            ("gAAA3", false),
            ("gAAAc", true),
            ("\"n\":1.50", true),
            ("null", true),
        ] {
            assert_eq!(left.contains(part), stays, "{part}: {left}");
        }
        assert!(left.contains(r#""say \"encrypted_content\":\"no\"""#), "{left}");
        assert_eq!(without_reasoning(BODY.as_bytes(), |_| true), None);
        for odd in ["", "[]", r#"{"input":"x"}"#, r#"{"input":[{"encrypted_content":7}]}"#] {
            assert_eq!(without_reasoning(odd.as_bytes(), |_| false), None, "{odd}");
        }
    }
}
