//! `request` and one candidate: read-only views of the snapshot.

use std::sync::Arc;

use gateway_scheduler::{Candidate, RankInput, Roster};
use rhai::{Dynamic, ImmutableString};

use super::Candidates;
use super::book::{Book, say};
use super::numbers::headroom;
use super::scalars::{fraction, mix};

/// What one call is about; everything else points into it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) roster: Arc<Roster>,
    pub(crate) input: Arc<RankInput>,
}

/// The argument of `rank`.
#[derive(Debug, Clone)]
pub(crate) struct Request(pub(crate) Arc<Snapshot>);

impl Request {
    /// The account that was picked last of all, whoever asked; `()` before the first pick.
    fn active(&self) -> Dynamic {
        let candidates = self.0.input.candidates.iter().enumerate();
        let active = candidates.max_by_key(|(_, one)| one.last_picked_seq);
        match active {
            Some((row, one)) if one.last_picked_seq > 0 => {
                Dynamic::from(One { snapshot: Arc::clone(&self.0), row })
            }
            _ => Dynamic::UNIT,
        }
    }
}

/// One account, by its row in the input.
#[derive(Debug, Clone)]
pub(crate) struct One {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) row: usize,
}

impl One {
    pub(super) fn candidate(&self) -> Option<&Candidate> {
        self.snapshot.input.candidates.get(self.row)
    }
}

/// Rhai's integers are signed.
pub(super) fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn register(book: &mut Book) {
    book.engine.register_type_with_name::<Request>("Request").register_type_with_name::<One>("Candidate");
    say!(book, Property, "Request";
        "candidates: Candidates" "everyone who could serve it, unusable ones included"
            => |r: &mut Request| Candidates::all(&r.0);
        "active: ?" "the account picked last of all, `()` before the first pick" => |r: &mut Request| r.active();
        "model: String" "the model asked for" => |r: &mut Request| text(r.0.input.info.model.as_str());
        "client: String" "the label of the client key, or `local`" => |r: &mut Request| text(&r.0.input.info.client);
        "session: String" "what ties it to a conversation; empty when nothing does" => |r: &mut Request| {
            text(r.0.input.info.session.as_ref().map_or("", |session| session.as_str()))
        };
        "surface: String" "`cli` for the Codex CLI and its like, `api` for everybody else"
            => |r: &mut Request| text(r.0.input.info.surface.label());
        "streaming: bool" "the client wants a stream" => |r: &mut Request| r.0.input.info.streaming;
        "body_bytes: int" "size of the body" => |r: &mut Request| i64::from(r.0.input.info.body_bytes);
        "attempt: int" "0 for the first try" => |r: &mut Request| i64::from(r.0.input.info.attempt);
    );
    register_inputs(book);
    say!(book, Property, "Candidate";
        "health: String" "`healthy`, `degraded`, `probing`, `cooling` or `blocked`"
            => |one: &mut One| text(one.candidate().map_or("", |candidate| candidate.health.label()));
    );
    say!(book, Method, "Candidate";
        "headroom(unknown: float) -> float" "the share left of the tighter window"
            => |one: &mut One, unknown: f64| one.candidate().map_or(unknown, |one| headroom(one, unknown));
    );
}

/// The clock and chance are inputs, so that the same request always gets the same answer.
fn register_inputs(book: &mut Book) {
    say!(book, Property, "Request";
        "now_ms: int" "the clock: milliseconds since 1970" => |r: &mut Request| r.0.input.now.as_millis();
        "seq: int" "counts decisions" => |r: &mut Request| integer(r.0.input.seq);
        // Without its sign bit, so that `seed % n` is an index.
        "seed: int" "chance, never negative; for `weighted`, `shuffled`, `two_choices`"
            => |r: &mut Request| integer(r.0.input.seed >> 1);
        // Mixed once more, so that it tells nothing about what the same seed draws.
        "chance: float" "chance as a number, evenly between 0.0 and 1.0"
            => |r: &mut Request| fraction(mix(r.0.input.seed ^ 0x5bd1_e995));
    );
}

fn text(text: &str) -> ImmutableString {
    text.into()
}
