//! The running state of a lab: accounts with their windows and counters, tokens, rules, the log.
//! Refuses to speak HTTP; `exchange` and `routes` do that.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::canned::Canned;
use crate::catalogue;
use crate::config::{LabAccount, LabConfig};
use crate::events::Usage;
use crate::fault::FaultBook;
use crate::lab::Lab;
use crate::log::RequestLog;
use crate::quota::Quota;
use crate::sign_in::SignIns;
use crate::tokens::{Rules, TokenBook};

/// A prompt cache forgets everything beyond this many keys; the real one forgets too.
const CACHE_KEYS: usize = 65_536;
/// Cached prefixes come in blocks of this many tokens.
const CACHE_BLOCK: u64 = 128;

/// How the streams of an account ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StreamCounts {
    /// Still being sent.
    pub open: u64,
    /// Sent to their last byte.
    pub completed: u64,
    /// Cut by a fault.
    pub broken: u64,
    /// Given up by the other side.
    pub abandoned: u64,
}

/// What one account went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct AccountStats {
    /// Requests that carried its token, on any route.
    pub requests: u64,
    /// Turns that were answered with a stream.
    pub turns: u64,
    /// Bodies that were refused.
    pub refused: u64,
    /// Turns refused because a window was full.
    pub limited: u64,
    /// Requests that ran into a fault.
    pub faults: u64,
    /// Turns that came with the turn state of another account.
    pub foreign_turn_states: u64,
    /// Input tokens billed.
    pub input_tokens: u64,
    /// Of these, read from the prompt cache.
    pub cached_tokens: u64,
    /// Output tokens billed.
    pub output_tokens: u64,
    /// Its streams.
    pub streams: StreamCounts,
}

/// The part of an account that changes.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) quota: Quota,
    pub(crate) stats: AccountStats,
    cache: HashMap<String, u64>,
}

impl Live {
    /// Bills a turn and says how much of its prompt the cache held.
    pub(crate) fn bill(&mut self, cache_key: Option<&str>, usage: &mut Usage) {
        if let Some(key) = cache_key {
            if self.cache.len() >= CACHE_KEYS {
                self.cache.clear();
            }
            let before = self.cache.insert(key.to_owned(), usage.input).unwrap_or(0);
            let shared = before.min(usage.input);
            // Whole blocks, except for prompts too small to have one.
            usage.cached = if shared >= CACHE_BLOCK { shared - shared % CACHE_BLOCK } else { shared };
        }
        self.stats.turns += 1;
        self.stats.input_tokens += usage.input;
        self.stats.cached_tokens += usage.cached;
        self.stats.output_tokens += usage.output;
    }
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) config: LabAccount,
    /// The tag of its catalogue; every turn carries it.
    pub(crate) models_etag: String,
    pub(crate) live: Mutex<Live>,
}

/// Everything behind a [`Lab`].
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: LabConfig,
    pub(crate) accounts: Vec<Account>,
    pub(crate) tokens: Mutex<TokenBook>,
    pub(crate) sign_ins: Mutex<SignIns>,
    pub(crate) faults: FaultBook,
    pub(crate) log: RequestLog,
    pub(crate) canned: Option<Canned>,
    pub(crate) base_url: OnceLock<String>,
    pub(crate) tasks: TaskTracker,
    pub(crate) accepted: AtomicU64,
    serial: AtomicU64,
}

impl Shared {
    pub(crate) fn new(config: LabConfig) -> Self {
        let now = config.clock.now();
        let account = |account: &LabAccount| {
            let quota = Quota::new(account, now);
            let live = Live { quota, stats: AccountStats::default(), cache: HashMap::new() };
            let models_etag = catalogue::etag(&catalogue::body(None, &account.models));
            Account { config: account.clone(), models_etag, live: Mutex::new(live) }
        };
        let rules = Rules {
            seed: config.seed,
            lifetime: config.access_token_lifetime,
            leeway: config.reuse_leeway,
            revoke_family_on_reuse: config.revoke_family_on_reuse,
        };
        let accounts: Vec<Account> = config.accounts.iter().map(account).collect();
        Self {
            tokens: Mutex::new(TokenBook::new(&config.accounts, rules)),
            sign_ins: Mutex::default(),
            canned: config.canned_bench.then(|| Canned::new(&accounts, now)),
            accounts,
            faults: FaultBook::default(),
            log: RequestLog::new(config.request_log),
            base_url: OnceLock::new(),
            tasks: TaskTracker::new(),
            accepted: AtomicU64::new(0),
            serial: AtomicU64::new(0),
            config,
        }
    }

    /// The tail of the next response's ids; no two labs of different seed share one.
    pub(crate) fn next_id(&self) -> String {
        format!("{:08x}{:016x}", self.config.seed, self.serial.fetch_add(1, Ordering::Relaxed))
    }

    /// A request id in the shape upstream uses.
    pub(crate) fn next_request_id(&self) -> String {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u64_pair(u64::from(self.config.seed), serial).to_string()
    }

    /// Works on the changing part of one account.
    pub(crate) fn live<T>(&self, account: usize, work: impl FnOnce(&mut Live) -> T) -> Option<T> {
        self.accounts.get(account).map(|found| work(&mut found.live.lock()))
    }
}

/// Counts one body, whichever way it ends.
#[derive(Debug)]
pub(crate) struct StreamGuard {
    of: Option<(Lab, usize)>,
    end: StreamEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamEnd {
    Abandoned,
    Completed,
    Broken,
}

impl StreamGuard {
    /// For a turn of this account.
    pub(crate) fn turn(lab: &Lab, account: usize) -> Self {
        lab.shared().live(account, |live| live.stats.streams.open += 1);
        Self { of: Some((lab.clone(), account)), end: StreamEnd::Abandoned }
    }

    /// For a body nobody counts.
    pub(crate) const fn uncounted() -> Self {
        Self { of: None, end: StreamEnd::Abandoned }
    }

    pub(crate) fn completed(&mut self) {
        if self.end == StreamEnd::Abandoned {
            self.end = StreamEnd::Completed;
        }
    }

    pub(crate) fn broke(&mut self) {
        self.end = StreamEnd::Broken;
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        let Some((lab, account)) = self.of.take() else { return };
        lab.shared().live(account, |live| {
            let streams = &mut live.stats.streams;
            streams.open = streams.open.saturating_sub(1);
            match self.end {
                StreamEnd::Abandoned => streams.abandoned += 1,
                StreamEnd::Completed => streams.completed += 1,
                StreamEnd::Broken => streams.broken += 1,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::LabClock;

    fn shared() -> Shared {
        let accounts = vec![LabAccount::new("a", "plus"), LabAccount::new("b", "plus")];
        Shared::new(LabConfig::new(accounts, LabClock::fixed(1_000)))
    }

    #[test]
    fn the_prompt_cache_is_per_account_and_key() {
        let shared = shared();
        let bill = |account: usize, key: Option<&str>, input: u64| {
            let mut usage = Usage { input, ..Usage::default() };
            shared.live(account, |live| live.bill(key, &mut usage));
            usage.cached
        };
        assert_eq!(bill(0, Some("k"), 1_000), 0);
        assert_eq!(bill(0, Some("k"), 1_100), 896, "whole blocks of the shared prefix");
        assert_eq!(bill(1, Some("k"), 1_100), 0);
        assert_eq!(bill(0, Some("other"), 50), 0);
        assert_eq!(bill(0, Some("other"), 50), 50, "small prompts count in full");
        assert_eq!(bill(0, None, 1_100), 0);
        let stats = shared.live(0, |live| live.stats).unwrap();
        assert_eq!((stats.turns, stats.cached_tokens), (5, 946));
    }

    #[test]
    fn ids_differ() {
        let shared = shared();
        assert_ne!(shared.next_id(), shared.next_id());
        assert_ne!(shared.next_request_id(), shared.next_request_id());
    }
}
