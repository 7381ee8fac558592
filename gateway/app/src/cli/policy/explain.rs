//! `switchyard policy explain`: one question, everybody's score, and why the first is first.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use gateway_core::ranking::decide;
use gateway_core::trace;
use gateway_scheduler::{Action, BuiltIn, Candidate, PolicyVersion, RankDecision, RankInput, Roster};
use serde::Serialize;

use super::super::remote::{Admin, CallError};
use super::super::text::{percent, plain, table};
use super::super::{Call, NotFound, load, tell, tell_json};
use super::shown;

/// What `policy explain` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
  switchyard policy explain my.rhai --case cases/my/one.json
  switchyard policy explain my.rhai --decision req_…     # asks the gateway that served it
  switchyard policy explain my.rhai --trace trace.jsonl --decision req_…")]
pub(in crate::cli) struct ExplainArgs {
    /// A script, a component, or `builtin`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The question of a case file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["decision", "trace"], required_unless_present_any = ["decision", "trace"])]
    case: Option<PathBuf>,
    /// The question of a recorded request, by its id
    #[arg(long, value_name = "REQUEST")]
    decision: Option<String>,
    /// Look for the request in this trace instead of asking the gateway; the first one without --decision
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// A question and where it comes from.
struct Asked {
    about: String,
    roster: Arc<Roster>,
    input: Arc<RankInput>,
    /// Who answered it then, and what.
    recorded: Option<(PolicyVersion, RankDecision)>,
}

/// One account, for programs.
#[derive(Serialize)]
struct CandidateTold {
    account: String,
    rank: Option<usize>,
    score: Option<f64>,
    /// Why it could not serve the request, if it could not.
    unfit: Option<&'static str>,
    health: &'static str,
    in_flight: u32,
    max_concurrency: u32,
    short_window_used: Option<f64>,
    long_window_used: Option<f64>,
    session_affine: bool,
    move_price: f64,
}

/// The whole answer, for programs.
#[derive(Serialize)]
struct ExplainTold {
    about: String,
    policy: String,
    digest: String,
    action: String,
    reason: String,
    fallback: Option<&'static str>,
    error: Option<String>,
    recorded: Option<RecordedTold>,
    candidates: Vec<CandidateTold>,
}

/// What was decided when it was recorded.
#[derive(Serialize)]
struct RecordedTold {
    policy: String,
    digest: String,
    action: String,
    reason: String,
}

/// Explains one decision.
pub(super) async fn run(call: &Call, args: &ExplainArgs) -> anyhow::Result<()> {
    let policy = load::policy(&args.file).map_err(shown)?;
    let asked = question(call, args).await?;
    let decided = decide(&*policy, &BuiltIn::default(), &asked.roster, &asked.input);
    let told = ExplainTold {
        policy: policy.version().id(),
        digest: policy.version().digest.clone(),
        action: action(&asked.roster, &decided.decision),
        reason: decided.decision.reason.clone(),
        fallback: decided.fallback,
        error: decided.error.map(|error| error.to_string()),
        recorded: asked.recorded.as_ref().map(|(version, decision)| RecordedTold {
            policy: version.id(),
            digest: version.digest.clone(),
            action: action(&asked.roster, decision),
            reason: decision.reason.clone(),
        }),
        candidates: candidates(&asked, &decided.decision),
        about: asked.about,
    };
    if args.json {
        return tell_json(&told);
    }
    tell(&in_words(&told));
    Ok(())
}

async fn question(call: &Call, args: &ExplainArgs) -> anyhow::Result<Asked> {
    if let Some(case) = &args.case {
        let case = gateway_policy_host::read_case(case)?;
        return Ok(Asked { about: case.about, roster: case.roster, input: case.input, recorded: None });
    }
    let (trace, place) = match (&args.trace, &args.decision) {
        (Some(file), _) => (super::super::replay::read_trace(file)?, file.display().to_string()),
        (None, Some(id)) => (recorded(call, id).await?, "the gateway".to_owned()),
        (None, None) => bail!("name a --case, a --decision or a --trace"),
    };
    let wanted = |ranking: &&Arc<gateway_core::decisions::Ranking>| {
        args.decision.as_ref().is_none_or(|id| ranking.input.info.request_id.as_str() == id)
    };
    let found = trace.iter().find(wanted).ok_or_else(|| NotFound(format!("{place} has no such decision")))?;
    Ok(Asked {
        about: format!("request {}", found.input.info.request_id),
        roster: found.roster.clone(),
        input: found.input.clone(),
        recorded: Some(((*found.policy).clone(), found.decision.clone())),
    })
}

/// The rankings of one request, from the gateway that served it.
async fn recorded(call: &Call, id: &str) -> anyhow::Result<Vec<Arc<gateway_core::decisions::Ranking>>> {
    let admin = Admin::find(&call.settings, &call.wanted).await?;
    let id: String = url_part(id);
    let text = admin.bytes(&format!("/decisions/trace?request_id={id}")).await.map_err(CallError::told);
    admin.close().await;
    trace::read(text?.as_ref()).context("read what the gateway recorded")
}

/// Ids are letters, digits, `_` and `-`; anything else would change the address.
fn url_part(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')).collect()
}

fn label(roster: &Roster, account: gateway_scheduler::AccountRef) -> String {
    let found = roster.accounts.iter().find(|profile| profile.account == account);
    found.map_or_else(|| format!("account {}", account.0), |profile| profile.label.clone())
}

fn action(roster: &Roster, decision: &RankDecision) -> String {
    match &decision.action {
        Action::Ranked(order) => {
            order.first().map_or_else(|| "nobody".to_owned(), |first| label(roster, *first))
        }
        Action::WaitMs(ms) => format!("wait {ms} ms"),
        Action::Refuse(rejection) => format!("refuse {} {}", rejection.http_status, rejection.code),
        Action::Delegate => "nobody".to_owned(),
    }
}

/// Best first, those that were not ranked last.
fn candidates(asked: &Asked, decision: &RankDecision) -> Vec<CandidateTold> {
    let order = match &decision.action {
        Action::Ranked(order) => order.as_slice(),
        Action::WaitMs(_) | Action::Refuse(_) | Action::Delegate => &[],
    };
    let scores = decision.scores.iter().copied().chain(std::iter::repeat(f64::NAN));
    let mut told: Vec<CandidateTold> = asked
        .input
        .candidates
        .iter()
        .zip(scores)
        .map(|(one, score)| CandidateTold {
            account: label(&asked.roster, one.account),
            rank: order.iter().position(|account| *account == one.account).map(|at| at + 1),
            score: known(score),
            unfit: unfit(&asked.input, one),
            health: one.health.label(),
            in_flight: one.in_flight,
            max_concurrency: one.max_concurrency,
            short_window_used: known(one.short_window_used),
            long_window_used: known(one.long_window_used),
            session_affine: one.session_affine,
            move_price: one.move_price,
        })
        .collect();
    told.sort_by_key(|one| one.rank.unwrap_or(usize::MAX));
    told
}

fn known(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn unfit(input: &RankInput, one: &Candidate) -> Option<&'static str> {
    if input.tried.contains(&one.account) {
        Some("was tried already")
    } else if !one.health.is_usable() {
        Some(one.health.label())
    } else if one.in_flight >= one.max_concurrency {
        Some("has no room")
    } else {
        None
    }
}

fn in_words(told: &ExplainTold) -> String {
    let mut lines = vec![
        plain(&told.about),
        format!(
            "{} ({}) chooses {}: {}",
            plain(&told.policy),
            told.digest,
            plain(&told.action),
            plain(&told.reason)
        ),
    ];
    if let Some(why) = told.fallback {
        let error = told.error.as_deref().map(|error| format!(": it {}", plain(error))).unwrap_or_default();
        lines
            .push(format!("the built-in had to decide, because the policy {}{error}", why.replace('_', " ")));
    }
    if let Some(recorded) = &told.recorded {
        lines.push(format!(
            "recorded: {} ({}) chose {}: {}",
            plain(&recorded.policy),
            recorded.digest,
            plain(&recorded.action),
            plain(&recorded.reason)
        ));
    }
    let share = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), percent);
    let head = ["RANK", "ACCOUNT", "SCORE", "SHORT", "LONG", "RUNNING", "HEALTH", "NOTE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(told.candidates.iter().map(|one| {
        let mut notes: Vec<String> = one.unfit.iter().map(|why| (*why).to_owned()).collect();
        if one.session_affine {
            notes.push("has the conversation's cache".to_owned());
        } else if one.move_price > 0.0 {
            notes.push(format!("moving there costs {} of the cache", percent(one.move_price)));
        }
        vec![
            one.rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string()),
            one.account.clone(),
            one.score.map_or_else(|| "-".to_owned(), |score| format!("{score:.4}")),
            share(one.short_window_used),
            share(one.long_window_used),
            format!("{}/{}", one.in_flight, one.max_concurrency),
            one.health.to_owned(),
            notes.join(", "),
        ]
    }));
    lines.push(String::new());
    lines.push(table(&rows));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_change_the_address() {
        assert_eq!(url_part("req_1-a?x=1&y#z/../b"), "req_1-ax1yz..b");
    }
}
