//! `switchyard replay`: recorded requests decided again. Reads a trace file, or asks the gateway for what it recorded.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use gateway_api::{ReplaySideView, ReplayView};
use gateway_core::decisions::Ranking;
use gateway_core::replay::{ReplayOptions, replay};
use gateway_core::trace;
use gateway_server::replay_view;

use super::policy::shown;
use super::remote::{Admin, CallError};
use super::text::{percent, plain, span_us, table};
use super::{Call, NotFound, RemoteArgs, load, private_file, tell, tell_json};

/// Accounts listed.
const MAX_LISTED: usize = 10;

/// What `replay` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
  switchyard replay --export trace.jsonl               # what the running gateway recorded
  switchyard replay --policy my.rhai trace.jsonl       # compared with what was decided then
  switchyard replay --policy my.rhai                   # the same with what the gateway recorded
  switchyard replay --policy new.wasm --against old.rhai trace.jsonl

A trace holds account names and session keys, and no text of any prompt. Requests are decided with their recorded inputs: a
replay tells where each of them would have gone, not how later ones would have changed. When the policy is the one that
decided then, every answer must be the same bit for bit; otherwise the command fails.")]
pub(super) struct ReplayArgs {
    /// The recorded requests; the running gateway's when left out
    #[arg(value_name = "TRACE", conflicts_with = "export")]
    trace: Option<PathBuf>,
    /// A script, a component, or `builtin`
    #[arg(long, value_name = "FILE", required_unless_present = "export", conflicts_with = "export")]
    policy: Option<PathBuf>,
    /// Compare with this one instead of what was recorded
    #[arg(long, value_name = "FILE", conflicts_with = "export")]
    against: Option<PathBuf>,
    /// Write what the gateway recorded into this file; `-` for standard output
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Only this many of the newest
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// Exports or replays.
pub(super) async fn run(call: &Call, args: &ReplayArgs) -> anyhow::Result<()> {
    if let Some(file) = &args.export {
        return export(call, args, file).await;
    }
    let policy = args.policy.as_deref().context("name a --policy")?;
    let policy = load::policy(policy).map_err(shown)?;
    let against = args.against.as_deref().map(load::policy).transpose().map_err(shown)?;
    let mut rankings = match &args.trace {
        Some(file) => read_trace(file)?,
        None => trace::read(from_gateway(call, args.limit).await?.as_ref())?,
    };
    if let Some(limit) = args.limit {
        rankings = rankings.split_off(rankings.len().saturating_sub(limit));
    }
    let report = replay(&rankings, &*policy, against.as_deref(), ReplayOptions::default());
    let view = replay_view(&report);
    if args.json {
        tell_json(&view)?;
    } else {
        tell(&in_words(&view));
    }
    if report.is_faithful() {
        return Ok(());
    }
    bail!(
        "{} of {} decisions of this very policy came out differently",
        report.own - report.reproduced,
        report.own
    )
}

async fn export(call: &Call, args: &ReplayArgs, file: &Path) -> anyhow::Result<()> {
    let text = from_gateway(call, args.limit).await?;
    if file.as_os_str() == "-" {
        tell(String::from_utf8_lossy(&text).trim_end());
        return Ok(());
    }
    // Who talked to whom is nobody else's business.
    private_file::replace_private(file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    let decisions =
        text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{\"decision\"")).count();
    tell(&format!("wrote {decisions} decisions to {}", file.display()));
    Ok(())
}

async fn from_gateway(call: &Call, limit: Option<usize>) -> anyhow::Result<bytes::Bytes> {
    let admin = Admin::find(&call.settings, &call.wanted).await?;
    let limit = limit.map(|limit| format!("?limit={limit}")).unwrap_or_default();
    let text = admin.bytes(&format!("/decisions/trace{limit}")).await;
    admin.close().await;
    text.map_err(CallError::told)
}

/// Reads a trace file.
pub(super) fn read_trace(file: &Path) -> anyhow::Result<Vec<Arc<Ranking>>> {
    let opened = File::open(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            anyhow::Error::from(NotFound(format!("there is no file {}", file.display())))
        }
        _ => anyhow::Error::from(error).context(format!("cannot read {}", file.display())),
    })?;
    trace::read(BufReader::new(opened)).with_context(|| format!("cannot replay {}", file.display()))
}

fn in_words(view: &ReplayView) -> String {
    let of = |part: u64, whole: u64| {
        let share = if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        format!("{part} of {whole} ({})", percent(share))
    };
    let mut lines = vec![
        format!("{} ({}) decided {} requests again", plain(&view.policy), view.digest, view.decisions),
        match view.own {
            0 => "none of them was its own decision, so there is nothing to reproduce".to_owned(),
            own if own == view.reproduced => {
                format!("reproduced bit for bit: all {own} of its own decisions")
            }
            own => format!("NOT reproduced: {} of its own decisions", of(own - view.reproduced, own)),
        },
    ];
    let other = if view.against == "recorded" { "what was recorded" } else { view.against.as_str() };
    lines.push(format!("compared with {}:", plain(other)));
    lines.push(format!("  same account   {}", of(view.same_first, view.decisions)));
    lines.push(format!("  same order     {}", of(view.same_order, view.decisions)));
    lines.push(format!("  same in full   {}", of(view.same_bits, view.decisions)));
    lines.push(String::new());
    lines.push(table(&sides(view)));
    lines.push(String::new());
    lines.push(format!(
        "time: {} together, {} median, {} p99; recorded: {} median",
        span_us(view.total_ms * 1e3),
        span_us(view.median_us),
        span_us(view.p99_us),
        span_us(view.recorded_median_us)
    ));
    for (title, found) in [("not reproduced", &view.not_reproduced), ("went elsewhere", &view.differences)] {
        for one in found {
            lines.push(format!(
                "{title}: {}  {} ({}) -> {} ({})",
                plain(&one.request_id),
                plain(&one.was),
                plain(&one.was_reason),
                plain(&one.is),
                plain(&one.is_reason)
            ));
        }
    }
    lines.join("\n")
}

fn sides(view: &ReplayView) -> Vec<Vec<String>> {
    let row = |name: &str, tell: &dyn Fn(&ReplaySideView) -> String| {
        vec![name.to_owned(), tell(&view.now), tell(&view.then)]
    };
    let mut rows = vec![
        row("", &|side| {
            if std::ptr::eq(side, &view.now) { view.policy.clone() } else { view.against.clone() }
        }),
        row("conversations moved", &|side| format!("{} of {}", side.moved_sessions, view.sessions)),
        row("moves", &|side| side.moves.to_string()),
        row("prompt caches lost", &|side| format!("{:.2}", side.caches_lost)),
        row("mean cost", &|side| side.mean_cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.4}"))),
        row("built-in decided", &|side| side.fallbacks.to_string()),
        row("failed", &|side| side.failures.to_string()),
    ];
    let mut names: Vec<&String> =
        view.now.accounts.iter().chain(&view.then.accounts).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let count = |side: &ReplaySideView, name: &str| {
        side.accounts.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count)
    };
    names.sort_by_key(|name| std::cmp::Reverse(count(&view.now, name).max(count(&view.then, name))));
    for name in names.into_iter().take(MAX_LISTED) {
        rows.push(row(&format!("to {name}"), &|side| count(side, name).to_string()));
    }
    rows
}
