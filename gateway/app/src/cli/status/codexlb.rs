//! The status in codexlb's words, so that what was written for it goes on reading: percents that are left, -1 for what is
//! not known, resets in Unix seconds with 0 for none. What codexlb has and we have not is left out; what we add stands
//! beside it.

use std::path::Path;

use gateway_api::{AccountDetail, AccountStateView, AccountView, Overview, WindowView};
use serde::Serialize;

use super::{long_window, reason, selected, short_window};
use crate::cli::account::state_word;
use crate::cli::text::moment;

/// What this gateway is called in its own status.
const NAME: &str = "switchyard";
/// A percentage that is not known.
const UNKNOWN: i64 = -1;

#[derive(Debug, Serialize)]
pub(super) struct Status {
    proxy_name: &'static str,
    generated_at: String,
    policy: Policy,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_auth: Option<RuntimeAuth>,
    selected_account_id: String,
    selected_proxy_url: &'static str,
    selected_proxy_name: String,
    selection_reason: String,
    accounts: Vec<Account>,
    additional_limits: Vec<Never>,
    child_proxies: Vec<Child>,
}

#[derive(Debug, Serialize)]
struct Policy {
    mode: String,
    id: String,
}

#[derive(Debug, Serialize)]
struct State {
    active_index: i64,
    message_counter: u64,
    last_rotation_at_ms: i64,
    pinned_account_id: String,
}

/// The home of `switchyard run`: it is well as long as no real sign-in is in it.
#[derive(Debug, Serialize)]
struct RuntimeAuth {
    ok: bool,
    path: String,
    exists: bool,
}

/// An entry of a list that we never fill.
#[derive(Debug, Serialize)]
enum Never {}

#[derive(Debug, Serialize)]
struct Account {
    proxy_name: &'static str,
    alias: String,
    id: String,
    email: String,
    active: bool,
    pinned: bool,
    healthy: bool,
    enabled: bool,
    disabled_reason: String,
    cooldown_seconds: i64,
    daily_left_pct: i64,
    daily_reset_at: i64,
    weekly_left_pct: i64,
    weekly_reset_at: i64,
    additional_limits: Vec<Never>,
    last_used_at_ms: i64,
    last_switch_reason: String,
    quota_source: &'static str,
    kind: String,
    plan: String,
    state: &'static str,
    in_flight: u32,
}

#[derive(Debug, Serialize)]
struct Child {
    name: String,
    url: String,
    active: bool,
    healthy: bool,
    reachable: bool,
    cooldown_seconds: i64,
    selected_target: &'static str,
    selection_reason: &'static str,
    last_switch_reason: &'static str,
    last_error: String,
}

/// The whole status. `own_home` is the home of `switchyard run`, when it is on this machine.
pub(super) fn status(overview: &Overview, children: &[AccountDetail], own_home: Option<&Path>) -> Status {
    let serving = selected(overview).map(|account| account.id.clone()).unwrap_or_default();
    let mut accounts: Vec<&AccountView> = overview.accounts.iter().collect();
    // As codexlb sorts them: the one that serves first, then by name.
    accounts.sort_by_key(|account| (account.id != serving, account.name.clone()));
    let pinned = overview.accounts.iter().find(|account| account.pinned);
    let child = children.iter().find(|child| child.account.id == serving);
    Status {
        proxy_name: NAME,
        generated_at: moment(overview.now),
        policy: Policy { mode: overview.policy.name.clone(), id: overview.policy.id.clone() },
        state: State {
            active_index: if serving.is_empty() { UNKNOWN } else { 0 },
            message_counter: overview.requests,
            last_rotation_at_ms: overview.recent.iter().map(|one| one.at).max().unwrap_or_default(),
            pinned_account_id: pinned.map(|account| account.id.clone()).unwrap_or_default(),
        },
        runtime_auth: own_home.map(runtime_auth),
        selected_proxy_url: "",
        selected_proxy_name: child.map(|child| child.account.name.clone()).unwrap_or_default(),
        selection_reason: reason(overview).to_owned(),
        accounts: accounts.iter().map(|one| account(one, one.id == serving, overview)).collect(),
        additional_limits: Vec::new(),
        child_proxies: children
            .iter()
            .map(|one| gateway(one, one.account.id == serving, overview.now))
            .collect(),
        selected_account_id: serving,
    }
}

fn runtime_auth(home: &Path) -> RuntimeAuth {
    let path = home.join("auth.json");
    let exists = path.exists();
    RuntimeAuth { ok: !exists, path: path.display().to_string(), exists }
}

fn account(view: &AccountView, active: bool, overview: &Overview) -> Account {
    let enabled = !matches!(view.state, AccountStateView::Paused | AccountStateView::SignInNeeded);
    let (daily_left_pct, daily_reset_at) = left(short_window(view));
    let (weekly_left_pct, weekly_reset_at) = left(long_window(view));
    Account {
        proxy_name: NAME,
        alias: view.name.clone(),
        id: view.id.clone(),
        email: view.email.clone().unwrap_or_default(),
        active,
        pinned: view.pinned,
        healthy: view.state.serves(),
        enabled,
        disabled_reason: match (enabled, &view.state_reason) {
            (true, _) => String::new(),
            (false, Some(reason)) => reason.clone(),
            (false, None) => state_word(view.state).to_owned(),
        },
        cooldown_seconds: cooldown_seconds(view, overview.now),
        daily_left_pct,
        daily_reset_at,
        weekly_left_pct,
        weekly_reset_at,
        additional_limits: Vec::new(),
        last_used_at_ms: view.last_used_at.unwrap_or_default(),
        last_switch_reason: if active { reason(overview).to_owned() } else { String::new() },
        quota_source: if view.windows.is_empty() { "" } else { NAME },
        kind: view.kind.clone(),
        plan: view.plan.clone().unwrap_or_default(),
        state: state_word(view.state),
        in_flight: view.in_flight,
    }
}

fn gateway(child: &AccountDetail, active: bool, now: i64) -> Child {
    let view = &child.account;
    Child {
        name: view.name.clone(),
        url: child.settings.base_url.clone().unwrap_or_default(),
        active,
        healthy: view.state.serves(),
        reachable: view.state.serves(),
        cooldown_seconds: cooldown_seconds(view, now),
        selected_target: "",
        selection_reason: "",
        last_switch_reason: "",
        last_error: view.state_reason.clone().unwrap_or_default(),
    }
}

/// The longest cooldown of the whole account, rounded up.
fn cooldown_seconds(view: &AccountView, now: i64) -> i64 {
    let whole = view.cooldowns.iter().filter(|cooldown| cooldown.model.is_none());
    let ms = whole.map(|cooldown| cooldown.until - now).max().unwrap_or_default();
    ms.max(0).saturating_add(999) / 1000
}

/// Whole percents that are left, and the reset in seconds.
fn left(window: Option<&WindowView>) -> (i64, i64) {
    let Some(window) = window else { return (UNKNOWN, 0) };
    let left = ((1.0 - window.used.clamp(0.0, 1.0)) * 100.0).round();
    // Between 0 and 100.
    (left as i64, window.resets_at.map_or(0, |ms| ms.div_euclid(1000)))
}
