//! Mistakes of scripts as people read them: the place, the line, a mark below the column.

use std::path::{Path, PathBuf};

use gateway_policy_host::{Outcome, Report, ScriptError, Step};
use serde::Serialize;

use super::super::load::folder_of;
use super::super::text::plain;

/// One step, for programs.
#[derive(Serialize)]
pub(super) struct StepTold {
    step: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// A report, for programs.
#[derive(Serialize)]
pub(super) struct ReportTold {
    file: String,
    passed: bool,
    digest: Option<String>,
    steps: Vec<StepTold>,
}

impl ReportTold {
    pub(super) fn of(file: &Path, report: &Report) -> Self {
        Self {
            file: file.display().to_string(),
            passed: report.passed(),
            digest: report.digest.clone(),
            steps: report.steps.iter().map(|step| step_told(file, step)).collect(),
        }
    }
}

fn step_told(script: &Path, step: &Step) -> StepTold {
    let bare = |outcome, why| StepTold {
        step: step.name.clone(),
        outcome,
        why,
        kind: None,
        file: None,
        line: None,
        column: None,
        source: None,
    };
    match &step.outcome {
        Outcome::Passed => bare("passed", None),
        Outcome::Skipped(why) => bare("skipped", Some((*why).to_owned())),
        Outcome::Failed(error) => StepTold {
            kind: Some(error.kind.label()),
            file: Some(file_of(script, error).display().to_string()),
            line: error.line,
            column: error.column,
            source: source_line(script, error),
            ..bare("failed", Some(error.message.clone()))
        },
    }
}

/// A report, for people.
pub(super) fn report(file: &Path, report: &Report) -> String {
    let width = report.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or_default();
    let mut lines = vec![file.display().to_string()];
    for step in &report.steps {
        let name = plain(&step.name);
        match &step.outcome {
            Outcome::Passed => lines.push(format!("  {name:width$}  ok")),
            Outcome::Skipped(why) => lines.push(format!("  {name:width$}  -   {why}")),
            Outcome::Failed(error) => {
                lines.push(format!("  {name:width$}  FAILED"));
                lines.push(mistake(file, error));
            }
        }
    }
    lines.join("\n")
}

/// What is wrong, where, and the line itself.
pub(super) fn mistake(script: &Path, error: &ScriptError) -> String {
    let mut text = format!("    {}", plain(&error.message));
    let Some(line) = error.line else { return text };
    let column = error.column.unwrap_or(1);
    let file = file_of(script, error);
    text.push_str(&format!("\n    --> {}:{line}:{column}", file.display()));
    if let Some(source) = source_line(script, error) {
        let number = line.to_string();
        let gap = " ".repeat(number.len());
        // A tab before the mark is a tab in both lines, whatever its width.
        let before = source.chars().take(column.saturating_sub(1));
        let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let source: String = source.chars().map(|c| if c == '\t' { c } else { plain_char(c) }).collect();
        text.push_str(&format!("\n    {gap} |\n    {number} | {source}\n    {gap} | {indent}^"));
    }
    text
}

fn plain_char(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

/// The script, or the module that the mistake is in.
fn file_of(script: &Path, error: &ScriptError) -> PathBuf {
    match &error.module {
        None => script.to_owned(),
        Some(module) => folder_of(script).join(format!("{module}.rhai")),
    }
}

fn source_line(script: &Path, error: &ScriptError) -> Option<String> {
    let text = std::fs::read_to_string(file_of(script, error)).ok()?;
    text.lines().nth(error.line?.checked_sub(1)?).map(str::to_owned)
}
