//! `switchyard policy …`: everything one wants to know about a routing script before it serves. Works on files alone; only
//! `explain --decision` asks a gateway.

mod explain;
mod told;

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, Subcommand};
use gateway_policy_host::{Outcome, Report, format, measure};
use serde::Serialize;

use super::load::{self, BadScript};
use super::text::{span_us, table};
use super::{Call, RemoteArgs, WrongUse, tell, tell_json, tell_note};
use told::ReportTold;

/// Pool sizes that are measured.
const SIZES: [usize; 3] = [5, 50, 500];
/// Answers of each size.
const ROUNDS: usize = 2_000;

/// What `policy` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
  switchyard policy check my.rhai          # compile, try, made-up requests, tests, cases
  switchyard policy test my.rhai           # its test_ functions and the cases beside it
  switchyard policy fmt my.rhai            # lay it out (--check only looks)
  switchyard policy explain my.rhai --case cases/my/one.json
  switchyard policy bench my.rhai          # time for each ranking, at 5, 50 and 500 accounts
  switchyard replay --policy my.rhai trace.jsonl")]
pub(super) struct PolicyArgs {
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
    #[command(subcommand)]
    pub(super) command: PolicyCommand,
}

/// What can be asked about a policy.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Do everything that is done before a script serves, and say what is wrong and where
    Check(Files),
    /// Run the tests inside of a script and the cases in cases/NAME beside it
    Test(Files),
    /// Lay scripts out; what they say stays the same
    #[command(name = "fmt")]
    Format {
        /// The scripts
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Change nothing; fail when a script is not laid out
        #[arg(long)]
        check: bool,
    },
    /// Show who would serve a request and why
    Explain(explain::ExplainArgs),
    /// Measure how long an answer takes
    Bench {
        /// A script, a component, or `builtin`
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Scripts to look at.
#[derive(Debug, Args)]
pub(super) struct Files {
    /// The scripts
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Carries a policy command out.
pub(super) async fn run(call: &Call, command: PolicyCommand) -> anyhow::Result<()> {
    match command {
        PolicyCommand::Check(files) => look(&files, |_| true),
        PolicyCommand::Test(files) => look(&files, is_test),
        PolicyCommand::Format { files, check } => lay_out(&files, check),
        PolicyCommand::Explain(args) => explain::run(call, &args).await,
        PolicyCommand::Bench { file, json } => bench(&file, json),
    }
}

/// Without `compile` there is nothing to test.
fn is_test(step: &str) -> bool {
    ["read", "compile", "test", "case"].iter().any(|word| step.starts_with(word))
}

fn look(files: &Files, wanted: fn(&str) -> bool) -> anyhow::Result<()> {
    let mut reports = Vec::new();
    for file in &files.files {
        must_be_script(file)?;
        let mut report = gateway_policy_host::check(file);
        report.steps.retain(|step| wanted(&step.name));
        reports.push((file, report));
    }
    if files.json {
        tell_json(&reports.iter().map(|(file, report)| ReportTold::of(file, report)).collect::<Vec<_>>())?;
    } else {
        for (file, report) in &reports {
            tell(&told::report(file, report));
        }
    }
    let failed: usize = reports.iter().map(|(_, report)| failures(report)).sum();
    match failed {
        0 => Ok(()),
        1 => bail!("one step failed"),
        many => bail!("{many} steps failed"),
    }
}

fn failures(report: &Report) -> usize {
    report.steps.iter().filter(|step| matches!(step.outcome, Outcome::Failed(_))).count()
}

fn must_be_script(file: &Path) -> anyhow::Result<()> {
    if file.extension().is_some_and(|ending| ending == "rhai") {
        return Ok(());
    }
    let text =
        format!("{} is no script; components are checked with `switchyard plugin check`", file.display());
    Err(WrongUse(text).into())
}

fn lay_out(files: &[PathBuf], only_look: bool) -> anyhow::Result<()> {
    let mut others = 0;
    for file in files {
        must_be_script(file)?;
        let source = String::from_utf8(load::read(file)?)?;
        let laid_out = format(&source).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
        if laid_out == source {
            continue;
        }
        others += 1;
        if only_look {
            tell(&format!("{} is not laid out", file.display()));
        } else {
            std::fs::write(file, laid_out)?;
            tell(&format!("{} is laid out now", file.display()));
        }
    }
    if only_look && others > 0 {
        bail!("run `switchyard policy fmt` on what is named above");
    }
    Ok(())
}

/// How long answers take at one size.
#[derive(Serialize)]
struct TimeTold {
    candidates: usize,
    rounds: usize,
    median_us: f64,
    p99_us: f64,
}

fn bench(file: &Path, json: bool) -> anyhow::Result<()> {
    let policy = load::policy(file).map_err(shown)?;
    let mut times = Vec::new();
    for candidates in SIZES {
        let timing = measure(&*policy, candidates, ROUNDS).map_err(|error| anyhow::anyhow!("{error}"))?;
        times.push(TimeTold {
            candidates,
            rounds: timing.rounds,
            median_us: timing.median.as_secs_f64() * 1e6,
            p99_us: timing.p99.as_secs_f64() * 1e6,
        });
    }
    if json {
        return tell_json(&times);
    }
    let mut rows = vec![["ACCOUNTS", "MEDIAN", "P99"].map(str::to_owned).to_vec()];
    rows.extend(
        times
            .iter()
            .map(|time| vec![time.candidates.to_string(), span_us(time.median_us), span_us(time.p99_us)]),
    );
    tell(&table(&rows));
    Ok(())
}

/// A script that does not load is shown with its place before the error is told.
pub(super) fn shown(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<BadScript>() {
        Ok(bad) => {
            tell_note(&told::mistake(Path::new(&bad.file), &bad.error));
            anyhow::anyhow!("{} does not load", bad.file)
        }
        Err(error) => error,
    }
}
