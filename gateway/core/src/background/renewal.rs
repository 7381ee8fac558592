//! Renewing tokens ahead of their end, a few at a time. Requests that need a token now do not wait for their turn here:
//! they start their own rotation, or join the one that runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use gateway_domain::{AccountId, CredentialVersion, Timestamp};
use gateway_scheduler::Availability;
use parking_lot::Mutex;

use super::{ROUND, Rounds, spread};
use crate::Gateway;
use crate::ports::RefreshOutcome;

/// Rotations that the background runs at once.
pub(super) const ROTATIONS_AT_ONCE: usize = 4;
/// The most rotations that a round begins: tokens of a large pool that end together are renewed one after the other, not
/// in a burst of processes. Ten thousand take a quarter of an hour, which is when they begin to be due.
const MOST_PER_ROUND: usize = 24;
/// Tokens that end within this are renewed in the background; requests renew within `keeper::REFRESH_AHEAD` at the
/// latest.
const RENEW_AHEAD: Duration = Duration::from_secs(10 * 60);
/// The widest spread on top of it: it keeps accounts that were imported together from rotating together.
const RENEW_SPREAD: Duration = Duration::from_secs(5 * 60);
/// No rotation is begun in a round after this long; what is left is looked at anew.
const ROUND_MOST: Duration = Duration::from_secs(60);
/// After the first failure an account is left alone this long, doubling with each in a row.
const BACKOFF_BASE: Duration = Duration::from_secs(300);
/// The longest pause.
const BACKOFF_CEILING: Duration = Duration::from_secs(3_600);

/// Accounts whose last background rotation failed. Requests try nevertheless.
#[derive(Default)]
pub(super) struct Backoff(HashMap<AccountId, (u32, Timestamp)>);

impl Backoff {
    /// Whether the background may try an account. A clock that was set back by more than a pause keeps nothing closed.
    pub(super) fn allows(&self, id: &AccountId, now: Timestamp) -> bool {
        self.0.get(id).is_none_or(|(_, until)| *until <= now || now.plus(BACKOFF_CEILING) < *until)
    }

    /// Takes note of how a rotation ended.
    pub(super) fn note(&mut self, id: &AccountId, outcome: &RefreshOutcome, now: Timestamp) {
        if !matches!(outcome, RefreshOutcome::Failed { .. }) {
            self.0.remove(id);
            return;
        }
        let (failures, until) = self.0.entry(id.clone()).or_insert((0, now));
        *until = now.plus(pause(*failures));
        *failures = failures.saturating_add(1);
    }

    /// Forgets accounts that are gone.
    pub(super) fn retain(&mut self, keep: impl Fn(&AccountId) -> bool) {
        self.0.retain(|id, _| keep(id));
    }
}

/// The pause after this many earlier failures in a row.
fn pause(failures: u32) -> Duration {
    BACKOFF_BASE.saturating_mul(2_u32.saturating_pow(failures)).min(BACKOFF_CEILING)
}

/// Runs rounds until the gateway stops.
pub(super) async fn run(gateway: Arc<Gateway>) {
    let mut rounds = Rounds::new(&gateway, ROUND);
    let backoff = Mutex::new(Backoff::default());
    while rounds.next().await.is_some() {
        let accounts = gateway.accounts();
        backoff.lock().retain(|id| accounts.contains_key(id));
        let due = due(&gateway, &backoff.lock());
        if rounds.unless_stopped(rotate_all(&gateway, due, ROTATIONS_AT_ONCE, &backoff)).await.is_none() {
            return;
        }
    }
}

/// Whose tokens end soon; those that end first come first.
fn due(gateway: &Gateway, backoff: &Backoff) -> Vec<(AccountId, CredentialVersion)> {
    let now = gateway.now();
    let active: Vec<AccountId> = gateway.with_pool(|pool| {
        let active = pool.members().filter(|slot| slot.availability == Availability::Active);
        active.map(|slot| slot.profile.id.clone()).collect()
    });
    let mut due: Vec<(Timestamp, AccountId, CredentialVersion)> = active
        .into_iter()
        .filter_map(|id| {
            let token = gateway.keeper.peek(&id).filter(|token| token.renewable)?;
            let ahead = RENEW_AHEAD + spread(&id, RENEW_SPREAD);
            let end = token.expires_at.filter(|end| *end <= now.plus(ahead))?;
            backoff.allows(&id, now).then_some((end, id, token.version))
        })
        .collect();
    due.sort_unstable_by_key(|one| one.0);
    due.into_iter().take(MOST_PER_ROUND).map(|(_, id, version)| (id, version)).collect()
}

/// Rotates the tokens of these accounts, unless somebody else does first.
pub(super) async fn rotate_all(
    gateway: &Gateway,
    due: Vec<(AccountId, CredentialVersion)>,
    at_once: usize,
    backoff: &Mutex<Backoff>,
) {
    futures_util::stream::iter(due)
        .take_until(tokio::time::sleep(ROUND_MOST))
        .for_each_concurrent(at_once, |(id, version)| async move {
            let Some(outcome) = gateway.keeper.rotate(&id, version).await else { return };
            if let RefreshOutcome::SignInNeeded { code } = &outcome {
                gateway.sign_in_needed(&id, code);
            }
            backoff.lock().note(&id, &outcome, gateway.now());
        })
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_double_the_pause_up_to_an_hour_and_a_success_ends_it() {
        let id = AccountId::parse("acc_1").unwrap();
        let failed = RefreshOutcome::Failed { message: "away".into() };
        let mut backoff = Backoff::default();
        let mut now = Timestamp::from_secs(1_000_000);
        assert!(backoff.allows(&id, now));
        for secs in [300, 600, 1_200, 2_400, 3_600, 3_600] {
            backoff.note(&id, &failed, now);
            assert!(!backoff.allows(&id, now.plus(Duration::from_secs(secs - 1))), "{secs}");
            now = now.plus(Duration::from_secs(secs));
            assert!(backoff.allows(&id, now), "{secs}");
        }
        backoff.note(&id, &failed, now);
        assert!(backoff.allows(&id, Timestamp::from_secs(5)), "a clock that was set back closes nothing");
        backoff.note(&id, &RefreshOutcome::Elsewhere, now);
        assert!(backoff.allows(&id, now));
        backoff.note(&id, &failed, now);
        backoff.retain(|_| false);
        assert!(backoff.allows(&id, now), "an account that is gone is forgotten");
    }

    #[test]
    fn the_spread_is_stable_and_stays_within() {
        let of = |id: &str| spread(&AccountId::parse(id).unwrap(), RENEW_SPREAD);
        assert_eq!(of("acc_1"), of("acc_1"));
        let spreads: std::collections::BTreeSet<Duration> =
            (0..500).map(|number| of(&format!("acc_{number}_{}", number * 7_919))).collect();
        assert!(spreads.len() > 400 && spreads.iter().all(|spread| *spread < RENEW_SPREAD));
    }
}
