//! Every shipped policy against its cases in `policies/cases/<name>/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway_scheduler::{BuiltIn, RankingPolicy};
use serde::Deserialize;

use super::question::Question;
use crate::RhaiHost;

/// What stands in a case file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    question: Question,
    expect: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// Labels, best first; or one word: `delegate`, `wait 500`, `refuse 429 code`.
    order: Vec<String>,
    reason: Option<String>,
}

pub(super) fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

fn check(policy: &dyn RankingPolicy, file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let case: Case =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (roster, input) = case.question.parts();
    let decision = policy.rank(&roster, &input).unwrap();
    let about = format!("{}: {}", file.display(), case.about);
    assert_eq!(case.question.order(&decision), case.expect.order, "{about}");
    if let Some(reason) = case.expect.reason {
        assert_eq!(decision.reason, reason, "{about}");
    }
}

#[test]
fn every_shipped_policy_answers_its_cases() {
    let host = RhaiHost::new().with_deadline(Duration::from_secs(5));
    let scripts = files(&policies(), "rhai");
    assert!(!scripts.is_empty());
    for script in scripts {
        let name = script.file_stem().unwrap().to_str().unwrap();
        let policy = host.load(name, &fs::read_to_string(&script).unwrap()).unwrap();
        let cases = files(&policies().join("cases").join(name), "json");
        assert!(!cases.is_empty(), "{name} has no cases");
        for case in cases {
            check(&policy, &case);
        }
    }
}

#[test]
fn the_built_in_answers_the_cases_of_usage_balanced() {
    for case in files(&policies().join("cases/usage-balanced"), "json") {
        check(&BuiltIn::default(), &case);
    }
}
