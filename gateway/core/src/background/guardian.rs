//! Keeping sign-ins alive that nobody uses: a refresh token that rests for too long dies. Paused accounts are kept alive
//! as well; who resumes one wants it to work.

use std::sync::Arc;
use std::time::Duration;

use gateway_domain::{AccountId, CredentialVersion, Timestamp};
use gateway_scheduler::Availability;
use parking_lot::Mutex;

use super::renewal::{Backoff, rotate_all};
use super::{Rounds, spread};
use crate::Gateway;

/// The pause between passes.
const EVERY: Duration = Duration::from_secs(6 * 3_600);
/// The most that a pass begins later: replicas of one gateway do not begin together.
const JITTER: Duration = Duration::from_secs(300);
/// Tokens that were obtained longer ago than this are rotated.
const RESTED: Duration = Duration::from_secs(12 * 3_600);
/// The most accounts in one pass; those that rested longest come first.
const MOST_PER_PASS: usize = 100;
/// Rotations at once.
const AT_ONCE: usize = 3;
/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Runs passes until the gateway stops.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut rounds = Rounds::new(&gateway, LOOK);
    let backoff = Mutex::new(Backoff::default());
    let mut next = gateway.now().plus(jitter(&gateway));
    while rounds.next().await.is_some() {
        let now = gateway.now();
        // A clock that was set back must not put the next pass off for days.
        if now < next && next <= now.plus(EVERY + JITTER) {
            continue;
        }
        next = now.plus(EVERY + jitter(&gateway));
        let mut due = rested(&gateway, now);
        due.retain(|(id, _)| backoff.lock().allows(id, now));
        due.truncate(MOST_PER_PASS);
        if rounds.unless_stopped(rotate_all(&gateway, due, AT_ONCE, &backoff)).await.is_none() {
            return;
        }
    }
}

fn jitter(gateway: &Gateway) -> Duration {
    let seed = AccountId::parse(&format!("acc_{:x}", gateway.next_seed()));
    seed.map_or(JITTER, |seed| spread(&seed, JITTER))
}

/// Accounts whose tokens rested too long, the longest first.
fn rested(gateway: &Gateway, now: Timestamp) -> Vec<(AccountId, CredentialVersion)> {
    let kept: Vec<AccountId> = gateway.with_pool(|pool| {
        let kept = pool
            .members()
            .filter(|slot| matches!(slot.availability, Availability::Active | Availability::Paused));
        kept.map(|slot| slot.profile.id.clone()).collect()
    });
    let mut rested: Vec<(Timestamp, AccountId, CredentialVersion)> = kept
        .into_iter()
        .filter_map(|id| {
            let token = gateway.keeper.peek(&id)?;
            let due = token.renewable && token.refreshed_at.plus(RESTED) < now;
            due.then_some((token.refreshed_at, id, token.version))
        })
        .collect();
    rested.sort_unstable_by_key(|one| one.0);
    rested.into_iter().map(|(_, id, version)| (id, version)).collect()
}
