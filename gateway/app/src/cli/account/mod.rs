//! `switchyard account …`: works on the database, whether a gateway is running or not; a running one notices within
//! seconds.

mod export;
mod import;
mod list;
mod private_file;
mod sources;

use clap::Subcommand;

use crate::Settings;

/// What `account` takes.
#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Add accounts from files, or renew the tokens of those that are known
    Import(import::ImportArgs),
    /// Write accounts out, tokens included
    Export(export::ExportArgs),
    /// List the accounts
    List,
}

/// Carries a command out.
pub(super) async fn run(settings: &Settings, command: AccountCommand) -> anyhow::Result<()> {
    match command {
        AccountCommand::Import(args) => import::run(settings, &args).await,
        AccountCommand::Export(args) => export::run(settings, &args).await,
        AccountCommand::List => list::run(settings).await,
    }
}
