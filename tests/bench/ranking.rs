//! What one ranking costs, in this process: built in, by a script, by a component. The same questions for all.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gateway_plugin_host::{Limits, PluginHost};
use gateway_policy_host::RhaiHost;
use gateway_scheduler::corpus::{Corpus, MAX_CANDIDATES};
use gateway_scheduler::{AccountRef, Action, BuiltIn, RankInput, RankingPolicy, Roster};
use serde::Serialize;

use crate::measure::{median, micros};
use crate::options::Pace;
use crate::report::say;

/// Accounts a question names.
const CANDIDATES: [usize; 3] = [5, 50, 500];
/// Different questions, so that nothing learns the answer by heart.
const QUESTIONS: usize = 32;

/// A busy machine must make a ranking slow here, not fail it.
const DEADLINE: Duration = Duration::from_secs(5);

/// The cost of one ranking.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) policy: &'static str,
    pub(crate) candidates: usize,
    /// The median over batches.
    pub(crate) us: f64,
}

/// Measures all policies at all sizes.
pub(crate) fn run(pace: Pace) -> Result<Vec<Row>> {
    say("rankings");
    let policies = policies()?;
    let mut rows = Vec::new();
    for candidates in CANDIDATES {
        let (roster, questions) = questions(candidates)?;
        for (name, policy) in &policies {
            let us = cost(&**policy, &roster, &questions, pace.ranking)?;
            rows.push(Row { policy: name, candidates, us });
        }
    }
    Ok(rows)
}

fn policies() -> Result<[(&'static str, Box<dyn RankingPolicy>); 3]> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let script = repository.join("policies/usage-balanced.rhai");
    let source = std::fs::read_to_string(&script).with_context(|| format!("read {}", script.display()))?;
    let component = repository.join("plugins/dist/headroom.wasm");
    let bytes = std::fs::read(&component)
        .with_context(|| format!("read {}; `cargo xtask plugins` builds it", component.display()))?;
    let limits = Limits { deadline: DEADLINE, ..Limits::default() };
    let scripts = RhaiHost::new().with_deadline(DEADLINE);
    Ok([
        ("built-in", Box::new(BuiltIn::default())),
        ("rhai", Box::new(scripts.load("usage-balanced", &source)?)),
        ("wasm", Box::new(PluginHost::new()?.with_limits(limits).load("headroom", &bytes, "")?)),
    ])
}

/// Questions about exactly this many candidates of one roster: in a pool that does not change, neither does the
/// roster, and policies are told about it once.
fn questions(candidates: usize) -> Result<(Arc<Roster>, Vec<Arc<RankInput>>)> {
    let mut corpus = Corpus::new(42)?;
    let (roster, _) = corpus.question(MAX_CANDIDATES);
    let mut questions = Vec::with_capacity(QUESTIONS);
    while questions.len() < QUESTIONS {
        let (_, question) = corpus.question(candidates);
        let mut question = RankInput::clone(&question);
        question.generation = roster.generation;
        // Handles of the one roster, in its order.
        for (at, candidate) in (0..).zip(&mut question.candidates) {
            candidate.account = AccountRef(at);
        }
        question.tried.clear();
        let question = Arc::new(question);
        // Of a few candidates none may be free; that answer is short and says little.
        if matches!(BuiltIn::default().rank(&roster, &question)?.action, Action::Ranked(_)) {
            questions.push(question);
        }
    }
    ensure!(questions.iter().all(|question| question.candidates.len() == candidates), "too few candidates");
    Ok((roster, questions))
}

fn cost(
    policy: &dyn RankingPolicy,
    roster: &Arc<Roster>,
    questions: &[Arc<RankInput>],
    span: Duration,
) -> Result<f64> {
    for question in questions {
        let answer = policy.rank(roster, question)?;
        ensure!(matches!(answer.action, Action::Ranked(_)), "no ranking: {}", answer.reason);
    }
    let (mut batches, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < span {
        let batch = Instant::now();
        for question in questions {
            black_box(policy.rank(roster, black_box(question))?);
        }
        batches.push(micros(batch.elapsed()) / questions.len() as f64);
    }
    Ok(median(batches))
}
