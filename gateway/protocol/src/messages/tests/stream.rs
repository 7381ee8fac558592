//! Answers of other dialects as streams of this one, and what SDKs and Claude Code need of every stream.

use super::*;
use crate::turn::{
    BlockStart, Delta, Dialect, ErrorKind, Opaque, Sealed, Started, StopReason, ToolKind, Usage,
};
use proptest::prelude::*;
use serde_json::Value;

fn start(index: u32, block: BlockStart) -> TurnEvent {
    TurnEvent::BlockStart { index, block }
}

fn delta(index: u32, delta: Delta) -> TurnEvent {
    TurnEvent::Delta { index, delta }
}

const fn end(index: u32) -> TurnEvent {
    TurnEvent::BlockEnd { index }
}

fn call(index: u32, id: &str) -> TurnEvent {
    let call =
        BlockStart::ToolCall { id: id.into(), name: "w".into(), namespace: None, kind: ToolKind::Function };
    start(index, call)
}

fn thought(index: u32) -> TurnEvent {
    start(index, BlockStart::Reasoning { id: Some("rs_1".into()), is_redacted: false })
}

fn seal(text: &str) -> Delta {
    Delta::Seal(Sealed { by: Dialect::OpenAiResponses, text: text.into() })
}

/// A turn of an OpenAI upstream: two summary parts with encrypted content, text, two calls that mix.
fn openai_turn() -> Vec<TurnEvent> {
    let started = Started { id: "resp_1".into(), model: "gpt-5.5-2026".into(), ..Started::default() };
    let foreign = Opaque {
        dialect: Dialect::OpenAiResponses,
        kind: "web_search_call".into(),
        raw: serde_json::from_str("{}").unwrap(),
    };
    vec![
        TurnEvent::Started(started),
        thought(0),
        delta(0, Delta::Reasoning("plan".into())),
        delta(0, Delta::ReasoningPart),
        delta(0, Delta::Reasoning("act".into())),
        delta(0, seal("gAAAAB")),
        end(0),
        thought(1),
        end(1),
        start(2, BlockStart::Opaque(foreign)),
        end(2),
        start(3, BlockStart::Text),
        delta(3, Delta::Text("calling".into())),
        end(3),
        call(4, "call_a"),
        call(5, "call_b"),
        delta(4, Delta::Arguments("{\"x\"".into())),
        delta(5, Delta::Arguments("{}".into())),
        delta(4, Delta::Arguments(":1}".into())),
        end(5),
        end(4),
        TurnEvent::Usage(Usage {
            input: 1_000,
            input_cached: 800,
            cache_creation: 0,
            output: 70,
            reasoning: 50,
        }),
        TurnEvent::Finished(StopReason::Stop),
    ]
}

#[test]
fn an_openai_turn_reads_like_one_of_this_dialect() {
    snapshot("written", "openai_turn", &stream_of(&openai_turn(), true));
}

#[test]
fn encrypted_reasoning_finds_its_way_back() {
    let mut collector = Collector::default();
    openai_turn().iter().for_each(|event| collector.take(event));
    let answer: Value =
        serde_json::from_slice(&Messages.encode_answer(&collector.finish(), &context())).unwrap();
    snapshot("written", "openai_answer", &serde_json::to_string_pretty(&answer).unwrap());
    let mut content = answer["content"].as_array().unwrap().clone();
    content.truncate(2);
    let next = serde_json::json!({"model":"gpt-5.5","max_tokens":9,"messages":[
        {"role":"user","content":"a"},{"role":"assistant","content":content},{"role":"user","content":"b"}]});
    let request = Messages.decode_request(next.to_string().as_bytes()).unwrap().request;
    let sealed = request.input.iter().find_map(|item| match item {
        crate::turn::Item::Reasoning(reasoning) => reasoning.sealed.clone(),
        _ => None,
    });
    let sealed = sealed.unwrap();
    assert_eq!(sealed.for_upstream(Dialect::OpenAiResponses), Some("gAAAAB"));
    assert_eq!(sealed.for_upstream(Dialect::AnthropicMessages), None);
}

#[test]
fn a_cut_is_an_error_at_every_place_and_nothing_follows() {
    let turn = openai_turn();
    for place in 0..turn.len() - 1 {
        let mut encoder = Messages.event_encoder(&context());
        let mut out = BytesMut::new();
        turn.iter().take(place).for_each(|event| encoder.encode(event, &mut out));
        encoder.encode(&cut("cut"), &mut out);
        let length = out.len();
        turn.iter().for_each(|event| encoder.encode(event, &mut out));
        encoder.encode(&cut("again"), &mut out);
        assert_eq!(out.len(), length);
        let text = String::from_utf8(out.to_vec()).unwrap();
        assert!(text.ends_with(
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"cut\"}}\n\n"
        ));
        assert!(!text.contains("message_stop") && !text.contains("message_delta"), "{text}");
    }
}

#[test]
fn after_an_end_a_cut_says_nothing() {
    let mut encoder = Messages.event_encoder(&context());
    let mut out = BytesMut::new();
    openai_turn().iter().for_each(|event| encoder.encode(event, &mut out));
    let length = out.len();
    encoder.encode(&cut("late"), &mut out);
    assert_eq!(out.len(), length);
}

#[test]
fn a_failure_carries_the_type_that_clients_act_on() {
    for (kind, label) in [
        (ErrorKind::Server, "overloaded_error"),
        (ErrorKind::RateLimit, "rate_limit_error"),
        (ErrorKind::InvalidRequest, "invalid_request_error"),
    ] {
        let text = stream_of(&[TurnEvent::Failed(ErrorReport::new(kind, "x"))], true);
        assert!(text.starts_with("event: error\n") && text.contains(label), "{text}");
    }
}

#[test]
fn odd_turns_stay_well_formed() {
    for events in [
        vec![TurnEvent::Finished(StopReason::Stop)],
        vec![
            start(0, BlockStart::Text),
            delta(0, Delta::Text("x".into())),
            TurnEvent::Finished(StopReason::Stop),
        ],
        vec![
            start(0, BlockStart::Refusal),
            delta(0, Delta::Text("no".into())),
            end(0),
            TurnEvent::Finished(StopReason::Stop),
        ],
        vec![thought(0), delta(0, Delta::ReasoningPart), end(0), TurnEvent::Finished(StopReason::Length)],
        vec![thought(0), delta(0, seal("only")), end(0), TurnEvent::Finished(StopReason::Stop)],
        vec![
            start(0, BlockStart::Reasoning { id: None, is_redacted: true }),
            delta(0, seal("hidden")),
            end(0),
            call(1, ""),
            end(1),
            TurnEvent::Finished(StopReason::ToolCalls),
        ],
        vec![
            thought(0),
            delta(0, Delta::ReasoningText("whole".into())),
            delta(0, Delta::Reasoning("summary".into())),
            end(0),
            TurnEvent::Finished(StopReason::Stop),
        ],
    ] {
        well_formed(&stream_of(&events, true));
    }
    let refused =
        stream_of(&[start(0, BlockStart::Refusal), end(0), TurnEvent::Finished(StopReason::Stop)], true);
    assert!(refused.contains("\"stop_reason\":\"refusal\""));
}

/// What the SDKs' accumulators and Claude Code rely on (facts: clients 4.3).
fn well_formed(stream: &str) {
    let mut open: Option<u64> = None;
    let mut next = 0;
    let mut names = Vec::new();
    for event in stream.split_terminator("\n\n") {
        let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], name);
        match name {
            "content_block_start" => {
                assert_eq!((open, data["index"].as_u64()), (None, Some(next)));
                open = Some(next);
            }
            "content_block_delta" => assert_eq!(data["index"].as_u64(), open),
            "content_block_stop" => {
                assert_eq!(data["index"].as_u64(), open.take());
                next += 1;
            }
            "message_start" => {
                let message = &data["message"];
                assert_eq!(message["role"], "assistant");
                assert!(message["content"].as_array().is_some_and(Vec::is_empty));
                assert!(message["id"].as_str().is_some_and(|id| id.starts_with("msg_")));
                assert!(
                    message["usage"]["input_tokens"].is_u64() && message["usage"]["output_tokens"].is_u64()
                );
            }
            "message_delta" => {
                assert!(open.is_none() && data["delta"]["stop_reason"].is_string());
                for count in [
                    "input_tokens",
                    "output_tokens",
                    "cache_read_input_tokens",
                    "cache_creation_input_tokens",
                ] {
                    assert!(data["usage"][count].is_u64(), "{count}");
                }
            }
            _ => {}
        }
        names.push(name.to_owned());
    }
    assert_eq!(names.first().map(String::as_str), Some("message_start"));
    assert_eq!(names.iter().rev().take(2).collect::<Vec<_>>(), ["message_stop", "message_delta"]);
    assert_eq!(names.iter().filter(|name| *name == "message_start").count(), 1);
}

#[test]
fn every_stream_that_ends_well_is_well_formed() {
    well_formed(&stream_of(&openai_turn(), true));
    for (_, stream) in fixtures("streams") {
        let (events, ended) = events_of(&stream, stream.len());
        if ended && matches!(events.last(), Some(TurnEvent::Finished(_))) {
            well_formed(&stream_of(&events, ended));
        }
    }
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_gives_the_same(which in 0_usize..32, chunk in 1_usize..200) {
        let all = fixtures("streams");
        let (_, stream) = &all[which % all.len()];
        let (whole, whole_ended) = events_of(stream, stream.len());
        let (split, split_ended) = events_of(stream, chunk);
        prop_assert_eq!(stream_of(&whole, whole_ended), stream_of(&split, split_ended));
        prop_assert_eq!(format!("{whole:?}"), format!("{split:?}"));
    }
}
