//! Tokens as bare text: one a line, or strings in JSON. Refuses: guessing what words mean.

use gateway_domain::{AccountKind, Credentials, Secret, Timestamp};

use super::item::{At, Entry, Format, Found, NotAToken, Unusable};
use super::{MAX_ENTRIES, MAX_TOKEN_BYTES, ReadError};
use crate::codex::auth::{SignIn, TokenTexts, Told, is_jwt, sign_in};

/// The shortest token taken from bare text: a word is not mistaken for one.
const MIN_TOKEN_BYTES: usize = 16;

/// Reads tokens one a line. Blank lines and `#` comments are left out; quotes and commas around a token come from lists
/// that were copied, and are too.
pub(super) fn read(text: &str, format: Format, now: Timestamp) -> Result<Vec<Entry>, ReadError> {
    let mut entries = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if entries.len() == MAX_ENTRIES {
            return Err(ReadError::TooMany);
        }
        let token = text.trim_matches([',', ';']).trim_matches(['"', '\'']).trim();
        let found = bare(token, format, now).and_then(|found| alive(found, now));
        entries.push(Entry { at: At::Line(line), name: None, found });
    }
    Ok(entries)
}

/// One token without anything beside it.
pub(super) fn bare(token: &str, format: Format, now: Timestamp) -> Result<Found, Unusable> {
    well_formed(token).map_err(Unusable::NotAToken)?;
    if !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=:".contains(&byte)) {
        return Err(Unusable::NotAToken(NotAToken::Characters));
    }
    if token.len() < MIN_TOKEN_BYTES {
        return Err(Unusable::NotAToken(NotAToken::TooShort));
    }
    let jwt = is_jwt(token);
    match format {
        Format::RefreshTokens if jwt => {
            Err(Unusable::Mismatch("this is an access token, not a refresh token; import it as one"))
        }
        Format::AccessTokens if !jwt => Err(Unusable::Mismatch("this is no access token (a JWT)")),
        Format::RefreshTokens | Format::AccessTokens => oauth(token, jwt, now),
        _ if token.starts_with("sk-") => key_of(token, now),
        _ => oauth(token, jwt, now),
    }
}

fn oauth(token: &str, jwt: bool, now: Timestamp) -> Result<Found, Unusable> {
    let token = Some(token.to_owned());
    let tokens = if jwt {
        TokenTexts { access: token, ..TokenTexts::default() }
    } else {
        TokenTexts { refresh: token, ..TokenTexts::default() }
    };
    usable(Found::new(AccountKind::Codex, sign_in(tokens, Told::default(), now)))
}

/// An API key, by how it begins.
fn key_of(token: &str, now: Timestamp) -> Result<Found, Unusable> {
    if token.starts_with("sk-sy-") {
        return Err(Unusable::Unsupported(
            "this is a key that a Switchyard hands out to clients; add that Switchyard as an account of kind `gateway`",
        ));
    }
    if token.starts_with("sk-ant-oat") || token.starts_with("sk-ant-ort") {
        return Err(Unusable::Unsupported("this is a Claude sign-in; only Anthropic API keys can be added"));
    }
    let kind = if token.starts_with("sk-ant-") { AccountKind::Anthropic } else { AccountKind::OpenAi };
    Ok(Found::new(kind, key(token.to_owned(), now)))
}

/// A key as credentials: it neither ends nor renews itself.
pub(super) fn key(key: String, now: Timestamp) -> SignIn {
    SignIn {
        identity: gateway_domain::AccountIdentity::default(),
        plan: None,
        credentials: Credentials {
            access_token: Secret::new(key),
            refresh_token: None,
            id_token: None,
            expires_at: None,
            refreshed_at: now,
        },
        renewed_at: None,
    }
}

/// Refuses sign-ins that can neither be used nor become usable.
pub(super) fn usable(found: Found) -> Result<Found, Unusable> {
    let SignIn { identity, credentials, .. } = &found.sign_in;
    if credentials.refresh_token.is_some() {
        return Ok(found);
    }
    if identity.workspace_id.is_none() && identity.email.is_none() {
        return Err(Unusable::NoIdentity);
    }
    Ok(found)
}

/// Refuses what has ended and cannot be renewed.
pub(super) fn alive(found: Found, now: Timestamp) -> Result<Found, Unusable> {
    let credentials = &found.sign_in.credentials;
    let ended = credentials.expires_at.is_some_and(|end| end <= now);
    if ended && credentials.refresh_token.is_none() { Err(Unusable::Ended) } else { Ok(found) }
}

/// Whether a text can travel in a header and be a token at all.
pub(super) fn well_formed(token: &str) -> Result<(), NotAToken> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(NotAToken::TooLong);
    }
    if token.is_empty() {
        return Err(NotAToken::TooShort);
    }
    if token.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(()) } else { Err(NotAToken::Characters) }
}
