//! Any split of the bytes into chunks gives the same events and the same bytes as one piece.

use super::*;
use proptest::prelude::*;

fn frame(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>, Option<Vec<u8>>) {
    let mut framer = SseFramer::default();
    let (mut events, mut out) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let forward =
            framer.push(Bytes::copy_from_slice(chunk), |event| events.push(event.to_vec())).unwrap();
        out.extend_from_slice(&forward);
    }
    (events, out, framer.finish().map(|tail| tail.to_vec()))
}

#[test]
fn line_endings_of_every_kind_end_events() {
    for text in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\rx"] {
        let (events, ..) = frame(&[text.as_bytes()]);
        let data: Vec<_> = events.iter().map(|event| EventLines::read(event).data.unwrap()).collect();
        assert_eq!(data, [b"a", b"b"], "{text:?}");
    }
}

#[test]
fn a_cut_stream_yields_no_torn_event() {
    let (events, out, tail) = frame(&[b"data: {\"a\":1}\n\ndata: {\"b\""]);
    assert_eq!(events.len(), 1);
    assert_eq!(out, b"data: {\"a\":1}\n\n");
    assert_eq!(tail, None);
}

#[test]
fn a_last_event_without_its_empty_line_counts() {
    let (_, out, tail) = frame(&[b"data: 1\n\ndata: 2\n"]);
    assert_eq!(out, b"data: 1\n\n");
    assert_eq!(tail.as_deref(), Some(b"data: 2\n".as_slice()));
}

#[test]
fn whole_events_pass_without_a_copy() {
    let chunk = Bytes::from_static(b"event: x\ndata: 1\n\n");
    let out = SseFramer::default().push(chunk.clone(), |_| {}).unwrap();
    assert_eq!(out.as_ptr(), chunk.as_ptr());
}

#[test]
fn an_endless_event_is_refused() {
    let mut framer = SseFramer::default();
    let mebibyte = Bytes::from(vec![b'x'; 1024 * 1024]);
    let refused = (0..32).find_map(|_| framer.push(mebibyte.clone(), |_| {}).err());
    assert_eq!(refused, Some(EventTooLong));
}

/// What was looked through once is not looked through again with the next piece.
#[test]
fn a_long_line_in_small_pieces_is_searched_once() {
    let mut framer = SseFramer::default();
    for piece in 1..=64 {
        framer.push(Bytes::from_static(b"data of a long line"), |_| {}).unwrap();
        assert_eq!((framer.searched, framer.line_start), (19 * piece, 0));
    }
    framer.push(Bytes::from_static(b"\r"), |_| {}).unwrap();
    assert_eq!(framer.searched, 19 * 64, "the CR may be half of a line's end");
    let mut events = 0;
    framer.push(Bytes::from_static(b"\n\r\n"), |_| events += 1).unwrap();
    assert_eq!((events, framer.searched), (1, 0));
}

#[test]
fn fields_are_read_with_and_without_the_space() {
    let lines = EventLines::read(b": comment\nevent:ping\nid: 7\ndata:  x");
    assert_eq!(lines, EventLines { name: Some(b"ping"), data: Some(b" x") });
    assert_eq!(EventLines::read(b"data: a\ndata: b").data, None);
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "data: x", "event: y", ":", "\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "\u{2028}é", " ",
        ]), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let text = pieces.concat().into_bytes();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(frame(&[&text]), frame(&chunks));
        let (_, out, _) = frame(&[&text]);
        prop_assert!(text.starts_with(&out));
    }
}
