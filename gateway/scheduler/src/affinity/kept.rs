//! Ties that outlive a restart, and that other replicas learn of: what changed since it was last stored, and what comes
//! back from there.
//!
//! Refuses: storing. A tie that could not be noted is only one that a restart forgets.

use std::time::Duration;

use gateway_domain::{AccountId, Timestamp};

use super::price::{Cached, KeptCache};
use super::{Affinity, HardTie, Home, Owner, Tie, TieKey};
use crate::elapsed::within;

/// Ties noted between two savings.
pub(super) const MAX_UNSAVED: usize = 16_384;
/// A tie that only goes on is noted this often: how fresh it is matters in minutes.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// A tie as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptTie {
    /// What is tied.
    pub key: TieKey,
    /// To whom.
    pub account: AccountId,
    /// When it was last used.
    pub used_at: Timestamp,
    /// What lies in the account's cache; `None`: nothing.
    pub cache: Option<KeptCache>,
}

impl KeptTie {
    /// When it counts no more.
    #[must_use]
    pub fn kept_until(&self) -> Timestamp {
        self.used_at.plus(self.key.tie().kept_for())
    }
}

impl Affinity {
    /// Remembers a tie, and notes it for the store where that is news.
    pub(super) fn note(&mut self, key: TieKey, home: Home, now: Timestamp) {
        let mut home = home;
        // A turn is over in minutes, and each has another state: what a restart forgets of it costs nothing.
        let lasts = key.tie() != Tie::Hard(HardTie::TurnState);
        if lasts && !within(home.noted_at, NOTE_EVERY, now) && self.unsaved.len() < MAX_UNSAVED {
            self.unsaved.insert(key);
            home.noted_at = Some(now);
        }
        self.put(key, home);
    }

    /// What was noted since the last call. `name` tells who an owner is, if it is still there.
    pub(crate) fn take_unsaved(&mut self, name: impl Fn(Owner) -> Option<AccountId>) -> Vec<KeptTie> {
        let unsaved = std::mem::take(&mut self.unsaved);
        let kept = |key: TieKey| {
            let home = self.memory(key).get(key)?;
            let account = name(home.owner)?;
            Some(KeptTie { key, account, used_at: home.used_at, cache: home.cached.kept() })
        };
        unsaved.into_iter().filter_map(kept).collect()
    }

    /// Takes a stored tie in, unless it is over or what is known here is as new. Says whether it did.
    pub(crate) fn restore(&mut self, tie: &KeptTie, owner: Owner, now: Timestamp) -> bool {
        let over = !within(Some(tie.used_at), tie.key.tie().kept_for(), now);
        if over || self.home(tie.key, now).is_some_and(|known| known.used_at >= tie.used_at) {
            return false;
        }
        let (used_at, cached) = (tie.used_at, Cached::restored(tie.cache));
        self.put(tie.key, Home { cached, noted_at: Some(used_at), ..Home::new(owner, used_at) });
        true
    }
}
