//! `switchyard ext list` and `ext show`.

use clap::Args;
use gateway_api::{ExtensionDetail, ExtensionView, LendingView, PlaceView};

use super::{OneArgs, find, path};
use crate::cli::remote::{Admin, CallError};
use crate::cli::text::{moment, or_dash, pairs, plain, span, span_us, table};
use crate::cli::{tell, tell_json};

/// Digits of a digest that tell versions apart.
const DIGITS: usize = 8;

/// What `ext list` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Only those that serve
    #[arg(long)]
    on: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Lists them.
pub(super) async fn list(admin: &Admin, args: &ListArgs) -> anyhow::Result<()> {
    let mut all: Vec<ExtensionView> = admin.get("/extensions").await.map_err(CallError::told)?;
    all.retain(|one| one.enabled || !args.on);
    if args.json {
        return tell_json(&all);
    }
    if all.is_empty() {
        tell("no extension serves; `switchyard ext list` names those that could");
        return Ok(());
    }
    let head = ["ID", "VERSION", "HOOKS", "STATE", "ORDER", "CALLS", "FAILED"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(all.iter().map(row)).collect();
    tell(&table(&rows));
    for one in &all {
        if let Some(refused) = &one.refused {
            tell(&plain(&format!("{}: not taken at {}: {}", one.id, refused.step, refused.message)));
        }
    }
    Ok(())
}

fn row(one: &ExtensionView) -> Vec<String> {
    let sum = |of: fn(&gateway_api::HookCallsView) -> u64| one.calls.iter().map(of).sum::<u64>().to_string();
    vec![
        one.id.clone(),
        version(&one.release, &one.digest),
        or_dash(Some(&one.hooks.join(","))),
        state(one),
        or_dash(one.places.iter().map(|place| place.order.to_string()).next().as_deref()),
        sum(|calls| calls.calls),
        sum(|calls| calls.failures),
    ]
}

fn version(release: &str, digest: &str) -> String {
    let digest: String = digest.chars().take(DIGITS).collect();
    or_dash(Some(if release.is_empty() { &digest } else { release }))
}

fn state(one: &ExtensionView) -> String {
    let open = one.breaker.as_ref().is_some_and(|breaker| breaker.state != "closed");
    let only_watches = !one.places.is_empty() && one.places.iter().all(|place| place.mode == "monitor");
    match (one.enabled, one.hooks.is_empty()) {
        (_, true) => "refused",
        (false, _) => "off",
        _ if open => "paused",
        _ if only_watches => "monitor",
        _ => "on",
    }
    .to_owned()
}

/// Shows one.
pub(super) async fn one(admin: &Admin, args: &OneArgs) -> anyhow::Result<()> {
    let found = find(admin, &args.id).await?;
    let detail: ExtensionDetail = admin.get(&path(&found)).await.map_err(CallError::told)?;
    if args.json {
        return tell_json(&detail);
    }
    tell(&in_words(&detail));
    Ok(())
}

pub(super) fn in_words(detail: &ExtensionDetail) -> String {
    let one = &detail.extension;
    let mut rows = vec![
        ("id", one.id.clone()),
        ("version", version(&one.release, &one.digest)),
        ("summary", or_dash(Some(&one.summary))),
        ("origin", one.origin.clone()),
        ("state", state(one)),
        ("hooks", one.hooks.join(", ")),
        ("trust", format!("{}, {}", or_dash(Some(&one.trust)), or_dash(Some(&one.isolation)))),
        ("asks for", lending(&one.asks)),
        ("was lent", lending(&detail.decided.lent)),
    ];
    rows.extend(one.places.iter().map(|at| ("place", place(at))));
    if let Some(breaker) = one.breaker.as_ref().filter(|breaker| breaker.state != "closed") {
        let pause = breaker.pause_ms.map(|ms| span(i64::try_from(ms).unwrap_or(i64::MAX)));
        let left = or_dash(pause.as_deref());
        rows.push(("breaker", format!("{} after {} failures, {left} left", breaker.state, breaker.failing)));
    }
    for calls in &one.calls {
        let mean = calls.mean_us.map(span_us);
        let (hook, all, failed) = (&calls.hook, calls.calls, calls.failures);
        rows.push(("calls", format!("{hook}: {all}, {failed} failed, {} each", or_dash(mean.as_deref()))));
    }
    if !detail.config.is_null() {
        rows.push(("configuration", detail.config.to_string()));
    }
    for version_of in &detail.versions {
        let serving = if version_of.serving { " (serves)" } else { "" };
        let digest: String = version_of.digest.chars().take(DIGITS).collect();
        rows.push(("kept", format!("{} {digest}{serving}", or_dash(Some(&version_of.release)))));
    }
    for failure in &detail.failures {
        rows.push(("failure", format!("{} {}: {}", failure.hook, failure.kind, failure.message)));
    }
    rows.extend(detail.counters.iter().map(|(name, value)| ("counter", format!("{name} {value}"))));
    for hit in &detail.hits {
        let rules: Vec<_> = hit.act.rules.iter().map(|(rule, count)| format!("{rule} ×{count}")).collect();
        let (at, act) = (moment(hit.at), &hit.act.act);
        rows.push(("hit", format!("{at} {} {act} {}", hit.request_id, rules.join(", "))));
    }
    rows.extend(detail.log.iter().map(|line| ("log", format!("{} {}", line.level, line.message))));
    if let Some(refused) = &one.refused {
        rows.push(("refused", format!("at {}: {}", refused.step, refused.message)));
    }
    pairs(&rows)
}

fn lending(lending: &LendingView) -> String {
    let mut parts: Vec<String> = lending.grants.iter().cloned().collect();
    parts.extend(lending.secrets.iter().map(|name| format!("secret {name}")));
    parts.extend(lending.http_out.iter().cloned());
    or_dash(Some(&parts.join(", ")))
}

fn place(at: &PlaceView) -> String {
    let mut text = format!("{}: order {}, {}, fails {}", at.hook, at.order, at.mode, at.on_failure);
    for (what, names) in
        [("routes", &at.routes), ("groups", &at.groups), ("clients", &at.clients), ("models", &at.models)]
    {
        if !names.is_empty() {
            text.push_str(&format!(", {what} {}", names.join(" ")));
        }
    }
    text
}
