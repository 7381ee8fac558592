//! The hot state of all accounts: windows, health, cooldowns, leases, affinity. One value behind one lock, held
//! only for pure calls.
//!
//! Refuses: choosing. It prepares the question for a policy and carries out the answer.
//!
//! Made for 10,000 accounts: what changes with the members (roster, classes, the operator's order) is made once for
//! many changes, when it is asked for. A removed account's handle rests until [`RESTING`] others were removed after it,
//! then a new account gets it; leases and ties of the old one carry its epoch and never touch the new one.

mod ask;
mod nobody;
mod serve;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, OnceLock};

use gateway_domain::{AccountId, Failure, ModelName, QuotaSnapshot, Timestamp};

pub use self::ask::{Ask, Asked, Loss, MAX_CANDIDATES, Standing, Verdict};
pub use self::nobody::Nobody;
pub use self::serve::{Ending, Lease};
use crate::affinity::{Affinity, Owner};
use crate::features::FeatureNames;
use crate::layout::Layout;
use crate::member::{Availability, Enrolment, Member, Way};
use crate::sketch::Sketch;
use crate::slot::Slot;
use crate::{AccountRef, Health, Roster};

/// Handles of removed accounts that are not given away yet.
pub const RESTING: usize = 1024;
/// An account that comes back and got no request for this long is due for a connection test.
pub const PROBE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Accounts that cannot be reached, and why.
pub type ClosedWays = Arc<[(AccountRef, Way)]>;

/// The pool of accounts.
#[derive(Debug, Default)]
pub struct Pool {
    slots: Vec<Slot>,
    /// One for each slot.
    sketches: Vec<Sketch>,
    by_id: HashMap<AccountId, AccountRef>,
    /// Handles of removed accounts, the one removed first in front.
    resting: VecDeque<AccountRef>,
    /// Grows with every change of any profile.
    generation: u64,
    /// Made when somebody asks for it.
    roster: OnceLock<Arc<Roster>>,
    /// Made when somebody asks for it.
    closed_ways: OnceLock<ClosedWays>,
    layout: Layout,
    features: FeatureNames,
    affinity: Affinity,
    seq: u64,
}

impl Pool {
    /// Adds an account, or takes over what changed about a known one. Hot state and settings are kept; a new account
    /// has the settings of one that nobody decided anything about.
    pub fn put(&mut self, member: Member) -> AccountRef {
        self.put_one(member, None)
    }

    /// Adds accounts, or takes over what changed about known ones, settings included.
    pub fn put_all(&mut self, enrolments: impl IntoIterator<Item = Enrolment>) {
        for Enrolment { member, settings } in enrolments {
            self.put_one(member, Some(settings));
        }
    }

    fn put_one(&mut self, member: Member, settings: Option<crate::MemberSettings>) -> AccountRef {
        self.members_changed();
        if let Some(account) = self.find(&member.id) {
            let active = member.availability == Availability::Active;
            if let Some(slot) = self.slot_mut(account) {
                slot.update(member, settings, active);
            }
            return account;
        }
        let id = member.id.clone();
        let enrolment = Enrolment { member, settings: settings.unwrap_or_default() };
        let account = self.place(enrolment);
        self.by_id.insert(id, account);
        self.number_features(account);
        account
    }

    /// A rested handle if there is one, a new one otherwise.
    fn place(&mut self, enrolment: Enrolment) -> AccountRef {
        if let Some((account, epoch)) = self.rested() {
            if let Some(slot) = self.slot_mut(account) {
                *slot = Slot::new(account, epoch.wrapping_add(1), enrolment);
            }
            return account;
        }
        let account = AccountRef(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        self.slots.push(Slot::new(account, 0, enrolment));
        self.sketches.push(Sketch::VOID);
        account
    }

    fn rested(&mut self) -> Option<(AccountRef, u32)> {
        if self.resting.len() <= RESTING {
            return None;
        }
        let front = self.resting.front().copied()?;
        // While a lease still runs there, the handle rests on.
        let epoch = self.slot(front).filter(|slot| slot.in_flight == 0)?.epoch;
        self.resting.pop_front();
        Some((front, epoch))
    }

    /// Takes an account out. Leases that still run on it end as they would have.
    pub fn remove(&mut self, id: &AccountId) {
        let Some(account) = self.by_id.remove(id) else { return };
        if let Some(slot) = self.slot_mut(account) {
            slot.removed = true;
        }
        self.resting.push_back(account);
        self.members_changed();
    }

    /// Takes out every account that is not among these. Answers whom.
    pub fn retain(&mut self, ids: &HashSet<AccountId>) -> Vec<AccountId> {
        let gone: Vec<AccountId> = self.by_id.keys().filter(|id| !ids.contains(*id)).cloned().collect();
        for id in &gone {
            self.remove(id);
        }
        gone
    }

    /// Lets one account serve everything that it can, or no longer.
    pub fn pin(&mut self, account: AccountRef, pinned: bool) {
        if let Some(slot) = self.slot_mut(account) {
            slot.settings.pinned = pinned;
            self.members_changed();
        }
    }

    /// Notes whether there is a way to an account's upstream; says whether that is news.
    pub fn set_way(&mut self, account: AccountRef, way: Way) -> bool {
        if self.slot(account).is_none_or(|slot| slot.way == way) {
            return false;
        }
        if let Some(slot) = self.slot_mut(account) {
            slot.way = way;
        }
        self.closed_ways = OnceLock::new();
        true
    }

    /// The accounts that cannot be reached now, and why; for the record of a decision. Made when a way changed.
    #[must_use]
    pub fn closed_ways(&self) -> &ClosedWays {
        self.closed_ways.get_or_init(|| {
            let closed = self.members().filter(|slot| slot.way != Way::Open);
            closed.map(|slot| (slot.profile.account, slot.way.clone())).collect()
        })
    }

    fn members_changed(&mut self) {
        self.generation += 1;
        self.closed_ways = OnceLock::new();
        self.roster = OnceLock::new();
    }

    /// The slow facts of all accounts.
    #[must_use]
    pub fn roster(&self) -> &Arc<Roster> {
        self.roster.get_or_init(|| {
            let accounts = self.slots.iter().map(|slot| slot.profile.clone()).collect();
            Arc::new(Roster { generation: self.generation, accounts })
        })
    }

    /// The handle of an account.
    #[must_use]
    pub fn find(&self, id: &AccountId) -> Option<AccountRef> {
        self.by_id.get(id).copied()
    }

    /// One account's hot state.
    #[must_use]
    pub fn slot(&self, account: AccountRef) -> Option<&Slot> {
        self.slots.get(usize::try_from(account.0).ok()?)
    }

    /// One account's hot state, to be changed: its sketch does not hold any more.
    fn slot_mut(&mut self, account: AccountRef) -> Option<&mut Slot> {
        let at = usize::try_from(account.0).ok()?;
        self.sketches.get_mut(at)?.forget();
        self.slots.get_mut(at)
    }

    /// The account that had this handle then, if it is still there.
    fn owner(&self, owner: Owner) -> Option<&Slot> {
        self.slot(owner.account).filter(|slot| slot.epoch == owner.epoch && !slot.removed)
    }

    fn as_owner(&self, account: AccountRef) -> Option<Owner> {
        self.slot(account).map(|slot| Owner { account, epoch: slot.epoch })
    }

    /// All accounts that were not deleted.
    pub fn members(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| !slot.removed)
    }

    /// Takes in what an answer told about an account's quota.
    pub fn observe_quota(&mut self, account: AccountRef, quota: &QuotaSnapshot, now: Timestamp) {
        let Some(slot) = self.slot_mut(account) else { return };
        if quota.is_empty() {
            return;
        }
        let tells_windows = quota.short.is_some() || quota.long.is_some();
        slot.sightings.take_in(&mut slot.quota, quota, now);
        if tells_windows {
            slot.quota_seen_at = Some(now);
        }
        slot.quota_unsaved = true;
        let room_left =
            tells_windows && [quota.short, quota.long].iter().flatten().all(|window| window.used < 1.0);
        if room_left || quota.credits.is_some_and(|credits| credits.can_pay()) {
            slot.recovery.room_seen(now);
        }
        let plan = slot.sightings.believe_plan(&slot.profile.plan, quota.plan.as_deref(), now);
        if let Some(plan) = plan {
            slot.quota.plan = Some(plan.clone());
            slot.set_plan(plan);
            self.members_changed();
        }
        if !quota.features.is_empty() {
            self.number_features(account);
        }
    }

    fn number_features(&mut self, account: AccountRef) {
        let at = usize::try_from(account.0).ok();
        let Some(slot) = at.and_then(|at| self.slots.get(at)) else { return };
        let names = &mut self.features;
        let numbers = slot.quota.features.iter().map(|one| names.number(&one.feature)).collect();
        if let Some(slot) = self.slot_mut(account) {
            slot.features = numbers;
        }
    }

    /// Notes that an account's quota is being asked for.
    pub fn quota_checked(&mut self, account: AccountRef, now: Timestamp) {
        if let Some(slot) = self.slot_mut(account) {
            slot.quota_checked_at = Some(now);
        }
    }

    /// What was observed since the last call, to be stored.
    pub fn take_unsaved_quota(&mut self) -> Vec<(AccountId, QuotaSnapshot, Timestamp)> {
        let mut unsaved = Vec::new();
        for slot in self.slots.iter_mut().filter(|slot| !slot.removed && slot.quota_unsaved) {
            slot.quota_unsaved = false;
            if let Some(at) = slot.quota_seen_at.or(slot.sightings.extras_at()) {
                unsaved.push((slot.profile.id.clone(), slot.quota.clone(), at));
            }
        }
        unsaved
    }

    /// The upstream emptied an account's windows before their time: its usage limits are over.
    pub fn limits_reset(&mut self, account: AccountRef) {
        if let Some(slot) = self.slot_mut(account) {
            slot.recovery.limits_reset();
        }
    }

    /// By hand: nothing keeps an account away any more. It still proves itself. Answers how many cooldowns ran.
    pub fn clear_cooldown(&mut self, account: AccountRef, now: Timestamp) -> usize {
        self.slot_mut(account).map_or(0, |slot| slot.clear(now))
    }

    /// A connection test ended: with the time to its first event, or with a failure. It counts like a request.
    pub fn tested(
        &mut self,
        account: AccountRef,
        outcome: Result<Option<f64>, &Failure>,
        model: &ModelName,
        now: Timestamp,
    ) {
        match outcome {
            Ok(first_event_ms) => {
                if let Some(slot) = self.slot_mut(account) {
                    slot.served(first_event_ms, None, model, now);
                }
            }
            Err(failure) => self.failed_on(account, failure, model, now, now),
        }
    }

    /// Accounts that come back and that no request has tried for a while: in a quiet pool, or where every conversation
    /// has its home, only a connection test can tell. Those that wait longest come first.
    #[must_use]
    pub fn due_probes(&self, now: Timestamp) -> Vec<AccountRef> {
        let waiting_since = |slot: &Slot| slot.last_used_at.max(slot.recovery.whole_until());
        let mut due: Vec<(Option<Timestamp>, AccountRef)> = self
            .members()
            .filter(|slot| slot.in_flight == 0 && slot.health(None, now) == Health::Probing)
            .map(|slot| (waiting_since(slot), slot.profile.account))
            .filter(|(since, _)| since.is_none_or(|since| since.plus(PROBE_PATIENCE) <= now))
            .collect();
        due.sort_unstable();
        due.into_iter().map(|(_, account)| account).collect()
    }

    /// Requests running on all accounts.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.slots.iter().map(|slot| slot.in_flight).sum()
    }
}

#[cfg(test)]
mod tests;
