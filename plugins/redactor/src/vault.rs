//! The originals behind the placeholders of one request. They travel from the prompt to the answer in `carry`, which
//! the gateway keeps in memory and bounds.

use serde::{Deserialize, Serialize};

use crate::find::{Found, Kind};

/// The contract takes 16 KiB; the rest is left for the stream's own notes.
const MAX_ORIGINAL_BYTES: usize = 10 * 1024;

/// Placeholders and originals.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Vault {
    entries: Vec<(Kind, String)>,
    bytes: usize,
}

impl Vault {
    /// The text with every finding replaced.
    pub(crate) fn hide(&mut self, text: &str, found: &[Found]) -> String {
        let mut hidden = String::with_capacity(text.len());
        let mut at = 0;
        for one in found {
            hidden.push_str(text.get(at..one.start).unwrap_or_default());
            hidden.push_str(&self.placeholder(one.kind, text.get(one.start..one.end).unwrap_or_default()));
            at = one.end;
        }
        hidden.push_str(text.get(at..).unwrap_or_default());
        hidden
    }

    /// The same for the same text; without a number when there is no room to remember it, and then it stays hidden.
    fn placeholder(&mut self, kind: Kind, original: &str) -> String {
        let known = self.entries.iter().position(|(of, text)| *of == kind && text == original);
        let index = known.or_else(|| {
            // Brackets, quotes and the like around each entry count too.
            let bytes = self.bytes + original.len() + 24;
            (bytes <= MAX_ORIGINAL_BYTES).then(|| {
                self.bytes = bytes;
                self.entries.push((kind, original.to_owned()));
                self.entries.len() - 1
            })
        });
        match index {
            Some(index) => self.name(index).unwrap_or_default(),
            None => format!("[[{}]]", kind.word()),
        }
    }

    /// `[[EMAIL_2]]` for the second address.
    fn name(&self, index: usize) -> Option<String> {
        let (kind, _) = self.entries.get(index)?;
        let number = self.entries.iter().take(index + 1).filter(|(of, _)| of == kind).count();
        Some(format!("[[{}_{number}]]", kind.word()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All placeholders with their originals.
    pub(crate) fn names(&self) -> Vec<(String, &str)> {
        (0..self.entries.len())
            .filter_map(|index| Some((self.name(index)?, self.entries.get(index)?.1.as_str())))
            .collect()
    }

    pub(crate) fn to_carry(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        crate::stream::Notes { vault: self.clone(), pending: None }.to_carry()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find;

    const KINDS: [Kind; 2] = [Kind::Email, Kind::Card];

    #[test]
    fn the_same_text_has_the_same_placeholder_and_kinds_count_apart() {
        let mut vault = Vault::default();
        let mut hide = |text: &str| vault.hide(text, &find::all(text, &KINDS));
        assert_eq!(hide("a@b.example, c@d.example!"), "[[EMAIL_1]], [[EMAIL_2]]!");
        assert_eq!(hide("4111111111111111 of a@b.example"), "[[CARD_1]] of [[EMAIL_1]]");
        assert_eq!(vault.names().len(), 3);
    }

    #[test]
    fn what_there_is_no_room_for_stays_hidden_for_good() {
        let mut vault = Vault::default();
        let text: String = (0..400).map(|n| format!("someone.with.a.long.name.{n}@example.com ")).collect();
        let hidden = vault.hide(&text, &find::all(&text, &KINDS));
        assert!(hidden.contains("[[EMAIL_100]]") && hidden.contains("[[EMAIL]]") && !hidden.contains('@'));
        assert!(vault.to_carry().len() < 16 * 1024, "{}", vault.to_carry().len());
    }
}
