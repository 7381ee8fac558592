//! Asks a candidate what it will be asked in service, with made-up accounts.

use gateway_domain::{AccountId, IdError, ModelName, RequestId, SessionKey, Timestamp};
use gateway_scheduler::{
    AccountProfile, AccountRef, Candidate, Health, PolicyError, RankDecision, RankInput, RequestInfo, Roster,
};

use crate::guest::Guest;
use crate::limits::SETUP_TIME;

/// Both guests answer; if the plugin says it is deterministic, all their answers must be the same.
pub(super) fn run(used: &mut Guest, fresh: &mut Guest, deterministic: bool) -> Result<(), String> {
    let roster = roster().map_err(|error| error.to_string())?;
    for input in inputs().map_err(|error| error.to_string())? {
        let ask = |guest: &mut Guest| guest.rank(SETUP_TIME, &roster, &input).map_err(explain);
        let first = ask(used)?;
        let again = ask(used)?;
        let elsewhere = ask(fresh)?;
        if deterministic && !(same(&first, &again) && same(&first, &elsewhere)) {
            return Err("it says it is deterministic but answered one question differently; keep nothing of a \
                        request, and take time and chance from the request"
                .to_owned());
        }
    }
    Ok(())
}

fn explain(error: PolicyError) -> String {
    format!("asked to rank a made-up request, it {error}")
}

/// Equal bit for bit: a NaN score equals itself here.
fn same(a: &RankDecision, b: &RankDecision) -> bool {
    let bits = |decision: &RankDecision| decision.scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>();
    a.action == b.action && a.reason == b.reason && bits(a) == bits(b)
}

fn roster() -> Result<Roster, IdError> {
    let mut accounts = Vec::new();
    for account in 0..4 {
        accounts.push(AccountProfile {
            account: AccountRef(account),
            id: AccountId::parse("acc_probe")?,
            label: format!("probe {account}"),
            provider: "codex".to_owned(),
            plan: String::new(),
            weight: 1.0,
            max_concurrency: 4,
        });
    }
    Ok(Roster { generation: 1, accounts })
}

/// An ordinary question, and the one with nobody to choose from.
fn inputs() -> Result<[RankInput; 2], IdError> {
    let usual = RankInput {
        info: RequestInfo {
            request_id: RequestId::parse("req_probe")?,
            client: "local".to_owned(),
            session: Some(SessionKey::parse("session")?),
            model: ModelName::parse("gpt-5")?,
            streaming: true,
            body_bytes: 2048,
            attempt: 1,
        },
        now: Timestamp::from_millis(1_000_000),
        seed: 7,
        seq: 42,
        generation: 1,
        candidates: vec![
            candidate(0, Health::Healthy, 0.4),
            candidate(1, Health::Degraded, f64::NAN),
            candidate(2, Health::Blocked, 1.2),
            candidate(3, Health::Healthy, 0.1),
        ],
        tried: vec![AccountRef(3)],
    };
    let empty = RankInput { candidates: Vec::new(), tried: Vec::new(), ..usual.clone() };
    Ok([usual, empty])
}

fn candidate(account: u32, health: Health, used: f64) -> Candidate {
    Candidate {
        account: AccountRef(account),
        health,
        in_flight: account,
        max_concurrency: 4,
        short_window_used: used,
        long_window_used: used / 2.0,
        short_window_resets_in_ms: 60_000,
        long_window_resets_in_ms: 600_000,
        cooldown_ms: 0,
        ttft_ewma_ms: f64::NAN,
        error_rate_ewma: 0.0,
        session_affine: account == 1,
        idle_ms: u64::MAX,
        last_picked_seq: 0,
        weight: 1.0,
    }
}
