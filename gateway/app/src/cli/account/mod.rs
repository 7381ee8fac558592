//! `switchyard account …`: what there is to say about accounts, and which file carries it out.
//!
//! Without --url import, export and `use --cli` work on the database and on files of this machine; everything else speaks
//! the admin API, to whichever gateway is meant.

mod add_key;
mod choose;
mod export;
mod import;
mod import_elsewhere;
mod login;
mod manage;
mod patch;
mod show;
mod sources;
mod use_cli;
mod use_elsewhere;

use clap::{Args, Subcommand};

pub(super) use choose::{list, one as account_named};
pub(super) use show::state_word;

use super::remote::Admin;
use super::{Call, RemoteArgs};

/// What `account` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
An account is named by its name, its id or its e-mail address. Without --url a command speaks to the gateway that runs
on the data folder; when none runs it works on the database, and a gateway notices at its next look or start.

  switchyard account login                       # sign in with the browser
  switchyard account login --device              # or with a code, on a machine without one
  switchyard account list
  switchyard account set ada priority=1 groups=eu,work
  switchyard account test --all
  switchyard account list --json --url https://gateway.example   # with SWITCHYARD_KEY

Ends with status 0 when it is done, 1 when it failed, 2 when it was called wrongly, 3 when there is no such account.")]
pub(in crate::cli) struct AccountArgs {
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
    #[command(subcommand)]
    pub(super) command: AccountCommand,
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Sign a ChatGPT account in, or one that is known in again
    Login(login::LoginArgs),
    /// Add accounts from files, or renew the tokens of those that are known
    Import(import::ImportArgs),
    /// Write accounts out, tokens included
    Export(export::ExportArgs),
    /// Add an account that is opened by a key: OpenAI, Anthropic, a compatible server, another gateway
    AddKey(add_key::AddKeyArgs),
    /// List the accounts
    #[command(visible_alias = "ls")]
    List(show::ListArgs),
    /// Show everything about one account
    Show(show::ShowArgs),
    /// Give an account another name
    Rename(manage::RenameArgs),
    /// Change what was decided about an account
    Set(patch::SetArgs),
    /// Set accounts aside: they get no further requests
    Pause(manage::ManyArgs),
    /// Take accounts back that were set aside
    Resume(manage::ManyArgs),
    /// Let one account serve everything that it can
    Pin(manage::OneArgs),
    /// Let the policy choose again
    Unpin(manage::UnpinArgs),
    /// Ask the upstream of accounts whether it takes them; costs no tokens
    Test(manage::ManyArgs),
    /// Renew the tokens of accounts now
    Refresh(manage::ManyArgs),
    /// Redeem a reset credit of a ChatGPT account: its windows are empty again
    Redeem(manage::OneArgs),
    /// End the cooldowns of accounts: they are tried with the next request
    ClearCooldowns(manage::ManyArgs),
    /// Remove accounts and their tokens for good
    #[command(visible_alias = "rm")]
    Remove(manage::RemoveArgs),
    /// Hand an account to the Codex CLI of this machine
    Use(use_cli::UseArgs),
}

/// Carries a command out.
pub(super) async fn run(call: &Call, command: AccountCommand) -> anyhow::Result<()> {
    match command {
        AccountCommand::Import(args) => import::run(call, &args).await,
        AccountCommand::Export(args) => export::run(call, &args).await,
        AccountCommand::Use(args) => use_cli::run(call, &args).await,
        command => {
            let admin = Admin::find(&call.settings, &call.wanted).await?;
            let done = over(&admin, command).await;
            admin.close().await;
            done
        }
    }
}

/// What works over the admin API.
async fn over(admin: &Admin, command: AccountCommand) -> anyhow::Result<()> {
    match command {
        AccountCommand::Login(args) => login::run(admin, args).await,
        AccountCommand::AddKey(args) => add_key::run(admin, args).await,
        AccountCommand::List(args) => show::list(admin, &args).await,
        AccountCommand::Show(args) => show::show(admin, &args).await,
        AccountCommand::Rename(args) => manage::rename(admin, &args).await,
        AccountCommand::Set(args) => patch::set(admin, &args).await,
        AccountCommand::Pause(args) => manage::pause(admin, &args, true).await,
        AccountCommand::Resume(args) => manage::pause(admin, &args, false).await,
        AccountCommand::Pin(args) => manage::pin(admin, &args).await,
        AccountCommand::Unpin(args) => manage::unpin(admin, &args).await,
        AccountCommand::Test(args) => manage::test(admin, &args).await,
        AccountCommand::Refresh(args) => manage::refresh(admin, &args).await,
        AccountCommand::Redeem(args) => manage::redeem(admin, &args).await,
        AccountCommand::ClearCooldowns(args) => manage::clear_cooldowns(admin, &args).await,
        AccountCommand::Remove(args) => manage::remove(admin, &args).await,
        AccountCommand::Import(_) | AccountCommand::Export(_) | AccountCommand::Use(_) => Ok(()),
    }
}
