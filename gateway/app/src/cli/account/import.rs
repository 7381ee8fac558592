//! `switchyard account import`: what it takes, and how it tells what happened.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use gateway_core::import::{
    Format, ImportItem, ImportOptions, ImportOutcome, ImportRow, OlderTokens, import, preview, read,
};
use gateway_core::ports::{Clock, SystemClock};

use super::sources::{Source, sources};
use crate::Settings;
use crate::cli::tell;
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
    path: PathBuf,
    /// What to call it [default: its name in the file, or its e-mail address]
    #[arg(long)]
    name: Option<String>,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
    /// What the file is
    #[arg(long, default_value = "auto", value_parser = formats())]
    format: Format,
    /// Also take tokens that are older than those stored
    #[arg(long)]
    replace: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::as_str))
        .try_map(|word| Format::parse(&word).ok_or("not a format"))
}

/// Carries the command out.
pub(super) async fn run(settings: &Settings, args: &ImportArgs) -> anyhow::Result<()> {
    let cannot = || format!("cannot import {}", args.path.display());
    let items = items(args).with_context(cannot)?;
    let older = if args.replace { OlderTokens::Take } else { OlderTokens::Skip };
    let options = ImportOptions { name: args.name.clone(), older };
    let store = open_store(settings).await?;
    let accounts = store.accounts();
    let rows = match args.dry_run {
        true => preview(&*accounts, &SystemClock, items, &options).await,
        false => import(&*accounts, &SystemClock, items, &options).await,
    };
    store.close().await;
    let rows = rows.with_context(cannot)?;
    if args.json {
        tell(&serde_json::to_string_pretty(&gateway_server::import_report(args.dry_run, &rows))?);
    } else if let ([row], false) = (rows.as_slice(), args.dry_run) {
        return one(row).with_context(cannot);
    } else {
        table(args.dry_run, &rows).lines().for_each(tell);
    }
    let bad = rows.iter().filter(|row| !row.outcome.is_good()).count();
    if bad > 0 {
        bail!("{bad} of {} were not taken", rows.len());
    }
    Ok(())
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
fn one(row: &ImportRow) -> anyhow::Result<()> {
    let name = row.name.as_deref().unwrap_or_default();
    let id = row.account.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    match &row.outcome {
        ImportOutcome::Added => tell(&format!("added `{name}`{id}")),
        ImportOutcome::Updated => tell(&format!("`{name}`{id} was known: its tokens were replaced")),
        ImportOutcome::Duplicate { .. } => tell(&format!("`{name}`{id} has these tokens already")),
        ImportOutcome::Skipped { reason } | ImportOutcome::Failed { reason } => {
            bail!("{}: {reason}", row.place)
        }
    }
    Ok(())
}

/// One line for each entry, and their count.
fn table(dry_run: bool, rows: &[ImportRow]) -> String {
    let head = [if dry_run { "WOULD BE" } else { "OUTCOME" }, "NAME", "KIND", "PLAN", "PLACE", "DETAIL"];
    let cells: Vec<[String; 6]> =
        std::iter::once(head.map(str::to_owned)).chain(rows.iter().map(cells)).collect();
    let mut widths = [0; 6];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for row in &cells {
        let padded: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
    }
    let count =
        |wanted: &str| cells.iter().filter(|row| row.first().is_some_and(|word| word == wanted)).count();
    let words = ["added", "updated", "duplicate", "skipped", "failed"].map(|word| (count(word), word));
    let counts: Vec<String> =
        words.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    out.push_str(&counts.join(", "));
    out
}

fn cells(row: &ImportRow) -> [String; 6] {
    let (outcome, detail) = match &row.outcome {
        ImportOutcome::Added => ("added", String::new()),
        ImportOutcome::Updated => ("updated", String::new()),
        ImportOutcome::Duplicate { of } => ("duplicate", format!("the same as {of}")),
        ImportOutcome::Skipped { reason } => ("skipped", reason.clone()),
        ImportOutcome::Failed { reason } => ("failed", reason.clone()),
    };
    [
        outcome.to_owned(),
        row.name.clone().unwrap_or_else(|| "-".to_owned()),
        row.kind.map_or("-", |kind| kind.as_str()).to_owned(),
        row.plan.clone().unwrap_or_else(|| "-".to_owned()),
        row.place.to_string(),
        detail,
    ]
}

#[cfg(test)]
mod tests {
    use gateway_core::import::{At, Place, SeatStatus};
    use gateway_domain::AccountKind;

    use super::*;

    fn row(entry: usize, name: Option<&str>, outcome: ImportOutcome) -> ImportRow {
        ImportRow {
            place: Place { source: None, at: At::Entry(entry) },
            name: name.map(str::to_owned),
            kind: name.map(|_| AccountKind::Codex),
            plan: None,
            seat: SeatStatus::New,
            outcome,
            account: None,
        }
    }

    #[test]
    fn the_table_is_aligned_and_counted() {
        let rows = [
            row(1, Some("ada"), ImportOutcome::Added),
            row(2, Some("grace@example.test"), ImportOutcome::Duplicate { of: "entry 1".into() }),
            row(3, None, ImportOutcome::Skipped { reason: "no token found".into() }),
        ];
        let expect = "\
OUTCOME    NAME                KIND   PLAN  PLACE    DETAIL
added      ada                 codex  -     entry 1
duplicate  grace@example.test  codex  -     entry 2  the same as entry 1
skipped    -                   -      -     entry 3  no token found
1 added, 1 duplicate, 1 skipped";
        assert_eq!(table(false, &rows), expect);
        assert!(table(true, &rows).starts_with("WOULD BE"));
    }
}
