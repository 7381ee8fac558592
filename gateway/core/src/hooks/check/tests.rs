//! Answers that are carried out, and answers that are failures.

use super::*;
use crate::hooks::{Insertion, Role, TextPart};

fn parts() -> [TextPart<'static>; 1] {
    [TextPart { part: 7, message: 0, role: Role::User, text: "hello".into() }]
}

fn judge(edit: Edit) -> Result<FilterOutcome, HookError> {
    let outcome = FilterOutcome { verdict: FilterVerdict::Edits(vec![edit]), ..FilterOutcome::PASS };
    check_outcome(PromptBody::Parts { parts: &parts(), messages: 2 }, outcome)
}

fn header(name: &str, value: &str) -> Edit {
    Edit::SetHeader { name: name.to_owned(), value: value.to_owned() }
}

fn field(name: &str, json: Option<&str>) -> Edit {
    Edit::SetField { name: name.to_owned(), value_json: json.map(str::to_owned) }
}

#[test]
fn edits_of_what_was_shown_are_taken() {
    for edit in [
        Edit::ReplaceText { part: 7, text: "bye".to_owned() },
        Edit::RemoveMessage(1),
        Edit::Insert(Insertion { before_message: 2, role: Role::System, text: "be kind".to_owned() }),
        field("max_output_tokens", Some("100")),
        field("user", None),
        header("x-team", "red"),
        Edit::SetTag { name: "team".to_owned(), value: "red".to_owned() },
    ] {
        assert!(judge(edit.clone()).is_ok(), "{edit:?}");
    }
}

#[test]
fn edits_of_anything_else_are_failures() {
    for (edit, because) in [
        (Edit::ReplaceText { part: 8, text: String::new() }, "part 8"),
        (Edit::RemoveMessage(2), "message 2 of 2"),
        (
            Edit::Insert(Insertion { before_message: 3, role: Role::User, text: String::new() }),
            "before message 3",
        ),
        (field("model", Some("\"gpt-5\"")), "may not set `model`"),
        (field("user", Some("{")), "no JSON"),
        (field("", None), "empty"),
        (header("authorization", "Bearer x"), "may not set the header"),
        (header("X-Team", "red"), "lower case"),
        (header("x-team", "a\r\nb: c"), "control character"),
        (Edit::ReplaceText { part: 7, text: "x".repeat(MAX_EDIT_BYTES + 1) }, "the new texts"),
    ] {
        let error = judge(edit).unwrap_err().to_string();
        assert!(error.contains(because), "{error}");
    }
}

#[test]
fn a_body_is_replaced_only_by_json_and_only_by_who_saw_it() {
    let replace = |body: PromptBody<'_>, bytes: &[u8]| {
        let verdict = FilterVerdict::ReplaceRaw(bytes.to_vec());
        check_outcome(body, FilterOutcome { verdict, ..FilterOutcome::PASS })
    };
    assert!(replace(PromptBody::RawJson(b"{}"), b"{\"a\":1}").is_ok());
    assert!(replace(PromptBody::RawJson(b"{}"), b"{").is_err());
    assert!(replace(PromptBody::Absent, b"{}").is_err());
}

#[test]
fn hits_name_rules_and_nothing_else() {
    let judge = |rule: &str, score| {
        let hits = vec![Hit { rule: rule.to_owned(), score, part: None }];
        check_outcome(PromptBody::Absent, FilterOutcome { hits, ..FilterOutcome::PASS })
    };
    assert!(judge("pii.e-mail_2", 0.5).is_ok());
    let prompt = judge("my password is", 0.5).unwrap_err().to_string();
    assert!(!prompt.contains("password"), "{prompt}");
    for (rule, score) in [("", 0.5), ("x", 1.5), ("x", f64::NAN), (&*"x".repeat(65), 0.5)] {
        assert!(judge(rule, score).is_err(), "{rule} {score}");
    }
}

#[test]
fn a_batch_has_one_step_per_event_up_to_its_end() {
    let batch = |steps| Batch { steps, ..Batch::default() };
    let finish = || Step::Finish("stop".to_owned());
    assert!(check_batch(2, batch(vec![Step::Pass, Step::Hold])).is_ok());
    assert!(check_batch(3, batch(vec![Step::Pass, finish()])).is_ok());
    assert!(check_batch(3, batch(vec![finish(), Step::Pass])).is_err(), "nothing behind the end");
    assert!(check_batch(1, batch(vec![Step::Pass, finish()])).is_err());
    assert!(check_batch(0, Batch { carry: vec![0; MAX_CARRY_BYTES + 1], ..Batch::default() }).is_err());
}

#[test]
fn a_mapping_names_one_to_sixteen_models() {
    let targets = |n| Resolution {
        mapping: Mapping::Targets(vec![Target { model: "gpt-5".to_owned(), ..Target::default() }; n]),
        report_as: None,
    };
    assert!(check_resolution(targets(1)).is_ok() && check_resolution(targets(16)).is_ok());
    assert!(check_resolution(targets(0)).is_err() && check_resolution(targets(17)).is_err());
    assert!(
        check_resolution(Resolution { report_as: Some("\n".to_owned()), ..Resolution::UNCHANGED }).is_err()
    );
    let nameless = Mapping::Targets(vec![Target::default()]);
    assert!(check_resolution(Resolution { mapping: nameless, report_as: None }).is_err());
}
