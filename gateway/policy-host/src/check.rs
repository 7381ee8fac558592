//! Everything there is to know about a script before it serves, step by step: does it compile, survive made-up
//! requests, keep the rules, pass its own tests and the cases beside it. Runs nothing in service.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{Action, RankInput, RankingPolicy as _, Roster};

use crate::case::{Case, HookCase};
use crate::compile::{MAX_SOURCE_BYTES, SETUP_TIME};
use crate::error::{ScriptError, ScriptErrorKind};
use crate::policy::{RhaiHost, RhaiPolicy};
use crate::tester::Tester;

/// How many made-up questions a policy is asked.
const QUESTIONS: usize = 300;
/// The most candidates of one of them.
const MOST_CANDIDATES: usize = 60;

/// What came out of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// There was nothing to do, and why.
    Skipped(&'static str),
    /// What is wrong and where.
    Failed(ScriptError),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `read`, `compile`, `trial`, `corpus`, `test test_..`, `case ..json`.
    pub name: String,
    /// What came out of it.
    pub outcome: Outcome,
}

/// All steps of one check, in their order. A step that the next one needs ends it by failing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The policy's name.
    pub policy: String,
    /// Its digest, when it compiled.
    pub digest: Option<String>,
    /// What was done.
    pub steps: Vec<Step>,
}

impl Report {
    fn new(policy: &str) -> Self {
        Self { policy: policy.to_owned(), digest: None, steps: Vec::new() }
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.first_error().is_none()
    }

    /// The first thing to mend.
    #[must_use]
    pub fn first_error(&self) -> Option<&ScriptError> {
        self.steps.iter().find_map(|step| match &step.outcome {
            Outcome::Failed(error) => Some(error),
            _ => None,
        })
    }

    fn step<T>(&mut self, name: impl Into<String>, outcome: Result<T, ScriptError>) -> Option<T> {
        let (outcome, value) = match outcome {
            Ok(value) => (Outcome::Passed, Some(value)),
            Err(error) => (Outcome::Failed(error), None),
        };
        self.steps.push(Step { name: name.into(), outcome });
        value
    }

    fn skip(&mut self, name: &str, why: &'static str) {
        self.steps.push(Step { name: name.to_owned(), outcome: Outcome::Skipped(why) });
    }
}

/// Checks a file. Modules and `cases/<name>/*.json` are looked for in its folder.
#[must_use]
pub fn check(file: &Path) -> Report {
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut report = Report::new(&name);
    let source = read(&name, file);
    let Some(source) = report.step("read", source) else { return report };
    let folder =
        file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    check_into(report, &source, Some(folder))
}

/// Checks a text that was not saved yet. Modules and cases are looked for in the folder, if there is one.
#[must_use]
pub fn check_source(name: &str, source: &str, folder: Option<&Path>) -> Report {
    check_into(Report::new(name), source, folder)
}

fn check_into(mut report: Report, source: &str, folder: Option<&Path>) -> Report {
    let name = report.policy.clone();
    let host = folder.map_or_else(RhaiHost::new, |folder| RhaiHost::new().with_modules(folder));
    let Some(policy) = report.step("compile", host.compile(&name, source)) else { return report };
    report.digest = Some(policy.version().digest.clone());
    if report.step("trial", policy.try_out()).is_none() {
        return report;
    }
    if policy.ranks() {
        report.step("corpus", keeps_the_rules(&policy));
    }
    run_tests(&mut report, source, folder);
    match folder {
        Some(folder) => run_cases(&mut report, &policy, &folder.join("cases").join(&name)),
        None => report.skip("cases", "the script is in no folder"),
    }
    report
}

/// A case, ready to be asked.
#[derive(Debug, Clone)]
pub struct CaseQuestion {
    /// One sentence: what it proves.
    pub about: String,
    /// The accounts.
    pub roster: Arc<Roster>,
    /// The question about them.
    pub input: Arc<RankInput>,
}

/// Reads a case file, for whoever wants to see how it is answered.
///
/// # Errors
/// It cannot be read, or is no case.
pub fn read_case(file: &Path) -> Result<CaseQuestion, ScriptError> {
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let case = Case::parse(&read(&name, file)?)
        .map_err(|text| ScriptError::new(&name, ScriptErrorKind::File, text))?;
    Ok(CaseQuestion { about: case.about, roster: case.question.roster, input: case.question.input })
}

fn run_tests(report: &mut Report, source: &str, folder: Option<&Path>) {
    let name = report.policy.clone();
    let tests = match Tester::new(folder).run(&name, source) {
        Ok(tests) if tests.is_empty() => return report.skip("tests", "it has no test_ function"),
        Ok(tests) => tests,
        Err(error) => {
            report.step("tests", Err::<(), _>(error));
            return;
        }
    };
    for (test, outcome) in tests {
        report.step(format!("test {test}"), outcome);
    }
}

fn run_cases(report: &mut Report, policy: &RhaiPolicy, folder: &Path) {
    let name = report.policy.clone();
    let files = match case_files(folder) {
        Ok(files) if files.is_empty() => return report.skip("cases", "there are none beside it"),
        Ok(files) => files,
        Err(error) => {
            let error =
                ScriptError::new(&name, ScriptErrorKind::File, format!("{}: {error}", folder.display()));
            report.step("cases", Err::<(), _>(error));
            return;
        }
    };
    for file in files {
        let case = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        report.step(format!("case {case}"), run_case(&name, policy, &file));
    }
}

fn run_case(name: &str, policy: &RhaiPolicy, file: &Path) -> Result<(), ScriptError> {
    let error = |kind, text: String| ScriptError::new(name, kind, text);
    let text = read(name, file)?;
    if !policy.ranks() {
        return HookCase::parse(&text)
            .map_err(|text| error(ScriptErrorKind::File, text))?
            .judge(policy)
            .map_err(|text| error(ScriptErrorKind::Unmet, text));
    }
    let case = Case::parse(&text).map_err(|text| error(ScriptErrorKind::File, text))?;
    let decision = policy
        .ask(SETUP_TIME, &case.question.roster, &case.question.input)
        .map_err(|failure| failure.into_mistake(name))?;
    case.judge(&decision).map_err(|text| error(ScriptErrorKind::Unmet, text))
}

/// Sorted by name; a folder that is not there has none.
pub(crate) fn case_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|found| found == "json"));
    files.sort();
    Ok(files)
}

pub(crate) fn read(name: &str, file: &Path) -> Result<String, ScriptError> {
    let error =
        |text: String| ScriptError::new(name, ScriptErrorKind::File, format!("{}: {text}", file.display()));
    let size = fs::metadata(file).map_err(|found| error(found.to_string()))?.len();
    if size > MAX_SOURCE_BYTES as u64 {
        return Err(error(format!("larger than {} KiB", MAX_SOURCE_BYTES / 1024)));
    }
    fs::read_to_string(file).map_err(|found| error(found.to_string()))
}

/// Many made-up questions: no failure, the same answer to the same question, nobody named who could not serve.
fn keeps_the_rules(policy: &RhaiPolicy) -> Result<(), ScriptError> {
    let name = &policy.version().name;
    let error = |kind, text: String| ScriptError::new(name, kind, text);
    let mut corpus = Corpus::new(7).map_err(|found| error(ScriptErrorKind::Runtime, found.to_string()))?;
    for round in 0..QUESTIONS {
        let (roster, input) = corpus.question(round % MOST_CANDIDATES);
        let ask = || policy.ask(SETUP_TIME, &roster, &input).map_err(|failure| failure.into_mistake(name));
        let decision = ask()?;
        if ask()?.action != decision.action {
            return Err(error(ScriptErrorKind::WrongAnswer, "the same question got two answers".to_owned()));
        }
        if let Action::Ranked(order) = &decision.action {
            let wrong = order.iter().find_map(|account| Some((account, unfit(&input, *account)?)));
            if let Some((account, why)) = wrong {
                let text = format!(
                    "it ranks acc_{}, which {why}; begin with request.candidates.available()",
                    account.0
                );
                return Err(error(ScriptErrorKind::WrongAnswer, text));
            }
        }
    }
    Ok(())
}

/// Why the host would not send the request there.
fn unfit(input: &RankInput, account: gateway_scheduler::AccountRef) -> Option<&'static str> {
    let Some(one) = input.candidates.iter().find(|one| one.account == account) else {
        return Some("is no candidate");
    };
    if input.tried.contains(&account) {
        Some("was tried already")
    } else if !one.health.is_usable() {
        Some("is cooling or blocked")
    } else if one.in_flight >= one.max_concurrency {
        Some("has no room")
    } else {
        None
    }
}
