//! What a text shows to a model and not to a person: invisible letters, turned-round text, words of mixed alphabets. Says
//! how many there are; what that is worth is the rules'.

use crate::fold::{is_invisible, latin, tag};

/// How often each was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disguises {
    /// Invisible characters where they have no use.
    pub invisible: u32,
    /// Letters spelled in tag characters.
    pub tags: u32,
    /// Signs that turn the direction of text by force.
    pub overrides: u32,
    /// Words that mix Latin letters with Cyrillic or Greek ones.
    pub mixed_words: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    LooksLatin,
    /// Letters that need joiners: of Arabic, of India and its neighbours.
    Joining,
    Picture,
    OtherLetter,
    NoLetter,
}

/// Looks for disguises. ASCII has none.
#[must_use]
pub fn disguises(text: &str) -> Disguises {
    let mut found = Disguises::default();
    if text.is_ascii() {
        return found;
    }
    let mut word = Word::default();
    let mut before = Script::NoLetter;
    // The flags of regions spell their names in tags behind a black flag.
    let mut in_flag = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let plain = rest.bytes().take_while(u8::is_ascii).count();
        let taken = if plain > 0 { plain } else { c.len_utf8() };
        let (piece, behind) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        rest = behind;
        if plain > 0 {
            in_flag = false;
            before = word.plain(piece, &mut found);
        } else if tag(c).is_some() {
            found.tags += u32::from(!in_flag);
        } else if is_invisible(c) {
            in_flag &= c == '\u{e007f}';
            count_invisible(c, before, &mut found);
        } else {
            in_flag = c == '\u{1f3f4}';
            before = script(c);
            word.letter(before, &mut found);
        }
    }
    word.end(&mut found);
    found
}

/// The alphabets of the word so far.
#[derive(Default)]
struct Word {
    latin: bool,
    looks_latin: bool,
}

impl Word {
    fn letter(&mut self, script: Script, found: &mut Disguises) {
        match script {
            Script::Latin => self.latin = true,
            Script::LooksLatin => self.looks_latin = true,
            Script::Joining | Script::Picture | Script::OtherLetter | Script::NoLetter => self.end(found),
        }
    }

    /// A run of ASCII: only its first and its last word touch others.
    fn plain(&mut self, run: &str, found: &mut Disguises) -> Script {
        let letters = |bytes: &mut dyn Iterator<Item = u8>| bytes.take_while(u8::is_ascii_alphabetic).count();
        let first = letters(&mut run.bytes());
        self.latin |= first > 0;
        if first < run.len() {
            self.end(found);
            self.latin = letters(&mut run.bytes().rev()) > 0;
        }
        if self.latin { Script::Latin } else { Script::NoLetter }
    }

    fn end(&mut self, found: &mut Disguises) {
        found.mixed_words += u32::from(self.latin && self.looks_latin);
        *self = Self::default();
    }
}

fn count_invisible(c: char, before: Script, found: &mut Disguises) {
    match c {
        '\u{202d}' | '\u{202e}' => found.overrides += 1,
        // The other marks of direction, choices of style, and joiners where writing needs them.
        '\u{200e}'
        | '\u{200f}'
        | '\u{61c}'
        | '\u{202a}'..='\u{202c}'
        | '\u{2066}'..='\u{2069}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{e0100}'..='\u{e01ef}'
        | '\u{e007f}' => {}
        '\u{200c}' | '\u{200d}' if matches!(before, Script::Joining | Script::Picture) => {}
        _ => found.invisible += 1,
    }
}

fn script(c: char) -> Script {
    match c {
        '\u{c0}'..='\u{24f}' => Script::Latin,
        '\u{400}'..='\u{52f}' => Script::LooksLatin,
        // Greek letters stand beside Latin ones in formulas: only those that are taken for them.
        '\u{370}'..='\u{3ff}' if latin(c) != c => Script::LooksLatin,
        '\u{600}'..='\u{7ff}'
        | '\u{900}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{fb50}'..='\u{fdff}' => Script::Joining,
        '\u{1f000}'..='\u{1faff}' | '\u{2190}'..='\u{2bff}' => Script::Picture,
        _ => Script::OtherLetter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_writing_of_the_world_is_no_disguise() {
        for text in [
            "Grüße, señor — “ça va”? naïve",
            "Привет, как дела? API и JSON",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "👩\u{200d}💻 👍🏽 ❤\u{fe0f} 👩\u{200d}❤\u{fe0f}\u{200d}👨",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "日本語とEnglish、混在",
            "\u{200f}שלום\u{200e} abc",
            "10 µs, Δt and α-helix, 5Ω",
            "e\u{301}",
        ] {
            assert_eq!(disguises(text), Disguises::default(), "{text}");
        }
    }

    #[test]
    fn what_hides_is_counted() {
        for (text, expected) in [
            ("ig\u{200b}no\u{2060}re", Disguises { invisible: 2, ..Disguises::default() }),
            ("a\u{200d}b", Disguises { invisible: 1, ..Disguises::default() }),
            ("ok \u{e0068}\u{e0069}", Disguises { tags: 2, ..Disguises::default() }),
            ("x \u{202e}txt.exe", Disguises { overrides: 1, ..Disguises::default() }),
            ("іgnore the sуstem", Disguises { mixed_words: 2, ..Disguises::default() }),
        ] {
            assert_eq!(disguises(text), expected, "{text}");
        }
    }
}
