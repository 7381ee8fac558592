//! Requests, answers, streams and errors of each dialect, into all dialects.

use bytes::Bytes;

use super::super::Target;
use super::super::mutate::pieces;
use super::super::seeds::Seeds;
use super::{must_be_json, seen};
use crate::messages::{decode_count_request, estimate_input_tokens, read_error, without_foreign_thinking};
use crate::responses::{CallerKind, compact_for_codex, decode, without_foreign_reasoning};
use crate::sse::{EventLines, SseFramer};
use crate::translate::codec;
use crate::translate::tests::route;
use crate::translate::tests::way::{self, Answer, End};
use crate::turn::Dialect::{self, AnthropicMessages, OpenAiChat, OpenAiResponses};

pub(super) fn targets() -> Vec<Target> {
    let folders = |folders| Seeds::Folders(folders);
    vec![
        Target {
            name: "responses-request",
            seeds: folders(&["openai-responses/request", "openai-responses/invalid"]),
            run: |input| {
                requests(OpenAiResponses, input);
                codex(input);
            },
        },
        Target {
            name: "chat-request",
            seeds: folders(&["openai-chat/request", "openai-chat/invalid"]),
            run: |input| requests(OpenAiChat, input),
        },
        Target {
            name: "messages-request",
            seeds: folders(&["messages/requests"]),
            run: |input| {
                requests(AnthropicMessages, input);
                messages(input);
            },
        },
        Target {
            name: "responses-answer",
            seeds: folders(&["openai-responses/answer"]),
            run: |input| answers(OpenAiResponses, input),
        },
        Target {
            name: "chat-answer",
            seeds: folders(&["openai-chat/answer"]),
            run: |input| answers(OpenAiChat, input),
        },
        Target {
            name: "messages-answer",
            seeds: folders(&["messages/answers"]),
            run: |input| answers(AnthropicMessages, input),
        },
        Target {
            name: "responses-stream",
            seeds: folders(&["openai-responses/stream"]),
            run: |input| streams(OpenAiResponses, input),
        },
        Target {
            name: "chat-stream",
            seeds: folders(&["openai-chat/stream"]),
            run: |input| streams(OpenAiChat, input),
        },
        Target {
            name: "messages-stream",
            seeds: folders(&["messages/streams"]),
            run: |input| streams(AnthropicMessages, input),
        },
        Target {
            name: "errors",
            seeds: folders(&["openai-responses/error", "openai-chat/error"]),
            run: errors,
        },
    ]
}

/// What is understood can be written for whoever serves it, or is refused; what is written is read again.
fn requests(from: Dialect, input: &[u8]) {
    for to in Dialect::ALL {
        let Ok(written) = way::request(from, to, input, Some("m")) else { continue };
        must_be_json("a request", &written.body);
        if to == OpenAiResponses {
            let fit = decode(written.body, CallerKind::Foreign).and_then(|decoded| decoded.for_codex);
            if let Ok(fit) = fit {
                must_be_json("the codex body", &fit.body);
            }
        }
    }
}

fn codex(input: &[u8]) {
    let body = Bytes::copy_from_slice(input);
    for caller in [CallerKind::Codex, CallerKind::Foreign] {
        if let Ok(Ok(fit)) = decode(body.clone(), caller).map(|decoded| decoded.for_codex) {
            must_be_json("the codex body", &fit.body);
        }
    }
    if let Ok(compact) = compact_for_codex(&body) {
        must_be_json("the compact turn", &compact.body);
    }
    if let Some(cleaned) = without_foreign_reasoning(input) {
        must_be_json("what is left", &cleaned);
        assert_eq!(without_foreign_reasoning(&cleaned), None, "nothing foreign is left");
    }
}

fn messages(input: &[u8]) {
    if let Ok(decoded) = decode_count_request(input) {
        let tokens = estimate_input_tokens(&decoded.request);
        assert!(tokens <= 2 * input.len() as u64 + 10_000, "{tokens} tokens in {} bytes", input.len());
    }
    if let Some(cleaned) = without_foreign_thinking(input) {
        must_be_json("what is left", &cleaned);
        assert_eq!(without_foreign_thinking(&cleaned), None, "nothing foreign is left");
    }
}

fn answers(from: Dialect, input: &[u8]) {
    for to in Dialect::ALL {
        let mut answer = Answer::folded(&route(from, to));
        if answer.push_whole(input).is_err() {
            continue;
        }
        let body = answer.whole().map_or_else(|report| codec(to).encode_error(&report), |whole| whole.body);
        must_be_json("the answer", &body);
    }
}

/// In one piece or in many it is the same, it has one end, and every event is JSON.
fn streams(from: Dialect, input: &[u8]) {
    for to in Dialect::ALL {
        let mut whole = Answer::streamed(&route(from, to));
        let mut text = whole.push(Bytes::copy_from_slice(input)).to_vec();
        text.extend(whole.finish());
        let mut pieced = Answer::streamed(&route(from, to));
        let mut again = Vec::new();
        for piece in pieces(input) {
            again.extend(pieced.push(Bytes::copy_from_slice(piece)));
        }
        again.extend(pieced.finish());
        assert_eq!((&whole.end, whole.usage), (&pieced.end, pieced.usage));
        assert!(text == again, "split otherwise it says something else");
        let ends = ends_of(to, &text);
        let clean = usize::from(matches!(whole.end, Some(End::Finished(_))));
        assert_eq!(ends, (clean, 1 - clean), "good and bad ends for {}", to.as_str());
        let mut folded = Answer::folded(&route(from, to));
        folded.push(Bytes::copy_from_slice(input));
        folded.finish();
        if let Ok(whole) = folded.whole() {
            must_be_json("the folded answer", &whole.body);
        }
    }
}

/// How many good ends a stream tells, and how many bad ones.
fn ends_of(dialect: Dialect, stream: &[u8]) -> (usize, usize) {
    let (mut good, mut bad) = (0, 0);
    let mut framer = SseFramer::default();
    let out = framer.push(Bytes::copy_from_slice(stream), |event| {
        let data = EventLines::read(event).data.unwrap_or_default();
        if data == b"[DONE]" {
            return good += usize::from(dialect == OpenAiChat);
        }
        let value: serde_json::Value = serde_json::from_slice(data)
            .unwrap_or_else(|error| panic!("{error} in the event {}", event.escape_ascii()));
        match (dialect, value["type"].as_str()) {
            (OpenAiChat, _) => bad += usize::from(value.get("error").is_some()),
            (OpenAiResponses, Some("response.completed" | "response.incomplete")) => good += 1,
            (AnthropicMessages, Some("message_stop")) => good += 1,
            (_, Some("error" | "response.failed")) => bad += 1,
            (_, kind) => assert!(kind.is_some(), "an event without a type"),
        }
    });
    assert_eq!(out.unwrap().len(), stream.len(), "whole events only");
    (good, bad)
}

fn errors(input: &[u8]) {
    for from in Dialect::ALL {
        for status in [400, 401, 429, 503] {
            let report = codec(from).decode_error(status, input);
            for to in Dialect::ALL {
                must_be_json("the error", &codec(to).encode_error(&report));
            }
        }
    }
    seen(read_error(input));
}
