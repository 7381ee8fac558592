//! One spelling for texts that look alike: small letters, no accents, no invisible characters, letters of other alphabets
//! that look Latin as the Latin ones. Rules and texts are both folded, so a rule in any language still fits its text.

use std::borrow::Cow;

use unicode_normalization::char::decompose_compatible;

/// A folded text that remembers where it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded {
    /// The text, folded.
    pub text: String,
    /// For each byte of it the place of its character in the original, then the original's length.
    places: Vec<usize>,
}

impl Folded {
    /// Where in the original the character at this place of the folded text begins.
    #[must_use]
    pub fn place(&self, at: usize) -> usize {
        self.places.get(at).or(self.places.last()).copied().unwrap_or(0)
    }
}

/// Folds a text. ASCII letters stay as they are: whoever searches takes large ones for small ones.
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        // Most of nearly every text: copied at once.
        let plain = rest.bytes().take_while(u8::is_ascii).count();
        let taken = if plain > 0 { plain } else { c.len_utf8() };
        let (piece, behind) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        if plain > 0 {
            folded.push_str(piece);
        } else {
            each(c, |c| folded.push(c));
        }
        rest = behind;
    }
    Cow::Owned(folded)
}

/// Folds a text and remembers places.
#[must_use]
pub fn fold_with_places(text: &str) -> Folded {
    let mut folded =
        Folded { text: String::with_capacity(text.len()), places: Vec::with_capacity(text.len() + 1) };
    for (at, c) in text.char_indices() {
        each(c, |c| {
            folded.text.push(c);
            folded.places.extend(std::iter::repeat_n(at, c.len_utf8()));
        });
    }
    folded.places.push(text.len());
    folded
}

/// What a character becomes: usually one, none when it is invisible, a few when it stands for them.
fn each(c: char, mut put: impl FnMut(char)) {
    match c {
        '\0'..='\x7f' => put(c.to_ascii_lowercase()),
        // Most of Chinese and Japanese: nothing to take apart.
        '\u{3400}'..='\u{9fff}' => put(c),
        // A ligature of eighteen letters: taking it apart would let a text grow elevenfold.
        '\u{fdfa}' => put(c),
        _ => {
            if let Some(spelled) = tag(c) {
                put(spelled.to_ascii_lowercase());
            } else if !is_invisible(c) {
                decompose_compatible(c, |part| {
                    if !is_accent(part) {
                        part.to_lowercase().for_each(|small| put(latin(small)));
                    }
                });
            }
        }
    }
}

/// The letter that a tag character spells: invisible to people, legible to models.
pub(crate) fn tag(c: char) -> Option<char> {
    matches!(c, '\u{e0020}'..='\u{e007e}').then(|| char::from_u32(c as u32 - 0xe_0000)).flatten()
}

/// Takes no room on a screen.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Marks above, below and inside letters: of Latin, Greek and Cyrillic, the points of Hebrew and of Arabic, and Arabic's
/// line for stretching words.
const fn is_accent(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{640}'
            | '\u{64b}'..='\u{652}'
    )
}

/// The Latin letter, or the plain sign, that a character is taken for.
pub(crate) const fn latin(c: char) -> char {
    match c {
        'а' | 'α' => 'a',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'ε' => 'e',
        'һ' => 'h',
        'і' | 'ι' | 'ı' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'ӏ' => 'l',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'ѕ' => 's',
        'τ' => 't',
        'υ' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' => 'w',
        'х' | 'χ' => 'x',
        'у' => 'y',
        '\u{2010}'..='\u{2015}' => '-',
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        '、' | '،' => ',',
        '。' => '.',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_spelled_alike() {
        for (text, folded) in [
            ("Ignore", "Ignore"),
            ("ｉｇｎｏｒｅ ＡＬＬ", "ignore all"),
            ("𝐢𝐠𝐧𝐨𝐫𝐞 𝕴𝖌𝖓𝖔𝖗𝖊", "ignore ignore"),
            ("іgnоrе", "ignore"),
            ("ig\u{200b}no\u{ad}re\u{feff}", "ignore"),
            ("ígnòrê i\u{301}gnore", "ignore ignore"),
            ("\u{e0069}\u{e0067}\u{e006e}", "ign"),
            ("GRÜSSE — “x”", "grusse - \"x\""),
            ("忽略指令。", "忽略指令."),
            ("パス ﾊﾟｽ", "ハ\u{309a}ス ハ\u{309a}ス"),
            ("한", "\u{1112}\u{1161}\u{11ab}"),
            ("תִּשְׁכַּח", "תשכח"),
            ("تَجَاهَلْ تجـــاهل", "تجاهل تجاهل"),
            ("👩\u{200d}💻", "👩💻"),
        ] {
            assert_eq!(fold(text).to_ascii_lowercase(), folded.to_ascii_lowercase(), "{text}");
            assert_eq!(fold_with_places(text).text, folded.to_ascii_lowercase(), "{text}");
        }
    }

    #[test]
    fn a_place_in_the_folded_text_leads_back() {
        let text = "Aé\u{200b}ﬁ忽B";
        let folded = fold_with_places(text);
        assert_eq!(folded.text, "aefi忽b");
        let at = |letter: &str| folded.place(folded.text.find(letter).unwrap());
        assert_eq!((at("a"), at("e"), at("f"), at("i"), at("忽"), at("b")), (0, 1, 6, 6, 9, 12));
        assert_eq!(folded.place(folded.text.len()), text.len());
        assert_eq!(fold_with_places("").place(0), 0);
    }

    #[test]
    fn no_character_makes_a_text_much_longer() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let mut bytes = 0;
            each(c, |one| bytes += one.len_utf8());
            assert!(bytes <= 8 * c.len_utf8(), "{c:?} becomes {bytes} bytes");
        }
    }
}
