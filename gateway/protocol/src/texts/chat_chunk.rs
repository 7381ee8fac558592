//! A chunk of a chat stream: which texts it carries, one by one, and a chunk that carries another one.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use serde_json::json;

use super::shown::{Group, Shown, What};
use super::splice::{elements, members, number_member, quoted, text_member, written};
use super::totals::chat_usage;
use super::{Place, TextKind, retell};
use crate::json::Members;

/// Where a piece of each kind stands in a delta; several words are in use for thinking.
const DELTAS: [(&str, TextKind); 4] = [
    ("content", TextKind::Answer),
    ("refusal", TextKind::Answer),
    ("reasoning_content", TextKind::Thinking),
    ("reasoning", TextKind::Thinking),
];

/// Reads one chunk. A chunk that says several things is shown as its parts.
pub(super) fn read(raw: &Bytes, data: &str, names: &mut HashMap<u32, String>, shown: &mut Vec<Shown>) {
    if !data.starts_with('{') {
        return shown.push(Shown::of(raw.clone(), What::Noise));
    }
    let fields = members(data);
    let mut parts: Vec<(What, String)> = Vec::new();
    for choice in fields.get("choices").map(elements).unwrap_or_default() {
        of_choice(choice, names, &mut parts);
    }
    let usage = fields.get("usage").and_then(chat_usage);
    if let Some(usage) = usage {
        shown.push(Shown::of(Bytes::new(), What::Usage(usage)));
    }
    match parts.len() {
        0 => shown.push(Shown::of(raw.clone(), What::Other)),
        1 => shown.extend(parts.into_iter().map(|(what, _)| Shown::of(raw.clone(), what))),
        of => shown.extend(parts.into_iter().enumerate().map(|(at, (what, choice))| {
            let group = Group { whole: raw.clone(), at, of };
            Shown { raw: alone(data, &choice), what, group: Some(group) }
        })),
    }
}

/// The same chunk with this choice only.
fn alone(data: &str, choice: &str) -> Bytes {
    let mut fields = members(data);
    fields.set("choices", format!("[{choice}]"));
    // Tokens are told with the last one.
    fields.remove("usage");
    let mut out = BytesMut::new();
    retell::frame(None, written(&fields).as_bytes(), &mut out);
    out.freeze()
}

fn of_choice(choice: &str, names: &mut HashMap<u32, String>, parts: &mut Vec<(What, String)>) {
    let fields = members(choice);
    let index = number_member(&fields, "index").unwrap_or(0);
    let delta = members(fields.get("delta").unwrap_or_default());
    let part_with = |delta: String| format!(r#"{{"index":{index},"delta":{delta},"finish_reason":null}}"#);
    let begins = delta.get("role").is_some();
    for (member, kind) in DELTAS {
        let Some(text) = text_member(&delta, member).filter(|text| !text.is_empty()) else { continue };
        let place = Place { kind, choice: index, part: 0 };
        let role = if begins { r#""role":"assistant","# } else { "" };
        let alone = part_with(format!(r#"{{{role}"{member}":{}}}"#, quoted(&text)));
        parts.push((What::Delta { place, name: None, text }, alone));
    }
    for call in delta.get("tool_calls").map(elements).unwrap_or_default() {
        let one = members(call);
        let at = number_member(&one, "index").unwrap_or(0);
        let function = members(one.get("function").or_else(|| one.get("custom")).unwrap_or_default());
        let name = text_member(&function, "name").filter(|name| !name.is_empty());
        let text = text_member(&function, "arguments").or_else(|| text_member(&function, "input"));
        let alone = part_with(format!(r#"{{"tool_calls":[{call}]}}"#));
        match text.filter(|text| !text.is_empty()) {
            Some(text) => {
                let name = name.or_else(|| names.remove(&at));
                let place = Place { kind: TextKind::Arguments, choice: index, part: at };
                parts.push((What::Delta { place, name, text }, alone));
            }
            None => {
                if let Some(name) = name {
                    names.insert(at, name);
                }
                parts.push((What::Other, alone));
            }
        }
    }
    if let Some(reason) = text_member(&fields, "finish_reason") {
        let alone = json!({"index": index, "delta": {}, "finish_reason": reason}).to_string();
        parts.push((What::Stop(reason), alone));
    } else if parts.is_empty() && begins {
        parts.push((What::Start, choice.to_owned()));
    }
}

/// The choices of a chunk with another text in its place, and nothing of what its delta said besides.
pub(super) fn with_text(fields: &Members<'_>, place: Place, text: &str, is_first: bool) -> String {
    let choices = fields.get("choices").map(elements).unwrap_or_default();
    let found = choices.iter().map(|choice| members(choice));
    let choice = found.into_iter().find(|one| number_member(one, "index").unwrap_or(0) == place.choice);
    let delta = choice.as_ref().and_then(|choice| choice.get("delta")).map(members).unwrap_or_default();
    let delta = if place.kind == TextKind::Arguments {
        let calls = delta.get("tool_calls").map(elements).unwrap_or_default();
        let call =
            calls.into_iter().find(|one| number_member(&members(one), "index").unwrap_or(0) == place.part);
        format!(r#"{{"tool_calls":[{}]}}"#, call_with(call.unwrap_or_default(), place.part, text, is_first))
    } else {
        let member = DELTAS.iter().find(|(member, kind)| {
            *kind == place.kind && text_member(&delta, member).is_some_and(|text| !text.is_empty())
        });
        format!(r#"{{"{}":{}}}"#, member.map_or("content", |(member, _)| *member), quoted(text))
    };
    format!(r#"[{{"index":{},"delta":{delta},"finish_reason":null}}]"#, place.choice)
}

fn call_with(call: &str, index: u32, text: &str, is_first: bool) -> String {
    let mut call = members(call);
    let (shape, argument) =
        if call.get("custom").is_some() { ("custom", "input") } else { ("function", "arguments") };
    let mut inner = members(call.borrowed(shape).unwrap_or_default());
    inner.set(argument, quoted(text));
    if !is_first {
        // Said once, with the first piece; some clients put what is said twice together.
        inner.remove("name");
        call.remove("id");
        call.remove("type");
    }
    let inner = written(&inner);
    call.set(shape, inner);
    call.set("index", index.to_string());
    written(&call)
}
