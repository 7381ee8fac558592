//! `switchyard key …` and `switchyard password …`: for machines whose dashboard is not at hand.

use std::io::Read;

use anyhow::{Context, bail};
use clap::Subcommand;
use gateway_core::accounts::check_name;
use gateway_core::ports::{Clock, StoreError, SystemClock};

use super::tell;
use crate::Settings;
use crate::run::open_store;

/// What `key` takes.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a client key; it is shown once
    Create {
        /// Who it is for
        label: String,
    },
    /// List the client keys
    List,
}

/// What `password` takes.
#[derive(Debug, Subcommand)]
pub(super) enum PasswordCommand {
    /// Set the dashboard's password, replacing one that was set, from one line of standard input
    Set,
}

/// Carries a key command out.
pub(super) async fn run(settings: &Settings, command: KeyCommand) -> anyhow::Result<()> {
    let store = open_store(settings).await?;
    match command {
        KeyCommand::Create { label } => {
            let (key, kept) = gateway_server::new_client_key(check_name(&label)?, SystemClock.now())?;
            store.client_keys().add_key(kept).await.map_err(|error| match error {
                StoreError::NameTaken => {
                    anyhow::anyhow!("a key labelled `{label}` exists; choose another label")
                }
                other => other.into(),
            })?;
            tell(&key);
        }
        KeyCommand::List => {
            for key in store.client_keys().list_keys().await? {
                tell(&format!("{}  {}…  {}", key.id, key.hint, key.label));
            }
        }
    }
    store.close().await;
    Ok(())
}

/// Carries a password command out.
pub(super) async fn set_password(settings: &Settings, command: PasswordCommand) -> anyhow::Result<()> {
    let PasswordCommand::Set = command;
    let mut line = String::new();
    std::io::stdin().take(2048).read_to_string(&mut line).context("read the password")?;
    let password = line.lines().next().unwrap_or_default().to_owned();
    if password.is_empty() {
        bail!("give the password as one line of standard input");
    }
    let hash = gateway_server::hash_password(password).await?;
    let store = open_store(settings).await?;
    store.settings().put_setting(gateway_server::PASSWORD_SETTING, hash).await?;
    store.close().await;
    tell("the password is set; browsers that are signed in stay so until they are idle");
    Ok(())
}
