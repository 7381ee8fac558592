//! The instances of one plugin: lent for one call each, kept warm, replaced when worn out or broken.
//!
//! The lock covers a push or a pop, never guest code.

use parking_lot::{Condvar, Mutex};

use gateway_scheduler::PolicyError;

use crate::guest::{Blueprint, Guest};
use crate::limits::{CHECKOUT_PATIENCE, Limits};
use crate::manifest::Isolation;

pub(crate) struct Pool {
    blueprint: Blueprint,
    config_json: String,
    isolation: Isolation,
    shelf: Mutex<Shelf>,
    freed: Condvar,
}

struct Shelf {
    /// Last in, first out: the warmest instance serves next.
    idle: Vec<Guest>,
    /// Idle and lent together.
    alive: usize,
}

/// The right to one instance. What is in it when it ends goes back on the shelf.
struct Place<'a> {
    pool: &'a Pool,
    guest: Option<Guest>,
}

impl Pool {
    /// `first` is configured already.
    pub(crate) fn new(blueprint: Blueprint, config_json: String, isolation: Isolation, first: Guest) -> Self {
        let idle = match isolation {
            Isolation::Pooled => vec![first],
            Isolation::Fresh => Vec::new(),
        };
        let shelf = Mutex::new(Shelf { alive: idle.len(), idle });
        Self { blueprint, config_json, isolation, shelf, freed: Condvar::new() }
    }

    /// Lends an instance to `ask`. One that answered with an error is not used again.
    pub(crate) fn with<R>(
        &self,
        ask: impl FnOnce(&mut Guest) -> Result<R, PolicyError>,
    ) -> Result<R, PolicyError> {
        let mut place = self.place()?;
        let mut guest = match place.guest.take() {
            Some(idle) => idle,
            None => self.blueprint.configured(&self.config_json)?,
        };
        let answer = ask(&mut guest)?;
        place.guest = Some(guest);
        Ok(answer)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.blueprint.limits
    }

    pub(crate) fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Runs `ask` on an instance that is then thrown away, outside the number of those that serve.
    pub(crate) fn aside<R>(
        &self,
        ask: impl FnOnce(&mut Guest) -> Result<R, PolicyError>,
    ) -> Result<R, PolicyError> {
        ask(&mut self.blueprint.instantiate()?)
    }

    pub(crate) fn config_json(&self) -> &str {
        &self.config_json
    }

    fn place(&self) -> Result<Place<'_>, PolicyError> {
        let mut shelf = self.shelf.lock();
        loop {
            if let Some(guest) = shelf.idle.pop() {
                return Ok(Place { pool: self, guest: Some(guest) });
            }
            if shelf.alive < self.blueprint.limits.instances {
                shelf.alive += 1;
                return Ok(Place { pool: self, guest: None });
            }
            if self.freed.wait_for(&mut shelf, CHECKOUT_PATIENCE).timed_out() {
                return Err(PolicyError::Saturated);
            }
        }
    }

    /// Idle and lent together.
    pub(crate) fn alive(&self) -> usize {
        self.shelf.lock().alive
    }

    #[cfg(test)]
    pub(crate) fn lent(&self) -> usize {
        let shelf = self.shelf.lock();
        shelf.alive - shelf.idle.len()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // One that is not kept is taken down here, before the lock.
        let kept = |guest: &Guest| self.pool.isolation == Isolation::Pooled && !guest.is_worn_out();
        let back = self.guest.take().filter(kept);
        let mut shelf = self.pool.shelf.lock();
        match back {
            Some(guest) => shelf.idle.push(guest),
            None => shelf.alive -= 1,
        }
        drop(shelf);
        self.pool.freed.notify_one();
    }
}
