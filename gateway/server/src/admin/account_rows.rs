//! Accounts as rows: the pages of the list, and those of a large pool that the overview shows.
//!
//! Refuses: holding the pool for long. Requests wait for it, and a list of ten thousand accounts is no hurry.

use std::cmp::Reverse;
use std::collections::HashMap;

use gateway_api::{
    AccountStateView, AccountView, AccountsQuery, MAX_ACCOUNTS_PAGE, MAX_OVERVIEW_ACCOUNTS, PoolTotals,
};
use gateway_core::Gateway;
use gateway_domain::{Account, AccountId, Timestamp};
use gateway_scheduler::Slot;

use super::view::{account_state, account_view};

/// Accounts that are looked at before requests may have the pool again.
const AT_ONCE: usize = 512;
/// Of a large pool's rows on the overview, this part goes to accounts in trouble when there are more of them than places.
const TROUBLED_SHARE: usize = 2;

/// A page of all accounts, by name.
pub(super) fn page(gateway: &Gateway, query: AccountsQuery) -> Vec<AccountView> {
    let stored = gateway.accounts();
    let mut order: Vec<(&str, &AccountId)> =
        stored.iter().map(|(id, account)| (account.name.as_str(), id)).collect();
    order.sort_unstable();
    let most = query.limit.map_or(usize::MAX, |limit| limit.min(MAX_ACCOUNTS_PAGE));
    let ids: Vec<&AccountId> = order.into_iter().skip(query.offset).take(most).map(|(_, id)| id).collect();
    rows(gateway, &stored, &ids)
}

/// One account.
pub(super) fn one(gateway: &Gateway, id: &AccountId) -> Option<AccountView> {
    rows(gateway, &gateway.accounts(), &[id]).pop()
}

/// The pool in numbers, and the accounts to look at first, by name.
pub(super) fn to_look_at(gateway: &Gateway) -> (PoolTotals, Vec<AccountView>) {
    let (totals, marks) = marks(gateway);
    let chosen = choose(marks, MAX_OVERVIEW_ACCOUNTS);
    let mut rows = rows(gateway, &gateway.accounts(), &chosen.iter().collect::<Vec<_>>());
    rows.sort_unstable_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    (totals, rows)
}

fn rows(gateway: &Gateway, stored: &HashMap<AccountId, Account>, ids: &[&AccountId]) -> Vec<AccountView> {
    let now = gateway.now();
    let mut rows = Vec::with_capacity(ids.len());
    for some in ids.chunks(AT_ONCE) {
        gateway.with_pool(|pool| {
            rows.extend(some.iter().filter_map(|id| {
                let slot = pool.slot(pool.find(id)?)?;
                let email = stored.get(*id).and_then(|account| account.identity.email.clone());
                Some(account_view(slot, email, now))
            }));
        });
    }
    rows
}

/// What decides whether an account is shown, the smaller the sooner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    standing: Standing,
    /// Requests until now: unlike those that run now, they let the same accounts stay.
    served: Reverse<u64>,
    id: AccountId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Everything goes there.
    Pinned,
    SignInNeeded,
    Degraded,
    Cooling,
    Probing,
    /// Nothing to see; those that served most come first.
    Fine,
    /// Nobody expects anything of it.
    Paused,
}

impl Mark {
    fn of(slot: &Slot, state: AccountStateView) -> Self {
        let standing = match state {
            _ if slot.settings.pinned => Standing::Pinned,
            AccountStateView::SignInNeeded => Standing::SignInNeeded,
            AccountStateView::Degraded => Standing::Degraded,
            AccountStateView::Cooling => Standing::Cooling,
            AccountStateView::Probing => Standing::Probing,
            AccountStateView::Healthy => Standing::Fine,
            AccountStateView::Paused => Standing::Paused,
        };
        Self { standing, served: Reverse(slot.requests), id: slot.profile.id.clone() }
    }
}

fn marks(gateway: &Gateway) -> (PoolTotals, Vec<Mark>) {
    let now = gateway.now();
    let (mut totals, mut marks) = (PoolTotals::default(), Vec::new());
    loop {
        // One that is removed in between moves its successors up; the next event has them again.
        let seen = gateway.with_pool(|pool| {
            let mut seen = 0;
            for slot in pool.members().skip(totals.accounts).take(AT_ONCE) {
                marks.push(mark(slot, now, &mut totals));
                seen += 1;
            }
            seen
        });
        totals.accounts += seen;
        if seen < AT_ONCE {
            return (totals, marks);
        }
    }
}

fn mark(slot: &Slot, now: Timestamp, totals: &mut PoolTotals) -> Mark {
    let state = account_state(slot, now);
    if state.serves() {
        totals.serving += 1;
    }
    Mark::of(slot, state)
}

/// At most this many. However many accounts are in trouble, those that work are shown as well.
fn choose(mut marks: Vec<Mark>, most: usize) -> Vec<AccountId> {
    if marks.len() > most {
        marks.sort_unstable();
        let troubled = marks.partition_point(|mark| mark.standing < Standing::Fine);
        let kept = troubled.min((most / TROUBLED_SHARE).max(most.saturating_sub(marks.len() - troubled)));
        marks.drain(kept..troubled);
        marks.truncate(most);
    }
    marks.into_iter().map(|mark| mark.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(standings: &[(Standing, u64)]) -> Vec<Mark> {
        let mark = |(nth, (standing, served)): (usize, &(Standing, u64))| Mark {
            standing: *standing,
            served: Reverse(*served),
            id: AccountId::parse(&format!("acc_{nth}")).unwrap(),
        };
        standings.iter().enumerate().map(mark).collect()
    }

    fn chosen(standings: &[(Standing, u64)], most: usize) -> String {
        let ids = choose(marks(standings), most);
        ids.iter().map(|id| id.as_str().trim_start_matches("acc_").to_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn trouble_comes_first_and_never_takes_every_place() {
        use Standing::{Cooling, Degraded, Fine, Paused, Pinned, Probing, SignInNeeded};
        let small = [(Fine, 1), (Cooling, 0), (Paused, 9)];
        assert_eq!(chosen(&small, 3), "0 1 2", "a small pool stays as it is");
        let mixed = [(Paused, 9), (Fine, 1), (Probing, 0), (Fine, 7), (SignInNeeded, 0), (Pinned, 0)];
        assert_eq!(chosen(&mixed, 4), "5 4 3 1", "half of the places are for those that work");
        assert_eq!(chosen(&mixed, 5), "5 4 3 1 0");
        let bad = [(Cooling, 0), (Cooling, 5), (Degraded, 0), (SignInNeeded, 0), (Fine, 0)];
        assert_eq!(chosen(&bad, 4), "3 2 1 4", "places that nobody else needs are for trouble");
        assert_eq!(chosen(&bad, 0), "");
        assert_eq!(chosen(&[], 4), "");
    }
}
