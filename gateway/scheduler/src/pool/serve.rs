//! Taking a place on an account, and giving it back with what happened there.

use gateway_domain::{Failure, ModelName, SessionKey, Timestamp, TokenUsage};

use super::Pool;
use super::ask::{Standing, session_key};
use crate::AccountRef;
use crate::affinity::{Claim, KeptTie, Owner, TieKey, Visit, Whose};
use crate::health::Scope;
use crate::slot::Slot;

/// An owner that is back within this time only has a bad moment.
pub const MOMENT: std::time::Duration = std::time::Duration::from_secs(60);

/// The right to use an account for one try. Given back exactly once, with [`Pool::release`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lease that is dropped keeps its place taken for ever"]
pub struct Lease {
    owner: Owner,
    keys: Vec<TieKey>,
    visit: Visit,
    body_bytes: u32,
    begun: Timestamp,
}

impl Lease {
    /// Which account.
    #[must_use]
    pub const fn account(&self) -> AccountRef {
        self.owner.account
    }
}

/// How a try ended, for the account's sake.
#[derive(Debug)]
pub enum Ending<'a> {
    /// It served the request.
    Served {
        /// From sending to the first event.
        first_event_ms: Option<f64>,
        /// What it cost.
        usage: Option<TokenUsage>,
    },
    /// It failed in this way.
    Failed(&'a Failure),
    /// Nothing can be said about the account (the caller left).
    Neutral,
}

impl Pool {
    /// Takes a place on an account for a request that was asked about. `None` when the place was taken, the account
    /// left or began to cool since then, or a hard tie leads elsewhere.
    pub fn take(&mut self, account: AccountRef, standing: &Standing, now: Timestamp) -> Option<Lease> {
        let owner = self.as_owner(account)?;
        if standing.must.is_some_and(|must| must != owner) {
            return None;
        }
        let visit = self.visit(owner, standing, now);
        let model = standing.model.as_ref();
        let slot = self.slot_mut(account)?;
        let room =
            slot.is_active() && slot.cooldown_at(model, now).is_none() && slot.in_flight < slot.room(now);
        if !room {
            return None;
        }
        slot.in_flight += 1;
        slot.requests += 1;
        slot.last_picked_seq = standing.seq;
        slot.last_used_at = Some(now);
        self.affinity.begun(&standing.keys, owner, now);
        let keys = standing.keys.clone();
        Some(Lease { owner, keys, visit, body_bytes: standing.body_bytes, begun: now })
    }

    /// The same for callers of [`Pool::question`].
    pub fn lease(
        &mut self,
        account: AccountRef,
        session: Option<&SessionKey>,
        seq: u64,
        now: Timestamp,
    ) -> Option<Lease> {
        let keys: Vec<TieKey> = session.and_then(|session| session_key("", session)).into_iter().collect();
        let known = |owner: Owner| self.owner(owner).is_some();
        let home = match self.affinity.claim(&keys, 0, now, known, known) {
            Claim::Prefers { owner, .. } => Some(owner),
            Claim::Free | Claim::Must { .. } | Claim::Torn { .. } => None,
        };
        self.take(account, &Standing { keys, home, seq, ..Standing::default() }, now)
    }

    /// Whether a conversation stays with its home although another account serves now.
    fn visit(&self, by: Owner, standing: &Standing, now: Timestamp) -> Visit {
        let Some(home) = standing.home.filter(|home| *home != by) else { return Visit::Moving };
        let Some(slot) = self.owner(home).filter(|slot| slot.is_active()) else { return Visit::Moving };
        match slot.cooldown_at(standing.model.as_ref(), now) {
            Some(cooldown) if cooldown.until > now.plus(MOMENT) => Visit::Moving,
            Some(_) => Visit::Passing,
            None if standing.home_tried || slot.in_flight >= slot.room(now) => Visit::Passing,
            // It could have served: the policy weighed that and decided otherwise.
            None => Visit::Moving,
        }
    }

    /// Gives a place back and lets the ending count.
    pub fn release(&mut self, lease: Lease, ending: Ending<'_>, model: &ModelName, now: Timestamp) {
        let Lease { owner, keys, visit, body_bytes, begun } = lease;
        let Some(slot) = self.slot_mut(owner.account).filter(|slot| slot.epoch == owner.epoch) else {
            return;
        };
        slot.in_flight = slot.in_flight.saturating_sub(1);
        match ending {
            Ending::Served { first_event_ms, usage } => {
                slot.served(first_event_ms, usage, model, begun);
                self.affinity.served(&keys, owner, visit, (body_bytes, usage), now);
            }
            Ending::Failed(failure) => self.failed_on(owner.account, failure, model, begun, now),
            Ending::Neutral => {}
        }
    }

    /// Ties what an account made (response ids, turn states, files) to it.
    pub fn learn(&mut self, account: AccountRef, keys: &[TieKey], now: Timestamp) {
        if let Some(owner) = self.as_owner(account) {
            self.affinity.learn(keys, owner, now);
        }
    }

    /// Nobody in the pool can read these: they were made elsewhere.
    pub fn disown(&mut self, keys: &[TieKey], now: Timestamp) {
        self.affinity.disown(keys, now);
    }

    /// Whether an account made what this tie stands for.
    #[must_use]
    pub fn whose(&self, key: TieKey, account: AccountRef, now: Timestamp) -> Whose {
        self.as_owner(account).map_or(Whose::Unknown, |owner| self.affinity.whose(key, owner, now))
    }

    /// Ties that changed since the last call, to be stored.
    pub fn take_unsaved_ties(&mut self) -> Vec<KeptTie> {
        let slots = &self.slots;
        let name = |owner: Owner| {
            let slot = slots.get(usize::try_from(owner.account.0).ok()?)?;
            (slot.epoch == owner.epoch && !slot.removed).then(|| slot.profile.id.clone())
        };
        self.affinity.take_unsaved(name)
    }

    /// Takes stored ties in, those used last at the end. What is known here and as new stays; ties to accounts that are
    /// not there are left out. Says how many were news.
    pub fn restore_ties(&mut self, ties: &[KeptTie], now: Timestamp) -> usize {
        let mut news = 0;
        for tie in ties {
            let Some(owner) = self.find(&tie.account).and_then(|account| self.as_owner(account)) else {
                continue;
            };
            news += usize::from(self.affinity.restore(tie, owner, now));
        }
        news
    }

    pub(super) fn failed_on(
        &mut self,
        account: AccountRef,
        failure: &Failure,
        model: &ModelName,
        begun: Timestamp,
        now: Timestamp,
    ) {
        let Some(slot) = self.slot_mut(account) else { return };
        let (scope, cooldown) = slot.failed(failure, model, begun, now);
        let workspace = slot.settings.workspace.clone();
        if let (Scope::Workspace, Some(cooldown), Some(workspace)) = (scope, cooldown, workspace) {
            let same = |slot: &Slot| !slot.removed && slot.settings.workspace.as_ref() == Some(&workspace);
            let seats: Vec<AccountRef> =
                self.slots.iter().filter(|slot| same(slot)).map(|slot| slot.profile.account).collect();
            for seat in seats {
                if let Some(slot) = self.slot_mut(seat) {
                    slot.recovery.cool(cooldown.clone());
                }
            }
        }
    }
}
