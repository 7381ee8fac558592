//! The instances of one plugin: lent for one call each, kept warm, replaced when worn out or broken.
//!
//! The lock covers a push or a pop, never guest code.

use parking_lot::{Condvar, Mutex};

use gateway_scheduler::PolicyError;

use crate::guest::{Blueprint, Guest};
use crate::limits::CHECKOUT_PATIENCE;

pub(crate) struct Pool {
    blueprint: Blueprint,
    config_json: String,
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
    pub(crate) fn new(blueprint: Blueprint, config_json: String, first: Guest) -> Self {
        let shelf = Mutex::new(Shelf { idle: vec![first], alive: 1 });
        Self { blueprint, config_json, shelf, freed: Condvar::new() }
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

    pub(crate) fn deadline(&self) -> std::time::Duration {
        self.blueprint.limits.deadline
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

    #[cfg(test)]
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
        // A worn-out guest is taken down here, before the lock.
        let back = self.guest.take().filter(|guest| !guest.is_worn_out());
        let mut shelf = self.pool.shelf.lock();
        match back {
            Some(guest) => shelf.idle.push(guest),
            None => shelf.alive -= 1,
        }
        drop(shelf);
        self.pool.freed.notify_one();
    }
}
