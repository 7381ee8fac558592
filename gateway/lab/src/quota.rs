//! One account's quota windows: they fill with each turn, empty when the clock passes their reset, and speak the
//! three shapes the backend uses (`x-codex-*` headers, `wham/usage`, `codex.rate_limits`).
//! Refuses to read a clock: every call takes `now`.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{LabAccount, LabCredits, LabWindow};

/// The names of the window slots, in order.
const SLOTS: [&str; 2] = ["primary", "secondary"];

#[derive(Debug, Clone)]
struct Window {
    seconds: u64,
    percent_per_turn: f64,
    used: f64,
    /// `None` until the first turn after a reset: a window starts with its first use.
    reset_at: Option<i64>,
}

/// A window as it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WindowView {
    /// Length in seconds.
    pub seconds: u64,
    /// 0 to 100.
    pub used_percent: f64,
    /// Unix seconds at which it empties.
    pub reset_at: i64,
    /// Seconds until then.
    pub reset_after_s: i64,
}

/// All windows of one account.
#[derive(Debug, Clone)]
pub(crate) struct Quota {
    plan: String,
    credits: LabCredits,
    windows: Vec<Window>,
    features: Vec<Feature>,
    reset_credits: u32,
    /// Wishes that were carried out.
    redeemed: Vec<String>,
}

/// The windows of one feature. Turns of other models leave them alone, and the lab's models are all others.
#[derive(Debug, Clone)]
struct Feature {
    name: String,
    metered: String,
    windows: Vec<Window>,
}

/// Whether a turn may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Open,
    /// Some window is full until this Unix second.
    Exhausted {
        resets_at: i64,
    },
}

impl Quota {
    pub(crate) fn new(account: &LabAccount, now: i64) -> Self {
        let windows = |windows: &[LabWindow]| windows.iter().map(|w| Window::new(w, now)).collect();
        let features = account.features.iter().map(|feature| Feature {
            name: feature.name.clone(),
            metered: feature.metered.clone(),
            windows: windows(&feature.windows),
        });
        Self {
            plan: account.plan.clone(),
            credits: account.credits.clone(),
            windows: windows(&account.windows),
            features: features.collect(),
            reset_credits: account.reset_credits,
            redeemed: Vec::new(),
        }
    }

    /// Empties the windows whose reset has passed.
    fn roll(&mut self, now: i64) {
        let featured = self.features.iter_mut().flat_map(|feature| &mut feature.windows);
        for window in self.windows.iter_mut().chain(featured) {
            if window.reset_at.is_some_and(|at| at <= now) {
                window.used = 0.0;
                window.reset_at = None;
            }
        }
    }

    /// Takes a turn: fills every window, or says until when the account is exhausted.
    pub(crate) fn admit(&mut self, now: i64) -> Admission {
        self.roll(now);
        if let Admission::Exhausted { resets_at } = self.admission() {
            return Admission::Exhausted { resets_at };
        }
        for window in &mut self.windows {
            window.used = (window.used + window.percent_per_turn).min(100.0);
            window.reset_at.get_or_insert(now.saturating_add_unsigned(window.seconds));
        }
        Admission::Open
    }

    fn admission(&self) -> Admission {
        if self.credits.has_credits || self.credits.unlimited {
            return Admission::Open;
        }
        // When two windows are full, the one that empties last decides.
        let full = self.windows.iter().filter(|w| w.used >= 100.0).filter_map(|w| w.reset_at).max();
        full.map_or(Admission::Open, |resets_at| Admission::Exhausted { resets_at })
    }

    /// Sets how full one window is; a window that had not started starts now.
    pub(crate) fn set_used(&mut self, index: usize, percent: f64, now: i64) {
        self.roll(now);
        if let Some(window) = self.windows.get_mut(index) {
            window.used = percent.clamp(0.0, 100.0);
            window.reset_at.get_or_insert(now.saturating_add_unsigned(window.seconds));
        }
    }

    /// Spends a reset credit, once for each wish; says what the backend would.
    pub(crate) fn redeem(&mut self, wish: &str, now: i64) -> (&'static str, usize) {
        self.roll(now);
        if self.redeemed.iter().any(|known| known == wish) {
            return ("already_redeemed", 0);
        }
        let used = self.windows.iter().filter(|window| window.used > 0.0).count();
        if self.reset_credits == 0 {
            return ("no_credit", 0);
        }
        if used == 0 {
            return ("nothing_to_reset", 0);
        }
        self.reset_credits -= 1;
        self.redeemed.push(wish.to_owned());
        for window in &mut self.windows {
            (window.used, window.reset_at) = (0.0, None);
        }
        ("reset", used)
    }

    /// The windows now, primary first.
    pub(crate) fn view(&mut self, now: i64) -> Vec<WindowView> {
        self.roll(now);
        self.windows.iter().map(|window| window.view(now)).collect()
    }

    /// Writes the `x-codex-*` headers that go with every answer of the account.
    pub(crate) fn write_headers(&mut self, now: i64, headers: &mut HeaderMap) {
        put(headers, "x-codex-plan-type", &self.plan);
        for (slot, window) in SLOTS.iter().zip(self.view(now)) {
            put(headers, &format!("x-codex-{slot}-used-percent"), &percent(window.used_percent).to_string());
            put(headers, &format!("x-codex-{slot}-window-minutes"), &(window.seconds / 60).to_string());
            put(headers, &format!("x-codex-{slot}-reset-at"), &window.reset_at.to_string());
            put(headers, &format!("x-codex-{slot}-reset-after-seconds"), &window.reset_after_s.to_string());
        }
        // The backend writes these the Python way.
        let word = |yes: bool| if yes { "True" } else { "False" };
        put(headers, "x-codex-credits-has-credits", word(self.credits.has_credits));
        put(headers, "x-codex-credits-unlimited", word(self.credits.unlimited));
        put(headers, "x-codex-credits-balance", &self.credits.balance);
    }

    /// The body of `GET /wham/usage`.
    pub(crate) fn usage_body(&mut self, account: &LabAccount, now: i64) -> Value {
        let mut windows = self.view(now).into_iter().map(WindowView::usage);
        let (primary, secondary) = (windows.next(), windows.next());
        let additional: Vec<Value> = self.features.iter().map(|feature| feature.usage(now)).collect();
        let reached = self.admission() != Admission::Open;
        json!({
            "user_id": account.user_id,
            "account_id": account.workspace_id,
            "email": account.email,
            "plan_type": account.plan,
            "workspace_id": null,
            "workspace_label": null,
            "seat_type": null,
            "rate_limit": {
                "allowed": !reached,
                "limit_reached": reached,
                "primary_window": primary,
                "secondary_window": secondary,
            },
            "code_review_rate_limit": null,
            "additional_rate_limits": if additional.is_empty() { Value::Null } else { additional.into() },
            "credits": {
                "has_credits": self.credits.has_credits,
                "unlimited": self.credits.unlimited,
                "overage_limit_reached": false,
                "balance": self.credits.balance,
                "approx_local_messages": [0, 0],
                "approx_cloud_messages": [0, 0],
            },
            "spend_control": {"reached": false},
            "rate_limit_reached_type": if reached { Some("rate_limit_reached") } else { None },
            "promo": null,
            "rate_limit_reset_credits": {"available_count": self.reset_credits},
        })
    }

    /// The payload of a `codex.rate_limits` event.
    pub(crate) fn event_body(&mut self, now: i64) -> Value {
        let mut windows = self.view(now).into_iter().map(|w| {
            json!({
                "used_percent": percent(w.used_percent),
                "window_minutes": w.seconds / 60,
                "reset_after_seconds": w.reset_after_s,
                "reset_at": w.reset_at,
            })
        });
        let (primary, secondary) = (windows.next(), windows.next());
        let reached = self.admission() != Admission::Open;
        json!({
            "plan_type": self.plan,
            "metered_limit_name": "codex",
            "limit_name": "codex",
            "rate_limits": {
                "allowed": !reached,
                "limit_reached": reached,
                "primary": primary,
                "secondary": secondary,
            },
            "credits": self.credits,
        })
    }
}

impl Window {
    fn new(w: &LabWindow, now: i64) -> Self {
        Self {
            seconds: w.seconds,
            percent_per_turn: w.percent_per_turn,
            used: w.used_percent,
            reset_at: Some(now.saturating_add_unsigned(w.resets_in_s)),
        }
    }

    fn view(&self, now: i64) -> WindowView {
        let reset_at = self.reset_at.unwrap_or_else(|| now.saturating_add_unsigned(self.seconds));
        WindowView {
            seconds: self.seconds,
            used_percent: self.used,
            reset_at,
            reset_after_s: reset_at.saturating_sub(now),
        }
    }
}

impl WindowView {
    /// As `wham/usage` writes it.
    fn usage(self) -> Value {
        json!({
            // Codex decodes this one as an integer.
            "used_percent": self.used_percent.round() as i64,
            "limit_window_seconds": self.seconds,
            "reset_after_seconds": self.reset_after_s,
            "reset_at": self.reset_at,
        })
    }
}

impl Feature {
    fn usage(&self, now: i64) -> Value {
        let mut windows = self.windows.iter().map(|window| window.view(now).usage());
        let (primary, secondary) = (windows.next(), windows.next());
        json!({
            "limit_name": self.name,
            "metered_feature": self.metered,
            "rate_limit": {"primary_window": primary, "secondary_window": secondary},
        })
    }
}

/// Two decimals are what a percentage is worth; adding 0.1 a hundred times should not print sixteen digits.
fn percent(used: f64) -> f64 {
    (used * 100.0).round() / 100.0
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(windows: Vec<LabWindow>) -> (LabAccount, Quota) {
        let account = LabAccount::new("q", "plus").with_windows(windows);
        let quota = Quota::new(&account, 1_000);
        (account, quota)
    }

    #[test]
    fn a_window_fills_then_exhausts_then_empties_at_its_reset() {
        let (_, mut quota) = quota(vec![LabWindow::new(300, 90.0, 60).filling(6.0)]);
        assert_eq!(quota.admit(1_000), Admission::Open);
        assert_eq!(quota.admit(1_001), Admission::Open);
        assert_eq!(quota.view(1_001)[0].used_percent, 100.0);
        assert_eq!(quota.admit(1_002), Admission::Exhausted { resets_at: 1_060 });
        assert_eq!(quota.admit(1_060), Admission::Open);
        let view = quota.view(1_060)[0];
        assert_eq!((view.used_percent, view.reset_at), (6.0, 1_360));
    }

    #[test]
    fn two_full_windows_reset_with_the_later_one() {
        let (_, mut quota) = quota(vec![LabWindow::new(300, 100.0, 60), LabWindow::new(900, 100.0, 800)]);
        assert_eq!(quota.admit(1_000), Admission::Exhausted { resets_at: 1_800 });
    }

    #[test]
    fn credits_carry_a_full_account() {
        let (mut account, _) = quota(vec![LabWindow::new(300, 100.0, 60)]);
        account.credits.has_credits = true;
        assert_eq!(Quota::new(&account, 1_000).admit(1_000), Admission::Open);
    }

    #[test]
    fn features_and_reset_credits_stand_in_the_usage_and_empty_in_time() {
        let mut account = LabAccount::new("q", "pro");
        account.reset_credits = 2;
        account.features = vec![crate::LabFeature {
            name: "Spark".to_owned(),
            metered: "codex_spark".to_owned(),
            windows: vec![LabWindow::new(300, 70.0, 60)],
        }];
        let mut quota = Quota::new(&account, 1_000);
        let usage = quota.usage_body(&account, 1_000);
        let spark = &usage["additional_rate_limits"][0];
        assert_eq!(
            (&spark["limit_name"], &spark["metered_feature"]),
            (&json!("Spark"), &json!("codex_spark"))
        );
        assert_eq!(spark["rate_limit"]["primary_window"]["used_percent"], 70);
        assert_eq!(usage["rate_limit_reset_credits"]["available_count"], 2);
        let later = quota.usage_body(&account, 1_061);
        assert_eq!(later["additional_rate_limits"][0]["rate_limit"]["primary_window"]["used_percent"], 0);
    }

    #[test]
    fn headers_and_usage_tell_the_same_story() {
        let (account, mut quota) =
            quota(vec![LabWindow::new(18_000, 12.5, 60), LabWindow::new(604_800, 40.0, 70)]);
        let mut headers = HeaderMap::new();
        quota.write_headers(1_000, &mut headers);
        assert_eq!(headers["x-codex-primary-used-percent"], "12.5");
        assert_eq!(headers["x-codex-primary-window-minutes"], "300");
        assert_eq!(headers["x-codex-secondary-reset-at"], "1070");
        assert_eq!(headers["x-codex-secondary-reset-after-seconds"], "70");
        assert_eq!(headers["x-codex-plan-type"], "plus");
        let usage = quota.usage_body(&account, 1_000);
        assert_eq!(usage["rate_limit"]["primary_window"]["used_percent"], 13);
        assert_eq!(usage["rate_limit"]["secondary_window"]["reset_at"], 1_070);
        assert_eq!(usage["rate_limit"]["allowed"], true);
    }
}
