//! Our own export: every account with its tokens and what the operator decided, as versioned JSON.
//!
//! Refuses: what is of this machine only. A shared `auth.json` is a path here and nothing elsewhere.

use gateway_domain::{
    Account, AccountIdentity, AccountKind, AccountSettings, AccountState, Credentials, Secret, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::item::{At, Entry, Found, Unusable};
use super::text::{alive, well_formed};
use super::{MAX_ENTRIES, ReadError};
use crate::codex::auth::SignIn;

/// What an export calls itself.
pub const BUNDLE_FORMAT: &str = "switchyard-accounts";
/// The version written, and the newest read.
pub const BUNDLE_VERSION: u64 = 1;

/// An export could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the export could not be written: {0}")]
pub struct NotWritten(#[from] serde_json::Error);

#[derive(Serialize)]
struct Bundle {
    format: &'static str,
    version: u64,
    exported_at: Timestamp,
    accounts: Vec<Exported>,
}

#[derive(Serialize, Deserialize)]
struct Exported {
    name: String,
    kind: AccountKind,
    #[serde(default, flatten)]
    identity: AccountIdentity,
    #[serde(default)]
    plan: Option<String>,
    #[serde(default = "active")]
    status: AccountState,
    tokens: Tokens,
    #[serde(default)]
    settings: AccountSettings,
}

#[derive(Serialize, Deserialize)]
struct Tokens {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    refreshed_at: Option<Timestamp>,
}

const fn active() -> AccountState {
    AccountState::Active
}

/// Writes an export.
///
/// # Errors
/// Something in it has no JSON form.
pub fn write_bundle(accounts: &[(Account, Credentials)], now: Timestamp) -> Result<Secret, NotWritten> {
    let bundle = Bundle {
        format: BUNDLE_FORMAT,
        version: BUNDLE_VERSION,
        exported_at: now,
        accounts: accounts.iter().map(|(account, credentials)| exported(account, credentials)).collect(),
    };
    Ok(Secret::new(serde_json::to_string_pretty(&bundle)? + "\n"))
}

fn exported(account: &Account, credentials: &Credentials) -> Exported {
    let exposed = |token: &Option<Secret>| token.as_ref().map(|token| token.expose().clone());
    Exported {
        name: account.name.clone(),
        kind: account.kind,
        identity: account.identity.clone(),
        plan: account.plan.clone(),
        status: account.state.clone(),
        tokens: Tokens {
            access_token: credentials.access_token.expose().clone(),
            refresh_token: exposed(&credentials.refresh_token),
            id_token: exposed(&credentials.id_token),
            expires_at: credentials.expires_at,
            refreshed_at: Some(credentials.refreshed_at),
        },
        settings: AccountSettings { co_owned: None, ..account.settings.clone() },
    }
}

/// Reads an export; `None` when the text is something else.
pub(super) fn read(value: &Value, now: Timestamp) -> Option<Result<Vec<Entry>, ReadError>> {
    if value.get("format")?.as_str()? != BUNDLE_FORMAT {
        return None;
    }
    let found = value.get("version").and_then(Value::as_u64).unwrap_or_default();
    if found > BUNDLE_VERSION {
        return Some(Err(ReadError::NewerBundle { found }));
    }
    let accounts = value.get("accounts").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if accounts.len() > MAX_ENTRIES {
        return Some(Err(ReadError::TooMany));
    }
    Some(Ok((1..).zip(accounts).map(|(number, account)| entry(At::Entry(number), account, now)).collect()))
}

fn entry(at: At, account: &Value, now: Timestamp) -> Entry {
    // The words of the parser are left out: they may quote a token.
    let exported = Exported::deserialize(account).ok();
    let Some(exported) = exported.filter(|exported| exported.settings.weight > 0.0) else {
        return Entry { at, name: None, found: Err(Unusable::BadEntry) };
    };
    let Exported { name, kind, identity, plan, status: state, tokens, settings } = exported;
    let texts = [Some(&tokens.access_token), tokens.refresh_token.as_ref(), tokens.id_token.as_ref()];
    let bad = texts
        .into_iter()
        .flatten()
        .filter(|token| !token.is_empty())
        .find_map(|token| well_formed(token).err());
    if let Some(bad) = bad {
        return Entry { at, name: Some(name), found: Err(Unusable::NotAToken(bad)) };
    }
    let renewed_at = tokens.refreshed_at.filter(|at| *at <= now);
    let secret = |token: Option<String>| token.filter(|token| !token.is_empty()).map(Secret::new);
    let credentials = Credentials {
        access_token: Secret::new(tokens.access_token),
        refresh_token: secret(tokens.refresh_token),
        id_token: secret(tokens.id_token),
        expires_at: tokens.expires_at,
        refreshed_at: tokens.refreshed_at.unwrap_or(now).min(now),
    };
    let keyless = matches!(kind, AccountKind::OpenAiCompatible | AccountKind::Gateway);
    let found =
        if credentials.access_token.expose().is_empty() && credentials.refresh_token.is_none() && !keyless {
            Err(Unusable::NoToken)
        } else {
            let sign_in = SignIn { identity, plan, credentials, renewed_at };
            alive(Found { kind, sign_in, settings, state }, now)
        };
    Entry { at, name: Some(name), found }
}
