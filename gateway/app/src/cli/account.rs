//! `switchyard account …`: works on the database, whether a gateway is running or not; a running one notices within
//! seconds.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use gateway_core::accounts::import_auth_json;
use gateway_core::ports::{Imported, SystemClock};
use gateway_domain::AccountState;

use super::tell;
use crate::Settings;
use crate::run::open_store;

/// The largest file read, in bytes; the reader of sign-ins has a smaller limit and says so.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// What `account` takes.
#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Add the account of a Codex auth.json, or renew its tokens when it is known
    Import {
        /// The file, or `-` for standard input
        file: PathBuf,
        /// What to call it [default: its e-mail address]
        #[arg(long)]
        name: Option<String>,
    },
    /// List the accounts
    List,
}

/// Carries a command out.
pub(super) async fn run(settings: &Settings, command: AccountCommand) -> anyhow::Result<()> {
    match command {
        AccountCommand::Import { file, name } => import(settings, &file, name.as_deref()).await,
        AccountCommand::List => list(settings).await,
    }
}

async fn import(settings: &Settings, file: &Path, name: Option<&str>) -> anyhow::Result<()> {
    let text = read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let store = open_store(settings).await?;
    let imported = import_auth_json(&*store.accounts(), &SystemClock, &text, name)
        .await
        .with_context(|| format!("cannot import {}", file.display()))?;
    store.close().await;
    match imported {
        Imported::Added(account) => tell(&format!("added `{}` ({})", account.name, account.id)),
        Imported::Updated(account) => {
            tell(&format!("`{}` ({}) was known: its tokens were replaced", account.name, account.id));
        }
    }
    Ok(())
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(file)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    }
    Ok(text)
}

async fn list(settings: &Settings) -> anyhow::Result<()> {
    let store = open_store(settings).await?;
    let accounts = store.accounts().list().await?;
    store.close().await;
    if accounts.is_empty() {
        tell("no account yet; add one with `switchyard account import ~/.codex/auth.json`");
    }
    for stored in accounts {
        let account = stored.account;
        let state = match account.state {
            AccountState::Active => "active".to_owned(),
            AccountState::Paused => "paused".to_owned(),
            AccountState::SignInNeeded { reason } => format!("sign in again ({})", reason.0),
        };
        let plan = account.plan.unwrap_or_else(|| "unknown plan".to_owned());
        tell(&format!("{}  {}  {plan}  {state}", account.id, account.name));
    }
    Ok(())
}
