//! `switchyard key …` and `switchyard password …`: for machines whose dashboard is not at hand.

use std::collections::BTreeSet;
use std::io::Read;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use gateway_api::{ClientKeyCreate, ClientKeyCreated, ClientKeyView, KeyScopeView};
use gateway_core::operator_keys::{
    OPERATOR_KEY_PREFIX, OperatorKey, OperatorKeyError, add_operator_key, operator_keys, revoke_operator_key,
};
use gateway_core::ports::{Clock, SystemClock};
use http::Method;
use serde_json::json;

use super::account::account_named;
use super::remote::{Admin, CallError};
use super::text::{moment, table};
use super::{Call, NotFound, RemoteArgs, WrongUse, tell, tell_json};
use crate::Settings;
use crate::run::open_store;

/// What `key` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Client keys are for those who use models. Operator keys open the admin API, which is what --url and scripts need; they
are made and revoked on the gateway's machine only.

  switchyard key create laptop
  switchyard key create intern --group cheap
  switchyard key create deploy --operator
  switchyard key list
  switchyard key revoke laptop")]
pub(super) struct KeyArgs {
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
    #[command(subcommand)]
    pub(super) command: KeyCommand,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key; it is shown once
    Create {
        /// Who it is for
        label: String,
        /// One that opens the admin API
        #[arg(long)]
        operator: bool,
        /// A group whose accounts it may use (again for more); without any it may use all accounts
        #[arg(long = "group", value_name = "GROUP", conflicts_with = "operator")]
        groups: Vec<String>,
        /// An account that it may use, by name or id (again for more)
        #[arg(long = "account", value_name = "NAME", conflicts_with = "operator")]
        accounts: Vec<String>,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the keys
    #[command(visible_alias = "ls")]
    List {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a client key use other accounts; with no group and no account it may use all of them
    Scope {
        /// Its label or id
        label: String,
        /// A group whose accounts it may use (again for more)
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// An account that it may use, by name or id (again for more)
        #[arg(long = "account", value_name = "NAME")]
        accounts: Vec<String>,
    },
    /// Take a key back: it is refused within seconds
    Revoke {
        /// Its label, or the id of a client key
        label: String,
        /// An operator key of that label, when there is a client key too
        #[arg(long)]
        operator: bool,
    },
}

/// What `password` takes.
#[derive(Debug, Subcommand)]
pub(super) enum PasswordCommand {
    /// Set the dashboard's password, replacing one that was set, from one line of standard input
    Set,
}

/// Carries a key command out.
pub(super) async fn run(call: &Call, command: KeyCommand) -> anyhow::Result<()> {
    let admin = Admin::find(&call.settings, &call.wanted).await?;
    let done = match command {
        KeyCommand::Create { label, operator: true, json, .. } => create_operator(call, &label, json).await,
        KeyCommand::Create { label, operator: false, groups, accounts, json } => {
            create(&admin, label, (groups, accounts), json).await
        }
        KeyCommand::Scope { label, groups, accounts } => scope(&admin, &label, (groups, accounts)).await,
        KeyCommand::List { json } => list(call, &admin, json).await,
        KeyCommand::Revoke { label, operator } => revoke(call, &admin, &label, operator).await,
    };
    admin.close().await;
    done
}

/// Groups and accounts as they were typed.
type Named = (Vec<String>, Vec<String>);

async fn scope_of(admin: &Admin, (groups, names): Named) -> anyhow::Result<KeyScopeView> {
    let mut accounts = BTreeSet::new();
    for name in &names {
        accounts.insert(account_named(admin, name).await?.id);
    }
    Ok(KeyScopeView { groups: groups.into_iter().collect(), accounts })
}

async fn scope(admin: &Admin, label: &str, named: Named) -> anyhow::Result<()> {
    let key = find(admin, label).await?;
    let key = key.ok_or_else(|| NotFound(format!("there is no client key labelled `{label}`")))?;
    let wanted = scope_of(admin, named).await?;
    let path = format!("/keys/{}/scope", key.id);
    let key: ClientKeyView = admin.send_body(Method::PUT, &path, &wanted).await.map_err(CallError::told)?;
    tell(&format!("the client key `{}` may use {}", key.label, scope_words(&key.scope)));
    Ok(())
}

fn scope_words(scope: &KeyScopeView) -> String {
    if scope.is_everything() {
        return "all accounts".to_owned();
    }
    let groups = scope.groups.iter().map(|group| format!("group {group}"));
    groups.chain(scope.accounts.iter().cloned()).collect::<Vec<_>>().join(", ")
}

async fn find(admin: &Admin, label: &str) -> anyhow::Result<Option<ClientKeyView>> {
    let keys: Vec<ClientKeyView> = admin.get("/keys").await.map_err(CallError::told)?;
    Ok(keys.into_iter().find(|key| key.id == label || key.label == label))
}

async fn create(admin: &Admin, label: String, named: Named, json: bool) -> anyhow::Result<()> {
    let wanted = ClientKeyCreate { label, scope: scope_of(admin, named).await? };
    let made: ClientKeyCreated =
        admin.send_body(Method::POST, "/keys", &wanted).await.map_err(CallError::told)?;
    if json { tell_json(&made) } else { told(&made.key) }
}

async fn create_operator(call: &Call, label: &str, json: bool) -> anyhow::Result<()> {
    here_only(call)?;
    let store = open_store(&call.settings).await?;
    let made = add_operator_key(&*store.settings(), label, SystemClock.now()).await;
    store.close().await;
    let made = made?;
    if json {
        tell_json(&json!({ "key": made.expose(), "label": label.trim() }))
    } else {
        told(made.expose())
    }
}

fn told(key: &str) -> anyhow::Result<()> {
    tell(key);
    Ok(())
}

fn here_only(call: &Call) -> anyhow::Result<()> {
    match call.wanted.url {
        None => Ok(()),
        Some(_) => {
            let message = "operator keys are made and revoked on the gateway's machine, without --url";
            Err(WrongUse(message.to_owned()).into())
        }
    }
}

/// Operator keys are listed where they can be changed.
async fn list(call: &Call, admin: &Admin, json: bool) -> anyhow::Result<()> {
    let clients: Vec<ClientKeyView> = admin.get("/keys").await.map_err(CallError::told)?;
    let operators =
        if call.wanted.url.is_none() { stored_operators(&call.settings).await? } else { Vec::new() };
    if json {
        let operators: Vec<_> = operators
            .iter()
            .map(|key| json!({ "label": key.label, "created_at": key.created_at.as_millis() }))
            .collect();
        return tell_json(&json!({ "client": clients, "operator": operators }));
    }
    if clients.is_empty() && operators.is_empty() {
        tell("no key yet; make one with `switchyard key create LABEL`");
        return Ok(());
    }
    let head = ["ID", "KEY", "LABEL", "MADE", "MAY USE"].map(str::to_owned).to_vec();
    let client = |key: &ClientKeyView| {
        vec![
            key.id.clone(),
            format!("{}…", key.hint),
            key.label.clone(),
            moment(key.created_at),
            scope_words(&key.scope),
        ]
    };
    let operator = |key: &OperatorKey| {
        let hint = format!("{OPERATOR_KEY_PREFIX}…");
        vec![
            "operator".to_owned(),
            hint,
            key.label.clone(),
            moment(key.created_at.as_millis()),
            "the admin API".to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = std::iter::once(head)
        .chain(clients.iter().map(client))
        .chain(operators.iter().map(operator))
        .collect();
    tell(&table(&rows));
    Ok(())
}

async fn stored_operators(settings: &Settings) -> anyhow::Result<Vec<OperatorKey>> {
    let store = open_store(settings).await?;
    let keys = operator_keys(&*store.settings()).await;
    store.close().await;
    Ok(keys?)
}

/// The key of that label, whichever kind it is; of two, the client key unless told otherwise.
async fn revoke(call: &Call, admin: &Admin, label: &str, operator: bool) -> anyhow::Result<()> {
    if operator {
        here_only(call)?;
    } else {
        if let Some(key) = find(admin, label).await? {
            admin.delete(&format!("/keys/{}", key.id)).await.map_err(CallError::told)?;
            tell(&format!("the client key `{}` is revoked", key.label));
            return Ok(());
        }
        if call.wanted.url.is_some() {
            return Err(NotFound(format!("there is no client key labelled `{label}`")).into());
        }
    }
    let store = open_store(&call.settings).await?;
    let revoked = revoke_operator_key(&*store.settings(), label).await;
    store.close().await;
    match revoked {
        Ok(()) => tell(&format!("the operator key `{label}` is revoked")),
        Err(OperatorKeyError::Unknown(_)) => {
            return Err(
                NotFound(format!("there is no key labelled `{label}`; see `switchyard key list`")).into()
            );
        }
        Err(error) => return Err(error.into()),
    }
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
