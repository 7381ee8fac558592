//! The ring of traced rankings: all of them or a share, the oldest forgotten first.

use std::sync::Arc;

use gateway_scheduler::RankInput;
use parking_lot::Mutex;

use crate::decisions::Ranking;
use crate::ring::{Ring, RingLimits};

/// Rankings kept unless the settings say otherwise.
pub const DEFAULT_KEPT: usize = 10_000;
/// Candidates kept over all rankings: a large pool keeps fewer rankings, not more memory.
pub const MAX_TRACED_CANDIDATES: usize = 100_000;

/// How much is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceOptions {
    /// Rankings kept; 0 keeps none.
    pub kept: usize,
    /// How many of a hundred conversations are kept.
    pub percent: u8,
}

impl Default for TraceOptions {
    fn default() -> Self {
        Self { kept: DEFAULT_KEPT, percent: 100 }
    }
}

/// The ring of the last traced rankings.
#[derive(Debug, Default)]
pub struct TraceLog {
    options: TraceOptions,
    ring: Mutex<Ring<Arc<Ranking>>>,
}

impl TraceLog {
    /// An empty one.
    #[must_use]
    pub fn new(options: TraceOptions) -> Self {
        Self { options, ring: Mutex::default() }
    }

    /// How much it keeps.
    #[must_use]
    pub const fn options(&self) -> TraceOptions {
        self.options
    }

    /// Keeps a ranking if its conversation is among those that are traced.
    pub fn keep(&self, ranking: &Arc<Ranking>) {
        if self.options.kept == 0 || !self.wants(&ranking.input) {
            return;
        }
        let limits = RingLimits { entries: self.options.kept, candidates: MAX_TRACED_CANDIDATES };
        let mut forgotten = None;
        let mut ring = self.ring.lock();
        ring.push(Arc::clone(ranking), ranking.input.candidates.len());
        while let Some(oldest) = ring.forget(limits) {
            forgotten = Some(oldest);
        }
        drop(ring);
        // Taken apart where nobody waits for it.
        drop(forgotten);
    }

    /// What is kept, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Ranking>> {
        self.ring.lock().iter().cloned().collect()
    }

    /// Whole conversations are kept or left out: a part of one says nothing about where it moved.
    fn wants(&self, input: &RankInput) -> bool {
        if self.options.percent >= 100 {
            return true;
        }
        let tie = input.info.session.as_ref().map_or(input.info.request_id.as_str(), |key| key.as_str());
        share_of(tie) * 100.0 < f64::from(self.options.percent)
    }
}

/// A number from 0.0 to 1.0 that depends on the text alone (FNV-1a, then mixed so that the high bits count).
fn share_of(text: &str) -> f64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway_domain::SessionKey;
    use gateway_scheduler::corpus::Corpus;
    use gateway_scheduler::{BuiltIn, RankingPolicy as _};

    use super::*;

    fn ranking(corpus: &mut Corpus, candidates: usize, session: &str) -> Arc<Ranking> {
        let (roster, input) = corpus.question(candidates);
        let mut input = (*input).clone();
        input.info.session = Some(SessionKey::parse(session).unwrap());
        let builtin = BuiltIn::default();
        let input = Arc::new(input);
        Arc::new(Ranking {
            policy: Arc::new(builtin.version().clone()),
            fallback: None,
            decision: builtin.rank(&roster, &input).unwrap(),
            input,
            roster,
            closed: Arc::default(),
            scope: None,
            took: Duration::ZERO,
        })
    }

    #[test]
    fn it_is_bounded_by_count_and_by_candidates() {
        let mut corpus = Corpus::new(1).unwrap();
        let log = TraceLog::new(TraceOptions { kept: 10, percent: 100 });
        for _ in 0..25 {
            log.keep(&ranking(&mut corpus, 3, "s"));
        }
        assert_eq!(log.all().len(), 10);
        assert_eq!(log.all().first().map(|kept| kept.input.seq), Some(16), "the oldest went");

        let log = TraceLog::new(TraceOptions { kept: 10_000, percent: 100 });
        let one = ranking(&mut corpus, 500, "s");
        for _ in 0..500 {
            log.keep(&one);
        }
        assert_eq!(log.all().len(), MAX_TRACED_CANDIDATES / 500);
    }

    #[test]
    fn a_share_keeps_whole_conversations() {
        let mut corpus = Corpus::new(1).unwrap();
        let log = TraceLog::new(TraceOptions { kept: 10_000, percent: 25 });
        for session in 0..400 {
            for _ in 0..3 {
                log.keep(&ranking(&mut corpus, 2, &format!("session-{session}")));
            }
        }
        let kept = log.all();
        assert_eq!(kept.len() % 3, 0, "no part of a conversation");
        assert!((60..=140).contains(&(kept.len() / 3)), "{} conversations of 400", kept.len() / 3);
        let off = TraceLog::new(TraceOptions { kept: 0, percent: 100 });
        off.keep(&ranking(&mut corpus, 2, "s"));
        assert!(off.all().is_empty());
    }
}
