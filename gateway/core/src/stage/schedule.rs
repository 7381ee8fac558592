//! Who serves it: asks the policy, checks its answer, takes the place. The built-in ranking steps in when the policy
//! fails or has no opinion.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gateway_domain::{AccountId, AccountKind, Failure, FailureKind, ModelName, Timestamp};
use gateway_protocol::models::Catalogue;
use gateway_scheduler::{
    AccountRef, Action, Ask, Asked, ClosedWays, Ending, HardTie, Lease, Loss, Nobody, Pool, Roster, Verdict,
    Way,
};
use tokio::time::Instant;

use super::acting;
use super::call;
use super::decode::Decoded;
use super::settle::Settlement;
use crate::Gateway;
use crate::decisions::Ranking;
use crate::ranking::{Decided, decide};
use crate::waiting::NoPlace;

/// How often the question is asked again when every place was taken between the answer and the taking.
const MAX_RACES: u32 = 3;
/// What a caller is told to wait when all places are taken.
const SATURATED_RETRY: Duration = Duration::from_secs(5);
/// Turns that run at once, over all accounts.
pub const MAX_RUNNING: usize = 8_192;

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
            self.gateway.running.fetch_sub(1, Ordering::Relaxed);
            self.gateway.waiting.freed(self.account, now);
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

/// Chooses an account for the next try; waits for a place when all are taken.
pub(crate) async fn schedule(
    gateway: &Arc<Gateway>,
    decoded: &Decoded,
    tried: &[AccountRef],
    settlement: &mut Settlement,
) -> Result<Scheduled, Failure> {
    place(gateway, decoded, tried, settlement).await.map_err(|failure| call::explained(decoded, failure))
}

async fn place(
    gateway: &Arc<Gateway>,
    decoded: &Decoded,
    tried: &[AccountRef],
    settlement: &mut Settlement,
) -> Result<Scheduled, Failure> {
    let give_up = Instant::now() + gateway.queue_wait;
    let (mut races, mut waited) = (0, false);
    loop {
        // Those who wait go first: a newcomer joins them.
        let queue = !waited && gateway.waiting.count() > 0;
        if queue || gateway.running.load(Ordering::Relaxed) >= MAX_RUNNING {
            wait_for_place(gateway, decoded, None, give_up).await?;
            waited = true;
            continue;
        }
        let Question { asked, ranking } = rank(gateway, decoded, tried);
        if let Verdict::Lost { tie, why } = asked.verdict {
            return Err(lost(tie, why));
        }
        let index = settlement.ranked(ranking.clone());
        match &ranking.decision.action {
            Action::Ranked(order) => {
                if let Some(scheduled) = take_first_free(gateway, decoded, &asked, &ranking, order, index) {
                    return Ok(scheduled);
                }
                races += 1;
                if races < MAX_RACES {
                    continue;
                }
                races = 0;
                wait_for_place(gateway, decoded, must(&asked), give_up).await?;
            }
            Action::WaitMs(ms) => {
                let wait = Duration::from_millis(u64::from(*ms));
                if Instant::now() + wait > give_up {
                    return Err(gateway.with_pool(|pool| nobody(pool, &asked, gateway.now())));
                }
                tokio::time::sleep(wait).await;
            }
            Action::Refuse(rejection) => return Err(acting::refused(rejection)),
            Action::Delegate => {
                let now = gateway.now();
                if gateway.with_pool(|pool| pool.why_nobody(&asked, now)) != Nobody::Busy {
                    return Err(gateway.with_pool(|pool| nobody(pool, &asked, now)));
                }
                wait_for_place(gateway, decoded, must(&asked), give_up).await?;
            }
        }
        waited = true;
    }
}

async fn wait_for_place(
    gateway: &Gateway,
    decoded: &Decoded,
    wants: Option<AccountRef>,
    give_up: Instant,
) -> Result<(), Failure> {
    let turn = gateway.waiting.turn(decoded.caller.label(), wants, gateway.now(), give_up).await;
    turn.map_err(|no_place| match no_place {
        NoPlace::Full => saturated("too many requests are waiting for an account"),
        NoPlace::TooLong => saturated("every account is busy"),
    })
}

const fn must(asked: &Asked) -> Option<AccountRef> {
    match asked.verdict {
        Verdict::Must { owner, .. } => Some(owner),
        Verdict::Free | Verdict::Prefers { .. } | Verdict::Lost { .. } => None,
    }
}

/// One question and its answer.
struct Question {
    asked: Asked,
    ranking: Arc<Ranking>,
}

/// Asks the policy; the built-in ranking when it fails or delegates.
fn rank(gateway: &Gateway, decoded: &Decoded, tried: &[AccountRef]) -> Question {
    let (asked, roster, closed) = question(gateway, decoded, tried);
    let input = asked.input.clone();
    let (policy, version) = gateway.deciding();
    let begun = Instant::now();
    let Decided { decision, fallback, error } = decide(&*policy, &*gateway.builtin, &roster, &input);
    if let Some(error) = error {
        tracing::warn!(policy = version.id(), policy.digest = version.digest, %error, "policy gave no ranking; the built-in decides");
    }
    let ranking = Arc::new(Ranking {
        policy: version,
        fallback,
        input,
        roster,
        closed,
        scope: decoded.caller.scope().cloned(),
        decision,
        took: begun.elapsed(),
    });
    gateway.trace.keep(&ranking);
    gateway.observer.ranked(crate::ports::RankingSeen {
        language: ranking.policy.language.label(),
        fallback: ranking.fallback,
        took: ranking.took,
    });
    Question { asked, ranking }
}

fn question(gateway: &Gateway, decoded: &Decoded, tried: &[AccountRef]) -> (Asked, Arc<Roster>, ClosedWays) {
    let info = decoded.info(u32::try_from(tried.len()).unwrap_or(u32::MAX));
    let mut wanted = Ask::new(info, gateway.next_seed());
    wanted.ties.clone_from(&decoded.ties);
    tried.clone_into(&mut wanted.tried);
    if let Some(scope) = decoded.caller.scope() {
        wanted.needs.groups.clone_from(&scope.groups);
        wanted.needs.accounts.clone_from(&scope.accounts);
    }
    wanted.needs.providers = match &decoded.wanted.provider {
        Some(provider) => BTreeSet::from([provider.clone()]),
        None => providers(&gateway.catalogue(), decoded),
    };
    wanted.needs.any_model = call::of(decoded).is_some_and(|call| !call.asks_for_a_model());
    // A mapping narrows what a key may use, and never widens it.
    if let Some(group) = &decoded.wanted.group
        && (!wanted.needs.is_scoped() || wanted.needs.groups.contains(group))
    {
        wanted.needs.groups = BTreeSet::from([group.clone()]);
    }
    let now = gateway.now();
    let mut pool = gateway.pool.lock();
    let asked = pool.ask(wanted, now);
    (asked, pool.roster().clone(), pool.closed_ways().clone())
}

/// The kinds of account that can serve; none when anybody may. A call needs one that offers it; ChatGPT accounts make
/// images and transcripts with models that no catalogue lists.
fn providers(catalogue: &Catalogue, decoded: &Decoded) -> BTreeSet<String> {
    let listed = listed_by(catalogue, &decoded.model);
    let Some(call) = call::of(decoded) else { return listed };
    let offer = call.kinds().iter().map(|kind| kind.as_str().to_owned());
    offer
        .filter(|kind| listed.is_empty() || listed.contains(kind) || kind == AccountKind::Codex.as_str())
        .collect()
}

/// The kinds of account that list a model; none when anybody may know it. A model that only other upstreams list is not
/// asked for at ChatGPT accounts: they would refuse it one after the other.
fn listed_by(catalogue: &Catalogue, model: &ModelName) -> BTreeSet<String> {
    if catalogue.slugs().iter().any(|slug| slug == model.as_str()) {
        return BTreeSet::new();
    }
    let listed = catalogue.listed().iter().filter(|listed| listed.id == model.as_str());
    listed.map(|listed| listed.owner.to_owned()).collect()
}

/// Takes a place on the first account of the order that still has one.
fn take_first_free(
    gateway: &Arc<Gateway>,
    decoded: &Decoded,
    asked: &Asked,
    ranking: &Ranking,
    order: &[AccountRef],
    index: usize,
) -> Option<Scheduled> {
    let now = gateway.now();
    let mut pool = gateway.pool.lock();
    let (account, lease) =
        order.iter().find_map(|account| Some((*account, pool.take(*account, &asked.standing, now)?)))?;
    let (id, label) = {
        let profile = &pool.slot(account)?.profile;
        (profile.id.clone(), Arc::from(profile.label.as_str()))
    };
    drop(pool);
    gateway.running.fetch_add(1, Ordering::Relaxed);
    let affine = must(asked) == Some(account)
        || ranking.input.candidates.iter().any(|one| one.account == account && one.session_affine);
    Some(Scheduled {
        lease: LeaseGuard {
            gateway: gateway.clone(),
            lease: Some(lease),
            account,
            model: decoded.model.clone(),
        },
        account: id,
        account_name: label,
        affine,
        ranking: index,
    })
}

fn saturated(why: &str) -> Failure {
    Failure::gateway(FailureKind::Saturated, format!("{why}; try again in a moment"))
        .after(Some(SATURATED_RETRY))
}

/// Only one account could have gone on, and it cannot: clients that know the code send their history again.
fn lost(tie: HardTie, why: Loss) -> Failure {
    let what = match tie {
        HardTie::Response => "the earlier response",
        HardTie::Conversation => "the conversation",
        HardTie::Compaction => "the compacted conversation",
        HardTie::TurnState => "the turn's state",
        HardTie::Reasoning => "the encrypted reasoning",
        HardTie::File => "the file",
    };
    let why = match why {
        Loss::Removed => "was removed",
        Loss::Paused => "is paused",
        Loss::SignInNeeded => "must be signed in again",
        Loss::NoWay => "cannot be reached through its proxy",
        Loss::Cooling { .. } => "is cooling down",
        Loss::NotServing => "may not serve this request",
        Loss::Torn => "is not the only one that this request is bound to",
    };
    if tie == HardTie::File {
        // Another account can never read it: the conversation is no help.
        let message = format!("the account that holds {what} {why}; upload it again");
        let code = Some("file_not_found".to_owned());
        return Failure::gateway(FailureKind::Refused, message).answered(gateway_domain::Answer {
            status: 400,
            code,
            param: Some("file_id".to_owned()),
        });
    }
    if tie == HardTie::Compaction {
        // No client can send what it stands for again: saying so is better than an answer that forgot it all.
        let message = format!(
            "the account that holds {what} {why}; go back to before it was compacted, or begin a new one"
        );
        let code = Some("invalid_encrypted_content".to_owned());
        return Failure::gateway(FailureKind::Refused, message).answered(gateway_domain::Answer {
            status: 400,
            code,
            param: Some("input".to_owned()),
        });
    }
    let message = format!("the account that holds {what} {why}; send the whole conversation again");
    let param = matches!(tie, HardTie::Response).then(|| "previous_response_id".to_owned());
    Failure::gateway(FailureKind::Refused, message).answered(gateway_domain::Answer {
        status: 400,
        code: Some("previous_response_not_found".to_owned()),
        param,
    })
}

/// Why nobody can serve a request now, in the words that its caller can act on.
fn nobody(pool: &Pool, asked: &Asked, now: Timestamp) -> Failure {
    let model = &asked.input.info.model;
    match pool.why_nobody(asked, now) {
        Nobody::Empty => Failure::gateway(
            FailureKind::NoAccount,
            "no account can serve requests: add one or sign in again (dashboard, or `switchyard account import`)",
        ),
        Nobody::NoWay => Failure::gateway(FailureKind::NoAccount, no_way(pool)).after(Some(SATURATED_RETRY)),
        Nobody::OutOfScope => {
            let message = format!(
                "none of the accounts that this key may use can serve `{model}` now; its groups and accounts are set \
                 in the dashboard"
            );
            Failure::gateway(FailureKind::NoAccount, message)
        }
        Nobody::NotServed => {
            let message =
                format!("no account may serve `{model}`; see what the accounts are allowed to serve");
            Failure::gateway(FailureKind::ModelNotSupported, message).param("model")
        }
        Nobody::ModelNotSupported => {
            let message = format!("no account can use the model `{model}`");
            Failure::upstream(FailureKind::ModelNotSupported, message).param("model")
        }
        Nobody::Busy => saturated("every account is busy"),
        Nobody::AllTried => {
            let message = "every account that could serve this has failed it";
            Failure::gateway(FailureKind::AllCooling, message).after(Some(SATURATED_RETRY))
        }
        Nobody::Exhausted { until } => cooling(FailureKind::QuotaExhausted, until, now),
        Nobody::Cooling { until } => cooling(FailureKind::AllCooling, until, now),
    }
}

/// Which proxy to look at first.
fn no_way(pool: &Pool) -> String {
    let down = pool.closed_ways().iter().find_map(|(_, way)| match way {
        Way::Down(proxy) => Some(proxy.name.clone()),
        Way::Open | Way::Off => None,
    });
    let what = match down {
        Some(name) => format!("the egress proxy `{name}` does not work"),
        None => {
            "the egress proxies of the accounts that could serve this are switched off or gone".to_owned()
        }
    };
    format!("no account can be reached: {what}; see the proxies in the dashboard")
}

fn cooling(kind: FailureKind, until: Timestamp, now: Timestamp) -> Failure {
    let wait = Duration::from_millis(now.millis_until(until).max(1));
    let message = format!("all accounts are cooling down; the first one is back {}", in_words(wait));
    Failure::gateway(kind, message).after(Some(wait)).resets_at(Some(until).filter(|until| *until > now))
}

fn in_words(wait: Duration) -> String {
    match wait.as_secs() {
        secs @ 0..120 => format!("in {} s", secs.max(1)),
        secs @ 120..7_200 => format!("in {} min", secs / 60),
        secs => format!("in {} h {} min", secs / 3600, secs % 3600 / 60),
    }
}
