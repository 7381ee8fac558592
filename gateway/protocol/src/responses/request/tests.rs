//! Bodies as data: what came in, what goes out, which rules did it.

use super::*;

fn check(name: &str, caller: CallerKind, body: &str, expect: &str, expect_edits: &[&str]) {
    let came = Bytes::copy_from_slice(body.as_bytes());
    let decoded = decode(came.clone(), caller).and_then(|decoded| decoded.for_codex);
    let decoded = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(String::from_utf8_lossy(&decoded.body), expect, "{name}");
    assert_eq!(decoded.edits, expect_edits, "{name}");
    if expect_edits.is_empty() {
        assert_eq!(decoded.body.as_ptr(), came.as_ptr(), "{name}: untouched means the same bytes");
    }
}

#[test]
fn what_codex_writes_leaves_as_it_came() {
    let body = r#"{"model":"gpt-5.5","stream":true,"input":[{"type":"message","role":"developer","content":[]}],"store":false,"new_member":{"kept": 1.0}}"#;
    check("codex", CallerKind::Codex, body, body, &[]);
    // Responses-lite: tools in the input, no instructions, and nothing of it is ours to change.
    let lite = r#"{"model":"gpt-6.1-sol","stream":true,"store":false,"input":[{"type":"additional_tools","role":"developer","tools":[]}]}"#;
    check("lite", CallerKind::Codex, lite, lite, &[]);
}

#[test]
fn what_an_sdk_writes_is_made_to_fit() {
    check(
        "the shortest request",
        CallerKind::Foreign,
        r#"{"model":"gpt-5.5","input":"say \"hi\""}"#,
        r#"{"model":"gpt-5.5","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"say \"hi\""}]}],"stream":true,"store":false,"instructions":""}"#,
        &["stream on", "store off", "input as list", "instructions added"],
    );
    check(
        "members the backend refuses",
        CallerKind::Foreign,
        r#"{"temperature":0.1,"model":"m","metadata":{},"input":[],"stream":true,"store":false,"instructions":"x","max_output_tokens":5}"#,
        r#"{"model":"m","input":[],"stream":true,"store":false,"instructions":"x"}"#,
        &["max_output_tokens left out", "temperature left out", "metadata left out"],
    );
    check(
        "system messages, and nothing that only looks like one",
        CallerKind::Foreign,
        r#"{"model":"m","stream":true,"store":false,"instructions":"x","input":[{"role": "system" ,"content":"be \"system\""},{"role":"user","content":"{\"role\":\"system\"}"}]}"#,
        r#"{"model":"m","stream":true,"store":false,"instructions":"x","input":[{"role": "developer" ,"content":"be \"system\""},{"role":"user","content":"{\"role\":\"system\"}"}]}"#,
        &["role system as developer"],
    );
    check(
        "tiers",
        CallerKind::Codex,
        r#"{"model":"m","stream":true,"store":false,"input":[],"service_tier":"fast"}"#,
        r#"{"model":"m","stream":true,"store":false,"input":[],"service_tier":"priority"}"#,
        &["service_tier fast as priority"],
    );
}

#[test]
fn routing_reads_what_it_needs() {
    let body = r#"{"model":"gpt-5.5","stream":true,"store":false,"input":[],"prompt_cache_key":"s-1"}"#;
    let routing = decode(Bytes::from(body), CallerKind::Codex).unwrap().routing;
    assert_eq!(routing.model.as_str(), "gpt-5.5");
    assert!(routing.stream);
    assert_eq!(routing.session.unwrap().as_str(), "s-1");
    // A key that cannot be one is no reason to refuse the request: it goes on without affinity.
    let odd = r#"{"model":"m","input":[],"prompt_cache_key":17}"#;
    assert_eq!(decode(Bytes::from(odd), CallerKind::Foreign).unwrap().routing.session, None);
}

#[test]
fn bad_requests_name_the_member_and_what_it_should_be() {
    for (body, why, param) in [
        ("", "not a JSON object", None),
        ("[1]", "not a JSON object", None),
        ("{\"model\":\"m\",\"input\":\"\u{fffd}", "not a JSON object", None),
        (r#"{"input":"x"}"#, "`model` is missing", Some("model")),
        (r#"{"model":7,"input":"x"}"#, "`model` must be a string, not a number", Some("model")),
        (r#"{"model":"","input":"x"}"#, "`model`: model is empty", Some("model")),
        (r#"{"model":"a\u000ab","input":"x"}"#, "control character", Some("model")),
        (r#"{"model":"m"}"#, "`input` is missing", Some("input")),
        (
            r#"{"model":"m","input":{"a":1}}"#,
            "`input` must be a string or an array, not an object",
            Some("input"),
        ),
        (r#"{"model":"m","input":null}"#, "not null", Some("input")),
        (
            r#"{"model":"m","input":"x","stream":"yes"}"#,
            "`stream` must be true or false, not a string",
            Some("stream"),
        ),
        (r#"{"model":"m","input":"x","store":1}"#, "`store` must be true or false", Some("store")),
        (r#"{"model":"m","input":"x","tools":{}}"#, "`tools` must be an array, not an object", Some("tools")),
        (
            r#"{"model":"m","input":"x","instructions":[]}"#,
            "`instructions` must be a string",
            Some("instructions"),
        ),
        (
            r#"{"model":"m","input":"x","previous_response_id":"r"}"#,
            "whole conversation",
            Some("previous_response_id"),
        ),
        (r#"{"model":"m","input":"x","background":true}"#, "not offered", Some("background")),
    ] {
        let decoded = decode(Bytes::from(body), CallerKind::Foreign);
        let error = decoded.and_then(|decoded| decoded.for_codex).unwrap_err();
        assert!(error.to_string().contains(why), "{body}: {error}");
        assert_eq!(error.param(), param, "{body}");
    }
}

#[test]
fn ten_thousand_items_are_no_trouble() {
    let item = r#"{"role":"system","content":"x"}"#;
    let body = format!(r#"{{"model":"m","input":[{}]}}"#, vec![item; 10_000].join(","));
    let decoded = decode(Bytes::from(body), CallerKind::Foreign).unwrap().for_codex.unwrap();
    assert_eq!(memchr::memmem::find_iter(&decoded.body, b"developer").count(), 10_000);
}

#[test]
fn a_conversation_is_named_bare_or_in_an_object() {
    for (value, expect) in [
        (r#""conv_1""#, Some("conv_1")),
        (r#"{"id": "conv_1"}"#, Some("conv_1")),
        ("null", None),
        ("7", None),
        (r#"{"name":"x"}"#, None),
    ] {
        let body = format!(r#"{{"model":"m","input":[],"conversation":{value}}}"#);
        let routing = decode(Bytes::from(body), CallerKind::Foreign).unwrap().routing;
        assert_eq!(routing.conversation.as_deref(), expect, "{value}");
        assert_eq!(routing.lasting, value != "null", "{value}");
    }
}
