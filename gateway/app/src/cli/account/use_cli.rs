//! `switchyard account use NAME --cli`: one account becomes the sign-in of this machine's Codex CLI, and stays in the
//! pool. Both renew the same tokens from then on, so the account remembers the file, and the gateway takes over what the
//! CLI puts there.
//!
//! With --url the account is one of a gateway elsewhere, which cannot see the file: see `use_elsewhere`.
//!
//! Nothing is lost on the way: tokens of pooled accounts that the CLI renewed are stored before their file is replaced,
//! and a sign-in that the pool does not know is kept beside it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use gateway_core::import::{
    Format, ImportItem, ImportOptions, MAX_IMPORT_BYTES, SeatStatus, export_auth_json, import, preview, read,
};
use gateway_core::ports::{AccountStore, Clock, SystemClock};
use gateway_domain::{Account, AccountId, AccountKind, AccountState, Timestamp};
use serde_json::json;

use super::choose::{Keys, pick};
use super::use_elsewhere;
use crate::cli::password::PasswordArgs;
use crate::cli::private_file::replace_private;
use crate::cli::remote::Admin;
use crate::cli::text::moment;
use crate::cli::{Call, NotFound, WrongUse, tell, tell_json};
use crate::run::open_store;

/// The file that holds the CLI's sign-in.
const AUTH_JSON: &str = "auth.json";
/// How often replacing the file is tried: on network folders it may be busy.
const TRIES: u32 = 5;
/// The pause after the first try; it grows with each.
const PAUSE: Duration = Duration::from_millis(25);

/// What `account use` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The account stays in the pool and is shared: what the Codex CLI renews, the gateway takes over. To send the CLI through
the gateway instead, without any real token in its hands, see `switchyard run`.

  switchyard account use work --cli
  switchyard account use work --cli --codex-home /srv/codex
  switchyard account use --cli --repair        # the file is broken, stale or somebody else's: write it again
  switchyard account use work --cli --url https://gateway.example     # with SWITCHYARD_KEY, and that gateway's password

A gateway elsewhere cannot see the file. Whoever renews the tokens first makes the other's worthless, so say --repair again
whenever one of them asks for a sign-in: it hands the newer ones over. `switchyard run --url` needs no such care.")]
pub(in crate::cli) struct UseArgs {
    /// Its name, id or e-mail address [default with --repair: the account that shares the file]
    #[arg(required_unless_present = "repair")]
    name: Option<String>,
    /// For the Codex CLI
    #[arg(long, required = true)]
    cli: bool,
    #[arg(long, value_name = "DIR", help = "The home of the Codex CLI [default: CODEX_HOME, or ~/.codex]")]
    codex_home: Option<PathBuf>,
    /// Only write the file when it does not hold the account's newest tokens
    #[arg(long)]
    repair: bool,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) password: PasswordArgs,
}

impl UseArgs {
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) const fn repair(&self) -> bool {
        self.repair
    }
}

/// What was done to the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It held the newest tokens already.
    Unchanged,
    /// It was written; what it held before, if that is nowhere else, is there.
    Written { backup: Option<PathBuf> },
}

/// Hands the account over.
pub(super) async fn run(call: &Call, args: &UseArgs) -> anyhow::Result<()> {
    let home = home(call, args)?;
    let file = home.join(AUTH_JSON);
    // What a link leads to is replaced, not the link.
    let file = std::fs::canonicalize(&file).unwrap_or(file);
    let ((id, name), done) = match &call.wanted.url {
        Some(url) => elsewhere(call, url, &file, args).await?,
        None => here(call, &file, args).await?,
    };
    let backup = match &done {
        Done::Written { backup } => backup.as_ref().map(|path| path.display().to_string()),
        Done::Unchanged => None,
    };
    if args.json {
        let (changed, file) = (done != Done::Unchanged, file.display().to_string());
        return tell_json(&json!({
            "id": id, "name": name, "auth_json": file, "changed": changed, "backup": backup,
        }));
    }
    match done {
        Done::Unchanged => tell(&format!("{} holds the newest tokens of `{name}`", file.display())),
        Done::Written { .. } => {
            tell(&format!("the Codex CLI of {} is signed in as `{name}`", home.display()))
        }
    }
    if let Some(backup) = backup {
        tell(&format!("what was there before is in {backup}"));
    }
    Ok(())
}

/// Id and name of the account, and what was done.
type Handed = ((String, String), Done);

async fn here(call: &Call, file: &Path, args: &UseArgs) -> anyhow::Result<Handed> {
    let store = open_store(&call.settings).await?;
    let handed = hand_over(&*store.accounts(), file, args).await;
    store.close().await;
    let (account, done) = handed?;
    Ok(((account.id.as_str().to_owned(), account.name), done))
}

async fn elsewhere(call: &Call, url: &str, file: &Path, args: &UseArgs) -> anyhow::Result<Handed> {
    let admin = Admin::find(&call.settings, &call.wanted).await?;
    let handed = use_elsewhere::hand_over(&admin, url, file, args).await;
    admin.close().await;
    let (account, done) = handed?;
    Ok(((account.id, account.name), done))
}

fn home(call: &Call, args: &UseArgs) -> anyhow::Result<PathBuf> {
    let named = args.codex_home.clone().or_else(|| call.variable("CODEX_HOME").map(PathBuf::from));
    let home = match named.or_else(|| call.variable("HOME").map(|home| Path::new(home).join(".codex"))) {
        Some(home) => std::path::absolute(home)?,
        None => return Err(WrongUse("HOME is not set: name the folder with --codex-home".to_owned()).into()),
    };
    if !home.exists() {
        gateway_store::private_folder(&home)?;
    }
    Ok(home)
}

async fn hand_over(store: &dyn AccountStore, file: &Path, args: &UseArgs) -> anyhow::Result<(Account, Done)> {
    let accounts: Vec<Account> = store.list().await?.into_iter().map(|one| one.account).collect();
    let account = wanted(&accounts, file, args.name.as_deref())?;
    if account.kind != AccountKind::Codex {
        return Err(WrongUse(format!(
            "`{}` is opened by a key; the Codex CLI signs in with ChatGPT",
            account.name
        ))
        .into());
    }
    if let AccountState::SignInNeeded { .. } = account.state {
        bail!(
            "`{}` must be signed in again first: switchyard account login --account {}",
            account.name,
            account.id
        );
    }
    let found = what_is_there(store, file).await?;
    // Noted before the file is written: from then on the CLI may renew the tokens.
    share(store, &accounts, account, file).await?;
    let held = store.credentials(&account.id).await?.0.refresh_token;
    if args.repair && found.holds(account.id.as_str(), held.map(|token| token.expose().clone())) {
        return Ok((account.clone(), Done::Unchanged));
    }
    let text = export_auth_json(store, &account.id).await?;
    let backup = found.keep_aside(file, SystemClock.now())?;
    replace(file, text.expose().as_bytes())
        .await
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok((account.clone(), Done::Written { backup }))
}

/// The account that is named, or the one that shares the file.
fn wanted<'a>(accounts: &'a [Account], file: &Path, name: Option<&str>) -> anyhow::Result<&'a Account> {
    if let Some(name) = name {
        return pick(accounts, name, |account| Keys {
            id: account.id.as_str(),
            name: &account.name,
            email: account.identity.email.as_deref(),
        });
    }
    let owner = accounts.iter().find(|account| account.settings.co_owned.as_deref() == Some(file));
    owner.ok_or_else(|| NotFound(format!("no account shares {}; name one", file.display())).into())
}

/// What the file holds.
#[derive(Debug)]
pub(super) enum Found {
    /// There is none, or it is empty.
    Nothing,
    /// A sign-in of a pooled account; what it had that is newer is stored by now.
    Pooled { account: AccountId, refresh_token: Option<String> },
    /// Something the pool does not know: another sign-in, a key, or a broken file.
    Unknown(Vec<u8>),
}

/// What the file says; nothing when it is not there or empty.
pub(super) fn contents(file: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match std::fs::read(file) {
        Ok(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => Ok(None),
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

async fn what_is_there(store: &dyn AccountStore, file: &Path) -> anyhow::Result<Found> {
    let Some(bytes) = contents(file)? else { return Ok(Found::Nothing) };
    Ok(match pooled(store, &bytes).await? {
        Some(found) => found,
        None => Found::Unknown(bytes),
    })
}

/// Takes over what a pooled account's file has that is newer.
async fn pooled(store: &dyn AccountStore, bytes: &[u8]) -> anyhow::Result<Option<Found>> {
    let items = || -> Option<Vec<ImportItem>> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_IMPORT_BYTES)?;
        read(text, Format::AuthJson, None, SystemClock.now()).ok()
    };
    let (Some(known), Some(taken)) = (items(), items()) else { return Ok(None) };
    let refresh_token = match known.as_slice() {
        [ImportItem { found: Ok(found), .. }] => {
            found.sign_in.credentials.refresh_token.as_ref().map(|token| token.expose().clone())
        }
        _ => return Ok(None),
    };
    let options = ImportOptions::default();
    let rows = preview(store, &SystemClock, known, &options).await?;
    let [row] = rows.as_slice() else { return Ok(None) };
    let (SeatStatus::Known, Some(account)) = (row.seat, row.account.clone()) else { return Ok(None) };
    import(store, &SystemClock, taken, &options).await?;
    Ok(Some(Found::Pooled { account, refresh_token }))
}

impl Found {
    /// Whether it is this account's, with the refresh token that the pool has. After newer ones were taken over, other
    /// tokens are older ones: their refresh token is spent.
    pub(super) fn holds(&self, id: &str, newest: Option<String>) -> bool {
        let Self::Pooled { account, refresh_token: Some(held) } = self else { return false };
        account.as_str() == id && newest.as_ref() == Some(held)
    }

    /// Keeps what is nowhere else. A pooled account's old file is not kept: using it would end the account's sign-in.
    pub(super) fn keep_aside(&self, file: &Path, now: Timestamp) -> anyhow::Result<Option<PathBuf>> {
        let Self::Unknown(bytes) = self else { return Ok(None) };
        let when = moment(now.as_millis()).replace([':', '.'], "-");
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(format!(".before-switchyard-{when}"));
        let backup = file.with_file_name(name);
        replace_private(&backup, bytes).with_context(|| format!("cannot write {}", backup.display()))?;
        Ok(Some(backup))
    }
}

/// The account remembers the file, and nobody else does.
async fn share(
    store: &dyn AccountStore,
    accounts: &[Account],
    account: &Account,
    file: &Path,
) -> anyhow::Result<()> {
    for one in accounts {
        let before = &one.settings.co_owned;
        let after = match (one.id == account.id, before.as_deref() == Some(file)) {
            (true, _) => Some(file.to_owned()),
            (false, true) => None,
            (false, false) => continue,
        };
        if after != *before {
            let mut settings = one.settings.clone();
            settings.co_owned = after;
            store.put_settings(&one.id, settings).await?;
        }
    }
    Ok(())
}

/// Replaces the file in one step.
pub(super) async fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut tried = 1;
    loop {
        match replace_private(file, bytes) {
            Err(_) if tried < TRIES => tokio::time::sleep(PAUSE * tried).await,
            result => return result,
        }
        tried += 1;
    }
}
