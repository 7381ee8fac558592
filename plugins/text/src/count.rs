//! Counts a text that comes in pieces as its reader sees it, and says where it must be cut: never inside a letter with its
//! accents, an emoji or a syllable, also when a piece ends there.

use unicode_segmentation::UnicodeSegmentation as _;

/// What is remembered of the last character; real ones are shorter.
const MAX_TAIL_BYTES: usize = 64;

/// How much may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Characters as readers see them.
    pub characters: u64,
    /// Tokens, estimated: four Latin letters or two of another alphabet are one, as is a character of three bytes.
    pub tokens: u64,
}

/// A text so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    /// Characters as readers see them.
    pub characters: u64,
    /// Quarters of estimated tokens.
    pub quarters: u64,
    /// The last character: what comes next may belong to it.
    pub tail: String,
}

impl Count {
    /// Takes the next piece and answers how many bytes of it fit; all of them unless the limit is reached.
    pub fn take(&mut self, piece: &str, limit: Limit) -> usize {
        let most_quarters = limit.tokens.saturating_mul(4);
        if self.is_plain() && piece.bytes().all(is_plain) {
            return self.take_plain(piece, limit.characters, most_quarters);
        }
        let joined = [self.tail.as_str(), piece].concat();
        let known = self.tail.len();
        let mut last = "";
        for (at, character) in joined.grapheme_indices(true) {
            if at == 0 && known > 0 {
                // Counted before; what came to it now costs tokens, and a character is not cut for them.
                self.quarters += character.get(known..).map_or(0, quarters);
            } else {
                let quarters = self.quarters + quarters(character);
                if self.characters >= limit.characters || quarters > most_quarters {
                    self.tail = end_of(last);
                    return at.saturating_sub(known);
                }
                self.characters += 1;
                self.quarters = quarters;
            }
            last = character;
        }
        self.tail = end_of(last);
        piece.len()
    }

    fn is_plain(&self) -> bool {
        self.tail.bytes().all(is_plain)
    }

    /// One byte is one character.
    fn take_plain(&mut self, piece: &str, most: u64, most_quarters: u64) -> usize {
        let room = most.saturating_sub(self.characters).min(most_quarters.saturating_sub(self.quarters));
        let fits = piece.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        self.characters += fits as u64;
        self.quarters += fits as u64;
        if let Some(last) = piece.get(..fits).and_then(|taken| taken.chars().next_back()) {
            self.tail.clear();
            self.tail.push(last);
        }
        fits
    }
}

/// Stands for itself; a carriage return joins the line feed behind it.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii() && byte != b'\r'
}

fn quarters(character: &str) -> u64 {
    character.chars().map(|c| if c.len_utf8() >= 3 { 4 } else { c.len_utf8() as u64 }).sum()
}

/// The end of an overlong character, at a border of its parts.
fn end_of(character: &str) -> String {
    let from = character.len().saturating_sub(MAX_TAIL_BYTES);
    let from = (from..=character.len()).find(|at| character.is_char_boundary(*at)).unwrap_or(0);
    character.get(from..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDLESS: Limit = Limit { characters: u64::MAX, tokens: u64::MAX };

    #[test]
    fn characters_are_those_of_readers_however_the_text_is_cut() {
        for (text, characters) in [
            ("hello", 5),
            ("日本語です", 5),
            ("e\u{301}a\u{308}", 2),
            ("👩‍💻👨‍👩‍👧‍👦🇩🇪🇫🇷", 4),
            ("שָׁלוֹם", 4),
            ("مرحبا", 5),
            ("नमस्ते", 3),
            ("한국", 2),
            ("a\r\nb", 3),
            ("👍🏽!", 2),
            ("", 0),
        ] {
            let mut whole = Count::default();
            assert_eq!(whole.take(text, ENDLESS), text.len());
            let mut pieces = Count::default();
            for c in text.chars() {
                pieces.take(c.encode_utf8(&mut [0; 4]), ENDLESS);
            }
            assert_eq!((whole.characters, pieces.characters), (characters, characters), "{text}");
            assert_eq!(whole, pieces, "{text}");
        }
    }

    #[test]
    fn a_cut_keeps_characters_whole_wherever_pieces_end() {
        for (text, most, kept) in [
            ("hello", 3, "hel"),
            ("日本語です", 2, "日本"),
            ("ae\u{301}\u{323}b", 2, "ae\u{301}\u{323}"),
            ("👩‍💻👩‍💻", 1, "👩‍💻"),
            ("🇩🇪🇫🇷", 1, "🇩🇪"),
            ("abc", 0, ""),
            ("שָׁלוֹם", 2, "שָׁל"),
        ] {
            let limit = Limit { characters: most, tokens: u64::MAX };
            for size in 1..=text.chars().count() {
                let letters: Vec<char> = text.chars().collect();
                let (mut count, mut sent) = (Count::default(), String::new());
                for piece in letters.chunks(size) {
                    let piece: String = piece.iter().collect();
                    let fits = count.take(&piece, limit);
                    sent.push_str(&piece[..fits]);
                    if fits < piece.len() {
                        break;
                    }
                }
                assert_eq!(sent, kept, "{text} in pieces of {size}");
            }
        }
    }

    #[test]
    fn tokens_are_estimated_for_every_script() {
        let limit = Limit { characters: u64::MAX, tokens: 2 };
        for (text, fits) in [("abcdefghij", 8), ("абвгдежз", 8), ("日本語です", 6), ("👍👍👍", 8)]
        {
            assert_eq!(Count::default().take(text, limit), fits, "{text}");
        }
    }

    #[test]
    fn a_character_without_end_is_remembered_in_part() {
        let mut count = Count::default();
        for _ in 0..1000 {
            count.take("e", ENDLESS);
            count.take(&"\u{301}".repeat(1000), ENDLESS);
        }
        assert!(count.tail.len() <= MAX_TAIL_BYTES);
        assert_eq!(count.characters, 1000);
    }
}
