//! What must be mended in a body that goes to an upstream of the same dialect as it came.
//!
//! A conversation that moved from another provider's model to this one holds thinking whose signature the API did not
//! make; it refuses the whole request for one. Everything else keeps its bytes.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

use crate::json::Members;
use crate::turn::{Dialect, Sealed};

/// What a body contains that may need mending. Looking for it costs far less than reading the body.
const SIGNS: [&[u8]; 3] = [b"\"switchyard:", b"\"signature\":\"\"", b"\"signature\": \"\""];

#[derive(Deserialize)]
struct ThinkingBlock<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    data: Option<String>,
}

/// Takes thinking out that no upstream of this dialect has signed, and messages that held nothing else. `None` when
/// there is none, or when the body cannot be read; then it goes as it is.
#[must_use]
pub fn without_foreign_thinking(body: &[u8]) -> Option<Vec<u8>> {
    if !SIGNS.iter().any(|sign| memchr::memmem::find(body, sign).is_some()) {
        return None;
    }
    let mut members = Members::read(body).ok()?;
    let messages: Vec<&RawValue> = serde_json::from_str(members.get("messages")?).ok()?;
    let mut is_changed = false;
    let mut kept: Vec<Cow<'_, str>> = Vec::with_capacity(messages.len());
    for raw in messages {
        match mend(raw) {
            Mended::No => kept.push(Cow::Borrowed(raw.get())),
            Mended::Yes(text) => {
                is_changed = true;
                kept.push(Cow::Owned(text));
            }
            Mended::Gone => is_changed = true,
        }
    }
    let messages = format!("[{}]", kept.join(","));
    if !is_changed {
        return None;
    }
    members.set("messages", messages);
    Some(members.write())
}

enum Mended {
    No,
    Yes(String),
    Gone,
}

fn mend(raw: &RawValue) -> Mended {
    let Ok(mut message) = Members::read(raw.get().as_bytes()) else { return Mended::No };
    let content = message.get("content").map(str::to_owned).unwrap_or_default();
    let Ok(blocks) = serde_json::from_str::<Vec<&RawValue>>(&content) else { return Mended::No };
    let kept: Vec<&str> = blocks.iter().filter(|block| !is_foreign(block)).map(|block| block.get()).collect();
    match kept.len() {
        0 if !blocks.is_empty() => Mended::Gone,
        len if len < blocks.len() => {
            message.set("content", format!("[{}]", kept.join(",")));
            Mended::Yes(String::from_utf8_lossy(&message.write()).into_owned())
        }
        _ => Mended::No,
    }
}

fn is_foreign(raw: &RawValue) -> bool {
    let Ok(block) = serde_json::from_str::<ThinkingBlock<'_>>(raw.get()) else { return false };
    let seal = match &*block.kind {
        "thinking" => block.signature,
        "redacted_thinking" => block.data,
        _ => return false,
    };
    let Some(seal) = seal.filter(|seal| !seal.is_empty()) else { return true };
    Sealed::read(Dialect::AnthropicMessages, seal).by != Dialect::AnthropicMessages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(body: &str) -> Option<String> {
        without_foreign_thinking(body.as_bytes()).map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn only_foreign_thinking_is_taken_out() {
        let body = concat!(
            r#"{"model":"m", "messages":[{"role":"user","content":"hi"},{"role":"assistant","content":["#,
            r#"{"type":"thinking","thinking":"a","signature":"switchyard:openai-responses:gAAA"},"#,
            r#"{"type":"thinking","thinking":"b","signature":"EqQB"},{"type":"text", "text":"x"}]},"#,
            r#"{"role":"assistant","content":[{"type":"thinking","thinking":"c","signature":""}]},"#,
            r#"{"role":"user","content":[{"type":"text","text":"go on"}]}],"max_tokens":1e2}"#
        );
        let expected = concat!(
            r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":["#,
            r#"{"type":"thinking","thinking":"b","signature":"EqQB"},{"type":"text", "text":"x"}]},"#,
            r#"{"role":"user","content":[{"type":"text","text":"go on"}]}],"max_tokens":1e2}"#
        );
        assert_eq!(mended(body).as_deref(), Some(expected));
    }

    #[test]
    fn a_body_without_any_keeps_its_bytes() {
        for body in [
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
            r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","signature":"EqQB"}]}]}"#,
            r#"{"messages":[{"role":"user","content":"say \"switchyard: x\""}]}"#,
            r#"{"messages":[{"role":"user","content":["switchyard:x"]}]}"#,
            r#"{"messages":"switchyard:"}"#,
            r#"not json "switchyard:"#,
        ] {
            assert_eq!(mended(body), None, "{body}");
        }
    }
}
