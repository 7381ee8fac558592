//! What is recognised by its form: addresses, keys, blocks.

use super::{Found, Kind, run};

/// The longest local part and the longest domain there can be.
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 253;

/// An address around the `@` at this place, not reaching before `earliest`.
pub(super) fn email(bytes: &[u8], at: usize, earliest: usize) -> Option<Found> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._%+-".contains(&b);
    let before = bytes.get(earliest..at)?.iter().rev().take(MAX_LOCAL + 1).take_while(|b| fits(**b)).count();
    let local = bytes.get(at - before..at)?;
    // Punctuation around an address is not part of it.
    let lead = local.iter().take_while(|b| !b.is_ascii_alphanumeric()).count();
    let start = at - before + lead;
    let domain_bytes =
        run(bytes, at + 1, |b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-').min(MAX_DOMAIN);
    let domain = bytes.get(at + 1..at + 1 + domain_bytes)?;
    let trail = domain.iter().rev().take_while(|b| !b.is_ascii_alphanumeric()).count();
    let domain = domain.get(..domain.len() - trail)?;
    let dot = domain.iter().rposition(|b| *b == b'.')?;
    let top = domain.get(dot + 1..)?;
    let is_domain = dot > 0 && top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic);
    let is_local = start < at && at - start <= MAX_LOCAL;
    (is_domain && is_local).then_some(Found { start, end: at + 1 + domain.len(), kind: Kind::Email })
}

/// Prefixes their makers gave to keys, and the least that follows.
pub(super) const PREFIXES: [(&[u8], usize); 24] = [
    (b"sk-", 20),
    (b"rk_live_", 16),
    (b"sk_live_", 16),
    (b"pk_live_", 16),
    (b"ghp_", 36),
    (b"gho_", 36),
    (b"ghu_", 36),
    (b"ghs_", 36),
    (b"ghr_", 36),
    (b"github_pat_", 22),
    (b"glpat-", 20),
    (b"xoxb-", 10),
    (b"xoxp-", 10),
    (b"xoxa-", 10),
    (b"xoxs-", 10),
    (b"AKIA", 16),
    (b"ASIA", 16),
    (b"AIza", 35),
    (b"ya29.", 20),
    (b"hf_", 30),
    (b"npm_", 36),
    (b"pypi-", 16),
    (b"SG.", 22),
    (b"dop_v1_", 40),
];

/// A key that begins here.
pub(super) fn key(bytes: &[u8], at: usize) -> Option<Found> {
    let rest = bytes.get(at..)?;
    // Two letters rule out nearly every word, and looking at all prefixes takes twenty times as long.
    let may_be_one = matches!(
        rest.first_chunk::<2>()?,
        [b's' | b'r' | b'p', b'k']
            | [b'g', b'h' | b'i' | b'l']
            | [b'A', b'K' | b'S' | b'I']
            | [b'x' | b'd', b'o']
            | [b'p' | b'e', b'y']
            | [b'y', b'a']
            | [b'h', b'f']
            | [b'n', b'p']
            | [b'S', b'G']
    );
    if !may_be_one {
        return None;
    }
    let end = token_end(rest).or_else(|| web_token_end(rest))?;
    Some(Found { start: at, end: at + end, kind: Kind::Key })
}

fn token_end(rest: &[u8]) -> Option<usize> {
    let (prefix, least) = PREFIXES.into_iter().find(|(prefix, _)| rest.starts_with(prefix))?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    let follows = run(rest, prefix.len(), fits);
    let body = rest.get(prefix.len()..prefix.len() + follows)?;
    // The full stop of a sentence is not part of a key.
    let trail = body.iter().rev().take_while(|b| !b.is_ascii_alphanumeric()).count();
    let length = follows - trail;
    // A word like `sk-learn-something-long` has no digit; a key of twenty characters hardly ever has none.
    let has_digit = body.iter().take(length).any(u8::is_ascii_digit);
    (length >= least && has_digit).then_some(prefix.len() + length)
}

/// A JSON web token: three parts in base64, the first of them an object.
fn web_token_end(rest: &[u8]) -> Option<usize> {
    if !rest.starts_with(b"eyJ") {
        return None;
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let mut end = 0;
    for part in 0..3 {
        let length = run(rest, end, fits);
        let least = if part == 2 { 16 } else { 8 };
        if length < least || (part < 2 && rest.get(end + length) != Some(&b'.')) {
            return None;
        }
        end += length + usize::from(part < 2);
    }
    Some(end)
}

/// A private key from its first line to its last, or to the end when the last is missing.
pub(super) fn private_key(text: &str, at: usize) -> Option<Found> {
    let rest = text.get(at..)?;
    let after = rest.strip_prefix("-----BEGIN ")?;
    let (name, _) = after.split_once("-----")?;
    if !name.ends_with("PRIVATE KEY") || name.len() > 40 {
        return None;
    }
    let last = format!("-----END {name}-----");
    let length = rest.find(&last).map_or(rest.len(), |end| end + last.len());
    Some(Found { start: at, end: at + length, kind: Kind::PrivateKey })
}
