//! Streams with a filter that answers what it is told to.

use gateway_domain::{Dialect, ModelName, RequestId};
use gateway_scheduler::{PolicyLanguage, RequestInfo, Surface};
use parking_lot::Mutex;

use super::*;
use crate::hooks::{StreamInterest, TextDelta};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Text(&'static str),
    Stop,
}

impl Viewed for Event {
    fn view(&self) -> StreamEvent<'_> {
        match self {
            Self::Text(text) => StreamEvent::Text(TextDelta { choice: 0, text }),
            Self::Stop => StreamEvent::Stop("stop"),
        }
    }

    fn bytes(&self) -> usize {
        if let Self::Text(text) = self { text.len() } else { 0 }
    }
}

/// Answers what it is told to, in order.
struct Scripted {
    version: ExtensionVersion,
    answers: Mutex<Vec<Result<Vec<Step>, HookError>>>,
}

impl ResponseFilter for Scripted {
    fn version(&self) -> &ExtensionVersion {
        &self.version
    }

    fn interest(&self) -> StreamInterest {
        StreamInterest { text: true, ..StreamInterest::default() }
    }

    fn filter_events(
        &self,
        _: &Arc<RequestContext>,
        carry: &[u8],
        _: &[StreamEvent<'_>],
        _: bool,
    ) -> Result<Batch, HookError> {
        let steps = self.answers.lock().remove(0)?;
        let hits = vec![Hit { rule: "seen".to_owned(), score: 1.0, part: None }];
        Ok(Batch { steps, carry: [carry, b"x"].concat(), hits })
    }
}

fn stream(answers: Vec<Result<Vec<Step>, HookError>>, failing: Failing, mode: Mode) -> FilteredStream<Event> {
    let version = ExtensionVersion {
        name: "test".to_owned(),
        language: PolicyLanguage::BuiltIn,
        digest: String::new(),
    };
    let context = RequestContext {
        info: RequestInfo {
            request_id: RequestId::parse("req").unwrap(),
            client: "local".to_owned(),
            session: None,
            model: ModelName::parse("gpt-5").unwrap(),
            surface: Surface::Api,
            streaming: true,
            body_bytes: 0,
            attempt: 0,
        },
        now: Timestamp::from_millis(0),
        seed: 0,
        dialect: Dialect::OpenAiChat,
        reasoning_effort: None,
        max_output_tokens: None,
        headers: Vec::new(),
    };
    let filter = Arc::new(Scripted { version, answers: Mutex::new(answers) });
    FilteredStream::new(filter, Arc::new(context), Vec::new(), failing, mode)
        .holding_at_most(Limits { bytes: 8, time: std::time::Duration::from_millis(100) })
}

fn enforced(answers: Vec<Vec<Step>>) -> FilteredStream<Event> {
    stream(answers.into_iter().map(Ok).collect(), Failing::Closed, Mode::Enforce)
}

const NOW: Timestamp = Timestamp::from_millis(0);

/// What is sent, as text: originals as they are, emissions in brackets.
fn sent(flow: &Flow<Event>) -> String {
    let words: Vec<String> = flow
        .send
        .iter()
        .map(|one| match one {
            Outgoing::Original(Event::Text(text)) => (*text).to_owned(),
            Outgoing::Original(Event::Stop) => "stop".to_owned(),
            Outgoing::Emission(Emission::Text { text, .. }) => format!("[{text}]"),
            Outgoing::Emission(other) => panic!("{other:?}"),
        })
        .collect();
    words.join(" ")
}

fn text(text: &str) -> Vec<Emission> {
    vec![Emission::Text { choice: 0, text: text.to_owned() }]
}

#[test]
fn steps_are_carried_out_in_order_and_nothing_overtakes_what_is_held() {
    use Event::{Stop, Text};
    let cases: [(Vec<Step>, Vec<Event>, &str); 6] = [
        (vec![Step::Pass, Step::Discard, Step::Pass], vec![Text("a"), Text("b"), Text("c")], "a c"),
        (vec![Step::Hold, Step::Pass], vec![Text("a"), Text("b")], "a b"),
        (vec![Step::Hold, Step::Replace(text("z"))], vec![Text("a"), Stop, Text("b")], "[z] stop"),
        (vec![Step::Hold, Step::InsteadOfHeld(text("z"))], vec![Text("a"), Text("b")], "[z] b"),
        (vec![Step::Hold, Step::Discard], vec![Text("a"), Stop, Text("b")], ""),
        (vec![Step::Replace(Vec::new()), Step::Pass], vec![Text("a"), Text("b")], "b"),
    ];
    for (steps, events, expected) in cases {
        let mut stream = enforced(vec![steps.clone()]);
        let flow = stream.offer(events, AtEnd::No, NOW);
        assert_eq!(sent(&flow), expected, "{steps:?}");
        assert!(flow.failure.is_none() && flow.ending.is_none());
        assert_eq!(flow.hits.len(), 1);
    }
}

#[test]
fn an_event_cut_in_the_middle_is_sent_and_held_in_parts() {
    let part = |send: &str, hold: &str| Step::ReplaceAndHold {
        send: text(send),
        hold: Emission::Text { choice: 0, text: hold.to_owned() },
    };
    let mut stream = enforced(vec![vec![part("a", "b"), part("c", "d")], Vec::new()]);
    let flow = stream.offer(vec![Event::Text("ab"), Event::Stop, Event::Text("cd")], AtEnd::No, NOW);
    assert_eq!(sent(&flow), "[a] [c] stop");
    assert_eq!(sent(&stream.offer(Vec::new(), AtEnd::Yes, NOW)), "[d]", "nothing is lost at the end");
}

#[test]
fn what_is_still_held_at_the_end_is_sent_and_the_end_is_the_end() {
    let mut stream = enforced(vec![vec![Step::Hold], Vec::new()]);
    assert_eq!(sent(&stream.offer(vec![Event::Text("a")], AtEnd::No, NOW)), "");
    assert_eq!(sent(&stream.offer(vec![Event::Stop], AtEnd::Yes, NOW)), "a stop");
    assert_eq!(sent(&stream.offer(vec![Event::Text("late")], AtEnd::No, NOW)), "");
}

#[test]
fn events_nobody_asked_for_do_not_call_the_filter() {
    let mut stream = enforced(Vec::new());
    assert_eq!(sent(&stream.offer(vec![Event::Stop], AtEnd::No, NOW)), "stop");
}

#[test]
fn finish_and_abort_leave_out_what_is_held_and_everything_behind() {
    let rejection =
        Rejection { http_status: 400, code: "no".to_owned(), message: String::new(), retry_after_ms: None };
    for (step, ending) in [
        (Step::Finish("stop".to_owned()), Ending::Finish("stop".to_owned())),
        (Step::Abort(rejection.clone()), Ending::Abort(rejection)),
    ] {
        let mut stream = enforced(vec![vec![Step::Pass, Step::Hold, step]]);
        let events = ["a", "b", "c", "d"].map(Event::Text).to_vec();
        let flow = stream.offer(events, AtEnd::No, NOW);
        assert_eq!(sent(&flow), "a");
        assert_eq!(flow.ending, Some(ending));
        assert!(stream.offer(vec![Event::Text("e")], AtEnd::Yes, NOW).send.is_empty());
    }
}

#[test]
fn monitoring_changes_nothing_whatever_the_filter_wants() {
    let steps = vec![Step::Discard, Step::Finish("stop".to_owned())];
    let mut stream = stream(vec![Ok(steps), Err(HookError::Saturated)], Failing::Closed, Mode::Monitor);
    let flow = stream.offer(vec![Event::Text("a"), Event::Text("b"), Event::Text("c")], AtEnd::No, NOW);
    assert_eq!((sent(&flow).as_str(), flow.hits.len(), flow.ending), ("a b c", 1, None));
    let flow = stream.offer(vec![Event::Text("d")], AtEnd::No, NOW);
    assert_eq!((sent(&flow).as_str(), flow.failure), ("d", Some(HookError::Saturated)));
}

#[test]
fn a_failure_opens_or_closes_the_stream_as_its_place_says() {
    let answers = || vec![Ok(vec![Step::Hold]), Err(HookError::Failed("trap".to_owned()))];
    let mut open = stream(answers(), Failing::Open, Mode::Enforce);
    open.offer(vec![Event::Text("a")], AtEnd::No, NOW);
    let flow = open.offer(vec![Event::Text("b")], AtEnd::No, NOW);
    assert_eq!(sent(&flow), "a b", "nothing is lost");
    assert!(flow.failure.is_some() && flow.ending.is_none());
    assert_eq!(sent(&open.offer(vec![Event::Text("c")], AtEnd::Yes, NOW)), "c", "it is left out from here");

    let mut closed = stream(answers(), Failing::Closed, Mode::Enforce);
    closed.offer(vec![Event::Text("a")], AtEnd::No, NOW);
    let flow = closed.offer(vec![Event::Text("b")], AtEnd::No, NOW);
    assert_eq!(sent(&flow), "", "what it might have removed is not sent");
    assert!(matches!(flow.ending, Some(Ending::Abort(rejection)) if rejection.code == "extension_failed"));
}

#[test]
fn holding_too_much_or_too_long_is_a_failure() {
    let mut stream = enforced(vec![vec![Step::Hold, Step::Hold, Step::Hold]]);
    let events = ["aaaa", "bbbb", "c"].map(Event::Text).to_vec();
    let flow = stream.offer(events, AtEnd::No, NOW);
    assert!(matches!(&flow.failure, Some(HookError::InvalidOutput(why)) if why.contains("holds more")));

    let mut stream = enforced(vec![vec![Step::Hold]]);
    stream.offer(vec![Event::Text("a")], AtEnd::No, NOW);
    assert_eq!(stream.deadline(), Some(Timestamp::from_millis(100)));
    assert!(stream.expire(Timestamp::from_millis(99)).failure.is_none());
    assert!(matches!(stream.expire(Timestamp::from_millis(100)).failure, Some(HookError::TimedOut(_))));
}

#[test]
fn a_wrong_number_of_steps_is_a_failure() {
    let mut stream = enforced(vec![vec![Step::Pass]]);
    let flow = stream.offer(vec![Event::Text("a"), Event::Text("b")], AtEnd::No, NOW);
    assert!(matches!(&flow.failure, Some(HookError::InvalidOutput(why)) if why == "1 steps for 2 events"));
}
