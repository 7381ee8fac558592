//! Windows under time: tables of what is known when, and any clock.

use super::*;
use proptest::prelude::*;

const HOURS_5: u64 = 18_000;
const WEEK: u64 = 604_800;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn window(seconds: u64, used: f64, resets_at: Option<i64>) -> Option<Window> {
    Some(Window { seconds, used, resets_at: resets_at.map(at) })
}

#[test]
fn numbers_age() {
    const DAY: i64 = 86_400;
    for (name, window, secs, used, resets_in) in [
        ("fresh", window(HOURS_5, 0.4, Some(9_000)), 1_000, Some(0.4), 8_000),
        ("reset passed: it began empty", window(HOURS_5, 0.4, Some(9_000)), 9_000, Some(0.0), 0),
        ("still", window(HOURS_5, 1.0, Some(9_000)), 26_999, Some(0.0), 0),
        ("but another five hours may have filled it", window(HOURS_5, 0.4, Some(9_000)), 27_000, None, 0),
        ("no reset told: as long as it lasts", window(HOURS_5, 0.4, None), 17_999, Some(0.4), 0),
        ("and no longer", window(HOURS_5, 0.4, None), 18_000, None, 0),
        ("a week's number after 23 h", window(WEEK, 0.4, Some(6 * DAY)), DAY - 1, Some(0.4), 432_001),
        ("a week's number after a day", window(WEEK, 0.4, Some(6 * DAY)), DAY, None, 0),
        ("used up stays used up", window(WEEK, 1.0, Some(6 * DAY)), 5 * DAY, Some(1.0), 86_400),
        ("until its reset", window(WEEK, 1.0, Some(6 * DAY)), 6 * DAY, Some(0.0), 0),
        ("used up without a reset ages", window(WEEK, 1.0, None), DAY, None, 0),
        ("nonsense is unknown", window(WEEK, f64::NAN, Some(6 * DAY)), 0, None, 0),
        ("less than nothing is nothing", window(WEEK, -3.0, Some(6 * DAY)), 0, Some(0.0), 518_400),
        ("a clock set back", window(HOURS_5, 0.4, Some(9_000)), -90_000, Some(0.4), 99_000),
    ] {
        let got = reading(window, Some(at(0)), at(secs));
        assert_eq!((!got.used.is_nan()).then_some(got.used), used, "{name}");
        assert_eq!(got.resets_in_ms, resets_in * 1_000, "{name}");
    }
    assert!(reading(None, Some(at(0)), at(0)).used.is_nan());
    assert!(reading(window(WEEK, 0.4, None), None, at(0)).used.is_nan());
}

#[test]
fn the_tighter_window_counts_and_unknown_is_never_tighter() {
    let of = |used| Reading { used, resets_in_ms: 1 };
    for (one, other, used) in [(0.2, 0.7, 0.7), (0.7, 0.2, 0.7), (f64::NAN, 0.1, 0.1), (0.1, f64::NAN, 0.1)] {
        assert_eq!(of(one).tighter(of(other)).used, used, "{one} and {other}");
    }
    assert!(of(f64::NAN).tighter(of(f64::NAN)).used.is_nan());
    assert!(!of(1.2).paid().is_exhausted());
}

#[test]
fn a_smaller_plan_is_believed_the_second_time() {
    // What was seen when, and what the plan is afterwards.
    let story = [
        ("free", 0, "plus", "seen once"),
        ("free", 5, "plus", "the same glitch"),
        ("plus", 30, "plus", "it was one"),
        ("free", 100, "plus", "seen once again"),
        ("free", 160, "free", "confirmed"),
        ("pro", 161, "pro", "more is believed at once"),
        ("free", 170, "pro", "doubted"),
        ("plus", 400, "pro", "another smaller one starts over"),
        ("free", 401, "pro", "and over"),
        ("free", 461, "free", "confirmed"),
        ("", 462, "free", "nothing was said"),
    ];
    let mut sightings = Sightings::default();
    let mut plan = "plus".to_owned();
    for (seen, secs, expect, why) in story {
        if let Some(believed) = sightings.believe_plan(&plan, Some(seen), at(secs)) {
            plan = believed;
        }
        assert_eq!(plan, expect, "{why}");
    }
}

#[test]
fn features_name_models() {
    for (feature, model, names) in [
        ("GPT-5.3-Codex-Spark", "gpt-5.3-codex-spark", true),
        ("spark", "gpt-5.3-codex-spark", true),
        ("codex_spark", "gpt-5.3-codex-spark-20260101", true),
        ("GPT-5.3-Codex-Spark", "gpt-5.3-codex", false),
        ("gpt-5", "gpt-5-mini", false),
        ("gpt-5", "gpt-5", true),
        ("code_review", "gpt-5.3-codex", false),
        ("codex_bengalfox", "gpt-5.3-codex-spark", false),
        ("5.3-codex-spark", "other-gpt-5.3-codex-spark", true),
        ("", "gpt-5", false),
        ("-", "gpt-5", false),
    ] {
        assert_eq!(names_model(feature, model), names, "{feature} and {model}");
    }
}

#[test]
fn what_an_answer_does_not_mention_stays() {
    let mut sightings = Sightings::default();
    let mut kept = QuotaSnapshot::default();
    let spark = gateway_domain::FeatureWindow {
        feature: "spark".into(),
        window: Window { seconds: HOURS_5, used: 0.1, resets_at: None },
    };
    let credits = Credits { available: true, unlimited: false, balance: Some(2.0) };
    let all = QuotaSnapshot {
        short: window(HOURS_5, 0.1, None),
        long: window(WEEK, 0.2, None),
        features: vec![spark.clone()],
        credits: Some(credits),
        reset_credits: Some(1),
        plan: None,
    };
    sightings.take_in(&mut kept, &all, at(0));
    let headers = QuotaSnapshot { short: window(HOURS_5, 0.3, None), ..QuotaSnapshot::default() };
    sightings.take_in(&mut kept, &headers, at(10));
    assert_eq!(kept.short.unwrap().used, 0.3);
    assert_eq!(kept.long, None, "a window that is no longer told is gone");
    assert_eq!(
        (kept.features.as_slice(), kept.credits, kept.reset_credits),
        (&[spark][..], Some(credits), Some(1))
    );
    assert!(sightings.can_pay(kept.credits, at(86_399)));
    assert!(!sightings.can_pay(kept.credits, at(86_400)), "a balance of yesterday pays nothing");
}

proptest! {
    /// Whatever the upstream says and wherever the clock jumps: a share is unknown or not negative, and nothing panics.
    #[test]
    fn readings_survive_any_clock(
        seconds in any::<u64>(), used in any::<f64>(), reset in any::<Option<i64>>(), seen in any::<i64>(),
        clocks in prop::collection::vec(any::<i64>(), 1..20), pay in any::<bool>(),
    ) {
        let window = Window { seconds, used, resets_at: reset.map(Timestamp::from_millis) };
        for clock in clocks {
            let now = Timestamp::from_millis(clock);
            let mut got = reading(Some(window), Some(Timestamp::from_millis(seen)), now);
            if pay { got = got.paid(); }
            prop_assert!(got.used.is_nan() || got.used >= 0.0);
            prop_assert!(!got.used.is_infinite());
            prop_assert!(!(pay && got.is_exhausted()));
        }
    }

    /// Against the plain words of the rule, for clocks that jump by weeks: what was used up stays so until its reset and
    /// not a moment longer, a countdown ends where the upstream said, and what is older than its window is unknown.
    #[test]
    fn readings_follow_the_rule_wherever_the_clock_jumps(
        seconds in prop::sample::select(vec![300_u64, HOURS_5, WEEK, 2_592_000]), used in 0.0_f64..1.3,
        reset in prop::option::of(-900_000_i64..900_000), jumps in prop::collection::vec(-1_800_000_i64..1_800_000, 1..20),
    ) {
        let believed = i64::try_from(seconds.min(86_400)).unwrap();
        for now in jumps {
            let got = reading(window(seconds, used, reset), Some(at(0)), at(now));
            let (ahead, passed) = (reset.filter(|reset| *reset > now), reset.filter(|reset| *reset <= now));
            let age = now - passed.unwrap_or(0).max(0);
            let is_known = (used >= 1.0 && ahead.is_some()) || age < believed;
            prop_assert_eq!(!got.used.is_nan(), is_known, "at {}", now);
            if is_known {
                prop_assert_eq!(got.used, if passed.is_some() { 0.0 } else { used });
                prop_assert_eq!(got.is_exhausted(), used >= 1.0 && passed.is_none());
                prop_assert_eq!(got.resets_in_ms, ahead.map_or(0, |reset| u64::try_from((reset - now) * 1_000).unwrap()));
            } else {
                prop_assert_eq!(got.resets_in_ms, 0);
            }
        }
    }

    /// Plans too: any sightings at any time end in a plan that was seen.
    #[test]
    fn plans_survive_any_clock(story in prop::collection::vec((0_usize..4, any::<i64>()), 0..40)) {
        let plans = ["free", "plus", "pro", "mystery"];
        let mut sightings = Sightings::default();
        let mut plan = "plus".to_owned();
        for (seen, clock) in story {
            if let Some(believed) = sightings.believe_plan(&plan, Some(plans[seen]), Timestamp::from_millis(clock)) {
                prop_assert_eq!(&believed, plans[seen]);
                plan = believed;
            }
        }
    }
}
