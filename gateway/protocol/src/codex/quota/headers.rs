//! The `x-codex-*` headers, which come with any answer whatever its status: a refusal carries the freshest numbers.

use gateway_domain::{Credits, QuotaSnapshot, Timestamp};

use super::{MAX_FEATURES, Told, feature_windows, word_truth};

/// The account's own windows; every other name before the slot is a feature's.
const MAIN: &str = "codex";

/// What all headers together told.
#[derive(Default)]
struct Heard<'a> {
    main: [Told; 2],
    features: Vec<(&'a str, Option<&'a str>, [Told; 2])>,
    has_credits: Option<bool>,
    unlimited: Option<bool>,
    balance: Option<f64>,
    plan: Option<&'a str>,
}

/// Reads the headers of the account's own windows, credits and plan. `header` looks a header up by its lower-case name.
pub fn quota_from_headers<'a>(header: impl Fn(&str) -> Option<&'a str>, now: Timestamp) -> QuotaSnapshot {
    const NAMES: &[&str] = &[
        "x-codex-primary-used-percent",
        "x-codex-primary-window-minutes",
        "x-codex-primary-reset-at",
        "x-codex-primary-reset-after-seconds",
        "x-codex-secondary-used-percent",
        "x-codex-secondary-window-minutes",
        "x-codex-secondary-reset-at",
        "x-codex-secondary-reset-after-seconds",
        "x-codex-credits-has-credits",
        "x-codex-credits-unlimited",
        "x-codex-credits-balance",
        "x-codex-plan-type",
    ];
    quota_from_header_list(NAMES.iter().filter_map(|name| Some((*name, header(name)?))), now)
}

/// The same from all headers of an answer, the windows of single features included (`x-<feature>-primary-…`).
pub fn quota_from_header_list<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    now: Timestamp,
) -> QuotaSnapshot {
    let mut heard = Heard::default();
    for (name, value) in headers {
        if let Some(name) = name.strip_prefix("x-") {
            heard.hear(name, value);
        }
    }
    heard.snapshot(now)
}

impl<'a> Heard<'a> {
    fn hear(&mut self, name: &'a str, value: &'a str) {
        match name {
            "codex-plan-type" => self.plan = Some(value.trim()).filter(|plan| !plan.is_empty()),
            "codex-credits-has-credits" => self.has_credits = word_truth(value),
            "codex-credits-unlimited" => self.unlimited = word_truth(value),
            "codex-credits-balance" => self.balance = finite(value),
            _ => self.hear_window(name, value),
        }
    }

    fn hear_window(&mut self, name: &'a str, value: &'a str) {
        if let Some((feature, slot, set)) = split(name) {
            let Some(told) = self.slot(feature, slot) else { return };
            set(told, finite(value));
        } else if let Some(feature) = name.strip_suffix("-limit-name").filter(|feature| *feature != MAIN)
            && let Some(known) = self.feature(feature)
        {
            known.1 = Some(value.trim()).filter(|name| !name.is_empty());
        }
    }

    fn slot(&mut self, feature: &'a str, slot: usize) -> Option<&mut Told> {
        if feature == MAIN { self.main.get_mut(slot) } else { self.feature(feature)?.2.get_mut(slot) }
    }

    fn feature(&mut self, feature: &'a str) -> Option<&mut (&'a str, Option<&'a str>, [Told; 2])> {
        match self.features.iter().position(|known| known.0 == feature) {
            Some(at) => self.features.get_mut(at),
            None if self.features.len() < MAX_FEATURES => {
                self.features.push((feature, None, [Told::default(); 2]));
                self.features.last_mut()
            }
            None => None,
        }
    }

    fn snapshot(self, now: Timestamp) -> QuotaSnapshot {
        let mut quota = QuotaSnapshot { plan: self.plan.map(str::to_owned), ..QuotaSnapshot::default() };
        for window in self.main.into_iter().filter_map(|told| told.window(now)) {
            quota.put(window);
        }
        for (feature, name, told) in self.features {
            match name {
                Some(name) => quota.features.extend(feature_windows(name, told, now)),
                None => quota.features.extend(feature_windows(&feature.replace('-', "_"), told, now)),
            }
        }
        quota.credits = self.has_credits.map(|available| Credits {
            available,
            unlimited: self.unlimited.unwrap_or(false),
            balance: self.balance,
        });
        quota
    }
}

/// Takes one figure of a window.
type Setter = fn(&mut Told, Option<f64>);

/// The figures of a window, by the ends of their headers' names.
const FIGURES: [(&str, Setter); 4] = [
    ("-used-percent", |told, percent| told.used_percent = percent),
    ("-window-minutes", |told, minutes| told.seconds = minutes.map(|minutes| minutes * 60.0)),
    ("-reset-at", |told, at| told.reset_at = at),
    ("-reset-after-seconds", |told, seconds| told.reset_after = seconds),
];

/// `codex-spark-primary-used-percent` → feature, slot, figure. Compares ends only: a search in every header of every
/// answer is what one notices.
fn split(name: &str) -> Option<(&str, usize, Setter)> {
    let (rest, set) = FIGURES.iter().find_map(|(end, set)| Some((name.strip_suffix(end)?, *set)))?;
    let first = rest.strip_suffix("-primary").map(|feature| (feature, 0, set));
    first.or_else(|| rest.strip_suffix("-secondary").map(|feature| (feature, 1, set)))
}

fn finite(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}
