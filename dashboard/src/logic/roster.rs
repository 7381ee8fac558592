//! The accounts of the pool as the pages share them: rows that did not change stay the same rows.
//!
//! The live picture brings accounts several times a second. Comparing each once here makes everything behind it
//! cheap: a row is new only if it differs, and comparing two of them is comparing two pointers.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use gateway_api::AccountView;

/// One account; equal only to itself.
#[derive(Debug, Clone)]
pub(crate) struct Account(Arc<AccountView>);

impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Account {
    type Target = AccountView;

    fn deref(&self) -> &AccountView {
        &self.0
    }
}

/// All accounts, as the gateway orders them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roster(Arc<Vec<Account>>);

impl Roster {
    /// With what the gateway told now; none when nothing differs.
    pub(crate) fn renewed(&self, fresh: Vec<AccountView>) -> Option<Self> {
        let same_length = fresh.len() == self.0.len();
        let mut by_id: Option<HashMap<&str, &Account>> = None;
        let mut changed = !same_length;
        let mut rows = Vec::with_capacity(fresh.len());
        for (place, view) in fresh.into_iter().enumerate() {
            let known = match self.0.get(place).filter(|known| known.id == view.id) {
                Some(known) => Some(known),
                // Something was added or removed before it: looked up from here on.
                None => {
                    changed = true;
                    let by_id = by_id.get_or_insert_with(|| {
                        self.0.iter().map(|account| (account.id.as_str(), account)).collect()
                    });
                    by_id.get(view.id.as_str()).copied()
                }
            };
            match known.filter(|known| *known.0 == view) {
                Some(known) => rows.push(known.clone()),
                None => {
                    changed = true;
                    rows.push(Account(Arc::new(view)));
                }
            }
        }
        changed.then(|| Self(Arc::new(rows)))
    }

    /// With what the gateway told about some of them now; none when nothing differs.
    pub(crate) fn touched(&self, some: Vec<AccountView>) -> Option<Self> {
        let mut fresh: HashMap<String, AccountView> =
            some.into_iter().map(|view| (view.id.clone(), view)).collect();
        let mut changed = false;
        let mut rows: Vec<Account> = Vec::with_capacity(self.0.len());
        for known in self.iter() {
            rows.push(match fresh.remove(&known.id) {
                Some(view) if view != *known.0 => {
                    changed = true;
                    Account(Arc::new(view))
                }
                _ => known.clone(),
            });
        }
        // New ones stand last until the whole list comes.
        changed |= !fresh.is_empty();
        rows.extend(fresh.into_values().map(|view| Account(Arc::new(view))));
        changed.then(|| Self(Arc::new(rows)))
    }

    /// Without one account.
    pub(crate) fn without(&self, id: &str) -> Self {
        Self(Arc::new(self.0.iter().filter(|account| account.id != id).cloned().collect()))
    }

    /// One account.
    pub(crate) fn find(&self, id: &str) -> Option<&Account> {
        self.0.iter().find(|account| account.id == id)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Account> {
        self.0.iter()
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use gateway_api::AccountStateView::{Healthy, Paused};

    use super::super::accounts::tests::account;
    use super::*;

    #[test]
    fn what_did_not_change_stays_the_same_row() {
        let first = Roster::default().renewed(vec![account("a", Healthy), account("b", Healthy)]).unwrap();
        assert!(first.renewed(vec![account("a", Healthy), account("b", Healthy)]).is_none());
        let second = first.renewed(vec![account("a", Healthy), account("b", Paused)]).unwrap();
        assert_eq!(first.find("id-a"), second.find("id-a"));
        assert_ne!(first.find("id-b"), second.find("id-b"));
        assert_eq!(second.find("id-b").map(|account| account.state), Some(Paused));
    }

    #[test]
    fn a_part_of_the_pool_leaves_the_rest_as_it_is() {
        let first = Roster::default().renewed(["a", "b", "c"].map(|name| account(name, Healthy)).to_vec());
        let first = first.unwrap();
        assert!(first.touched(vec![account("b", Healthy)]).is_none());
        let second = first.touched(vec![account("b", Paused), account("d", Healthy)]).unwrap();
        assert_eq!(
            second.iter().map(|account| account.name.as_str()).collect::<Vec<_>>(),
            ["a", "b", "c", "d"]
        );
        assert_eq!(second.find("id-b").map(|account| account.state), Some(Paused));
        assert_eq!(first.find("id-c"), second.find("id-c"));
    }

    #[test]
    fn rows_are_known_again_behind_added_and_removed_ones() {
        let first = Roster::default().renewed(["a", "b", "c"].map(|name| account(name, Healthy)).to_vec());
        let first = first.unwrap();
        let second = first.renewed(["0", "a", "c"].map(|name| account(name, Healthy)).to_vec()).unwrap();
        assert_eq!(second.len(), 3);
        for id in ["id-a", "id-c"] {
            assert_eq!(first.find(id), second.find(id), "{id}");
        }
        let third = second.without("id-0");
        assert_eq!(third.iter().map(|account| account.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert!(first.renewed(Vec::new()).is_some_and(|nobody| nobody.len() == 0));
    }
}
