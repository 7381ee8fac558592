//! What must be mended in a body that goes to an upstream of the same dialect as it came.
//!
//! A conversation that moved here from another dialect's upstream holds reasoning that no upstream of this dialect
//! made: it refuses the whole request for one such item. Everything else keeps its bytes.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Members;
use crate::turn::{Dialect, Sealed};

/// How the ids of reasoning items begin that another dialect's upstream thought.
pub(super) const FOREIGN_ID: &str = "rs_switchyard_";

/// What a body contains that may need mending. Looking for it costs far less than reading the body.
const SIGNS: [&[u8]; 2] = [b"\"switchyard:", b"\"rs_switchyard_"];

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    encrypted_content: Option<String>,
}

/// Takes reasoning out of `input` that no upstream of this dialect made. `None` when there is none, or when the body
/// cannot be read; then it goes as it is.
#[must_use]
pub fn without_foreign_reasoning(body: &[u8]) -> Option<Vec<u8>> {
    if !has_sign(body) {
        return None;
    }
    let mut members = Members::read(body).ok()?;
    let items: Vec<&RawValue> = serde_json::from_str(members.get("input")?).ok()?;
    let kept: Vec<&str> = items.iter().map(|raw| raw.get()).filter(|text| !is_foreign(text)).collect();
    if kept.len() == items.len() {
        return None;
    }
    let input = format!("[{}]", kept.join(","));
    members.set("input", input);
    Some(members.write())
}

fn has_sign(text: &[u8]) -> bool {
    SIGNS.iter().any(|sign| memchr::memmem::find(text, sign).is_some())
}

fn is_foreign(text: &str) -> bool {
    if !has_sign(text.as_bytes()) {
        return false;
    }
    let Ok(item) = serde_json::from_str::<Item>(text) else { return false };
    let is_ours = item.id.is_some_and(|id| id.starts_with(FOREIGN_ID));
    let sealed = item.encrypted_content.map(|seal| Sealed::read(Dialect::OpenAiResponses, seal));
    item.kind.as_deref() == Some("reasoning")
        && (is_ours || sealed.is_some_and(|seal| seal.by != Dialect::OpenAiResponses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_foreign_reasoning_goes() {
        let body = br#"{"model":"m", "input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"},
            {"type":"reasoning","summary":[],"encrypted_content":"switchyard:anthropic-messages:EqQB"},
            {"type":"reasoning","id":"rs_switchyard_c_0","summary":[]},
            {"role":"user","content":"\"switchyard: 1.50"}],"n":1.50}"#;
        let mended = String::from_utf8(without_foreign_reasoning(body).unwrap()).unwrap();
        assert!(mended.contains("gAAA") && mended.contains(r#""n":1.50"#), "{mended}");
        assert!(!mended.contains("EqQB") && !mended.contains("rs_switchyard_"), "{mended}");
        assert!(mended.contains(r#"{"role":"user","content":"\"switchyard: 1.50"}"#), "{mended}");
    }

    #[test]
    fn what_needs_no_mending_is_left_alone() {
        for body in [
            r#"{"input":[{"type":"reasoning","id":"rs_1"}]}"#,
            r#"{"input":"say \"switchyard: hello"}"#,
            r#"{"input":[{"role":"user","content":"switchyard:"}]}"#,
            "not json \"switchyard:",
        ] {
            assert_eq!(without_foreign_reasoning(body.as_bytes()), None, "{body}");
        }
    }
}
