//! Why nobody serves a request now, and when somebody will: the facts behind an honest refusal.

use gateway_domain::{FailureKind, ModelName, Timestamp};

use super::{Asked, Pool};
use crate::AccountRef;
use crate::member::Availability;
use crate::slot::Slot;

/// Why nobody serves a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nobody {
    /// No account may be used at all: none there, paused, or to be signed in again.
    Empty,
    /// None may serve such a request (model, group, dialect).
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

impl Pool {
    /// Why nobody can serve a request that was asked about.
    #[must_use]
    pub fn why_nobody(&self, asked: &Asked, now: Timestamp) -> Nobody {
        let input = &asked.input;
        let serving = self.layout.serving(&input.info.model, &asked.standing.needs);
        let must = asked.standing.must;
        let active = || {
            self.members()
                .filter(|slot| slot.is_active())
                .filter(|slot| must.is_none_or(|must| must.account == slot.profile.account))
        };
        if active().next().is_none() {
            return Nobody::Empty;
        }
        let able = || active().filter(|slot| serving.by(slot.profile.account));
        if able().next().is_none() {
            return Nobody::NotServed;
        }
        self.why_not_now(able(), &input.info.model, &input.tried, now)
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
