//! Names for accounts that come in many at once. Refuses: judging them; what cannot be one is made one.

use std::collections::{HashMap, HashSet};

use crate::accounts::MAX_NAME_CHARS;

/// Gives out names that are free. Remembers where it got to with each wish, so that thousands of equal wishes do not
/// count from 2 again each time.
pub(super) struct Names {
    taken: HashSet<String>,
    next: HashMap<String, u64>,
}

impl Names {
    pub(super) fn new(taken: impl IntoIterator<Item = String>) -> Self {
        Self { taken: taken.into_iter().collect(), next: HashMap::new() }
    }

    /// The wish, or the wish with the first free number from 2 behind it.
    pub(super) fn free(&mut self, wish: &str) -> String {
        let wish = fitting(wish, 0).unwrap_or_else(|| "account".to_owned());
        if self.taken.insert(wish.clone()) {
            return wish;
        }
        let number = self.next.entry(wish.clone()).or_insert(2);
        loop {
            let suffix = format!(" {number}");
            *number = number.saturating_add(1);
            let base = fitting(&wish, suffix.len()).unwrap_or_default();
            let name = format!("{base}{suffix}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// A text as a name: no control characters, not too long; `None` when nothing is left.
pub(super) fn fitting(text: &str, reserve: usize) -> Option<String> {
    let plain: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let short: String = plain.trim().chars().take(MAX_NAME_CHARS.saturating_sub(reserve)).collect();
    let short = short.trim();
    (!short.is_empty()).then(|| short.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::check_name;

    #[test]
    fn names_are_free_and_fit() {
        let mut names = Names::new(["ada".to_owned(), "ada 3".to_owned()]);
        let got: Vec<String> = (0..3).map(|_| names.free("ada")).collect();
        assert_eq!(got, ["ada 2", "ada 4", "ada 5"]);
        assert_eq!(names.free(" \n "), "account");
        assert_eq!(names.free("a\u{0}b"), "a b");
        let long = "é".repeat(200);
        for _ in 0..12 {
            let name = names.free(&long);
            assert_eq!(check_name(&name).unwrap(), name);
        }
    }

    #[test]
    fn ten_thousand_equal_wishes_are_quick() {
        let mut names = Names::new([]);
        let all: HashSet<String> = (0..10_000).map(|_| names.free("account")).collect();
        assert_eq!(all.len(), 10_000);
    }
}
