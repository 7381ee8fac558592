//! Tests as data: every file under `fixtures/messages` has a snapshot of what it becomes and of what that becomes again.
//! Adding a case is adding a file. What needs more than one step is in the modules below.

mod conversation;
mod refused;
mod stream;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use super::*;
use crate::sse::{EventLines, SseFramer};
use crate::turn::Collector;

fn fixtures(kind: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/messages").join(kind);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

fn snapshot(kind: &str, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../fixtures/messages/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("{kind}__{name}"), text));
}

/// What is not there says nothing; without it a request fits a page.
fn shown(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:#?}");
    let says = |line: &&str| !line.ends_with(": None,") && !line.ends_with(": [],");
    text.lines().filter(says).collect::<Vec<_>>().join("\n")
}

fn pretty(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

fn notes(dropped: &Dropped) -> String {
    dropped.notes().iter().fold(String::new(), |mut text, note| {
        writeln!(text, "- {note}").unwrap();
        text
    })
}

fn context() -> AnswerContext {
    AnswerContext {
        model: "asked-model".into(),
        fallback_id: "fallback".into(),
        now: 1_795_000_000,
        include_usage: false,
    }
}

/// The events of a stream, cut into chunks of the size.
fn events_of(stream: &[u8], chunk: usize) -> (Vec<TurnEvent>, bool) {
    let (mut framer, mut decoder, mut events) = (SseFramer::default(), Messages.event_decoder(), Vec::new());
    for piece in stream.chunks(chunk.max(1)) {
        framer
            .push(Bytes::copy_from_slice(piece), |event| decoder.push(EventLines::read(event), &mut events))
            .unwrap();
    }
    decoder.finish(&mut events);
    let ended = matches!(events.last(), Some(TurnEvent::Finished(_) | TurnEvent::Failed(_)));
    (events, ended)
}

fn stream_of(events: &[TurnEvent], ended: bool) -> String {
    let mut encoder = Messages.event_encoder(&context());
    let mut out = BytesMut::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    if !ended {
        encoder.encode(&cut("the upstream ended early"), &mut out);
    }
    String::from_utf8(out.to_vec()).unwrap()
}

/// What the pipeline tells an encoder whose upstream was cut.
fn cut(message: &str) -> TurnEvent {
    TurnEvent::Failed(ErrorReport::new(crate::turn::ErrorKind::Server, message))
}

#[test]
fn requests_are_read_and_written() {
    for (name, body) in fixtures("requests") {
        let Decoded { request, dropped } = Messages.decode_request(&body).unwrap();
        let mut left_out = Dropped::default();
        let encoded = Messages.encode_request(&request, &mut left_out).unwrap();
        let text = format!(
            "{}\n--- dropped\n{}--- written\n{}\n--- dropped\n{}",
            shown(&request),
            notes(&dropped),
            pretty(&encoded),
            notes(&left_out)
        );
        snapshot("request", &name, &text);
    }
}

#[test]
fn streams_are_read_and_written() {
    for (name, stream) in fixtures("streams") {
        let (events, ended) = events_of(&stream, stream.len());
        let read: String = events.iter().map(|event| format!("{event:?}\n")).collect();
        snapshot("stream", &name, &format!("{read}--- written\n{}", stream_of(&events, ended)));
    }
}

#[test]
fn answers_are_read_and_written() {
    for (name, body) in fixtures("answers") {
        let mut events = Vec::new();
        Messages.decode_answer(&body, &mut events).unwrap();
        let mut collector = Collector::default();
        events.iter().for_each(|event| collector.take(event));
        let answer = collector.finish();
        let written = match &answer.failure {
            Some(report) => pretty(&Messages.encode_error(report)),
            None => pretty(&Messages.encode_answer(&answer, &context())),
        };
        let read: String = events.iter().map(|event| format!("{event:?}\n")).collect();
        let text = format!("{read}--- written\n{written}\n--- streamed\n{}", stream_of(&events, true));
        snapshot("answer", &name, &text);
    }
}

/// What this dialect wrote itself, it reads as the same again.
#[test]
fn what_was_written_reads_the_same() {
    for (name, stream) in fixtures("streams") {
        let (events, ended) = events_of(&stream, stream.len());
        if !ended || matches!(events.last(), Some(TurnEvent::Failed(_))) {
            continue;
        }
        let written = stream_of(&events, ended);
        let (again, ended) = events_of(written.as_bytes(), written.len());
        assert!(ended, "{name}");
        assert_eq!(stream_of(&again, ended), written, "{name}");
    }
}
