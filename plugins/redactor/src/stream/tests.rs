//! Answers in pieces of every size.

use super::*;
use crate::find::{self, Kind};

fn carry() -> Vec<u8> {
    let mut vault = Vault::default();
    let text = "jo@example.com and \"4111111111111111\"";
    vault.hide(text, &find::all(text, &[Kind::Email, Kind::Card]));
    vault.to_carry()
}

fn text(text: &str) -> StreamEvent {
    StreamEvent::Text(TextDelta { choice: 0, text: text.to_owned() })
}

fn plain(emission: &Emission) -> &str {
    let Emission::Text(delta) = emission else { panic!("{emission:?}") };
    &delta.text
}

/// What the client gets, as the gateway carries the steps out.
fn received(pieces: &[&str], batch: usize) -> String {
    let events: Vec<StreamEvent> = pieces.iter().map(|piece| text(piece)).collect();
    let (mut carry, mut held, mut sent) = (carry(), String::new(), String::new());
    for events in events.chunks(batch) {
        let result = restore(carry, events);
        carry = result.carry;
        assert_eq!(result.steps.len(), events.len());
        for (step, event) in result.steps.iter().zip(events) {
            let (_, piece, _) = piece(event).unwrap();
            match step {
                Step::Hold => held.push_str(piece),
                Step::Pass => {
                    sent += &std::mem::take(&mut held);
                    sent += piece;
                }
                Step::Replace(all) => {
                    held.clear();
                    sent += &all.iter().map(plain).collect::<String>();
                }
                Step::ReplaceAndHold(partial) => {
                    sent += &partial.send.iter().map(plain).collect::<String>();
                    held = plain(&partial.hold).to_owned();
                }
                other => panic!("{other:?}"),
            }
        }
    }
    sent + &held
}

#[test]
fn originals_come_back_wherever_the_answer_was_cut() {
    let answer = "Mail [[EMAIL_1]], not [[EMAIL_2]] [[; card [[CARD_1]][[CARD_1]] [x] é [[EMAIL_1";
    let expected =
        "Mail jo@example.com, not [[EMAIL_2]] [[; card 41111111111111114111111111111111 [x] é [[EMAIL_1";
    let letters: Vec<String> = answer.chars().map(String::from).collect();
    for size in 1..=letters.len() {
        let pieces: Vec<String> = letters.chunks(size).map(|chunk| chunk.concat()).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        for batch in [1, 3, 100] {
            assert_eq!(received(&pieces, batch), expected, "pieces of {size}, batches of {batch}");
        }
    }
}

#[test]
fn an_answer_without_placeholders_passes_untouched() {
    let result = restore(carry(), &[text("hello"), text("world")]);
    assert!(matches!(result.steps[..], [Step::Pass, Step::Pass]));
    assert!(
        matches!(restore(Vec::new(), &[text("[[EMAIL_1]]")]).steps[..], [Step::Pass]),
        "nothing was hidden"
    );
    assert!(matches!(restore(b"garbage".to_vec(), &[text("x")]).steps[..], [Step::Pass]));
}

#[test]
fn in_a_tools_arguments_an_original_is_written_as_json() {
    let mut vault = Vault::default();
    let key = concat!("-----BEGIN ", "PRIVATE KEY-----\n\"x\"\n-----END PRIVATE KEY-----");
    vault.hide(key, &find::all(key, &[Kind::PrivateKey]));
    let call = StreamEvent::ToolCall(ToolDelta {
        choice: 0,
        call: 1,
        name: Some("save".to_owned()),
        arguments: "{\"key\":\"[[PRIVATE_KEY_1]]\"}".to_owned(),
    });
    let result = restore(vault.to_carry(), &[call]);
    let Step::Replace(emissions) = &result.steps[0] else { panic!("{:?}", result.steps) };
    let Emission::ToolCall(delta) = &emissions[0] else { panic!("{emissions:?}") };
    let arguments: serde_json::Value = serde_json::from_str(&delta.arguments).unwrap();
    assert_eq!((arguments["key"].as_str(), delta.name.as_deref()), (Some(key), Some("save")));
}

#[test]
fn texts_beside_each_other_do_not_mix() {
    let reasoning = StreamEvent::Reasoning(TextDelta { choice: 0, text: "think of [[EMAIL_1]]".to_owned() });
    let result = restore(carry(), &[text("[[EMA"), reasoning, text("IL_1]]")]);
    let [Step::Hold, Step::Replace(emissions), Step::Pass] = &result.steps[..] else {
        panic!("{:?}", result.steps)
    };
    let [Emission::Text(held), Emission::Reasoning(restored)] = &emissions[..] else {
        panic!("{emissions:?}")
    };
    assert_eq!((held.text.as_str(), restored.text.as_str()), ("[[EMA", "think of jo@example.com"));
}

#[test]
fn a_tool_keeps_its_name_when_its_first_piece_is_held() {
    let piece = |name: Option<&str>, arguments: &str| {
        let (name, arguments) = (name.map(str::to_owned), arguments.to_owned());
        StreamEvent::ToolCall(ToolDelta { choice: 0, call: 0, name, arguments })
    };
    let result = restore(carry(), &[piece(Some("mail"), "[[EMAIL_"), piece(None, "1]] [")]);
    let [Step::Hold, Step::ReplaceAndHold(partial)] = &result.steps[..] else { panic!("{:?}", result.steps) };
    let [Emission::ToolCall(sent)] = &partial.send[..] else { panic!("{partial:?}") };
    let Emission::ToolCall(held) = &partial.hold else { panic!("{partial:?}") };
    assert_eq!((sent.name.as_deref(), sent.arguments.as_str()), (Some("mail"), "jo@example.com "));
    assert_eq!((held.name.as_deref(), held.arguments.as_str()), (None, "["));
}
