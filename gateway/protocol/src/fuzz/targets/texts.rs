//! The texts of requests and answers, as filters read and change them.

use bytes::{Bytes, BytesMut};

use super::super::Target;
use super::super::seeds::Seeds;
use super::{must_be_json, seen};
use crate::sse::SseFramer;
use crate::texts::{AnswerTexts, PromptTexts, Retell, Said, Speaker, TextEdit, Wishes, Words, retarget};
use crate::turn::Dialect::{self, AnthropicMessages, OpenAiChat, OpenAiResponses};

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "texts-request",
            seeds: Seeds::Folders(&["openai-responses/request", "openai-chat/request", "messages/requests"]),
            run: prompt,
        },
        Target {
            name: "texts-answer",
            seeds: Seeds::Folders(&["openai-responses/answer", "openai-chat/answer", "messages/answers"]),
            run: answer,
        },
        Target {
            name: "texts-responses-stream",
            seeds: Seeds::Folders(&["openai-responses/stream"]),
            run: |input| stream(OpenAiResponses, input),
        },
        Target {
            name: "texts-chat-stream",
            seeds: Seeds::Folders(&["openai-chat/stream"]),
            run: |input| stream(OpenAiChat, input),
        },
        Target {
            name: "texts-messages-stream",
            seeds: Seeds::Folders(&["messages/streams"]),
            run: |input| stream(AnthropicMessages, input),
        },
    ]
}

fn prompt(input: &[u8]) {
    for dialect in Dialect::ALL {
        seen(Wishes::read(dialect, input));
        if let Some(body) = retarget(dialect, input, "other", Some("high")) {
            must_be_json("the body for another model", &body);
        }
        let Some(texts) = PromptTexts::read(dialect, input) else { continue };
        assert_eq!(texts.edited(&[]).as_deref(), Some(input), "without an edit it stays as it is");
        let mut edits: Vec<TextEdit<'_>> = (0..texts.segments().len())
            .map(|segment| TextEdit::Replace { segment, text: "ot\"her" })
            .collect();
        check_edited(&texts, &edits);
        edits.truncate(2);
        edits.push(TextEdit::Remove(0));
        edits.push(TextEdit::Insert { before: texts.messages(), speaker: Speaker::User, text: "more" });
        edits.push(TextEdit::Field { name: "seed", value: Some("7") });
        check_edited(&texts, &edits);
    }
}

fn check_edited(texts: &PromptTexts<'_>, edits: &[TextEdit<'_>]) {
    if let Some(body) = texts.edited(edits) {
        must_be_json("the edited body", &body);
    }
}

fn answer(input: &[u8]) {
    for dialect in Dialect::ALL {
        let Some(texts) = AnswerTexts::read(dialect, input) else { continue };
        let mut retell = Retell::new(dialect, Some("other".to_owned()));
        let mut out = BytesMut::new();
        for shown in texts.shown(&mut retell) {
            tell_otherwise(&mut retell, &shown, &mut out);
        }
        if let Some(body) = texts.retold(&retell) {
            must_be_json("the answer told again", &body);
        }
    }
}

/// Told as it came it is the same, and told otherwise it is a stream all the same.
fn stream(dialect: Dialect, input: &[u8]) {
    let mut whole = Vec::new();
    let mut framer = SseFramer::default();
    let events = framer.push(Bytes::copy_from_slice(input), |event| whole.push(event.to_vec())).unwrap();
    let mut retell = Retell::new(dialect, None);
    let mut out = BytesMut::new();
    for event in &whole {
        // One by one: what a batch says out of order, a text's total before its last piece, may be corrected.
        for shown in retell.read(&Bytes::from([event, b"\n\n".as_slice()].concat())) {
            seen(shown.said());
            retell.tell(&shown, &mut out);
        }
        retell.flush(&mut out);
    }
    assert!(events_in(&out) == whole, "told as it came it is {}", out.escape_ascii());
    let mut retell = Retell::new(dialect, Some("other".to_owned()));
    let mut out = BytesMut::new();
    for shown in retell.read(&events) {
        tell_otherwise(&mut retell, &shown, &mut out);
    }
    retell.flush(&mut out);
    retell.end("content_filter", &mut out);
    let mut framer = SseFramer::default();
    let told = framer.push(out.clone().freeze(), |_| {}).unwrap();
    assert_eq!(told.len(), out.len(), "whole events only");
}

fn events_in(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    SseFramer::default().push(Bytes::copy_from_slice(stream), |event| events.push(event.to_vec())).unwrap();
    events
}

fn tell_otherwise(retell: &mut Retell, shown: &crate::texts::Shown, out: &mut BytesMut) {
    let words = match shown.said() {
        Said::Text { choice, .. } => Words::Text { choice, text: "oth\"er" },
        Said::Thinking { choice, .. } => Words::Thinking { choice, text: "" },
        Said::Tool { choice, call, name, arguments } => {
            Words::Tool { choice, call, is_first: name.is_some(), arguments }
        }
        _ => return retell.tell(shown, out),
    };
    retell.say(words, out);
}
