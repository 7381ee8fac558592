//! One account's hot state, and what it looks like to a request.
//!
//! Refuses: other accounts. What concerns several is the pool's.

use std::time::Duration;

use gateway_domain::{
    Credits, Failure, FailureKind, Millis, ModelName, QuotaSnapshot, Timestamp, TokenUsage, Window,
    WindowKind,
};

use crate::health::consequence::Cooldown;
use crate::health::recovery::{Counted, Recovery};
use crate::health::score::{Record, Tier};
use crate::member::{Availability, DEFAULT_MAX_CONCURRENCY, Enrolment, Member, MemberSettings, Way};
use crate::windows::{LONG_DRAIN, Reading, SHORT_DRAIN, Sightings, reading};
use crate::{AccountProfile, AccountRef, Candidate, Health, Scope, capacity};

/// Weight of the newest observation in the smoothed numbers.
const EWMA_WEIGHT: f64 = 0.2;

/// A score that heals changes all the time; this often is often enough.
const HEALING_STEP: Duration = Duration::from_secs(1);

/// One account's hot state.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Slow facts.
    pub profile: AccountProfile,
    /// What the operator decided.
    pub settings: MemberSettings,
    /// May it be used.
    pub availability: Availability,
    /// Whether there is a way to its upstream.
    pub way: Way,
    /// Which of the accounts that had this handle.
    pub(crate) epoch: u32,
    /// It was deleted; only leases that still run refer to it.
    pub(crate) removed: bool,
    /// Requests running on it.
    pub in_flight: u32,
    /// Its windows as last told.
    pub quota: QuotaSnapshot,
    /// When they were told.
    pub quota_seen_at: Option<Timestamp>,
    /// When they were last asked for by ourselves.
    pub quota_checked_at: Option<Timestamp>,
    /// Whether the windows changed since they were last stored.
    pub(crate) quota_unsaved: bool,
    pub(crate) sightings: Sightings,
    /// For each of the quota's features, the number of its name.
    pub(crate) features: Vec<u16>,
    pub(crate) recovery: Recovery,
    record: Record,
    capacity: f64,
    /// Smoothed time to the first event; NaN before the first.
    pub ttft_ewma_ms: f64,
    /// Smoothed share of failures.
    pub error_rate_ewma: f64,
    /// When it was last picked.
    pub last_used_at: Option<Timestamp>,
    pub(crate) last_picked_seq: u64,
    /// Tries since the start.
    pub requests: u64,
    /// Tries that failed on its side.
    pub failures: u64,
    /// Tokens served since the start.
    pub tokens: TokenUsage,
}

/// What a question asks of every account.
pub(crate) struct View<'a> {
    pub(crate) now: Timestamp,
    /// The model; none to ask about the account as a whole.
    pub(crate) model: Option<&'a ModelName>,
    /// For each feature's number, whether it names the model; empty when none does.
    pub(crate) limiting: &'a [bool],
    /// Who has the conversation's prompt cache.
    pub(crate) home: Option<AccountRef>,
    /// What leaving it costs.
    pub(crate) price: f64,
}

impl Slot {
    pub(crate) fn new(account: AccountRef, epoch: u32, enrolment: Enrolment) -> Self {
        let Enrolment { member, settings } = enrolment;
        let (quota, quota_seen_at) = match member.quota {
            Some((quota, at)) => (quota, Some(at)),
            None => (QuotaSnapshot::default(), None),
        };
        Self {
            capacity: capacity::of_plan(&member.plan),
            profile: AccountProfile {
                account,
                id: member.id,
                label: member.label,
                provider: member.provider,
                plan: member.plan,
                weight: weight(settings.weight),
                max_concurrency: settings.max_concurrency.unwrap_or(DEFAULT_MAX_CONCURRENCY),
                groups: settings.groups.iter().cloned().collect(),
                tags: settings.tags.iter().cloned().collect(),
            },
            settings,
            availability: member.availability,
            way: Way::Open,
            epoch,
            removed: false,
            in_flight: 0,
            sightings: Sightings::restored(quota_seen_at),
            quota,
            quota_seen_at,
            quota_checked_at: None,
            quota_unsaved: false,
            features: Vec::new(),
            recovery: Recovery::default(),
            record: Record::default(),
            ttft_ewma_ms: f64::NAN,
            error_rate_ewma: 0.0,
            last_used_at: None,
            last_picked_seq: 0,
            requests: 0,
            failures: 0,
            tokens: TokenUsage::default(),
        }
    }

    /// Takes over what changed about a known account; what happened to it stays. Stored windows count only when it
    /// enters the pool.
    pub(crate) fn update(&mut self, member: Member, settings: Option<MemberSettings>, now_active: bool) {
        let before = std::mem::replace(&mut self.availability, member.availability);
        if matches!(before, Availability::SignInNeeded(_)) && now_active {
            // A new sign-in is a new start.
            self.recovery = Recovery::default();
            self.record.forgive();
        }
        self.profile.label = member.label;
        self.profile.provider = member.provider;
        self.set_plan(member.plan);
        if let Some(settings) = settings {
            self.profile.weight = weight(settings.weight);
            self.profile.max_concurrency = settings.max_concurrency.unwrap_or(DEFAULT_MAX_CONCURRENCY);
            self.profile.groups = settings.groups.iter().cloned().collect();
            self.profile.tags = settings.tags.iter().cloned().collect();
            self.settings = settings;
        }
    }

    pub(crate) fn set_plan(&mut self, plan: String) {
        self.capacity = capacity::of_plan(&plan);
        self.profile.plan = plan;
    }

    /// The cooldown that keeps a request for `model` away at `now`; with no model, the whole account's.
    #[must_use]
    pub fn cooldown_at(&self, model: Option<&ModelName>, now: Timestamp) -> Option<&Cooldown> {
        self.recovery.cooldown(model, now)
    }

    /// Every cooldown that runs at `now`.
    pub fn cooldowns_at(&self, now: Timestamp) -> impl Iterator<Item = &Cooldown> {
        self.recovery.cooldowns(now)
    }

    /// How it is doing at `now`, for a request for `model`.
    #[must_use]
    pub fn health(&self, model: Option<&ModelName>, now: Timestamp) -> Health {
        let (short, long) = (self.window(WindowKind::Short, now), self.window(WindowKind::Long, now));
        self.health_with(self.cooldown_at(model, now), self.tier_with(short, long, now).1)
    }

    /// Its score, 0.0..=100.0, and how much it is trusted at `now`.
    #[must_use]
    pub fn judged(&self, now: Timestamp) -> (f64, Tier) {
        self.tier_with(self.window(WindowKind::Short, now), self.window(WindowKind::Long, now), now)
    }

    /// One of its windows as it counts at `now`, credits aside.
    #[must_use]
    pub fn window(&self, kind: WindowKind, now: Timestamp) -> Reading {
        let window = match kind {
            WindowKind::Short => self.quota.short,
            WindowKind::Long => self.quota.long,
        };
        reading(window, self.quota_seen_at, now)
    }

    /// Whether its credits can pay for a request at `now`, and which they are.
    #[must_use]
    pub fn paying_credits(&self, now: Timestamp) -> Option<Credits> {
        self.quota.credits.filter(|_| self.sightings.can_pay(self.quota.credits, now))
    }

    /// Whether a window is used up at `now` and no credits pay for more.
    pub(crate) fn is_exhausted(&self, now: Timestamp) -> bool {
        let full = |kind| self.window(kind, now).used >= 1.0;
        (full(WindowKind::Short) || full(WindowKind::Long)) && self.paying_credits(now).is_none()
    }

    /// What its plan allows, relative to the usual one; NaN when nobody knows.
    #[must_use]
    pub const fn capacity(&self) -> f64 {
        self.capacity
    }

    /// Whether it may be used at all.
    pub(crate) fn is_active(&self) -> bool {
        !self.removed && self.availability == Availability::Active && self.way == Way::Open
    }

    /// Requests that it carries at once at `now`.
    pub(crate) fn room(&self, now: Timestamp) -> u32 {
        self.carries(self.judged(now).1)
    }

    fn carries(&self, tier: Tier) -> u32 {
        // An account that comes back proves itself with one request at a time.
        let tier = if self.recovery.is_probing() { Tier::Risky } else { tier };
        tier.concurrency(self.profile.max_concurrency)
    }

    fn tier_with(&self, short: Reading, long: Reading, now: Timestamp) -> (f64, Tier) {
        let (score, tier) = self.record.judged(now);
        let drained = short.used >= SHORT_DRAIN || long.used >= LONG_DRAIN;
        (score, if drained { tier.min(Tier::Degraded) } else { tier })
    }

    fn health_with(&self, cooldown: Option<&Cooldown>, tier: Tier) -> Health {
        if !self.is_active() {
            Health::Blocked
        } else if cooldown.is_some() {
            Health::Cooling
        } else if self.recovery.is_probing() {
            Health::Probing
        } else if tier == Tier::Healthy {
            Health::Healthy
        } else {
            Health::Degraded
        }
    }

    /// What it looks like to a request. `serves` tells whether it is able to serve it at all.
    pub(crate) fn candidate(&self, view: &View<'_>, serves: bool) -> Candidate {
        let now = view.now;
        let (short, long) = self.pressure(view);
        let (health_score, tier) = self.tier_with(short, long, now);
        let cooldown = self.cooldown_at(view.model, now);
        let health = if serves { self.health_with(cooldown, tier) } else { Health::Blocked };
        let at_home = view.home == Some(self.profile.account);
        Candidate {
            account: self.profile.account,
            health,
            in_flight: self.in_flight,
            max_concurrency: self.carries(tier),
            short_window_used: short.used,
            long_window_used: long.used,
            short_window_resets_in_ms: short.resets_in_ms,
            long_window_resets_in_ms: long.resets_in_ms,
            cooldown_ms: cooldown.map_or(0, |cooldown| now.millis_until(cooldown.until)),
            ttft_ewma_ms: self.ttft_ewma_ms,
            error_rate_ewma: self.error_rate_ewma,
            session_affine: at_home,
            idle_ms: self.last_used_at.map_or(Millis::MAX, |at| at.millis_until(now)),
            last_picked_seq: self.last_picked_seq,
            weight: self.profile.weight,
            priority: f64::from(self.settings.priority),
            preference: self.settings.preference,
            health_score,
            capacity: self.capacity,
            cost: self.settings.cost,
            move_price: if at_home { 0.0 } else { view.price },
            pinned: self.settings.pinned,
        }
    }

    /// Until when nothing about it changes by time alone, for any model, apart from what counts down. `now` when that
    /// cannot be said.
    pub(crate) fn steady_until(&self, now: Timestamp) -> Timestamp {
        let Some(cooled) = self.recovery.steady_until(now) else { return now };
        let Some(told) = self.sightings.steady_until(&self.quota, self.quota_seen_at, now) else {
            return now;
        };
        let healing =
            if self.record.is_clean() { Timestamp::from_millis(i64::MAX) } else { now.plus(HEALING_STEP) };
        cooled.min(told).min(healing)
    }

    /// Its windows as they limit a request for the model: the plan's, those of features that name the model, and
    /// credits where they are used up.
    fn pressure(&self, view: &View<'_>) -> (Reading, Reading) {
        let now = view.now;
        let mut short = reading(self.quota.short, self.quota_seen_at, now);
        let mut long = reading(self.quota.long, self.quota_seen_at, now);
        if !view.limiting.is_empty() {
            for window in self.limiting(view.limiting) {
                let told = reading(Some(window), self.sightings.features_at, now);
                match WindowKind::from_seconds(window.seconds) {
                    WindowKind::Short => short = short.tighter(told),
                    WindowKind::Long => long = long.tighter(told),
                }
            }
        }
        let used_up = short.is_exhausted() || long.is_exhausted();
        if used_up && self.sightings.can_pay(self.quota.credits, now) {
            (short, long) = (short.paid(), long.paid());
        }
        (short, long)
    }

    fn limiting<'a>(&'a self, limiting: &'a [bool]) -> impl Iterator<Item = Window> + 'a {
        let limits = |number: &u16| limiting.get(usize::from(*number)).copied().unwrap_or(false);
        self.features
            .iter()
            .zip(&self.quota.features)
            .filter(move |(number, _)| limits(number))
            .map(|(_, feature)| feature.window)
    }

    pub(crate) fn served(
        &mut self,
        first_event_ms: Option<f64>,
        usage: Option<TokenUsage>,
        model: &ModelName,
        begun: Timestamp,
    ) {
        if let Some(ms) = first_event_ms.filter(|ms| ms.is_finite()) {
            self.ttft_ewma_ms = smoothed(self.ttft_ewma_ms, ms.max(0.0));
        }
        if let Some(usage) = usage {
            let kept = &mut self.tokens;
            kept.input = kept.input.saturating_add(usage.input);
            kept.input_cached = kept.input_cached.saturating_add(usage.input_cached);
            kept.output = kept.output.saturating_add(usage.output);
            kept.reasoning = kept.reasoning.saturating_add(usage.reasoning);
        }
        self.error_rate_ewma = smoothed(self.error_rate_ewma, 0.0);
        self.record.succeeded();
        self.recovery.succeeded(model, begun);
    }

    /// Counts a failure, and says whom it concerns and what keeps requests away.
    pub(crate) fn failed(
        &mut self,
        failure: &Failure,
        model: &ModelName,
        begun: Timestamp,
        now: Timestamp,
    ) -> (Scope, Option<Cooldown>) {
        let found = match self.recovery.failed(failure, model, begun, now) {
            Counted::SameTrouble => {
                self.failures = self.failures.saturating_add(1);
                return (Scope::Request, None);
            }
            Counted::As(found) => found,
        };
        if let Some(mark) = found.mark {
            self.record.failed(mark, now);
        }
        match found.scope {
            Scope::Request | Scope::Host => return (found.scope, None),
            // A model that the plan does not have says nothing about how the account does.
            Scope::AccountModel if failure.kind == FailureKind::ModelNotSupported => {}
            Scope::AccountModel | Scope::Account | Scope::Workspace => {
                self.failures = self.failures.saturating_add(1);
                // Limits are no errors: the account did what its plan says.
                if !matches!(failure.kind, FailureKind::RateLimited | FailureKind::QuotaExhausted) {
                    self.error_rate_ewma = smoothed(self.error_rate_ewma, 1.0);
                }
            }
        }
        (found.scope, found.cooldown)
    }

    /// By hand: nothing keeps it away any more and what happened is forgiven. It still proves itself.
    pub(crate) fn clear(&mut self, now: Timestamp) -> usize {
        self.record.forgive();
        self.recovery.clear(now)
    }
}

/// A weight that cannot be reckoned with counts as none was set.
fn weight(weight: f64) -> f64 {
    if weight.is_finite() && weight > 0.0 { weight } else { 1.0 }
}

fn smoothed(kept: f64, new: f64) -> f64 {
    if kept.is_nan() { new } else { kept + EWMA_WEIGHT * (new - kept) }
}
