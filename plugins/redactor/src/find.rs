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
    let mut from = 0;
    while let Some(at) = next_place(bytes, from) {
        let earliest = found.last().map_or(0, |last| last.end);
        let one = at_place(text, at, earliest).filter(|one| kinds.contains(&one.kind));
        from = one.map_or(at + 1, |one| one.end.max(at + 1));
        found.extend(one);
    }
    found
}

fn at_place(text: &str, at: usize, earliest: usize) -> Option<Found> {
    let bytes = text.as_bytes();
    match bytes.get(at)? {
        b'@' => return token::email(bytes, at, earliest),
        b'-' => return token::private_key(text, at),
        _ => {}
    }
    // Everything else begins with a word.
    if at > 0 && bytes.get(at - 1).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    match bytes.get(at)? {
        b'0'..=b'9' => number::card(bytes, at).or_else(|| number::ip(bytes, at)),
        b'A'..=b'Z' => token::key(bytes, at).or_else(|| number::iban(bytes, at)),
        _ => token::key(bytes, at),
    }
}

/// The next place where something may begin. Nearly all of the time goes here, so it looks at pairs of bytes by two
/// tables and has one branch, which is nearly never taken.
fn next_place(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // Eight pairs at a time: a sandbox asks at the end of each round whether its time is up.
    while let Some(nine) = bytes.get(at..)?.first_chunk::<9>() {
        let pairs = nine.iter().zip(nine.iter().skip(1));
        let begins = pairs.fold(0, |begins, (a, b)| begins | looked_up(&FIRST, *a) & looked_up(&SECOND, *b));
        if begins != 0 {
            break;
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    let mut pairs = rest.iter().zip(rest.get(1..)?);
    pairs.position(|(a, b)| looked_up(&FIRST, *a) & looked_up(&SECOND, *b) != 0).map(|further| at + further)
}

static FIRST: [u8; 256] = tables().0;
static SECOND: [u8; 256] = tables().1;

#[expect(clippy::indexing_slicing, reason = "runs while compiling, where a wrong index is an error")]
const fn tables() -> ([u8; 256], [u8; 256]) {
    let (mut firsts, mut seconds) = ([0; 256], [0; 256]);
    let mut byte = 0;
    while byte < 128 {
        firsts[byte as usize] = first(byte);
        seconds[byte as usize] = second(byte);
        byte += 1;
    }
    (firsts, seconds)
}

fn looked_up(table: &[u8; 256], byte: u8) -> u8 {
    table.get(usize::from(byte)).copied().unwrap_or(0)
}

/// What a finding begins with; the bits say which second bytes go with it.
const fn first(byte: u8) -> u8 {
    match byte {
        b'@' => 1,
        b'-' => 2,
        b'0'..=b'9' => 4,
        b's' | b'r' | b'e' => 8,
        b'p' => 8 | 32,
        b'g' => 16,
        b'x' | b'd' => 32,
        b'A'..=b'Z' => 64,
        b'y' | b'h' | b'n' => 128,
        _ => 0,
    }
}

const fn second(byte: u8) -> u8 {
    match byte {
        b'-' => 2,
        b'.' => 4,
        b'0'..=b'9' => 1 | 4,
        b'A'..=b'Z' => 1 | 64,
        b'k' => 1 | 8,
        b'y' => 1 | 8 | 32,
        b'h' | b'i' | b'l' => 1 | 16,
        b'o' => 1 | 32,
        b'a' | b'f' | b'p' => 1 | 128,
        b'b'..=b'z' => 1,
        _ => 0,
    }
}

/// How many bytes from here fit.
fn run(bytes: &[u8], from: usize, fits: impl Fn(u8) -> bool) -> usize {
    bytes.iter().skip(from).take_while(|byte| fits(**byte)).count()
}

#[cfg(test)]
mod tests;
