//! One case per refusal, and the bodies that must pass.

use super::*;

const LAX: Strictness<'_> =
    Strictness { require_instructions: false, context_window: None, models: &[], encrypted_prefix: None };

fn good() -> Value {
    json!({
        "model": "gpt-5.5",
        "stream": true,
        "store": false,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    })
}

fn with(changes: Value) -> Value {
    let mut body = good();
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn refusal(body: &Value, strict: Strictness<'_>) -> Value {
    check(body.to_string().as_bytes(), strict).unwrap_err().0
}

#[test]
fn a_codex_body_passes() {
    assert!(check(good().to_string().as_bytes(), LAX).is_ok());
    let body = with(json!({
        "instructions": "",
        "tools": [{"type": "function", "name": "shell", "parameters": {}}, {"type": "web_search"}],
        "reasoning": {"effort": "max", "summary": "auto"},
        "service_tier": "priority",
        "input": [
            {"type": "message", "role": "developer", "content": "rules"},
            {"type": "reasoning", "summary": [], "encrypted_content": "x"},
            {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "ok"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
            {"type": "compaction_trigger"},
        ],
    }));
    assert!(check(body.to_string().as_bytes(), LAX).is_ok());
}

#[test]
fn every_unsupported_field_is_named() {
    for field in UNSUPPORTED {
        let body = with(json!({ field: null }));
        assert_eq!(refusal(&body, LAX), json!({"detail": format!("Unsupported parameter: {field}")}));
    }
}

#[test]
fn detail_refusals() {
    let system = json!([{"role": "system", "content": "x"}]);
    let cases = [
        (json!({"store": true}), "Store must be set to false"),
        (json!({"store": null}), "Store must be set to false"),
        (json!({"stream": false}), "Stream must be set to true"),
        (json!({"input": "hi"}), "Input must be a list"),
        (json!({"input": null}), "Input must be a list"),
        (json!({"input": system}), "System messages are not allowed"),
        (json!({"instructions": 3}), "Instructions must be a string"),
        (json!({"service_tier": "fast"}), "Unsupported service_tier: fast"),
        (json!({"tools": {}}), "Tools must be a list"),
    ];
    for (change, detail) in cases {
        assert_eq!(refusal(&with(change.clone()), LAX), json!({"detail": detail}), "{change}");
    }
    assert_eq!(check(b"{", LAX).unwrap_err().0["detail"], "Invalid JSON body");
    assert_eq!(check(b"[]", LAX).unwrap_err().0["detail"], "Invalid JSON body");
}

#[test]
fn invalid_request_refusals() {
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": ""});
    let cases = [
        (
            json!({"model": "gpt-4o"}),
            "The 'gpt-4o' model is not supported when using Codex with a ChatGPT account.",
        ),
        (json!({"model": null}), "Missing required parameter: 'model'."),
        (json!({"reasoning": {"effort": "ultra"}}), "Unsupported value: 'ultra' is not supported"),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
            "Missing required parameter: 'tools[0].name'.",
        ),
        (json!({"tools": [{}]}), "Missing required parameter: 'tools[0].type'."),
        (json!({"input": ["hi"]}), "Invalid value"),
        (json!({"input": [{}]}), "Missing required parameter: 'input[0].type'."),
        (json!({"input": [{"role": "tool", "content": "x"}]}), "Invalid value: 'tool' for 'input[0].role'."),
        (
            json!({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
            "Invalid value: 'text' for 'input[0].content[0].type'.",
        ),
        (
            json!({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]}),
            "Invalid value: 'input_text' for 'input[0].content[0].type'.",
        ),
        (json!({"input": [{"role": "user"}]}), "Missing required parameter: 'input[0].content'."),
        (
            json!({"input": [{"type": "function_call", "call_id": "c", "arguments": {}}]}),
            "Missing required parameter: 'input[0].arguments'.",
        ),
        (json!({"input": [call("c1")]}), "No tool output found for function call c1."),
        (json!({"input": [output("c2")]}), "No tool call found for function call output with call_id c2."),
    ];
    for (change, message) in cases {
        let error = refusal(&with(change.clone()), LAX)["error"].clone();
        assert_eq!(error["type"], "invalid_request_error", "{change}");
        let text = error["message"].as_str().unwrap();
        assert!(text.contains(message), "{change}: {text}");
    }
}

#[test]
fn the_configuration_tightens_the_rules() {
    let strict = Strictness { require_instructions: true, ..LAX };
    assert_eq!(refusal(&good(), strict)["detail"], "Instructions are required");
    let tiny = Strictness { context_window: Some(3), ..LAX };
    assert_eq!(refusal(&good(), tiny)["error"]["code"], "context_length_exceeded");
    let models = ["gpt-5.4".to_owned()];
    let poor = Strictness { models: &models, ..LAX };
    assert!(refusal(&good(), poor)["error"]["message"].as_str().unwrap().contains("'gpt-5.5'"));
    let bound = Strictness { encrypted_prefix: Some("mine."), ..LAX };
    let foreign = with(json!({"input": [{"type": "reasoning", "encrypted_content": "theirs.x"}]}));
    assert_eq!(refusal(&foreign, bound)["error"]["code"], "invalid_encrypted_content");
    let own = with(json!({"input": [{"type": "reasoning", "encrypted_content": "mine.x"}]}));
    assert!(check(own.to_string().as_bytes(), bound).is_ok());
}
