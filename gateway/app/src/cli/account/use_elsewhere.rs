//! `account use --cli --url`: an account of a gateway elsewhere becomes the sign-in of this machine's Codex CLI.
//!
//! That gateway cannot read this machine's file, so nobody keeps the two in step: what the CLI renewed is handed over by
//! this command, whenever it runs, before anything is replaced. Refuses: tokens without the gateway's password.

use std::path::Path;

use anyhow::{Context, bail};
use gateway_api::{
    AccountStateView, AccountView, ExportFormat, ExportRequest, ImportFormat, ImportReport, ImportRequest,
    ImportSeat,
};
use gateway_core::import::{Format, MAX_IMPORT_BYTES, read};
use gateway_core::ports::{Clock, SystemClock};
use gateway_domain::AccountId;
use http::Method;

use super::choose;
use super::use_cli::{Done, Found, UseArgs, contents, replace};
use crate::cli::remote::{Admin, CallError};
use crate::cli::{NotFound, WrongUse};

/// Writes the file; says whose it is.
pub(super) async fn hand_over(
    admin: &Admin,
    url: &str,
    file: &Path,
    args: &UseArgs,
) -> anyhow::Result<(AccountView, Done)> {
    let found = what_is_there(admin, file).await?;
    let account = wanted(admin, &found, file, args.name()).await?;
    if account.kind != "codex" {
        let message = format!("`{}` is opened by a key; the Codex CLI signs in with ChatGPT", account.name);
        return Err(WrongUse(message).into());
    }
    if account.state == AccountStateView::SignInNeeded {
        bail!(
            "`{}` must be signed in again first: switchyard account login --account {}",
            account.name,
            account.id
        );
    }
    let request = ExportRequest {
        ids: vec![account.id.clone()],
        all: false,
        format: ExportFormat::AuthJson,
        password: args.password.read(url).await?,
    };
    let text = admin.text(Method::POST, "/accounts/export", &request).await.map_err(CallError::told)?;
    if args.repair() && found.holds(&account.id, refresh_token(&text)) {
        return Ok((account, Done::Unchanged));
    }
    let backup = found.keep_aside(file, SystemClock.now())?;
    replace(file, text.as_bytes()).await.with_context(|| format!("cannot write {}", file.display()))?;
    Ok((account, Done::Written { backup }))
}

async fn wanted(
    admin: &Admin,
    found: &Found,
    file: &Path,
    name: Option<&str>,
) -> anyhow::Result<AccountView> {
    match (name, found) {
        (Some(name), _) => choose::one(admin, name).await,
        (None, Found::Pooled { account, .. }) => choose::one(admin, account.as_str()).await,
        (None, _) => {
            Err(NotFound(format!("{} is no account of that gateway's; name one", file.display())).into())
        }
    }
}

async fn what_is_there(admin: &Admin, file: &Path) -> anyhow::Result<Found> {
    let Some(bytes) = contents(file)? else { return Ok(Found::Nothing) };
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= MAX_IMPORT_BYTES);
    let Some(text) = text.filter(|text| read(text, Format::AuthJson, None, SystemClock.now()).is_ok()) else {
        return Ok(Found::Unknown(bytes));
    };
    let report = import(admin, text, true).await?;
    let [row] = report.rows.as_slice() else { return Ok(Found::Unknown(bytes)) };
    let (ImportSeat::Known, Some(account)) = (row.seat, &row.account_id) else {
        return Ok(Found::Unknown(bytes));
    };
    let account = AccountId::parse(account).context("the gateway names its accounts strangely")?;
    // Tokens that are newer than the gateway's are taken over, others are left alone.
    import(admin, text, false).await?;
    Ok(Found::Pooled { account, refresh_token: refresh_token(text) })
}

async fn import(admin: &Admin, text: &str, dry_run: bool) -> anyhow::Result<ImportReport> {
    let request = ImportRequest {
        text: text.to_owned(),
        format: ImportFormat::AuthJson,
        name: None,
        dry_run,
        replace: false,
    };
    admin.send_body(Method::POST, "/accounts/import", &request).await.map_err(CallError::told)
}

/// The refresh token of an `auth.json`.
pub(super) fn refresh_token(text: &str) -> Option<String> {
    let items = read(text, Format::AuthJson, None, SystemClock.now()).ok()?;
    let [item] = items.as_slice() else { return None };
    let found = item.found.as_ref().ok()?;
    found.sign_in.credentials.refresh_token.as_ref().map(|token| token.expose().clone())
}
