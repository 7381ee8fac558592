//! Edits change what they name and nothing else, in every dialect; a stream that is told again agrees with itself.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use super::*;
use crate::turn::Dialect::{self, AnthropicMessages, OpenAiChat, OpenAiResponses};

fn body(dialect: Dialect) -> &'static str {
    match dialect {
        OpenAiResponses => {
            r#"{ "model":"m", "instructions" : "be kind","input":[ {"role":"user","content":[{"type":"input_text","text":"caf\u00e9"},{"type":"input_image","image_url":"x"}]},{"type":"function_call","name":"f","call_id":"1","arguments":"{\"a\":\"café\"}"}, {"type":"function_call_output","call_id":"1","output":"done"}],"seed":1.50}"#
        }
        OpenAiChat => {
            r#"{ "model":"m","messages":[{"role":"system","content":"be kind"}, {"role":"user","content":"caf\u00e9"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":\"café\"}"}}]},{"role":"tool","tool_call_id":"1","content":"done"}],"seed":1.50}"#
        }
        AnthropicMessages => {
            r#"{ "model":"m","system":[{"type":"text","text":"be kind"}],"messages":[{"role":"user","content":"caf\u00e9"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"tool_use","id":"1","name":"f","input":{"a":"café","n":2}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"done"}]}],"seed":1.50}"#
        }
    }
}

#[test]
fn the_same_conversation_is_read_in_every_dialect() {
    for dialect in Dialect::ALL {
        let texts = PromptTexts::read(dialect, body(dialect).as_bytes()).unwrap();
        let said: Vec<_> =
            texts.segments().iter().map(|one| (one.message, one.speaker, &*one.text)).collect();
        let arguments = if dialect == AnthropicMessages { "café" } else { r#"{"a":"café"}"# };
        let expected = [
            (0, Speaker::System, "be kind"),
            (1, Speaker::User, "café"),
            (2, Speaker::Assistant, arguments),
            (3, Speaker::Tool, "done"),
        ];
        assert_eq!((said.as_slice(), texts.messages()), (&expected[..], 4), "{dialect:?}");
    }
    assert!(PromptTexts::read(OpenAiChat, b"[]").is_none());
}

#[test]
fn one_replaced_text_leaves_every_other_byte() {
    for dialect in Dialect::ALL {
        let body = body(dialect);
        let texts = PromptTexts::read(dialect, body.as_bytes()).unwrap();
        let edited = texts.edited(&[TextEdit::Replace { segment: 1, text: "\"tea\"\n" }]).unwrap();
        let expected = body.replacen(r#""caf\u00e9""#, r#""\"tea\"\n""#, 1);
        assert_eq!(String::from_utf8(edited).unwrap(), expected, "{dialect:?}");
        assert_eq!(texts.edited(&[]).unwrap(), body.as_bytes(), "{dialect:?}");
    }
}

#[test]
fn a_member_is_read_and_changed_where_there_is_no_conversation() {
    for (body, texts, changed) in [
        (r#"{"model": "m","input":"one"}"#, vec!["one"], r#"{"model": "m","input":"ONE"}"#),
        (r#"{"input":["one", "two"],"x":1.0}"#, vec!["one", "two"], r#"{"input":["ONE", "two"],"x":1.0}"#),
        (r#"{"input":[[1,2],[3]]}"#, vec![], ""),
        (r#"{"model":"m"}"#, vec![], ""),
    ] {
        let read = PromptTexts::read_member("input", body.as_bytes()).unwrap();
        let found: Vec<_> = read.segments().iter().map(|segment| &*segment.text).collect();
        assert_eq!(found, texts, "{body}");
        if !changed.is_empty() {
            let edited = read.edited(&[TextEdit::Replace { segment: 0, text: "ONE" }]).unwrap();
            assert_eq!(String::from_utf8(edited).unwrap(), changed);
        }
    }
    assert!(PromptTexts::read_member("input", b"[]").is_none());
}

#[test]
fn messages_come_and_go_where_they_are_counted() {
    for dialect in Dialect::ALL {
        let texts = PromptTexts::read(dialect, body(dialect).as_bytes()).unwrap();
        let edits = [
            TextEdit::Replace { segment: 1, text: "tea" },
            TextEdit::Remove(3),
            TextEdit::Insert { before: 2, speaker: Speaker::User, text: "please" },
            TextEdit::Insert { before: 0, speaker: Speaker::System, text: "rule one" },
            TextEdit::Field { name: "seed", value: None },
            TextEdit::Field { name: "top_p", value: Some("0.5") },
        ];
        let edited = texts.edited(&edits).unwrap();
        let read = PromptTexts::read(dialect, &edited).unwrap();
        let said: Vec<String> = read.segments().iter().map(|one| one.text.replace("\n\n", "|")).collect();
        let joined = said.join("|");
        let arguments = if dialect == AnthropicMessages { "café" } else { r#"{"a":"café"}"# };
        assert_eq!(joined, format!("rule one|be kind|tea|please|{arguments}"), "{dialect:?}");
        let value: Value = serde_json::from_slice(&edited).unwrap();
        assert_eq!((&value["seed"], &value["top_p"]), (&Value::Null, &json!(0.5)), "{dialect:?}");
    }
    let texts = PromptTexts::read(OpenAiResponses, br#"{"input":"hi"}"#).unwrap();
    let edited =
        texts.edited(&[TextEdit::Insert { before: 1, speaker: Speaker::User, text: "more" }]).unwrap();
    let edited: Value = serde_json::from_slice(&edited).unwrap();
    assert_eq!(edited["input"][0]["content"], "hi");
    assert_eq!(edited["input"][1]["content"], "more");
}

#[test]
fn another_model_and_effort_stand_where_each_dialect_has_them() {
    for (dialect, place) in [
        (OpenAiResponses, "/reasoning/effort"),
        (OpenAiChat, "/reasoning_effort"),
        (AnthropicMessages, "/output_config/effort"),
    ] {
        let aimed = retarget(dialect, body(dialect).as_bytes(), "other", Some("low")).unwrap();
        let value: Value = serde_json::from_slice(&aimed).unwrap();
        assert_eq!((&value["model"], value.pointer(place)), (&json!("other"), Some(&json!("low"))));
        assert_eq!(Wishes::read(dialect, &aimed).effort.as_deref(), Some("low"));
    }
}

fn stream(dialect: Dialect) -> String {
    let event = |data: &str| {
        let value: Value = serde_json::from_str(data).unwrap();
        match value["type"].as_str() {
            Some(name) => format!("event: {name}\ndata: {data}\n\n"),
            None => format!("data: {data}\n\n"),
        }
    };
    let events: Vec<String> = match dialect {
        OpenAiResponses => [
            r#"{"type":"response.created","sequence_number":0,"response":{"id":"r","model":"m","status":"in_progress","output":[]}}"#,
            r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"i","type":"message","role":"assistant","status":"in_progress","content":[]}}"#,
            r#"{"type":"response.output_text.delta","sequence_number":2,"item_id":"i","output_index":0,"content_index":0,"delta":"one "}"#,
            r#"{"type":"response.output_text.delta","sequence_number":3,"item_id":"i","output_index":0,"content_index":0,"delta":"two"}"#,
            r#"{"type":"response.output_text.done","sequence_number":4,"output_index":0,"content_index":0,"text":"one two"}"#,
            r#"{"type":"response.content_part.done","sequence_number":5,"output_index":0,"content_index":0,"part":{"type":"output_text","text":"one two"}}"#,
            r#"{"type":"response.output_item.done","sequence_number":6,"output_index":0,"item":{"id":"i","type":"message","content":[{"type":"output_text","text":"one two"}]}}"#,
            r#"{"type":"response.completed","sequence_number":7,"response":{"id":"r","model":"m","output":[{"id":"i","type":"message","content":[{"type":"output_text","text":"one two"}]}],"usage":{"input_tokens":3,"output_tokens":2}}}"#,
        ]
        .map(event)
        .to_vec(),
        OpenAiChat => [
            r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"one "},"finish_reason":null}]}"#,
            r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"two"},"finish_reason":"stop"}]}"#,
        ]
        .map(event)
        .to_vec(),
        AnthropicMessages => [
            r#"{"type":"message_start","message":{"id":"a","model":"m","content":[]}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"one "}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"two"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ]
        .map(event)
        .to_vec(),
    };
    let done = if dialect == OpenAiChat { "data: [DONE]\n\n" } else { "" };
    format!("{}{done}", events.concat())
}

#[test]
fn what_is_only_passed_on_keeps_its_bytes() {
    for dialect in Dialect::ALL {
        let events = stream(dialect);
        let mut retell = Retell::new(dialect, None);
        let mut out = BytesMut::new();
        let shown = retell.read(&Bytes::from(events.clone()));
        shown.iter().for_each(|one| retell.tell(one, &mut out));
        retell.flush(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), events, "{dialect:?}");
        let text: String = shown
            .iter()
            .filter_map(|one| if let Said::Text { text, .. } = one.said() { Some(text) } else { None })
            .collect();
        assert_eq!(text, "one two", "{dialect:?}");
        assert!(shown.iter().any(|one| matches!(one.said(), Said::Stop(_))), "{dialect:?}");
        assert!(!retell.is_changed());
    }
}

#[test]
fn totals_say_what_was_told_and_the_model_is_called_as_asked() {
    for dialect in Dialect::ALL {
        let mut retell = Retell::new(dialect, Some("mine".to_owned()));
        let mut out = BytesMut::new();
        for one in retell.read(&Bytes::from(stream(dialect))) {
            match one.said() {
                Said::Text { choice, text } => {
                    let louder = text.to_uppercase();
                    assert!(retell.say(Words::Text { choice, text: &louder }, &mut out), "{dialect:?}");
                }
                _ => retell.tell(&one, &mut out),
            }
        }
        retell.flush(&mut out);
        let out = String::from_utf8(out.to_vec()).unwrap();
        assert!(!out.contains("\"one ") && !out.contains("two"), "{dialect:?}: {out}");
        assert!(!out.contains(r#""model":"m""#) && out.contains(r#""model":"mine""#), "{dialect:?}: {out}");
        let expected = if dialect == OpenAiResponses { 4 } else { 0 };
        assert_eq!(out.matches("ONE TWO").count(), expected, "{dialect:?}: {out}");
        for line in out.lines().filter_map(|line| line.strip_prefix("data: {")) {
            serde_json::from_str::<Value>(&format!("{{{line}")).unwrap();
        }
    }
}

#[test]
fn an_early_end_is_a_good_one() {
    for (dialect, ends) in [
        (OpenAiResponses, "event: response.completed"),
        (OpenAiChat, "data: [DONE]"),
        (AnthropicMessages, "event: message_stop"),
    ] {
        let mut retell = Retell::new(dialect, None);
        let mut out = BytesMut::new();
        let shown = retell.read(&Bytes::from(stream(dialect)));
        let first = shown.iter().position(|one| one.is_text()).unwrap();
        shown.iter().take(first + 1).for_each(|one| retell.tell(one, &mut out));
        retell.end("stop", &mut out);
        let out = String::from_utf8(out.to_vec()).unwrap();
        assert!(out.contains(ends), "{dialect:?}: {out}");
        assert!(!out.contains("two"), "{dialect:?}: {out}");
        if dialect == OpenAiResponses {
            assert!(out.contains(r#""text":"one ""#) && out.contains("response.output_item.done"), "{out}");
        }
    }
}

#[test]
fn an_early_end_is_told_in_the_words_of_the_dialect() {
    let words = [
        ("stop", [r#""status":"completed""#, r#""finish_reason":"stop""#, r#""stop_reason":"end_turn""#]),
        (
            "length",
            [
                r#""reason":"max_output_tokens""#,
                r#""finish_reason":"length""#,
                r#""stop_reason":"max_tokens""#,
            ],
        ),
        (
            "content_filter",
            [
                r#""reason":"content_filter""#,
                r#""finish_reason":"content_filter""#,
                r#""stop_reason":"refusal""#,
            ],
        ),
    ];
    let wholes = [
        r#"{"id":"r","status":"completed","incomplete_details":null,"output":[{"type":"message","content":[{"type":"output_text","text":"one"}]}]}"#,
        r#"{"id":"c","choices":[{"index":0,"message":{"content":"one"},"finish_reason":"tool_calls"}]}"#,
        r#"{"id":"a","content":[{"type":"text","text":"one"}],"stop_reason":"tool_use"}"#,
    ];
    for (reason, told) in words {
        for ((dialect, told), whole) in
            [OpenAiResponses, OpenAiChat, AnthropicMessages].into_iter().zip(told).zip(wholes)
        {
            let mut retell = Retell::new(dialect, None);
            let mut out = BytesMut::new();
            let shown = retell.read(&Bytes::from(stream(dialect)));
            shown.iter().take(3).for_each(|one| retell.tell(one, &mut out));
            retell.end(reason, &mut out);
            let out = String::from_utf8(out.to_vec()).unwrap();
            assert!(out.contains(told), "{dialect:?} {reason}: {out}");

            let texts = AnswerTexts::read(dialect, whole.as_bytes()).unwrap();
            let mut retell = Retell::new(dialect, None);
            drop(texts.shown(&mut retell));
            retell.end(reason, &mut BytesMut::new());
            let retold = String::from_utf8(texts.retold(&retell).unwrap()).unwrap();
            assert!(retold.contains(told) && !retold.contains("one"), "{dialect:?} {reason}: {retold}");
            serde_json::from_str::<Value>(&retold).unwrap();
        }
    }
}

#[test]
fn a_whole_answer_changes_where_it_was_changed() {
    let answers = [
        (
            OpenAiResponses,
            r#"{"id":"r", "model":"m","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"one"}]},{"type":"function_call","arguments":"{\"a\":\"one\"}"}],"x":1.0}"#,
        ),
        (
            OpenAiChat,
            r#"{"id":"c", "model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"one","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":\"one\"}"}}]},"finish_reason":"stop"}],"x":1.0}"#,
        ),
        (
            AnthropicMessages,
            r#"{"id":"a", "model":"m","content":[{"type":"text","text":"one"},{"type":"tool_use","name":"f","input":{"a":"one"}}],"stop_reason":"end_turn","x":1.0}"#,
        ),
    ];
    for (dialect, answer) in answers {
        let texts = AnswerTexts::read(dialect, answer.as_bytes()).unwrap();
        let mut retell = Retell::new(dialect, None);
        let mut out = BytesMut::new();
        for one in texts.shown(&mut retell) {
            match one.said() {
                Said::Text { choice, text } => {
                    retell.say(Words::Text { choice, text: &text.replace("one", "ONE") }, &mut out);
                }
                Said::Tool { choice, call, arguments, .. } => {
                    let arguments = arguments.replace("one", "ONE");
                    retell
                        .say(Words::Tool { choice, call, is_first: false, arguments: &arguments }, &mut out);
                }
                _ => retell.tell(&one, &mut out),
            }
        }
        let retold = String::from_utf8(texts.retold(&retell).unwrap()).unwrap();
        assert_eq!(retold, answer.replace("one", "ONE"), "{dialect:?}");
        let mut untouched = Retell::new(dialect, None);
        let shown = texts.shown(&mut untouched);
        shown.iter().for_each(|one| untouched.tell(one, &mut out));
        assert!(texts.retold(&untouched).is_none(), "{dialect:?}");
    }
}
