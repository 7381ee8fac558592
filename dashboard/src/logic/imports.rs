//! An import in words: what each entry becomes, and the sum of it.

use gateway_api::{ImportFormat, ImportRowOutcome, ImportRowView};

use super::accounts::{kind_word, plan_word};
use super::number::count;

/// What the gateway takes at once.
pub(crate) const MAX_BYTES: f64 = 32.0 * 1024.0 * 1024.0;

/// Every outcome, the good ones first.
pub(crate) const OUTCOMES: [ImportRowOutcome; 5] = [
    ImportRowOutcome::Added,
    ImportRowOutcome::Updated,
    ImportRowOutcome::Duplicate,
    ImportRowOutcome::Skipped,
    ImportRowOutcome::Failed,
];

/// The formats to choose from: value and words.
pub(crate) const FORMATS: [(ImportFormat, &str, &str); 7] = [
    (ImportFormat::Auto, "auto", "Find out"),
    (ImportFormat::AuthJson, "auth-json", "auth.json of the Codex CLI"),
    (ImportFormat::RefreshTokens, "refresh-tokens", "Refresh tokens"),
    (ImportFormat::AccessTokens, "access-tokens", "Access tokens"),
    (ImportFormat::CodexLb, "codex-lb", "Export of codex-lb"),
    (ImportFormat::Codex2Api, "codex2api", "Export of codex2api"),
    (ImportFormat::Switchyard, "switchyard", "Export of Switchyard"),
];

/// The format behind a value.
pub(crate) fn format_of(key: &str) -> ImportFormat {
    FORMATS.iter().find(|(_, known, _)| *known == key).map_or(ImportFormat::Auto, |(format, _, _)| *format)
}

/// One entry of one of the texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The file it stood in, when there are several.
    pub(crate) file: Option<String>,
    /// What the gateway says about it.
    pub(crate) row: ImportRowView,
}

impl Line {
    /// Where it stood: `auth.json, entry 2`.
    pub(crate) fn place(&self) -> String {
        match &self.file {
            Some(file) => format!("{file}, {}", self.row.place),
            None => super::decisions::sentence_case(&self.row.place),
        }
    }

    /// `ChatGPT Plus`; nothing for an entry that could not be read.
    pub(crate) fn what(&self) -> String {
        let kind = self.row.kind.as_deref().map(|kind| kind_word(kind).to_owned());
        let plan = self.row.plan.as_deref().filter(|plan| !plan.is_empty()).map(plan_word);
        let words: Vec<String> = [kind, plan].into_iter().flatten().collect();
        words.join(" ")
    }
}

/// The outcome as a badge says it, before and after.
pub(crate) fn outcome_word(outcome: ImportRowOutcome, is_preview: bool) -> &'static str {
    match (outcome, is_preview) {
        (ImportRowOutcome::Added, true) => "Will be added",
        (ImportRowOutcome::Added, false) => "Added",
        (ImportRowOutcome::Updated, true) => "Will be updated",
        (ImportRowOutcome::Updated, false) => "Updated",
        (ImportRowOutcome::Duplicate, _) => "Duplicate",
        (ImportRowOutcome::Skipped, true) => "Will be skipped",
        (ImportRowOutcome::Skipped, false) => "Skipped",
        (ImportRowOutcome::Failed, _) => "Failed",
    }
}

/// The value of `data-tone`.
pub(crate) fn outcome_tone(outcome: ImportRowOutcome) -> &'static str {
    match outcome {
        ImportRowOutcome::Added => "good",
        ImportRowOutcome::Updated => "info",
        ImportRowOutcome::Duplicate => "idle",
        ImportRowOutcome::Skipped => "warn",
        ImportRowOutcome::Failed => "bad",
    }
}

/// How many entries came to an outcome.
pub(crate) fn number_of(lines: &[Line], outcome: ImportRowOutcome) -> usize {
    lines.iter().filter(|line| line.row.outcome == outcome).count()
}

/// How many accounts are taken.
pub(crate) fn taken(lines: &[Line]) -> usize {
    number_of(lines, ImportRowOutcome::Added) + number_of(lines, ImportRowOutcome::Updated)
}

/// The sum in one sentence: `4,800 will be added, 12 will be skipped`.
pub(crate) fn sum(lines: &[Line], is_preview: bool) -> String {
    let words: Vec<String> = OUTCOMES
        .into_iter()
        .map(|outcome| (number_of(lines, outcome), outcome))
        .filter(|(number, _)| *number > 0)
        .map(|(number, outcome)| {
            let number_words = count(number as u64);
            match (outcome, number) {
                (ImportRowOutcome::Duplicate, 1) => "1 is a duplicate".to_owned(),
                (ImportRowOutcome::Duplicate, _) => format!("{number_words} are duplicates"),
                (outcome, _) => {
                    format!("{number_words} {}", outcome_word(outcome, is_preview).to_lowercase())
                }
            }
        })
        .collect();
    if words.is_empty() { "There is nothing in it".to_owned() } else { words.join(", ") }
}

/// Checks text before it travels: the commonest mistake is half a copy.
pub(crate) fn check_text(text: &str) -> Result<(), String> {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.is_empty() {
        return Err("Paste the text first, or choose files.".to_owned());
    }
    if !start.starts_with(['{', '[']) {
        return Ok(());
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(start) {
        Err(error) if error.is_eof() => {
            Err("The text ends too early: part of the file is missing.".to_owned())
        }
        // Other mistakes may be one bad line of many, which the gateway names.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use gateway_api::ImportSeat;

    use super::*;

    fn line(outcome: ImportRowOutcome) -> Line {
        let row = ImportRowView {
            place: "line 3".to_owned(),
            name: Some("ada".to_owned()),
            kind: Some("codex".to_owned()),
            plan: Some("plus".to_owned()),
            seat: ImportSeat::New,
            outcome,
            detail: None,
            account_id: None,
        };
        Line { file: None, row }
    }

    #[test]
    fn the_sum_names_what_occurs_before_and_after() {
        use ImportRowOutcome::{Added, Duplicate, Failed, Skipped, Updated};
        let lines = [Added, Skipped, Added, Duplicate, Updated].map(line);
        assert_eq!(
            sum(&lines, true),
            "2 will be added, 1 will be updated, 1 is a duplicate, 1 will be skipped"
        );
        assert_eq!(sum(&lines, false), "2 added, 1 updated, 1 is a duplicate, 1 skipped");
        assert_eq!(taken(&lines), 3);
        assert_eq!(sum(&[line(Failed)], false), "1 failed");
        assert_eq!(sum(&[], true), "There is nothing in it");
    }

    #[test]
    fn a_line_says_where_it_stood_and_what_it_is() {
        let mut one = line(ImportRowOutcome::Added);
        assert_eq!((one.place().as_str(), one.what().as_str()), ("Line 3", "ChatGPT Plus"));
        one.file = Some("a.json".to_owned());
        (one.row.kind, one.row.plan) = (None, None);
        assert_eq!((one.place().as_str(), one.what().as_str()), ("a.json, line 3", ""));
    }

    #[test]
    fn half_a_copy_is_noticed_before_it_travels() {
        assert!(check_text(" \n").unwrap_err().starts_with("Paste"));
        assert!(check_text("{\"tokens\":{").unwrap_err().contains("ends too early"));
        for good in [r#"{"tokens":{}}"#, "rt_one\nrt_two", "[1,2]", "{a: 1}"] {
            assert_eq!(check_text(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn every_format_is_found_by_its_value() {
        for (format, key, _) in FORMATS {
            assert_eq!(format_of(key), format);
            assert_eq!(serde_json::to_value(format).unwrap(), key);
        }
        assert_eq!(format_of("gone"), ImportFormat::Auto);
    }
}
