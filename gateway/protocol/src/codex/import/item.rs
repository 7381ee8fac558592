//! What an import finds: places, accounts, and why an entry is none. Nothing here prints a token.

use std::fmt;
use std::sync::Arc;

use gateway_domain::{AccountKind, AccountSettings, AccountState, Secret};
use sha2::{Digest, Sha256};

use super::{MAX_TOKEN_BYTES, ReadError};
use crate::codex::auth::SignIn;

/// What a text is said to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Found out from the text.
    #[default]
    Auto,
    /// A Codex `auth.json`, or a list of them.
    AuthJson,
    /// Refresh tokens, one a line or in JSON.
    RefreshTokens,
    /// Access tokens, one a line or in JSON; refresh tokens beside them are left out.
    AccessTokens,
    /// An export of codex-lb.
    CodexLb,
    /// An export of codex2api, or of a tool that writes the same.
    Codex2Api,
    /// Our own export.
    Switchyard,
}

impl Format {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 7] = [
        Self::Auto,
        Self::AuthJson,
        Self::RefreshTokens,
        Self::AccessTokens,
        Self::CodexLb,
        Self::Codex2Api,
        Self::Switchyard,
    ];

    /// The word for it on the command line and in the admin API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::AuthJson => "auth-json",
            Self::RefreshTokens => "refresh-tokens",
            Self::AccessTokens => "access-tokens",
            Self::CodexLb => "codex-lb",
            Self::Codex2Api => "codex2api",
            Self::Switchyard => "switchyard",
        }
    }

    /// The inverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// Whether it is JSON and nothing else.
    pub(super) const fn is_json(self) -> bool {
        matches!(self, Self::AuthJson | Self::CodexLb | Self::Codex2Api | Self::Switchyard)
    }
}

/// Where in a text an item stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The text holds this one item.
    Whole,
    /// A line, from 1.
    Line(usize),
    /// An entry of a list, from 1.
    Entry(usize),
}

/// Where an item stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of its text, when several are read together.
    pub source: Option<Arc<str>>,
    /// Where in it.
    pub at: At,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.source, self.at) {
            (Some(source), At::Whole) => f.write_str(source),
            (None, At::Whole) => f.write_str("the text"),
            (Some(source), At::Line(line)) => write!(f, "{source}, line {line}"),
            (None, At::Line(line)) => write!(f, "line {line}"),
            (Some(source), At::Entry(entry)) => write!(f, "{source}, entry {entry}"),
            (None, At::Entry(entry)) => write!(f, "entry {entry}"),
        }
    }
}

/// The hash of a token: enough to see that two are the same, too little to use one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(***)")
    }
}

/// The fingerprint of a token; an empty one has none.
#[must_use]
pub fn fingerprint(token: &Secret) -> Option<Fingerprint> {
    let token = token.expose();
    (!token.is_empty()).then(|| Fingerprint(Sha256::digest(token.as_bytes()).into()))
}

/// The fingerprints of an account's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenPrints {
    /// Of the refresh token.
    pub refresh: Option<Fingerprint>,
    /// Of the access token or key.
    pub access: Option<Fingerprint>,
}

impl TokenPrints {
    /// The one that tells two sign-ins apart.
    pub(super) fn newest(&self) -> Option<Fingerprint> {
        self.refresh.or(self.access)
    }
}

/// An account that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What it opens.
    pub kind: AccountKind,
    /// Whose it is, and its tokens; a key stands in place of the access token.
    pub sign_in: SignIn,
    /// What the operator had decided about it, from our own export; otherwise the defaults.
    pub settings: AccountSettings,
    /// What it was set to, from our own export; otherwise active.
    pub state: AccountState,
}

impl Found {
    /// A sign-in without anything that an operator decided.
    pub(super) fn new(kind: AccountKind, sign_in: SignIn) -> Self {
        Self { kind, sign_in, settings: AccountSettings::default(), state: AccountState::Active }
    }

    /// The fingerprints of its tokens.
    #[must_use]
    pub fn token_prints(&self) -> TokenPrints {
        let credentials = &self.sign_in.credentials;
        TokenPrints {
            refresh: credentials.refresh_token.as_ref().and_then(fingerprint),
            access: fingerprint(&credentials.access_token),
        }
    }
}

/// Why an entry is no account. Says what is wrong and what to do, and never what stood there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// A text that cannot be a token.
    #[error("not a token: {0}")]
    NotAToken(NotAToken),
    /// No token in an entry.
    #[error(
        "no token found; an entry holds a refresh_token or an access_token, in it or in its `tokens`, `credentials` or `auth`"
    )]
    NoToken,
    /// Only an access token that names nobody.
    #[error(
        "the tokens name no workspace (chatgpt_account_id) and there is no refresh token to learn it with; sign in again with `codex login`"
    )]
    NoIdentity,
    /// An access token that has ended, and nothing to renew it with.
    #[error("its access token has ended and it holds no refresh token; sign in again")]
    Ended,
    /// The entry is of another kind than was asked for.
    #[error("{0}")]
    Mismatch(&'static str),
    /// We know what it is and cannot use it.
    #[error("{0}")]
    Unsupported(&'static str),
    /// An address that is none.
    #[error("its base_url is no http or https address")]
    BadAddress,
    /// A whole text that cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// An entry of our own export that does not have its shape.
    #[error("it does not have the shape of an exported account; export it again")]
    BadEntry,
}

/// Why a text cannot be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAToken {
    /// Spaces or control characters inside, or letters no token has.
    #[error("it holds characters that no token has")]
    Characters,
    /// Too few of them.
    #[error("it is too short")]
    TooShort,
    /// Too many.
    #[error("it is longer than {} KiB", MAX_TOKEN_BYTES / 1024)]
    TooLong,
    /// Not even text.
    #[error("it is neither a text nor an object")]
    NotText,
}

impl ImportItem {
    /// A text among several that cannot be read as a whole: one bad entry beside the others.
    pub fn unreadable(source: &str, error: ReadError) -> Self {
        let place = Place { source: Some(source.into()), at: At::Whole };
        Self { place, name: None, found: Err(Unusable::Unreadable(error)) }
    }
}

/// One entry of a text.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct ImportItem {
    /// Where it stood.
    pub place: Place,
    /// What it was called there.
    pub name: Option<String>,
    /// The account, or why it is none.
    pub found: Result<Found, Unusable>,
}

/// An item before the name of its text is known.
pub(super) struct Entry {
    pub(super) at: At,
    pub(super) name: Option<String>,
    pub(super) found: Result<Found, Unusable>,
}

impl Entry {
    pub(super) fn into_item(self, source: Option<Arc<str>>) -> ImportItem {
        ImportItem { place: Place { source, at: self.at }, name: self.name, found: self.found }
    }
}
