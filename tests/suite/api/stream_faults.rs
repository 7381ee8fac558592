//! Streams that go wrong: before anything is visible another account takes over, afterwards the client gets a whole
//! last event, never half of one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gateway_lab::{FAILED_EVENTS, Fault, FaultRule, LabConfig, Route};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use switchyard_tests::{Answer, Event, InProcess, events_of, turn};

use super::{completed, lab, still_serves};

/// The code of each failure that comes inside a stream, and what the client is told when nobody can do better.
const TOLD: &[(&str, u16, &str)] = &[
    ("rate_limit_exceeded", 429, "rate_limit_exceeded"),
    ("usage_limit_reached", 429, "usage_limit_reached"),
    ("insufficient_quota", 429, "usage_limit_reached"),
    ("server_error", 502, "upstream_fault"),
    ("server_is_overloaded", 503, "server_is_overloaded"),
    ("slow_down", 503, "server_is_overloaded"),
    ("context_length_exceeded", 400, "context_length_exceeded"),
    ("invalid_prompt", 400, "invalid_prompt"),
    ("previous_response_not_found", 400, "previous_response_not_found"),
    ("token_expired", 503, "account_unauthorized"),
];

fn failing(code: &str, message: &str, after_events: usize) -> Fault {
    Fault::FailedEvent { code: code.to_owned(), message: message.to_owned(), after_events }
}

fn patient(accounts: usize) -> LabConfig {
    LabConfig { access_token_lifetime: Duration::from_hours(24 * 3650), ..lab(accounts) }
}

fn body(stream: bool) -> Value {
    json!({ "model": "gpt-5.5", "input": "hello", "stream": stream })
}

/// The last event's error, of a stream that failed.
fn last_error(events: &[Event]) -> Result<Value> {
    let last = events.last().context("no events")?;
    ensure!(last.name == "response.failed", "the last event is {}", last.name);
    Ok(last.data["response"]["error"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_before_any_content_is_tried_elsewhere() -> Result<()> {
    let gateway = InProcess::start(patient(3)).await?;
    for (code, message) in FAILED_EVENTS {
        let (_, status, told) =
            TOLD.iter().find(|row| row.0 == *code).with_context(|| format!("{code} is new"))?;
        for (after, stream) in [(0, true), (1, true), (2, true), (1, false)] {
            let case = format!("{code} after {after} events, stream {stream}");
            let fault = failing(code, message, after);
            let rule = gateway.lab.script(FaultRule::new(fault.clone()).on(Route::Responses).once());
            let answer = gateway.ask(&body(stream)).await?;
            let attempts = gateway.decision(&answer.headers)?.attempts.len();
            if *status == 400 {
                let got = (answer.status, answer.error().context(case.clone())?.code, attempts);
                assert_eq!(got, (400, (*told).to_owned(), 1), "{case}");
            } else {
                assert_eq!(answer.status, 200, "{case}: {}", answer.text());
                // A token that ended is renewed: the same account serves.
                assert_eq!(attempts, if *code == "token_expired" { 1 } else { 2 }, "{case}");
            }
            gateway.lab.unscript(rule);
            gateway.lab.advance(Duration::from_hours(2));

            gateway.lab.script(FaultRule::new(fault).on(Route::Responses));
            let answer = gateway.ask(&body(stream)).await?;
            let error = answer.error().context(case.clone())?;
            assert_eq!((answer.status, error.code.as_str()), (*status, *told), "{case}");
            gateway.lab.clear_faults();
            gateway.lab.advance(Duration::from_hours(2));
        }
    }
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// Where the content begins: a reasoning item is the third event.
const AFTER_CONTENT: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_after_content_comes_through_as_it_is() -> Result<()> {
    let gateway = InProcess::start(patient(3)).await?;
    for (code, message) in FAILED_EVENTS {
        let (_, status, told) = TOLD.iter().find(|row| row.0 == *code).context("new")?;
        let rule = FaultRule::new(failing(code, message, AFTER_CONTENT)).on(Route::Responses);
        gateway.lab.script(rule.times(2));
        let answer = gateway.ask(&body(true)).await?;
        assert_eq!(answer.status, 200, "{code}");
        let events = events_of(&answer.text())?;
        assert_eq!(events.len(), AFTER_CONTENT + 1, "{code}: everything that came, and the failure");
        let error = last_error(&events)?;
        assert_eq!((error["code"].as_str(), error["message"].as_str()), (Some(*code), Some(*message)));
        let decision = gateway.decision(&answer.headers)?;
        assert_eq!(decision.attempts.len(), 1, "{code}: nobody else is asked once content is out");
        assert_ne!(decision.outcome.label(), "completed", "{code}");

        // Whoever wants one object gets an error in place of it.
        let answer = gateway.ask(&body(false)).await?;
        let error = answer.error()?;
        assert_eq!((answer.status, error.code.as_str()), (*status, *told), "{code}");
        gateway.lab.clear_faults();
        gateway.lab.advance(Duration::from_hours(2));
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_error_event_ends_the_stream() -> Result<()> {
    let gateway = InProcess::start(patient(2)).await?;
    let error = |after_events| Fault::ErrorEvent {
        status: 500,
        code: "server_error".to_owned(),
        message: "it broke".to_owned(),
        after_events,
    };
    gateway.lab.script(FaultRule::new(error(1)).on(Route::Responses).once());
    let answer = gateway.ask(&body(true)).await?;
    completed(&events_of(&answer.text())?)?;
    assert_eq!(gateway.decision(&answer.headers)?.attempts.len(), 2);

    gateway.lab.script(FaultRule::new(error(AFTER_CONTENT)).on(Route::Responses).once());
    let answer = gateway.ask(&body(true)).await?;
    let events = events_of(&answer.text())?;
    assert_eq!((events.len(), events[AFTER_CONTENT].name.as_str()), (AFTER_CONTENT + 1, "error"));
    assert_eq!(gateway.decision(&answer.headers)?.outcome.label(), "upstream_fault");
    gateway.stop().await
}

/// The upstream goes away in the middle, in every way it can: the client reads whole events only, and a last one that
/// says that the answer is not complete.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_ends_with_a_whole_failure() -> Result<()> {
    let mut config = patient(3);
    config.rate_limits_event = true;
    let gateway = InProcess::start(config).await?;
    for fault in [
        Fault::CutAfterEvents(AFTER_CONTENT),
        Fault::CutAfterEvents(AFTER_CONTENT + 5),
        Fault::CleanEofAfterEvents(AFTER_CONTENT),
        Fault::DropCompleted,
    ] {
        for path in ["/v1/responses", "/backend-api/codex/responses"] {
            let case = format!("{fault:?} on {path}");
            gateway.lab.script(FaultRule::new(fault.clone()).on(Route::Responses).once());
            let answer = gateway.post_to(path, HeaderMap::new(), body(true).to_string()).await?;
            let answer = Answer::read(answer).await.context(case.clone())?;
            assert_eq!(answer.status, 200, "{case}");
            let events = events_of(&answer.text()).context(case.clone())?;
            assert!(events.len() > 4, "{case}: what came before the cut is there");
            let error = last_error(&events).context(case.clone())?;
            assert_eq!(error["code"], "stream_incomplete", "{case}");
            numbered(&events).context(case.clone())?;
            same_response(&events).context(case.clone())?;
            let decision = gateway.decision(&answer.headers)?;
            assert_eq!(
                (decision.attempts.len(), decision.outcome.label()),
                (1, "stream_incomplete"),
                "{case}"
            );
            gateway.lab.advance(Duration::from_hours(1));
        }
        gateway.lab.script(FaultRule::new(fault.clone()).on(Route::Responses).once());
        let answer = gateway.ask(&body(false)).await?;
        assert_eq!((answer.status, answer.error()?.code.as_str()), (502, "stream_incomplete"), "{fault:?}");
        gateway.lab.advance(Duration::from_hours(1));
    }
    still_serves(&gateway).await?;
    gateway.stop().await
}

/// The numbers of the public dialect's events go on without a gap, our own last event included.
fn numbered(events: &[Event]) -> Result<()> {
    let numbers = events.iter().filter(|event| event.name.starts_with("response."));
    for (nth, event) in numbers.enumerate() {
        ensure!(
            event.data["sequence_number"] == nth,
            "event {nth} is numbered {}",
            event.data["sequence_number"]
        );
    }
    Ok(())
}

/// Our own last event belongs to the response that began.
fn same_response(events: &[Event]) -> Result<()> {
    let created = events.iter().find(|event| event.name == "response.created").context("never created")?;
    let (began, ended) = (&created.data["response"]["id"], &events[events.len() - 1].data["response"]["id"]);
    ensure!(began == ended && began.is_string(), "{began} is not {ended}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_before_content_is_served_by_another_account() -> Result<()> {
    let gateway = InProcess::start(patient(3)).await?;
    for fault in [
        Fault::CutAfterEvents(0),
        Fault::CutAfterEvents(1),
        Fault::CleanEofAfterEvents(0),
        Fault::CleanEofAfterEvents(2),
    ] {
        for stream in [true, false] {
            gateway.lab.script(FaultRule::new(fault.clone()).on(Route::Responses).once());
            let answer = gateway.ask(&body(stream)).await?;
            assert_eq!(answer.status, 200, "{fault:?}: {}", answer.text());
            let decision = gateway.decision(&answer.headers)?;
            let outcomes: Vec<_> = decision.attempts.iter().map(|one| one.outcome.label()).collect();
            assert_eq!(outcomes, ["stream_incomplete", "completed"], "{fault:?}");
            if stream {
                let events = events_of(&answer.text())?;
                let created = events.iter().filter(|event| event.name == "response.created").count();
                assert_eq!(created, 1, "{fault:?}: nothing of the first account is seen");
            }
            gateway.lab.advance(Duration::from_hours(1));
        }
        gateway.lab.script(FaultRule::new(fault.clone()).on(Route::Responses));
        let answer = gateway.ask(&body(true)).await?;
        assert_eq!((answer.status, answer.error()?.code.as_str()), (502, "stream_incomplete"), "{fault:?}");
        gateway.lab.clear_faults();
        gateway.lab.advance(Duration::from_hours(1));
    }
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_answer_is_an_answer() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    for reason in ["max_output_tokens", "content_filter"] {
        let fault = Fault::IncompleteEvent { reason: reason.to_owned() };
        gateway.lab.script(FaultRule::new(fault).on(Route::Responses).times(2));
        let events = events_of(&gateway.ask(&body(true)).await?.text())?;
        let last = events.last().context("no events")?;
        assert_eq!(last.name, "response.incomplete");
        assert_eq!(last.data["response"]["incomplete_details"]["reason"], reason);
        let answer = gateway.ask(&body(false)).await?;
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("incomplete")));
        assert_eq!(gateway.decision(&answer.headers)?.outcome.label(), "completed");
    }
    gateway.stop().await
}

/// What the gateway does not understand goes through as it came.
#[tokio::test(flavor = "multi_thread")]
async fn odd_events_pass_unchanged() -> Result<()> {
    let gateway = InProcess::start(lab(1)).await?;
    let half: &[u8] = b"\xE2\x82\"}\n\n";
    let not_json: &[u8] = b"data: {\"type\":\"response.output_text.delta\",\"delta\":\n\n";
    for (fault, piece) in [
        (Fault::TruncatedUtf8, half),
        (Fault::MalformedEventAfter(0), not_json),
        (Fault::MalformedEventAfter(AFTER_CONTENT), not_json),
    ] {
        for path in ["/v1/responses", "/backend-api/codex/responses"] {
            gateway.lab.script(FaultRule::new(fault.clone()).on(Route::Responses).once());
            let answer = gateway.post_to(path, HeaderMap::new(), body(true).to_string()).await?;
            let answer = Answer::read(answer).await?;
            assert_eq!(answer.status, 200, "{fault:?}");
            assert!(contains(&answer.body, piece), "{fault:?}: {}", answer.text());
            assert!(answer.text().contains("event: response.completed\n"), "{fault:?}");
        }
        // Folded into one object, what is odd on the way does not matter.
        gateway.lab.script(FaultRule::new(fault.clone()).on(Route::Responses).once());
        assert_eq!(gateway.ask(&body(false)).await?.json()["status"], "completed", "{fault:?}");
    }
    gateway.stop().await
}

fn contains(text: &[u8], piece: &[u8]) -> bool {
    text.windows(piece.len()).any(|window| window == piece)
}

/// The backend's own events are no part of the public dialect, whose parsers are strict; Codex reads them.
#[tokio::test(flavor = "multi_thread")]
async fn vendor_events_are_for_codex_only() -> Result<()> {
    let mut config = lab(1);
    config.rate_limits_event = true;
    let gateway = InProcess::start(config).await?;
    for (path, passes) in [("/v1/responses", false), ("/backend-api/codex/responses", true)] {
        for (fault, vendor_events) in [
            (None, 1),
            (Some(Fault::Dribble(1)), 1),
            (Some(Fault::UnknownEventAfter(1)), 2),
            (Some(Fault::UnknownEventAfter(AFTER_CONTENT)), 2),
        ] {
            if let Some(fault) = fault.clone() {
                gateway.lab.script(FaultRule::new(fault).on(Route::Responses).once());
            }
            let answer = gateway.post_to(path, HeaderMap::new(), turn("hello").to_string()).await?;
            let events = events_of(&Answer::read(answer).await?.text())?;
            let seen = events.iter().filter(|event| event.name.starts_with("codex.")).count();
            assert_eq!(seen, if passes { vendor_events } else { 0 }, "{path} with {fault:?}");
            completed(&events)?;
            numbered(&events)?;
        }
    }
    gateway.stop().await
}
