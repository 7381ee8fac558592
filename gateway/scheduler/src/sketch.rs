//! A candidate that was worked out once and holds until something happens: most accounts are idle between two requests,
//! and a pool of hundreds is asked about all of them each time.
//!
//! A sketch holds until the account changes (the pool forgets it then) or a moment comes at which time alone changes
//! something: a reset, the end of a cooldown, a number that grows too old. What runs with the clock is filled in anew.

use gateway_domain::{Millis, Timestamp};

use crate::slot::{Slot, View};
use crate::{AccountRef, Candidate, Health};

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Sketch {
    /// A clock set back voids it.
    from: Timestamp,
    until: Timestamp,
    candidate: Candidate,
    short_resets_at: Timestamp,
    long_resets_at: Timestamp,
    cooled_until: Timestamp,
    last_used_at: Option<Timestamp>,
    has_features: bool,
}

const NEVER: Timestamp = Timestamp::from_millis(i64::MIN);

impl Sketch {
    /// One that does not hold.
    pub(crate) const VOID: Self = Self {
        from: NEVER,
        until: NEVER,
        candidate: Candidate::new(AccountRef(u32::MAX)),
        short_resets_at: NEVER,
        long_resets_at: NEVER,
        cooled_until: NEVER,
        last_used_at: None,
        has_features: false,
    };

    /// The account changed.
    pub(crate) const fn forget(&mut self) {
        self.until = NEVER;
    }

    /// What the account looks like, if the sketch holds for this request. The slot need not be touched then.
    #[inline]
    pub(crate) fn candidate(&self, view: &View<'_>, serves: bool) -> Option<Candidate> {
        let now = view.now;
        if !self.holds(now) || (self.has_features && !view.limiting.is_empty()) {
            return None;
        }
        let at_home = view.home == Some(self.candidate.account);
        Some(Candidate {
            health: if serves { self.candidate.health } else { Health::Blocked },
            short_window_resets_in_ms: now.millis_until(self.short_resets_at),
            long_window_resets_in_ms: now.millis_until(self.long_resets_at),
            cooldown_ms: now.millis_until(self.cooled_until),
            idle_ms: self.last_used_at.map_or(Millis::MAX, |at| at.millis_until(now)),
            session_affine: at_home,
            move_price: if at_home { 0.0 } else { view.price },
            ..self.candidate
        })
    }

    /// What the account looks like, worked out, and kept for as long as it holds.
    pub(crate) fn draw(&mut self, slot: &Slot, view: &View<'_>, serves: bool) -> Candidate {
        if !self.holds(view.now) {
            *self = Self::of(slot, view.now);
        }
        self.candidate(view, serves).unwrap_or_else(|| slot.candidate(view, serves))
    }

    fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    fn of(slot: &Slot, now: Timestamp) -> Self {
        let until = slot.steady_until(now);
        if until <= now {
            return Self::VOID;
        }
        let view = View { now, model: None, limiting: &[], home: None, price: 0.0 };
        let candidate = slot.candidate(&view, true);
        let in_ms = |ms: Millis| if ms == 0 { NEVER } else { now.plus(std::time::Duration::from_millis(ms)) };
        Self {
            from: now,
            until,
            short_resets_at: in_ms(candidate.short_window_resets_in_ms),
            long_resets_at: in_ms(candidate.long_window_resets_in_ms),
            cooled_until: in_ms(candidate.cooldown_ms),
            last_used_at: slot.last_used_at,
            has_features: !slot.features.is_empty(),
            candidate,
        }
    }
}
