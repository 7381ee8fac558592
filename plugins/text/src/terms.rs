//! Finds many words and phrases in one pass over a folded text. A pass costs the same for one term as for thousands: a
//! filter of eight rows looks at each byte once and only what gets through it is compared.
//!
//! A term of Latin letters is found as whole words, any other also inside words, because not every language puts gaps
//! between them. A blank in a term is any run of blanks and signs; a `*` at its end is any ending of the word.

use crate::fold;

/// The most terms in one search.
pub const MAX_TERMS: usize = 8_192;
/// The longest term, folded.
pub const MAX_TERM_BYTES: usize = 256;
/// The most signs that a blank stands for.
const MAX_GAP: usize = 16;
/// How many bytes of a term the filter looks at; one more lane looks at the byte before.
const PREFIX: usize = 7;
/// Terms share this many rows of the filter.
const ROWS: usize = 8;

/// Why a term cannot be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermError {
    /// It has no letter and no sign but one.
    TooShort,
    /// It is longer than [`MAX_TERM_BYTES`].
    TooLong,
    /// There are more than [`MAX_TERMS`].
    TooMany,
}

impl std::fmt::Display for TermError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooShort => {
                write!(out, "a term needs two letters or signs, or one of a script without an alphabet")
            }
            Self::TooLong => write!(out, "a term may have {MAX_TERM_BYTES} bytes"),
            Self::TooMany => write!(out, "there may be {MAX_TERMS} terms"),
        }
    }
}

impl std::error::Error for TermError {}

/// A term in a text: bytes `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Which, in the order they were given.
    pub term: usize,
    /// Its first byte.
    pub start: usize,
    /// Behind its last.
    pub end: usize,
}

/// Terms to search for.
#[derive(Debug, Clone)]
pub struct Terms {
    /// For each byte a lane per place and in it a bit per row: 0 where the byte fits some term of the row.
    filter: Box<[u64; 256]>,
    /// Sorted by spelling, so that neighbours share rows.
    terms: Vec<Term>,
    /// Where in `terms` those with this first byte begin; one entry more than there are bytes.
    by_first: Vec<usize>,
    longest: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Term {
    bytes: Vec<u8>,
    end: End,
    number: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// The word must end here.
    Word,
    Anywhere,
}

enum Fit {
    /// To here; `settled` unless the text ends here and the word may go on.
    Yes(usize, Settled),
    /// The text ends before the term does.
    Unfinished,
    No,
}

#[derive(PartialEq, Eq)]
enum Settled {
    Yes,
    No,
}

/// What may still become a term when the text goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Where it begins.
    pub start: usize,
}

impl Default for Terms {
    fn default() -> Self {
        Self { filter: Box::new([u64::MAX; 256]), terms: Vec::new(), by_first: vec![0; 257], longest: 0 }
    }
}

impl Terms {
    /// Prepares a search.
    ///
    /// # Errors
    /// A term cannot be searched for; its number comes with the reason.
    pub fn new<'a>(terms: impl IntoIterator<Item = &'a str>) -> Result<Self, (usize, TermError)> {
        let mut prepared = Vec::new();
        for (number, text) in terms.into_iter().enumerate() {
            if number >= MAX_TERMS {
                return Err((number, TermError::TooMany));
            }
            prepared.push(Term::new(text, number).map_err(|error| (number, error))?);
        }
        prepared.sort_unstable();
        let by_first = (0..=256_usize)
            .map(|byte| {
                prepared.partition_point(|term| term.bytes.first().is_some_and(|b| usize::from(*b) < byte))
            })
            .collect();
        let mut filter = Box::new([u64::MAX; 256]);
        for (at, term) in prepared.iter().enumerate() {
            term.enter(at * ROWS / prepared.len(), &mut filter);
        }
        let longest = prepared.iter().map(Term::longest).max().unwrap_or(0);
        Ok(Self { filter, terms: prepared, by_first, longest })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Every term in a folded text, by where it starts.
    pub fn find(&self, folded: &str, mut on: impl FnMut(Found)) {
        if self.terms.is_empty() {
            return;
        }
        let bytes = folded.as_bytes();
        // As if a blank stood before.
        let mut state = (u64::MAX << 8) | self.row(b' ');
        let mut at = 0;
        // Nearly all of the time goes here: eight bytes, one branch that is nearly never taken.
        while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let (before, mut seen) = (state, u64::MAX);
            for byte in eight {
                state = (state << 8) | self.row(*byte);
                seen &= state;
            }
            if passes(seen) {
                self.look_closer(bytes, at, before, eight, &mut on);
            }
            at += 8;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let padded: Vec<u8> = rest.iter().copied().chain([b' '; PREFIX - 1]).collect();
        self.look_closer(bytes, at, state, &padded, &mut on);
    }

    /// The first place near the end from which a term may still come.
    #[must_use]
    pub fn open(&self, folded: &str) -> Option<Open> {
        let bytes = folded.as_bytes();
        let from = bytes.len().saturating_sub(self.longest);
        (from..bytes.len()).find(|at| self.opens(bytes, *at)).map(|start| Open { start })
    }

    fn opens(&self, bytes: &[u8], at: usize) -> bool {
        self.beginning_at(bytes, at)
            .iter()
            .any(|term| matches!(term.fit(bytes, at), Fit::Unfinished | Fit::Yes(_, Settled::No)))
    }

    fn look_closer(&self, bytes: &[u8], at: usize, mut state: u64, part: &[u8], on: &mut impl FnMut(Found)) {
        for (offset, byte) in part.iter().enumerate() {
            state = (state << 8) | self.row(*byte);
            let start = (at + offset).checked_sub(PREFIX - 1).filter(|start| *start < bytes.len());
            let Some(start) = start.filter(|_| passes(state)) else { continue };
            for term in self.beginning_at(bytes, start) {
                if let Fit::Yes(end, _) = term.fit(bytes, start) {
                    on(Found { term: term.number, start, end });
                }
            }
        }
    }

    /// The terms whose first two bytes are these; more when a sign, which a blank may stand for, or nothing follows.
    fn beginning_at(&self, bytes: &[u8], at: usize) -> &[Term] {
        let Some(byte) = bytes.get(at).map(|byte| usize::from(byte.to_ascii_lowercase())) else { return &[] };
        let place = |byte: usize| self.by_first.get(byte).copied().unwrap_or(0);
        let terms = self.terms.get(place(byte)..place(byte + 1)).unwrap_or_default();
        let Some(second) = bytes.get(at + 1).filter(|byte| !is_sign(**byte)) else { return terms };
        let second = Some(second.to_ascii_lowercase());
        let from = terms.partition_point(|term| term.bytes.get(1).copied() < second);
        let behind = terms.partition_point(|term| term.bytes.get(1).copied() <= second);
        terms.get(from..behind).unwrap_or_default()
    }

    fn row(&self, byte: u8) -> u64 {
        self.filter.get(usize::from(byte)).copied().unwrap_or(u64::MAX)
    }
}

/// Whether some row fits in the last lane, and so in all of them.
const fn passes(state: u64) -> bool {
    state >> 56 != 0xff
}

const fn is_sign(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric()
}

impl Term {
    fn new(text: &str, number: usize) -> Result<Self, TermError> {
        let folded = fold(text).to_ascii_lowercase();
        let words = folded.split_whitespace().collect::<Vec<_>>().join(" ");
        let (word, any_ending) = match words.strip_suffix('*') {
            Some(word) => (word.trim_end(), true),
            None => (words.as_str(), false),
        };
        if word.len() < 2 || !word.bytes().any(|byte| byte != b' ') {
            return Err(TermError::TooShort);
        }
        if word.len() > MAX_TERM_BYTES {
            return Err(TermError::TooLong);
        }
        let ends_in_latin = word.bytes().next_back().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let end = if ends_in_latin && !any_ending { End::Word } else { End::Anywhere };
        Ok(Self { bytes: word.as_bytes().to_vec(), end, number })
    }

    fn begins_a_word(&self) -> bool {
        self.bytes.first().is_some_and(u8::is_ascii_alphanumeric)
    }

    fn longest(&self) -> usize {
        self.bytes.iter().map(|byte| if *byte == b' ' { MAX_GAP } else { 1 }).sum::<usize>() + 1
    }

    /// Clears this row's bits where bytes fit.
    fn enter(&self, row: usize, filter: &mut [u64; 256]) {
        let gap = self.bytes.iter().position(|byte| *byte == b' ').unwrap_or(usize::MAX);
        for (byte, lanes) in (0_u8..=255).zip(filter.iter_mut()) {
            let mut clear = |lane: usize| *lanes &= !(1 << (8 * (PREFIX - lane) + row));
            if !(self.begins_a_word() && byte.is_ascii_alphanumeric()) {
                clear(PREFIX);
            }
            for place in 0..PREFIX {
                let fits = match self.bytes.get(place) {
                    // A gap may be longer than one: behind it anything may stand.
                    _ if place > gap => true,
                    Some(b' ') => is_sign(byte),
                    Some(expected) => byte.to_ascii_lowercase() == *expected,
                    None if place == self.bytes.len() && self.end == End::Word => {
                        !byte.is_ascii_alphanumeric()
                    }
                    None => true,
                };
                if fits {
                    clear(PREFIX - 1 - place);
                }
            }
        }
    }

    fn fit(&self, text: &[u8], at: usize) -> Fit {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        if self.begins_a_word() && before.is_some_and(u8::is_ascii_alphanumeric) {
            return Fit::No;
        }
        let mut here = at;
        for expected in &self.bytes {
            match text.get(here) {
                None => return Fit::Unfinished,
                Some(byte) if *expected == b' ' => {
                    if !is_sign(*byte) {
                        return Fit::No;
                    }
                    here += text.iter().skip(here).take(MAX_GAP).take_while(|byte| is_sign(**byte)).count();
                }
                Some(byte) if byte.to_ascii_lowercase() == *expected => here += 1,
                Some(_) => return Fit::No,
            }
        }
        match (self.end, text.get(here)) {
            (End::Word, None) => Fit::Yes(here, Settled::No),
            (End::Word, Some(next)) if next.is_ascii_alphanumeric() => Fit::No,
            _ => Fit::Yes(here, Settled::Yes),
        }
    }
}

#[cfg(test)]
mod tests;
