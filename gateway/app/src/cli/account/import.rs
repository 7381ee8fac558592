//! `switchyard account import`: what it takes, and how it tells what happened.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use gateway_api::{ImportReport, ImportRowOutcome, ImportRowView};
use gateway_core::import::{Format, ImportItem, ImportOptions, OlderTokens, import, preview, read};
use gateway_core::ports::{Clock, SystemClock};

use super::import_elsewhere;
use super::sources::{Source, sources};
use crate::Settings;
use crate::cli::text::{self, or_dash, plain};
use crate::cli::{Call, tell, tell_json};
use crate::run::open_store;

/// What `account import` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Takes an auth.json of Codex, tokens one a line, exports of codex-lb and codex2api and our own, a CODEX_HOME, and the
home folder of codexlb. Accounts are recognised by workspace and user: what is known is renewed, not doubled.

  switchyard account import ~/.codex/auth.json
  switchyard account import ~/.codexlb --dry-run
  switchyard account import tokens.txt --format refresh-tokens

Ends with status 0 when every account is in the pool, and 1 when one could not be taken.")]
pub(in crate::cli) struct ImportArgs {
    /// A file, a folder, or `-` for standard input
    pub(super) path: PathBuf,
    /// What to call it [default: its name in the file, or its e-mail address]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Only say what would happen
    #[arg(long)]
    pub(super) dry_run: bool,
    /// What the file is
    #[arg(long, default_value = "auto", value_parser = formats())]
    pub(super) format: Format,
    /// Also take tokens that are older than those stored
    #[arg(long)]
    pub(super) replace: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::as_str))
        .try_map(|word| Format::parse(&word).ok_or("not a format"))
}

/// Carries the command out.
pub(super) async fn run(call: &Call, args: &ImportArgs) -> anyhow::Result<()> {
    let cannot = || format!("cannot import {}", args.path.display());
    let report = match &call.wanted.url {
        Some(_) => import_elsewhere::import(call, args).await,
        None => here(&call.settings, args).await,
    };
    let report = report.with_context(cannot)?;
    if args.json {
        tell_json(&report)?;
    } else if let ([row], false) = (report.rows.as_slice(), args.dry_run) {
        return one(row).with_context(cannot);
    } else {
        table(&report).lines().for_each(tell);
    }
    let bad = report.rows.iter().filter(|row| !is_good(row.outcome)).count();
    if bad > 0 {
        bail!("{bad} of {} were not taken", report.rows.len());
    }
    Ok(())
}

/// Into the database of this machine; a running gateway notices within seconds.
async fn here(settings: &Settings, args: &ImportArgs) -> anyhow::Result<ImportReport> {
    let items = items(args)?;
    let older = if args.replace { OlderTokens::Take } else { OlderTokens::Skip };
    let options = ImportOptions { name: args.name.clone(), older };
    let store = open_store(settings).await?;
    let accounts = store.accounts();
    let rows = match args.dry_run {
        true => preview(&*accounts, &SystemClock, items, &options).await,
        false => import(&*accounts, &SystemClock, items, &options).await,
    };
    store.close().await;
    Ok(gateway_server::import_report(args.dry_run, &rows?))
}

const fn is_good(outcome: ImportRowOutcome) -> bool {
    matches!(outcome, ImportRowOutcome::Added | ImportRowOutcome::Updated | ImportRowOutcome::Duplicate)
}

/// Everything that the path holds. Of a folder, a file that cannot be read is one bad entry.
fn items(args: &ImportArgs) -> anyhow::Result<Vec<ImportItem>> {
    let now = SystemClock.now();
    let mut items = Vec::new();
    for Source { label, name, text } in sources(&args.path)? {
        let mut read = match (read(&text, args.format, label.as_deref(), now), &label) {
            (Ok(read), _) => read,
            (Err(error), Some(label)) => vec![ImportItem::unreadable(label, error)],
            (Err(error), None) => return Err(error.into()),
        };
        if let (Some(name), [item]) = (name, read.as_mut_slice()) {
            item.name = Some(name);
        }
        items.append(&mut read);
    }
    Ok(items)
}

/// One account is told in a sentence.
fn one(row: &ImportRowView) -> anyhow::Result<()> {
    let name = plain(row.name.as_deref().unwrap_or_default());
    let id = row.account_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    match row.outcome {
        ImportRowOutcome::Added => tell(&format!("added `{name}`{id}")),
        ImportRowOutcome::Updated => tell(&format!("`{name}`{id} was known: its tokens were replaced")),
        ImportRowOutcome::Duplicate => tell(&format!("`{name}`{id} has these tokens already")),
        ImportRowOutcome::Skipped | ImportRowOutcome::Failed => {
            bail!("{}: {}", row.place, row.detail.as_deref().unwrap_or("not taken"))
        }
    }
    Ok(())
}

/// One line for each entry, and their count.
fn table(report: &ImportReport) -> String {
    let first = if report.dry_run { "WOULD BE" } else { "OUTCOME" };
    let head = [first, "NAME", "KIND", "PLAN", "PLACE", "DETAIL"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(report.rows.iter().map(cells)).collect();
    let all = [
        ImportRowOutcome::Added,
        ImportRowOutcome::Updated,
        ImportRowOutcome::Duplicate,
        ImportRowOutcome::Skipped,
        ImportRowOutcome::Failed,
    ];
    let count = |outcome| report.rows.iter().filter(|row| row.outcome == outcome).count();
    let counts: Vec<String> = all
        .into_iter()
        .map(|outcome| (count(outcome), word(outcome)))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!("{}\n{}", text::table(&rows), counts.join(", "))
}

const fn word(outcome: ImportRowOutcome) -> &'static str {
    match outcome {
        ImportRowOutcome::Added => "added",
        ImportRowOutcome::Updated => "updated",
        ImportRowOutcome::Duplicate => "duplicate",
        ImportRowOutcome::Skipped => "skipped",
        ImportRowOutcome::Failed => "failed",
    }
}

fn cells(row: &ImportRowView) -> Vec<String> {
    vec![
        word(row.outcome).to_owned(),
        or_dash(row.name.as_deref()),
        or_dash(row.kind.as_deref()),
        or_dash(row.plan.as_deref()),
        row.place.clone(),
        row.detail.clone().unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use gateway_api::ImportSeat;

    use super::*;

    fn row(
        entry: usize,
        name: Option<&str>,
        outcome: ImportRowOutcome,
        detail: Option<&str>,
    ) -> ImportRowView {
        ImportRowView {
            place: format!("entry {entry}"),
            name: name.map(str::to_owned),
            kind: name.map(|_| "codex".to_owned()),
            plan: None,
            seat: ImportSeat::New,
            outcome,
            detail: detail.map(str::to_owned),
            account_id: None,
        }
    }

    #[test]
    fn the_table_is_aligned_and_counted() {
        let same = Some("the same as entry 1");
        let rows = vec![
            row(1, Some("ada"), ImportRowOutcome::Added, None),
            row(2, Some("grace@example.test"), ImportRowOutcome::Duplicate, same),
            row(3, None, ImportRowOutcome::Skipped, Some("no token found")),
        ];
        let expect = "\
OUTCOME    NAME                KIND   PLAN  PLACE    DETAIL
added      ada                 codex  -     entry 1
duplicate  grace@example.test  codex  -     entry 2  the same as entry 1
skipped    -                   -      -     entry 3  no token found
1 added, 1 duplicate, 1 skipped";
        let mut report = ImportReport { dry_run: false, rows };
        assert_eq!(table(&report), expect);
        report.dry_run = true;
        assert!(table(&report).starts_with("WOULD BE"));
    }
}
