//! Bad bodies: each is refused with the member it is about, and none makes anything panic.

use super::*;
use proptest::prelude::*;

fn refusal(body: &str) -> TurnError {
    Messages.decode_request(body.as_bytes()).expect_err(body)
}

fn with_messages(messages: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":{messages}}}"#)
}

fn with_block(role: &str, block: &str) -> String {
    with_messages(&format!(r#"[{{"role":"user","content":"x"}},{{"role":"{role}","content":[{block}]}}]"#))
}

fn with_member(member: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"x"}}],{member}}}"#)
}

#[test]
fn the_members_around_the_conversation_are_checked() {
    for (body, param) in [
        (r#"{"max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#.to_owned(), "model"),
        (r#"{"model":"","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#.to_owned(), "model"),
        (r#"{"model":7,"max_tokens":9,"messages":[]}"#.to_owned(), "model"),
        (r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#.to_owned(), "max_tokens"),
        (r#"{"model":"m","max_tokens":-1,"messages":[]}"#.to_owned(), "max_tokens"),
        (r#"{"model":"m","max_tokens":1.5,"messages":[]}"#.to_owned(), "max_tokens"),
        (r#"{"model":"m","max_tokens":9}"#.to_owned(), "messages"),
        (with_messages("[]"), "messages"),
        (with_messages("{}"), "messages"),
        (with_messages("[7]"), "messages[0]"),
        (with_member(r#""temperature":1.5"#), "temperature"),
        (with_member(r#""temperature":"hot""#), "temperature"),
        (with_member(r#""top_p":-0.1"#), "top_p"),
        (with_member(r#""top_k":-1"#), "top_k"),
        (with_member(r#""stop_sequences":"x""#), "stop_sequences"),
        (with_member(r#""stream":"yes""#), "stream"),
        (with_member(r#""system":7"#), "system"),
        (with_member(r#""system":[{"type":"image"}]"#), "system[0].type"),
        (with_member(r#""tools":{}"#), "tools"),
        (with_member(r#""tools":[{"name":"w"}]"#), "tools[0]"),
        (with_member(r#""tools":[{"name":"","input_schema":{}}]"#), "tools[0].name"),
        (with_member(r#""tools":[{"name":"w","input_schema":"x"}]"#), "tools[0].input_schema"),
        (with_member(r#""tool_choice":"auto""#), "tool_choice"),
        (with_member(r#""tool_choice":{"type":"some"}"#), "tool_choice.type"),
        (with_member(r#""tool_choice":{"type":"tool"}"#), "tool_choice.name"),
        (with_member(r#""thinking":"on""#), "thinking"),
        (with_member(r#""thinking":{"type":"enabled","budget_tokens":"x"}"#), "thinking.budget_tokens"),
        (with_member(r#""output_config":{"effort":3}"#), "output_config.effort"),
        (with_member(r#""output_config":{"format":{"type":"json_schema"}}"#), "output_config.format.schema"),
        (with_member(r#""metadata":{"user_id":{}}"#), "metadata.user_id"),
    ] {
        assert_eq!(refusal(&body).param(), Some(param), "{body}");
    }
}

#[test]
fn the_conversation_is_checked_block_by_block() {
    for (body, param) in [
        (with_messages(r#"[{"role":"tool","content":"x"}]"#), "messages[0].role"),
        (with_messages(r#"[{"role":"user"}]"#), "messages[0].content"),
        (with_messages(r#"[{"role":"user","content":""}]"#), "messages[0].content"),
        (with_messages(r#"[{"role":"user","content":[]}]"#), "messages[0].content"),
        (with_messages(r#"[{"role":"user","content":{"type":"text"}}]"#), "messages[0].content"),
        (with_block("user", "7"), "messages[1].content[0]"),
        (with_block("user", r#"{"text":"x"}"#), "messages[1].content[0]"),
        (with_block("user", r#"{"type":"text"}"#), "messages[1].content[0]"),
        (with_block("user", r#"{"type":"text","text":7}"#), "messages[1].content[0].text"),
        (with_block("user", r#"{"type":"image"}"#), "messages[1].content[0]"),
        (
            with_block("user", r#"{"type":"image","source":{"type":"base64","data":"x"}}"#),
            "messages[1].content[0].source.media_type",
        ),
        (
            with_block("user", r#"{"type":"document","source":{"type":"url"}}"#),
            "messages[1].content[0].source.url",
        ),
        (
            with_block("user", r#"{"type":"tool_result","tool_use_id":"t","content":"x"}"#),
            "messages[1].content[0].tool_use_id",
        ),
        (with_block("user", r#"{"type":"tool_result","content":"x"}"#), "messages[1].content[0]"),
        (
            with_block("user", r#"{"type":"tool_use","id":"t","name":"n","input":{}}"#),
            "messages[1].content[0].type",
        ),
        (with_block("system", r#"{"type":"thinking","thinking":"x"}"#), "messages[1].content[0].type"),
        (with_block("assistant", r#"{"type":"tool_use","id":"","name":"n"}"#), "messages[1].content[0].id"),
        (
            with_block("assistant", r#"{"type":"tool_use","id":"t","name":"n","input":[]}"#),
            "messages[1].content[0].input",
        ),
        (with_block("assistant", r#"{"type":"redacted_thinking"}"#), "messages[1].content[0]"),
    ] {
        assert_eq!(refusal(&body).param(), Some(param), "{body}");
    }
    let inner = r#"[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"t",
        "name":"n","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[
        {"type":"text","text":"a"},{"type":"text","text":{}}]}]}]"#;
    let path = "messages[2].content[0].content[1].text";
    assert_eq!(refusal(&with_messages(inner)).param(), Some(path));
}

#[test]
fn what_is_no_object_is_refused_whatever_it_is() {
    for body in ["", "null", "[]", "{", "{\"model\":\"m\",}", "\u{feff}{}", "{} {}"] {
        assert!(matches!(refusal(body), TurnError::NotJson(_)), "{body}");
    }
    let deep = format!("{{\"model\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    assert!(Messages.decode_request(deep.as_bytes()).is_err());
}

#[test]
fn ten_thousand_blocks_are_read_in_one_go() {
    let block = r#"{"type":"text","text":"x"}"#;
    let blocks = vec![block; 10_000].join(",");
    let body = with_messages(&format!(r#"[{{"role":"user","content":[{blocks}]}}]"#));
    let request = Messages.decode_request(body.as_bytes()).unwrap().request;
    let written = Messages.encode_request(&request, &mut Dropped::default()).unwrap();
    assert!(written.len() >= block.len() * 10_000);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Messages.decode_request(&bytes);
        let _ = Messages.decode_answer(&bytes, &mut Vec::new());
        let _ = Messages.decode_error(500, &bytes);
        let _ = without_foreign_thinking(&bytes);
        let mut events = Vec::new();
        let mut decoder = Messages.event_decoder();
        decoder.push(EventLines { name: None, data: Some(&bytes) }, &mut events);
        decoder.finish(&mut events);
    }

    /// A good body with one byte changed is read or refused, and what is read can be written or is refused.
    #[test]
    fn a_changed_byte_makes_no_panic(which in 0_usize..12, at in any::<usize>(), byte in any::<u8>()) {
        let all = fixtures("requests");
        let (_, body) = &all[which % all.len()];
        let mut body = body.clone();
        let last = body.len() - 1;
        body[at % last] = byte;
        if let Ok(decoded) = Messages.decode_request(&body) {
            let _ = Messages.encode_request(&decoded.request, &mut Dropped::default());
            let _ = estimate_input_tokens(&decoded.request);
        }
    }
}
