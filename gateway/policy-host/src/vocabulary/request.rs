//! `request` and one candidate: read-only views of the snapshot.

use std::sync::Arc;

use gateway_scheduler::{AccountProfile, Candidate, RankInput, Roster};
use rhai::{Dynamic, Engine, ImmutableString};

use super::Candidates;
use super::numbers::NUMBERS;

/// What one call is about; everything else points into it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) roster: Arc<Roster>,
    pub(crate) input: Arc<RankInput>,
}

/// The argument of `rank`.
#[derive(Debug, Clone)]
pub(crate) struct Request(pub(crate) Arc<Snapshot>);

/// One account, by its row in the input.
#[derive(Debug, Clone)]
pub(crate) struct One {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) row: usize,
}

impl One {
    fn candidate(&self) -> Option<&Candidate> {
        self.snapshot.input.candidates.get(self.row)
    }

    fn text(&self, read: impl FnOnce(&AccountProfile) -> &str) -> ImmutableString {
        let profile = self.candidate().and_then(|candidate| {
            // A handle is the index into the roster; a text that is missing is empty, never an error.
            usize::try_from(candidate.account.0).ok().and_then(|at| self.snapshot.roster.accounts.get(at))
        });
        profile.map(read).unwrap_or_default().into()
    }
}

/// Rhai's integers are signed.
pub(super) fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Request>("Request")
        .register_get("candidates", |r: &mut Request| Candidates::all(&r.0))
        .register_get("model", |r: &mut Request| -> ImmutableString { r.0.input.info.model.as_str().into() })
        .register_get("client", |r: &mut Request| -> ImmutableString {
            r.0.input.info.client.as_str().into()
        })
        .register_get("session", |r: &mut Request| -> ImmutableString {
            r.0.input.info.session.as_ref().map_or("", |session| session.as_str()).into()
        })
        .register_get("streaming", |r: &mut Request| r.0.input.info.streaming)
        .register_get("body_bytes", |r: &mut Request| i64::from(r.0.input.info.body_bytes))
        .register_get("attempt", |r: &mut Request| i64::from(r.0.input.info.attempt))
        .register_get("now_ms", |r: &mut Request| r.0.input.now.as_millis())
        .register_get("seq", |r: &mut Request| integer(r.0.input.seq))
        // Without its sign bit, so that `seed % n` is an index.
        .register_get("seed", |r: &mut Request| integer(r.0.input.seed >> 1));

    engine
        .register_type_with_name::<One>("Candidate")
        .register_get("label", |one: &mut One| one.text(|profile| &profile.label))
        .register_get("provider", |one: &mut One| one.text(|profile| &profile.provider))
        .register_get("plan", |one: &mut One| one.text(|profile| &profile.plan))
        .register_get("health", |one: &mut One| -> ImmutableString {
            one.candidate().map_or("", |candidate| candidate.health.label()).into()
        });
    for number in NUMBERS {
        engine.register_get(number.name, move |one: &mut One| -> Dynamic {
            one.candidate().map_or(Dynamic::UNIT, |candidate| number.of(candidate))
        });
    }
}
