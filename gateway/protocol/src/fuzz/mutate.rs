//! Makes inputs of inputs, by chance that is a number: the same seed makes the same inputs. It refuses to know a
//! format; that text is often JSON is only why some bytes are likelier than others.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// The longest input made, unless a seed is longer.
const MAX_INPUT: usize = 16 * 1024;
/// The most changes to one input.
const MAX_CHANGES: usize = 6;
/// How many smaller inputs are tried for a finding.
const MAX_TRIES: usize = 2_000;
/// Pieces that mean something to one parser or another.
const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e999",
    b"18446744073709551616",
    b"4294967296",
    b"-9223372036854775808",
    b"0.5",
    b"NaN",
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"data: ",
    b"event: ",
    b": ",
    b"[DONE]",
    b"\0",
    b"\x80",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    "é".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{1f600}".as_bytes(),
    b"\"type\":",
    b"\"index\":",
    b"\"output_index\":",
    b"\"id\":",
    b"\"content\":",
    b"\"delta\":",
    b"\"usage\":",
    b"\"error\":",
    b"[]",
    b"{}",
    b"\"\"",
    b"--",
    b";",
    b"=",
    b"%",
    b"data:image/png;base64,",
    b"https://",
    b"9999999999999",
    b"-0",
    b"1.7976931348623157e308",
];

/// Makes inputs.
pub(super) struct Mutator<'a> {
    chance: StdRng,
    seeds: &'a [Vec<u8>],
}

/// A piece that comes again and again in the middle of something.
pub(super) struct Repeat {
    pub(super) before: Vec<u8>,
    pub(super) fragment: Vec<u8>,
    after: Vec<u8>,
}

impl Repeat {
    /// As often as it takes to be this long.
    pub(super) fn times_to(&self, bytes: usize) -> Vec<u8> {
        let mut whole = self.before.clone();
        while whole.len() < bytes {
            whole.extend_from_slice(&self.fragment);
        }
        whole.extend_from_slice(&self.after);
        whole
    }
}

impl<'a> Mutator<'a> {
    pub(super) fn new(seed: u64, seeds: &'a [Vec<u8>]) -> Self {
        Self { chance: StdRng::seed_from_u64(seed), seeds }
    }

    /// The next input: a seed with some changes.
    pub(super) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.seed().to_vec();
        let most = MAX_INPUT.max(input.len());
        for _ in 0..self.chance.random_range(1..=MAX_CHANGES) {
            self.change(&mut input);
        }
        input.truncate(most);
        input
    }

    /// A piece of a seed, at the borders of which a parser begins something new, to be repeated in its place.
    pub(super) fn next_repeat(&mut self) -> Repeat {
        let seed = self.seed().to_vec();
        let borders: Vec<usize> =
            (0..=seed.len()).filter(|at| *at == 0 || *at == seed.len() || is_border(&seed, *at)).collect();
        let from = *borders.choose(&mut self.chance).unwrap_or(&0);
        let to = *borders.choose(&mut self.chance).unwrap_or(&0);
        let (from, to) = (from.min(to), from.max(to));
        let mut fragment = seed[from..to].to_vec();
        if fragment.is_empty() {
            fragment = self.word().to_vec();
        }
        Repeat { before: seed[..from].to_vec(), fragment, after: seed[to..].to_vec() }
    }

    fn seed(&mut self) -> &'a [u8] {
        self.seeds.choose(&mut self.chance).map_or(&[], Vec::as_slice)
    }

    fn word(&mut self) -> &'static [u8] {
        WORDS.choose(&mut self.chance).copied().unwrap_or_default()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let (from, to) = self.span(input);
        match self.chance.random_range(0..10) {
            0 => drop(input.drain(from..to)),
            1 => {
                let again = input[from..to].to_vec();
                drop(input.splice(to..to, again));
            }
            2 => {
                let times = self.chance.random_range(2..50);
                let again = input[from..to].repeat(times);
                drop(input.splice(from..to, again));
            }
            3 | 4 => drop(input.splice(from..from, self.word().iter().copied())),
            5 => drop(input.splice(from..to, self.word().iter().copied())),
            6 => {
                let other = self.seed();
                let (first, last) = self.span(other);
                drop(input.splice(from..to, other[first..last].iter().copied()));
            }
            7 => input.truncate(from),
            8 => input[from..to].reverse(),
            _ => {
                let bit = self.chance.random_range(0..8);
                if let Some(byte) = input.get_mut(from) {
                    *byte ^= 1 << bit;
                }
            }
        }
    }

    /// A piece, more often a short one.
    fn span(&mut self, of: &[u8]) -> (usize, usize) {
        let from = self.chance.random_range(0..=of.len());
        let most = if self.chance.random_bool(0.8) { 24 } else { 2_048 };
        let length = self.chance.random_range(0..=most);
        (from, of.len().min(from + length))
    }
}

fn is_border(text: &[u8], at: usize) -> bool {
    matches!(text[at - 1], b'\n' | b',' | b'{' | b'[' | b'}' | b']' | b';')
}

/// A smaller input that is as bad.
pub(super) fn smaller(input: &[u8], is_bad: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut small = input.to_vec();
    let mut piece = small.len() / 2;
    let mut tries = 0;
    while piece > 0 && tries < MAX_TRIES {
        let mut at = 0;
        while at < small.len() && tries < MAX_TRIES {
            let mut without = small.clone();
            without.drain(at..without.len().min(at + piece));
            tries += 1;
            if is_bad(&without) {
                small = without;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    small
}

/// A number for a text.
pub(super) fn digest(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Cuts an input into pieces whose sizes depend on it alone.
pub(super) fn pieces(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut chance = StdRng::seed_from_u64(digest(input));
    let mut rest = input;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // About thirty pieces of any input; those of a long one are longer.
        let most = (input.len() / 15).max(3);
        let (piece, after) = rest.split_at(chance.random_range(1..=most).min(rest.len()));
        rest = after;
        Some(piece)
    })
}

#[test]
fn the_same_seed_makes_the_same_inputs() {
    let seeds = [b"{\"a\":[1,2,3]}".to_vec(), b"data: x\n\n".to_vec()];
    let made = |seed| {
        let mut mutator = Mutator::new(seed, &seeds);
        (0..50).map(|_| mutator.next_input()).collect::<Vec<_>>()
    };
    assert_eq!(made(7), made(7));
    assert_ne!(made(7), made(8));
}

#[test]
fn a_finding_is_made_small() {
    let small =
        smaller(b"a long text with a needle in it", |text| text.windows(6).any(|window| window == b"needle"));
    assert_eq!(small, b"needle");
}

#[test]
fn pieces_are_the_whole_again() {
    let text: Vec<u8> = (0..=255).collect();
    assert_eq!(pieces(&text).collect::<Vec<_>>().concat(), text);
    assert!(pieces(&text).count() > 5);
}
