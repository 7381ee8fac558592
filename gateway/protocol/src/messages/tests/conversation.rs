//! Conversations of other dialects in the order that this one demands.

use super::*;
use crate::turn::{
    Dialect, File, Image, Item, MediaSource, Message, Opaque, OutputFormat, Part, Reasoning, Role, Sealed,
    Tool, ToolCall, ToolChoice, ToolKind, ToolOutput, ToolResult,
};
use serde_json::{Value, json};

fn says(role: Role, text: &str) -> Item {
    Item::Message(Message { role, parts: vec![Part::Text(text.into())], name: None })
}

fn user(text: &str) -> Item {
    says(Role::User, text)
}

fn call(id: &str, arguments: &str) -> Item {
    Item::ToolCall(ToolCall {
        id: id.into(),
        name: "w".into(),
        namespace: None,
        kind: ToolKind::Function,
        arguments: arguments.into(),
    })
}

fn output(id: &str, text: &str) -> Item {
    let result = ToolResult::Text(text.into());
    Item::ToolOutput(ToolOutput { call_id: id.into(), kind: ToolKind::Function, result, is_error: false })
}

fn asked(input: Vec<Item>) -> TurnRequest {
    TurnRequest { model: "claude-opus-5-5".into(), input, ..TurnRequest::default() }
}

fn written(request: &TurnRequest) -> (Value, Vec<String>) {
    let mut dropped = Dropped::default();
    let body = Messages.encode_request(request, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.notes().iter().map(ToString::to_string).collect())
}

/// `user: text result(id)` and so on, one line per message.
fn order(body: &Value) -> Vec<String> {
    let block = |block: &Value| match block["type"].as_str().unwrap() {
        "text" => block["text"].as_str().unwrap().to_owned(),
        "tool_use" => format!("call({})", block["id"].as_str().unwrap()),
        "tool_result" => {
            let failed = if block["is_error"] == true { "!" } else { "" };
            format!("result({}){failed}", block["tool_use_id"].as_str().unwrap())
        }
        other => other.to_owned(),
    };
    let message = |message: &Value| {
        let blocks: Vec<String> = message["content"].as_array().unwrap().iter().map(block).collect();
        format!("{}: {}", message["role"].as_str().unwrap(), blocks.join(" "))
    };
    body["messages"].as_array().unwrap().iter().map(message).collect()
}

#[test]
fn roles_alternate_and_every_call_is_answered_at_once() {
    for (input, expected) in [
        (vec![user("a"), user("b")], vec!["user: a b"]),
        (
            vec![user("a"), call("1", "{}"), output("1", "x"), call("2", "{}"), output("2", "y")],
            vec!["user: a", "assistant: call(1)", "user: result(1)", "assistant: call(2)", "user: result(2)"],
        ),
        (
            vec![user("a"), call("1", ""), call("2", ""), output("2", "y"), output("1", "x"), user("b")],
            vec!["user: a", "assistant: call(1) call(2)", "user: result(1) result(2) b"],
        ),
        // The user spoke before the tool answered.
        (
            vec![user("a"), call("1", ""), user("b"), output("1", "x"), user("c")],
            vec!["user: a", "assistant: call(1)", "user: result(1) b c"],
        ),
        // One tool answered late.
        (
            vec![
                user("a"),
                call("1", ""),
                call("2", ""),
                output("1", "x"),
                says(Role::Assistant, "so"),
                output("2", "y"),
            ],
            vec!["user: a", "assistant: call(1) call(2)", "user: result(1) result(2)", "assistant: so"],
        ),
        // One never did.
        (
            vec![user("a"), call("1", ""), user("b")],
            vec!["user: a", "assistant: call(1)", "user: result(1)! b"],
        ),
        // Ids that come again, and letters that are not taken.
        (
            vec![user("a"), call("c.0", ""), output("c.0", "x"), call("c.0", ""), output("c.0", "y")],
            vec![
                "user: a",
                "assistant: call(c_0)",
                "user: result(c_0)",
                "assistant: call(c_0_2)",
                "user: result(c_0_2)",
            ],
        ),
        // The call was compacted away.
        (vec![user("a"), output("9", "x")], vec!["user: a [Result of call 9]\nx"]),
        (
            vec![says(Role::Assistant, "hi"), user("a")],
            vec!["user: (The conversation begins with the assistant's message.)", "assistant: hi", "user: a"],
        ),
        (vec![user("a"), user(" \n"), says(Role::Assistant, "so: \n")], vec!["user: a", "assistant: so:"]),
    ] {
        assert_eq!(order(&written(&asked(input)).0), expected);
    }
}

#[test]
fn system_text_is_collected_and_never_lost() {
    let mut request = asked(vec![
        says(Role::Developer, "one"),
        user("a"),
        says(Role::System, "two"),
        says(Role::Assistant, "b"),
        user("c"),
    ]);
    request.instructions = vec!["zero".into()];
    let (body, notes) = written(&request);
    let texts: Vec<&str> =
        body["system"].as_array().unwrap().iter().map(|block| block["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["zero", "one", "two"]);
    assert_eq!(order(&body), ["user: a", "assistant: b", "user: c"]);
    assert_eq!(notes, ["system messages inside the conversation: moved to its beginning"]);

    let (body, notes) = written(&asked(vec![says(Role::System, "alone")]));
    assert_eq!((order(&body), body.get("system")), (vec!["user: alone".to_owned()], None));
    assert_eq!(notes, ["system text alone: sent as the user's message"]);
}

#[test]
fn only_thinking_of_this_provider_goes_back_to_it() {
    let thought = |by, text: &str| {
        Item::Reasoning(Reasoning {
            summary: vec!["s1".into(), "s2".into()],
            sealed: Some(Sealed { by, text: text.into() }),
            ..Reasoning::default()
        })
    };
    let (body, notes) = written(&asked(vec![
        user("a"),
        thought(Dialect::OpenAiResponses, "gAAA"),
        thought(Dialect::AnthropicMessages, "EqQB"),
        says(Role::Assistant, "b"),
        user("c"),
    ]));
    let own = json!({"type":"thinking","thinking":"s1\n\ns2","signature":"EqQB"});
    assert_eq!(body["messages"][1]["content"], json!([own, {"type":"text","text":"b"}]));
    assert_eq!(notes, ["reasoning: not sealed by this provider"]);
}

#[test]
fn defaults_are_named_and_limits_kept() {
    let mut request = asked(vec![user("a")]);
    request.sampling.temperature = Some(1.7);
    request.sampling.top_p = Some(0.9);
    request.sampling.seed = Some(1);
    request.sampling.stop = vec!["END".into(), "\n".into()];
    request.safety_identifier = Some("h".into());
    request.tool_choice = Some(ToolChoice::Required);
    let (body, notes) = written(&request);
    let expected = json!({"model":"claude-opus-5-5","max_tokens":32_000,"stream":false,"temperature":1.0,
        "stop_sequences":["END"],"metadata":{"user_id":"h"},
        "messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]});
    assert_eq!(body, expected);
    assert_eq!(notes.len(), 5, "{notes:?}");
}

#[test]
fn thinking_and_sampling_do_not_meet() {
    let mut request = asked(vec![user("a")]);
    request.reasoning.effort = Some("high".into());
    request.reasoning.summary = Some("auto".into());
    request.sampling.temperature = Some(0.2);
    let (body, _) = written(&request);
    assert_eq!(body["thinking"], json!({"type":"adaptive","display":"summarized"}));
    assert_eq!((&body["output_config"]["effort"], body.get("temperature")), (&json!("high"), None));
}

#[test]
fn tools_get_schemas_that_are_taken() {
    let mut request = asked(vec![user("a"), call("1", "not json"), output("1", "x")]);
    for (name, parameters) in [
        ("none", None),
        ("odd", Some("true")),
        ("untyped", Some(r#"{"properties":{"b":{},"a":{}}}"#)),
        ("good", Some(r#"{"type":"object","properties":{"b":{},"a":{}}}"#)),
    ] {
        request.tools.push(Tool::Function {
            name: name.into(),
            namespace: None,
            description: None,
            parameters: parameters.map(|text| serde_json::from_str(text).unwrap()),
            strict: Some(name == "good"),
        });
    }
    let hosted = Opaque {
        dialect: Dialect::OpenAiResponses,
        kind: "web_search".into(),
        raw: serde_json::from_str(r#"{"type":"web_search"}"#).unwrap(),
    };
    request.tools.push(Tool::Hosted(hosted));
    request.parallel_tool_calls = Some(false);
    let (body, notes) = written(&request);
    let tools = body["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 4);
    assert!(tools.iter().all(|tool| tool["input_schema"]["type"] == "object"));
    assert_eq!((tools[0].get("strict"), &tools[3]["strict"]), (None, &json!(true)));
    assert_eq!(body["tool_choice"], json!({"type":"auto","disable_parallel_tool_use":true}));
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({"input":"not json"}));
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn what_cannot_be_left_out_is_refused() {
    let part = |part| asked(vec![Item::Message(Message { role: Role::User, parts: vec![part], name: None })]);
    let file = |source| Part::File(File { source, name: None });
    let base64 =
        |media_type: &str| MediaSource::Base64 { media_type: media_type.into(), data: "eA==".into() };
    let mut earlier = asked(vec![user("a")]);
    earlier.previous_response_id = Some("resp_1".into());
    let mut hosted = asked(vec![user("a")]);
    hosted.tool_choice = Some(ToolChoice::Opaque(Opaque {
        dialect: Dialect::OpenAiResponses,
        kind: "web_search".into(),
        raw: serde_json::from_str("{}").unwrap(),
    }));
    for (request, param) in [
        (earlier, "previous_response_id"),
        (hosted, "tool_choice"),
        (asked(Vec::new()), "input"),
        (part(Part::Audio(crate::turn::Audio { data: "AA".into(), format: "wav".into() })), "input"),
        (part(file(MediaSource::FileId("file-abc".into()))), "input"),
        (part(file(base64("application/zip"))), "input"),
        (part(Part::Image(Image { source: MediaSource::FileId("file-abc".into()), detail: None })), "input"),
    ] {
        let error = Messages.encode_request(&request, &mut Dropped::default()).unwrap_err();
        assert!(matches!(error, TurnError::Unsupported { .. }), "{error}");
        assert_eq!(error.param(), Some(param));
    }
    let (body, _) = written(&part(file(base64("text/markdown"))));
    let source = json!({"type":"text","media_type":"text/plain","data":"x"});
    assert_eq!(body["messages"][0]["content"][0]["source"], source);
}

#[test]
fn json_mode_becomes_words() {
    let mut request = asked(vec![user("a")]);
    request.output.format = Some(OutputFormat::JsonObject);
    let (body, notes) = written(&request);
    assert_eq!(body["system"][0]["text"], "Answer with one JSON object and nothing else.");
    assert_eq!(notes.len(), 1);
}
