//! The sequences, against the ones recorded from real exchanges.

use super::*;

fn frame() -> Frame {
    Frame {
        id: "7".to_owned(),
        created_at: 5,
        model: "gpt-5.5".to_owned(),
        service_tier: "default".to_owned(),
        echo: Map::new(),
        usage: Usage { input: 100, cached: 64, output: 9, reasoning: 4 },
        reasoning: true,
        encrypted_content: Some("sealed".to_owned()),
        completed_output: CompletedOutput::Full,
        rate_limits: None,
    }
}

fn types(events: &[Bytes]) -> Vec<String> {
    let kind = |event: &Bytes| data_of(event)["type"].as_str().unwrap().to_owned();
    events.iter().map(kind).collect()
}

fn text(deltas: &[&str]) -> Turn {
    Reply::Text(deltas.iter().map(|d| (*d).to_owned()).collect()).into()
}

#[test]
fn a_message_comes_in_the_recorded_order() {
    let events = render(&frame(), &text(&["a", "b", "c"]));
    // `recordings/codex-http-turn1.jsonl`, with one more summary delta.
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(types(&events), expected);
    for (number, event) in events.iter().enumerate() {
        let data = data_of(event);
        assert_eq!(data["sequence_number"], number);
        let kind = data["type"].as_str().unwrap();
        let start = format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{number},");
        assert!(event.starts_with(start.as_bytes()), "{event:?}");
        assert!(event.ends_with(b"\n\n"));
    }
}

#[test]
fn the_terminal_event_has_items_and_usage() {
    let events = render(&frame(), &text(&["hel", "lo"]));
    let response = data_of(events.last().unwrap())["response"].take();
    assert_eq!(response["id"], "resp_7");
    assert_eq!(response["status"], "completed");
    assert_eq!(response["output"][0]["encrypted_content"], "sealed");
    assert_eq!(response["output"][1]["content"][0]["text"], "hello");
    assert_eq!(response["usage"]["input_tokens_details"]["cached_tokens"], 64);
    assert_eq!(response["usage"]["output_tokens_details"]["reasoning_tokens"], 4);
    assert_eq!(response["usage"]["total_tokens"], 109);
    assert_eq!(response["service_tier"], "default");
    let empty = Frame { completed_output: CompletedOutput::Empty, ..frame() };
    let events = render(&empty, &text(&["x"]));
    assert_eq!(data_of(events.last().unwrap())["response"]["output"], json!([]));
}

#[test]
fn calls_come_in_the_recorded_order() {
    let plain = Frame { reasoning: false, ..frame() };
    let arguments = r#"{"cmd":"echo ä"}"#.to_owned();
    let function = Reply::FunctionCall { name: "exec_command".to_owned(), arguments: arguments.clone() };
    let events = render(&plain, &function.into());
    // `recordings/codex-http-chatgpt-tool.jsonl`.
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(types(&events), expected);
    let item = data_of(&events[6])["item"].take();
    assert_eq!(item["call_id"], "call_7");
    assert_eq!(item["arguments"], arguments.as_str());
    let custom = Reply::CustomCall { name: "apply_patch".to_owned(), input: "*** Begin".to_owned() };
    let events = render(&plain, &custom.into());
    assert_eq!(types(&events)[3], "response.custom_tool_call_input.delta");
    assert_eq!(data_of(&events[6])["item"]["input"], "*** Begin");
    let events = render(&plain, &Reply::Compaction.into());
    assert_eq!(data_of(&events[3])["item"]["type"], "compaction");
}

#[test]
fn the_injected_events_are_well_formed() {
    let failed = data_of(&failed("resp_1", "server_error", "no"));
    assert_eq!(failed["response"]["error"]["code"], "server_error");
    assert_eq!(data_of(&error(503, "slow_down", "no"))["status"], 503);
    let terminal = render(&frame(), &text(&["x"])).pop().unwrap();
    let incomplete = data_of(&incomplete(&terminal, "max_output_tokens"));
    assert_eq!(incomplete["type"], "response.incomplete");
    assert_eq!(incomplete["response"]["status"], "incomplete");
    assert_eq!(incomplete["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(incomplete["response"]["usage"]["total_tokens"], 109);
    assert_eq!(data_of(&unknown())["type"], "codex.lab_novelty");
}

#[test]
fn rate_limits_can_lead() {
    let limits = Frame { rate_limits: Some(json!({"plan_type": "pro"})), ..frame() };
    let events = render(&limits, &text(&["x"]));
    assert_eq!(types(&events)[..2], ["codex.rate_limits", "response.created"]);
    assert_eq!(data_of(&events[1])["sequence_number"], 0);
}
