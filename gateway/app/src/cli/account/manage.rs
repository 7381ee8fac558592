//! What is done to accounts in one call each: rename, pause, pin, test, refresh, remove.

use std::io::IsTerminal;

use anyhow::bail;
use clap::Args;
use futures_util::StreamExt;
use gateway_api::{AccountDetail, AccountPatch, AccountTested, AccountView, PinView, Redeemed};
use http::Method;
use serde_json::{Value, json};

use super::choose::{self, Chosen};
use crate::cli::remote::{Admin, CallError, Place};
use crate::cli::text::plain;
use crate::cli::{WrongUse, ask, tell, tell_json, tell_note};

/// Accounts worked on at once.
const AT_ONCE: usize = 8;

/// What commands for one account take.
#[derive(Debug, Args)]
pub(in crate::cli) struct OneArgs {
    /// Its name, id or e-mail address
    name: String,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What commands for several accounts take.
#[derive(Debug, Args)]
pub(in crate::cli) struct ManyArgs {
    #[command(flatten)]
    chosen: Chosen,
    /// Answer as JSON: one object for one NAME, a list otherwise
    #[arg(long)]
    json: bool,
}

/// What `account rename` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct RenameArgs {
    /// Its name, id or e-mail address
    name: String,
    /// What to call it
    new_name: String,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What `account unpin` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct UnpinArgs {
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What `account remove` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct RemoveArgs {
    /// Accounts, by name, id or e-mail address
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// What happened to one account.
struct Told {
    line: String,
    json: Value,
}

/// Does something to each chosen account. One that fails does not keep the others from their turn.
async fn each<F>(admin: &Admin, args: &ManyArgs, act: impl Fn(AccountView) -> F) -> anyhow::Result<()>
where
    F: Future<Output = Result<Told, CallError>>,
{
    let accounts = args.chosen.accounts(admin).await?;
    let count = accounts.len();
    let mut done = futures_util::stream::iter(accounts)
        .map(|account| {
            let (id, name) = (account.id.clone(), account.name.clone());
            let acting = act(account);
            async move { (id, name, acting.await) }
        })
        .buffered(AT_ONCE);
    let (mut answers, mut failed) = (Vec::with_capacity(count), 0);
    while let Some((id, name, result)) = done.next().await {
        match result {
            Ok(told) => {
                if !args.json {
                    tell(&plain(&told.line));
                }
                answers.push(told.json);
            }
            Err(error) if args.chosen.is_one() => return Err(error.told()),
            Err(error) => {
                failed += 1;
                if !args.json {
                    tell(&plain(&format!("`{name}`: {error}")));
                }
                answers.push(json!({ "id": id, "name": name, "error": error.to_string() }));
            }
        }
    }
    match (args.json, args.chosen.is_one(), answers.pop()) {
        (true, true, Some(answer)) => tell_json(&answer)?,
        (true, _, last) => {
            answers.extend(last);
            tell_json(&answers)?;
        }
        (false, ..) => {}
    }
    if failed > 0 {
        bail!("{failed} of {count} accounts failed");
    }
    Ok(())
}

fn path(account: &AccountView) -> String {
    format!("/accounts/{}", account.id)
}

/// The whole account, as it is after the change.
fn told(line: String, detail: &AccountDetail) -> Told {
    Told { line, json: serde_json::to_value(detail).unwrap_or_default() }
}

async fn change(
    admin: &Admin,
    account: &AccountView,
    patch: &AccountPatch,
) -> Result<AccountDetail, CallError> {
    admin.send_body(Method::PATCH, &path(account), patch).await
}

/// `account rename`.
pub(super) async fn rename(admin: &Admin, args: &RenameArgs) -> anyhow::Result<()> {
    let account = choose::one(admin, &args.name).await?;
    let patch = AccountPatch { name: Some(args.new_name.clone()), ..AccountPatch::default() };
    let detail = change(admin, &account, &patch).await.map_err(CallError::told)?;
    if args.json {
        return tell_json(&detail);
    }
    tell(&format!("`{}` is now called `{}`", account.name, detail.account.name));
    Ok(())
}

/// `account pause` and `account resume`.
pub(super) async fn pause(admin: &Admin, args: &ManyArgs, paused: bool) -> anyhow::Result<()> {
    let patch = &AccountPatch { paused: Some(paused), ..AccountPatch::default() };
    let what = if paused { "is set aside" } else { "may serve again" };
    each(admin, args, |account| async move {
        let detail = change(admin, &account, patch).await?;
        Ok(told(format!("`{}` {what}", account.name), &detail))
    })
    .await
}

/// `account test`.
pub(super) async fn test(admin: &Admin, args: &ManyArgs) -> anyhow::Result<()> {
    each(admin, args, |account| async move {
        let tested: AccountTested = admin.post(&format!("{}/test", path(&account))).await?;
        let mut line = format!("`{}` answers within {} ms", account.name, tested.latency_ms);
        if !tested.models.is_empty() {
            line.push_str(&format!(", lists {} models", tested.models.len()));
        }
        if !tested.dialects.is_empty() {
            line.push_str(&format!(", speaks {}", tested.dialects.join(", ")));
        }
        let mut json = serde_json::to_value(&tested).unwrap_or_default();
        if let Some(object) = json.as_object_mut() {
            object.insert("id".to_owned(), account.id.into());
            object.insert("name".to_owned(), account.name.into());
        }
        Ok(Told { line, json })
    })
    .await
}

/// `account refresh`.
pub(super) async fn refresh(admin: &Admin, args: &ManyArgs) -> anyhow::Result<()> {
    each(admin, args, |account| async move {
        let detail: AccountDetail = admin.post(&format!("{}/refresh", path(&account))).await?;
        Ok(told(format!("`{}` has new tokens", account.name), &detail))
    })
    .await
}

/// `account redeem`.
pub(super) async fn redeem(admin: &Admin, args: &OneArgs) -> anyhow::Result<()> {
    let account = choose::one(admin, &args.name).await?;
    let redeemed: Redeemed =
        admin.post(&format!("{}/redeem", path(&account))).await.map_err(CallError::told)?;
    if args.json {
        tell_json(&redeemed)?;
    }
    let left = redeemed.detail.reset_credits.map(|left| format!("; {left} left")).unwrap_or_default();
    let line = match redeemed.outcome.as_str() {
        "reset" | "already_redeemed" => format!("the windows of `{}` are empty again{left}", account.name),
        "nothing_to_reset" => bail!("`{}` has nothing to reset; no credit was spent", account.name),
        "no_credit" => bail!("`{}` has no reset credit", account.name),
        other => bail!("the gateway answered `{other}`, which this version does not know"),
    };
    if !args.json {
        tell(&plain(&line));
    }
    Ok(())
}

/// `account clear-cooldowns`.
pub(super) async fn clear_cooldowns(admin: &Admin, args: &ManyArgs) -> anyhow::Result<()> {
    if *admin.place() == Place::Database {
        bail!("cooldowns live in a running gateway, and none runs on this data folder");
    }
    each(admin, args, |account| async move {
        let detail: AccountDetail = admin.post(&format!("{}/clear-cooldowns", path(&account))).await?;
        Ok(told(format!("`{}` is tried with the next request", account.name), &detail))
    })
    .await
}

/// `account pin`.
pub(super) async fn pin(admin: &Admin, args: &OneArgs) -> anyhow::Result<()> {
    let account = choose::one(admin, &args.name).await?;
    let wanted = PinView { account: Some(account.id) };
    let pinned: PinView = admin.send_body(Method::PUT, "/pin", &wanted).await.map_err(CallError::told)?;
    if args.json {
        tell_json(&pinned)?;
    } else {
        tell(&format!("`{}` serves everything that it can", account.name));
    }
    tell_later(admin);
    Ok(())
}

/// `account unpin`.
pub(super) async fn unpin(admin: &Admin, args: &UnpinArgs) -> anyhow::Result<()> {
    let wanted = PinView { account: None };
    let pinned: PinView = admin.send_body(Method::PUT, "/pin", &wanted).await.map_err(CallError::told)?;
    if args.json {
        tell_json(&pinned)?;
    } else {
        tell("no account is pinned; the policy chooses");
    }
    tell_later(admin);
    Ok(())
}

fn tell_later(admin: &Admin) {
    if *admin.place() == Place::Database {
        tell_note(
            "no gateway was found on this data folder; one that uses the database follows the pin within seconds",
        );
    }
}

/// `account remove`.
pub(super) async fn remove(admin: &Admin, args: &RemoveArgs) -> anyhow::Result<()> {
    let mut chosen = Vec::with_capacity(args.names.len());
    for name in &args.names {
        chosen.push(choose::one(admin, name).await?);
    }
    if !args.yes {
        let names: Vec<String> = chosen.iter().map(|account| format!("`{}`", account.name)).collect();
        if !std::io::stdin().is_terminal() {
            let message = "removing takes the tokens away for good: say --yes where nobody can be asked";
            return Err(WrongUse(message.to_owned()).into());
        }
        if !ask(&format!("remove {} and the tokens for good? [y/N] ", names.join(", ")))? {
            bail!("nothing was removed");
        }
    }
    let mut removed = Vec::with_capacity(chosen.len());
    for account in chosen {
        admin.delete(&path(&account)).await.map_err(CallError::told)?;
        if !args.json {
            tell(&format!("`{}` is removed", account.name));
        }
        removed.push(json!({ "id": account.id, "name": account.name }));
    }
    if args.json { tell_json(&removed) } else { Ok(()) }
}
