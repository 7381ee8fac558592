//! Asking for quotas: every few minutes, soon after a usage limit was hit, and when a window's reset has passed. A few at
//! a time and so many in a round, however many accounts there are: a large pool is asked in turn, without a pause and
//! without a burst. What just changed comes first, then those that wait longest.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use gateway_domain::{AccountId, FailureKind, Timestamp, Window};
use gateway_scheduler::{AccountRef, Availability, Slot, Way};

use super::{ROUND, Rounds, spread};
use crate::Gateway;

/// A quota older than this is asked for again.
const STALE: Duration = Duration::from_secs(5 * 60);
/// The widest spread on top of it.
const SPREAD: Duration = Duration::from_secs(60);
/// Quotas asked for at once.
const AT_ONCE: usize = 4;
/// The most questions in one round.
const MOST_PER_ROUND: usize = 100;
/// No question is asked in a round after this long; what is left is looked at anew.
const ROUND_MOST: Duration = Duration::from_secs(30);
/// The upstream needs a moment to notice that a window has ended.
const AFTER_RESET: Duration = Duration::from_secs(2);
/// Moments after a usage limit was hit at which its numbers are asked for: once to know them, and once when fresh
/// numbers may end it.
const AFTER_LIMIT: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(125)];

/// Runs rounds until the gateway stops.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut rounds = Rounds::new(&gateway, ROUND);
    while rounds.next().await.is_some() {
        let gateway = &gateway;
        let asking = futures_util::stream::iter(due(gateway))
            .take_until(tokio::time::sleep(ROUND_MOST))
            .for_each_concurrent(AT_ONCE, |(id, account)| async move {
                ask(gateway, &id, account).await;
            });
        if rounds.unless_stopped(asking).await.is_none() {
            return;
        }
    }
}

/// Whose quota is asked for in this round; of equal cause those that were never asked, or longest ago, first.
fn due(gateway: &Gateway) -> Vec<(AccountId, AccountRef)> {
    let now = gateway.now();
    let mut due: Vec<((Why, Option<Timestamp>), AccountId, AccountRef)> = gateway.with_pool(|pool| {
        pool.members()
            // Behind a proxy that is down a question only takes time from the others.
            .filter(|slot| slot.availability == Availability::Active && slot.way == Way::Open)
            .filter_map(|slot| {
                let why = why_due(&Moments::of(slot, now), &slot.profile.id, now)?;
                Some(((why, slot.quota_checked_at), slot.profile.id.clone(), slot.profile.account))
            })
            .collect()
    });
    due.sort_unstable_by_key(|(rank, ..)| *rank);
    due.into_iter().take(MOST_PER_ROUND).map(|(_, id, account)| (id, account)).collect()
}

/// Why a quota is asked for; what matters more comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// A limit was hit, or a window has ended: the numbers are known to be others.
    Changed,
    /// They are old.
    Stale,
}

/// What decides when an account's quota is asked for.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    checked: Option<Timestamp>,
    told: Option<Timestamp>,
    windows: [Option<Window>; 2],
    limited_since: Option<Timestamp>,
}

impl Moments {
    fn of(slot: &Slot, now: Timestamp) -> Self {
        let limit = slot.cooldowns_at(now).find(|cooldown| cooldown.cause == FailureKind::QuotaExhausted);
        Self {
            checked: slot.quota_checked_at,
            told: slot.quota_seen_at,
            windows: [slot.quota.short, slot.quota.long],
            limited_since: limit.map(|limit| limit.since),
        }
    }
}

fn why_due(moments: &Moments, id: &AccountId, now: Timestamp) -> Option<Why> {
    let Some(checked) = moments.checked.filter(|checked| *checked <= now) else { return Some(Why::Stale) };
    let passed_since_asked = |moment: Timestamp| checked < moment && moment <= now;
    let after_limit = moments
        .limited_since
        .is_some_and(|since| AFTER_LIMIT.iter().any(|pause| passed_since_asked(since.plus(*pause))));
    let after_reset = moments.windows.iter().flatten().filter_map(|window| window.resets_at).any(|reset| {
        // Numbers that came after the reset, with an answer, are as good.
        passed_since_asked(reset.plus(AFTER_RESET)) && moments.told.is_none_or(|told| told < reset)
    });
    let is_stale = checked.plus(STALE + spread(id, SPREAD)) <= now;
    if after_limit || after_reset { Some(Why::Changed) } else { is_stale.then_some(Why::Stale) }
}

/// Asks for one account's quota; says whether numbers came.
pub(crate) async fn ask(gateway: &Gateway, id: &AccountId, account: AccountRef) -> bool {
    // Noted first, so that an account that does not answer is asked again only after a while.
    gateway.pool.lock().quota_checked(account, gateway.now());
    let Some(to) = gateway.destination(id) else { return false };
    let Ok(token) = gateway.keeper.token(id, gateway.now()).await else { return false };
    let answer = match gateway.upstream.quota(to.clone(), token.token).await {
        Err(failure) if failure.kind == FailureKind::AccountUnauthorized && token.renewable => {
            let Ok(renewed) = gateway.keeper.renew(id, token.version).await else { return false };
            gateway.upstream.quota(to, renewed.token).await
        }
        answer => answer,
    };
    match answer {
        Ok(quota) => {
            gateway.pool.lock().observe_quota(account, &quota, gateway.now());
            gateway.touch();
            true
        }
        Err(failure) => {
            tracing::debug!(account.id = %id, kind = failure.kind.label(), "the quota could not be read");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + secs)
    }

    fn resets(secs: i64) -> [Option<Window>; 2] {
        [Some(Window { seconds: 18_000, used: 1.0, resets_at: Some(at(secs)) }), None]
    }

    #[test]
    fn when_a_quota_is_asked_for() {
        let id = AccountId::parse("acc_1").unwrap();
        let asked = Moments { checked: Some(at(0)), told: Some(at(0)), ..Moments::default() };
        let limited = Moments { limited_since: Some(at(10)), ..asked };
        let ending = Moments { windows: resets(50), ..asked };
        let cases = [
            ("never asked", Moments::default(), 0, Some(Why::Stale)),
            ("just asked", asked, 1, None),
            ("minutes ago", asked, 299, None),
            ("long ago", asked, 361, Some(Why::Stale)),
            ("the clock was set back", Moments { checked: Some(at(500)), ..asked }, 1, Some(Why::Stale)),
            ("limit: a moment", limited, 14, None),
            ("limit: its numbers", limited, 15, Some(Why::Changed)),
            ("limit: asked for them", Moments { checked: Some(at(16)), ..limited }, 20, None),
            ("limit: the way out", Moments { checked: Some(at(16)), ..limited }, 135, Some(Why::Changed)),
            ("reset: not yet", ending, 51, None),
            ("reset: passed", ending, 52, Some(Why::Changed)),
            ("reset: passed, and the numbers are old", ending, 999, Some(Why::Changed)),
            ("reset: asked since", Moments { checked: Some(at(53)), ..ending }, 60, None),
            ("reset: an answer told", Moments { told: Some(at(51)), ..ending }, 60, None),
        ];
        for (name, moments, now, expect) in cases {
            assert_eq!(why_due(&moments, &id, at(now)), expect, "{name}");
        }
    }
}
