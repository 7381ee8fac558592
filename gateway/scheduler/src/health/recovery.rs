//! The way back of an account: its cooldowns, the troubles that lengthen them, and the probes that prove it.

use std::time::Duration;

use gateway_domain::{Failure, FailureKind, ModelName, Timestamp};

use super::consequence::{Consequence, Cooldown, Trouble, consequence, trouble};
use crate::elapsed::{SKEW, within};

/// Model cooldowns kept for one account; the one that ends first gives way.
const MAX_MODEL_COOLDOWNS: usize = 32;
/// Troubles further apart than this are not in a row.
const STREAK_MEMORY: Duration = Duration::from_secs(60 * 60);
/// Successes that an account which comes back must show.
pub const PROBES_TO_PASS: u8 = 3;
/// Fresh numbers may end a usage limit that is at least this old: right after a refusal they still lag behind it.
const EVIDENCE_AFTER: Duration = Duration::from_secs(120);

/// How often in a row, and when last.
#[derive(Debug, Clone, Copy, Default)]
struct Streak {
    count: u32,
    last: Option<Timestamp>,
}

impl Streak {
    fn next(&self, now: Timestamp) -> u32 {
        if within(self.last, STREAK_MEMORY, now) { self.count.saturating_add(1) } else { 1 }
    }
}

/// What keeps an account away, and how it comes back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recovery {
    whole: Option<Cooldown>,
    models: Vec<Cooldown>,
    /// Successes since it came back; `None` while it need not prove anything.
    probes: Option<u8>,
    limits: Streak,
    faults: Streak,
    capacity: Streak,
    refusals: Streak,
}

/// What [`Recovery::failed`] made of a failure.
pub(crate) enum Counted {
    /// It happened together with what was counted already.
    SameTrouble,
    /// It counts like this.
    As(Consequence),
}

impl Recovery {
    /// The cooldown that keeps a request for `model` away; with no model, the whole account's.
    pub(crate) fn cooldown(&self, model: Option<&ModelName>, now: Timestamp) -> Option<&Cooldown> {
        if let Some(whole) = self.whole.as_ref().filter(|one| runs(one, now)) {
            return Some(whole);
        }
        let model = model?;
        self.models.iter().find(|one| one.model.as_ref() == Some(model) && runs(one, now))
    }

    pub(crate) fn cooldowns(&self, now: Timestamp) -> impl Iterator<Item = &Cooldown> {
        self.whole.iter().chain(&self.models).filter(move |one| runs(one, now))
    }

    /// Until when time alone changes nothing, for any model; `None` when it depends on the model or the clock was set
    /// back.
    pub(crate) fn steady_until(&self, now: Timestamp) -> Option<Timestamp> {
        let unclear = |cooldown: &Cooldown| cooldown.since > now;
        let of_models = self.models.iter().any(|cooldown| cooldown.until > now || unclear(cooldown));
        if of_models || self.whole.as_ref().is_some_and(unclear) {
            return None;
        }
        let ends = self.whole.as_ref().map(|cooldown| cooldown.until).filter(|until| *until > now);
        Some(ends.unwrap_or(Timestamp::from_millis(i64::MAX)))
    }

    /// Whether it comes back and has not proven itself yet.
    pub(crate) const fn is_probing(&self) -> bool {
        self.probes.is_some()
    }

    /// When the last cooldown of the whole account ends or ended.
    pub(crate) fn whole_until(&self) -> Option<Timestamp> {
        self.whole.as_ref().map(|cooldown| cooldown.until)
    }

    /// A request that began at `begun` was served.
    pub(crate) fn succeeded(&mut self, model: &ModelName, begun: Timestamp) {
        // What began before a cooldown says nothing about it: a long stream may end well after the limit was hit.
        if self.whole.as_ref().is_some_and(|cooldown| begun < cooldown.since) {
            return;
        }
        self.models.retain(|cooldown| cooldown.model.as_ref() != Some(model) || begun < cooldown.since);
        (self.limits, self.faults) = (Streak::default(), Streak::default());
        (self.capacity, self.refusals) = (Streak::default(), Streak::default());
        self.whole = None;
        self.probes =
            self.probes.map(|passed| passed.saturating_add(1)).filter(|passed| *passed < PROBES_TO_PASS);
    }

    /// A request that began at `begun` failed.
    pub(crate) fn failed(
        &mut self,
        failure: &Failure,
        model: &ModelName,
        begun: Timestamp,
        now: Timestamp,
    ) -> Counted {
        let trouble = trouble(failure);
        let streak = trouble.map_or(1, |trouble| self.streak(trouble).next(now));
        let mut found = consequence(failure, model, streak, now);
        // Requests that ran side by side into one wall are one trouble, however many they were.
        let together =
            trouble.is_some() && self.covering(&found).is_some_and(|cooldown| begun < cooldown.since);
        if together {
            if let Some(later) = found.cooldown.take() {
                self.lengthen(later);
            }
            return Counted::SameTrouble;
        }
        if let Some(trouble) = trouble {
            *self.streak(trouble) = Streak { count: streak, last: Some(now) };
        }
        if let Some(cooldown) = &found.cooldown {
            self.cool(cooldown.clone());
        }
        Counted::As(found)
    }

    fn streak(&mut self, trouble: Trouble) -> &mut Streak {
        match trouble {
            Trouble::Limit => &mut self.limits,
            Trouble::Fault => &mut self.faults,
            Trouble::Capacity => &mut self.capacity,
            Trouble::Refusal => &mut self.refusals,
        }
    }

    /// The cooldown, running or not, that a consequence of the same reach would replace.
    fn covering(&self, found: &Consequence) -> Option<&Cooldown> {
        let model = found.cooldown.as_ref().and_then(|cooldown| cooldown.model.as_ref());
        let same_model =
            model.and_then(|model| self.models.iter().find(|one| one.model.as_ref() == Some(model)));
        same_model.or(self.whole.as_ref())
    }

    /// A second answer to the same trouble may know better when it ends, but a guess never beats what was told.
    fn lengthen(&mut self, later: Cooldown) {
        use super::CooldownSource::Backoff;
        if later.source != Backoff {
            let since = self.whole.as_ref().filter(|_| later.model.is_none()).map(|kept| kept.since);
            self.cool(Cooldown { since: since.unwrap_or(later.since), ..later });
        }
    }

    /// Keeps requests away. Of two cooldowns with the same reach the longer one stays.
    pub(crate) fn cool(&mut self, cooldown: Cooldown) {
        if cooldown.model.is_none() {
            let shorter = |kept: &Cooldown| kept.until < cooldown.until || !runs(kept, cooldown.since);
            if self.whole.as_ref().is_none_or(shorter) {
                self.whole = Some(cooldown);
                self.probes = Some(0);
            }
            return;
        }
        self.models.retain(|kept| kept.model != cooldown.model);
        if self.models.len() >= MAX_MODEL_COOLDOWNS {
            self.models.sort_by_key(|kept| std::cmp::Reverse(kept.until));
            self.models.pop();
        }
        self.models.push(cooldown);
    }

    /// Fresh numbers show room: ends a usage limit if they were taken long enough after it began. A burst limit is
    /// about something that these numbers do not measure.
    pub(crate) fn room_seen(&mut self, now: Timestamp) {
        let ends = self.whole.as_ref().is_some_and(|cooldown| {
            cooldown.cause == FailureKind::QuotaExhausted && cooldown.since.plus(EVIDENCE_AFTER) <= now
        });
        if ends {
            self.whole = None;
        }
    }

    /// The upstream emptied the windows: usage limits are over, whatever else there is stays.
    pub(crate) fn limits_reset(&mut self) {
        let limit = |cooldown: &Cooldown| cooldown.cause == FailureKind::QuotaExhausted;
        if self.whole.as_ref().is_some_and(limit) {
            self.whole = None;
        }
        self.models.retain(|cooldown| !limit(cooldown));
    }

    /// By hand: nothing keeps it away any more. It still proves itself. Answers how many cooldowns ran.
    pub(crate) fn clear(&mut self, now: Timestamp) -> usize {
        let running = self.cooldowns(now).count();
        *self = Self { probes: self.probes, ..Self::default() };
        running
    }
}

/// A cooldown from a moment that lies ahead is void: the clock was set back, and nobody knows by how much too long it
/// would last. The upstream tells again if it still holds.
fn runs(cooldown: &Cooldown, now: Timestamp) -> bool {
    cooldown.until > now && cooldown.since <= now.plus(SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn model(name: &str) -> ModelName {
        ModelName::parse(name).unwrap()
    }

    fn fail(recovery: &mut Recovery, kind: FailureKind, begun: i64, now: i64) {
        recovery.failed(&Failure::upstream(kind, "x"), &model("m"), at(begun), at(now));
    }

    fn ends(recovery: &Recovery, now: i64) -> Option<i64> {
        recovery.cooldown(Some(&model("m")), at(now)).map(|cooldown| cooldown.until.as_secs())
    }

    #[test]
    fn three_successes_bring_an_account_back() {
        let mut recovery = Recovery::default();
        fail(&mut recovery, FailureKind::RateLimited, 0, 0);
        for served in 1..=3 {
            assert!(recovery.is_probing(), "before success {served}");
            recovery.succeeded(&model("m"), at(10 + served));
        }
        assert!(!recovery.is_probing());
    }

    #[test]
    fn what_began_before_a_cooldown_neither_ends_nor_lengthens_it() {
        let mut recovery = Recovery::default();
        fail(&mut recovery, FailureKind::RateLimited, 5, 10);
        assert_eq!(ends(&recovery, 10), Some(11));
        for _ in 0..20 {
            fail(&mut recovery, FailureKind::RateLimited, 6, 10);
        }
        assert_eq!(ends(&recovery, 10), Some(11), "twenty side by side are one trouble");
        recovery.succeeded(&model("m"), at(6));
        assert_eq!(ends(&recovery, 10), Some(11));
        fail(&mut recovery, FailureKind::RateLimited, 12, 12);
        assert_eq!(ends(&recovery, 12), Some(14), "the second in a row lasts longer");
        recovery.succeeded(&model("m"), at(13));
        assert_eq!(ends(&recovery, 13), None);
        fail(&mut recovery, FailureKind::RateLimited, 20, 20);
        assert_eq!(ends(&recovery, 20), Some(21), "a success ends the row");
    }

    #[test]
    fn troubles_far_apart_are_not_in_a_row() {
        for (gap, lasts) in [(60, 2), (3_599, 2), (3_600, 1)] {
            let mut recovery = Recovery::default();
            fail(&mut recovery, FailureKind::RateLimited, 0, 0);
            fail(&mut recovery, FailureKind::RateLimited, gap, gap);
            assert_eq!(ends(&recovery, gap), Some(gap + lasts), "after {gap} s");
        }
    }

    #[test]
    fn a_model_cools_alone() {
        let mut recovery = Recovery::default();
        fail(&mut recovery, FailureKind::ModelNotSupported, 0, 0);
        assert_eq!(ends(&recovery, 0), Some(1_800));
        assert!(recovery.cooldown(Some(&model("other")), at(0)).is_none());
        assert!(recovery.cooldown(None, at(0)).is_none());
        assert!(!recovery.is_probing());
        for n in 0..3 * MAX_MODEL_COOLDOWNS {
            let failure = Failure::upstream(FailureKind::ModelNotSupported, "x");
            recovery.failed(&failure, &model(&format!("m{n}")), at(0), at(1));
        }
        assert_eq!(recovery.cooldowns(at(1)).count(), MAX_MODEL_COOLDOWNS);
    }

    #[test]
    fn fresh_numbers_end_a_limit_only_when_they_are_later_than_it() {
        for (kind, seen, ended) in [
            (FailureKind::QuotaExhausted, 119, false),
            (FailureKind::QuotaExhausted, 120, true),
            (FailureKind::AccountUnauthorized, 59, false),
            (FailureKind::RateLimited, 0, false),
        ] {
            let mut recovery = Recovery::default();
            fail(&mut recovery, kind, 0, 0);
            recovery.room_seen(at(seen));
            assert_eq!(ends(&recovery, seen).is_none(), ended, "{kind:?} after {seen} s");
            assert!(recovery.is_probing());
        }
    }

    #[test]
    fn a_clock_set_back_ends_a_cooldown_instead_of_stretching_it() {
        let mut recovery = Recovery::default();
        fail(&mut recovery, FailureKind::QuotaExhausted, 1_000_000, 1_000_000);
        assert!(ends(&recovery, 999_990).is_some(), "threads read clocks in no order");
        assert!(ends(&recovery, 0).is_none());
    }

    #[test]
    fn clearing_by_hand_leaves_only_the_proof() {
        let mut recovery = Recovery::default();
        fail(&mut recovery, FailureKind::QuotaExhausted, 0, 0);
        fail(&mut recovery, FailureKind::ModelNotSupported, 0, 0);
        assert_eq!(recovery.clear(at(1)), 2);
        assert_eq!(ends(&recovery, 1), None);
        assert!(recovery.is_probing());
        assert_eq!(recovery.clear(at(1)), 0);
    }
}
