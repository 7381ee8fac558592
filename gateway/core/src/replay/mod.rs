//! Decides recorded rankings again: proves that a policy reproduces its own decisions bit for bit, and tells how another one
//! would have decided. Pure but for the clock that measures; blocks for as long as the policy takes.
//!
//! The inputs are the recorded ones, so a replay says where each request would have gone, not what would have become of the
//! next ones because of it.

mod compare;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_scheduler::{AccountRef, Action, BuiltIn, PolicyVersion, RankDecision, RankingPolicy};

use crate::decisions::Ranking;
use crate::ranking::{decide, same_bits};
use compare::Side;

/// Differences told in full.
const MAX_TOLD: usize = 5;
/// A busy machine may make a policy late; it is asked this often before that counts.
const TRIES: u32 = 3;
const LATE: &str = "timed_out";

/// What else a replay should know.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayOptions {
    /// When to stop, whether all was decided or not.
    pub until: Option<Instant>,
}

/// A decision that came out differently.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The request.
    pub request: String,
    /// What it is compared with: the first account by name, or the word for another action.
    pub was: String,
    /// Its reason.
    pub was_reason: String,
    /// What the policy answers.
    pub is: String,
    /// Its reason.
    pub is_reason: String,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SideReport {
    /// Decisions that the built-in had to make, because the policy failed or delegated.
    pub fallbacks: usize,
    /// Of these, how many because the policy failed.
    pub failures: usize,
    /// Decisions that sent the request to an account.
    pub sent: usize,
    /// Conversations that changed their account at least once.
    pub moved_sessions: usize,
    /// How often conversations changed their account.
    pub moves: usize,
    /// Mean relative price of a token on the chosen accounts, where it is known.
    pub mean_cost: Option<f64>,
    /// Prompt caches that would be paid again, added up as shares of a prompt.
    pub caches_lost: f64,
    /// First choices by account name, the most chosen first.
    pub accounts: Vec<(String, usize)>,
}

/// What the replay took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeReport {
    /// All decisions together.
    pub total: Duration,
    /// Half of the decisions took no longer.
    pub median: Duration,
    /// Ninety-nine of a hundred took no longer.
    pub p99: Duration,
    /// Half of the recorded ones took no longer, when they were made.
    pub recorded_median: Duration,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayReport {
    /// The policy that decided again.
    pub policy: PolicyVersion,
    /// The policy it is compared with; `None` for what was recorded.
    pub against: Option<PolicyVersion>,
    /// Rankings decided again.
    pub decisions: usize,
    /// Rankings of the trace that were left out for want of time.
    pub left_out: usize,
    /// Conversations among them.
    pub sessions: usize,
    /// Rankings that this very version made when they were recorded, and whose answer depends on nothing else.
    pub own: usize,
    /// Of these, how many came out the same bit for bit.
    pub reproduced: usize,
    /// Rankings with the same first choice as on the other side.
    pub same_first: usize,
    /// Rankings with the same order.
    pub same_order: usize,
    /// Rankings that are the same bit for bit.
    pub same_bits: usize,
    /// The policy.
    pub now: SideReport,
    /// What it is compared with.
    pub then: SideReport,
    /// How long it took.
    pub time: TimeReport,
    /// The first of its own decisions that it did not reproduce.
    pub not_reproduced: Vec<Difference>,
    /// The first decisions that went to another account.
    pub differences: Vec<Difference>,
}

impl ReplayReport {
    /// Whether the policy answered its own recorded questions as it did then.
    #[must_use]
    pub const fn is_faithful(&self) -> bool {
        self.own == self.reproduced
    }
}

/// Decides every ranking again.
#[must_use]
pub fn replay(
    rankings: &[Arc<Ranking>],
    policy: &dyn RankingPolicy,
    against: Option<&dyn RankingPolicy>,
    options: ReplayOptions,
) -> ReplayReport {
    let builtin = BuiltIn::default();
    let mut run = Run::new(policy, against);
    for ranking in rankings {
        if options.until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let begun = Instant::now();
        let (decision, fallback) = again(policy, &builtin, ranking);
        run.took.push(begun.elapsed());
        let other = against.map(|other| again(other, &builtin, ranking));
        run.note(ranking, &Answered { decision: &decision, fallback }, other.as_ref());
    }
    run.finish(rankings.len())
}

/// One decision, made again.
fn again(
    policy: &dyn RankingPolicy,
    builtin: &dyn RankingPolicy,
    ranking: &Ranking,
) -> (RankDecision, Option<&'static str>) {
    let mut decided = decide(policy, builtin, &ranking.roster, &ranking.input);
    for _ in 1..TRIES {
        if decided.fallback != Some(LATE) || ranking.fallback == Some(LATE) {
            break;
        }
        decided = decide(policy, builtin, &ranking.roster, &ranking.input);
    }
    (decided.decision, decided.fallback)
}

/// An answer and who gave it.
struct Answered<'a> {
    decision: &'a RankDecision,
    fallback: Option<&'static str>,
}

struct Run {
    report: ReplayReport,
    now: Side,
    then: Side,
    took: Vec<Duration>,
    recorded: Vec<Duration>,
}

impl Run {
    fn new(policy: &dyn RankingPolicy, against: Option<&dyn RankingPolicy>) -> Self {
        let report = ReplayReport {
            policy: policy.version().clone(),
            against: against.map(|other| other.version().clone()),
            decisions: 0,
            left_out: 0,
            sessions: 0,
            own: 0,
            reproduced: 0,
            same_first: 0,
            same_order: 0,
            same_bits: 0,
            now: SideReport::default(),
            then: SideReport::default(),
            time: TimeReport::default(),
            not_reproduced: Vec::new(),
            differences: Vec::new(),
        };
        Self { report, now: Side::default(), then: Side::default(), took: Vec::new(), recorded: Vec::new() }
    }

    fn note(
        &mut self,
        ranking: &Ranking,
        now: &Answered<'_>,
        other: Option<&(RankDecision, Option<&'static str>)>,
    ) {
        let recorded = Answered { decision: &ranking.decision, fallback: ranking.fallback };
        self.report.decisions += 1;
        self.recorded.push(ranking.took);
        // What ran out of time or found no instance says something about that machine, not about the policy.
        let depends_on_machine = matches!(ranking.fallback, Some(LATE | "saturated"));
        if is_same(&ranking.policy, &self.report.policy) && !depends_on_machine {
            self.report.own += 1;
            if same_bits(now.decision, recorded.decision) && now.fallback == recorded.fallback {
                self.report.reproduced += 1;
            } else if self.report.not_reproduced.len() < MAX_TOLD {
                self.report.not_reproduced.push(difference(ranking, &recorded, now));
            }
        }
        let then = other.map_or(recorded, |(decision, fallback)| Answered { decision, fallback: *fallback });
        let same_first = first(now.decision) == first(then.decision);
        self.report.same_first += usize::from(same_first);
        self.report.same_order += usize::from(now.decision.action == then.decision.action);
        self.report.same_bits += usize::from(same_bits(now.decision, then.decision));
        if !same_first && self.report.differences.len() < MAX_TOLD {
            self.report.differences.push(difference(ranking, &then, now));
        }
        self.now.note(ranking, now);
        self.then.note(ranking, &then);
    }

    fn finish(mut self, asked: usize) -> ReplayReport {
        self.report.left_out = asked - self.report.decisions;
        self.report.sessions = self.now.sessions();
        self.report.time = TimeReport {
            total: self.took.iter().sum(),
            median: at(&mut self.took, 50),
            p99: at(&mut self.took, 99),
            recorded_median: at(&mut self.recorded, 50),
        };
        self.report.now = self.now.finish();
        self.report.then = self.then.finish();
        self.report
    }
}

/// A file may have been renamed; what it says is what counts.
fn is_same(a: &PolicyVersion, b: &PolicyVersion) -> bool {
    a.language == b.language && a.digest == b.digest
}

fn at(taken: &mut [Duration], percent: usize) -> Duration {
    taken.sort_unstable();
    taken.get(taken.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

/// The account a request is sent to, if any.
fn first(decision: &RankDecision) -> Option<AccountRef> {
    match &decision.action {
        Action::Ranked(order) => order.first().copied(),
        Action::WaitMs(_) | Action::Refuse(_) | Action::Delegate => None,
    }
}

fn difference(ranking: &Ranking, was: &Answered<'_>, is: &Answered<'_>) -> Difference {
    Difference {
        request: ranking.input.info.request_id.to_string(),
        was: word(ranking, was),
        was_reason: was.decision.reason.clone(),
        is: word(ranking, is),
        is_reason: is.decision.reason.clone(),
    }
}

fn word(ranking: &Ranking, answered: &Answered<'_>) -> String {
    match &answered.decision.action {
        Action::Ranked(order) => order.first().map_or_else(|| "nobody".to_owned(), |one| name(ranking, *one)),
        Action::WaitMs(ms) => format!("wait {ms} ms"),
        Action::Refuse(rejection) => format!("refuse {}", rejection.http_status),
        Action::Delegate => "nobody".to_owned(),
    }
}

fn name(ranking: &Ranking, account: AccountRef) -> String {
    let profile = ranking.roster.accounts.iter().find(|profile| profile.account == account);
    profile.map_or_else(|| format!("account {}", account.0), |profile| profile.label.clone())
}

#[cfg(test)]
mod tests;
