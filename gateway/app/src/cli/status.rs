//! `switchyard status`: accounts with what is used of their windows, as a table, as one line for status bars, or with the
//! field names of codexlb.

mod codexlb;

use clap::Args;
use gateway_api::{AccountDetail, AccountView, CooldownView, Overview, WindowView};

use super::account::state_word;
use super::remote::{Admin, CallError, Place};
use super::text::{or_dash, percent, plain, span, table};
use super::{Call, RemoteArgs, tell, tell_json};

/// Windows up to this long are called short.
const SHORT_WINDOW_SECONDS: u64 = 24 * 3600;

/// What `status` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
  switchyard status
  switchyard status --short      # lb=ada reason=pinned mode=usage-balanced
  switchyard status --json       # the field names of codexlb's GET /status
  switchyard status --url https://gateway.example     # with SWITCHYARD_KEY

In the JSON -1 percent and a reset at 0 mean that it is not known. When no gateway runs on the data folder, the stored
state is shown; what runs and what cools down is known to a running gateway only.")]
pub(super) struct StatusArgs {
    /// One line for status bars
    #[arg(long, conflicts_with = "json")]
    short: bool,
    /// Answer as JSON, with the field names of codexlb
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// Tells how the pool stands.
pub(super) async fn run(call: &Call, args: &StatusArgs) -> anyhow::Result<()> {
    let admin = Admin::find(&call.settings, &call.wanted).await?;
    let told = told(call, &admin, args).await;
    admin.close().await;
    told
}

async fn told(call: &Call, admin: &Admin, args: &StatusArgs) -> anyhow::Result<()> {
    let mut overview: Overview = admin.get("/overview").await.map_err(CallError::told)?;
    if overview.accounts.len() < overview.pool.accounts {
        overview.accounts = super::account::list(admin).await?;
    }
    if *admin.place() == Place::Database {
        // Nobody ranks now.
        overview.policy.id.clear();
        overview.policy.name.clear();
    }
    if args.json {
        let children = children(admin, &overview).await?;
        let own_home = call.wanted.url.is_none().then(|| super::codex::home(&call.settings));
        return tell_json(&codexlb::status(&overview, &children, own_home.as_deref()));
    }
    if args.short {
        tell(&short(&overview));
    } else {
        tell(&long(&overview, admin.place()));
    }
    Ok(())
}

/// Accounts that are gateways, with where they are.
async fn children(admin: &Admin, overview: &Overview) -> anyhow::Result<Vec<AccountDetail>> {
    let mut children = Vec::new();
    for account in overview.accounts.iter().filter(|account| account.kind == "gateway") {
        children.push(admin.get(&format!("/accounts/{}", account.id)).await.map_err(CallError::told)?);
    }
    Ok(children)
}

/// The account that serves: the pinned one, or the one that was picked last.
fn selected(overview: &Overview) -> Option<&AccountView> {
    let pinned = overview.accounts.iter().find(|account| account.pinned);
    let used = || overview.accounts.iter().filter(|account| account.last_used_at.is_some());
    pinned.or_else(|| used().max_by_key(|account| account.last_used_at))
}

/// Why it was picked.
fn reason(overview: &Overview) -> &str {
    match selected(overview) {
        Some(account) if account.pinned => "pinned",
        Some(account) => {
            let decided = overview.recent.iter().find(|one| one.account_id.as_ref() == Some(&account.id));
            decided.map_or("", |one| one.reason.as_str())
        }
        None => "",
    }
}

/// As codexlb writes it: `lb=<account> reason=<reason> mode=<policy>`.
fn short(overview: &Overview) -> String {
    let word = |text: &str| {
        let text = plain(text).split_whitespace().collect::<Vec<_>>().join("-");
        if text.is_empty() { "none".to_owned() } else { text }
    };
    let serving = selected(overview).map_or("", |account| &account.name);
    format!("lb={} reason={} mode={}", word(serving), word(reason(overview)), word(&overview.policy.name))
}

fn long(overview: &Overview, place: &Place) -> String {
    let mut lines = vec![match place {
        Place::Elsewhere { url } | Place::Here { url } => format!(
            "{url}: policy {}, {} in flight, {} requests and {} failures since {} ago",
            overview.policy.id,
            overview.in_flight,
            overview.requests,
            overview.failures,
            span(overview.now - overview.started_at),
        ),
        Place::Database => "no gateway runs on this data folder; this is what was stored last".to_owned(),
    }];
    if overview.accounts.is_empty() {
        lines.push("no account yet; add one with `switchyard account login`".to_owned());
        return lines.join("\n");
    }
    let head = ["ACCOUNT", "KIND", "PLAN", "STATE", "SHORT WINDOW", "LONG WINDOW", "IN FLIGHT", "COOLDOWN"];
    let head = head.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head)
        .chain(overview.accounts.iter().map(|account| row(account, overview.now)))
        .collect();
    lines.push(table(&rows));
    lines.join("\n")
}

fn row(account: &AccountView, now: i64) -> Vec<String> {
    let window = |window: Option<&WindowView>| window.map_or_else(|| "-".to_owned(), |one| used(one, now));
    let cooldowns: Vec<String> = account.cooldowns.iter().map(|one| cooldown(one, now)).collect();
    vec![
        if account.pinned { format!("{} (pinned)", account.name) } else { account.name.clone() },
        account.kind.clone(),
        or_dash(account.plan.as_deref()),
        state_word(account.state).to_owned(),
        window(short_window(account)),
        window(long_window(account)),
        account.in_flight.to_string(),
        or_dash(Some(&cooldowns.join("; "))),
    ]
}

fn short_window(account: &AccountView) -> Option<&WindowView> {
    account.windows.iter().find(|window| window.seconds <= SHORT_WINDOW_SECONDS)
}

fn long_window(account: &AccountView) -> Option<&WindowView> {
    account.windows.iter().find(|window| window.seconds > SHORT_WINDOW_SECONDS)
}

fn used(window: &WindowView, now: i64) -> String {
    let reset = window.resets_at.map_or_else(String::new, |at| format!(", resets in {}", span(at - now)));
    format!("{}: {}{reset}", window.label, percent(window.used))
}

fn cooldown(cooldown: &CooldownView, now: i64) -> String {
    let model = cooldown.model.as_ref().map_or_else(String::new, |model| format!(" ({model})"));
    format!("{}{model}, {}", cooldown.cause, span(cooldown.until - now))
}

#[cfg(test)]
mod tests;
