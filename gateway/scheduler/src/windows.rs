//! What an account's quota says now: windows that age, features that limit one model, credits that pay beyond them,
//! plans that are believed the second time.
//!
//! Unknown is unknown, never zero. A number is believed for as long as its window lasts, at most [`BELIEVED_FOR`]: after
//! its own length a window has surely rolled over, and after a day without news (answers carry numbers, and the gateway
//! asks every few minutes) somebody else may have used it up. A window that was used up stays so until the moment the
//! upstream named, because only a reset can empty it.

use std::time::Duration;

use gateway_domain::{Credits, Millis, QuotaSnapshot, Timestamp, Window};

use crate::capacity::{self, PlanChange};
use crate::elapsed::{in_millis, since, within};

/// The longest any number is believed without news.
pub const BELIEVED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// A window this full, shorter than a day: the account is spared.
pub const SHORT_DRAIN: f64 = 0.85;
/// The same for the window of a day or more.
pub const LONG_DRAIN: f64 = 0.90;
/// What a used-up window counts as while credits pay: the last to be chosen, but not exhausted.
pub const PAID_BY_CREDITS: f64 = 0.999;
/// Two sightings of a smaller plan closer together than this are one: a glitch tells many answers at once.
const PLAN_SIGHTINGS_APART: Duration = Duration::from_secs(60);

/// A window as it counts now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Share used; NaN when unknown.
    pub used: f64,
    /// Milliseconds until it resets; 0 when unknown.
    pub resets_in_ms: Millis,
}

impl Reading {
    /// Nobody told, or too long ago.
    pub const UNKNOWN: Self = Self { used: f64::NAN, resets_in_ms: 0 };

    /// The one that limits more; a known one limits more than an unknown one.
    #[must_use]
    pub(crate) fn tighter(self, other: Self) -> Self {
        if self.used.is_nan() || other.used > self.used { other } else { self }
    }

    pub(crate) fn is_exhausted(self) -> bool {
        self.used >= 1.0
    }

    pub(crate) fn paid(self) -> Self {
        Self { used: if self.is_exhausted() { PAID_BY_CREDITS } else { self.used }, ..self }
    }
}

/// How a window that was told at `seen_at` counts at `now`.
#[must_use]
#[inline]
pub(crate) fn reading(window: Option<Window>, seen_at: Option<Timestamp>, now: Timestamp) -> Reading {
    let (Some(window), Some(seen_at)) = (window, seen_at) else { return Reading::UNKNOWN };
    if !window.used.is_finite() {
        return Reading::UNKNOWN;
    }
    let ahead = window.resets_at.filter(|reset| *reset > now);
    let used = window.used_at(now).max(0.0);
    let told = Reading { used, resets_in_ms: ahead.map_or(0, |reset| now.millis_until(reset)) };
    if ahead.is_some() && told.is_exhausted() {
        return told;
    }
    // A reset that has passed is news of its own: the window began empty then.
    let newest = window.resets_at.filter(|reset| *reset <= now).map_or(seen_at, |reset| reset.max(seen_at));
    // A moment ahead of the clock counts as now: the next answer overwrites it anyway.
    let age = since(newest, now).unwrap_or(0);
    let believed = Duration::from_secs(window.seconds).min(BELIEVED_FOR);
    if age < in_millis(believed) { told } else { Reading::UNKNOWN }
}

/// When parts of a quota were told, and what is still doubted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sightings {
    pub(crate) features_at: Option<Timestamp>,
    credits_at: Option<Timestamp>,
    /// A smaller plan that was seen once.
    doubted_plan: Option<(String, Timestamp)>,
}

impl Sightings {
    /// Everything in a snapshot from the last run was told then.
    pub(crate) fn restored(at: Option<Timestamp>) -> Self {
        Self { features_at: at, credits_at: at, doubted_plan: None }
    }

    /// When anything but the plan's windows was told last.
    pub(crate) fn extras_at(&self) -> Option<Timestamp> {
        self.features_at.max(self.credits_at)
    }

    /// Until when the plan's windows and credits count as they do now, apart from what counts down; `None` when the
    /// clock was set back.
    pub(crate) fn steady_until(
        &self,
        kept: &QuotaSnapshot,
        seen_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if [seen_at, self.credits_at].iter().flatten().any(|at| *at > now) {
            return None;
        }
        let mut first = Timestamp::from_millis(i64::MAX);
        let mut note = |moment: Option<Timestamp>| {
            first = moment.filter(|moment| *moment > now).map_or(first, |moment| moment.min(first));
        };
        for window in [kept.short, kept.long].into_iter().flatten() {
            let believed = Duration::from_secs(window.seconds).min(BELIEVED_FOR);
            note(window.resets_at);
            note(window.resets_at.map(|reset| reset.plus(believed)));
            note(seen_at.map(|seen| seen.plus(believed)));
        }
        note(self.credits_at.map(|seen| seen.plus(BELIEVED_FOR)));
        Some(first)
    }

    /// Credits that can pay now.
    pub(crate) fn can_pay(&self, credits: Option<Credits>, now: Timestamp) -> bool {
        credits.is_some_and(|credits| credits.can_pay()) && within(self.credits_at, BELIEVED_FOR, now)
    }

    /// Files what was told: what an answer does not mention stays as it was.
    pub(crate) fn take_in(&mut self, kept: &mut QuotaSnapshot, told: &QuotaSnapshot, now: Timestamp) {
        if told.short.is_some() || told.long.is_some() {
            // One observation names all windows the plan has: one that is missing no longer exists.
            kept.short = told.short;
            kept.long = told.long;
        }
        if !told.features.is_empty() {
            kept.features.clone_from(&told.features);
            self.features_at = Some(now);
        }
        if told.credits.is_some() {
            kept.credits = told.credits;
            self.credits_at = Some(now);
        }
        if told.reset_credits.is_some() {
            kept.reset_credits = told.reset_credits;
        }
    }

    /// The plan to change to, if this sighting is to be believed.
    pub(crate) fn believe_plan(
        &mut self,
        current: &str,
        seen: Option<&str>,
        now: Timestamp,
    ) -> Option<String> {
        let seen = seen.filter(|plan| !plan.is_empty())?;
        match capacity::change(current, seen) {
            PlanChange::Same => {
                self.doubted_plan = None;
                None
            }
            PlanChange::Up => {
                self.doubted_plan = None;
                Some(seen.to_owned())
            }
            PlanChange::Down => self.confirmed(seen, now),
        }
    }

    fn confirmed(&mut self, seen: &str, now: Timestamp) -> Option<String> {
        match &self.doubted_plan {
            Some((doubted, first)) if doubted == seen => {
                // A clock set back starts the wait anew.
                let apart = since(*first, now);
                if apart.is_none() {
                    self.doubted_plan = Some((seen.to_owned(), now));
                }
                let long_enough = apart.is_some_and(|ms| ms >= in_millis(PLAN_SIGHTINGS_APART));
                long_enough.then(|| {
                    self.doubted_plan = None;
                    seen.to_owned()
                })
            }
            _ => {
                self.doubted_plan = Some((seen.to_owned(), now));
                None
            }
        }
    }
}

/// Whether a feature's name names a model: its words stand at the end of the model's name, apart from numbers such as a
/// date. `spark` and `GPT-5.3-Codex-Spark` name `gpt-5.3-codex-spark`; `gpt-5` does not name `gpt-5-mini`.
#[must_use]
pub(crate) fn names_model(feature: &str, model: &str) -> bool {
    let mut model = words(model).peekable();
    let mut feature = words(feature).peekable();
    while model.peek().is_some_and(|word| is_number(word))
        && !feature.peek().is_some_and(|word| is_number(word))
    {
        model.next();
    }
    feature.peek().is_some()
        && feature.all(|word| model.next().is_some_and(|it| it.eq_ignore_ascii_case(word)))
}

/// From the last to the first.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.rsplit(['-', '_', ' ', '/']).filter(|word| !word.is_empty())
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
