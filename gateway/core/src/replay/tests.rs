//! Replays of made-up traffic: faithful to itself, honest about others.

use gateway_domain::{RequestId, SessionKey};
use gateway_scheduler::corpus::Corpus;
use gateway_scheduler::{PolicyError, PolicyLanguage, RankInput, Roster};

use super::*;

/// Answers with the last candidate, or as told.
struct Odd {
    version: PolicyVersion,
    answer: fn(&RankInput) -> Result<Action, PolicyError>,
}

impl Odd {
    fn new(digest: &str, answer: fn(&RankInput) -> Result<Action, PolicyError>) -> Self {
        let version = PolicyVersion {
            name: "odd".to_owned(),
            language: PolicyLanguage::Rhai,
            digest: digest.to_owned(),
        };
        Self { version, answer }
    }
}

impl RankingPolicy for Odd {
    fn version(&self) -> &PolicyVersion {
        &self.version
    }

    fn rank(&self, _: &Arc<Roster>, input: &Arc<RankInput>) -> Result<RankDecision, PolicyError> {
        let action = (self.answer)(input)?;
        Ok(RankDecision { action, scores: Vec::new(), reason: "odd".to_owned() })
    }
}

fn usable(input: &RankInput) -> Vec<AccountRef> {
    let free =
        input.candidates.iter().filter(|one| one.health.is_usable() && one.in_flight < one.max_concurrency);
    free.map(|one| one.account).filter(|account| !input.tried.contains(account)).collect()
}

fn last(input: &RankInput) -> Result<Action, PolicyError> {
    Ok(Action::Ranked(usable(input).into_iter().rev().collect()))
}

/// One roster, some conversations, decided by this policy.
fn traffic(policy: &dyn RankingPolicy, count: usize) -> Vec<Arc<Ranking>> {
    let builtin = BuiltIn::default();
    let mut corpus = Corpus::new(3).unwrap();
    (0..count)
        .map(|round| {
            let (roster, input) = corpus.question(6);
            let mut input = (*input).clone();
            input.info.session = Some(SessionKey::parse(&format!("s{}", round % 10)).unwrap());
            input.info.request_id = RequestId::parse(&format!("req_{round}")).unwrap();
            input.info.attempt = 0;
            let input = Arc::new(input);
            let decided = decide(policy, &builtin, &roster, &input);
            Arc::new(Ranking {
                policy: Arc::new(policy.version().clone()),
                fallback: decided.fallback,
                input,
                roster,
                closed: Arc::default(),
                scope: None,
                decision: decided.decision,
                took: Duration::from_micros(3),
            })
        })
        .collect()
}

#[test]
fn a_policy_reproduces_itself() {
    let builtin = BuiltIn::default();
    let rankings = traffic(&builtin, 300);
    let report = replay(&rankings, &builtin, None, ReplayOptions::default());
    assert_eq!((report.decisions, report.own, report.reproduced), (300, 300, 300));
    assert!(report.is_faithful() && report.differences.is_empty());
    assert_eq!((report.same_first, report.same_bits), (300, 300));
    assert_eq!(report.now, report.then);
    assert!(report.time.total > Duration::ZERO && report.time.recorded_median == Duration::from_micros(3));
}

#[test]
fn a_lie_about_a_recorded_decision_is_found() {
    let builtin = BuiltIn::default();
    let mut rankings = traffic(&builtin, 50);
    let forged = &rankings[7];
    let mut decision = forged.decision.clone();
    let score = decision.scores.iter_mut().find(|score| !score.is_nan()).unwrap();
    // One bit.
    *score = f64::from_bits(score.to_bits() ^ 1);
    rankings[7] = Arc::new(Ranking {
        policy: forged.policy.clone(),
        fallback: forged.fallback,
        input: forged.input.clone(),
        roster: forged.roster.clone(),
        closed: Arc::default(),
        scope: None,
        decision,
        took: forged.took,
    });
    let report = replay(&rankings, &builtin, None, ReplayOptions::default());
    assert_eq!((report.own, report.reproduced, report.same_first), (50, 49, 50));
    assert!(!report.is_faithful());
    assert_eq!(report.not_reproduced.first().map(|one| one.request.as_str()), Some("req_7"));
}

#[test]
fn another_policy_is_compared_with_what_was_recorded_or_with_a_third() {
    let builtin = BuiltIn::default();
    let rankings = traffic(&builtin, 200);
    let odd = Odd::new("1", last);
    let report = replay(&rankings, &odd, None, ReplayOptions::default());
    assert_eq!((report.own, report.against.is_none(), report.sessions), (0, true, 10));
    assert!(report.same_first < 200 && !report.differences.is_empty());
    assert!(report.differences.len() <= MAX_TOLD);
    let sent: usize = report.now.accounts.iter().map(|(_, count)| count).sum();
    assert_eq!(sent, report.now.sent);
    // Every corpus question has a roster of its own with the same ids, so conversations do move.
    assert!(report.now.moves >= report.now.moved_sessions && report.now.moved_sessions > 0);

    let same = replay(&rankings, &odd, Some(&Odd::new("2", last)), ReplayOptions::default());
    assert_eq!((same.same_bits, same.against.map(|version| version.digest)), (200, Some("2".to_owned())));
    assert_eq!(same.now, same.then);
}

#[test]
fn who_steps_in_is_counted() {
    let failing = Odd::new("3", |_| Err(PolicyError::Failed("no".to_owned())));
    let rankings = traffic(&failing, 40);
    let report = replay(&rankings, &failing, None, ReplayOptions::default());
    assert_eq!((report.now.fallbacks, report.now.failures, report.reproduced), (40, 40, 40));
    // A recorded time-out says nothing about the policy.
    let late = Odd::new("4", |_| Err(PolicyError::TimedOut("late".to_owned())));
    let report = replay(&traffic(&late, 5), &late, None, ReplayOptions::default());
    assert_eq!((report.own, report.now.failures), (0, 5));
}

#[test]
fn it_stops_when_it_is_told_to() {
    let builtin = BuiltIn::default();
    let rankings = traffic(&builtin, 20);
    let options = ReplayOptions { until: Some(Instant::now()) };
    let report = replay(&rankings, &builtin, None, options);
    assert_eq!((report.decisions, report.left_out), (0, 20));
}
