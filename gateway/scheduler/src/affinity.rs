//! May this request move to another account, and at what price: the one place that knows.
//!
//! Ownership is learned when an account served. A conversation survives one bad moment: served elsewhere once, while its
//! owner was only busy or had just failed, it goes back; the second time in a row it has moved.
//!
//! Two kinds of hard tie can be left behind, because the rest of the request is whole without them: a turn state and
//! sealed reasoning. They lead to their maker as long as it can serve; elsewhere the request goes without them
//! (decision record 0012).
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
use std::time::Duration;

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
/// What can be left behind is remembered apart, in each of two generations: there is far more of it, and it must not push
/// out what cannot.
pub const MAX_LEFT_TIES: usize = 65_536;
/// Ties of one request that are looked at. A history can hold many reasoning items; the newest come last.
pub const MAX_TIES: usize = 64;

/// How often it is noted that something its maker made is still in use; far less than it is kept.
const USED_EVERY: Duration = Duration::from_secs(60 * 60);

/// An account, and which of the accounts that had this handle one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) account: AccountRef,
    pub(crate) epoch: u32,
}

impl Owner {
    /// No account of the pool.
    const NOBODY: Self = Self { account: AccountRef(u32::MAX), epoch: u32::MAX };
}

/// Who made something, seen from one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// It did.
    Own,
    /// Somebody else did.
    Foreign,
    /// That is not known, or not any more.
    Unknown,
}

/// What ties say about a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Claim {
    /// Nothing: anybody may serve.
    Free,
    /// The owner has its prompt cache; elsewhere this share of the prompt is paid again.
    Prefers { owner: Owner, price: f64 },
    /// Only the owner can serve, or it is the one to do so as long as it can. `home` has the prompt cache, when that is
    /// known and matters.
    Must { owner: Owner, tie: HardTie, home: Option<Owner> },
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
    /// Hard ties that can be left behind.
    left: Memory,
    /// Ties to be stored.
    unsaved: HashSet<TieKey>,
}

impl Default for Affinity {
    fn default() -> Self {
        Self {
            soft: Memory::new(MAX_SOFT_TIES),
            hard: Memory::new(MAX_HARD_TIES),
            left: Memory::new(MAX_LEFT_TIES),
            unsaved: HashSet::new(),
        }
    }
}

impl Affinity {
    /// What the ties of a request of this size say. `alive` tells whether an owner is still in the pool and signed in:
    /// a soft tie to a dead account is none. `able` tells whether it could serve right now: what can be left behind
    /// leads only to such an owner.
    pub(crate) fn claim(
        &self,
        keys: &[TieKey],
        body_bytes: u32,
        now: Timestamp,
        alive: impl Fn(Owner) -> bool,
        able: impl Fn(Owner) -> bool,
    ) -> Claim {
        if let Some(claim) = self.hard_claim(keys, now) {
            return claim;
        }
        let soft = keys.iter().filter(|key| matches!(key.tie(), Tie::Soft(_)));
        let known = soft.filter_map(|key| Some((key.tie(), self.home(*key, now)?)));
        let strongest = known.filter(|(_, home)| alive(home.owner)).min_by_key(|(tie, _)| *tie);
        let home = strongest.map(|(_, home)| home.owner);
        if let Some((owner, tie)) = self.maker(keys, home, now, able) {
            return Claim::Must { owner, tie, home };
        }
        match strongest {
            Some((_, home)) => {
                Claim::Prefers { owner: home.owner, price: home.cached.price(body_bytes, now) }
            }
            None => Claim::Free,
        }
    }

    /// Who made what can be left behind, of those who are able: whoever runs the turn; then the home of the
    /// conversation, if it made some of it; then who made the newest.
    fn maker(
        &self,
        keys: &[TieKey],
        home: Option<Owner>,
        now: Timestamp,
        able: impl Fn(Owner) -> bool,
    ) -> Option<(Owner, HardTie)> {
        let mut newest = None;
        let mut at_home = false;
        for key in keys.iter().rev() {
            let Tie::Hard(tie) = key.tie() else { continue };
            if !tie.can_be_left() {
                continue;
            }
            let Some(owner) = self.home(*key, now).map(|home| home.owner) else { continue };
            let settled = newest.is_some_and(|newest| newest == owner) || (at_home && home == Some(owner));
            if tie == HardTie::Reasoning && settled {
                continue;
            }
            if !able(owner) {
                continue;
            }
            if tie == HardTie::TurnState {
                return Some((owner, tie));
            }
            newest.get_or_insert(owner);
            at_home |= home == Some(owner);
        }
        Some((home.filter(|_| at_home).or(newest)?, HardTie::Reasoning))
    }

    fn hard_claim(&self, keys: &[TieKey], now: Timestamp) -> Option<Claim> {
        let mut strongest: Option<(HardTie, Owner)> = None;
        let mut torn = None;
        for key in keys {
            let Tie::Hard(tie) = key.tie() else { continue };
            let Some(home) = self.home(*key, now).filter(|_| !tie.can_be_left()) else { continue };
            match strongest {
                Some((_, owner)) if owner != home.owner => torn = Some(tie),
                Some((kept, _)) if kept <= tie => {}
                _ => strongest = Some((tie, home.owner)),
            }
        }
        let (tie, owner) = strongest?;
        Some(match torn {
            Some(other) => Claim::Torn { tie: tie.min(other) },
            None => Claim::Must { owner, tie, home: None },
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
            if let Tie::Hard(tie) = key.tie()
                && tie.stays_with_its_maker()
            {
                self.used(*key, kept.filter(|home| home.owner == by), now);
                continue;
            }
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

    /// These are nobody's: no account can read them.
    pub(crate) fn disown(&mut self, keys: &[TieKey], now: Timestamp) {
        for key in keys {
            self.put(*key, Home::new(Owner::NOBODY, now));
        }
    }

    /// Who made it, seen from an account.
    pub(crate) fn whose(&self, key: TieKey, by: Owner, now: Timestamp) -> Whose {
        match self.home(key, now) {
            Some(home) if home.owner == by => Whose::Own,
            Some(_) => Whose::Foreign,
            None => Whose::Unknown,
        }
    }

    /// What its maker made is in use. A history holds many of these: that it goes on is noted once in a while.
    fn used(&mut self, key: TieKey, kept: Option<Home>, now: Timestamp) {
        if let Some(home) = kept.filter(|home| !within(Some(home.used_at), USED_EVERY, now)) {
            self.note(key, Home { used_at: now, ..home }, now);
        }
    }

    fn home(&self, key: TieKey, now: Timestamp) -> Option<&Home> {
        let home = self.memory(key).get(key)?;
        within(Some(home.used_at), key.tie().kept_for(), now).then_some(home)
    }

    fn put(&mut self, key: TieKey, home: Home) {
        self.memory_mut(key).put(key, home);
    }

    fn memory(&self, key: TieKey) -> &Memory {
        match key.tie() {
            Tie::Hard(tie) if tie.can_be_left() => &self.left,
            Tie::Hard(_) => &self.hard,
            Tie::Soft(_) => &self.soft,
        }
    }

    fn memory_mut(&mut self, key: TieKey) -> &mut Memory {
        match key.tie() {
            Tie::Hard(tie) if tie.can_be_left() => &mut self.left,
            Tie::Hard(_) => &mut self.hard,
            Tie::Soft(_) => &mut self.soft,
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
