//! What frames an answer: server-sent events, and the frames of a socket from either side.

use bytes::{Bytes, BytesMut};

use super::super::Target;
use super::super::mutate::pieces;
use super::super::seeds::{STREAMS, Seeds};
use super::{must_be_json, seen, text};
use crate::responses::{
    Collector, GoingOn, SocketBody, classify_event, compaction_of, error_event_frame, event_of_frame,
    output_item, read_create, read_terminal, refused_frame, response_id,
};
use crate::sse::{EventLines, SseFramer};

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target { name: "sse", seeds: Seeds::Folders(STREAMS), run: framer },
        Target {
            name: "event-lines",
            seeds: Seeds::Events(STREAMS),
            run: |event| seen(EventLines::read(event)),
        },
        Target { name: "responses-events", seeds: Seeds::Folders(&["openai-responses/stream"]), run: events },
        Target { name: "socket-from-client", seeds: Seeds::Texts(CREATES), run: create },
        Target { name: "socket-body", seeds: Seeds::Folders(&["openai-responses/request"]), run: body },
        Target {
            name: "socket-from-upstream",
            seeds: Seeds::Events(&["openai-responses/stream"]),
            run: upstream,
        },
        Target { name: "socket-refusal", seeds: Seeds::Texts(REFUSALS), run: refusal },
    ]
}

const CREATES: &[&str] = &[
    r#"{"type":"response.create","model":"gpt-5.5","input":[{"type":"message","role":"user","content":"hi"}],"stream":true,"generate":false}"#,
    r#"{"type":"response.create","model":"m","input":"hi","previous_response_id":"resp_1","client_metadata":{"ws_request_header_x_a":"b","x-codex-turn-metadata":"{}"}}"#,
];
const REFUSALS: &[&str] = &[
    r#"{"type":"error","status":429,"error":{"type":"usage_limit_reached","message":"m","resets_in_seconds":5},"headers":{"retry-after":"5","x":[1]}}"#,
    r#"{"type":"error","status_code":401,"code":"token_expired","message":"m","error_type":"x"}"#,
];

/// All of it at once, or in pieces: the same events, the same bytes, and never half an event.
fn framer(input: &[u8]) {
    let (mut events, mut out) = (Vec::new(), Vec::new());
    let mut whole = SseFramer::default();
    out.extend(whole.push(Bytes::copy_from_slice(input), |event| events.push(event.to_vec())).unwrap());
    let rest = whole.finish();
    assert!(input.starts_with(&out), "what is passed on came");
    let (mut events_again, mut out_again) = (Vec::new(), Vec::new());
    let mut pieced = SseFramer::default();
    for piece in pieces(input) {
        let piece = Bytes::copy_from_slice(piece);
        out_again.extend(pieced.push(piece, |event| events_again.push(event.to_vec())).unwrap());
    }
    assert_eq!((events, out, rest), (events_again, out_again, pieced.finish()));
}

fn events(input: &[u8]) {
    let mut collector = Collector::default();
    let mut terminal = None;
    SseFramer::default()
        .push(Bytes::copy_from_slice(input), |event| {
            let kind = classify_event(event);
            seen(read_terminal(event));
            seen(response_id(event));
            if let Some(item) = output_item(event) {
                must_be_json("an item", item.as_bytes());
            }
            collector.take(event, kind).unwrap();
            if kind.is_terminal() {
                terminal = Some(event.to_vec());
            }
        })
        .unwrap();
    let response = terminal.and_then(|event| collector.finish(&event));
    if let Some(response) = response {
        must_be_json("the response", &response);
        if let Some(compaction) = compaction_of(&response) {
            must_be_json("the compaction", &compaction);
        }
    }
}

fn create(input: &[u8]) {
    let Ok(create) = read_create(input) else { return };
    seen(create.model());
    must_be_json("the items", format!("[{}]", create.items()).as_bytes());
    must_be_json("the body", &create.body(Some(r#"{"a":1}"#)));
    if let Ok(again) = read_create(input) {
        must_be_json("the body", &again.body(None));
    }
}

fn body(input: &[u8]) {
    let Ok(body) = SocketBody::read(input) else { return };
    seen(body.frame_members().count());
    must_be_json("a whole frame", &body.frame(None, Some("1")));
    let going_on = GoingOn { response: "resp_1", known: body.items().len() };
    must_be_json("a frame that goes on", &body.frame(Some(going_on), None));
}

/// A frame as an event is one event, which says the same.
fn upstream(input: &[u8]) {
    let Some(framed) = event_of_frame(text(input)) else { return };
    let mut seen = 0;
    let mut out = BytesMut::new();
    let passed = SseFramer::default().push(framed.event.clone(), |event| {
        seen += 1;
        let data = EventLines::read(event).data.unwrap_or_default();
        must_be_json("the data", data);
        if let Some(frame) = error_event_frame(data) {
            must_be_json("the frame", frame.as_bytes());
        }
    });
    out.extend_from_slice(&passed.unwrap());
    assert_eq!((seen, &out[..]), (1, &framed.event[..]));
}

fn refusal(input: &[u8]) {
    if let Some(refused) = refused_frame(text(input)) {
        assert!(refused.status >= 400);
        must_be_json("the body", &refused.body);
    }
}
