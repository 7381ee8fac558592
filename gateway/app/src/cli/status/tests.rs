//! What people and programs read of a status.

use gateway_api::{AccountStateView, PolicyView, PoolTotals, TokenTotals};

use super::*;

const NOW: i64 = 1_800_000_000_000;

fn account(name: &str) -> AccountView {
    AccountView {
        id: format!("acc_{name}"),
        name: name.to_owned(),
        kind: "codex".to_owned(),
        plan: Some("plus".to_owned()),
        email: Some(format!("{name}@example.test")),
        state: AccountStateView::Healthy,
        state_reason: None,
        windows: Vec::new(),
        cooldowns: Vec::new(),
        groups: Vec::new(),
        tags: Vec::new(),
        pinned: false,
        in_flight: 0,
        requests: 0,
        failures: 0,
        ttft_ms: None,
        last_used_at: None,
    }
}

fn window(seconds: u64, used: f64, resets_in: Option<i64>) -> WindowView {
    let label = if seconds == 18_000 { "5 h" } else { "weekly" }.to_owned();
    WindowView { label, seconds, used, resets_at: resets_in.map(|ms| NOW + ms) }
}

fn overview(accounts: Vec<AccountView>) -> Overview {
    Overview {
        now: NOW,
        started_at: NOW - 60_000,
        requests_per_second: 0.0,
        in_flight: 1,
        requests: 12,
        failures: 0,
        tokens: TokenTotals::default(),
        ttft_p50_ms: None,
        rate: Vec::new(),
        pool: PoolTotals { accounts: accounts.len(), serving: accounts.len() },
        accounts,
        policy: PolicyView {
            id: "builtin:usage-balanced".to_owned(),
            name: "usage-balanced".to_owned(),
            language: "builtin".to_owned(),
            digest: String::new(),
            active: true,
        },
        recent: Vec::new(),
    }
}

fn sample() -> Overview {
    let mut ada = account("ada");
    ada.windows = vec![window(18_000, 0.2, Some(7_800_000)), window(604_800, 0.4, None)];
    ada.last_used_at = Some(NOW - 5);
    ada.in_flight = 1;
    let mut work = account("work");
    work.state = AccountStateView::Cooling;
    work.last_used_at = Some(NOW - 9_000);
    let cause = "usage_limit_reached".to_owned();
    let limit = CooldownView { cause, source: "upstream reset".into(), model: None, until: NOW + 61_500 };
    let of_model = CooldownView { model: Some("o4".into()), until: NOW + 900_000, ..limit.clone() };
    work.cooldowns = vec![limit, of_model];
    let mut zoe = account("zoe");
    zoe.state = AccountStateView::Paused;
    overview(vec![ada, work, zoe])
}

#[test]
fn the_table_says_what_is_used_and_until_when() {
    let text = long(&sample(), &Place::Here { url: "http://127.0.0.1:8080".into() });
    let expect = "\
http://127.0.0.1:8080: policy builtin:usage-balanced, 1 in flight, 12 requests and 0 failures since 1 min ago
ACCOUNT  KIND   PLAN  STATE         SHORT WINDOW                   LONG WINDOW  IN FLIGHT  COOLDOWN
ada      codex  plus  healthy       5 h: 20%, resets in 2 h 10 min  weekly: 40%  1          -
work     codex  plus  cooling down  -                              -            0          usage_limit_reached, 1 min 2 s; usage_limit_reached (o4), 15 min
zoe      codex  plus  paused        -                              -            0          -";
    let squeezed = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(squeezed(&text), squeezed(expect));
    let empty = long(&overview(Vec::new()), &Place::Database);
    assert!(empty.contains("no gateway runs") && empty.contains("no account yet"), "{empty}");
}

#[test]
fn the_short_line_is_three_words() {
    let mut overview = sample();
    assert_eq!(short(&overview), "lb=ada reason=none mode=usage-balanced");
    overview.accounts[1].pinned = true;
    overview.accounts[1].name = "my work".to_owned();
    assert_eq!(short(&overview), "lb=my-work reason=pinned mode=usage-balanced");
    overview.accounts.clear();
    assert_eq!(short(&overview), "lb=none reason=none mode=usage-balanced");
}

/// The names and conventions that readers of codexlb's status rely on.
#[test]
fn the_json_has_codexlbs_fields() {
    let folder = tempfile::tempdir().unwrap();
    let mut overview = sample();
    let read = |overview: &Overview| {
        serde_json::to_value(codexlb::status(overview, &[], Some(folder.path()))).unwrap()
    };
    let status = read(&overview);
    assert_eq!(status["proxy_name"], "switchyard");
    assert_eq!(status["generated_at"], "2027-01-15T08:00:00Z");
    assert_eq!(status["policy"]["mode"], "usage-balanced");
    assert_eq!(status["selected_account_id"], "acc_ada");
    assert_eq!(status["state"]["pinned_account_id"], "");
    assert_eq!(status["state"]["message_counter"], 12);
    assert_eq!(status["runtime_auth"]["ok"], true);
    let rows = status["accounts"].as_array().unwrap();
    let first = &rows[0];
    for (field, expect) in [
        ("alias", serde_json::json!("ada")),
        ("email", "ada@example.test".into()),
        ("active", true.into()),
        ("healthy", true.into()),
        ("enabled", true.into()),
        ("cooldown_seconds", 0.into()),
        ("daily_left_pct", 80.into()),
        ("daily_reset_at", (NOW / 1000 + 7_800).into()),
        ("weekly_left_pct", 60.into()),
        ("weekly_reset_at", 0.into()),
    ] {
        assert_eq!(first[field], expect, "{field}");
    }
    assert_eq!((&rows[1]["cooldown_seconds"], &rows[1]["daily_left_pct"]), (&62.into(), &(-1).into()));
    assert_eq!((&rows[2]["enabled"], &rows[2]["disabled_reason"]), (&false.into(), &"paused".into()));

    // Who is pinned comes first; a real sign-in in the home of `run` is told.
    overview.accounts[1].pinned = true;
    std::fs::write(folder.path().join("auth.json"), "{}").unwrap();
    let status = read(&overview);
    assert_eq!(status["accounts"][0]["alias"], "work");
    assert_eq!(status["selection_reason"], "pinned");
    assert_eq!(status["runtime_auth"]["ok"], false);
}

#[test]
fn gateways_are_children() {
    let mut edge = account("edge");
    edge.kind = "gateway".to_owned();
    let overview = overview(vec![edge.clone()]);
    let child = AccountDetail {
        account: edge,
        settings: gateway_api::AccountSettingsView {
            base_url: Some("https://edge.example".into()),
            ..Default::default()
        },
        workspace_id: None,
        created_at: 0,
        token_expires_at: None,
        refreshed_at: None,
        quota_seen_at: None,
        reset_credits: None,
        tokens: TokenTotals::default(),
        recent: Vec::new(),
    };
    let status = serde_json::to_value(codexlb::status(&overview, &[child], None)).unwrap();
    let child = &status["child_proxies"][0];
    assert_eq!((&child["name"], &child["url"]), (&"edge".into(), &"https://edge.example".into()));
    assert_eq!((&child["healthy"], &child["reachable"]), (&true.into(), &true.into()));
    assert!(status.get("runtime_auth").is_none());
}
