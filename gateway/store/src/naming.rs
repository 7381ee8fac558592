//! Names that people choose: which one is free, and text the databases take.
//!
//! Refuses: judging names; the admin API does.

use std::borrow::Cow;
use std::collections::HashSet;

use gateway_core::ports::storage::NewAccount;

/// The wish, or the wish with the first free number from 2 behind it.
pub(crate) fn free_name(wish: &str, taken: &HashSet<String>) -> String {
    if !taken.contains(wish) {
        return wish.to_owned();
    }
    let mut number = 2_u64;
    loop {
        let name = format!("{wish} {number}");
        if !taken.contains(&name) {
            return name;
        }
        number = number.saturating_add(1);
    }
}

/// Text as both databases take it. PostgreSQL refuses U+0000, and one odd model name must not sink the whole
/// batch of settlements it is in.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
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
        let taken = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(free_name("work", &taken(&[])), "work");
        assert_eq!(free_name("work", &taken(&["work"])), "work 2");
        assert_eq!(free_name("work", &taken(&["work", "work 3", "work 2"])), "work 4");
        assert_eq!(free_name("work", &taken(&["work", "work 3"])), "work 2");
    }
}
