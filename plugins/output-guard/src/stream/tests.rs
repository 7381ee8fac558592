//! Answers in pieces of every size, in several scripts, as the gateway carries the steps out.

use super::*;

fn text(text: &str) -> StreamEvent {
    StreamEvent::Text(TextDelta { choice: 0, text: text.to_owned() })
}

fn stop() -> StreamEvent {
    StreamEvent::Stop("stop".to_owned())
}

fn said(emission: &Emission) -> &str {
    let Emission::Text(delta) = emission else { panic!("{emission:?}") };
    &delta.text
}

/// What a client gets and how its answer ends.
fn received(config: &str, events: &[StreamEvent], batch: usize) -> (String, String) {
    let settings = Settings::parse(config).unwrap();
    let (mut carry, mut held, mut sent) = (Vec::new(), String::new(), String::new());
    for events in events.chunks(batch) {
        let result = guard(&settings, &carry, events);
        carry = result.carry;
        for (step, event) in result.steps.iter().zip(events) {
            let piece = if let StreamEvent::Text(delta) = event { delta.text.as_str() } else { "" };
            match step {
                Step::Pass => sent += &(std::mem::take(&mut held) + piece),
                Step::Hold => held += piece,
                Step::Replace(all) => {
                    held.clear();
                    all.iter().for_each(|one| sent += said(one));
                }
                Step::InsteadOfHeld(all) => {
                    held.clear();
                    all.iter().for_each(|one| sent += said(one));
                    sent += piece;
                }
                Step::ReplaceAndHold(partial) => {
                    partial.send.iter().for_each(|one| sent += said(one));
                    said(&partial.hold).clone_into(&mut held);
                }
                Step::Finish(reason) => return (sent, reason.clone()),
                Step::Abort(rejection) => return (sent, rejection.code.clone()),
                Step::Discard => panic!("it discards nothing"),
            }
            if let StreamEvent::Stop(reason) = event {
                assert!(held.is_empty(), "{held} is left");
                return (sent, reason.clone());
            }
        }
    }
    (sent + &held, "none".to_owned())
}

/// The same however the answer is cut and bundled.
fn in_all_pieces(config: &str, answer: &str, expected: (&str, &str)) {
    let letters: Vec<char> = answer.chars().collect();
    for size in 1..=letters.len() {
        let mut events: Vec<StreamEvent> =
            letters.chunks(size).map(|piece| text(&piece.iter().collect::<String>())).collect();
        events.push(stop());
        for batch in [1, 2, 100] {
            let (sent, end) = received(config, &events, batch);
            assert_eq!(
                (sent.as_str(), end.as_str()),
                expected,
                "{answer} in pieces of {size}, batches of {batch}"
            );
        }
    }
}

#[test]
fn an_answer_ends_between_two_characters() {
    for (most, answer, expected) in [
        (5, "hello", ("hello", "stop")),
        (3, "hello", ("hel", "length")),
        (2, "日本語", ("日本", "length")),
        (2, "👩‍💻🇩🇪👍🏽", ("👩‍💻🇩🇪", "length")),
        (3, "שָׁלוֹם", ("שָׁלוֹ", "length")),
        (2, "e\u{301}a\u{308}o", ("e\u{301}a\u{308}", "length")),
        (3, "नमस्ते", ("नमस्ते", "stop")),
        (3, "مرحبا", ("مرح", "length")),
    ] {
        in_all_pieces(&format!(r#"{{"max_characters":{most}}}"#), answer, expected);
    }
    in_all_pieces(r#"{"max_tokens":2}"#, "abcdefghij", ("abcdefgh", "length"));
}

const BANNED: &str = r#"{"mask":"***","banned":[
    {"name":"code-word","terms":["project Nightfall","机密文件","план*","سري للغاية"]},
    {"name":"end","terms":["stop here"],"action":"finish"},
    {"name":"no","terms":["over my dead body"],"action":"abort"}]}"#;

#[test]
fn banned_phrases_are_masked_wherever_pieces_end() {
    for (answer, sent) in [
        ("About Project  NIGHTFALL: ok", "About ***: ok"),
        ("project nightfalls, projects", "project nightfalls, projects"),
        ("the project is late", "the project is late"),
        ("project Nightfall", "***"),
        ("看这份机密文件吧", "看这份***吧"),
        ("机密文机密文件", "机密文***"),
        ("Наши ПЛАНЫ", "Наши ***Ы"),
        ("هذا سِرّي للغاية!", "هذا ***!"),
        ("prоject Night\u{200b}fall 👩‍💻", "*** 👩‍💻"),
        ("project-nightfall project.nightfall", "*** ***"),
        ("nothing at all 🇩🇪", "nothing at all 🇩🇪"),
    ] {
        in_all_pieces(BANNED, answer, (sent, "stop"));
    }
}

#[test]
fn a_phrase_may_end_the_answer_or_abort_it() {
    in_all_pieces(BANNED, "So we stop here and not there.", ("So we ", "content_filter"));
    for size in [1, 3, 50] {
        let letters: Vec<char> = "Well, over my dead body!".chars().collect();
        let events: Vec<StreamEvent> =
            letters.chunks(size).map(|piece| text(&piece.iter().collect::<String>())).collect();
        assert_eq!(received(BANNED, &events, 4).1, "answer_blocked");
    }
}

#[test]
fn the_mask_counts_and_a_masked_answer_is_cut_too() {
    let config = r#"{"mask":"**","max_characters":6,"banned":[{"name":"a","terms":["secret"]}]}"#;
    in_all_pieces(config, "a secret thing", ("a ** t", "length"));
}

#[test]
fn answers_beside_each_other_are_counted_apart() {
    let settings = Settings::parse(r#"{"max_characters":3}"#).unwrap();
    let of = |choice, text: &str| StreamEvent::Text(TextDelta { choice, text: text.to_owned() });
    let result = guard(&settings, &[], &[of(0, "abc"), of(1, "abc"), of(0, "d")]);
    assert!(matches!(&result.steps[..], [Step::Pass, Step::Pass, Step::Finish(_)]), "{:?}", result.steps);
    assert_eq!(result.hits.len(), 1);
}

#[test]
fn another_text_settles_what_is_held() {
    let settings = Settings::parse(BANNED).unwrap();
    let thought = StreamEvent::Reasoning(TextDelta { choice: 0, text: "hm".to_owned() });
    let result =
        guard(&settings, &[], &[text("project Nightfall"), thought.clone(), text("project N"), thought]);
    let [Step::Hold, Step::Replace(sent), Step::Hold, Step::Pass] = &result.steps[..] else {
        panic!("{:?}", result.steps)
    };
    let [Emission::Text(masked), Emission::Reasoning(thought)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((masked.text.as_str(), thought.text.as_str()), ("***", "hm"));
}

#[test]
fn nothing_is_held_for_ever() {
    let settings = Settings::parse(BANNED).unwrap();
    let mut carry = guard(&settings, &[], &[text("project Night")]).carry;
    for _ in 0..100 {
        let result = guard(&settings, &carry, &[text(&"\u{200b}".repeat(100))]);
        carry = result.carry;
        assert!(carry.len() < 8 * 1024, "{}", carry.len());
    }
}

#[test]
fn ordinary_answers_pass_untouched() {
    let settings =
        Settings::parse(r#"{"max_characters":1000,"banned":[{"name":"a","terms":["secret"]}]}"#).unwrap();
    let result = guard(&settings, &[], &[StreamEvent::Start, text("Hello "), text("wörld"), stop()]);
    assert!(result.steps.iter().all(|step| matches!(step, Step::Pass)) && result.hits.is_empty());
}
