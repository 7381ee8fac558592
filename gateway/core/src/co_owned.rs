//! An `auth.json` that a Codex CLI and the gateway share: whose tokens are newer, and handing ours back.
//!
//! Refuses: files (the port has them), and tokens of another seat: whoever signed the CLI in as somebody else did not
//! mean this account.

use std::path::PathBuf;

use gateway_domain::{Account, AccountIdentity, Credentials, Secret, Timestamp};
use gateway_protocol::codex::auth::{TokenAge, TokenTimes, read_auth_json, renew_auth_json};

pub use gateway_protocol::codex::auth::MAX_AUTH_JSON_BYTES as MAX_SHARED_BYTES;

use crate::ports::{Learned, Replaced, SharedFiles};

/// The file that shares an account's tokens, and whose they have to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Where it is.
    pub path: PathBuf,
    /// Who the account is.
    pub identity: AccountIdentity,
}

impl Shared {
    /// The file of an account that has one.
    #[must_use]
    pub fn of(account: &Account) -> Option<Self> {
        let path = account.settings.co_owned.clone()?;
        Some(Self { path, identity: account.identity.clone() })
    }
}

/// The tokens of the file, when they are the same seat's and newer than ours.
#[must_use]
pub fn newer_tokens(
    text: &Secret,
    ours: &Credentials,
    known: &AccountIdentity,
    now: Timestamp,
) -> Option<(Credentials, Learned)> {
    let theirs = read_auth_json(text.expose(), now).ok()?;
    let tokens = &theirs.credentials;
    let same_tokens = tokens.access_token == ours.access_token && tokens.refresh_token == ours.refresh_token;
    if same_tokens || !same_seat(known, &theirs.identity) {
        return None;
    }
    let age = TokenTimes::of(tokens, None).beside(&TokenTimes::of(ours, None));
    let newer = match theirs.renewed_at {
        // Both dates are of this machine, and finer than the second in which the tokens end. What the issuer's own
        // times deny is not taken all the same: an older refresh token is spent.
        Some(at) => at > ours.refreshed_at && age != TokenAge::Older,
        None => age == TokenAge::Newer,
    };
    let learned = Learned { identity: theirs.identity, plan: theirs.plan };
    newer.then_some((theirs.credentials, learned))
}

/// What is not known on one side contradicts nothing.
fn same_seat(known: &AccountIdentity, told: &AccountIdentity) -> bool {
    let agree = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    let anything = told.workspace_id.is_some() || told.user_id.is_some();
    anything && agree(&known.workspace_id, &told.workspace_id) && agree(&known.user_id, &told.user_id)
}

/// Puts rotated tokens into the file, so that the CLI does not spend the old ones. Best effort: when the file changed
/// meanwhile, its owner has news, and the next look finds them.
pub(crate) async fn give_back(files: &dyn SharedFiles, shared: &Shared, text: Secret, ours: &Credentials) {
    let identity = read_auth_json(text.expose(), ours.refreshed_at).map(|theirs| theirs.identity);
    if !identity.is_ok_and(|theirs| same_seat(&shared.identity, &theirs)) {
        return;
    }
    let Some(renewed) = renew_auth_json(text.expose(), ours) else { return };
    match files.replace(&shared.path, text, renewed).await {
        Ok(Replaced::Yes) => {}
        Ok(Replaced::Changed) => tracing::info!("a shared auth.json changed meanwhile; it was left as it is"),
        Err(error) => tracing::warn!(error, "rotated tokens could not be written to a shared auth.json"),
    }
}

#[cfg(test)]
mod tests;
