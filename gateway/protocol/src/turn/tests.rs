//! The parts that all pairs share.

use super::*;

fn call(index: u32, name: &str) -> TurnEvent {
    let block = BlockStart::ToolCall {
        id: format!("call_{index}"),
        name: name.to_owned(),
        namespace: None,
        kind: ToolKind::Function,
    };
    TurnEvent::BlockStart { index, block }
}

fn arguments(index: u32, text: &str) -> TurnEvent {
    TurnEvent::Delta { index, delta: Delta::Arguments(text.to_owned()) }
}

#[test]
fn mixed_calls_come_out_one_after_the_other() {
    let mut row = Sequencer::default();
    let mut seen = Vec::new();
    for event in [
        call(0, "a"),
        call(1, "b"),
        arguments(0, "x"),
        arguments(1, "y"),
        call(2, "c"),
        TurnEvent::BlockEnd { index: 1 },
        arguments(0, "z"),
        TurnEvent::BlockEnd { index: 0 },
        TurnEvent::BlockEnd { index: 2 },
        TurnEvent::Finished(StopReason::ToolCalls),
    ] {
        row.push(event, |event| {
            seen.push(match event {
                TurnEvent::BlockStart { index, .. } => format!("start {index}"),
                TurnEvent::Delta { index, delta: Delta::Arguments(text) } => format!("{index} {text}"),
                TurnEvent::BlockEnd { index } => format!("end {index}"),
                TurnEvent::Finished(_) => "finished".to_owned(),
                other => format!("{other:?}"),
            });
        });
    }
    assert_eq!(
        seen,
        ["start 0", "0 x", "0 z", "end 0", "start 1", "1 y", "end 1", "start 2", "end 2", "finished"]
    );
}

#[test]
fn a_seal_is_only_opened_where_it_was_made() {
    let seal = Sealed::read(Dialect::OpenAiResponses, "gAAAA:b".to_owned());
    let shown = seal.write(Dialect::AnthropicMessages);
    assert_eq!(shown, "switchyard:openai-responses:gAAAA:b");
    let back = Sealed::read(Dialect::AnthropicMessages, shown);
    assert_eq!(back, seal);
    assert_eq!(back.for_upstream(Dialect::OpenAiResponses), Some("gAAAA:b"));
    assert_eq!(back.for_upstream(Dialect::AnthropicMessages), None);
    let own = Sealed::read(Dialect::AnthropicMessages, "switchyard:no".to_owned());
    assert_eq!(own.by, Dialect::AnthropicMessages);
}

/// Blocks that wait keep their order, whatever the order of their ends.
#[test]
fn waiting_blocks_come_in_the_order_of_their_beginnings() {
    let mut row = Sequencer::default();
    let mut seen = Vec::new();
    let mut events: Vec<TurnEvent> = (0..50).map(|index| call(index, "f")).collect();
    events.extend((1..50).rev().map(|index| TurnEvent::BlockEnd { index }));
    events.push(TurnEvent::BlockEnd { index: 0 });
    for event in events {
        row.push(event, |event| {
            seen.push(match event {
                TurnEvent::BlockStart { index, .. } => (index, true),
                TurnEvent::BlockEnd { index } => (index, false),
                other => panic!("{other:?}"),
            });
        });
    }
    let expected: Vec<_> = (0..50).flat_map(|index| [(index, true), (index, false)]).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_data_url_is_taken_apart_and_put_together() {
    let url = "data:image/png;charset=x;base64,AAAA";
    let source = MediaSource::from_url(url.to_owned());
    assert_eq!(source, MediaSource::Base64 { media_type: "image/png".into(), data: "AAAA".into() });
    assert_eq!(source.to_url().as_deref(), Some("data:image/png;base64,AAAA"));
    for kept in ["https://x/y.png", "data:text/plain,hi"] {
        assert_eq!(MediaSource::from_url(kept.to_owned()), MediaSource::Url(kept.to_owned()));
    }
}
