//! The hot state of all accounts: windows, health, cooldowns, leases, affinity. One value behind one lock, held
//! only for pure calls.
//!
//! Refuses: choosing. It prepares the question for a policy and carries out the answer.

use std::collections::HashMap;
use std::sync::Arc;

use gateway_domain::{
    AccountId, Failure, FailureKind, Millis, ModelName, QuotaSnapshot, SessionKey, Timestamp, TokenUsage,
    Window,
};

use crate::affinity::Affinity;
use crate::health::{Consequence, Cooldown, consequence};
use crate::{AccountProfile, AccountRef, Candidate, Health, RankInput, RequestInfo, Roster};

/// Requests one account carries at once, unless the operator says otherwise.
pub const DEFAULT_MAX_CONCURRENCY: u32 = 64;
/// Weight of the newest observation in the smoothed numbers.
const EWMA_WEIGHT: f64 = 0.2;
/// An account with an error this recent is called degraded.
const DEGRADED_FOR: std::time::Duration = std::time::Duration::from_secs(60);
/// Model cooldowns kept for one account; the one that ends first gives way.
const MAX_MODEL_COOLDOWNS: usize = 32;

/// Whether the operator and the sign-in let an account be used at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It may be used.
    Active,
    /// The operator set it aside.
    Paused,
    /// Its owner must sign in again; the upstream's code says why.
    SignInNeeded(String),
}

/// What is known of an account when it enters the pool or changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its id.
    pub id: AccountId,
    /// The operator's name for it.
    pub label: String,
    /// The account kind's word.
    pub provider: String,
    /// Its plan, empty when unknown.
    pub plan: String,
    /// May it be used.
    pub availability: Availability,
    /// Windows from the last run, if any were stored.
    pub quota: Option<(QuotaSnapshot, Timestamp)>,
}

/// The right to use an account for one try. Given back exactly once, with [`Pool::release`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lease that is dropped keeps its place taken for ever"]
pub struct Lease {
    account: AccountRef,
    session: Option<SessionKey>,
}

impl Lease {
    /// Which account.
    #[must_use]
    pub const fn account(&self) -> AccountRef {
        self.account
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

/// The pool of accounts.
#[derive(Debug, Default)]
pub struct Pool {
    /// Slots are never reused, so a handle means the same account for the life of the process.
    slots: Vec<Slot>,
    by_id: HashMap<AccountId, AccountRef>,
    roster: Arc<Roster>,
    affinity: Affinity,
    seq: u64,
}

/// One account's hot state.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Slow facts.
    pub profile: AccountProfile,
    /// May it be used.
    pub availability: Availability,
    /// It was deleted; only leases that still run refer to it.
    removed: bool,
    /// Requests running on it.
    pub in_flight: u32,
    /// Its windows as last told.
    pub quota: QuotaSnapshot,
    /// When they were told.
    pub quota_seen_at: Option<Timestamp>,
    /// When they were last asked for by ourselves.
    pub quota_checked_at: Option<Timestamp>,
    /// Whether the windows changed since they were last stored.
    quota_unsaved: bool,
    /// The whole account's cooldown, if one was set.
    cooldown: Option<Cooldown>,
    model_cooldowns: Vec<Cooldown>,
    faults_in_row: u32,
    limits_in_row: u32,
    last_fault_at: Option<Timestamp>,
    unproven: bool,
    /// Smoothed time to the first event; NaN before the first.
    pub ttft_ewma_ms: f64,
    /// Smoothed share of failures.
    pub error_rate_ewma: f64,
    /// When it was last picked.
    pub last_used_at: Option<Timestamp>,
    last_picked_seq: u64,
    /// Tries since the start.
    pub requests: u64,
    /// Tries that failed on its side.
    pub failures: u64,
    /// Tokens served since the start.
    pub tokens: TokenUsage,
}

impl Slot {
    fn new(account: AccountRef, member: Member) -> Self {
        let (quota, quota_seen_at) = match member.quota {
            Some((quota, at)) => (quota, Some(at)),
            None => (QuotaSnapshot::default(), None),
        };
        Self {
            profile: AccountProfile {
                account,
                id: member.id,
                label: member.label,
                provider: member.provider,
                plan: member.plan,
                weight: 1.0,
                max_concurrency: DEFAULT_MAX_CONCURRENCY,
            },
            availability: member.availability,
            removed: false,
            in_flight: 0,
            quota,
            quota_seen_at,
            quota_checked_at: None,
            quota_unsaved: false,
            cooldown: None,
            model_cooldowns: Vec::new(),
            faults_in_row: 0,
            limits_in_row: 0,
            last_fault_at: None,
            unproven: false,
            ttft_ewma_ms: f64::NAN,
            error_rate_ewma: 0.0,
            last_used_at: None,
            last_picked_seq: 0,
            requests: 0,
            failures: 0,
            tokens: TokenUsage::default(),
        }
    }

    /// The cooldown that keeps a request for `model` away at `now`; with no model, the whole account's.
    #[must_use]
    pub fn cooldown_at(&self, model: Option<&ModelName>, now: Timestamp) -> Option<&Cooldown> {
        let whole = self.cooldown.as_ref().filter(|cooldown| cooldown.until > now);
        whole.or_else(|| {
            self.model_cooldowns
                .iter()
                .find(|cooldown| model.is_some() && cooldown.model.as_ref() == model && cooldown.until > now)
        })
    }

    /// Every cooldown that runs at `now`.
    pub fn cooldowns_at(&self, now: Timestamp) -> impl Iterator<Item = &Cooldown> {
        self.cooldown.iter().chain(&self.model_cooldowns).filter(move |cooldown| cooldown.until > now)
    }

    /// How it is doing at `now`, for a request for `model`.
    #[must_use]
    pub fn health(&self, model: Option<&ModelName>, now: Timestamp) -> Health {
        if self.availability != Availability::Active {
            return Health::Blocked;
        }
        if self.cooldown_at(model, now).is_some() {
            return Health::Cooling;
        }
        if self.unproven {
            return Health::Probing;
        }
        match self.last_fault_at {
            Some(at) if at.plus(DEGRADED_FOR) > now => Health::Degraded,
            _ => Health::Healthy,
        }
    }

    fn candidate(&self, info: &RequestInfo, owner: Option<AccountRef>, now: Timestamp) -> Candidate {
        let health = self.health(Some(&info.model), now);
        let resets_in = |window: Option<Window>| {
            window.and_then(|window| window.resets_at).map_or(0, |reset| now.millis_until(reset))
        };
        let used = |window: Option<Window>| window.map_or(f64::NAN, |window| window.used_at(now));
        Candidate {
            account: self.profile.account,
            health,
            in_flight: self.in_flight,
            // An account that comes back proves itself with one request at a time.
            max_concurrency: if health == Health::Probing { 1 } else { self.profile.max_concurrency },
            short_window_used: used(self.quota.short),
            long_window_used: used(self.quota.long),
            short_window_resets_in_ms: resets_in(self.quota.short),
            long_window_resets_in_ms: resets_in(self.quota.long),
            cooldown_ms: self
                .cooldown_at(Some(&info.model), now)
                .map_or(0, |cooldown| now.millis_until(cooldown.until)),
            ttft_ewma_ms: self.ttft_ewma_ms,
            error_rate_ewma: self.error_rate_ewma,
            session_affine: owner == Some(self.profile.account),
            idle_ms: self.last_used_at.map_or(Millis::MAX, |at| at.millis_until(now)),
            last_picked_seq: self.last_picked_seq,
            weight: self.profile.weight,
        }
    }

    fn served(&mut self, first_event_ms: Option<f64>, usage: Option<TokenUsage>) {
        if let Some(ms) = first_event_ms {
            self.ttft_ewma_ms = smoothed(self.ttft_ewma_ms, ms);
        }
        if let Some(usage) = usage {
            self.tokens.input += usage.input;
            self.tokens.input_cached += usage.input_cached;
            self.tokens.output += usage.output;
            self.tokens.reasoning += usage.reasoning;
        }
        self.error_rate_ewma = smoothed(self.error_rate_ewma, 0.0);
        self.faults_in_row = 0;
        self.limits_in_row = 0;
        self.unproven = false;
        self.cooldown = None;
    }

    fn failed(&mut self, failure: &Failure, model: &ModelName, now: Timestamp) {
        let is_limit = matches!(failure.kind, FailureKind::RateLimited | FailureKind::QuotaExhausted);
        let streak = 1 + if is_limit { self.limits_in_row } else { self.faults_in_row };
        let cooldown = match consequence(failure, model, streak, now) {
            Consequence::None => return,
            Consequence::Fault(cooldown) => {
                self.faults_in_row = streak;
                self.last_fault_at = Some(now);
                self.error_rate_ewma = smoothed(self.error_rate_ewma, 1.0);
                cooldown
            }
            Consequence::Cool(cooldown) => {
                if is_limit {
                    self.limits_in_row = streak;
                }
                Some(cooldown)
            }
        };
        // A model that the plan does not have says nothing about how the account does.
        if failure.kind != FailureKind::ModelNotSupported {
            self.failures += 1;
        }
        if let Some(cooldown) = cooldown {
            self.cool(cooldown);
        }
    }

    fn cool(&mut self, cooldown: Cooldown) {
        if cooldown.model.is_some() {
            self.model_cooldowns.retain(|kept| kept.model != cooldown.model);
            if self.model_cooldowns.len() >= MAX_MODEL_COOLDOWNS {
                self.model_cooldowns.sort_by_key(|kept| std::cmp::Reverse(kept.until));
                self.model_cooldowns.pop();
            }
            self.model_cooldowns.push(cooldown);
        } else if self.cooldown.as_ref().is_none_or(|kept| kept.until < cooldown.until) {
            self.unproven = true;
            self.cooldown = Some(cooldown);
        }
    }
}

fn smoothed(kept: f64, new: f64) -> f64 {
    if kept.is_nan() { new } else { kept + EWMA_WEIGHT * (new - kept) }
}

impl Pool {
    /// Adds an account, or takes over what changed about a known one. Hot state is kept.
    pub fn put(&mut self, member: Member) -> AccountRef {
        let account = if let Some(account) = self.by_id.get(&member.id).copied() {
            if let Some(slot) = self.slot_mut(account) {
                slot.profile.label = member.label;
                slot.profile.plan = member.plan;
                let signed_in_again =
                    slot.availability != Availability::Active && member.availability == Availability::Active;
                if signed_in_again {
                    slot.cooldown = None;
                    slot.faults_in_row = 0;
                }
                slot.availability = member.availability;
            }
            account
        } else {
            let account = AccountRef(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
            self.by_id.insert(member.id.clone(), account);
            self.slots.push(Slot::new(account, member));
            account
        };
        self.rebuild_roster();
        account
    }

    /// Takes an account out. Leases that still run on it end as they would have.
    pub fn remove(&mut self, id: &AccountId) {
        if let Some(account) = self.by_id.remove(id)
            && let Some(slot) = self.slot_mut(account)
        {
            slot.removed = true;
        }
        self.rebuild_roster();
    }

    fn rebuild_roster(&mut self) {
        self.roster = Arc::new(Roster {
            generation: self.roster.generation + 1,
            accounts: self.slots.iter().map(|slot| slot.profile.clone()).collect(),
        });
    }

    /// The slow facts of all accounts.
    #[must_use]
    pub const fn roster(&self) -> &Arc<Roster> {
        &self.roster
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

    fn slot_mut(&mut self, account: AccountRef) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(account.0).ok()?)
    }

    /// All accounts that were not deleted.
    pub fn members(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| !slot.removed)
    }

    /// Prepares the question for a policy. Every call takes a new sequence number.
    pub fn question(
        &mut self,
        info: RequestInfo,
        tried: Vec<AccountRef>,
        seed: u64,
        now: Timestamp,
    ) -> RankInput {
        self.seq += 1;
        let owner = info.session.as_ref().and_then(|session| self.affinity.owner(session));
        let candidates = self.members().map(|slot| slot.candidate(&info, owner, now)).collect();
        RankInput { info, now, seed, seq: self.seq, generation: self.roster.generation, candidates, tried }
    }

    /// Takes a place on an account, and ties the conversation to it. `None` when the place was taken or the
    /// account left the pool since the question was asked.
    pub fn lease(
        &mut self,
        account: AccountRef,
        session: Option<&SessionKey>,
        seq: u64,
        now: Timestamp,
    ) -> Option<Lease> {
        let slot = self.slot_mut(account)?;
        let free = slot.in_flight < slot.profile.max_concurrency && !(slot.unproven && slot.in_flight > 0);
        if slot.removed || slot.availability != Availability::Active || !free {
            return None;
        }
        slot.in_flight += 1;
        slot.requests += 1;
        slot.last_picked_seq = seq;
        slot.last_used_at = Some(now);
        // A first request ties the conversation at once, so that those beside it follow; an owner is only replaced by
        // an account that served.
        if let Some(session) = session.filter(|session| self.affinity.owner(session).is_none()) {
            self.affinity.bind(session.clone(), account);
        }
        Some(Lease { account, session: session.cloned() })
    }

    /// Gives a place back and lets the ending count.
    pub fn release(&mut self, lease: Lease, ending: Ending<'_>, model: &ModelName, now: Timestamp) {
        let Some(slot) = self.slot_mut(lease.account) else { return };
        slot.in_flight = slot.in_flight.saturating_sub(1);
        match ending {
            Ending::Served { first_event_ms, usage } => {
                slot.served(first_event_ms, usage);
                if let Some(session) = lease.session {
                    self.affinity.bind(session, lease.account);
                }
            }
            Ending::Failed(failure) => slot.failed(failure, model, now),
            Ending::Neutral => {}
        }
    }

    /// Takes in what an answer told about an account's quota.
    pub fn observe_quota(&mut self, account: AccountRef, quota: &QuotaSnapshot, now: Timestamp) {
        let Some(slot) = self.slot_mut(account) else { return };
        if quota.is_empty() {
            return;
        }
        if quota.short.is_some() || quota.long.is_some() {
            // One observation names all windows the plan has: one that is missing no longer exists.
            slot.quota.short = quota.short;
            slot.quota.long = quota.long;
            slot.quota_seen_at = Some(now);
        }
        slot.quota_unsaved = true;
        let plan_changed = quota.plan.as_ref().is_some_and(|plan| *plan != slot.profile.plan);
        if plan_changed {
            slot.profile.plan = quota.plan.clone().unwrap_or_default();
            slot.quota.plan = quota.plan.clone();
            self.rebuild_roster();
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
            if let Some(at) = slot.quota_seen_at {
                unsaved.push((slot.profile.id.clone(), slot.quota.clone(), at));
            }
        }
        unsaved
    }

    /// When the first account that could serve `model` comes back; `None` when none ever will by itself.
    #[must_use]
    pub fn earliest_return(&self, model: &ModelName, now: Timestamp) -> Option<Timestamp> {
        self.members()
            .filter(|slot| slot.availability == Availability::Active)
            .map(|slot| slot.cooldown_at(Some(model), now).map_or(now, |cooldown| cooldown.until))
            .min()
    }

    /// Requests running on all accounts.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.slots.iter().map(|slot| slot.in_flight).sum()
    }
}

#[cfg(test)]
mod tests;
