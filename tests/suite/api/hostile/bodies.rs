//! Bodies that no turn can be made of, for each dialect: data, and the few ways to write it down.

use serde_json::{Value, json};

/// A body, and what its refusal names; empty where there is nothing to name.
pub(super) struct Row {
    pub(super) body: Vec<u8>,
    pub(super) names: &'static str,
}

fn row(body: impl Into<Vec<u8>>, names: &'static str) -> Row {
    Row { body: body.into(), names }
}

/// What is no JSON object at all.
fn no_objects() -> Vec<Row> {
    let texts: [&[u8]; 16] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"hello",
        b"null",
        b"true",
        b"42",
        b"\"text\"",
        b"[]",
        b"[{\"model\":\"gpt-5.5\",\"messages\":[]}]",
        b"{\"model\":}",
        b"{'model':'gpt-5.5'}",
        b"{\"model\":\"gpt-5.5\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]} and more",
        b"\xef\xbb\xbf{\"model\":\"gpt-5.5\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        b"{\"model\":\"gpt-5.5\",\"messages\":[{\"role\":\"user\",\"content\":\"caf\xc3\"}]}",
    ];
    texts.into_iter().map(|text| row(text, "")).collect()
}

/// A good body with one member replaced, for each value.
fn with(good: &Value, member: &'static str, names: &'static str, values: &[Value]) -> Vec<Row> {
    let replaced = |value: &Value| {
        let mut body = good.clone();
        body[member] = value.clone();
        row(body.to_string(), names)
    };
    values.iter().map(replaced).collect()
}

fn without(good: &Value, member: &'static str) -> Row {
    let mut body = good.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove(member);
    }
    row(body.to_string(), member)
}

/// JSON calls that are no turns, by their path.
pub(super) fn calls() -> Vec<(&'static str, Vec<Row>)> {
    let model =
        || with_all("model", &[json!(5), json!(""), json!(["m"]), json!("x\r\ny"), json!("x".repeat(300))]);
    let prompt = || with_all("prompt", &[Value::Null, json!(5), json!(""), json!(["p"])]);
    let input = || with_all("input", &[Value::Null, json!(5), json!(""), json!([]), json!({})]);
    let stream = || with_all("stream", &[json!("yes"), json!(1)]);
    let of = |good: Value, members: Vec<(&'static str, Value)>| {
        let mut rows = no_objects();
        for (member, value) in members {
            rows.extend(with(&good, member, member, &[value]));
        }
        rows
    };
    let embedding = json!({ "model": "m", "input": "x" });
    let picture = json!({ "prompt": "p" });
    let compact = json!({ "model": "gpt-5.5", "input": "x" });
    vec![
        ("/v1/embeddings", of(embedding, [model(), input()].concat())),
        ("/v1/images/generations", of(picture.clone(), [model(), prompt(), stream()].concat())),
        ("/backend-api/codex/images/generations", of(picture.clone(), prompt())),
        ("/v1/images/edits", of(picture, prompt())),
        ("/v1/responses/compact", of(compact.clone(), [model(), input()].concat())),
        ("/backend-api/codex/responses/compact", of(compact, input())),
    ]
}

fn with_all(member: &'static str, values: &[Value]) -> Vec<(&'static str, Value)> {
    values.iter().map(|value| (member, value.clone())).collect()
}

fn good_chat() -> Value {
    json!({ "model": "gpt-5.5", "messages": [{ "role": "user", "content": "hello" }] })
}

/// Chat completions.
pub(super) fn chat() -> Vec<Row> {
    let good = good_chat();
    let mut rows = no_objects();
    rows.extend([without(&good, "model"), without(&good, "messages")]);
    let said = |content: Value| json!([{ "role": "user", "content": content }]);
    let called = |calls: Value| json!([{ "role": "assistant", "content": null, "tool_calls": calls }]);
    let members: [(&'static str, &'static str, Vec<Value>); 26] = [
        (
            "model",
            "model",
            vec![Value::Null, json!(5.5), json!(["gpt-5.5"]), json!(""), json!("x".repeat(300))],
        ),
        ("model", "model", vec![json!("gpt-5.5\r\nx-evil: 1"), json!("gpt-5.5\u{0}")]),
        ("messages", "messages", vec![Value::Null, json!(7), json!("hello"), json!({}), json!([])]),
        ("messages", "messages[0]", vec![json!([5]), json!([null]), json!([{}]), json!([["user", "hello"]])]),
        (
            "messages",
            "role",
            vec![json!([{ "role": "king", "content": "x" }]), json!([{ "role": 5, "content": "x" }])],
        ),
        ("messages", "content", vec![said(json!(5)), said(json!({ "type": "text" })), said(json!([5]))]),
        (
            "messages",
            "content",
            vec![said(json!([{ "type": "image_url" }])), said(json!([{ "type": "text" }]))],
        ),
        ("messages", "tool_call_id", vec![json!([{ "role": "tool", "content": "x" }])]),
        (
            "messages",
            "tool_calls",
            vec![called(json!(5)), called(json!([{}])), called(json!([{ "id": "c", "type": "function" }]))],
        ),
        ("tools", "tools", vec![json!({ "type": "function" }), json!("shell"), json!([5]), json!([{}])]),
        (
            "tools",
            "tools",
            vec![json!([{ "type": "function" }]), json!([{ "type": "function", "function": {} }])],
        ),
        ("tool_choice", "tool_choice", vec![json!(5), json!("sometimes"), json!({ "type": "function" })]),
        ("stream", "stream", vec![json!("true"), json!(1), json!([true])]),
        ("stream_options", "stream_options", vec![json!(5), json!({ "include_usage": "yes" })]),
        ("n", "n", vec![json!(2), json!("1"), json!(-1)]),
        ("temperature", "temperature", vec![json!("hot"), json!([1])]),
        ("top_p", "top_p", vec![json!("all")]),
        ("max_tokens", "max_tokens", vec![json!("many"), json!(-1), json!(1.5)]),
        ("max_completion_tokens", "max_completion_tokens", vec![json!({}), json!(-5)]),
        ("stop", "stop", vec![json!(5), json!([1, 2])]),
        ("functions", "functions", vec![json!([{ "name": "add" }])]),
        ("modalities", "modalities", vec![json!(["text", "audio"]), json!(5)]),
        ("response_format", "response_format", vec![json!(5), json!({ "type": "json_schema" })]),
        ("parallel_tool_calls", "parallel_tool_calls", vec![json!("no")]),
        ("seed", "seed", vec![json!("lucky")]),
        ("reasoning_effort", "reasoning_effort", vec![json!(5), json!(["high"])]),
    ];
    for (member, names, values) in members {
        rows.extend(with(&good, member, names, &values));
    }
    rows
}

fn good_message() -> Value {
    json!({ "model": "gpt-5.5", "max_tokens": 9, "messages": [{ "role": "user", "content": "hello" }] })
}

/// Messages.
pub(super) fn messages() -> Vec<Row> {
    let good = good_message();
    let mut rows = no_objects();
    rows.extend(shared(&good));
    rows.push(without(&good, "max_tokens"));
    rows.extend(with(
        &good,
        "max_tokens",
        "max_tokens",
        &[json!("many"), json!(-1), json!(1.5), Value::Null],
    ));
    rows.extend(with(&good, "temperature", "temperature", &[json!("hot"), json!(2), json!(-0.5)]));
    rows.extend(with(&good, "top_p", "top_p", &[json!(1.5), json!("all")]));
    rows.extend(with(&good, "top_k", "top_k", &[json!("x"), json!(1.5)]));
    rows.extend(with(&good, "stop_sequences", "stop_sequences", &[json!("x"), json!([1])]));
    rows
}

/// Token counts: the same, but nobody has to say how many tokens to write.
pub(super) fn counts() -> Vec<Row> {
    let good = json!({ "model": "gpt-5.5", "messages": [{ "role": "user", "content": "hello" }] });
    let mut rows = no_objects();
    rows.extend(shared(&good));
    rows
}

/// What is wrong in a turn is wrong in a count.
fn shared(good: &Value) -> Vec<Row> {
    let said = |content: Value| json!([{ "role": "user", "content": content }]);
    let did = |block: Value| json!([{ "role": "assistant", "content": [block] }]);
    let source = |source: Value| json!([{ "type": "image", "source": source }]);
    let members: [(&'static str, &'static str, Vec<Value>); 17] = [
        ("model", "model", vec![Value::Null, json!(5.5), json!(["x"]), json!(""), json!({ "name": "x" })]),
        ("messages", "messages", vec![Value::Null, json!(7), json!("hello"), json!({})]),
        ("messages", "messages", vec![json!([5]), json!([null]), json!([{}]), json!([["user", "hello"]])]),
        ("messages", "role", vec![json!([{ "role": "king", "content": "x" }]), json!([{ "content": "x" }])]),
        (
            "messages",
            "content",
            vec![json!([{ "role": "user" }]), said(json!(5)), said(json!({})), said(json!([5]))],
        ),
        ("messages", "content", vec![said(json!([{}])), said(json!([{ "type": "text" }]))]),
        ("messages", "source", vec![said(json!([{ "type": "image" }]))]),
        ("messages", "source", vec![said(source(json!(5))), said(source(json!({ "type": "base64" })))]),
        (
            "messages",
            "content",
            vec![did(json!({ "type": "tool_use" })), did(json!({ "type": "tool_use", "id": "a" }))],
        ),
        ("messages", "tool_use_id", vec![said(json!([{ "type": "tool_result", "content": "x" }]))]),
        ("system", "system", vec![json!(5), json!({}), json!([5]), json!([{ "type": "text" }])]),
        ("tools", "tools", vec![json!({}), json!("shell"), json!([5]), json!([{}])]),
        ("tools", "tools", vec![json!([{ "name": "", "input_schema": {} }]), json!([{ "name": "a" }])]),
        ("tools", "input_schema", vec![json!([{ "name": "a", "input_schema": "x" }])]),
        (
            "tool_choice",
            "tool_choice",
            vec![json!("auto"), json!({}), json!({ "type": "king" }), json!({ "type": "tool" })],
        ),
        ("stream", "stream", vec![json!("true"), json!(1)]),
        ("thinking", "thinking", vec![json!(5), json!("hard")]),
    ];
    let mut rows = vec![without(good, "model"), without(good, "messages")];
    for (member, names, values) in members {
        rows.extend(with(good, member, names, &values));
    }
    rows
}
