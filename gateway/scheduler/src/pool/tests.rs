//! The pool as a state machine: examples by name, then any sequence of events.

mod quota;
mod recovery;
mod selection;
mod size;
mod speed;
mod ties;

use super::*;
use crate::{Availability, Candidate, RequestInfo};
use gateway_domain::{FailureKind, RequestId, SessionKey};
use proptest::prelude::*;
use std::time::Duration;

fn now(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn member(id: &str) -> Member {
    Member {
        id: AccountId::parse(id).unwrap(),
        label: id.to_owned(),
        provider: "codex".into(),
        plan: "plus".into(),
        availability: Availability::Active,
        quota: None,
    }
}

fn model() -> ModelName {
    ModelName::parse("gpt-5.5").unwrap()
}

fn info(session: Option<&str>) -> RequestInfo {
    RequestInfo {
        request_id: RequestId::parse("req_1").unwrap(),
        client: "local".into(),
        session: session.map(|key| SessionKey::parse(key).unwrap()),
        model: model(),
        surface: crate::Surface::Api,
        streaming: true,
        body_bytes: 1,
        attempt: 0,
    }
}

fn pool(n: u32) -> Pool {
    let mut pool = Pool::default();
    for account in 0..n {
        pool.put(member(&format!("a{account}")));
    }
    pool
}

fn fail(pool: &mut Pool, account: u32, failure: &Failure, at: Timestamp) {
    let lease = pool.lease(AccountRef(account), None, 1, at).expect("free");
    pool.release(lease, Ending::Failed(failure), &model(), at);
}

fn serve(pool: &mut Pool, account: u32, at: Timestamp) {
    let lease = pool.lease(AccountRef(account), None, 1, at).expect("free");
    pool.release(lease, Ending::Served { first_event_ms: Some(10.0), usage: None }, &model(), at);
}

fn candidate(pool: &mut Pool, account: usize, at: Timestamp) -> Candidate {
    pool.question(info(None), vec![], 0, at).candidates[account]
}

fn health(pool: &mut Pool, account: usize, at: Timestamp) -> Health {
    candidate(pool, account, at).health
}

fn enrolment(id: &str, change: impl FnOnce(&mut crate::MemberSettings)) -> Enrolment {
    let mut settings = crate::MemberSettings::default();
    change(&mut settings);
    Enrolment { member: member(id), settings }
}

#[test]
fn client_faults_leave_no_mark() {
    let mut pool = pool(1);
    for kind in [FailureKind::Refused, FailureKind::ClientGone, FailureKind::Unreachable] {
        fail(&mut pool, 0, &Failure::upstream(kind, "x"), now(0));
    }
    assert_eq!(health(&mut pool, 0, now(0)), Health::Healthy);
    assert_eq!(pool.slot(AccountRef(0)).unwrap().failures, 0);
}

#[test]
fn a_conversation_stays_where_it_was_served() {
    let mut pool = pool(3);
    let session = SessionKey::parse("s").unwrap();
    let lease = pool.lease(AccountRef(2), Some(&session), 1, now(0)).unwrap();
    pool.release(lease, Ending::Neutral, &model(), now(0));
    let affine: Vec<bool> = pool
        .question(info(Some("s")), vec![], 0, now(1))
        .candidates
        .iter()
        .map(|c| c.session_affine)
        .collect();
    assert_eq!(affine, [false, false, true]);
}

#[test]
fn a_failed_try_elsewhere_does_not_move_a_conversation() {
    let mut pool = pool(2);
    let session = SessionKey::parse("s").unwrap();
    let owner = |pool: &mut Pool| {
        let asked = pool.question(info(Some("s")), vec![], 0, now(1));
        asked.candidates.iter().find(|one| one.session_affine).map(|one| one.account.0)
    };
    let served = pool.lease(AccountRef(0), Some(&session), 1, now(0)).unwrap();
    pool.release(served, Ending::Served { first_event_ms: None, usage: None }, &model(), now(0));
    let failed = pool.lease(AccountRef(1), Some(&session), 2, now(0)).unwrap();
    pool.release(
        failed,
        Ending::Failed(&Failure::upstream(FailureKind::UpstreamFault, "x")),
        &model(),
        now(0),
    );
    assert_eq!(owner(&mut pool), Some(0));
    let moved = pool.lease(AccountRef(1), Some(&session), 3, now(0)).unwrap();
    pool.release(moved, Ending::Served { first_event_ms: None, usage: None }, &model(), now(0));
    assert_eq!(owner(&mut pool), Some(1));
}

#[test]
fn a_removed_account_is_no_candidate_but_its_lease_ends_well() {
    let mut pool = pool(2);
    let lease = pool.lease(AccountRef(0), None, 1, now(0)).unwrap();
    pool.remove(&AccountId::parse("a0").unwrap());
    assert_eq!(pool.question(info(None), vec![], 0, now(0)).candidates.len(), 1);
    pool.release(lease, Ending::Neutral, &model(), now(0));
    assert_eq!(pool.in_flight(), 0);
    // Signing in again gives a new handle; the old one stays dead.
    let again = pool.put(member("a0"));
    assert_eq!(again, AccountRef(2));
}

#[derive(Debug, Clone)]
enum Event {
    Lease(u32),
    Serve,
    Fail(FailureKind),
    Leave,
    Tick(u16),
    Pause(u32),
    Resume(u32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u32..4).prop_map(Event::Lease),
        2 => Just(Event::Serve),
        2 => prop::sample::select(vec![
            FailureKind::RateLimited, FailureKind::QuotaExhausted, FailureKind::UpstreamFault,
            FailureKind::StreamCut, FailureKind::Refused, FailureKind::ModelNotSupported,
        ]).prop_map(Event::Fail),
        1 => Just(Event::Leave),
        1 => (0_u16..2_000).prop_map(Event::Tick),
        1 => (0_u32..4).prop_map(Event::Pause),
        1 => (0_u32..4).prop_map(Event::Resume),
    ]
}

proptest! {
    /// Whatever happens in whatever order: every lease is counted exactly once, cooling accounts come back by
    /// themselves, and a question always names every account once.
    #[test]
    fn leases_balance_and_cooldowns_end(events in prop::collection::vec(event(), 0..200)) {
        let mut pool = pool(4);
        let mut open = Vec::new();
        let mut clock = now(1_000_000);
        for (seq, event) in events.into_iter().enumerate() {
            match event {
                Event::Lease(account) => open.extend(pool.lease(AccountRef(account), None, seq as u64, clock)),
                Event::Serve => if let Some(lease) = open.pop() {
                    pool.release(lease, Ending::Served { first_event_ms: Some(5.0), usage: None }, &model(), clock);
                },
                Event::Fail(kind) => if let Some(lease) = open.pop() {
                    pool.release(lease, Ending::Failed(&Failure::upstream(kind, "x")), &model(), clock);
                },
                Event::Leave => if let Some(lease) = open.pop() {
                    pool.release(lease, Ending::Neutral, &model(), clock);
                },
                Event::Tick(secs) => clock = clock.plus(Duration::from_secs(secs.into())),
                Event::Pause(account) => {
                    pool.put(Member { availability: Availability::Paused, ..member(&format!("a{account}")) });
                }
                Event::Resume(account) => { pool.put(member(&format!("a{account}"))); }
            }
            prop_assert_eq!(pool.in_flight() as usize, open.len());
            let question = pool.question(info(None), vec![], 0, clock);
            let named: Vec<u32> = question.candidates.iter().map(|candidate| candidate.account.0).collect();
            prop_assert_eq!(named, vec![0, 1, 2, 3]);
            for candidate in &question.candidates {
                prop_assert!((0.0..=1.0).contains(&candidate.error_rate_ewma));
                prop_assert_eq!(candidate.cooldown_ms > 0, candidate.health == Health::Cooling
                    || (candidate.health == Health::Blocked && candidate.cooldown_ms > 0));
            }
        }
        for account in 0..4 { pool.put(member(&format!("a{account}"))); }
        let later = clock.plus(Duration::from_secs(3_601));
        let question = pool.question(info(None), vec![], 0, later);
        prop_assert!(question.candidates.iter().all(|candidate| candidate.health.is_usable()));
    }
}
