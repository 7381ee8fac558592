//! `switchyard account list` and `show`.

use clap::Args;
use gateway_api::{AccountDetail, AccountStateView, AccountView, EgressView, PreferenceView};

use super::choose;
use crate::cli::remote::{Admin, CallError, Place};
use crate::cli::text::{moment, or_dash, pairs, percent, table};
use crate::cli::{tell, tell_json};

/// What `account list` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What `account show` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// Its name, id or e-mail address
    name: String,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Lists the accounts.
pub(super) async fn list(admin: &Admin, args: &ListArgs) -> anyhow::Result<()> {
    let accounts = choose::list(admin).await?;
    if args.json {
        return tell_json(&accounts);
    }
    if accounts.is_empty() {
        tell(
            "no account yet; add one with `switchyard account login` or `switchyard account import ~/.codex/auth.json`",
        );
        return Ok(());
    }
    let head = ["ID", "NAME", "KIND", "PLAN", "STATE", "GROUPS"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(accounts.iter().map(row)).collect();
    tell(&table(&rows));
    Ok(())
}

fn row(account: &AccountView) -> Vec<String> {
    let state = state_word(account.state);
    vec![
        account.id.clone(),
        account.name.clone(),
        account.kind.clone(),
        or_dash(account.plan.as_deref()),
        if account.pinned { format!("{state}, pinned") } else { state.to_owned() },
        or_dash(Some(&account.groups.join(","))),
    ]
}

/// A state in a word or two.
pub(in crate::cli) const fn state_word(state: AccountStateView) -> &'static str {
    match state {
        AccountStateView::Healthy => "healthy",
        AccountStateView::Degraded => "degraded",
        AccountStateView::Probing => "probing",
        AccountStateView::Cooling => "cooling down",
        AccountStateView::Paused => "paused",
        AccountStateView::SignInNeeded => "sign in again",
    }
}

/// Shows one account.
pub(super) async fn show(admin: &Admin, args: &ShowArgs) -> anyhow::Result<()> {
    let account = choose::one(admin, &args.name).await?;
    let detail: AccountDetail =
        admin.get(&format!("/accounts/{}", account.id)).await.map_err(CallError::told)?;
    if args.json {
        return tell_json(&detail);
    }
    tell(&pairs(&facts(&detail)));
    tell(&pairs(&decided(&detail)));
    if *admin.place() == Place::Database {
        tell("no gateway runs on this data folder: what is counted since its start is not known");
    }
    Ok(())
}

fn facts(detail: &AccountDetail) -> Vec<(&'static str, String)> {
    let account = &detail.account;
    let state = match &account.state_reason {
        Some(reason) => format!("{}: {reason}", state_word(account.state)),
        None => state_word(account.state).to_owned(),
    };
    let at = |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), moment);
    let mut facts = vec![
        ("id", account.id.clone()),
        ("name", account.name.clone()),
        ("kind", account.kind.clone()),
        ("plan", or_dash(account.plan.as_deref())),
        ("e-mail", or_dash(account.email.as_deref())),
        ("workspace", or_dash(detail.workspace_id.as_deref())),
        ("state", state),
        ("pinned", yes(account.pinned)),
        ("added", moment(detail.created_at)),
        ("token ends", at(detail.token_expires_at)),
        ("token renewed", at(detail.refreshed_at)),
        ("in flight", account.in_flight.to_string()),
        ("requests", format!("{}, {} failed", account.requests, account.failures)),
    ];
    for window in &account.windows {
        let reset = window.resets_at.map_or_else(String::new, |at| format!(", resets {}", moment(at)));
        facts.push(("window", format!("{}: {} used{reset}", window.label, percent(window.used))));
    }
    if let Some(credits) = detail.reset_credits.filter(|credits| *credits > 0) {
        facts.push(("reset credits", format!("{credits}, see `switchyard account redeem`")));
    }
    for cooldown in &account.cooldowns {
        let model = cooldown.model.as_ref().map_or_else(String::new, |model| format!(" for {model}"));
        let (cause, until) = (&cooldown.cause, moment(cooldown.until));
        facts.push(("cooldown", format!("{cause}{model}, until {until} ({})", cooldown.source)));
    }
    facts
}

/// In the words of `account set`.
fn decided(detail: &AccountDetail) -> Vec<(&'static str, String)> {
    let settings = &detail.settings;
    let words = |words: &std::collections::BTreeSet<String>| {
        or_dash(Some(&words.iter().map(String::as_str).collect::<Vec<_>>().join(",")))
    };
    vec![
        ("weight", settings.weight.to_string()),
        ("priority", settings.priority.to_string()),
        ("preference", preference_word(settings.preference).to_owned()),
        ("max-concurrency", settings.max_concurrency.map_or_else(|| "-".to_owned(), |most| most.to_string())),
        ("groups", words(&settings.groups)),
        ("tags", words(&settings.tags)),
        ("models", words(&settings.allowed_models)),
        ("dialects", words(&settings.dialects)),
        ("base-url", or_dash(settings.base_url.as_deref())),
        ("headers", words(&settings.headers)),
        (
            "egress",
            match &settings.egress {
                EgressView::Inherit => "inherit".to_owned(),
                EgressView::Direct => "direct".to_owned(),
                EgressView::Proxy { proxy } => format!("proxy {proxy}"),
            },
        ),
        ("co-owned", or_dash(settings.co_owned.as_deref())),
        ("warm-up", yes(settings.warm_up)),
        ("notes", or_dash(Some(&settings.notes))),
    ]
}

/// The words of `account set preference=`.
pub(super) const fn preference_word(preference: PreferenceView) -> &'static str {
    match preference {
        PreferenceView::BurnFirst => "burn-first",
        PreferenceView::Normal => "normal",
        PreferenceView::Preserve => "preserve",
    }
}

fn yes(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}
