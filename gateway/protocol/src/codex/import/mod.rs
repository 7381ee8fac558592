//! Accounts in the texts that people have them in: Codex's `auth.json`, lists of tokens, exports of other gateways,
//! our own export.
//!
//! Pure: text in, items out. Refuses: files, storage, and quoting a text in an error, because it holds tokens.

mod bundle;
mod item;
mod json;
mod node;
mod text;

pub use bundle::{BUNDLE_FORMAT, BUNDLE_VERSION, NotWritten, write_bundle};
pub use item::{
    At, Fingerprint, Format, Found, ImportItem, NotAToken, Place, TokenPrints, Unusable, fingerprint,
};
pub(super) use node::read_object;

use std::collections::{HashMap, HashSet};

use gateway_domain::{AccountKind, Timestamp};

/// The largest text taken, in bytes: room for about 7,000 accounts with all their tokens.
pub const MAX_IMPORT_BYTES: usize = 32 * 1024 * 1024;
/// The most accounts in one text.
pub const MAX_ENTRIES: usize = 20_000;
/// The longest single token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Why a text as a whole cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Too many bytes.
    #[error("the text is larger than {} MiB; split it", MAX_IMPORT_BYTES / (1024 * 1024))]
    TooLarge,
    /// Too many entries.
    #[error("the text holds more than {MAX_ENTRIES} entries; split it")]
    TooMany,
    /// Nothing in it.
    #[error("the text holds no account; paste an auth.json, an export, or tokens one a line")]
    Empty,
    /// It begins like JSON and is none, or JSON was asked for.
    #[error("the text is not JSON: {0}")]
    NotJson(String),
    /// Our export was asked for.
    #[error("the text is not an export of this program (`\"format\": \"{BUNDLE_FORMAT}\"` is missing)")]
    NotABundle,
    /// Our export of a version to come.
    #[error("the export has version {found}; this program reads version {BUNDLE_VERSION}: update it")]
    NewerBundle {
        /// The version it has.
        found: u64,
    },
}

/// Reads a text. `source` names it in the places of its items, when several texts are read together.
///
/// # Errors
/// The text as a whole cannot be read. What is wrong with one entry is that item's own reason.
pub fn read(
    text: &str,
    format: Format,
    source: Option<&str>,
    now: Timestamp,
) -> Result<Vec<ImportItem>, ReadError> {
    if text.len() > MAX_IMPORT_BYTES {
        return Err(ReadError::TooLarge);
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(ReadError::Empty);
    }
    let mut entries = if format.is_json() || text.starts_with(['{', '[']) {
        json::read(text, format, now)?
    } else {
        text::read(text, format, now)?
    };
    if entries.is_empty() {
        return Err(ReadError::Empty);
    }
    forget_shared_workspaces(&mut entries);
    let source: Option<std::sync::Arc<str>> = source.map(Into::into);
    Ok(entries.into_iter().map(|entry| entry.into_item(source.clone())).collect())
}

/// A workspace that several different tokens claim without any of them naming a person says nothing: some tools
/// write one id of their own into every row.
fn forget_shared_workspaces(entries: &mut [item::Entry]) {
    let mut claimed: HashMap<String, HashSet<Fingerprint>> = HashMap::new();
    for found in entries.iter().filter_map(|entry| entry.found.as_ref().ok()) {
        if let Some(workspace) = nameless_workspace(found) {
            claimed.entry(workspace.to_owned()).or_default().extend(found.token_prints().newest());
        }
    }
    claimed.retain(|_, tokens| tokens.len() > 1);
    if claimed.is_empty() {
        return;
    }
    for entry in entries {
        let Ok(found) = &mut entry.found else { continue };
        if nameless_workspace(found).is_some_and(|workspace| claimed.contains_key(workspace)) {
            found.sign_in.identity.workspace_id = None;
            if found.sign_in.credentials.refresh_token.is_none() {
                entry.found = Err(Unusable::NoIdentity);
            }
        }
    }
}

fn nameless_workspace(found: &Found) -> Option<&str> {
    let identity = &found.sign_in.identity;
    let nameless = found.kind == AccountKind::Codex && identity.user_id.is_none() && identity.email.is_none();
    identity.workspace_id.as_deref().filter(|_| nameless)
}

#[cfg(test)]
mod tests;
