//! May this request move to another account, and at what price: the one place that knows.
//!
//! Ownership is learned when an account served. A conversation survives one bad moment: served elsewhere once, while its
//! owner was only busy or had just failed, it goes back; the second time in a row it has moved.
//!
//! Bounded without a clock: two generations of a map for each strength of tie, so that a flood of response ids cannot
//! push out conversations. The younger generation takes writes; when it is full it becomes the elder and the old elder
//! is forgotten. What is used moves back to the younger. What was learned is noted for a store ([`kept`]), so that a
//! restart scatters nothing; a hard tie that is forgotten all the same ends in the upstream's own "previous response not
//! found", which makes clients send their history.
//!
//! Refuses: knowing how accounts do. The pool puts that together with the verdict.

mod kept;
mod price;
mod tie;

use std::collections::{HashMap, HashSet};

use gateway_domain::{Timestamp, TokenUsage};

pub use self::kept::KeptTie;
pub use self::price::KeptCache;
pub use self::tie::{HardTie, SoftTie, Tie, TieKey};
use crate::AccountRef;
use crate::affinity::price::Cached;
use crate::elapsed::within;

/// Soft ties remembered in each of the two generations.
pub const MAX_SOFT_TIES: usize = 16_384;
/// Hard ties remembered in each of the two generations; every response is one.
pub const MAX_HARD_TIES: usize = 65_536;
/// Ties of one request that are looked at. A history can hold many reasoning items; the newest come last.
pub const MAX_TIES: usize = 64;

/// An account, and which of the accounts that had this handle one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) account: AccountRef,
    pub(crate) epoch: u32,
}

/// What ties say about a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Claim {
    /// Nothing: anybody may serve.
    Free,
    /// The owner has its prompt cache; elsewhere this share of the prompt is paid again.
    Prefers { owner: Owner, price: f64 },
    /// Only the owner can serve.
    Must { owner: Owner, tie: HardTie },
    /// Two accounts would have to serve it together.
    Torn { tie: HardTie },
}

/// Whether an account that is not the owner keeps what it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    /// The owner only has a bad moment: the conversation goes back to it.
    Passing,
    /// The conversation moves.
    Moving,
}

/// Where one tie leads.
#[derive(Debug, Clone, Copy)]
struct Home {
    owner: Owner,
    /// Who served it last while the owner had a bad moment.
    guest: Option<Owner>,
    cached: Cached,
    used_at: Timestamp,
    /// When it was last noted for the store.
    noted_at: Option<Timestamp>,
}

impl Home {
    const fn new(owner: Owner, used_at: Timestamp) -> Self {
        Self { owner, guest: None, cached: Cached::NOTHING, used_at, noted_at: None }
    }
}

/// Remembers which account serves what.
#[derive(Debug)]
pub(crate) struct Affinity {
    soft: Memory,
    hard: Memory,
    /// Ties to be stored.
    unsaved: HashSet<TieKey>,
}

impl Default for Affinity {
    fn default() -> Self {
        Self { soft: Memory::new(MAX_SOFT_TIES), hard: Memory::new(MAX_HARD_TIES), unsaved: HashSet::new() }
    }
}

impl Affinity {
    /// What the ties of a request of this size say. `alive` tells whether an owner is still in the pool and signed in:
    /// a soft tie to a dead account is none.
    pub(crate) fn claim(
        &self,
        keys: &[TieKey],
        body_bytes: u32,
        now: Timestamp,
        alive: impl Fn(Owner) -> bool,
    ) -> Claim {
        if let Some(claim) = self.hard_claim(keys, now) {
            return claim;
        }
        let soft = keys.iter().filter(|key| matches!(key.tie(), Tie::Soft(_)));
        let known = soft.filter_map(|key| Some((key.tie(), self.home(*key, now)?)));
        let strongest = known.filter(|(_, home)| alive(home.owner)).min_by_key(|(tie, _)| *tie);
        match strongest {
            Some((_, home)) => {
                Claim::Prefers { owner: home.owner, price: home.cached.price(body_bytes, now) }
            }
            None => Claim::Free,
        }
    }

    fn hard_claim(&self, keys: &[TieKey], now: Timestamp) -> Option<Claim> {
        let mut strongest: Option<(HardTie, Owner)> = None;
        let mut torn = None;
        for key in keys {
            let Tie::Hard(tie) = key.tie() else { continue };
            let Some(home) = self.home(*key, now) else { continue };
            match strongest {
                Some((_, owner)) if owner != home.owner => torn = Some(tie),
                Some((kept, _)) if kept <= tie => {}
                _ => strongest = Some((tie, home.owner)),
            }
        }
        let (tie, owner) = strongest?;
        Some(match torn {
            Some(other) => Claim::Torn { tie: tie.min(other) },
            None => Claim::Must { owner, tie },
        })
    }

    /// A request begins on an account: what nobody owns yet follows it, so that requests beside it go the same way.
    pub(crate) fn begun(&mut self, keys: &[TieKey], by: Owner, now: Timestamp) {
        for key in keys.iter().filter(|key| matches!(key.tie(), Tie::Soft(_))) {
            if self.home(*key, now).is_none() {
                self.put(*key, Home::new(by, now));
            }
        }
    }

    /// An account served a request with these ties.
    pub(crate) fn served(
        &mut self,
        keys: &[TieKey],
        by: Owner,
        visit: Visit,
        served: (u32, Option<TokenUsage>),
        now: Timestamp,
    ) {
        let (body_bytes, usage) = served;
        for key in keys {
            let kept = self.home(*key, now).copied();
            let fresh = Home::new(by, now);
            let mut home = match kept {
                Some(home) if home.owner == by => Home { guest: None, ..home },
                // Only a soft tie has a home to come back to: whoever went on with a response has it.
                Some(home)
                    if visit == Visit::Passing
                        && matches!(key.tie(), Tie::Soft(_))
                        && home.guest != Some(by) =>
                {
                    self.put(*key, Home { guest: Some(by), used_at: now, ..home });
                    continue;
                }
                _ => fresh,
            };
            home.used_at = now;
            home.cached.served(body_bytes, usage, now);
            self.note(*key, home, now);
        }
    }

    /// An account made these (a response id, a file, a turn state): they are its own.
    pub(crate) fn learn(&mut self, keys: &[TieKey], by: Owner, now: Timestamp) {
        for key in keys {
            self.note(*key, Home::new(by, now), now);
        }
    }

    fn home(&self, key: TieKey, now: Timestamp) -> Option<&Home> {
        let home = match key.tie() {
            Tie::Hard(_) => self.hard.get(key),
            Tie::Soft(_) => self.soft.get(key),
        }?;
        within(Some(home.used_at), key.tie().kept_for(), now).then_some(home)
    }

    fn put(&mut self, key: TieKey, home: Home) {
        match key.tie() {
            Tie::Hard(_) => self.hard.put(key, home),
            Tie::Soft(_) => self.soft.put(key, home),
        }
    }
}

/// Two generations of homes.
#[derive(Debug)]
struct Memory {
    younger: HashMap<TieKey, Home>,
    elder: HashMap<TieKey, Home>,
    generation: usize,
}

impl Memory {
    fn new(generation: usize) -> Self {
        Self { younger: HashMap::new(), elder: HashMap::new(), generation }
    }

    fn get(&self, key: TieKey) -> Option<&Home> {
        self.younger.get(&key).or_else(|| self.elder.get(&key))
    }

    fn put(&mut self, key: TieKey, home: Home) {
        if self.younger.len() >= self.generation && !self.younger.contains_key(&key) {
            self.elder = std::mem::take(&mut self.younger);
        }
        self.younger.insert(key, home);
    }
}

#[cfg(test)]
mod tests;
