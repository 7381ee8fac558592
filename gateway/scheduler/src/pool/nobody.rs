//! Why nobody serves a request now, and when somebody will: the facts behind an honest refusal.

use std::collections::BTreeSet;

use gateway_domain::{FailureKind, ModelName, Timestamp};

use super::{Asked, Pool};
use crate::AccountRef;
use crate::layout::Needs;
use crate::member::{Availability, Way};
use crate::slot::Slot;

/// Why nobody serves a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nobody {
    /// No account may be used at all: none there, paused, or to be signed in again.
    Empty,
    /// Those that may be used leave through egress proxies that are down or off.
    NoWay,
    /// Others could serve, but nobody of the groups and accounts that the request may use.
    OutOfScope,
    /// None may serve such a request (model, kind, dialect).
    NotServed,
    /// No account's plan has the model.
    ModelNotSupported,
    /// Accounts could serve, but all their places are taken.
    Busy,
    /// Every account that could serve has failed this very request.
    AllTried,
    /// Everybody's usage limit is reached.
    Exhausted {
        /// When the first one has room again.
        until: Timestamp,
    },
    /// Everybody is left alone for a while.
    Cooling {
        /// When the first one is back.
        until: Timestamp,
    },
}

/// Whether an account could be used if it could be reached.
fn shut_in(slot: &Slot) -> bool {
    slot.availability == Availability::Active && slot.way != Way::Open
}

impl Pool {
    /// Why nobody can serve a request that was asked about.
    #[must_use]
    pub fn why_nobody(&self, asked: &Asked, now: Timestamp) -> Nobody {
        let input = &asked.input;
        let needs = &asked.standing.needs;
        let serving = self.layout.serving(&input.info.model, needs, self.named(needs));
        let must = asked.standing.must;
        let active = || {
            self.members()
                .filter(|slot| slot.is_active())
                .filter(|slot| must.is_none_or(|must| must.account == slot.profile.account))
        };
        if active().next().is_none() {
            return if self.members().any(shut_in) { Nobody::NoWay } else { Nobody::Empty };
        }
        let able = || active().filter(|slot| serving.by(slot.profile.account));
        if able().next().is_none() {
            let able = |slot: &Slot| shut_in(slot) && serving.by(slot.profile.account);
            if self.members().any(able) {
                return Nobody::NoWay;
            }
            let others = self.others_could(&input.info.model, needs);
            return if others { Nobody::OutOfScope } else { Nobody::NotServed };
        }
        self.why_not_now(able(), &input.info.model, &input.tried, now)
    }

    /// Whether somebody could serve if the request might use the whole pool.
    fn others_could(&self, model: &ModelName, needs: &Needs) -> bool {
        if !needs.is_scoped() {
            return false;
        }
        let needs = Needs {
            dialects: needs.dialects.clone(),
            providers: needs.providers.clone(),
            ..Needs::default()
        };
        let serving = self.layout.serving(model, &needs, BTreeSet::new());
        self.members().any(|slot| slot.is_active() && serving.by(slot.profile.account))
    }

    fn why_not_now<'a>(
        &self,
        able: impl Iterator<Item = &'a Slot>,
        model: &ModelName,
        tried: &[AccountRef],
        now: Timestamp,
    ) -> Nobody {
        let (mut back, mut left_over) = (None::<Timestamp>, false);
        let (mut unsupported, mut exhausted, mut ready) = (true, true, false);
        for slot in able {
            let Some(cooldown) = slot.cooldown_at(Some(model), now) else {
                ready = true;
                left_over |= !tried.contains(&slot.profile.account);
                continue;
            };
            unsupported &= cooldown.cause == FailureKind::ModelNotSupported;
            exhausted &= cooldown.cause == FailureKind::QuotaExhausted;
            back = Some(back.map_or(cooldown.until, |back| back.min(cooldown.until)));
        }
        match back {
            _ if left_over => Nobody::Busy,
            _ if ready => Nobody::AllTried,
            Some(_) if unsupported => Nobody::ModelNotSupported,
            Some(until) if exhausted => Nobody::Exhausted { until },
            Some(until) => Nobody::Cooling { until },
            None => Nobody::Empty,
        }
    }

    /// When the first account that could serve `model` comes back; `None` when none ever will by itself.
    #[must_use]
    pub fn earliest_return(&self, model: &ModelName, now: Timestamp) -> Option<Timestamp> {
        self.members()
            .filter(|slot| slot.availability == Availability::Active)
            .map(|slot| slot.cooldown_at(Some(model), now).map_or(now, |cooldown| cooldown.until))
            .min()
    }
}
