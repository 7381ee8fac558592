//! Who serves it: asks the policy, checks its answer, takes the place. The built-in ranking steps in when the policy
//! fails or has no opinion.

use std::sync::Arc;
use std::time::Duration;

use gateway_domain::{AccountId, Failure, FailureKind, ModelName, Timestamp};
use gateway_scheduler::{
    AccountRef, Action, Availability, Ending, Lease, Pool, RankDecision, RankInput, RankingPolicy, Rejection,
    Roster, validate,
};
use tokio::time::Instant;

use super::decode::Decoded;
use super::settle::Settlement;
use crate::Gateway;
use crate::decisions::Ranking;

/// The longest a policy may keep a request waiting, in all.
pub const MAX_POLICY_WAIT: Duration = Duration::from_secs(10);
/// How often the question is asked again when every place was taken between the answer and the taking.
const MAX_RACES: u32 = 3;
/// What a caller is told to wait when all places are taken.
const SATURATED_RETRY: Duration = Duration::from_secs(1);

/// A place on an account. It is given back when this ends, whichever way.
#[must_use = "dropping it gives the place back at once"]
pub(crate) struct LeaseGuard {
    gateway: Arc<Gateway>,
    lease: Option<Lease>,
    account: AccountRef,
    model: ModelName,
}

impl LeaseGuard {
    pub(crate) const fn account(&self) -> AccountRef {
        self.account
    }

    /// Gives the place back and lets the ending count.
    pub(crate) fn end(mut self, ending: Ending<'_>) {
        self.release(ending);
    }

    fn release(&mut self, ending: Ending<'_>) {
        if let Some(lease) = self.lease.take() {
            let now = self.gateway.now();
            self.gateway.pool.lock().release(lease, ending, &self.model, now);
        }
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        self.release(Ending::Neutral);
    }
}

/// An account that was chosen, with a place taken on it.
pub(crate) struct Scheduled {
    pub(crate) lease: LeaseGuard,
    pub(crate) account: AccountId,
    pub(crate) account_name: Arc<str>,
    /// Whether the conversation was served here before.
    pub(crate) affine: bool,
    /// Which ranking of the decision chose it.
    pub(crate) ranking: usize,
}

/// Chooses an account for the next try.
pub(crate) async fn schedule(
    gateway: &Arc<Gateway>,
    decoded: &Decoded,
    tried: &[AccountRef],
    settlement: &mut Settlement,
) -> Result<Scheduled, Failure> {
    let give_up = Instant::now() + MAX_POLICY_WAIT;
    let mut races = 0;
    loop {
        let ranking = Arc::new(rank(gateway, decoded, tried));
        let index = settlement.ranked(ranking.clone());
        match &ranking.decision.action {
            Action::Ranked(order) => {
                if let Some(scheduled) = take_first_free(gateway, decoded, &ranking, order, index) {
                    return Ok(scheduled);
                }
                races += 1;
                if races == MAX_RACES {
                    return Err(saturated());
                }
            }
            Action::WaitMs(ms) => {
                let wait = Duration::from_millis(u64::from(*ms));
                if Instant::now() + wait > give_up {
                    return Err(gateway.with_pool(|pool| nobody(pool, &ranking.input)));
                }
                tokio::time::sleep(wait).await;
            }
            Action::Refuse(rejection) => return Err(refused(rejection)),
            Action::Delegate => return Err(gateway.with_pool(|pool| nobody(pool, &ranking.input))),
        }
    }
}

/// Asks the policy; the built-in ranking when it fails or delegates.
fn rank(gateway: &Gateway, decoded: &Decoded, tried: &[AccountRef]) -> Ranking {
    let (input, roster) = question(gateway, decoded, tried);
    let policy = gateway.policy();
    let begun = Instant::now();
    let (decision, fallback) = ask(&*policy, &*gateway.builtin, &roster, &input);
    let ranking = Ranking {
        policy: policy.version().clone(),
        fallback,
        input,
        roster,
        decision,
        took: begun.elapsed(),
    };
    gateway.observer.ranked(crate::ports::RankingSeen {
        language: ranking.policy.language.label(),
        fallback: ranking.fallback,
        took: ranking.took,
    });
    ranking
}

fn question(gateway: &Gateway, decoded: &Decoded, tried: &[AccountRef]) -> (Arc<RankInput>, Arc<Roster>) {
    let info = gateway_scheduler::RequestInfo {
        request_id: decoded.id.clone(),
        client: decoded.caller.label().to_owned(),
        session: decoded.session.clone(),
        model: decoded.model.clone(),
        streaming: decoded.wants_stream,
        body_bytes: u32::try_from(decoded.body_bytes).unwrap_or(u32::MAX),
        attempt: u32::try_from(tried.len()).unwrap_or(u32::MAX),
    };
    let (seed, now) = (gateway.next_seed(), gateway.now());
    let mut pool = gateway.pool.lock();
    let input = pool.question(info, tried.to_vec(), seed, now);
    (Arc::new(input), pool.roster().clone())
}

fn ask(
    policy: &dyn RankingPolicy,
    builtin: &dyn RankingPolicy,
    roster: &Arc<Roster>,
    input: &Arc<RankInput>,
) -> (RankDecision, Option<&'static str>) {
    let answer = policy.rank(roster, input).and_then(|decision| validate(input, decision));
    let fallback = match answer {
        Ok(decision) if decision.action != Action::Delegate => return (decision, None),
        Ok(_) => "delegated",
        Err(error) => {
            let version = policy.version();
            tracing::warn!(policy = version.id(), policy.digest = version.digest, %error, "policy gave no ranking; the built-in decides");
            error.label()
        }
    };
    let decision = builtin.rank(roster, input).and_then(|decision| validate(input, decision));
    let decision = decision.unwrap_or_else(|error| RankDecision {
        action: Action::Delegate,
        scores: Vec::new(),
        reason: error.to_string(),
    });
    (decision, Some(fallback))
}

/// Takes a place on the first account of the order that still has one.
fn take_first_free(
    gateway: &Arc<Gateway>,
    decoded: &Decoded,
    ranking: &Ranking,
    order: &[AccountRef],
    index: usize,
) -> Option<Scheduled> {
    let now = gateway.now();
    let mut pool = gateway.pool.lock();
    let (account, lease) = order.iter().find_map(|account| {
        Some((*account, pool.lease(*account, decoded.session.as_ref(), ranking.input.seq, now)?))
    })?;
    let profile = pool.slot(account)?.profile.clone();
    drop(pool);
    let affine = ranking.input.candidates.iter().any(|one| one.account == account && one.session_affine);
    Some(Scheduled {
        lease: LeaseGuard {
            gateway: gateway.clone(),
            lease: Some(lease),
            account,
            model: decoded.model.clone(),
        },
        account: profile.id,
        account_name: Arc::from(profile.label),
        affine,
        ranking: index,
    })
}

fn saturated() -> Failure {
    Failure::gateway(FailureKind::Saturated, "every account is busy; try again in a moment")
        .after(Some(SATURATED_RETRY))
}

fn refused(rejection: &Rejection) -> Failure {
    Failure::extension(FailureKind::ExtensionRefused, rejection.message.clone())
        .after(rejection.retry_after_ms.map(|ms| Duration::from_millis(u64::from(ms))))
        .answered(gateway_domain::Answer {
            status: rejection.http_status,
            code: Some(rejection.code.clone()),
            param: None,
        })
}

/// Why nobody can serve a request now, in the words that its caller can act on.
fn nobody(pool: &Pool, input: &RankInput) -> Failure {
    let (model, now) = (&input.info.model, input.now);
    let mut active = pool.members().filter(|slot| slot.availability == Availability::Active).peekable();
    if active.peek().is_none() {
        return Failure::gateway(
            FailureKind::NoAccount,
            "no account can serve requests: add one or sign in again (dashboard, or `switchyard account import`)",
        );
    }
    let causes: Option<Vec<FailureKind>> =
        active.map(|slot| slot.cooldown_at(Some(model), now).map(|cooldown| cooldown.cause)).collect();
    let Some(causes) = causes else { return saturated() };
    if causes.iter().all(|cause| *cause == FailureKind::ModelNotSupported) {
        return Failure::upstream(
            FailureKind::ModelNotSupported,
            format!("no account can use the model `{model}`"),
        )
        .param("model");
    }
    let until = pool.earliest_return(model, now);
    let wait = until.map(|until| Duration::from_millis(now.millis_until(until).max(1)));
    let exhausted = causes.iter().all(|cause| *cause == FailureKind::QuotaExhausted);
    let kind = if exhausted { FailureKind::QuotaExhausted } else { FailureKind::AllCooling };
    let message = format!("all accounts are cooling down; the first one is back {}", in_words(wait));
    Failure::gateway(kind, message).after(wait).resets_at(until.filter(|until: &Timestamp| *until > now))
}

fn in_words(wait: Option<Duration>) -> String {
    match wait.map(|wait| wait.as_secs()) {
        None => "later".to_owned(),
        Some(secs @ 0..120) => format!("in {} s", secs.max(1)),
        Some(secs @ 120..7_200) => format!("in {} min", secs / 60),
        Some(secs) => format!("in {} h {} min", secs / 3600, secs % 3600 / 60),
    }
}
