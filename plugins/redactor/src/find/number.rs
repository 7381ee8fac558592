//! What is recognised by its digits: cards, bank accounts, addresses of machines.

use super::{Found, Kind};

/// A card number that begins here: 13 to 19 digits, in groups or not, with the right check digit.
pub(super) fn card(bytes: &[u8], at: usize) -> Option<Found> {
    // Numbers of cards begin with 2 (some), 3, 4, 5 or 6.
    if !(b'2'..=b'6').contains(bytes.get(at)?) {
        return None;
    }
    let (digits, end) = grouped(bytes, at, 19, |b| b.is_ascii_digit());
    let digits = digits.as_slice();
    let follows_digit = bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
    let fits = (13..=19).contains(&digits.len()) && !follows_digit && has_check_digit(digits);
    fits.then_some(Found { start: at, end, kind: Kind::Card })
}

/// Luhn's sum.
fn has_check_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0');
            if place % 2 == 0 { value } else { value * 2 - if value > 4 { 9 } else { 0 } }
        })
        .sum();
    let all_same = digits.windows(2).all(|pair| pair.first() == pair.last());
    sum.is_multiple_of(10) && !all_same
}

/// An IBAN that begins here: country, two check digits, the account, in groups of four or not.
pub(super) fn iban(bytes: &[u8], at: usize) -> Option<Found> {
    let head = bytes.get(at..at + 4)?;
    let [a, b, c, d] = head else { return None };
    if !(a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit()) {
        return None;
    }
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let (letters, mut end) = grouped(bytes, at, 34, fits);
    let mut letters = letters.as_slice();
    // A capital word after the number looks like another group.
    while letters.len() >= 15 {
        if remainder(letters) == 1 {
            return Some(Found { start: at, end, kind: Kind::Iban });
        }
        let last_group = bytes.get(at..end)?.iter().rposition(|byte| *byte == b' ')?;
        end = at + last_group;
        letters = letters.get(..bytes.get(at..end)?.iter().filter(|byte| **byte != b' ').count())?;
    }
    None
}

/// The number modulo 97 with its first four characters moved to the end; 1 for a right one.
fn remainder(letters: &[u8]) -> u32 {
    let (head, account) = letters.split_at(letters.len().min(4));
    account.iter().chain(head).fold(0, |sum, byte| match byte {
        b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
        other => (sum * 100 + u32::from(other - b'A') + 10) % 97,
    })
}

/// The longest number of any kind.
const MAX: usize = 34;

/// A few characters, kept without asking the allocator: most numbers in a text are neither cards nor accounts.
struct Kept {
    characters: [u8; MAX],
    count: usize,
}

impl Kept {
    fn as_slice(&self) -> &[u8] {
        self.characters.get(..self.count).unwrap_or_default()
    }
}

/// Characters that fit, with single blanks or dashes between them; where the last of them ends.
fn grouped(bytes: &[u8], at: usize, most: usize, fits: impl Fn(u8) -> bool) -> (Kept, usize) {
    let mut kept = Kept { characters: [0; MAX], count: 0 };
    let (mut end, mut here) = (at, at);
    while let Some(byte) = bytes.get(here) {
        if fits(*byte) && kept.count < most {
            if let Some(place) = kept.characters.get_mut(kept.count) {
                *place = *byte;
                kept.count += 1;
            }
            here += 1;
            end = here;
        } else if (*byte == b' ' || *byte == b'-') && here == end && here > at {
            here += 1;
        } else {
            break;
        }
    }
    (kept, end)
}

/// Four numbers of 0 to 255 with dots between them.
pub(super) fn ip(bytes: &[u8], at: usize) -> Option<Found> {
    // The first number has three digits at most.
    if !bytes.get(at + 1..)?.iter().take(3).any(|b| *b == b'.') {
        return None;
    }
    let fits = |b: &&u8| b.is_ascii_digit() || **b == b'.';
    let length = bytes.get(at..)?.iter().take(16).take_while(fits).count();
    let text = bytes.get(at..at + length)?;
    let trail = text.iter().rev().take_while(|b| **b == b'.').count();
    let text = core::str::from_utf8(text.get(..length - trail)?).ok()?;
    text.parse::<core::net::Ipv4Addr>().ok()?;
    Some(Found { start: at, end: at + text.len(), kind: Kind::Ip })
}
