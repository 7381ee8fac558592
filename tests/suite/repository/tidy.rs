//! How files look: what they open with, how long they and their functions are, what they link to, what they never hold.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use switchyard_tests::repository;

use super::files::{File, files};
use super::functions::functions;

const MAX_FILE_LINES: usize = 600;
const MAX_FUNCTION_LINES: usize = 100;
/// Nineteen of twenty functions are no longer than this.
const USUAL_FUNCTION_LINES: usize = 45;

/// The top level of the repository.
const TOP: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "dashboard",
    "docker",
    "gateway",
    "plugins",
    "policies",
    "tests",
    "wit",
];

fn sources() -> Result<Vec<File>> {
    let sources = files(&["rs"])?;
    assert!(sources.len() > 150, "only {} sources were found", sources.len());
    Ok(sources)
}

#[test]
fn every_source_says_what_it_is_and_stays_short() -> Result<()> {
    let mut wrong = Vec::new();
    for file in sources()? {
        let text = file.text();
        let lines = text.lines().count();
        if !text.starts_with("//!") {
            wrong.push(format!("{} does not open with `//!`", file.path));
        }
        if lines > MAX_FILE_LINES {
            wrong.push(format!("{} has {lines} lines", file.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn functions_fit_on_a_screen() -> Result<()> {
    let mut lengths = Vec::new();
    let mut wrong = Vec::new();
    for file in sources()? {
        for function in functions(&file.text()) {
            if function.lines > MAX_FUNCTION_LINES {
                wrong.push(format!(
                    "{}:{} {}: {} lines",
                    file.path, function.line, function.name, function.lines
                ));
            }
            lengths.push(function.lines);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lengths.len() > 1_000, "only {} functions were found", lengths.len());
    lengths.sort_unstable();
    let usual = lengths.get(lengths.len() * 95 / 100).copied().context("no functions")?;
    assert!(usual <= USUAL_FUNCTION_LINES, "the 95th percentile is {usual} lines");
    Ok(())
}

#[test]
fn the_top_level_holds_exactly_what_the_design_names() -> Result<()> {
    let entries = fs::read_dir(repository())?.collect::<Result<Vec<_>, _>>()?;
    let found: BTreeSet<String> = entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    assert_eq!(found, TOP.iter().map(|name| (*name).to_owned()).collect());
    Ok(())
}

/// The targets of `[text](target)` in a text, without addresses and without what follows `#`.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|after| after.split(')').next());
    let local =
        targets.filter(|target| !target.contains("://") && !target.starts_with('#') && !target.is_empty());
    local.map(|target| target.split('#').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_documents_link_to_is_there() -> Result<()> {
    let mut checked = 0;
    for file in files(&["md"])? {
        let folder = repository().join(&file.path).parent().context("no folder")?.to_owned();
        for target in links(&file.text()) {
            assert!(folder.join(&target).exists(), "{} links to {target}", file.path);
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} links were found");
    Ok(())
}

#[test]
fn decisions_are_numbered_without_a_gap_and_listed() -> Result<()> {
    let folder = repository().join("gateway/docs/decisions");
    let list = fs::read_to_string(folder.join("README.md"))?;
    let mut names: Vec<String> = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.retain(|name| name != "README.md");
    names.sort();
    assert!(!names.is_empty());
    for (nth, name) in names.iter().enumerate() {
        let number = format!("{:04}", nth + 1);
        assert!(
            name.starts_with(&format!("{number}-")) && name.ends_with(".md"),
            "{name} is not number {number}"
        );
        assert!(list.contains(&format!("[{number}]({name})")), "{name} is not in the list");
        let text = fs::read_to_string(folder.join(name))?;
        assert!(text.starts_with("# "), "{name} has no title");
    }
    Ok(())
}

/// How secrets of others begin, and how many characters of a token follow in a real one.
const SECRETS: &[(&str, usize)] = &[
    ("sk-proj-", 20),
    ("sk-ant-", 20),
    ("sk-svcacct-", 20),
    ("sk-", 40),
    ("sess-", 30),
    ("ghp_", 30),
    ("github_pat_", 30),
    ("glpat-", 18),
    ("AKIA", 16),
    ("xoxb-", 20),
    ("eyJhbGciOiJSUzI1NiI", 40),
    ("-----BEGIN PRIVATE KEY", 0),
    ("-----BEGIN RSA PRIVATE KEY", 0),
    ("-----BEGIN OPENSSH PRIVATE KEY", 0),
];

fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// A piece that looks like a real secret.
fn secret_in(bytes: &[u8]) -> Option<String> {
    SECRETS.iter().find_map(|(start, length)| {
        let mut rest = bytes;
        while let Some(at) = rest.windows(start.len()).position(|window| window == start.as_bytes()) {
            let after = rest.get(at + start.len()..)?;
            let follows = after.iter().take_while(|byte| is_token(byte)).count();
            let begins = at == 0 || !rest.get(at - 1).is_some_and(is_token);
            if begins && follows >= *length {
                let end = (at + start.len() + follows).min(at + 24);
                return Some(String::from_utf8_lossy(rest.get(at..end)?).into_owned());
            }
            rest = after;
        }
        None
    })
}

#[test]
fn no_file_holds_what_looks_like_a_real_secret() -> Result<()> {
    for file in files(&[])? {
        // This one lists how they begin.
        if !file.path.ends_with("repository/tidy.rs") {
            let found = secret_in(&file.bytes);
            assert!(found.is_none(), "{} holds {found:?}…", file.path);
        }
    }
    Ok(())
}

#[test]
fn secrets_are_recognised() {
    let key = format!("\"sk-proj-{}\"", "aB3".repeat(12));
    assert!(secret_in(key.as_bytes()).is_some());
    let token = format!("Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6{}", "x".repeat(60));
    assert!(secret_in(token.as_bytes()).is_some());
    for harmless in
        ["sk-sy-…", "ask-me-anything", "sk-anything", "task-proj-something-long-enough-to-be-a-key"]
    {
        assert_eq!(secret_in(harmless.as_bytes()), None, "{harmless}");
    }
}

/// People in examples do not exist: their addresses lead nowhere.
#[test]
fn addresses_of_people_lead_nowhere() -> Result<()> {
    for file in files(&["rs", "json", "jsonl", "toml", "rhai", "yaml", "py", "mjs"])? {
        let text = file.text();
        for (at, _) in text.match_indices('@') {
            let before = text.get(..at).unwrap_or_default().chars().next_back();
            let after: String = text
                .get(at + 1..)
                .unwrap_or_default()
                .chars()
                .take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '-'))
                .collect();
            let is_address = before.is_some_and(char::is_alphanumeric) && after.contains('.');
            let host = after.trim_end_matches('.');
            let nowhere = [".test", ".example", ".invalid", ".internal"].iter().any(|end| host.ends_with(end))
                || ["example.com", "example.net", "example.org"].iter().any(|end| host.ends_with(end))
                // A version (`switchyard:plugin@0.1.0`), not a host.
                || host.starts_with(|c: char| c.is_ascii_digit());
            assert!(!is_address || nowhere, "{}: …@{after}", file.path);
        }
    }
    Ok(())
}
