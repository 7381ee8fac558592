//! Names that people choose: which one is free, and text the databases take.
//!
//! Refuses: judging names; the admin API does.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gateway_core::ports::storage::NewAccount;

/// Names in use, while names for new accounts are chosen.
pub(crate) struct Names {
    taken: HashSet<String>,
    /// The first number behind a wish that was not tried yet: thousands may wish for one name.
    untried: HashMap<String, u64>,
}

impl Names {
    /// `taken` holds at least those in use that begin with a wish to come.
    pub(crate) fn new(taken: impl IntoIterator<Item = String>) -> Self {
        Self { taken: taken.into_iter().collect(), untried: HashMap::new() }
    }

    /// The wish, or the wish with the first free number from 2 behind it. It is taken from now on.
    pub(crate) fn take(&mut self, wish: &str) -> String {
        if self.taken.insert(wish.to_owned()) {
            return wish.to_owned();
        }
        let number = self.untried.entry(wish.to_owned()).or_insert(2);
        loop {
            let name = format!("{wish} {number}");
            *number = number.saturating_add(1);
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// Text as both databases take it. PostgreSQL refuses U+0000, and one odd model name must not sink the whole
/// batch of settlements it is in.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// The same for a text that is shared; it nearly always stays the same one.
pub(crate) fn storable_shared(text: Arc<str>) -> Arc<str> {
    let changed = match storable(&text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(changed) => Some(changed),
    };
    changed.map_or(text, Arc::from)
}

/// An account to import, with all its text as both databases take it.
pub(crate) fn storable_account(mut new: NewAccount) -> NewAccount {
    let identity = &mut new.identity;
    for text in [&mut identity.workspace_id, &mut identity.user_id, &mut identity.email, &mut new.plan] {
        *text = text.take().map(|text| storable(&text).into_owned());
    }
    new.name = storable(&new.name).into_owned();
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_number_is_taken() {
        for (taken, names) in [
            (&[][..], ["work", "work 2", "work 3"]),
            (&["work"], ["work 2", "work 3", "work 4"]),
            (&["work", "work 3", "work 2"], ["work 4", "work 5", "work 6"]),
            (&["work", "work 3"], ["work 2", "work 4", "work 5"]),
        ] {
            let mut free = Names::new(taken.iter().map(|name| (*name).to_owned()));
            assert_eq!([(); 3].map(|()| free.take("work")), names, "{taken:?}");
        }
    }

    #[test]
    fn wishes_that_look_like_numbered_names_stay_apart() {
        let mut free = Names::new([]);
        let names = ["work 2", "work", "work", "work 2", "work"].map(|wish| free.take(wish));
        assert_eq!(names, ["work 2", "work", "work 3", "work 2 2", "work 4"]);
    }
}
