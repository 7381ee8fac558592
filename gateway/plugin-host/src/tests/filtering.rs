//! What a hostile filter may do to a prompt or a stream: nothing that outlasts its own request.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::hooks::{
    FilterOutcome, FilterVerdict, HookError, PromptBody, PromptFilter as _, ResponseFilter as _, Role, Step,
    StreamEvent, TextDelta, TextPart,
};

use super::fixtures::{HostileFilter, PASSING, context};
use crate::{Hook, Isolation, Limits, Package, Plugin, PluginHost, Trust};

/// Time enough that a busy machine does not fail honest calls.
fn host() -> PluginHost {
    PluginHost::new().unwrap().with_limits(Limits::default().with_deadline(Duration::from_millis(500)))
}

fn load(filter: HostileFilter) -> Plugin {
    host().load("hostile", &filter.component(), "").unwrap()
}

fn judge(filter: &Plugin, seed: u64) -> Result<FilterOutcome, HookError> {
    let text = "x".repeat(70_000);
    let parts = [
        TextPart { part: 0, message: 0, role: Role::System, text: "be brief".into() },
        TextPart { part: 1, message: 1, role: Role::User, text: text.as_str().into() },
    ];
    filter.filter_request(&context(seed), PromptBody::Parts { parts: &parts, messages: 2 })
}

#[test]
fn every_kind_of_harm_fails_its_own_prompt_only() {
    let filter = load(PASSING);
    for (seed, label, because) in [
        (101, "failed", "unreachable"),
        (102, "failed", "more than its 64 MiB of memory"),
        (104, "invalid_output", "part 99, which it was not shown"),
        (105, "invalid_output", "a body that it was not shown"),
        (106, "invalid_output", "status 200"),
        (107, "failed", "out of bounds"),
        (108, "failed", "fuel"),
        (110, "failed", "discriminant"),
        (111, "invalid_output", "20000"),
        (112, "invalid_output", "names a rule"),
        (113, "invalid_output", "may not set the header `authorization`"),
    ] {
        let error = judge(&filter, seed).unwrap_err();
        assert_eq!(error.label(), label, "{seed}: {error}");
        assert!(error.to_string().contains(because), "{seed}: {error}");
        assert!(!error.to_string().contains("password"), "no text of a prompt: {error}");
        assert_eq!(judge(&filter, 0), Ok(FilterOutcome::PASS), "after {seed}");
    }
    assert_eq!(filter.tally(Hook::FilterRequest).failures, 11);
    assert_eq!(filter.failures().len(), 10);
    assert!(judge(&filter, 109).is_err(), "thousands of edits made of garbage");
}

#[test]
fn a_loop_over_a_prompt_ends_at_the_deadline_and_large_prompts_get_more() {
    let host =
        PluginHost::new().unwrap().with_limits(Limits::default().with_deadline(Duration::from_millis(20)));
    let filter = host.load("hostile", &PASSING.component(), "").unwrap();
    assert_eq!(judge(&filter, 100), Err(HookError::TimedOut("21 ms".to_owned())));
}

#[test]
fn streams_are_stepped_and_wrong_steps_are_failures() {
    let filter = load(PASSING);
    let events = ["a", "b"].map(|text| StreamEvent::Text(TextDelta { choice: 0, text }));
    let step =
        |seed, events: &[StreamEvent<'_>]| filter.filter_events(&context(seed), b"memory", events, false);
    let batch = step(0, &events).unwrap();
    assert_eq!((batch.steps, batch.carry), (vec![Step::Pass, Step::Pass], b"memory".to_vec()));
    assert_eq!(step(121, &events).unwrap().steps, [Step::Hold, Step::Pass]);
    let error = step(120, &events).unwrap_err().to_string();
    assert!(error.contains("1 steps for 2 events"), "{error}");
    assert!(step(101, &events).is_err() && step(0, &events).is_ok(), "a trap harms no other stream");
}

#[test]
fn a_fresh_instance_remembers_nothing_of_another_request() {
    let carried = |filter: &Plugin| judge(filter, 200).unwrap().carry.len();
    let pooled = load(PASSING);
    assert_eq!((pooled.isolation(), carried(&pooled), carried(&pooled)), (Isolation::Pooled, 1, 2));

    let unsigned = host().admit(Package::found("hostile", &PASSING.component())).unwrap();
    assert_eq!((unsigned.trust(), unsigned.isolation()), (Trust::Unsigned, Isolation::Fresh));
    assert_eq!((carried(&unsigned), carried(&unsigned), unsigned.instances()), (1, 1, 0));
}

#[test]
fn nothing_is_materialised_for_a_filter_that_wants_to_see_nothing() {
    let blind = load(HostileFilter { view: "\\00", ..PASSING });
    assert_eq!(blind.view(), gateway_core::hooks::BodyView::None);
    let outcome = blind.filter_request(&context(0), PromptBody::Absent).unwrap();
    assert_eq!(outcome.verdict, FilterVerdict::Pass);
}

#[test]
fn many_threads_share_one_filter() {
    let filter = Arc::new(load(PASSING));
    std::thread::scope(|scope| {
        for seed in [0_u64, 101, 0, 104] {
            let filter = &filter;
            scope.spawn(move || {
                for _ in 0..50 {
                    match judge(filter, seed) {
                        Ok(outcome) => assert!(seed == 0 && outcome == FilterOutcome::PASS),
                        // The others' failures may open the breaker; they never change an answer.
                        Err(error) => assert!(seed != 0 || error.to_string().contains("breaker"), "{error}"),
                    }
                }
            });
        }
    });
}
