//! Who may run now, who waits, and who goes next: bounded, fair between clients, without a clock and without threads.
//!
//! A place in the queue is for one request, whatever it waits for (`W`): any account, one certain account, a free worker.
//! Whether that is free is the caller's to say, at each question. Between clients the turns go round, so that one with a
//! thousand requests does not keep another one waiting for a thousand turns; a client's own requests keep their order.
//!
//! The caller drives it: [`Queue::enter`] when a request comes, [`Queue::leave`] when it ends, whichever way, and
//! [`Queue::next`] until it answers `None` whenever something may have become free or [`Queue::deadline`] has passed.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gateway_domain::Timestamp;

/// How much a queue admits and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests that run at once.
    pub running: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Requests of one client that wait.
    pub waiting_per_client: usize,
    /// The longest a request waits.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { running: 512, waiting: 512, waiting_per_client: 128, patience: Duration::from_secs(10) }
    }
}

/// One request in a queue, running or waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What became of a request that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It runs.
    Admitted(Ticket),
    /// It waits.
    Waits(Ticket),
    /// There is no place to wait.
    Refused(Full),
}

/// Which limit refused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Too many wait.
    Queue,
    /// Too many of this client wait.
    Client,
}

/// What happened to a request that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It runs now.
    Admitted(Ticket),
    /// It waited too long, and is out.
    Expired(Ticket),
}

/// Where a waiting request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Requests that have their turn before it, if everybody waits for the same.
    pub ahead: usize,
    /// Requests that wait, this one included.
    pub waiting: usize,
}

#[derive(Debug)]
struct Waiter<W> {
    ticket: Ticket,
    wants: W,
    entered: Timestamp,
    deadline: Timestamp,
}

#[derive(Debug)]
struct Client<W> {
    name: Arc<str>,
    waiters: VecDeque<Waiter<W>>,
}

/// The queue.
#[derive(Debug)]
pub struct Queue<W> {
    limits: Limits,
    running: HashSet<Ticket>,
    /// Clients with waiting requests; the one whose turn is next stands first.
    clients: VecDeque<Client<W>>,
    waiting: usize,
    issued: u64,
}

impl<W> Queue<W> {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, running: HashSet::new(), clients: VecDeque::new(), waiting: 0, issued: 0 }
    }

    /// Takes over changed limits. Nobody who runs or waits is sent away.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A request comes. It runs at once when there is room, what it wants is free, and nobody who came before could
    /// have it.
    pub fn enter(&mut self, client: &str, wants: W, now: Timestamp, free: impl Fn(&W) -> bool) -> Entry {
        let room = self.running.len() < self.limits.running;
        if room && free(&wants) && self.next_in_turn(&free).is_none() {
            let ticket = self.issue();
            self.running.insert(ticket);
            return Entry::Admitted(ticket);
        }
        if self.waiting >= self.limits.waiting {
            return Entry::Refused(Full::Queue);
        }
        let known = self.clients.iter().position(|one| &*one.name == client);
        let waits = known.and_then(|at| self.clients.get(at)).map_or(0, |one| one.waiters.len());
        if waits >= self.limits.waiting_per_client {
            return Entry::Refused(Full::Client);
        }
        let ticket = self.issue();
        let waiter = Waiter { ticket, wants, entered: now, deadline: now.plus(self.limits.patience) };
        match known.and_then(|at| self.clients.get_mut(at)) {
            Some(client) => client.waiters.push_back(waiter),
            None => {
                self.clients.push_back(Client { name: Arc::from(client), waiters: VecDeque::from([waiter]) });
            }
        }
        self.waiting += 1;
        Entry::Waits(ticket)
    }

    /// A request ends or gives up waiting. A second time changes nothing.
    pub fn leave(&mut self, ticket: Ticket) {
        if self.running.remove(&ticket) {
            return;
        }
        let place = self.place_of(ticket);
        if let Some((client, waiter)) = place {
            drop(self.remove(client, waiter));
        }
    }

    /// The next thing that happens: somebody waited too long, or somebody's turn has come.
    pub fn next(&mut self, now: Timestamp, free: impl Fn(&W) -> bool) -> Option<Turn> {
        if let Some((client, waiter)) = self.expired(now) {
            return self.remove(client, waiter).map(|waiter| Turn::Expired(waiter.ticket));
        }
        if self.running.len() >= self.limits.running {
            return None;
        }
        let (client, waiter) = self.next_in_turn(&free)?;
        let name = self.clients.get(client)?.name.clone();
        let ticket = self.remove(client, waiter)?.ticket;
        // Its client goes to the end of the round; those that could not be served keep their turn.
        self.end_turn(&name);
        self.running.insert(ticket);
        Some(Turn::Admitted(ticket))
    }

    /// When the first one who waits has waited too long.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.waiters().map(|waiter| waiter.deadline).min()
    }

    /// Where a waiting request stands. `None` when it does not wait.
    #[must_use]
    pub fn position(&self, ticket: Ticket) -> Option<Position> {
        let (mine, depth) = self.place_of(ticket)?;
        // In each round every client has one turn; my turn comes in round `depth`.
        let turns = self.clients.iter().enumerate().map(|(at, client)| {
            let rounds = if at < mine { depth + 1 } else { depth };
            client.waiters.len().min(rounds)
        });
        Some(Position { ahead: turns.sum(), waiting: self.waiting })
    }

    /// Requests that run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Requests that wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    fn issue(&mut self) -> Ticket {
        self.issued += 1;
        Ticket(self.issued)
    }

    fn waiters(&self) -> impl Iterator<Item = &Waiter<W>> {
        self.clients.iter().flat_map(|client| &client.waiters)
    }

    /// The first one in turn that could run now, if there is one: who stands behind somebody of the same client that
    /// waits for something else may pass.
    fn next_in_turn(&self, free: &impl Fn(&W) -> bool) -> Option<(usize, usize)> {
        self.clients.iter().enumerate().find_map(|(at, client)| {
            client.waiters.iter().position(|waiter| free(&waiter.wants)).map(|waiter| (at, waiter))
        })
    }

    fn expired(&mut self, now: Timestamp) -> Option<(usize, usize)> {
        let patience = self.limits.patience;
        for (at, client) in self.clients.iter_mut().enumerate() {
            for (depth, waiter) in client.waiters.iter_mut().enumerate() {
                if now < waiter.entered {
                    // The clock was set back: nobody waits longer than everybody else would from here.
                    (waiter.entered, waiter.deadline) = (now, now.plus(patience));
                }
                if waiter.deadline <= now {
                    return Some((at, depth));
                }
            }
        }
        None
    }

    fn place_of(&self, ticket: Ticket) -> Option<(usize, usize)> {
        self.clients.iter().enumerate().find_map(|(at, client)| {
            client.waiters.iter().position(|waiter| waiter.ticket == ticket).map(|waiter| (at, waiter))
        })
    }

    /// Takes a waiter out, and its client with the last one.
    fn remove(&mut self, client: usize, waiter: usize) -> Option<Waiter<W>> {
        let waiters = &mut self.clients.get_mut(client)?.waiters;
        let waiter = waiters.remove(waiter)?;
        self.waiting -= 1;
        if waiters.is_empty() {
            self.clients.remove(client);
        }
        Some(waiter)
    }

    fn end_turn(&mut self, name: &Arc<str>) {
        let at = self.clients.iter().position(|client| Arc::ptr_eq(&client.name, name));
        if let Some(client) = at.and_then(|at| self.clients.remove(at)) {
            self.clients.push_back(client);
        }
    }
}

#[cfg(test)]
mod tests;
