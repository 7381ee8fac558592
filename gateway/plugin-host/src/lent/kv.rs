//! A small store in memory that all instances of one plugin share. It holds no more than its quota and outlives a
//! reload no more than an instance does.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::grants::KvQuota;

const MAX_KEY_BYTES: usize = 256;
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// Why something was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KvRefusal {
    QuotaExceeded,
    TooLarge,
}

#[derive(Debug)]
pub(crate) struct KvStore {
    quota: KvQuota,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    entries: HashMap<String, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    until: Option<Instant>,
}

impl Entry {
    fn lives(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl KvStore {
    pub(crate) fn new(quota: KvQuota) -> Self {
        Self { quota, shelf: Mutex::default() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.shelf.lock().live(key, Instant::now()).map(|entry| entry.value.clone())
    }

    pub(crate) fn set(&self, key: &str, value: Vec<u8>, ttl: Option<Duration>) -> Result<(), KvRefusal> {
        self.shelf.lock().put(self.quota, key, value, ttl, Instant::now())
    }

    pub(crate) fn delete(&self, key: &str) {
        self.shelf.lock().remove(key);
    }

    /// Eight bytes, little end first; anything else counts as zero.
    pub(crate) fn increment(&self, key: &str, delta: i64, ttl: Option<Duration>) -> Result<i64, KvRefusal> {
        let now = Instant::now();
        let mut shelf = self.shelf.lock();
        let before = shelf.live(key, now);
        let number = before.and_then(|entry| Some(i64::from_le_bytes(*entry.value.as_array()?))).unwrap_or(0);
        // A counter that runs keeps the time it was given first.
        let ttl = match before {
            Some(entry) => entry.until.map(|until| until.duration_since(now)),
            None => ttl,
        };
        let sum = number.saturating_add(delta);
        shelf.put(self.quota, key, sum.to_le_bytes().to_vec(), ttl, now)?;
        Ok(sum)
    }
}

impl Shelf {
    fn live(&self, key: &str, now: Instant) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.lives(now))
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= key.len() + entry.value.len();
        }
    }

    fn put(
        &mut self,
        quota: KvQuota,
        key: &str,
        value: Vec<u8>,
        ttl: Option<Duration>,
        now: Instant,
    ) -> Result<(), KvRefusal> {
        if key.len() > MAX_KEY_BYTES || value.len() > MAX_VALUE_BYTES {
            return Err(KvRefusal::TooLarge);
        }
        let size = key.len() + value.len();
        if !self.has_room(quota, key, size) {
            self.forget_expired(now);
            if !self.has_room(quota, key, size) {
                return Err(KvRefusal::QuotaExceeded);
            }
        }
        self.remove(key);
        self.bytes += size;
        self.entries.insert(key.to_owned(), Entry { value, until: ttl.map(|ttl| now + ttl) });
        Ok(())
    }

    fn has_room(&self, quota: KvQuota, key: &str, size: usize) -> bool {
        let (keys, bytes) = match self.entries.get(key) {
            Some(old) => (self.entries.len() - 1, self.bytes - key.len() - old.value.len()),
            None => (self.entries.len(), self.bytes),
        };
        keys < quota.max_keys && bytes + size <= quota.max_bytes
    }

    fn forget_expired(&mut self, now: Instant) {
        let mut freed = 0;
        self.entries.retain(|key, entry| {
            let lives = entry.lives(now);
            if !lives {
                freed += key.len() + entry.value.len();
            }
            lives
        });
        self.bytes -= freed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(max_keys: usize, max_bytes: usize) -> KvStore {
        KvStore::new(KvQuota { max_keys, max_bytes })
    }

    #[test]
    fn a_quota_counts_keys_and_bytes_and_a_new_value_takes_the_place_of_the_old() {
        let store = store(2, 10);
        assert_eq!(store.set("a", vec![0; 4], None), Ok(()));
        assert_eq!(store.set("b", vec![0; 4], None), Ok(()));
        assert_eq!(store.set("c", Vec::new(), None), Err(KvRefusal::QuotaExceeded), "a third key");
        assert_eq!(store.set("a", vec![0; 5], None), Err(KvRefusal::QuotaExceeded), "one byte too many");
        assert_eq!(store.get("a").map(|value| value.len()), Some(4), "a refused value changes nothing");
        store.delete("b");
        assert_eq!(store.set("a", vec![0; 9], None), Ok(()));
        assert_eq!(store.set(&"k".repeat(257), Vec::new(), None), Err(KvRefusal::TooLarge));
        assert_eq!(store.set("a", vec![0; 64 * 1024 + 1], None), Err(KvRefusal::TooLarge));
    }

    #[test]
    fn what_expired_is_gone_and_makes_room() {
        let store = store(1, 100);
        assert_eq!(store.set("a", vec![1], Some(Duration::ZERO)), Ok(()));
        assert_eq!(store.get("a"), None);
        assert_eq!(store.set("b", vec![2], None), Ok(()));
        assert_eq!(store.get("b"), Some(vec![2]));
    }

    #[test]
    fn counting_is_one_step_from_many_threads() {
        let store = store(1, 100);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..500).for_each(|_| assert!(store.increment("n", 2, None).is_ok())));
            }
        });
        assert_eq!(store.increment("n", -1, None), Ok(3_999));
        store.set("n", b"text".to_vec(), None).unwrap();
        assert_eq!(store.increment("n", 5, None), Ok(5), "what is no number counts as zero");
        assert_eq!(store.increment("n", i64::MAX, None), Ok(i64::MAX), "it ends at the end");
    }
}
