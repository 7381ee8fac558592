//! The counters a plugin keeps. Few, because each is a line on every scrape.

use std::collections::BTreeMap;

use parking_lot::Mutex;

const MAX_COUNTERS: usize = 64;
const MAX_NAME_BYTES: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<String, f64>>);

impl Counters {
    /// Adds, unless the name is none, the number is none, or there are too many names already.
    pub(crate) fn add(&self, name: &str, value: f64) {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let is_name = !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(fits);
        if !is_name || !value.is_finite() || value < 0.0 {
            return;
        }
        let mut counters = self.0.lock();
        if let Some(counter) = counters.get_mut(name) {
            *counter += value;
        } else if counters.len() < MAX_COUNTERS {
            counters.insert(name.to_owned(), value);
        }
    }

    pub(crate) fn all(&self) -> BTreeMap<String, f64> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_number_are_bounded() {
        let counters = Counters::default();
        for n in 0..1_000 {
            counters.add(&format!("counter_{n}"), 1.0);
        }
        counters.add("counter_0", 2.5);
        for (name, value) in
            [("", 1.0), ("a b", 1.0), ("A", 1.0), ("counter_1", f64::NAN), ("counter_1", -1.0)]
        {
            counters.add(name, value);
        }
        let all = counters.all();
        assert_eq!(all.len(), 64);
        assert_eq!(
            (all["counter_0"].to_bits(), all["counter_1"].to_bits()),
            (3.5_f64.to_bits(), 1.0_f64.to_bits())
        );
    }
}
