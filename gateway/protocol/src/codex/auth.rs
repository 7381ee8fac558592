//! Codex sign-ins: the `auth.json` file in its spellings, and the claims inside its tokens.
//!
//! Signatures are not checked: the tokens are ours to send, not to trust.

mod claims;
mod write;

use std::cmp::Ordering;

use claims::Claims;
use gateway_domain::{AccountIdentity, Credentials, Secret, Timestamp};
use serde_json::Value;

use super::import::{Found, Unusable, read_object};

pub use write::{NoAuthJson, renew_auth_json, write_auth_json};

/// The largest `auth.json` taken, in bytes.
pub const MAX_AUTH_JSON_BYTES: usize = 256 * 1024;
/// The longest workspace, user or address taken, in bytes: the workspace travels in a header.
const MAX_IDENTITY_BYTES: usize = 256;

/// Why a text is not a sign-in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Larger than any such file.
    #[error("the text is larger than {MAX_AUTH_JSON_BYTES} bytes; paste one auth.json")]
    TooLarge,
    /// Not JSON. Says where and never what: the text holds tokens.
    #[error("the text is not JSON: {0}")]
    NotJson(String),
    /// No access token in it.
    #[error("no access token found; a Codex auth.json holds tokens.access_token")]
    NoAccessToken,
    /// A key sign-in, which is another kind of account.
    #[error(
        "this auth.json holds an API key, not a ChatGPT sign-in; run `codex login` and import its auth.json"
    )]
    ApiKeyOnly,
    /// Nothing in it says whose it is.
    #[error("the tokens name no workspace (chatgpt_account_id); sign in again with `codex login`")]
    NoIdentity,
    /// It is an entry that cannot be used, for another reason.
    #[error("{0}")]
    Unusable(String),
}

/// What an `auth.json` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Whose it is.
    pub identity: AccountIdentity,
    /// The plan its token names.
    pub plan: Option<String>,
    /// The tokens.
    pub credentials: Credentials,
    /// When they were obtained, if the text says.
    pub renewed_at: Option<Timestamp>,
}

/// The tokens of one entry as they stood in the text, blank ones left out.
#[derive(Default)]
pub(super) struct TokenTexts {
    pub(super) access: Option<String>,
    pub(super) refresh: Option<String>,
    pub(super) id: Option<String>,
}

/// What stood beside the tokens. Tokens are believed first, except for the workspace that was named outright.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// From a member that can only mean the ChatGPT workspace.
    pub(super) workspace: Option<String>,
    /// From a member that some tools use for an id of their own.
    pub(super) perhaps_workspace: Option<String>,
    pub(super) user: Option<String>,
    pub(super) email: Option<String>,
    pub(super) plan: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) renewed_at: Option<Timestamp>,
}

/// Reads an `auth.json`, nested (`tokens: {..}`) or flat, in snake or camel case.
///
/// # Errors
/// The text is no sign-in; the error says what is missing.
pub fn read_auth_json(text: &str, now: Timestamp) -> Result<SignIn, AuthError> {
    if text.len() > MAX_AUTH_JSON_BYTES {
        return Err(AuthError::TooLarge);
    }
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| AuthError::NotJson(place_of(&error)))?;
    let Value::Object(object) = value else {
        return Err(AuthError::NotJson("an object is expected".to_owned()));
    };
    match read_object(&object, now) {
        // A sign-in that only holds a refresh token is for `import`, where it is said that nothing is known about it.
        Ok(Found { sign_in, .. }) if sign_in.credentials.access_token.expose().is_empty() => {
            Err(AuthError::NoAccessToken)
        }
        Ok(Found { kind: gateway_domain::AccountKind::Codex, sign_in, .. }) => Ok(sign_in),
        Ok(_) => Err(AuthError::ApiKeyOnly),
        Err(Unusable::NoIdentity) => Err(AuthError::NoIdentity),
        Err(Unusable::NoToken) => Err(AuthError::NoAccessToken),
        Err(other) => Err(AuthError::Unusable(other.to_string())),
    }
}

/// Reads tokens as an issuer gave them.
///
/// # Errors
/// Nothing in them says whose they are.
pub fn read_tokens(
    access: Secret,
    refresh: Option<Secret>,
    id: Option<Secret>,
    now: Timestamp,
) -> Result<SignIn, AuthError> {
    let text = |token: Secret| token.expose().clone();
    let tokens = TokenTexts { access: Some(text(access)), refresh: refresh.map(text), id: id.map(text) };
    let sign_in = sign_in(tokens, Told::default(), now);
    if sign_in.identity.workspace_id.is_none() && sign_in.identity.email.is_none() {
        return Err(AuthError::NoIdentity);
    }
    Ok(sign_in)
}

/// Where a text stops being JSON. The parser's own words are not passed on: they may quote the text.
pub(super) fn place_of(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// Puts tokens and what was told beside them together. Without an access token the account has one that ended long
/// ago: its first use rotates.
pub(super) fn sign_in(tokens: TokenTexts, told: Told, now: Timestamp) -> SignIn {
    let access = tokens.access.as_deref().map(Claims::read).unwrap_or_default();
    let id = tokens.id.as_deref().map(Claims::read).unwrap_or_default();
    let claim = |name| id.auth(name).or_else(|| access.auth(name));
    // A kind of user id is looked for in both tokens before the next kind: whether an id token came along must not
    // change whose seat it is.
    let user = || claims::USER.iter().find_map(|name| claim(name));
    let identity = AccountIdentity {
        workspace_id: clean(told.workspace)
            .or_else(|| clean(claim(claims::WORKSPACE)))
            .or_else(|| clean(told.perhaps_workspace)),
        user_id: clean(user()).or_else(|| clean(told.user)),
        email: clean(id.email().or_else(|| access.email())).or_else(|| clean(told.email)),
    };
    let expires_at = match &tokens.access {
        Some(_) => access.expires_at().or(told.expires_at),
        None => Some(Timestamp::from_millis(0)),
    };
    // A date to come was written by a clock that is wrong, or by nobody's.
    let renewed_at = told.renewed_at.filter(|at| *at <= now);
    SignIn {
        renewed_at,
        plan: clean(claim(claims::PLAN)).or_else(|| clean(told.plan)),
        identity,
        credentials: Credentials {
            expires_at,
            access_token: Secret::new(tokens.access.unwrap_or_default()),
            refresh_token: tokens.refresh.map(Secret::new),
            id_token: tokens.id.map(Secret::new),
            refreshed_at: renewed_at.unwrap_or(now),
        },
    }
}

/// What cannot be part of a header or a key is as good as not told.
fn clean(text: Option<String>) -> Option<String> {
    let text = text?;
    let text = text.trim();
    let good = !text.is_empty() && text.len() <= MAX_IDENTITY_BYTES && !text.chars().any(char::is_control);
    good.then(|| text.to_owned())
}

/// What tells which of two sets of tokens of one account is the newer one: an older one's refresh token is spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenTimes {
    /// When the access token ends.
    pub ends: Option<Timestamp>,
    /// When it was issued; some issuers say it more finely than the end.
    pub issued: Option<Timestamp>,
    /// When its owner signed in.
    pub signed_in: Option<Timestamp>,
    /// When the set was obtained, by the clock of whoever did.
    pub renewed: Option<Timestamp>,
}

/// How old one set of tokens is beside another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAge {
    /// It was issued before.
    Older,
    /// It was issued after.
    Newer,
    /// Nothing that both say tells.
    Unclear,
}

impl TokenTimes {
    /// The times of tokens that were obtained at this time, if that is known.
    #[must_use]
    pub fn of(credentials: &Credentials, renewed: Option<Timestamp>) -> Self {
        let claims = Claims::read(credentials.access_token.expose());
        Self {
            ends: credentials.expires_at,
            issued: claims.issued_at(),
            signed_in: claims.signed_in_at(),
            renewed,
        }
    }

    /// How old these are beside others. The issuer's own clock is believed first; that of whoever obtained them only
    /// decides what the issuer's leaves open, which is no finer than a second.
    #[must_use]
    pub fn beside(&self, others: &Self) -> TokenAge {
        let pairs = [
            (self.ends, others.ends),
            (self.issued, others.issued),
            (self.signed_in, others.signed_in),
            (self.renewed, others.renewed),
        ];
        for (ours, theirs) in pairs.into_iter().filter_map(|(ours, theirs)| ours.zip(theirs)) {
            match ours.cmp(&theirs) {
                Ordering::Less => return TokenAge::Older,
                Ordering::Greater => return TokenAge::Newer,
                Ordering::Equal => {}
            }
        }
        TokenAge::Unclear
    }
}

/// When a token says that it ends.
#[must_use]
pub fn token_expiry(token: &Secret) -> Option<Timestamp> {
    Claims::read(token.expose()).expires_at()
}

/// Whether a text is a JWT: its middle part is a JSON object.
pub(super) fn is_jwt(token: &str) -> bool {
    Claims::read(token).is_some()
}

#[cfg(test)]
mod tests;
