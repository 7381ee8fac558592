//! What the lab received: a bounded ring of whole requests, so that a test can see what a gateway really sent.
//! Refuses to grow: the oldest go first, by number and by bytes.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, Method};
use parking_lot::Mutex;

use crate::fault::{Fault, Route};

/// Bodies of large requests must not pile up: beyond this many bytes the oldest records go.
const MAX_BYTES: usize = 128 * 1024 * 1024;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// Counts from zero over the life of the lab.
    pub seq: u64,
    /// Lab time at arrival.
    pub at_ms: i64,
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Which endpoint that is.
    pub route: Route,
    /// Its headers as sent, `content-encoding` included.
    pub headers: HeaderMap,
    /// The body after decompression.
    pub body: Bytes,
    /// The account whose token it carried.
    pub account: Option<usize>,
    /// The fault it ran into.
    pub fault: Option<Fault>,
    /// The status it was answered with; `None` while unanswered or when the connection was reset.
    pub status: Option<u16>,
}

impl RequestRecord {
    /// The body as JSON, `Null` when it is not.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[derive(Debug, Default)]
struct Ring {
    records: VecDeque<RequestRecord>,
    bytes: usize,
    next_seq: u64,
}

/// The ring. A capacity of zero turns it off.
#[derive(Debug)]
pub(crate) struct RequestLog {
    capacity: usize,
    ring: Mutex<Ring>,
}

impl RequestLog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, ring: Mutex::new(Ring::default()) }
    }

    /// Whether it keeps anything; asked before a record is built.
    pub(crate) fn is_on(&self) -> bool {
        self.capacity > 0
    }

    /// Keeps the record and says under which number.
    pub(crate) fn push(&self, mut record: RequestRecord) -> u64 {
        let mut ring = self.ring.lock();
        let seq = ring.next_seq;
        ring.next_seq += 1;
        record.seq = seq;
        ring.bytes += record.body.len();
        ring.records.push_back(record);
        while ring.records.len() > self.capacity || (ring.bytes > MAX_BYTES && ring.records.len() > 1) {
            let gone = ring.records.pop_front().map_or(0, |old| old.body.len());
            ring.bytes -= gone;
        }
        seq
    }

    /// Changes a record that is still kept.
    pub(crate) fn update(&self, seq: u64, change: impl FnOnce(&mut RequestRecord)) {
        // Newest first: what is updated was pushed a moment ago.
        if let Some(record) = self.ring.lock().records.iter_mut().rev().find(|r| r.seq == seq) {
            change(record);
        }
    }

    pub(crate) fn all(&self) -> Vec<RequestRecord> {
        self.ring.lock().records.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        let mut ring = self.ring.lock();
        ring.records.clear();
        ring.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(body: Bytes) -> RequestRecord {
        RequestRecord {
            seq: 0,
            at_ms: 0,
            method: Method::GET,
            path: "/".to_owned(),
            route: Route::Other,
            headers: HeaderMap::new(),
            body,
            account: None,
            fault: None,
            status: None,
        }
    }

    #[test]
    fn the_oldest_records_go_first() {
        let log = RequestLog::new(2);
        for _ in 0..3 {
            log.push(record(Bytes::from_static(b"{}")));
        }
        let kept = log.all();
        assert_eq!(kept.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2]);
        log.update(2, |r| r.status = Some(200));
        log.update(0, |r| r.status = Some(500));
        assert_eq!(log.all()[1].status, Some(200));
        log.clear();
        assert!(log.all().is_empty());
    }

    #[test]
    fn big_bodies_push_the_others_out() {
        let log = RequestLog::new(100);
        let big = Bytes::from(vec![0; MAX_BYTES / 2]);
        for _ in 0..3 {
            log.push(record(big.clone()));
        }
        assert_eq!(log.all().len(), 2);
    }
}
