//! Finds secrets and personal data in a text, in one pass, without a dictionary and in any language. Each kind is
//! checked as far as it can be: cards and account numbers by their check digits, keys by their makers' prefixes.

mod number;
mod token;

use serde::{Deserialize, Serialize};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Email,
    Key,
    PrivateKey,
    Card,
    Iban,
    Ip,
}

impl Kind {
    /// The name of the rule, for the log.
    pub(crate) const fn rule(self) -> &'static str {
        match self {
            Self::Email => "pii.email",
            Self::Key => "secret.key",
            Self::PrivateKey => "secret.private-key",
            Self::Card => "pii.card",
            Self::Iban => "pii.iban",
            Self::Ip => "pii.ip",
        }
    }

    /// The word in a placeholder.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
            Self::Key => "KEY",
            Self::PrivateKey => "PRIVATE_KEY",
            Self::Card => "CARD",
            Self::Iban => "IBAN",
            Self::Ip => "IP",
        }
    }
}

/// One finding: bytes `start..end` of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
}

/// Everything of these kinds, in order, none inside another.
pub(crate) fn all(text: &str, kinds: &[Kind]) -> Vec<Found> {
    let bytes = text.as_bytes();
    let mut found: Vec<Found> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let one = match byte {
            b'0'..=b'9' => number::card(bytes, at).or_else(|| number::ip(bytes, at)),
            b'A'..=b'Z' | b'a'..=b'z' => token::key(bytes, at).or_else(|| number::iban(bytes, at)),
            b'@' => token::email(bytes, at, found.last().map_or(0, |last| last.end)),
            b'-' => token::private_key(text, at),
            _ => None,
        };
        at = match one {
            Some(one) if kinds.contains(&one.kind) => {
                found.push(one);
                one.end.max(at + 1)
            }
            // Most bytes stand inside a word and begin nothing.
            _ if is_word(*byte) => at + run(bytes, at, is_word),
            _ => at + 1,
        };
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// How many bytes from here fit.
fn run(bytes: &[u8], from: usize, fits: impl Fn(u8) -> bool) -> usize {
    bytes.iter().skip(from).take_while(|byte| fits(**byte)).count()
}

#[cfg(test)]
mod tests;
