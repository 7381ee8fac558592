//! `check`: what a report says about good and bad scripts, their tests and the cases beside them.

use std::fs;
use std::path::Path;

use super::policies;
use crate::{Outcome, Report, ScriptErrorKind, check, check_source};

fn shipped() -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(policies()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == "rhai"));
    files.sort();
    files
}

fn steps(report: &Report) -> Vec<&str> {
    report.steps.iter().map(|step| step.name.as_str()).collect()
}

#[test]
fn every_shipped_policy_passes_and_has_cases() {
    let files = shipped();
    assert!(files.len() >= 18, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let report = check(&file);
        let cases = report.steps.iter().filter(|step| step.name.starts_with("case ")).count();
        if cases < 2 {
            wrong.push(format!("{} has {cases} cases", report.policy));
        }
        for step in &report.steps {
            if let Outcome::Failed(error) = &step.outcome {
                wrong.push(format!("{}: {error}", step.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_belongs_to_a_policy() {
    let names: Vec<_> = shipped().iter().map(|file| file.file_stem().unwrap().to_owned()).collect();
    for entry in fs::read_dir(policies().join("cases")).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(names.contains(&name), "cases/{} has no policy", name.display());
    }
}

#[test]
fn the_built_in_answers_the_cases_of_usage_balanced() {
    use gateway_scheduler::RankingPolicy as _;
    let files = crate::check::case_files(&policies().join("cases/usage-balanced")).unwrap();
    assert!(files.len() > 5);
    for file in files {
        let case = crate::case::Case::parse(&fs::read_to_string(&file).unwrap()).unwrap();
        let decision =
            gateway_scheduler::BuiltIn::default().rank(&case.question.roster, &case.question.input).unwrap();
        case.judge(&decision).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

const FEWEST: &str = "fn rank(request) { request.candidates.available().min_by(\"in_flight\") }\n";

fn report(more: &str) -> Report {
    check_source("mine", &format!("{FEWEST}{more}"), None)
}

#[test]
fn tests_in_the_script_run_one_by_one() {
    let report = report(
        "fn test_fewest_first() {\n  let answer = ask(#{ accounts: [#{ label: \"a\", in_flight: 2 }, #{ label: \"b\" }] });\n  \
         assert_eq(answer.order, [\"b\", \"a\"]);\n  assert_eq(answer.first, \"b\");\n  assert_eq(answer.action, \"ranked\");\n  \
         assert_eq(answer.score(\"a\"), -2);\n}\n\
         fn test_wrong() {\n  let answer = ask(#{ accounts: [] });\n  assert_eq(answer.action, \"wait 5\");\n}\n\
         fn helper() { }\nfn test_with_argument(x) { }",
    );
    assert_eq!(
        steps(&report),
        ["compile", "trial", "corpus", "test test_fewest_first", "test test_wrong", "cases"]
    );
    let error = report.first_error().unwrap();
    assert_eq!((error.kind, error.line, error.column), (ScriptErrorKind::Unmet, Some(11), Some(3)));
    assert_eq!(error.message, "expected wait 5, found delegate");
    assert!(!report.passed() && report.digest.is_some());
}

#[test]
fn questions_with_mistakes_are_told() {
    for (question, because) in [
        ("#{ }", "needs a list of accounts"),
        ("#{ accounts: [#{ }] }", "an account needs a label"),
        ("#{ accounts: [#{ label: \"a\", in_fligth: 1 }] }", "an account has no in_fligth; it may have"),
        ("#{ accounts: [#{ label: \"a\", in_flight: -1 }] }", "a whole number, not negative"),
        ("#{ accounts: [#{ label: \"a\", health: \"ill\" }] }", "health is healthy, degraded"),
        ("#{ accounts: [#{ label: \"a\", weight: \"2\" }] }", "weight of an account must be a number"),
        ("#{ accounts: [], tried: [\"x\"] }", "tried names x"),
        ("#{ accounts: [], request: #{ surface: \"web\" } }", "surface of the request is api or cli"),
    ] {
        let report = report(&format!("fn test_it() {{ ask({question}); }}"));
        let error = report.first_error().unwrap_or_else(|| panic!("{question} was taken"));
        assert!(error.message.contains(because), "{question}: {error}");
        assert_eq!(error.line, Some(2), "{error}");
    }
}

#[test]
fn a_policy_that_names_the_unfit_is_told() {
    for (source, because) in [
        ("fn rank(request) { request.candidates.usable().with_room() }", "was tried already"),
        ("fn rank(request) { request.candidates.without_tried().with_room() }", "is cooling or blocked"),
        ("fn rank(request) { request.candidates.usable().without_tried() }", "has no room"),
    ] {
        let report = check_source("mine", source, None);
        let error = report.first_error().unwrap();
        assert!(error.message.contains(because) && error.message.contains("available()"), "{error}");
    }
}

#[test]
fn tests_do_not_run_for_ever_and_their_words_do_not_serve() {
    let report = report("fn test_endless() { loop {} }");
    assert_eq!(report.first_error().unwrap().kind, ScriptErrorKind::Limit);
    let serving =
        check_source("mine", "fn rank(request) { ask(#{ accounts: [] }); request.candidates }", None);
    assert!(serving.first_error().unwrap().message.contains("no function ask"), "{serving:?}");
}

#[test]
fn a_test_is_no_part_of_what_serves() {
    let source = format!("{FEWEST}fn test_it() {{ }}");
    let policy = crate::RhaiHost::new().load("mine", &source).unwrap();
    assert!(!policy.has_function("test_it") && policy.has_function("rank"));
}

fn save(folder: &Path, file: &str, text: &str) {
    let file = folder.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

#[test]
fn cases_beside_the_script_are_judged() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), "mine.rhai", FEWEST);
    let accounts = r#""question": {"accounts": [{"label": "a", "in_flight": 1}, {"label": "b"}]}"#;
    let case = |expect: &str| format!("{{\"about\": \"x\", {accounts}, \"expect\": {expect}}}");
    save(folder.path(), "cases/mine/1.json", &case(r#"{"order": ["b", "a"]}"#));
    save(folder.path(), "cases/mine/2.json", &case(r#"{"order": ["a", "b"]}"#));
    save(folder.path(), "cases/mine/3.json", &case(r#"{"first": "b", "reason": "none"}"#));
    save(folder.path(), "cases/mine/4.json", &case(r#"{"odrer": []}"#));
    save(folder.path(), "cases/mine/5.json", "{ \"about\": 1 ]");
    let report = check(&folder.path().join("mine.rhai"));
    let outcomes: Vec<Option<String>> = report
        .steps
        .iter()
        .filter(|step| step.name.starts_with("case "))
        .map(|step| match &step.outcome {
            Outcome::Failed(error) => Some(error.message.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes[0], None);
    assert_eq!(outcomes[1].as_deref(), Some("x: expected order a, b, found b, a"));
    assert_eq!(outcomes[2].as_deref(), Some("x: expected reason none, found "));
    assert!(outcomes[3].as_deref().unwrap().contains("has no odrer"), "{outcomes:?}");
    assert!(outcomes[4].as_deref().unwrap().contains("line 1"), "{outcomes:?}");
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let report = check(Path::new("/nowhere/x.rhai"));
    assert_eq!(steps(&report), ["read"]);
    assert_eq!(report.first_error().unwrap().kind, ScriptErrorKind::File);
}
