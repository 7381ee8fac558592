//! `switchyard account export`: accounts with their tokens, to a file that only its owner may read, or to a pipe.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use gateway_api::ExportRequest;
use gateway_core::import::{Chosen, export, export_auth_json};
use gateway_core::ports::{AccountStore, SystemClock};
use gateway_domain::{AccountId, Secret};
use http::Method;

use super::choose;
use crate::Settings;
use crate::cli::password::PasswordArgs;
use crate::cli::private_file::replace_private;
use crate::cli::remote::{Admin, CallError};
use crate::cli::{Call, NotFound, Usage, tell};
use crate::run::open_store;

/// What `account export` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
What is written opens the accounts: keep it as you keep passwords. A refresh token is good once. When another program
uses an exported one, the account has to be signed in again here, or there.

  switchyard account export --all --output accounts.json
  switchyard account export work --format auth-json --output ~/.codex/auth.json
  switchyard account export --all --output accounts.json --url https://gateway.example     # with SWITCHYARD_KEY

A gateway elsewhere wants its dashboard password as well: an operator key alone takes no tokens out.")]
pub(in crate::cli) struct ExportArgs {
    /// Accounts, by name or id
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// What to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Switchyard)]
    format: ExportFormat,
    /// The file to write, for its owner alone [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
}

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Everything about every account, for `account import`
    Switchyard,
    /// The auth.json of the Codex CLI, for one account
    AuthJson,
}

/// Carries the command out.
pub(super) async fn run(call: &Call, args: &ExportArgs) -> anyhow::Result<()> {
    if args.format == ExportFormat::AuthJson && args.names.len() != 1 {
        return Err(Usage("an auth.json holds one account: name one").into());
    }
    let text = match &call.wanted.url {
        Some(url) => elsewhere(call, url, args).await?,
        None => here(&call.settings, args).await?,
    };
    match &args.output {
        None => tell(text.expose().trim_end()),
        Some(file) => {
            replace_private(file, text.expose().as_bytes())
                .with_context(|| format!("cannot write {}", file.display()))?;
            tell(&format!("written to {}", file.display()));
        }
    }
    Ok(())
}

async fn here(settings: &Settings, args: &ExportArgs) -> anyhow::Result<Secret> {
    let store = open_store(settings).await?;
    let text = text(&*store.accounts(), args).await;
    store.close().await;
    text
}

async fn elsewhere(call: &Call, url: &str, args: &ExportArgs) -> anyhow::Result<Secret> {
    let admin = Admin::find(&call.settings, &call.wanted).await?;
    let mut ids = Vec::with_capacity(args.names.len());
    for name in &args.names {
        ids.push(choose::one(&admin, name).await?.id);
    }
    let format = match args.format {
        ExportFormat::Switchyard => gateway_api::ExportFormat::Switchyard,
        ExportFormat::AuthJson => gateway_api::ExportFormat::AuthJson,
    };
    let request = ExportRequest { ids, all: args.all, format, password: args.password.read(url).await? };
    let text = admin.text(Method::POST, "/accounts/export", &request).await;
    admin.close().await;
    Ok(Secret::new(text.map_err(CallError::told)?))
}

async fn text(store: &dyn AccountStore, args: &ExportArgs) -> anyhow::Result<Secret> {
    if args.all {
        return Ok(export(store, &SystemClock, Chosen::All).await?);
    }
    let ids = ids(store, &args.names).await?;
    Ok(match (args.format, ids.as_slice()) {
        (ExportFormat::AuthJson, [id]) => export_auth_json(store, id).await?,
        _ => export(store, &SystemClock, Chosen::Ids(ids)).await?,
    })
}

/// The ids of accounts that people name.
async fn ids(store: &dyn AccountStore, names: &[String]) -> anyhow::Result<Vec<AccountId>> {
    let stored = store.list().await?;
    let find = |name: &String| {
        stored.iter().map(|one| &one.account).find(|one| one.name == *name || one.id.as_str() == name)
    };
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        match find(name) {
            Some(account) => ids.push(account.id.clone()),
            None => {
                let message = format!("there is no account `{name}`; see `switchyard account list`");
                return Err(NotFound(message).into());
            }
        }
    }
    Ok(ids)
}
